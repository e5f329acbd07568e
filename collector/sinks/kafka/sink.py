"""The sink that hands records to Kafka: looks topics up, delivers, and settles what brokers refuse.

At least once, and per key in order (``settle``). It knows the promise of engines and no client library; a write
that is given up goes on until the engine has answered, so what is under way stays bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from collector.clock import Clock
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable, Surroundings
from collector.sinks.datasets import datasets
from collector.sinks.kafka.engine import Engine, Failure, Message, Verdict
from collector.sinks.kafka.known import KnownTopics
from collector.sinks.kafka.messages import Prepared, Spelling
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.settle import deliver_tails, isolate
from collector.sinks.kafka.standing import Standings
from collector.sinks.kafka.topics import TopicTemplate
from collector.sinks.kafka.window import Turnstile, Window

SEARCH: Final = 1.0
"""Seconds for which the search for poison keeps all others waiting, before it lets those in who came meanwhile."""


class KafkaSink:
    """Messages that *spelling* makes, through *engine*, once *topics* knows where they go.

    *patience*: seconds after which a write offers nothing again that was not stored.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        spelling: Spelling,
        topics: KnownTopics,
        clock: Clock,
        *,
        patience: float = 60.0,
    ) -> None:
        self.format = spelling.format
        self._name, self._engine, self._clock = name, engine, clock
        self._spelling, self._topics = spelling, topics
        self._standings, self._patience = Standings(name, clock), patience
        self._window, self._turnstile = Window(), Turnstile()
        self._under_way: set[asyncio.Task[Sequence[Rejection]]] = set()
        self._open = False

    @classmethod
    def build(cls, name: str, settings: KafkaSettings, surroundings: Surroundings) -> KafkaSink:
        dataset = datasets(settings.datasets)
        spelling = Spelling(
            TopicTemplate(settings.topic, dataset),
            dataset,
            format=settings.format,
            key=settings.key,
            limit=settings.max_message_size,
            truncate=settings.oversized == "truncate",
        )
        engine = _engine(name, settings)
        topics = KnownTopics(name, engine, surroundings.clock, letters=settings.missing_topic == "letter")
        return cls(name, engine, spelling, topics, surroundings.clock, patience=2 * settings.delivery_timeout)

    async def open(self) -> None:
        if not self._open:
            await self._engine.open()
            self._open = True

    async def write(self, records: Records) -> Sequence[Rejection]:
        if not self._open:
            raise SinkUnavailable(f"sink {self._name}: it is closed")
        await self._window.enter(len(records), len(records.block))
        answer: asyncio.Future[Sequence[Rejection]] = asyncio.get_running_loop().create_future()
        # What the engine has cannot be taken back, only waited for: a task of its own outlives whoever gives up.
        task = asyncio.create_task(self._write(records))
        self._under_way.add(task)
        task.add_done_callback(partial(self._end, records, answer))
        return await answer

    async def close(self) -> None:
        if self._open:
            self._open = False
            await self._engine.close()
            if self._under_way:
                await asyncio.wait(self._under_way)

    def _end(
        self,
        records: Records,
        answer: asyncio.Future[Sequence[Rejection]],
        task: asyncio.Task[Sequence[Rejection]],
    ) -> None:
        """Free the room of *records*, and tell whoever still waits how it ended. One callback: each costs."""
        self._window.leave(len(records), len(records.block))
        self._under_way.discard(task)
        error = None if task.cancelled() else task.exception()  # asked always, or asyncio complains that nobody did
        if answer.done():
            return
        if task.cancelled():
            answer.cancel()
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())

    async def _write(self, records: Records) -> Sequence[Rejection]:
        prepared = self._spelling.prepare(records, self._clock.now().timestamp())
        missing = await self._topics.missing(prepared.topics)
        if missing:
            prepared = prepared.without(missing)
        if not prepared.messages:
            return prepared.rejections
        guilty = await self._deliver(prepared)
        if not guilty and not prepared.rejections:
            return ()
        refused = [Rejection(prepared.rows[row], reason) for row, reason in guilty.items()]
        return sorted([*prepared.rejections, *refused], key=lambda rejection: rejection.row)

    async def _deliver(self, prepared: Prepared) -> dict[int, str]:
        """Everything is stored when it returns, but for the messages it names, each with a reason."""
        until = self._clock.monotonic() + self._patience
        async with self._turnstile.together():
            doubtful = await deliver_tails(
                prepared.messages, partial(self._attempt, of=prepared), late=lambda: self._clock.monotonic() > until
            )
        return await self._search(prepared, doubtful) if doubtful else {}

    async def _search(self, prepared: Prepared, doubtful: Sequence[int]) -> dict[int, str]:
        """Who is guilty of the *doubtful*. Each question is asked while nobody else sends; between two, others may."""
        until = float("-inf")
        topics = {prepared.messages[row].topic for row in doubtful}
        doubted = {topic for topic in topics if not self._standings.trusted(topic)}

        async def ask(messages: Sequence[Message]) -> Sequence[Failure]:
            nonlocal until
            if self._clock.monotonic() >= until:
                await turn.aclose()
                await turn.enter_async_context(self._turnstile.alone())
                until = self._clock.monotonic() + SEARCH
            failures = await self._attempt(messages)
            if failures and len(messages) == 1 and failures[0].verdict is Verdict.REFUSED:
                topic = messages[0].topic
                if topic in doubted:
                    self._standings.refused(topic, failures[0].reason)
            return failures

        async with AsyncExitStack() as turn:
            return await isolate(prepared.messages, doubtful, ask)

    async def _attempt(self, messages: Sequence[Message], of: Prepared | None = None) -> Sequence[Failure]:
        failures = await self._engine.deliver(messages)
        if not failures and of is not None and len(messages) == len(of.messages):
            taken = of.topics  # nearly always; looking at each message costs
        else:
            failed = {failure.row for failure in failures}
            taken = frozenset(message.topic for row, message in enumerate(messages) if row not in failed)
        for failure in failures:
            if failure.verdict is not Verdict.REFUSED:
                self._topics.forget(messages[failure.row].topic)  # it may have gone, or be ours no more
        for topic in taken:
            self._standings.taken(topic)
        return failures


def _engine(name: str, settings: KafkaSettings) -> Engine:
    # Loaded here and not above: a client library costs 20 MB and a tenth of a second, which nobody who does not
    # use it shall pay.
    if settings.engine_name == "librdkafka":
        from collector.sinks.kafka.librdkafka_engine import LibrdkafkaEngine

        return LibrdkafkaEngine(name, settings)
    from collector.sinks.kafka.python_engine import PythonEngine

    return PythonEngine(name, settings)
