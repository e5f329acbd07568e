"""What one run of a bench took; every bench measures the same way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """*records* in *seconds*; *cpu*: seconds of this process, all threads of it."""

    records: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.records / self.seconds


def measured(count: int, work: Callable[[], None]) -> Run:
    """*work* moves *count* records."""
    begun, cpu = time.perf_counter(), time.process_time()
    work()
    return Run(count, time.perf_counter() - begun, time.process_time() - cpu)


async def measured_here(count: int, work: Callable[[], Awaitable[object]]) -> Run:
    """The same on the event loop."""
    begun, cpu = time.perf_counter(), time.process_time()
    await work()
    return Run(count, time.perf_counter() - begun, time.process_time() - cpu)
