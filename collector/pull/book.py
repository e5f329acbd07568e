"""What others see of conversations: presence with its reasons, metrics and the log. It decides nothing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Literal, get_args

from collector import telemetry
from collector.clock import Clock
from collector.evidence.presence import Presences
from collector.model import Caller
from collector.pull.verdicts import REASONS

State = Literal["waiting", "subscribing", "pulling", "gathering", "saving", "resting", "watching"]
"""waiting: for its turn. gathering: events shall gather at the source. resting: after a trouble.
watching: whether what was asked to push does."""


class Book:
    """Of all conversations together."""

    def __init__(self, presences: Presences, clock: Clock) -> None:
        self.presences = presences
        self.clock = clock
        self._states: Counter[str] = Counter(dict.fromkeys(get_args(State), 0))

    def open(self, caller: Caller, subscription: str, name: str) -> Page:
        """The page of one source and subscription; *subscription* is its id, *name* for people."""
        return Page(self, caller, subscription, name)

    def move(self, before: State | None, after: State | None) -> None:
        if before is not None:
            self._states[before] -= 1
        if after is not None:
            self._states[after] += 1

    def measure(self) -> None:
        """Tell the metrics how many do what, which changes thousands of times between two looks."""
        telemetry.pulls_counted(self._states)


class Page:
    """Of one conversation."""

    def __init__(self, book: Book, caller: Caller, subscription: str, name: str) -> None:
        self.caller = caller
        self._book = book
        self._subscription = subscription
        self._name = name
        self._state: State | None = None
        self._reason = ""

    @property
    def presences(self) -> Presences:
        return self._book.presences

    def turn(self, state: State | None) -> None:
        """What it does now; None: it is over."""
        if state != self._state:
            self._book.move(self._state, state)
            self._state = state

    def troubled(self, reason: str, sentence: str, seconds: float) -> None:
        """Nothing for *seconds*. The log has it once, as long as the reason stays; presence has the newest."""
        reason = reason if reason in REASONS else "protocol"
        telemetry.pull_troubled(self.caller.name, self._name, reason, sentence, seconds, news=reason != self._reason)
        self._reason = reason
        self._book.presences.missed(self.caller, self._subscription, self._book.clock.now(), f"{reason}: {sentence}")

    def heard(self, version: str) -> None:
        """The source answered that there is nothing now."""
        self._book.presences.heard(self.caller, self._subscription, self._book.clock.now(), version=version)
        self.well()

    def delivered(self, newest: int) -> None:
        """What came is safe; *newest* is its newest event's own time in ns, 0: none has one."""
        now = self._book.clock.now()
        if newest:
            telemetry.pull_lagged(max(0.0, (now - datetime.fromtimestamp(newest / 1e9, UTC)).total_seconds()))
        self.well()

    def dropped(self, total: int) -> None:
        """The source says that it dropped *total* events since it was subscribed."""
        more = self._book.presences.dropped(self.caller, self._subscription, self._book.clock.now(), total)
        if more:
            telemetry.events_dropped_at_source(self.caller.name, self._name, more, total)

    def well(self) -> None:
        """The last trouble is over."""
        if self._reason:
            telemetry.pull_mended(self.caller.name, self._name, self._reason)
            self._reason = ""
