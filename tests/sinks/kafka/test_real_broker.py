"""The Kafka sink and kafka-python against a real broker: what is stored, and what outages and refusals do."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from collector.clock import SystemClock
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable, Surroundings
from collector.sinks.kafka.sink import KafkaSink
from tests.events.made import NOON, made, records
from tests.servers.fixtures import Factory
from tests.servers.kafka import Kafka, SecureKafka
from tests.sinks.kafka.test_settings import settings

pytestmark = pytest.mark.slow

QUICK = {"delivery_timeout": "2s", "request_timeout": "1s"}
LASTING = {"delivery_timeout": "20s", "request_timeout": "10s"}


@pytest.fixture
def topic() -> str:
    """A topic of the test's own; it is not there yet."""
    return f"wef-{uuid.uuid4().hex[:12]}"


def make_topic(broker: Kafka, name: str, **configuration: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        admin.create_topics([NewTopic(name, 2, 1, topic_configs=configuration)])
    finally:
        admin.close()


def read(broker: Kafka, topic: str) -> Iterator[Any]:
    """Everything in the topic, partition by partition."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", group_id=None)
    try:
        partitions = [TopicPartition(topic, number) for number in range(2)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for found in consumer.poll(timeout_ms=500).values():
                yield from found
    finally:
        consumer.close()


def stored(broker: Kafka, topic: str) -> list[bytes]:
    return [message.value for message in read(broker, topic)]


@asynccontextmanager
async def opened(bootstrap: str, **given: Any) -> AsyncIterator[KafkaSink]:
    chosen = settings(**{"brokers": [bootstrap], "engine": "kafka-python", **given})
    sink = KafkaSink.build("siem", chosen, Surroundings(Path(), SystemClock()))
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


async def until_taken(sink: KafkaSink, batch: Records) -> list[Rejection]:
    """As a lane does it: again until the sink has it."""
    for _ in range(60):
        try:
            return list(await sink.write(batch))
        except SinkUnavailable:
            await asyncio.sleep(0)
    raise AssertionError("the sink never came back")


def batch(first: int, last: int, **parts: Any) -> Records:
    return records([made(number, NOON + number, **parts) for number in range(first, last)], form="winlogbeat")


async def test_what_consumers_read_is_what_was_written(kafka: Kafka, topic: str) -> None:
    """Key, value, headers and time, byte for byte, and one computer in one partition."""
    await asyncio.to_thread(make_topic, kafka, topic)
    events = batch(0, 50, computer="PC7.corp.example")

    async with opened(kafka.bootstrap, topic=topic) as sink:
        assert list(await sink.write(events)) == []

    found = await asyncio.to_thread(lambda: list(read(kafka, topic)))
    assert [message.value for message in found] == [events.record(row) for row in range(50)]
    assert {message.key for message in found} == {b"pc7.corp.example"}
    assert {message.timestamp for message in found} == {NOON // 1_000_000}
    assert [dict(message.headers)["event-id"].decode() for message in found] == list(events.ids)


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4"])
async def test_every_compression_can_be_read(kafka: Kafka, topic: str, compression: str) -> None:
    """A codec that is not installed would fail at the first event."""
    await asyncio.to_thread(make_topic, kafka, topic)

    async with opened(kafka.bootstrap, topic=topic, compression=compression) as sink:
        await sink.write(batch(0, 5))

    assert len(await asyncio.to_thread(stored, kafka, topic)) == 5


async def test_a_missing_topic_blocks_until_somebody_makes_it(kafka: Kafka, topic: str) -> None:
    """Brokers have auto-create off; the sink says at once what is missing, and goes on when it is there."""
    async with opened(kafka.bootstrap, topic=topic) as sink:
        with pytest.raises(SinkUnavailable, match=f"{topic}: there is no such topic") as caught:
            await sink.write(batch(0, 3))
        assert caught.value.blocked

        await asyncio.to_thread(make_topic, kafka, topic)
        assert await until_taken(sink, batch(0, 3)) == []

    assert len(await asyncio.to_thread(stored, kafka, topic)) == 3


async def test_only_the_record_that_brokers_refuse_is_rejected(kafka: Kafka, topic: str) -> None:
    """Too large for the topic, in the middle of what everybody else sends at the same time."""
    await asyncio.to_thread(make_topic, kafka, topic, **{"max.message.bytes": "20000"})
    big = made(13, NOON + 13, message=os.urandom(30_000).hex())
    events = [made(number, NOON + number) for number in range(30)]
    events[13] = big

    async with opened(kafka.bootstrap, topic=topic) as sink:
        found = await asyncio.gather(
            sink.write(records(events, form="winlogbeat")),
            *(sink.write(batch(number, number + 10)) for number in range(100, 200, 10)),
        )

    assert [[rejection.row for rejection in rejections] for rejections in found] == [[13], *[[]] * 10]
    assert "MessageSizeTooLarge" in found[0][0].reason
    values = await asyncio.to_thread(stored, kafka, topic)
    wanted = [records([e], form="winlogbeat").record(0) for e in events if e is not big]
    reader = iter(values)
    assert all(any(value == one for value in reader) for one in wanted)


async def test_a_broker_that_stops_and_goes_on_costs_nothing(kafka_factory: Factory[Kafka], topic: str) -> None:
    """Longer than the delivery time-out: reported as an outage, repeated, in order."""
    broker = kafka_factory()
    await asyncio.to_thread(make_topic, broker, topic)
    async with opened(broker.bootstrap, topic=topic, **QUICK) as sink:
        await until_taken(sink, batch(0, 10))
        broker.stall()
        with pytest.raises(SinkUnavailable) as caught:
            await sink.write(batch(10, 20))
        assert not caught.value.blocked

        broker.resume()
        assert await until_taken(sink, batch(10, 20)) == []

    values = iter(await asyncio.to_thread(stored, broker, topic))
    assert all(any(value == batch(0, 20).record(row) for value in values) for row in range(20))


async def test_a_broker_that_is_killed_and_comes_back_costs_nothing(kafka_factory: Factory[Kafka], topic: str) -> None:
    """Down at the start too: a sink does not need its broker to be opened."""
    broker = kafka_factory()
    await asyncio.to_thread(make_topic, broker, topic)
    broker.kill()
    async with opened(broker.bootstrap, topic=topic, **QUICK) as sink:
        with pytest.raises(SinkUnavailable):
            await sink.write(batch(0, 10))
        await asyncio.to_thread(lambda: broker.start().wait())
        assert await until_taken(sink, batch(0, 10)) == []

        broker.kill()
        with pytest.raises(SinkUnavailable):
            await sink.write(batch(10, 20))
        await asyncio.to_thread(lambda: broker.start().wait())
        assert await until_taken(sink, batch(10, 20)) == []

    values = iter(await asyncio.to_thread(stored, broker, topic))
    assert all(any(value == batch(0, 20).record(row) for value in values) for row in range(20))


async def test_guarded_brokers_say_who_has_to_act(secure_kafka_factory: Factory[SecureKafka], topic: str) -> None:
    """A wrong password, an authority that nobody knows and a missing right are no outages."""
    broker = secure_kafka_factory()
    await asyncio.to_thread(make_topic, broker, topic)
    scram = {"security": "sasl_ssl", "sasl": "SCRAM-SHA-512", "username": broker.user, "topic": topic, **LASTING}
    troubles = {
        "password of sinks.siem": (broker.sasl_ssl, scram | {"password": "wrong", "ca": str(broker.ca)}),
        "ca, certificate and private_key": (
            broker.sasl_ssl,
            scram | {"password": broker.scram_password, "ca": str(broker.stranger_ca)},
        ),
        "Authoriz": (broker.sasl_ssl, scram | {"password": broker.scram_password, "ca": str(broker.ca)}),
    }
    for words, (bootstrap, given) in troubles.items():
        async with opened(bootstrap, **given) as sink:
            with pytest.raises(SinkUnavailable, match=words) as caught:
                await sink.write(batch(0, 2))
            assert caught.value.blocked, words
