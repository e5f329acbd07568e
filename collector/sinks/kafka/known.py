"""Which topics can be written to, as far as the cluster was asked. Asked once, until a delivery raises doubt.

Client libraries wait for an unknown topic as if the cluster were away (servers.md 3.3), so it is looked up first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from collector.clock import Clock
from collector.sinks.base import SinkUnavailable
from collector.sinks.kafka.engine import Engine, Verdict

MOST: Final = 4_096
"""Topics that are remembered. A template with {computer} lets sources choose them."""
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

    async def missing(self, topics: Collection[str]) -> dict[str, str]:
        """Those of *topics* whose records have to become letters, and why; all others can be written to.

        Raises ``SinkUnavailable`` when the cluster does not answer, or *topics* must be waited for.
        """
        if not self._waiting and all(topic in self._good for topic in topics):
            return {}  # nobody is overtaken: order is kept between writes too
        self._waiting += 1
        try:
            async with self._asking:  # who waited here may find the answer that was asked for before
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
        for trouble in troubles.values():
            if trouble.verdict is not Verdict.BLOCKED:
                raise SinkUnavailable(trouble.reason)
        for trouble in troubles.values():
            if not trouble.absent:  # a wrong password is no reason for letters
                raise SinkUnavailable(f"topic {trouble.topic}: {trouble.reason}", blocked=True)
        _remember(self._good, dict.fromkeys(topic for topic in topics if topic not in troubles))
        missing = {topic: self._said(topic, trouble.reason) for topic, trouble in troubles.items()}
        if missing and not self._letters:
            raise SinkUnavailable(next(iter(missing.values())), blocked=True)
        until = self._clock.monotonic() + MISSING_FOR
        _remember(self._missing, {topic: (until, reason) for topic, reason in missing.items()})
        return missing

    def _said(self, topic: str, reason: str) -> str:
        return f"topic {topic}: {reason}; wef setup kafka --apply makes what sinks.{self._sink} needs"


def _remember(known: dict, more: dict) -> None:  # type: ignore[type-arg]
    """Add *more*, and forget everything when it gets too much."""
    if len(known) + len(more) > MOST:
        known.clear()
    known.update(more)
