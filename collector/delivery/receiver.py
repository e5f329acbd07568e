"""The acknowledgement rule, and the only place it is written.

A source forgets what we acknowledge. So we acknowledge a batch when every lane has put
its share somewhere safe and the bookmark is on disk, in that order. Crash before the
bookmark: the source sends again, and someone sees a duplicate. Crash after: nothing is
lost. There is no order in which both can be avoided. What is quarantined is safe as a
letter (``quarantine``): on disk before the lanes are asked for the rest, or refused whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import assert_never

from collector import telemetry
from collector.clock import Clock
from collector.config.settings import Limits
from collector.delivery import spoofing
from collector.delivery.bookmarks import Keep, Replace, judge
from collector.delivery.deadline import Deadline
from collector.delivery.quarantine import Quarantine
from collector.errors import Backpressure
from collector.model import Batch, Bookmark
from collector.normalize import Harvest, harvest
from collector.routing.receipt import Receipt
from collector.routing.router import Router
from collector.store.base import Store
from collector.subscriptions.subscription import Spoofing

MOST_WAITING = 4096
"""Batches of one source and subscription held at a time. Windows sends one and waits, and one more for each time that
it reconnects meanwhile; many machines that were given one certificate by mistake are one source to us. Their bytes
are bounded elsewhere (``limits.bodies_size``); this bounds how long the last of them would wait for its turn."""

_TIME = itemgetter(0)
TRUSTING = Spoofing()
"""Every Computer is taken as it stands."""


class _Turns:
    """The batches of one source and subscription: the one whose turn it is, and those that wait."""

    __slots__ = ("held", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.held = 0


class _Turn:
    """``async with`` it; a generator would cost three times as much. Raises ``Backpressure`` where too many wait."""

    __slots__ = ("_book", "_key", "_turns")

    def __init__(self, book: dict[tuple[str, str], _Turns], key: tuple[str, str]) -> None:
        self._book = book
        self._key = key
        self._turns = book.get(key) or _Turns()

    async def __aenter__(self) -> None:
        turns = self._turns
        if turns.held >= MOST_WAITING:
            raise Backpressure("busy", f"{turns.held} batches of this subscription wait already; Windows sends one")
        turns.held += 1
        self._book[self._key] = turns
        try:
            await turns.lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._turns.lock.release()
        self._leave()

    def _leave(self) -> None:
        self._turns.held -= 1
        if not self._turns.held:
            del self._book[self._key]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became safe: the number of events, and the newest event's own time in ns (0: none)."""

    events: int
    newest: int


class Receiver:
    """Accepts batches from any flow: pushed ones now, pulled ones the same way.

    *require_health* raises ``Backpressure`` when nothing can be promised (disk, shutdown).
    """

    def __init__(
        self, router: Router, store: Store, clock: Clock, require_health: Callable[[], None], limits: Limits
    ) -> None:
        self._router = router
        self._quarantine = Quarantine(router, store, limits)
        self._store = store
        self._clock = clock
        self._require_health = require_health
        self._turns: dict[tuple[str, str], _Turns] = {}

    async def accept(
        self, batch: Batch, bookmark: str | None, deadline: float, policy: Spoofing = TRUSTING
    ) -> Accepted:
        """Return when *batch* is safe and its bookmark on disk; the caller may then acknowledge.

        *deadline* is in seconds from now. Raises ``Backpressure``: nothing was promised, the
        source keeps its events and sends the same batch again; whatever reached a sink by then
        collapses by its event id. Raises ``ComputerMismatch`` where *policy* takes nothing of it.
        """
        self._require_health()
        try:
            with Deadline(deadline):
                async with self._turn(batch):
                    accepted = await self._make_safe(batch, policy)
                    if bookmark is not None:
                        await self._save(batch, bookmark)
        except TimeoutError as error:
            raise Backpressure("deadline", f"the batch was not safe within {deadline:.0f} s") from error
        return accepted

    async def save_position(self, batch: Batch, bookmark: str, deadline: float) -> None:
        """Save the bookmark of a batch that holds no log event (event 111), under the same guard."""
        self._require_health()
        try:
            with Deadline(deadline):
                async with self._turn(batch):
                    await self._save(batch, bookmark)
        except TimeoutError as error:
            raise Backpressure("deadline", f"the bookmark was not safe within {deadline:.0f} s") from error

    def _turn(self, batch: Batch) -> _Turn:
        """One batch at a time for a source and subscription: an old one never saves its bookmark last."""
        return _Turn(self._turns, (batch.caller.key, batch.subscription.id))

    async def _make_safe(self, batch: Batch, policy: Spoofing) -> Accepted:
        if not batch.events:
            return Accepted(0, 0)
        reaped = harvest(batch)
        _report(reaped)
        held = _misfits(reaped, policy)
        if held:
            await self._quarantine.hold(reaped, held)
        receipt = Receipt()
        self._router.carry(reaped, receipt, held)
        await receipt.settled()
        return Accepted(len(reaped.ids), max(map(_TIME, reaped.keys), default=0))

    async def _save(self, batch: Batch, offered: str) -> None:
        source, subscription = batch.caller.key, batch.subscription
        verdict = judge(self._store.bookmark(source, subscription.id), offered)
        match verdict:
            case Keep(reason):
                telemetry.bookmark_kept(source, subscription.name, reason)
            case Replace(went_back):
                if went_back:
                    telemetry.bookmark_went_back(source, subscription.name, list(went_back))
                await self._store.save_bookmark(source, subscription.id, Bookmark(offered, self._clock.now()))


def _misfits(reaped: Harvest, policy: Spoofing) -> Sequence[int]:
    """Mark what does not fit its caller; the rows that must not go on. Raises ``ComputerMismatch`` when none may."""
    caller, subscription = reaped.batch.caller, reaped.batch.subscription.name
    verdict = spoofing.judge(policy, caller, reaped.keys, reaped.texts)
    if verdict is None:
        return ()
    first = verdict.rows[0]
    reason = spoofing.objection(caller, reaped.keys[first][1], reaped.texts[first])
    telemetry.computers_mismatched(caller.name, subscription, verdict.outcome, len(verdict.rows), reason)
    match verdict:
        case spoofing.Mark(rows):
            reaped.tag(rows, spoofing.TAG)
            return ()
        case spoofing.Quarantine(rows):
            reaped.tag(rows, spoofing.TAG)  # so that it is still seen when somebody lets them go on
            return rows
        case spoofing.Reject():
            raise spoofing.ComputerMismatch(f"{reason}; subscription {subscription} takes no batch with such an event")
        case _:
            assert_never(verdict)


def _report(reaped: Harvest) -> None:
    for kind, count in reaped.flaws.items():
        telemetry.events_flawed(kind, count)
    telemetry.kernel_fallbacks(reaped.fallbacks)
