"""The engine for librdkafka (package confluent-kafka): the promise of ``engine`` at about a quarter of the CPU.

The library has threads of its own, and none of them is Python's: ``produce`` only copies into its queue and
``poll(0)`` only hands out what is decided, so both belong to the event loop, in slices. A Python thread
around ``poll`` would be wrong: it takes the interpreter for each message, and waits up to 5 ms for it each time
while the loop is busy (measured with nine headers: 1,600 records/s that way, 120,000/s this way).
Only what waits, look-ups and the end of a producer, has a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from collector import telemetry
from collector.errors import OperatorError
from collector.sinks.kafka.engine import Failure, Message, TopicTrouble, Verdict
from collector.sinks.kafka.librdkafka_producer import Build, LibrdkafkaProducer
from collector.sinks.kafka.librdkafka_verdicts import SILENT, error_in, verdict_of, words_of
from collector.sinks.kafka.settings import KafkaSettings

SLICE: Final = 1_000
"""Messages handed over in one turn of the loop, before it serves others: three to five milliseconds."""
POLL_SECONDS: Final = 0.005
"""Between polls while anything is under way: a quarter of the linger, so nobody notices; 0.1 % of a core."""
IDLE_SECONDS: Final = 1.0
"""Between polls while nothing is: the library's log and complaints are taken all the same."""
MARGIN: Final = 5.0
"""Seconds after the delivery time-out in which the library must have said so; it looks once a second."""
CLOSE_SECONDS: Final = 3.0
"""What ``close`` leaves for the messages under way, and again for the library's threads to end."""
CLOSED: Final = (Verdict.LATER, "the engine is not open")


class _Delivery:
    """One call of ``deliver``: what was handed to the library, and what came back.

    All rows share one callback, which counts: one for each row would be an object for each. So a row is looked
    for when it fails, and who gives up knows that rows are undecided and not which.
    """

    __slots__ = ("_failed", "_left", "_producer", "_rows", "_said", "begun", "done", "messages", "sent", "since")

    def __init__(self, messages: Sequence[Message], loop: asyncio.AbstractEventLoop) -> None:
        self.messages = messages
        self.done: asyncio.Future[None] = loop.create_future()
        self.since = loop.time()
        self.begun = self.since  # when the first row was handed over
        self.sent = 0  # rows handed over
        self._left = len(messages)
        self._failed: dict[int, Failure] = {}
        self._rows: dict[tuple[str | None, bytes, bytes], list[int]] = {}
        self._producer: LibrdkafkaProducer | None = None
        self._said: dict[int, tuple[Verdict, str]] = {}  # an outage fails thousands of rows for one reason

    def hand_over(self, producer: LibrdkafkaProducer, most: int, now: float) -> None:
        """Give up to *most* rows to *producer*. Raises ``BufferError``: it holds all it may, the rest comes later."""
        if not self.sent:
            self.begun, self._producer = now, producer
        produce, report, sent = producer.produce, self._report, self.sent
        try:
            for topic, key, value, headers, stamp in self.messages[sent : sent + most]:
                try:
                    produce(topic, value, key, on_delivery=report, timestamp=stamp, headers=headers)
                except KafkaException as raised:  # the library itself refuses it
                    self._fail([sent], error_in(raised))
                sent += 1
        finally:
            self.sent = sent

    def _report(self, error: KafkaError | None, message: Any) -> None:
        """Called by the library, once for each row: it is stored (*error* is None), or why not. A hot path."""
        if error is not None:
            self._fail(self._rows_of(message), error)
            return
        self._left -= 1
        if not self._left:
            self._finish()

    def _rows_of(self, message: Any) -> Sequence[int]:
        """Which row *message* is. Those that are alike to the last byte fail together: more cannot be said."""
        if not self._rows:
            for row, (topic, key, value, *_) in enumerate(self.messages):
                self._rows.setdefault((topic, key or b"", value), []).append(row)
        one = message.topic(), message.key() or b"", message.value() or b""
        return self._rows.get(one) or range(len(self.messages))  # never so far; then all are doubtful

    def _fail(self, rows: Sequence[int], error: KafkaError) -> None:
        if self.done.done():
            return  # it was given up meanwhile
        code = error.code()
        if code not in self._said:
            self._said[code] = self._words(error)
        verdict, reason = self._said[code]
        for row in rows:
            self._failed.setdefault(row, Failure(row, verdict, reason))
        self._left -= 1
        if not self._left:
            self._finish()

    def _words(self, error: KafkaError) -> tuple[Verdict, str]:
        if error.code() not in SILENT or self._producer is None:
            return verdict_of(error), words_of(error)
        verdict, why = self._producer.trouble
        return verdict, f"no broker confirmed it in time ({why or words_of(error)})"

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    @property
    def owed(self) -> bool:
        """Whether the library has not said what became of a row that it was given."""
        return self.sent > len(self.messages) - self._left

    @property
    def stored(self) -> bool:
        """Whether any row is, for certain."""
        return len(self._failed) < len(self.messages)

    @property
    def failures(self) -> list[Failure]:
        """In the order of the rows."""
        return [self._failed[row] for row in sorted(self._failed)]

    def give_up(self, reason: str, verdict: Verdict = Verdict.LATER) -> None:
        """End now: nobody knows what became of the rows that have not failed."""
        if not self.done.done():
            for row in range(len(self.messages)):
                self._failed.setdefault(row, Failure(row, verdict, reason))
            self.done.set_result(None)


class LibrdkafkaEngine:
    """Keeps the promise of ``Engine`` with librdkafka. *build* makes the library's producer from its configuration.

    Belongs to the event loop in which ``open`` was called. ``open`` raises ``OperatorError`` for settings that the
    library refuses. *margin*: seconds beyond the delivery time-out after which a silent producer is replaced.
    """

    def __init__(self, name: str, settings: KafkaSettings, *, build: Build = Producer, margin: float = MARGIN) -> None:
        self._name = name
        self._settings = settings
        self._build = build
        self._patience = settings.delivery_timeout + margin
        self._producer: LibrdkafkaProducer | None = None
        self._waiting: deque[_Delivery] = deque()  # not handed over entirely, in the order of the calls
        self._under_way: dict[_Delivery, None] = {}  # in the order of the calls, so also of their deadlines
        self._room = SLICE  # messages that may still be handed over in this turn of the loop
        self._feeding: asyncio.Handle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._opened = self._closing = False

    async def open(self) -> None:
        if not self._opened:
            self._producer = self._made()
            self._opened = True
            self._tick()

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure]:
        if not messages:
            return []
        trouble = self._readied()
        if trouble is not None:
            verdict, reason = trouble
            return [Failure(row, verdict, reason) for row in range(len(messages))]
        delivery = _Delivery(messages, asyncio.get_running_loop())
        self._under_way[delivery] = None
        self._waiting.append(delivery)
        self._feed()  # at once: what was made just now is still in the processor's cache
        self._tick_within(POLL_SECONDS)
        try:
            await delivery.done
        finally:
            self._under_way.pop(delivery, None)
        if delivery.stored and self._producer is not None:
            self._producer.forget_trouble()
        return delivery.failures

    async def look_up(self, topics: Collection[str]) -> Sequence[TopicTrouble]:
        trouble = self._readied()
        if self._producer is None or trouble is not None:
            verdict, reason = trouble or CLOSED
            return [TopicTrouble(topic, verdict, reason) for topic in topics]
        asking = self._producer
        asking.poll()  # what was said of connections since
        found = await asyncio.to_thread(asking.topics, list(topics))
        asking.poll()
        return [asking.explained(one) for one in found]

    async def close(self) -> None:
        if not self._opened or self._closing:
            return
        self._closing = True
        try:
            if self._under_way:
                await asyncio.wait([delivery.done for delivery in self._under_way], timeout=CLOSE_SECONDS)
        finally:
            producer, self._producer = self._producer, None
            self._drop("the engine was closed before a broker confirmed")
            if self._ticking is not None:
                self._ticking.cancel()
                self._ticking = None
            self._opened = self._closing = False
            if producer is not None:
                await _ended(producer)

    def _made(self) -> LibrdkafkaProducer:
        return LibrdkafkaProducer(self._name, self._settings, self._build)

    def _readied(self) -> tuple[Verdict, str] | None:
        """Why nothing can be asked of a producer. One that could not be replaced before is tried again."""
        if not self._opened or self._closing:
            return CLOSED
        if self._producer is None:
            try:
                self._producer = self._made()
            except OperatorError as error:  # a certificate that was taken away meanwhile
                return Verdict.BLOCKED, str(error)
        return None

    # Handing over --------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Hand over in the order of the calls, so that keys keep theirs. A full library is asked again at a tick."""
        if self._feeding is None:
            self._feeding = asyncio.get_running_loop().call_soon(self._next_turn)
        producer, now = self._producer, asyncio.get_running_loop().time()
        while producer is not None and self._waiting and self._room > 0:
            delivery = self._waiting[0]
            before = delivery.sent
            if not delivery.done.done():
                try:
                    delivery.hand_over(producer, self._room, now)
                except BufferError:
                    return
            self._room -= delivery.sent - before
            if delivery.done.done() or delivery.sent == len(delivery.messages):
                self._waiting.popleft()

    def _next_turn(self) -> None:
        """There is room again; what found none in the last turn comes first."""
        self._feeding, full = None, self._room > 0
        self._room = SLICE
        if self._waiting and not full:  # else the library has no room either
            self._feed()

    # What came back ------------------------------------------------------------------------------------------------

    def _tick_within(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._ticking is not None:
            if self._ticking.when() <= loop.time() + seconds:
                return
            self._ticking.cancel()
        self._ticking = loop.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        if self._producer is not None:
            self._producer.poll()
            if self._producer.fatal is not None:
                self._replace(*self._producer.fatal)
        self._watch()
        if self._waiting:
            self._feed()
        self._tick_within(POLL_SECONDS if self._under_way else IDLE_SECONDS)

    def _watch(self) -> None:
        """End each call whose time is over. The library has the same clock: one that is silent is replaced."""
        late = asyncio.get_running_loop().time() - self._patience
        for delivery in list(self._under_way):
            if delivery.since > late:
                return
            if delivery.begun <= late and delivery.owed:
                self._replace(Verdict.LATER, f"librdkafka gave no answer within {self._patience:g} s")
                return
            delivery.give_up(f"librdkafka had no room for it within {self._patience:g} s")

    def _replace(self, verdict: Verdict, reason: str) -> None:
        """End a producer that is of no use. The sink offers again what it held; the next call makes a new one."""
        telemetry.kafka_producer_replaced(self._name, "librdkafka")
        useless, self._producer = self._producer, None
        self._drop(reason, verdict)
        if useless is not None:
            useless.end(_nobody_waits)

    def _drop(self, reason: str, verdict: Verdict = Verdict.LATER) -> None:
        self._waiting.clear()
        for delivery in list(self._under_way):
            delivery.give_up(reason, verdict)


def _nobody_waits() -> None:
    """For a producer that is abandoned: its thread may take as long as it likes."""


async def _ended(producer: LibrdkafkaProducer) -> None:
    """When the library's threads are gone; after CLOSE_SECONDS at the latest, they go by themselves then."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()

    def ended() -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be gone before
            loop.call_soon_threadsafe(gone.set)

    producer.end(ended)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(gone.wait(), CLOSE_SECONDS)
