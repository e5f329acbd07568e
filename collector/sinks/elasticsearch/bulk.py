"""Many writes, few requests: rows of waiting writes are gathered into bulks of bounded size, time and number.

A bulk leaves when it is full, when nothing is under way, or when its first row has waited long enough. A
write is done when the fate of its last row is known. Lines are built when their bulk leaves, so what waits
costs no second copy. It knows records and their fates, and neither a server nor a stream.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable
from collector.sinks.elasticsearch.asking import Line
from collector.sinks.elasticsearch.fates import Outcome

Settle = Callable[[Sequence[Line]], Awaitable[Outcome]]
Compose = Callable[[Records], Callable[[int], Line | str]]
"""Records -> (row -> its line, or why it can never be sent)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """When a bulk is full (bytes of records, rows), how many are under way, how long one waits for more (s)."""

    size: int
    records: int
    concurrency: int
    time: float


@dataclass(slots=True, eq=False)
class _Write:
    """Records on their way. *next*: the first row that is in no bulk yet; *left*: rows whose fate is open."""

    records: Records
    line: Callable[[int], Line | str]
    done: asyncio.Future[Sequence[Rejection]]
    left: int
    next: int = 0
    rejected: dict[int, str] = field(default_factory=dict)

    @property
    def begin(self) -> int:
        """Where the next row begins in the block."""
        return self.records.ends[self.next - 1] if self.next else 0

    def settle(self, rows: int) -> None:
        """The fate of *rows* more is known; whoever waits hears of it after the last."""
        self.left -= rows
        if self.left == 0 and not self.done.done():
            self.done.set_result([Rejection(row, self.rejected[row]) for row in sorted(self.rejected)])

    def fail(self, error: BaseException) -> None:
        """One row is enough: all of its records are offered again."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Bulk:
    """*lines*, and whose they are: for each the number of its write in *writes*, and its row there.

    *counts*: lines of each write.
    """

    lines: list[Line] = field(default_factory=list)
    writes: list[_Write] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    owners: array[int] = field(default_factory=lambda: array("L"))
    rows: array[int] = field(default_factory=lambda: array("L"))


class Bulks:
    """Gathers rows until *measure* says so, and has *settle* find their fates. *limit*: fewer bytes, when learned."""

    def __init__(self, measure: Measure, compose: Compose, settle: Settle, limit: Callable[[], int | None]) -> None:
        self._measure, self._compose, self._settle, self._limit = measure, compose, settle, limit
        self._waiting: deque[_Write] = deque()  # rows in no bulk yet
        self._rows = self._bytes = 0  # of what waits
        self._running: dict[asyncio.Task[None], _Bulk] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._begin: asyncio.Handle | None = None
        self._closed = False

    async def write(self, records: Records) -> Sequence[Rejection]:
        """As ``Sink.write``. Cancelled, it leaves no trace but what is under way."""
        if self._closed:
            raise SinkUnavailable("the sink is closed")
        if not len(records):
            return ()
        loop = asyncio.get_running_loop()
        write = _Write(records, self._compose(records), loop.create_future(), len(records))
        self._waiting.append(write)
        self._rows += len(records)
        self._bytes += len(records.block)
        if self._begin is None:  # in the loop's next round, with whatever else arrives in this one
            self._begin = loop.call_soon(self._start)
        try:
            return await write.done
        finally:
            if write in self._waiting:
                self._drop(write)

    async def close(self, deadline: float) -> None:
        """Finish what was begun within *deadline* seconds; whoever still waits then keeps its records."""
        self._closed = True
        until = asyncio.get_running_loop().time() + deadline
        self._flush()
        while self._running and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        for write in list(self._waiting):  # first: else they would take the places of those that are cancelled
            write.fail(SinkUnavailable("the sink was closed before it had the records"))
            self._drop(write)
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        for handle in (self._timer, self._begin):
            if handle is not None:
                handle.cancel()

    # When a bulk leaves --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Send what should not wait, and see to it that the rest does not wait for ever."""
        self._begin = None
        while self._rows and len(self._running) < self._measure.concurrency:
            if self._running and not self._full and not self._closed:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(self._measure.time, self._flush)
                return
            self._send(self._taken())

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._rows and len(self._running) < self._measure.concurrency:
            self._send(self._taken())
        self._start()

    @property
    def _full(self) -> bool:
        return self._rows >= self._measure.records or self._bytes >= self._most

    @property
    def _most(self) -> int:
        learned = self._limit()
        return self._measure.size if learned is None else min(self._measure.size, learned)

    def _send(self, bulk: _Bulk) -> None:
        if not bulk.lines:
            return
        task = asyncio.create_task(self._run(bulk), name="elasticsearch-bulk")
        self._running[task] = bulk
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        bulk = self._running.pop(task)
        if task.cancelled():
            trouble: BaseException | None = SinkUnavailable("the sink was closed before it had an answer")
        else:
            trouble = task.exception()
        if trouble is not None:
            for write in bulk.writes:
                write.fail(trouble)
        self._start()

    async def _run(self, bulk: _Bulk) -> None:
        outcome = await self._settle(bulk.lines)
        for row, why in outcome.rejected.items():
            bulk.writes[bulk.owners[row]].rejected[bulk.rows[row]] = why
        for row, why in outcome.kept.items():
            bulk.writes[bulk.owners[row]].fail(_unavailable(why, outcome))
        for write, count in zip(bulk.writes, bulk.counts, strict=True):
            write.settle(count)
        if len(outcome.kept) == len(bulk.lines):
            # Nothing was taken: what waits would only wait longer, one time-out after the other.
            for write in self._waiting:
                write.fail(_unavailable(next(iter(outcome.kept.values())), outcome))

    # What is in it -------------------------------------------------------------------------------------------------

    def _taken(self) -> _Bulk:
        """The next rows, as many as one bulk may hold and at least one."""
        bulk, size = _Bulk(), 0
        while self._waiting:
            write = self._waiting[0]
            if not write.done.done():  # else it failed, and is about to be forgotten
                size = self._fill(bulk, write, size)
                if write.next < len(write.records):
                    break
            self._drop(write)
        return bulk

    def _fill(self, bulk: _Bulk, write: _Write, size: int) -> int:
        """Rows of *write* into *bulk*, which has *size* bytes; how many it has then."""
        ends, lines, first, begin = write.records.ends, bulk.lines, write.next, write.begin
        at, most, room, owner, refused = begin, self._most, self._measure.records, len(bulk.writes), 0
        for row in range(first, len(ends)):
            length = ends[row] - at
            if lines and (size + length > most or len(lines) >= room):
                break
            at, write.next = ends[row], row + 1
            line = write.line(row)
            if isinstance(line, str):
                write.rejected[row] = line
                refused += 1
                continue
            size += length
            lines.append(line)
            bulk.owners.append(owner)
            bulk.rows.append(row)
        taken = write.next - first
        self._rows -= taken
        self._bytes -= at - begin
        bulk.writes.append(write)
        bulk.counts.append(taken - refused)
        write.settle(refused)
        return size

    def _drop(self, write: _Write) -> None:
        """Nothing of *write* waits any more: all of it is in bulks, or nobody wants it."""
        self._rows -= len(write.records) - write.next
        self._bytes -= len(write.records.block) - write.begin
        write.next = len(write.records)
        self._waiting.remove(write)


def _unavailable(why: str, outcome: Outcome) -> SinkUnavailable:
    return SinkUnavailable(why, retry_after=outcome.retry_after, blocked=outcome.blocked)
