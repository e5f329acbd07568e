"""One thread that makes waiting writes durable together.

A sync costs the same for one batch and for a hundred. So whoever must sync hands
its job to a ``GroupCommit``; the thread takes every job that waits, performs them
with one commit, and only then tells each of them that it is safe. This room knows
nothing of what is written or where.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

_Waiting = tuple[Any, "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class GroupCommit(Generic[Job, Result]):
    """Jobs in, futures out; *perform* runs in the thread, never two at a time.

    *perform* gets every job that waits (at most *most*, in order of submission) and
    answers one result, or one exception, for each. When it raises, every job of that
    round fails with what it raised. Jobs of one caller keep their order.
    """

    def __init__(
        self,
        name: str,
        perform: Callable[[Sequence[Job]], Sequence[Result | BaseException]],
        *,
        most: int = 256,
    ) -> None:
        self._perform = perform
        self._most = most
        self._jobs: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()  # None: stop
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """A future that is done when *job* is durable. Call it on the event loop."""
        if self._closed:
            raise RuntimeError(f"{self._thread.name} is closed; nothing more can be made durable here")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._jobs.put((job, future, loop))
        return future

    async def close(self) -> None:
        """Perform what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        stopping = False
        while not stopping:
            taken = [self._jobs.get()]
            while len(taken) < self._most:
                try:
                    taken.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            stopping = None in taken
            waiting = [entry for entry in taken if entry is not None]
            if waiting:
                self._round(waiting)

    def _round(self, waiting: Sequence[_Waiting]) -> None:
        jobs: list[Job] = [job for job, _, _ in waiting]
        results: Sequence[Result | BaseException]
        try:
            results = self._perform(jobs)
            if len(results) != len(jobs):  # here, where it fails a round: beyond, it would end the thread unheard
                raise RuntimeError(f"{self._thread.name} answered {len(results)} results for {len(jobs)} jobs")
        except Exception as error:  # noqa: BLE001 - not swallowed: every job of the round gets it and decides
            results = [error] * len(jobs)
        settled: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Result | BaseException]]] = {}
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
