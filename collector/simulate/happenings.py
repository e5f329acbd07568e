"""What happens on the machines of a fleet, and when: the events of a file, or made-up ones, at a pace.

It writes into logs and knows nothing of who reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from collector.clock import Clock
from collector.simulate.feed import Fed
from collector.simulate.generator import Machine
from collector.simulate.log import EventLog

Happening = Callable[[], object]
GRAIN = 0.005
"""Seconds by which an event may be early: a timer and a wake-up for each of thousands a second would cost more
than the events themselves."""
BREATH = 100
"""Events that are logged before the rest of the program gets its turn."""


def from_file(events: Sequence[Fed], logs: Mapping[str, EventLog]) -> Iterator[Happening]:
    """The events of a file in its order; *logs* by folded source name.

    The file's own record numbers jump about, and a bookmark has to move forward. So each log numbers
    its records itself, and the XML keeps the number that it says.
    """
    for fed in events:
        log = logs[fed.source.lower()]
        yield lambda log=log, fed=fed: log.append(fed.channel, lambda _: fed.xml)  # type: ignore[misc]


def made_up(machines: Mapping[str, Machine], logs: Mapping[str, EventLog], clock: Clock) -> Iterator[Happening]:
    """Made-up events without end, each machine in turn."""
    while machines:
        for name, machine in machines.items():
            yield lambda name=name, machine=machine: happen(machine, logs[name], clock)  # type: ignore[misc]


def happen(machine: Machine, log: EventLog, clock: Clock) -> None:
    """One made-up event, now."""
    draft = machine.happening(clock.now())
    log.append(draft.channel, draft.write, draft.rendering, draft.bulk)


class Pace:
    """When each event is due: *rate* events/s (None: at once), for *duration* seconds (None: no end)."""

    def __init__(self, clock: Clock, rate: float | None, duration: float | None) -> None:
        self._clock = clock
        self._rate = rate
        self._began = clock.monotonic()
        self._end = None if duration is None else self._began + duration

    async def reached(self, number: int, stop: asyncio.Event) -> bool:
        """Wait until event *number* (from 0) is due; False when the time is over or *stop* is set first."""
        if number % BREATH == 0:
            await asyncio.sleep(0)
        due = self._began if self._rate is None else self._began + number / self._rate
        if self._end is not None and max(due, self._clock.monotonic()) >= self._end:
            await self.over(stop)
            return False
        await self._until(due, stop, GRAIN)
        return not stop.is_set()

    async def over(self, stop: asyncio.Event) -> None:
        """Wait for the end of the duration, if there is one."""
        if self._end is not None:
            await self._until(self._end, stop)

    async def _until(self, moment: float, stop: asyncio.Event, early: float = 0.0) -> None:
        while not stop.is_set() and (left := moment - self._clock.monotonic()) > early:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), left)


async def unfold(happenings: Iterable[Happening], pace: Pace, stop: asyncio.Event, count: Callable[[], None]) -> bool:
    """Let *happenings* happen at their *pace*, *count* each; True when nothing was cut short by *stop*."""
    for number, happening in enumerate(happenings):
        if not await pace.reached(number, stop):
            return not stop.is_set()
        happening()
        count()
    await pace.over(stop)
    return True
