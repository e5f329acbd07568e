"""A fleet under whose load things break: in a thread of its own, with a truth that nobody can argue with.

What happened on the machines stands in their logs, what the collector promised to keep in their ledgers. It
must not know where the collector puts events.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeVar

from collector.clock import SystemClock
from collector.simulate.fleet import Fleet, FleetOptions
from collector.simulate.ledger import Verdict
from collector.simulate.source import Source
from tests.end_to_end.stage import Stage

Answer = TypeVar("Answer")
RECORD = re.compile(r"<EventRecordID>(\d+)</EventRecordID>.*?<Channel>([^<]*)</Channel>", re.DOTALL)
GLANCE = 0.2
"""Seconds between two looks at a condition: the fleet and the collector need the processors."""
PATIENCE = 120.0
"""Seconds for what takes a few, on a machine with other work."""


def until(
    condition: Callable[[], bool], what: str, log: Callable[[], str], pass_time: Callable[[float], object]
) -> None:
    """Let time pass until *condition*. Raises AssertionError with *what* was to be and the end of the *log*."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"not within {PATIENCE:g} s: {what}\n{log()[-4000:]}"
        pass_time(GLANCE)


class Name(NamedTuple):
    """What makes an event the one it is: the computer that logged it, where, and under which number."""

    computer: str
    channel: str
    record: int


class Crew(Protocol):
    """Machines and what becomes of them, such as a ``Fleet``."""

    @property
    def notes(self) -> Sequence[str]: ...

    @property
    def sources(self) -> Mapping[str, Source]: ...

    async def run(self, *, stop: asyncio.Event) -> Verdict: ...


def pushing(stage: Stage, options: FleetOptions) -> Fleet:
    """Machines that push to *stage*; *options* without URL and certificates, which are the stage's."""
    tls = stage.folder / "tls"
    whole = replace(
        options,
        url=stage.url,
        ca=str(tls / "ca.pem"),
        cert=str(tls / "clients/{source}.pem"),
        key=str(tls / "clients/{source}.key"),
    )
    return Fleet(whole, SystemClock())


class Load:
    """A *fleet* that logs until ``end``."""

    def __init__(self, fleet: Crew) -> None:
        self._fleet = fleet
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[Verdict] | None = None
        self._stop = asyncio.Event()
        self._verdict: Verdict | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    def start(self) -> Load:
        self._task = self._loop.create_task(self._fleet.run(stop=self._stop))
        self._thread.start()
        return self

    def acknowledged(self) -> frozenset[Name]:
        """Every event that its source has forgotten since, because the collector said so."""
        return self.ask(lambda: frozenset(_names(self._sources, lambda source: source.ledger.confirmed())))

    def count(self) -> int:
        """How many events are acknowledged: cheap enough to be asked often."""
        return self.ask(lambda: sum(source.ledger.acknowledged for source in self._sources))

    def behind(self) -> int:
        """How many events wait in the sources' own logs."""
        return self.ask(lambda: sum(source.log.appended - source.ledger.acknowledged for source in self._sources))

    def happened(self) -> Mapping[str, Sequence[Name]]:
        """For each computer everything that it logged, in order."""
        return self.ask(
            lambda: {
                source.name: [event_name(source, record.xml) for record in source.log.since(0)]
                for source in self._sources
            }
        )

    def ended_within(self, seconds: float) -> bool:
        """Let the fleet go on, and say whether all of its file is acknowledged."""
        return self._ended.wait(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let the fleet go on, which must not end meanwhile."""
        assert not self.ended_within(seconds), f"the fleet ended: {self._verdict} {self._fleet.notes}"

    def until(self, condition: Callable[[], bool], what: str, log: Callable[[], str]) -> None:
        """Go on until *condition*; *what* shall be true then, and *log* says what happened when it never is."""
        until(condition, what, log, self.pass_time)

    def abandon(self) -> None:
        """End it at once, if it did not end before."""
        if self._task is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(PATIENCE)

    def end(self) -> tuple[Verdict, Sequence[str]]:
        """Log nothing more, send what is left, and say how it went."""
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert self._verdict is not None, "the fleet did not come to its end"
        return self._verdict, self._fleet.notes

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer, given in the fleet's own thread while that lives: nothing changes under it."""

        async def answer() -> Answer:
            return question()

        if self._ended.is_set():
            self._thread.join()
            return question()
        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(PATIENCE)

    @property
    def _sources(self) -> Sequence[Source]:
        return list(self._fleet.sources.values())

    def _run(self) -> None:
        assert self._task is not None
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._verdict = self._loop.run_until_complete(self._task)
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left))
            self._loop.close()
            self._ended.set()


def _names(sources: Iterable[Source], sequences: Callable[[Source], Iterable[int]]) -> Iterable[Name]:
    for source in sources:
        for sequence in sequences(source):
            record = source.log.record(sequence)
            assert record is not None, "the log is too small for this load"
            yield event_name(source, record.xml)


def event_name(source: Source, xml: str) -> Name:
    found = RECORD.search(xml)
    assert found is not None, xml
    return Name(source.name, found[2], int(found[1]))
