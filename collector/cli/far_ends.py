"""The demo's other side: real servers that somebody else runs, set up before it and read back after it.

Each end counts what it finds itself, by the name that this run's documents carry, and never asks the
collector. It knows the sinks' settings and the names that they make; it knows no lane and no fleet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from collector.cli.setup import applied
from collector.clock import Clock, SystemClock
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.sinks.datasets import datasets
from collector.sinks.elasticsearch.clients import connect
from collector.sinks.elasticsearch.cluster import Answer, Cluster
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.setup import ElasticsearchSetup
from collector.sinks.elasticsearch.streams import Streams
from collector.sinks.findings import Setup
from collector.sinks.kafka.python_producer import connection_settings
from collector.sinks.kafka.python_verdicts import WHISPERS, words_of
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.setup import KafkaSetup
from collector.sinks.kafka.topics import TopicTemplate
from collector.sinks.kafka.wanted import Subscribed

UNREACHABLE = 69
MILLISECONDS_TO_REACH = 5000
"""It answered setup just now; a broker on this machine or in this building needs a fraction of it."""
SECONDS_TO_READ = 120.0
"""Between two records that arrive while a topic is read back. Above it the broker is taken for dead."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Events found by place (topic or data stream), each counted once, and how many records said one again."""

    places: Counter[str] = field(default_factory=Counter)
    again: int = 0

    @property
    def events(self) -> int:
        return self.places.total()


class FarEnd(Protocol):
    """A server beside the demo."""

    name: str

    async def make_ready(self) -> Sequence[str]:
        """Reach it, set it up, remember where it stands. What setup could not mend, as sentences.

        Raises ``OperatorError``, with a sentence: 69 nobody answers, 77 it does not let us, 78 wrong product.
        """

    async def find(self, collector: str) -> Discovery:
        """The events that came since ``make_ready`` through the collector of this name. Raises as above."""

    def next_lines(self) -> Sequence[str]:
        """What to type to look at them."""


def far_ends(settings: CollectorSettings, subscription: str, channels: Collection[str]) -> Sequence[FarEnd]:
    """The far ends of these settings' sinks, for events of *channels* that come through *subscription*."""
    ends: list[FarEnd] = []
    for sink in settings.sinks.values():
        if isinstance(sink, KafkaSettings):
            ends.append(KafkaEnd(sink, subscription, channels))
        elif isinstance(sink, ElasticsearchSettings):
            ends.append(ElasticsearchEnd(sink, subscription, channels))
    return ends


class KafkaEnd:
    """A cluster, and the topics that *channels* go to."""

    name = "kafka"

    def __init__(
        self, settings: KafkaSettings, subscription: str, channels: Collection[str], clock: Clock | None = None
    ) -> None:
        self._settings, self._subscription, self._channels = settings, subscription, channels
        self._clock = clock or SystemClock()
        template = TopicTemplate(settings.topic, datasets(settings.datasets))
        self._topics = sorted(
            {template.topic(channel=name, subscription=subscription, computer="", source="") for name in channels}
        )
        self._begin: dict[TopicPartition, int] = {}

    async def make_ready(self) -> Sequence[str]:
        subscribed = Subscribed(self._subscription, sorted(self._channels))
        left = await _set_up(self.name, KafkaSetup(self.name, self._settings, [subscribed]))
        self._begin = await asyncio.to_thread(self._ends)
        return left

    async def find(self, collector: str) -> Discovery:
        return await asyncio.to_thread(self._read, collector)

    def next_lines(self) -> Sequence[str]:
        broker = self._settings.brokers[0]
        return (
            f"kafka-console-consumer.sh --bootstrap-server {broker} --topic {self._topics[0]} --from-beginning"
            " --max-messages 1 --property print.key=true --property print.headers=true",
        )

    @contextlib.contextmanager
    def _consumer(self) -> Iterator[Any]:
        """A consumer of no group. Whatever goes wrong with brokers meanwhile is told as one sentence."""
        WHISPERS.listen()  # the library's log would otherwise be told to the terminal
        brokers = ", ".join(self._settings.brokers)
        try:
            consumer = KafkaConsumer(
                **connection_settings(self.name, self._settings),
                bootstrap_timeout_ms=MILLISECONDS_TO_REACH,
                group_id=None,
                enable_auto_commit=False,
            )
            try:
                yield consumer
            finally:
                consumer.close()
        except KafkaError as error:
            raise OperatorError(f"kafka: {brokers}: {words_of(error)}.", exit_code=UNREACHABLE) from error

    def _ends(self) -> dict[TopicPartition, int]:
        with self._consumer() as consumer:
            return self._ends_of(consumer)

    def _ends_of(self, consumer: Any) -> dict[TopicPartition, int]:
        """Where each partition of the topics ends; one that is not there has none."""
        ends: dict[TopicPartition, int] = consumer.end_offsets(
            [
                TopicPartition(topic, number)
                for topic in self._topics
                for number in consumer.partitions_for_topic(topic) or ()
            ]
        )
        return ends

    def _read(self, collector: str) -> Discovery:
        """Every record between then and now, as the brokers have it."""
        seen: dict[bytes, str] = {}
        again = 0
        with self._consumer() as consumer:
            for record in self._records(consumer):
                event_id = dict(record.headers).get("event-id")
                if event_id is None or not _collected_by(record.value, collector):
                    continue
                again += event_id in seen
                seen[event_id] = record.topic
        return Discovery(Counter(seen.values()), again)

    def _records(self, consumer: Any) -> Iterator[Any]:
        ends = self._ends_of(consumer)
        left = {place: end for place, end in ends.items() if end > self._begin.get(place, 0)}
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, self._begin.get(place, 0))
        deadline = self._clock.monotonic() + SECONDS_TO_READ
        while left:
            for records in consumer.poll(timeout_ms=500).values():
                yield from records
                deadline = self._clock.monotonic() + SECONDS_TO_READ
            left = {place: end for place, end in left.items() if consumer.position(place) < end}
            if left and self._clock.monotonic() > deadline:
                raise OperatorError(
                    f"kafka: {len(left)} partitions were not read to their end within {SECONDS_TO_READ:g} s.",
                    exit_code=UNREACHABLE,
                )


class ElasticsearchEnd:
    """A cluster, and the data streams that *channels* go to."""

    name = "elasticsearch"

    def __init__(self, settings: ElasticsearchSettings, subscription: str, channels: Collection[str]) -> None:
        self._settings = settings
        target = Streams(settings.data_stream, settings.namespace, settings.namespaces, settings.datasets).of(
            subscription
        )
        self._streams = sorted({target(name).stream for name in channels})

    async def make_ready(self) -> Sequence[str]:
        return await _set_up(self.name, ElasticsearchSetup.of(self.name, self._settings))

    async def find(self, collector: str) -> Discovery:
        """Documents are created with the event's id, so that none is there twice."""
        places: Counter[str] = Counter()
        cluster = Cluster(connect(self._settings), self.name)
        try:
            for stream in self._streams:
                places[stream] = await _count(cluster, stream, collector)
        finally:
            await cluster.close()
        return Discovery(+places)

    def next_lines(self) -> Sequence[str]:
        host = self._settings.hosts[0].rstrip("/")
        return (f"curl '{host}/{self._streams[0]}/_search?size=1&sort=@timestamp:desc&pretty'",)


async def _set_up(name: str, setup: Setup) -> Sequence[str]:
    """``wef setup NAME --apply``; what is left to a person, as sentences."""
    try:
        found = [one.finding for one in await applied(setup)]
    finally:
        await setup.close()
    return [
        f"{name}: {one.object} {one.name} is {one.state}{f': {one.difference}' if one.difference else ''}"
        for one in found
        if one.state in ("missing", "different")
    ]


async def _count(cluster: Cluster, stream: str, collector: str) -> int:
    """What a search would find now. A stream to which nothing came is not there, which is no error."""
    _good(stream, await cluster.ask("POST", f"/{stream}/_refresh?ignore_unavailable=true"))
    query = {"query": {"term": {"wef.collector": collector}}}
    answer = _good(stream, await cluster.ask("POST", f"/{stream}/_count?ignore_unavailable=true", query))
    number = answer.table.get("count")
    return number if isinstance(number, int) else 0


def _good(stream: str, answer: Answer) -> Answer:
    if not answer.good:
        raise OperatorError(f"elasticsearch: {stream} cannot be counted ({answer.reason}).", exit_code=UNREACHABLE)
    return answer


def _collected_by(value: bytes | None, collector: str) -> bool:
    """Whether a record is a document that *collector* made; others may write to the same topic."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return False
    wef = document.get("wef") if isinstance(document, dict) else None
    return isinstance(wef, dict) and wef.get("collector") == collector
