"""Engines without a network: one that follows a script, and a model of a broker that fails whole batches."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence

from collector.clock import ManualClock
from collector.sinks.datasets import datasets
from collector.sinks.kafka.engine import Engine, Failure, Message, TopicTrouble, Verdict
from collector.sinks.kafka.known import KnownTopics
from collector.sinks.kafka.messages import Spelling
from collector.sinks.kafka.sink import KafkaSink
from collector.sinks.kafka.topics import TopicTemplate

Step = Callable[[Sequence[Message]], Sequence[Failure]]


def failing(verdict: Verdict, *rows: int, reason: str = "scripted") -> Step:
    """A step that fails *rows*, or all messages when there are none."""
    return lambda messages: [Failure(row, verdict, reason) for row in rows or range(len(messages))]


class ScriptedEngine(Engine):
    """Each delivery takes the next step of the script; when it is over everything is stored.

    *log*: what is stored, in order. *asked*: what was delivered, call by call. *looked*: topics, look-up by
    look-up. *troubles*: what look-ups answer. *gate*: deliveries wait for it.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.log: list[Message] = []
        self.asked: list[list[Message]] = []
        self.looked: list[set[str]] = []
        self.troubles: dict[str, TopicTrouble] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure]:
        self.asked.append(list(messages))
        step = self.steps.pop(0) if self.steps else None
        await asyncio.sleep(0)  # a broker is far away
        await self.gate.wait()
        failures = step(messages) if step is not None else ()
        failed = {failure.row for failure in failures}
        self.log.extend(message for row, message in enumerate(messages) if row not in failed)
        return failures

    async def look_up(self, topics: Collection[str]) -> Sequence[TopicTrouble]:
        self.looked.append(set(topics))
        for _ in range(5):  # a cluster is far away
            await asyncio.sleep(0)
        return [self.troubles[topic] for topic in topics if topic in self.troubles]

    async def close(self) -> None:
        self.closed += 1
        self.gate.set()


class ModelBroker(ScriptedEngine):
    """What real brokers and both client libraries do to batches (servers.md 7.1), decided by *seed*.

    Deliveries that are under way together share batches. A batch with a message in *poison* fails: all of it
    with one reason, all with the culprit's own reason set apart, or the culprit only. Other batches fail for now, at
    most *outages* times; some of them are stored all the same. *manner*: one way in which all batches with poison
    fail, and all batches are as large as can be.
    """

    def __init__(self, seed: int, poison: Collection[bytes], outages: int, manner: str = "") -> None:
        super().__init__()
        self.manner = manner
        self.random = random.Random(seed)
        self.poison = frozenset(poison)
        self.outages = outages
        self._waiting: list[tuple[Sequence[Message], asyncio.Future[Sequence[Failure]]]] = []

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure]:
        self.asked.append(list(messages))
        answer: asyncio.Future[Sequence[Failure]] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, answer))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._serve)
        return await answer

    def _serve(self) -> None:
        waiting, self._waiting = self._waiting, []
        entries = [
            (call, row, message) for call, (messages, _) in enumerate(waiting) for row, message in enumerate(messages)
        ]
        fates: list[list[Failure]] = [[] for _ in waiting]
        for partition in range(2):
            mine = [entry for entry in entries if sum(entry[2].key or b"") % 2 == partition]
            while mine:
                size = len(mine) if self.manner else self.random.randint(1, len(mine))
                self._batch(mine[:size], fates)
                mine = mine[size:]
        for (_, answer), failures in zip(waiting, fates, strict=True):
            answer.set_result(sorted(failures, key=lambda failure: failure.row))

    def _batch(self, batch: Sequence[tuple[int, int, Message]], fates: list[list[Failure]]) -> None:
        guilty = [entry for entry in batch if entry[2].value in self.poison]
        if not guilty:
            failed = self.outages > 0 and self.random.random() < 0.3
            if failed:
                self.outages -= 1
                for call, row, _ in batch:
                    fates[call].append(Failure(row, Verdict.LATER, "away"))
            if not failed or self.random.random() < 0.5:
                self.log.extend(message for _, _, message in batch)
            return
        manner = self.manner or self.random.choice(["together", "apart", "alone"])
        for call, row, message in batch:
            culprit = message.value in self.poison
            if culprit or manner != "alone":
                reason = "mate" if manner == "apart" and not culprit else "poison"
                fates[call].append(Failure(row, Verdict.REFUSED, reason))
            else:
                self.log.append(message)


def in_order(messages: Sequence[Message], log: Sequence[Message]) -> bool:
    """Whether *messages* are a subsequence of *log*."""
    reader = iter(log)
    return all(any(stored == message for stored in reader) for message in messages)


def sink_over(engine: ScriptedEngine, *, letters: bool = False, clock: ManualClock | None = None) -> KafkaSink:
    """A sink named siem that sends winlogbeat documents through *engine*, by dataset."""
    dataset, clock = datasets(), clock or ManualClock()
    template = TopicTemplate("windows-{dataset}", dataset)
    spelling = Spelling(template, dataset, format="winlogbeat", key="computer", limit=10**6, truncate=True)
    return KafkaSink("siem", engine, spelling, KnownTopics("siem", engine, clock, letters=letters), clock)
