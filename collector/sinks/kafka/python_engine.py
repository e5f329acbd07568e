"""The engine that sends with kafka-python, in a thread of its own that is watched and replaced.

The library blocks, and now and then it never answers again (dependencies.md 11.2). So nothing of it runs on the
loop: deliveries go through a queue to a thread, answers come back by ``call_soon_threadsafe``, and a delivery
whose deadline passes costs its thread and its producer their place.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from collector import telemetry
from collector.sinks.kafka.engine import Failure, Message, TopicTrouble, Verdict
from collector.sinks.kafka.python_producer import LOOK_UP_MS, client_id, look_up_topics, make_producer
from collector.sinks.kafka.python_thread import CLOSING, Delivery, ProducerThread
from collector.sinks.kafka.python_verdicts import WHISPERS, distrusted, remedy, words_of
from collector.sinks.kafka.settings import KafkaSettings

MARGIN: Final = 15.0
"""Seconds beyond the delivery time-out: reaching the cluster (5 s), asking for partitions (2 s), the queue before."""
_LOOKING: Final = 2 * LOOK_UP_MS / 1000 + 2.0
"""Seconds until a look-up is given up: its own two limits, and some."""


class PythonEngine:
    """implements Engine. *margin*: seconds that a delivery may take beyond its time-out before all is replaced.

    *make*: what makes a producer, instead of ``make_producer``.
    """

    def __init__(
        self,
        name: str,
        settings: KafkaSettings,
        margin: float = MARGIN,
        make: Callable[[], KafkaProducer] | None = None,
    ) -> None:
        self._make = make or functools.partial(make_producer, name, settings)
        self._name, self._settings = name, settings
        self._deadline = settings.delivery_timeout + margin
        self._thread: ProducerThread | None = None
        self._looking = asyncio.Lock()

    async def open(self) -> None:
        WHISPERS.listen()
        if self._thread is None:
            self._thread = self._begun()

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure]:
        if not messages:
            return ()
        thread = self._thread
        if thread is None:
            return [Failure(row, Verdict.LATER, "the sink is closed") for row in range(len(messages))]
        if not thread.alive:
            thread = self._replaced(thread)
        delivery = Delivery(messages)
        thread.take(delivery)
        done, _ = await asyncio.wait([delivery.answer], timeout=self._deadline)
        if done:
            return delivery.answer.result()
        self._replaced(thread)
        return delivery.undecided(f"no answer within {self._deadline:g} s")

    async def look_up(self, topics: Collection[str]) -> Sequence[TopicTrouble]:
        async with self._looking:  # one at a time, so that threads do not pile up while nobody answers
            if self._thread is None:
                return [TopicTrouble(topic, Verdict.LATER, "the sink is closed") for topic in topics]
            begun, thread = time.monotonic(), f"{client_id(self._name)}-look-up"
            answer = in_thread(thread, lambda: look_up_topics(self._name, self._settings, topics))
            try:
                async with asyncio.timeout(_LOOKING):
                    return [replace(one, reason=one.reason + remedy(one.reason, self._name)) for one in await answer]
            except (KafkaError, OSError) as error:  # OSError: TimeoutError is one
                said = WHISPERS.since(begun, {thread}) or words_of(error)
                if self._settings.sasl is not None and WHISPERS.hung_up(begun, {thread}):
                    said = f"the brokers hang up during authentication (SASL {self._settings.sasl})"
                verdict = Verdict.BLOCKED if distrusted(said) else Verdict.LATER
                return [TopicTrouble(topic, verdict, self._named(said)) for topic in topics]

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.end, 2 * CLOSING)

    def _begun(self) -> ProducerThread:
        return ProducerThread(client_id(self._name), self._make, self._named)

    def _replaced(self, thread: ProducerThread) -> ProducerThread:
        """A new thread in the place of *thread*, unless somebody was quicker."""
        if self._thread is thread:
            telemetry.kafka_producer_replaced(self._name, "kafka-python")
            thread.abandon()
            self._thread = self._begun()
        return self._thread or thread

    def _named(self, text: str) -> str:
        return f"{', '.join(self._settings.brokers[:3])}: {text}{remedy(text, self._name)}"


def in_thread(name: str, work: Callable[[], Sequence[TopicTrouble]]) -> asyncio.Future[Sequence[TopicTrouble]]:
    """What *work* answers or raises of ``KafkaError`` and ``OSError``, from a thread that nobody waits for at exit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[TopicTrouble]] = loop.create_future()

    def run() -> None:
        result: Sequence[TopicTrouble] | BaseException
        try:
            result = work()
        except (KafkaError, OSError, ValueError, RuntimeError) as error:
            result = error if isinstance(error, KafkaError | OSError) else OSError(str(error))
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, answer, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer


def _settle(answer: asyncio.Future[Sequence[TopicTrouble]], result: Sequence[TopicTrouble] | BaseException) -> None:
    if answer.done():
        return
    if isinstance(result, BaseException):
        answer.set_exception(result)
    else:
        answer.set_result(result)
