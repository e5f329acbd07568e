"""``wef serve`` and its signals."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.app import Collector
from collector.cli.serve import CYCLES, serve
from collector.clock import ManualClock
from collector.config.settings import CollectorSettings, SinkSettings
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.receipt import Receipt
from collector.routing.share import Share
from collector.routing.spool import Spool
from tests.contracts.memory_store import MemoryStore
from tests.events.made import made, records
from tests.sinks.kafka.scripted_engine import ScriptedEngine, sink_over


class Impatient(Collector):
    """A collector whose operator cannot wait for it to start."""

    def __init__(self, *signals: signal.Signals) -> None:
        super().__init__(CollectorSettings())
        self.did: list[str] = []
        self._signals = signals

    async def start(self) -> None:
        for number in self._signals:
            signal.raise_signal(number)
        self.did.append("start")

    async def reload(self) -> None:
        self.did.append("reload")
        signal.raise_signal(signal.SIGTERM)

    async def stop(self, reason: str) -> None:
        self.did.append(f"stop {reason}")


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    """Were a signal not caught, it would end pytest; so it is ignored then, and the test fails by its claim."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    """The collector's way with cycles is the process's; other tests want Python's."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def test_sighup_while_it_starts_reloads_when_it_has_started() -> None:
    """By itself the signal ends a process: a reload right after a start would have stopped the collector."""
    collector = Impatient(signal.SIGHUP)

    async with asyncio.timeout(10):
        await serve(CollectorSettings(), collector)

    assert collector.did == ["start", "reload", "stop SIGTERM"]


async def test_sigterm_while_it_starts_drains_what_has_started() -> None:
    """Exit code 0 and no half-made files, as at any other time."""
    collector = Impatient(signal.SIGTERM)

    async with asyncio.timeout(10):
        await serve(CollectorSettings(), collector)

    assert collector.did == ["start", "stop SIGTERM"]


async def test_cycles_are_looked_for_seldom_once_it_has_started() -> None:
    """Looking twice at every batch costs the Kafka lane a tenth to a fifth of its time."""
    gc.set_threshold(700, 10, 10)
    collector = Impatient(signal.SIGTERM)

    await serve(CollectorSettings(), collector)

    assert gc.get_threshold() == CYCLES
    assert gc.get_freeze_count() > 0


async def test_a_batch_leaves_no_cycle_behind(tmp_path: Path) -> None:
    """Else what was carried would stay in memory until somebody looks, which is seldom: a busy hour would not fit."""
    sink = sink_over(ScriptedEngine())
    spool = Spool.open(tmp_path / "spool.sqlite", 2**20)
    lane = Lane(
        "siem", sink, SinkSettings(type="kafka"), spool, MemoryStore().save_letters, ManualClock(), Taking.compile({})
    )
    await lane.open()

    async def carry(number: int) -> None:
        receipt = Receipt()
        receipt.expect(["siem"])
        lane.offer(Share(records([made(number)], form="winlogbeat"), receipt))
        await receipt.settled()

    await carry(0)
    await asyncio.sleep(0)
    gc.collect()
    gc.disable()
    try:
        for number in range(1, 50):
            await carry(number)
        await asyncio.sleep(0)
        left = gc.collect()
    finally:
        gc.enable()
    await lane.drain(1)

    assert left < 50
