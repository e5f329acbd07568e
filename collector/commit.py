"""One thread that makes waiting writes durable together.

A sync costs the same for one batch and for a hundred. So whoever must sync hands
its job to a ``GroupCommit``; the thread takes every job that waits, performs them
with one commit, and only then tells each of them that it is safe. This room knows
nothing of what is written or where.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from collector.clock import Clock, SystemClock

Job = TypeVar("Job")
Result = TypeVar("Result")

_Waiting = tuple[Any, "asyncio.Future[Any]", asyncio.AbstractEventLoop]

SHORTEST_REST, LONGEST_REST = 0.001, 0.010
"""Seconds between two rounds while jobs keep coming: a sync costs 0.1 ms of CPU however few it serves, so a thousand
rounds a second are a tenth of a core; and no Ack is later than by 10 ms of rest for each of its two commits."""


@dataclass(frozen=True, slots=True)
class Rest:
    """How long a thread leaves jobs waiting after a round, unless *enough* of them wait earlier."""

    seconds: float
    enough: int


def rest(lasted: float, performed: int, waiting: int) -> Rest:
    """The rest after a round that *lasted* so many seconds and *performed* so many jobs, while others are *waiting*.

    Whoever was just served comes again with its next batch, and whoever came meanwhile waits already: with all
    of them together the next round is as large as it can be. A disk that takes longer gets longer rests.
    """
    return Rest(min(max(lasted, SHORTEST_REST), LONGEST_REST), performed + waiting)


class GroupCommit(Generic[Job, Result]):
    """Jobs in, futures out; *perform* runs in the thread, never two at a time.

    *perform* gets every job that waits (at most *most*, in order of submission) and
    answers one result, or one exception, for each. When it raises, every job of that
    round fails with what it raised. Jobs of one caller keep their order.

    A job that comes when the thread has rested is performed at once; under load the jobs of
    a *law*'s rest gather in one round. ``close`` waits for no rest.
    """

    def __init__(
        self,
        name: str,
        perform: Callable[[Sequence[Job]], Sequence[Result | BaseException]],
        *,
        most: int = 256,
        law: Callable[[float, int, int], Rest] = rest,
        clock: Clock | None = None,
    ) -> None:
        self._perform = perform
        self._most = most
        self._law = law
        self._clock = clock or SystemClock()
        self._jobs: deque[_Waiting] = deque()
        self._enough = 1  # so many jobs call the thread
        self._called = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """A future that is done when *job* is durable. Call it on the event loop."""
        if self._closed:
            raise RuntimeError(f"{self._thread.name} is closed; nothing more can be made durable here")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._jobs.append((job, future, loop))
        if len(self._jobs) >= self._enough:
            self._called.set()
        return future

    async def close(self) -> None:
        """Perform what waits, then end the thread."""
        self._closed = True
        self._called.set()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        pause = Rest(0.0, 1)
        while True:
            self._wait(pause.enough, pause.seconds)
            while not self._jobs and not self._closed:  # a call may come late, when its job is done long since
                self._wait(1, None)
            if not self._jobs:
                return
            waiting = [self._jobs.popleft() for _ in range(min(len(self._jobs), self._most))]
            begun = self._clock.monotonic()
            results = self._results([job for job, _, _ in waiting])
            # before anybody is told: whoever is comes again, and would be counted twice
            pause = self._law(self._clock.monotonic() - begun, len(waiting), len(self._jobs))
            _tell(waiting, results)

    def _wait(self, enough: int, seconds: float | None) -> None:
        """Until *enough* jobs wait (or as many as a round takes), *seconds* are over or nothing more will come."""
        enough = min(enough, self._most)
        self._enough = enough
        self._called.clear()
        if len(self._jobs) < enough and not self._closed:  # looked at after both: what came before was not missed
            self._called.wait(seconds)
        self._enough = self._most + 1  # nobody needs to call a thread that is awake

    def _results(self, jobs: Sequence[Job]) -> Sequence[Result | BaseException]:
        try:
            results = self._perform(jobs)
            if len(results) != len(jobs):  # here, where it fails a round: beyond, it would end the thread unheard
                raise RuntimeError(f"{self._thread.name} answered {len(results)} results for {len(jobs)} jobs")
        except Exception as error:  # noqa: BLE001 - not swallowed: every job of the round gets it and decides
            return [error] * len(jobs)
        return results


def _tell(waiting: Sequence[_Waiting], results: Sequence[Any]) -> None:
    settled: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for (_, future, loop), result in zip(waiting, results, strict=True):
        settled.setdefault(loop, []).append((future, result))
    for loop, outcomes in settled.items():  # waking a loop is a system call on both sides: once for all
        try:
            loop.call_soon_threadsafe(_settle, outcomes)
        except RuntimeError:  # the loop is gone, and with it whoever waited
            continue


def _settle(outcomes: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in outcomes:
        if future.done():  # whoever waited has given up; the write stands
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
