"""Many sources, a moody sink, crashes and full spools, from one seed: what must hold whatever happens.

Each source behaves as the receiver makes it: the next share when the last is confirmed, the
same share again when it is refused.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.errors import Backpressure
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable
from tests.contracts.memory_store import MemoryStore
from tests.routing.lanes import Setting, spooled
from tests.routing.scripted_sink import records

pytestmark = pytest.mark.slow  # together they take several seconds

SOURCES, SHARES = 6, 25


class MoodySink:
    """Takes, delays, refuses and breaks as its dice say; keeps what it has taken over restarts."""

    format = "raw"

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.taken: list[str] = []
        self.down_for = 0

    async def open(self) -> None:
        """Always ready."""

    async def write(self, records: Records) -> Sequence[Rejection]:
        mood = self.dice.random()
        if mood < 0.05:
            self.down_for = self.dice.randrange(4)
        if mood > 0.9:
            await asyncio.sleep(self.dice.random() * 0.03)  # longer than patience, now and then
        for _ in range(self.dice.randrange(5)):
            await asyncio.sleep(0)
        if self.down_for:
            self.down_for -= 1
            raise SinkUnavailable("moody")
        if 0.05 < mood < 0.07:
            raise ZeroDivisionError("moody")
        if 0.07 < mood < 0.12:
            return [Rejection(0, "moody")]
        self.taken.extend(records.ids)
        return []

    async def close(self) -> None:
        """Nothing is open."""


class World:
    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.sink = MoodySink(self.dice)
        self.limit = self.dice.choice([0, 20_000, 200_000, 2**30])
        self.confirmed: list[str] = []
        self.offered: dict[str, int] = {}
        self.store = MemoryStore()
        self.setting: Setting | None = None
        self.crashes = 0

    async def start(self) -> None:
        setting = Setting(self.folder, self.sink, patience=0.01, spool=self.limit)
        setting.lane._letters = self.store.save_letters
        await setting.lane.open()
        self.setting = setting

    async def source(self, name: str) -> None:
        for number in range(SHARES):
            identifier = f"{name}-{number:03}"
            while True:
                setting = self.setting
                if setting is not None:
                    self.offered[identifier] = self.offered.get(identifier, 0) + 1
                    receipt = setting.offer(records(identifier, source=name))
                    try:
                        await asyncio.wait_for(receipt.settled(), 0.5)
                    except (Backpressure, TimeoutError):
                        pass
                    else:
                        self.confirmed.append(identifier)
                        break
                await asyncio.sleep(0.002)

    async def chaos(self) -> None:
        """Restarts, clean and not: after a crash only the files and the far end remain."""
        for _ in range(3):
            await asyncio.sleep(self.dice.random() * 0.1)
            assert self.setting is not None
            setting, self.setting = self.setting, None
            if self.dice.random() < 0.5:
                await setting.lane.drain(0.005)
            else:
                self.crashes += 1
                setting.lane._stopping.set()
                await setting.lane._cancel()
                await setting.spool.close()
            await self.start()


@pytest.mark.parametrize("seed", range(6))
async def test_every_confirmed_record_is_in_the_sink_a_letter_or_the_spool(tmp_path: Path, seed: int) -> None:
    """Also: order is kept for each source, nothing is invented, and without a reason nothing is repeated."""
    world = World(tmp_path, seed)
    await world.start()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for number in range(SOURCES):
            group.create_task(world.source(f"pc{number}"))
        group.create_task(world.chaos())
    assert world.setting is not None
    await world.setting.lane.drain(0.02)

    waiting = await spooled(tmp_path)
    lettered = [letter.event_id for letter in world.store.letters()]
    kept = [*world.sink.taken, *waiting]
    assert len(world.confirmed) == SOURCES * SHARES
    assert set(world.confirmed) <= {*kept, *lettered}
    assert {*kept, *lettered} <= set(world.offered)
    for number in range(SOURCES):
        first = list(dict.fromkeys(identifier for identifier in kept if identifier.startswith(f"pc{number}-")))
        assert first == sorted(first)
    if not world.crashes:  # then only what was offered again may be there twice
        repeated = {identifier for identifier in kept if kept.count(identifier) > 1}
        assert all(world.offered[identifier] > 1 for identifier in repeated)
