"""A lane: one sink, its queue, its patience and its spool. It keeps the promise of a share.

It confirms a share when the sink has its records or, if the sink is down or slower than its
patience, when they are synced in the spool. While anything waits in the spool, what comes
goes behind it. It confirms nothing else, and loses nothing that it has confirmed. It knows
the promise of ``sinks.base`` and no sink.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from collector import telemetry
from collector.clock import Clock, timestamp
from collector.config.settings import SinkSettings
from collector.errors import Backpressure
from collector.model import Records
from collector.routing.backoff import Backoff
from collector.routing.letters import letters_of
from collector.routing.match import Taking
from collector.routing.packing import footprint
from collector.routing.replay import write_in_time
from collector.routing.share import Held, Share
from collector.routing.spool import Spool, Spooled, SpoolFull
from collector.routing.window import MOST_BYTES, Window, wave
from collector.sinks.base import Rejection, Sink, SinkUnavailable
from collector.store.base import LaneState, Letter

Result = TypeVar("Result")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between attempts at a sink that is down: a restart is noticed soon, a long outage costs two a minute."""
BLOCKED_PAUSE = 5.0
"""Seconds, at least, while only a person can help: soon enough to see that somebody did."""
MOST_OBEYED = 300.0
"""Seconds that a far end may ask us to wait (Retry-After): more would be an outage of our own making."""
SHARES_AT_ONCE = 200
"""Spooled shares read at a time; with MOST_BYTES the same bound as the window's."""
GRACE = 5.0
"""Seconds that spooling and closing may take when the deadline of ``drain`` is already over."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes of shares in memory above which the spool gets them (*queued*), and above which they are refused
    (*held*): one window being written and one waiting; the same again on its way to the spool's disk."""

    queued: int = 2 * MOST_BYTES
    held: int = 4 * MOST_BYTES


class Lane:
    """Carries shares to *sink*. *letters* makes letters durable; ``open`` before, ``drain`` after use."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        settings: SinkSettings,
        spool: Spool,
        letters: Callable[[Sequence[Letter]], Awaitable[None]],
        clock: Clock,
        taking: Taking,
    ) -> None:
        self.name = name
        self.taking = taking
        self.required = settings.required
        self.bounds = Bounds()
        self.format = sink.format
        self.drop_fields = tuple(settings.drop_fields)
        self._sink = sink
        self._type = settings.type
        self._patience = settings.patience
        self._spool = spool
        self._letters = letters
        self._clock = clock
        self._window = Window()
        self._queue: deque[Held] = deque()  # accepted, no write begun; empty while spooling
        self._unanswered: dict[Held, None] = {}  # in the order of their offers
        self._held_bytes = 0
        self._deliveries: dict[asyncio.Task[None], Held] = {}
        self._recovery: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._spooling = False
        self._appending = 0
        self._stopping = asyncio.Event()
        self._stopped = self._full = self._draining = self._failing = self._blocked = False
        self._retry_after = 0.0
        self._working = True  # whether the sink did when it was last asked
        self._delivered = self._rejected = 0
        self._trouble = self._last_error = ""

    # What others call ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Make the sink ready, and begin with what the spool still holds. Raises what ``Sink.open`` raises."""
        await self._sink.open()
        if self._spool.shares:
            self._spooling = self._failing = True
            self._recovery = asyncio.create_task(self._recover(), name=f"lane-{self.name}")

    def refusal(self, records: Records) -> Backpressure | None:
        """Why *records* would be refused if they were offered now; None: they would not."""
        size = footprint(records)
        if self._stopping.is_set():
            return Backpressure("shutdown", f"sink {self.name} is being stopped")
        if self._held_bytes and self._held_bytes + size > self.bounds.held:
            return Backpressure("busy", f"sink {self.name} and its spool are slower than what arrives")
        if (self._spooling or self._held_bytes + size > self.bounds.queued) and not self._spool.fits(records):
            return SpoolFull(self._spool.path, self._spool.limit)
        return None

    def offer(self, share: Share) -> bool:
        """Take *share* and answer its receipt later; False: refused (or, without a receipt, dropped) at once."""
        refusal = self.refusal(share.records)
        if refusal is not None:
            self._refuse(share, refusal)
            return False
        held = Held(share, asyncio.get_running_loop().time())
        self._held_bytes += held.size
        self._unanswered[held] = None
        if self._spooling:
            self._append(held)
        elif self._held_bytes > self.bounds.queued:
            self._begin_spooling("it is slower than what arrives")
        else:
            self._queue.append(held)
            self._start_writes()
            self._arm()
        return True

    async def take_again(self, records: Records) -> Sequence[Rejection]:
        """Offer the *records* of letters to the sink itself, past queue and spool: whoever asks wants an answer.

        Raises ``SinkUnavailable``; nothing is kept then, the letters are still there.
        """
        if self._spooling or self._stopping.is_set():
            raise SinkUnavailable(self._trouble or f"sink {self.name} is being stopped")
        rejections = await self._survive(write_in_time(self._sink, records, self._patience))
        if rejections is None:
            raise SinkUnavailable(self._trouble)
        self._blocked, self._retry_after = False, 0.0
        self._delivered += len(records) - len(rejections)
        telemetry.sink_delivered(self.name, len(records) - len(rejections))
        return rejections

    async def drain(self, deadline: float) -> None:
        """Take nothing more, finish what was begun within *deadline* seconds, spool what is left, let go of all."""
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline
        self._stopping.set()
        await self._finish(until)
        for held in list(self._unanswered):
            if held.appending is None:
                self._append(held)
        await self._finish(loop.time() + GRACE, appends_only=True)
        for held in list(self._unanswered):
            self._answer(held, Backpressure("shutdown", f"sink {self.name} was stopped before it had the records"))
        await self._cancel()
        try:
            await self._survive(self._let_go(max(until - loop.time(), GRACE)))  # what it had confirmed is safe
        finally:
            self._stopped = True
            await self._spool.close()

    @property
    def owes(self) -> bool:
        """Whether the sink has not yet everything that the lane took."""
        return bool(self._unanswered or self._deliveries or self._spooling)

    def measure(self) -> LaneState:
        """How the lane stands; also sets its gauges."""
        queued = sum(len(held.share.records) for held in self._unanswered)
        state = self._state()
        telemetry.lane_measured(self.name, queued, self._spool.bytes, state == "delivering", self._blocked)
        return LaneState(
            self.name,
            self._type,
            state,
            queued,
            self._spool.bytes,
            self._spool.oldest_received,
            self._delivered,
            self._rejected,
            self._last_error,
        )

    def _state(self) -> str:
        if self._stopped:
            return "stopped"
        if not self._spooling:
            return "delivering"
        if self._full:
            return "full"
        if self._blocked:
            return "blocked"
        return "draining" if self._draining else "spooling"

    # Straight to the sink ------------------------------------------------------------------------------------------

    def _start_writes(self) -> None:
        while self._queue and self._window.admits(self._queue[0].share.records):
            held = self._queue.popleft()
            held.writing = True
            self._window.enter(held.share.records)
            task = asyncio.create_task(self._deliver(held))
            self._deliveries[task] = held
            task.add_done_callback(self._deliveries.pop)

    async def _deliver(self, held: Held) -> None:
        """Write one share. However late it succeeds, its spooled copy is then not needed."""
        safe = await self._survive(self._write(held.share.records))
        held.writing = False
        self._window.leave(held.share.records)
        if held not in self._unanswered:
            self._held_bytes -= held.size
        if safe:
            self._answer(held)
            if held.appending is not None:
                await self._survive(self._unspool(held.appending))
            elif not self._spooling:
                self._recovered(0)
        else:
            self._working = False
            self._begin_spooling(self._trouble)
        self._start_writes()

    async def _unspool(self, appending: asyncio.Future[int]) -> None:
        await asyncio.wait([appending])
        if not appending.cancelled() and appending.exception() is None:
            await self._spool.remove([appending.result()])

    async def _write(self, records: Records) -> bool:
        """True when the sink has the records, and letters have what it rejects."""
        rejections = await self._sink.write(records)
        if rejections:
            await self._letters(letters_of(self.name, records, rejections))
            self._rejected += len(rejections)
            telemetry.sink_rejected(self.name, len(rejections), rejections[0].reason)
        self._working = True
        self._blocked, self._retry_after = False, 0.0
        self._delivered += len(records) - len(rejections)
        telemetry.sink_delivered(self.name, len(records) - len(rejections))
        return True

    async def _survive(self, step: Awaitable[Result]) -> Result | None:
        """What *step* returns; None when it had trouble. Nothing that a sink does ends a lane."""
        try:
            return await step
        except SinkUnavailable as error:
            self._note(str(error))
            self._heed(error)
        except Backpressure as error:
            self._note(str(error))
        except asyncio.CancelledError as error:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr] # a coroutine runs in a task
                raise
            self._wonder(error)  # something inside the sink was cancelled, not the lane
        except Exception as error:  # noqa: BLE001 - the lane's loop: every record is kept and offered again
            self._wonder(error)
        return None

    def _wonder(self, error: BaseException) -> None:
        telemetry.lane_failed(self.name, error)
        self._note(f"{type(error).__name__}: {error}")

    def _heed(self, error: SinkUnavailable) -> None:
        """Remember how long the far end wants to be left alone, and raise the alarm when only a person can help."""
        self._retry_after = min(error.retry_after, MOST_OBEYED)
        if error.blocked and not self._blocked:
            telemetry.sink_blocked(self.name, str(error))
        self._blocked = error.blocked

    def _note(self, trouble: str) -> None:
        self._trouble = trouble[:300]
        self._last_error = f"{timestamp(self._clock.now())} {self._trouble}"

    # Patience ------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """One timer for the share that has waited longest, not one for each."""
        if self._timer is None:
            first = next((held for held in self._unanswered if held.appending is None), None)
            if first is not None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_at(first.since + self._patience, self._lose_patience)

    def _lose_patience(self) -> None:
        self._timer = None
        oldest = asyncio.get_running_loop().time() - self._patience
        late = [held for held in self._unanswered if held.appending is None and held.since <= oldest]
        if late:
            self._working = False
            self._note(f"no answer within {self._patience:g} s")
            self._begin_spooling(self._trouble)
        for held in late:
            if held.appending is None:
                self._answer(held, SpoolFull(self._spool.path, self._spool.limit))
        self._arm()

    # Into the spool ------------------------------------------------------------------------------------------------

    def _begin_spooling(self, reason: str) -> None:
        """From now on everything goes through the spool, in the order of the offers, until it is empty again."""
        self._spooling = True
        if not self._failing:
            self._failing = True
            telemetry.sink_unavailable(self.name, reason)
        self._queue.clear()
        for held in list(self._unanswered):
            if held.appending is None:
                self._append(held)
        if self._recovery is None and not self._stopping.is_set():
            self._recovery = asyncio.create_task(self._recover(), name=f"lane-{self.name}")

    def _append(self, held: Held) -> None:
        try:
            held.appending = self._spool.append(held.share.records)
        except SpoolFull as refusal:
            if not held.writing:  # else the sink may still have it in time
                self._answer(held, refusal)
            return
        self._appending += 1
        held.appending.add_done_callback(functools.partial(self._appended, held))

    def _appended(self, held: Held, future: asyncio.Future[int]) -> None:
        self._appending -= 1
        error = None if future.cancelled() else future.exception()
        if error is None:
            self._full = False
            self._answer(held)
        else:
            self._note(str(error))
            self._answer(held, error if isinstance(error, Backpressure) else Backpressure("state", str(error)))

    def _answer(self, held: Held, refusal: Backpressure | None = None) -> None:
        """Confirm or refuse, once: the first answer stands."""
        if held not in self._unanswered:
            return
        del self._unanswered[held]
        if not held.writing:
            self._held_bytes -= held.size
        if refusal is not None:
            self._refuse(held.share, refusal)
        elif held.share.receipt is not None:
            held.share.receipt.confirm(self.name)

    def _refuse(self, share: Share, refusal: Backpressure) -> None:
        self._full = self._full or isinstance(refusal, SpoolFull)
        if share.receipt is not None:
            share.receipt.refuse(self.name, refusal)
        else:
            telemetry.sink_dropped(self.name, len(share.records))

    # Out of the spool ----------------------------------------------------------------------------------------------

    async def _recover(self) -> None:
        """Lives while the lane spools: offers the oldest shares again until none is left."""
        backoff = Backoff(min(self._patience, FIRST_PAUSE), LONGEST_PAUSE, random.random)
        most, total = 1, 0  # one share asks whether the sink is back; all others follow it
        while not self._stopping.is_set():
            if self._deliveries:  # their fate first: they are older than what is offered next
                await asyncio.wait(self._deliveries)
            if not self._working:
                most = 1
                await self._pause(self._rest(backoff))
            drained = await self._survive(self._drain_some(most))
            self._draining = bool(drained)
            if drained is None:
                self._working = False
            elif drained:
                most, total = SHARES_AT_ONCE, total + drained
                backoff.reset()
                self._full = False
            elif not self._appending and not self._deliveries:
                break
        self._recovery = None
        self._spooling = self._spool.shares > 0  # only when stopping
        if self._working and not self._spooling:  # a sink that does not work is asked by the next share
            self._recovered(total)

    async def _drain_some(self, most: int) -> int:
        """Write the first shares of the spool and remove them; how many there were. Raises at the first trouble."""
        spooled = await self._spool.oldest(most, MOST_BYTES)
        admitted = spooled[: len(wave(share.records for share in spooled))]
        outcomes = await asyncio.gather(*(self._survive(self._deliver_spooled(share)) for share in admitted))
        if not all(outcomes):
            raise SinkUnavailable(self._trouble, retry_after=self._retry_after, blocked=self._blocked)
        return len(outcomes)

    async def _deliver_spooled(self, share: Spooled) -> bool:
        """Write one and remove it at once: when a stop interrupts the others, this one is not repeated."""
        await self._write(share.records)
        await self._spool.remove([share.position])
        return True

    def _recovered(self, drained: int) -> None:
        if self._failing:
            self._failing = False
            telemetry.sink_recovered(self.name, drained)

    def _rest(self, backoff: Backoff) -> float:
        """Seconds until the sink may be asked again."""
        return max(backoff.pause(), self._retry_after, BLOCKED_PAUSE if self._blocked else 0)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not into the shutdown."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([stopping], timeout=seconds)
        stopping.cancel()

    # The end -------------------------------------------------------------------------------------------------------

    async def _finish(self, until: float, *, appends_only: bool = False) -> None:
        """Wait, at most *until*, for what is under way."""
        loop = asyncio.get_running_loop()
        while (left := until - loop.time()) > 0:
            waiting: set[asyncio.Future[Any]] = {held.appending for held in self._unanswered if held.appending}
            if not appends_only:
                waiting.update(task for task in self._tasks() if not task.done())
            if not waiting:
                return
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def _let_go(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self._sink.close()

    async def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        tasks = self._tasks()
        for task in tasks:
            held = self._deliveries.get(task)
            if held is None or held.writing:  # else the sink has it, and its spooled copy is just being removed
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*self._deliveries, *([self._recovery] if self._recovery is not None else [])]
