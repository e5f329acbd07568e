"""The thread that owns a kafka-python producer, and what it is asked to deliver.

It makes the producer when it is first needed, and again when the library cannot use it any more. It knows no
sink and no supervision: whoever waits decides when it took too long.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from collector.sinks.kafka.engine import Failure, Message, Verdict
from collector.sinks.kafka.python_producer import abandon_producer, end_producer
from collector.sinks.kafka.python_verdicts import WHISPERS, distrusted, verdict_of, words_of

CLOSING: Final = 3.0
"""Seconds that the last messages get when the sink closes; the lane spools what was not confirmed."""
_UNANSWERED: Final = 1_024
"""Topics whose silence is remembered."""


class Delivery:
    """Messages of one call, and how each fared. Made on the loop, decided in threads, answered on the loop."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.since = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Sequence[Failure]] = self._loop.create_future()
        self._fates: list[Any] = []  # for each message the library's future, or the error that sending it met
        self._left = 0
        self._lock = threading.Lock()

    def sent(self, fates: Sequence[Any], explain: Callable[[Delivery, BaseException], Failure]) -> None:
        """*fates* of all messages, in order: the library's futures, or what was raised instead of one."""
        self._explain = explain
        self._fates = list(fates)
        last: dict[object, Any] = {}  # a key's messages are decided in their order: its last one tells of all
        for row, fate in enumerate(fates):
            if not isinstance(fate, BaseException):
                message = self.messages[row]
                last[row if message.key is None else (message.topic, message.key)] = fate
        self._watch(list(last.values()))

    def undecided(self, reason: str) -> list[Failure]:
        """Failures of all that nobody has answered for yet."""
        fates = self._fates or [None] * len(self.messages)
        return [Failure(row, Verdict.LATER, reason) for row, fate in enumerate(fates) if not _stored(fate)]

    def fail(self, failures: Sequence[Failure]) -> None:
        """Answer *failures* at once; nothing was sent."""
        self._reply(failures)

    def _watch(self, futures: Sequence[Any]) -> None:
        if not futures:
            self._reply(self._failures())
            return
        self._left = len(futures)
        for future in futures:
            future.add_both(self._decided)

    def _decided(self, _result: object) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        # nearly always none: but that order is the library's habit, not its promise
        self._watch([fate for fate in self._fates if not isinstance(fate, BaseException) and not fate.is_done])

    def _failures(self) -> list[Failure]:
        found: list[Failure] = []
        explained: dict[int, Failure] = {}  # a producer's batch fails with one error, which is explained once
        for row, fate in enumerate(self._fates):
            error = fate if isinstance(fate, BaseException) else fate.exception
            if error is not None:
                known = explained.get(id(error)) or explained.setdefault(id(error), self._explain(self, error))
                found.append(Failure(row, known.verdict, known.reason))
        return found

    def _reply(self, failures: Sequence[Failure]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_set, self.answer, failures)


class ProducerThread:
    """Sends deliveries in the order in which they are taken.

    *make* blocks and may raise; *named* says of a trouble whose it is.
    """

    def __init__(self, name: str, make: Callable[[], KafkaProducer], named: Callable[[str], str]) -> None:
        self._make, self._named = make, named
        self._deliveries: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()  # None: end
        self._producer: KafkaProducer | None = None
        self._abandoned = threading.Event()
        self._distrusted = threading.Event()
        self._failed_at, self._failure = 0.0, Failure(0, Verdict.LATER, "")
        self._unanswered: dict[str, tuple[float, KafkaTimeoutError]] = {}
        self._thread = threading.Thread(target=self._work, name=f"{name}-producer", daemon=True)
        self._threads = frozenset({self._thread.name, f"{name}-network-thread"})  # whose log records are ours
        self._thread.start()

    # What others call, from the loop --------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def take(self, delivery: Delivery) -> None:
        self._deliveries.put(delivery)

    def end(self, seconds: float) -> None:
        """Send what was taken, and end. Blocks for *seconds* at most; what was not sent then is let fall."""
        self._deliveries.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.abandon()

    def abandon(self) -> None:
        """Take nothing more and let everything fall, without waiting for it."""
        self._abandoned.set()
        self._deliveries.put(None)
        producer = self._producer
        if producer is not None:
            abandon_producer(producer)

    # In the thread --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (delivery := self._deliveries.get()) is not None:
            self._deliver(delivery)
        producer, self._producer = self._producer, None
        if producer is not None and not self._abandoned.is_set():
            end_producer(producer, CLOSING)

    def _deliver(self, delivery: Delivery) -> None:
        producer = self._ready(delivery)
        if producer is None:
            rows = range(len(delivery.messages))
            delivery.fail([Failure(row, self._failure.verdict, self._failure.reason) for row in rows])
            return
        delivery.sent([self._send(producer, message, delivery.since) for message in delivery.messages], self._explained)

    def _send(self, producer: KafkaProducer, message: Message, since: float) -> Any:
        """The library's future of *message*, or the error that comes in its place."""
        topic, key, value, headers, at = message
        if self._unanswered:
            when, error = self._unanswered.get(topic, (0.0, None))
            if when > since:
                return error
        try:
            return producer.send(topic, value=value, key=key, headers=headers, timestamp_ms=at)
        except KafkaTimeoutError as error:  # it has waited for the topic's partitions: nobody shall wait again
            if len(self._unanswered) >= _UNANSWERED:
                self._unanswered.clear()
            self._unanswered[topic] = time.monotonic(), error
            return error
        except (KafkaError, TypeError, ValueError, AssertionError) as error:
            return error

    def _ready(self, delivery: Delivery) -> KafkaProducer | None:
        """The producer; None when none can be made. Who was waiting while that failed gets the same answer."""
        if self._distrusted.is_set() and self._producer is not None:
            abandon_producer(self._producer)  # the library never asks again where it was refused once
            self._producer = None
        self._distrusted.clear()
        if self._producer is None and self._failed_at <= delivery.since and not self._abandoned.is_set():
            self._begin()
        if self._abandoned.is_set():
            self._failure = Failure(0, Verdict.LATER, self._named("the producer was replaced"))
            return None
        return self._producer

    def _begin(self) -> None:
        begun = time.monotonic()
        try:
            self._producer = self._make()
        except (KafkaError, OSError, ValueError) as error:
            self._failed_at = time.monotonic()
            self._failure = self._told(begun, error)
            return
        if self._abandoned.is_set():  # it was told to while there was no producer yet
            abandon_producer(self._producer)

    # In the thread or the library's ----------------------------------------------------------------------------------

    def _explained(self, delivery: Delivery, error: BaseException) -> Failure:
        return self._told(delivery.since, error)

    def _told(self, since: float, error: BaseException) -> Failure:
        """The failure that *error* means; what only looks like time running out is told as the log has it."""
        verdict, reason = verdict_of(error), words_of(error)
        if verdict is Verdict.LATER:
            reason = WHISPERS.since(since, self._threads) or reason
            if distrusted(reason):
                verdict = Verdict.BLOCKED
                self._distrusted.set()
        return Failure(0, verdict, reason if verdict is Verdict.REFUSED else self._named(reason))


def _stored(fate: Any) -> bool:
    return fate is not None and not isinstance(fate, BaseException) and bool(fate.succeeded())


def _set(answer: asyncio.Future[Sequence[Failure]], failures: Sequence[Failure]) -> None:
    if not answer.done():  # whoever waited has given up
        answer.set_result(failures)
