"""``wef serve`` and its signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from collector.app import Collector
from collector.cli.serve import serve
from collector.config.settings import CollectorSettings


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
