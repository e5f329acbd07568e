"""How the tests of this room set up lanes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector.clock import ManualClock
from collector.config.settings import SinkSettings
from collector.model import Records
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.receipt import Receipt
from collector.routing.share import Share
from collector.routing.spool import Spool
from collector.sinks.base import Sink
from tests.contracts.memory_store import MemoryStore

SHORT = 0.05
"""Seconds of patience where a test waits for it to end."""
LONG = 3600.0
"""Seconds of patience where it must not end: the lane may only act on what the sink says."""


class Setting:
    """A lane with everything around it. Use it with ``async with``; leaving drains the lane."""

    def __init__(self, folder: Path, sink: Sink, *, name: str = "sink", patience: float = SHORT, **more: Any) -> None:
        self.settings = SinkSettings.model_construct(**{"type": "scripted", "patience": patience, **more})
        self.spool = Spool.open(folder / f"{name}.sqlite", self.settings.spool)
        self.store = MemoryStore()
        self.lane = Lane(
            name, sink, self.settings, self.spool, self.store.save_letters, ManualClock(), Taking.compile({})
        )

    async def __aenter__(self) -> Setting:
        await self.lane.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.lane.drain(0.1)

    def offer(self, records: Records) -> Receipt:
        receipt = Receipt()
        receipt.expect([self.lane.name])
        self.lane.offer(Share(records, receipt))
        return receipt

    @property
    def state(self) -> str:
        return self.lane.measure().state


async def spooled(folder: Path, name: str = "sink") -> Sequence[str]:
    """The ids that lie in a spool that nobody uses any more."""
    spool = Spool.open(folder / f"{name}.sqlite", 2**40)
    found = [identifier for share in await spool.oldest(10**6, 2**40) for identifier in share.records.ids]
    await spool.close()
    return found
