"""Which topics can be written to, as far as the cluster was asked. Asked once, until a delivery raises doubt.

Client libraries wait for an unknown topic as if the cluster were away (servers.md 3.3), so it is looked up first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeVar

from collector.clock import Clock
from collector.sinks.base import SinkUnavailable
from collector.sinks.kafka.engine import Engine, TopicTrouble, Verdict

Value = TypeVar("Value")

MOST: Final = 32_768
"""Topics that are remembered: more than one share names. A template with {computer} lets sources choose them."""
MISSING_FOR: Final = 30.0
"""Seconds that a missing topic is believed to be missing, where its records become letters: not each asks anew."""


class KnownTopics:
    """Asks *engine*. *letters*: records of a missing topic are rejected, else they wait for ``wef setup``."""

    def __init__(self, sink: str, engine: Engine, clock: Clock, *, letters: bool) -> None:
        self._sink, self._engine, self._clock = sink, engine, clock
        self._letters = letters
        self._good: dict[str, None] = {}
        self._missing: dict[str, tuple[float, str]] = {}  # until when, and why
        self._asking = asyncio.Lock()
        self._waiting = 0
        self._silences = 0  # look-ups that the cluster as a whole did not answer
        self._silence = ("", False)

    async def missing(self, topics: Collection[str]) -> dict[str, str]:
        """Those of *topics* whose records have to become letters, and why; all others can be written to.

        Raises ``SinkUnavailable`` when the cluster does not answer, or *topics* must be waited for.
        """
        if not self._waiting and all(topic in self._good for topic in topics):
            return {}  # nobody is overtaken: order is kept between writes too
        self._waiting += 1
        silences = self._silences
        try:
            async with self._asking:  # who waited here may find the answer that was asked for before
                if silences != self._silences:  # two hundred writes that ask one by one are minutes of an outage
                    reason, blocked = self._silence
                    raise SinkUnavailable(reason, blocked=blocked)
                return await self._looked_up(topics)
        finally:
            self._waiting -= 1

    def forget(self, topic: str) -> None:
        self._good.pop(topic, None)

    async def _looked_up(self, topics: Collection[str]) -> dict[str, str]:
        missing = self._still_missing(topics)
        unknown = [topic for topic in topics if topic not in self._good and topic not in missing]
        return missing | (await self._ask(unknown) if unknown else {})

    def _still_missing(self, topics: Collection[str]) -> dict[str, str]:
        now = self._clock.monotonic()
        self._missing = {topic: entry for topic, entry in self._missing.items() if entry[0] > now}
        return {topic: self._missing[topic][1] for topic in topics if topic in self._missing}

    async def _ask(self, topics: Collection[str]) -> dict[str, str]:
        troubles = {trouble.topic: trouble for trouble in await self._engine.look_up(topics)}
        missing = {topic: self._said(topic, trouble.reason) for topic, trouble in troubles.items() if trouble.absent}
        # First what was answered: of very many topics a look-up has time for some, and the next one for the others.
        _remember(self._good, dict.fromkeys(topic for topic in topics if topic not in troubles))
        if self._letters:
            until = self._clock.monotonic() + MISSING_FOR
            _remember(self._missing, {topic: (until, reason) for topic, reason in missing.items()})
        self._require_answers([trouble for trouble in troubles.values() if not trouble.absent], len(topics))
        if missing and not self._letters:
            raise SinkUnavailable(next(iter(missing.values())), blocked=True)
        return missing

    def _require_answers(self, troubles: Sequence[TopicTrouble], asked: int) -> None:
        """Raises ``SinkUnavailable`` for the first of *troubles*: a wrong password is no reason for letters."""
        if not troubles:
            return
        later = next((trouble for trouble in troubles if trouble.verdict is not Verdict.BLOCKED), None)
        reason = later.reason if later is not None else f"topic {troubles[0].topic}: {troubles[0].reason}"
        if len(troubles) == asked:
            self._silences, self._silence = self._silences + 1, (reason, later is None)
        raise SinkUnavailable(reason, blocked=later is None)

    def _said(self, topic: str, reason: str) -> str:
        return f"topic {topic}: {reason}; wef setup kafka --apply makes what sinks.{self._sink} needs"


def _remember(known: dict[str, Value], more: Mapping[str, Value]) -> None:
    """Add *more*, and forget everything when it gets too much."""
    if len(known) + len(more) > MOST:
        known.clear()
    known.update(more)
