"""The Kafka sink on hard days of a real cluster: replicas and leaders that fail, full disks, rights and topics that go.

Whatever happens, no record becomes a letter, and what is offered again is stored in the end, each computer in order.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    NewTopic,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

from collector.model import Records
from collector.sinks.base import SinkUnavailable
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.sink import KafkaSink
from collector.sinks.kafka.wanted import missing
from tests.conftest import absent
from tests.contracts.topic_log import make_topic, read_log
from tests.events.made import NOON, made, records
from tests.servers.fixtures import Factory
from tests.servers.fixtures import made as server_made
from tests.servers.kafka import Broker, Kafka, SecureKafka
from tests.sinks.kafka.test_real_broker import batch, opened, until_taken

pytestmark = pytest.mark.slow

ENGINES = ("kafka-python", "librdkafka")
QUICK = {"delivery_timeout": "2s", "request_timeout": "1s"}
COMPUTERS = ("pc01", "pc02", "pc03", "pc04", "pc05", "pc06")


@asynccontextmanager
async def both(bootstrap: str, topics: dict[str, str], **given: Any) -> AsyncIterator[dict[str, KafkaSink]]:
    """A sink over each engine, with a topic of its own: one bad day is enough for both."""
    async with (
        opened(bootstrap, engine="kafka-python", topic=topics["kafka-python"], **given) as first,
        opened(bootstrap, engine="librdkafka", topic=topics["librdkafka"], **given) as second,
    ):
        yield {"kafka-python": first, "librdkafka": second}


async def refusals(sinks: dict[str, KafkaSink], events: Records) -> dict[str, SinkUnavailable]:
    """What each sink raises; it must raise."""

    async def refusal(sink: KafkaSink) -> SinkUnavailable:
        with pytest.raises(SinkUnavailable) as caught:
            await sink.write(events)
        return caught.value

    return dict(zip(sinks, await asyncio.gather(*map(refusal, sinks.values())), strict=True))


async def taken(sinks: dict[str, KafkaSink], events: Records) -> None:
    """Every sink has *events* in the end, as lanes do it, and rejects none of them."""
    rejected = await asyncio.gather(*(until_taken(sink, events) for sink in sinks.values()))
    assert [list(each) for each in rejected] == [[] for _ in sinks]


async def assert_in_order(bootstrap: str, topic: str, events: Sequence[Records]) -> None:
    """Each computer's *events* are a subsequence of the topic, and nothing is there that was not sent."""
    sent = [(one.keys[row][1], one.record(row)) for one in events for row in range(len(one))]
    values = {value for _, value in sent}
    log = await asyncio.to_thread(read_all, bootstrap, topic, values)
    found = {entry.value for entry in log}
    assert (len(values - found), len(found - values)) == (0, 0), told(topic, sent, log)
    for computer in {computer for computer, _ in sent}:
        stored = iter([entry.value for entry in log if entry.key == computer.encode()])
        assert all(any(value == one for one in stored) for key, value in sent if key == computer), (topic, computer)


def told(topic: str, sent: Sequence[tuple[str, bytes]], log: Sequence[Any]) -> str:
    """Which are absent or invented, by their place in what was sent, and what each partition holds: a few lines."""
    places = {value: place for place, (_, value) in enumerate(sent)}
    found = {entry.value for entry in log}
    offsets: dict[int, list[int]] = {}
    for entry in log:
        offsets.setdefault(entry.partition, []).append(entry.offset)
    held = {number: (min(each), max(each), len(each), len(set(each))) for number, each in sorted(offsets.items())}
    gone = sorted(place for value, place in places.items() if value not in found)
    some = f"{len(gone)} of {len(sent)}, {gone[:3]} to {gone[-3:]}"
    strange = len(found - places.keys())
    return f"{topic}: absent {some}; {strange} invented; partition: first, last, read, distinct {held}"


def read_all(bootstrap: str, topic: str, wanted: set[bytes]) -> list[Any]:
    """All of *topic*, and for a while longer when not all of *wanted* is in it: a leader that was elected lately
    shows less than it has until its followers have asked it (the high watermark), and that passes.

    With kafka-python: librdkafka's consumer waits long for a leader that changed lately.
    """
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    try:
        places = [TopicPartition(topic, number) for number in partitions_of(consumer, topic)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        log: list[Any] = []
        for _ in range(60):
            log.extend(message for found in consumer.poll(timeout_ms=500).values() for message in found)
            ends = consumer.end_offsets(places)
            read = all(consumer.position(place) >= ends[place] for place in places)
            if read and wanted.issubset({message.value for message in log}):
                break
        return log
    finally:
        consumer.close()


def partitions_of(consumer: Any, topic: str) -> set[int]:
    """A broker that came back just now may not know of *topic* yet; an empty answer is none."""
    for _ in range(60):
        found: set[int] | None = consumer.partitions_for_topic(topic)
        if found:
            return found
        consumer.poll(timeout_ms=500)
    raise AssertionError(f"no broker tells the partitions of {topic}")


def administer(broker: Kafka, deed: Callable[[KafkaAdminClient], Any]) -> Any:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        return deed(admin)
    finally:
        admin.close()


# Two brokers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Kafka, Broker]]:
    """The first broker is also the controller; the second is the one to lose."""
    with ExitStack() as stack:
        first = stack.enter_context(server_made(Kafka)).start()
        first.wait()
        second = stack.enter_context(first.second()).start()
        second.wait()
        while len(administer(first, lambda admin: admin.describe_cluster()["brokers"])) < 2:
            pass
        yield first, second


def replicated(broker: Kafka, prefix: str, insync: int, replicas: dict[int, list[int]]) -> dict[str, str]:
    """A topic for each engine."""
    topics = {engine: f"{prefix}-{engine}" for engine in ENGINES}
    config = {"min.insync.replicas": str(insync)}
    wanted = [NewTopic(name, replica_assignments=replicas, topic_configs=config) for name in topics.values()]
    administer(broker, lambda admin: admin.create_topics(wanted))
    return topics


async def test_too_few_replicas_are_an_outage(pair: tuple[Kafka, Broker]) -> None:
    """acks=all and min.insync.replicas are the promise; while it cannot be kept nothing is stored, nor condemned."""
    first, second = pair
    topics = await asyncio.to_thread(replicated, first, "few", 2, {0: [1, 2], 1: [1, 2]})
    bootstrap = first.bootstrap
    async with both(bootstrap, topics, **QUICK) as sinks:
        await taken(sinks, batch(0, 10))
        second.kill()
        try:
            await refusals(sinks, batch(10, 20))  # the broker's session ends meanwhile
            found = await refusals(sinks, batch(10, 20))
        finally:
            await asyncio.to_thread(lambda: second.start().wait())
        assert {engine: error.blocked for engine, error in found.items()} == dict.fromkeys(ENGINES, False), found

        await taken(sinks, batch(10, 20))

    for topic in topics.values():
        await assert_in_order(bootstrap, topic, [batch(0, 10), batch(10, 20)])


async def test_a_leader_that_is_lost_costs_nothing(pair: tuple[Kafka, Broker]) -> None:
    """Others lead within seconds: nothing is lost, no computer's story is out of order, whoever sends it."""
    first, second = pair
    topics = await asyncio.to_thread(replicated, first, "lead", 1, {0: [2, 1], 1: [2, 1], 2: [1, 2]})
    waves = [fleet(number, number + 20) for number in range(0, 1200, 20)]
    stop, sent = asyncio.Event(), 0

    async with both(first.bootstrap, topics, delivery_timeout="4s", request_timeout="2s") as sinks:
        await taken(sinks, waves[0])

        async def send() -> int:
            """One wave after the other until the leader is back, and one more."""
            count = 1
            while not stop.is_set() and count < len(waves) - 1:
                await taken(sinks, waves[count])
                await asyncio.sleep(0.2)
                count += 1
            await taken(sinks, waves[count])
            return count + 1

        sending = asyncio.create_task(send())
        await asyncio.to_thread(lose, second, 8.0)
        stop.set()
        sent = await sending

    assert sent > 3
    for topic in topics.values():
        await assert_in_order(first.bootstrap, topic, waves[:sent])


def fleet(first: int, last: int) -> Records:
    """Events of several computers, in turn."""
    rows = range(first, last)
    events = [made(n, NOON + n, computer=COMPUTERS[n % len(COMPUTERS)]) for n in rows]
    return records(events, form="winlogbeat")


def lose(broker: Broker, seconds: float) -> None:
    """Gone for as long as others need to notice and to take over."""
    broker.kill()
    with ExitStack() as back:
        back.callback(lambda: broker.start().wait())
        subprocess.run(["sleep", str(seconds)], check=True)


# A full disk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with room for little."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        absent("only root may mount the small disk that this test fills")
    place = Path("/tmp") / f"wef-small-disk-{os.getpid()}"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        place.rmdir()
        absent("this root may not mount the small disk that this test fills")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


async def test_a_full_disk_is_an_outage(small_disk: Path, ending: ExitStack) -> None:
    """A broker whose disk is full takes itself out; with room made and a restart everything is stored."""
    broker = ending.enter_context(server_made(Kafka, {"log.index.size.max.bytes": "65536"}))
    (small_disk / "data").mkdir()
    (broker.folder / "data").symlink_to(small_disk / "data")
    await asyncio.to_thread(lambda: broker.start().wait())
    topics = {engine: await asyncio.to_thread(make_topic, broker.bootstrap, partitions=1) for engine in ENGINES}
    async with both(broker.bootstrap, topics, **QUICK, compression="none") as sinks:
        await taken(sinks, batch(0, 10))
        ballast = small_disk / "ballast"
        fill(ballast)
        big = records([made(n, NOON + n, message="x" * 50_000) for n in range(10, 60)], form="winlogbeat")
        found = await refusals(sinks, big)
        assert {engine: error.blocked for engine, error in found.items()} == dict.fromkeys(ENGINES, False), found

        assert "No space left on device" in broker.output()

        broker.stop()
        ballast.unlink()
        await asyncio.to_thread(lambda: broker.start().wait())
        await taken(sinks, big)

    for topic in topics.values():
        await assert_in_order(broker.bootstrap, topic, [batch(0, 10), big])


def fill(ballast: Path) -> None:
    """Take all room that is left but for a megabyte."""
    free = os.statvfs(ballast.parent)
    ballast.write_bytes(b"\0" * max(free.f_bavail * free.f_frsize - 2**20, 0))


# Rights ------------------------------------------------------------------------------------------------------------

TOPICS = ResourceType.TOPIC


def allow(broker: Kafka, principal: str, topic: str) -> None:
    rule = ACL(
        principal=principal,
        host="*",
        operation=ACLOperation.WRITE,
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(TOPICS, topic),
    )
    administer(broker, lambda admin: admin.create_acls([rule]))


def forbid(broker: Kafka, principal: str, topic: str) -> None:
    rules = ACLFilter(
        principal=principal,
        host="*",
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ANY,
        resource_pattern=ResourcePatternFilter(TOPICS, topic, ACLResourcePatternType.ANY),
    )
    administer(broker, lambda admin: admin.delete_acls([rules]))


async def test_a_right_that_is_taken_away_blocks_until_it_is_given_back(
    secure_kafka_factory: Factory[SecureKafka],
) -> None:
    """Somebody tidies the ACLs up at noon; until somebody else notices, nothing becomes a letter."""
    broker = secure_kafka_factory()
    topics = {engine: await asyncio.to_thread(make_topic, broker.bootstrap) for engine in ENGINES}
    for topic in topics.values():
        await asyncio.to_thread(allow, broker, "User:wef", topic)
    scram = {
        "security": "sasl_ssl",
        "sasl": "SCRAM-SHA-512",
        "username": broker.user,
        "password": broker.scram_password,
        "ca": str(broker.ca),
    }
    async with both(broker.sasl_ssl, topics, **scram) as sinks:
        await taken(sinks, batch(0, 10))

        for topic in topics.values():
            await asyncio.to_thread(forbid, broker, "User:wef", topic)
        found = await refusals(sinks, batch(10, 20))
        again = await refusals(sinks, batch(10, 20))
        assert all(error.blocked and "uthoriz" in str(error) for error in (*found.values(), *again.values()))

        for topic in topics.values():
            await asyncio.to_thread(allow, broker, "User:wef", topic)
        await taken(sinks, batch(10, 20))

    for topic in topics.values():
        await assert_in_order(broker.bootstrap, topic, [batch(0, 10), batch(10, 20)])


# Topics and quotas -------------------------------------------------------------------------------------------------


async def test_a_topic_that_is_deleted_blocks_until_it_is_made_again(kafka: Kafka) -> None:
    """Both libraries take it for an outage; the sink finds out and names the command that makes topics."""
    topics = {engine: await asyncio.to_thread(make_topic, kafka.bootstrap) for engine in ENGINES}
    async with both(kafka.bootstrap, topics, **QUICK) as sinks:
        await taken(sinks, batch(0, 10))

        await asyncio.to_thread(administer, kafka, lambda admin: admin.delete_topics(list(topics.values())))
        await refusals(sinks, batch(10, 20))
        found = await refusals(sinks, batch(10, 20))
        assert {engine: error.blocked for engine, error in found.items()} == dict.fromkeys(ENGINES, True), found
        assert all("wef setup kafka --apply" in str(error) for error in found.values())

        wanted = [NewTopic(topic, 2, 1) for topic in topics.values()]
        await asyncio.to_thread(administer, kafka, lambda admin: admin.create_topics(wanted))
        await taken(sinks, batch(10, 20))

    for topic in topics.values():
        await assert_in_order(kafka.bootstrap, topic, [batch(10, 20)])


async def test_a_quota_makes_writes_late_and_nothing_worse(kafka_factory: Factory[Kafka]) -> None:
    """The broker holds its answers back for seconds; who takes that for a failure sends everything twice."""
    broker = kafka_factory({"quota.window.num": "3", "quota.window.size.seconds": "1"})
    topics = {engine: await asyncio.to_thread(make_topic, broker.bootstrap, partitions=1) for engine in ENGINES}
    await asyncio.to_thread(limit, broker, "wef-siem", 200_000)
    bulks = [
        records([made(n, NOON + n, message="x" * 4_000) for n in range(first, first + 50)], form="winlogbeat")
        for first in range(0, 200, 50)
    ]
    async with both(broker.bootstrap, topics, compression="none") as sinks:
        for bulk in bulks:
            done = await asyncio.gather(*(sink.write(bulk) for sink in sinks.values()))
            assert [list(each) for each in done] == [[], []]

    for topic in topics.values():
        log = await asyncio.to_thread(read_log, broker.bootstrap, topic)
        assert [one.value for one in log] == [bulk.record(row) for bulk in bulks for row in range(len(bulk))]


def limit(broker: Kafka, client: str, rate: float) -> None:
    """Bytes a second for all producers that call themselves *client*; the admin client has no word for it."""
    entry = AlterClientQuotasRequest.EntryData
    quota = entry(
        entity=[entry.EntityData(entity_type="client-id", entity_name=client)],
        ops=[entry.OpData(key="producer_byte_rate", value=rate, remove=False)],
    )
    request = AlterClientQuotasRequest(entries=[quota], validate_only=False)
    administer(broker, lambda admin: admin._manager.run(admin._manager.send, request))


# Events of the past ---------------------------------------------------------------------------------------------------


async def test_what_comes_late_is_not_deleted_as_soon_as_it_comes(kafka_factory: Factory[Kafka]) -> None:
    """Retention goes by timestamps: in a topic as brokers make it, what a laptop sends after its holidays is gone at
    the broker's next look; in one as ``wef setup`` makes it, it stays.
    """
    week = {"log.retention.ms": "604800000"}
    broker = kafka_factory({**week, "log.retention.check.interval.ms": "300", "log.initial.task.delay.ms": "300"})
    change = missing("late-setup", KafkaSettings(type="kafka", brokers=[broker.bootstrap], topic="late-setup")).change
    assert change is not None
    assert change.body is not None
    plain, ours = NewTopic("late-plain", 1, 1), NewTopic("late-setup", 1, 1, topic_configs=change.body["config"])
    await asyncio.to_thread(administer, broker, lambda admin: admin.create_topics([plain, ours]))

    for turn, topic in enumerate(("late-setup", "late-plain", "late-plain")):
        async with opened(broker.bootstrap, topic=topic) as sink:
            assert list(await sink.write(batch(0, 10))) == []
        if topic == "late-plain":  # twice: between the two the broker has looked at every topic
            await asyncio.to_thread(until_deleted, broker, topic, turn * 10)

    assert len(await asyncio.to_thread(read_log, broker.bootstrap, "late-setup")) == 10


def until_deleted(broker: Kafka, topic: str, first: int) -> None:
    """Wait until the broker has deleted what is before the offset *first* of *topic*."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=None)
    try:
        place = TopicPartition(topic, 0)
        for _ in range(240):
            if consumer.beginning_offsets([place])[place] >= first:
                return
            consumer.poll(timeout_ms=250)
    finally:
        consumer.close()
    raise AssertionError(f"{topic} still begins before {first}")


# Topics that refuse everything -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "given"),
    [({"cleanup.policy": "compact"}, {"key": "none"}), ({"max.message.bytes": "300"}, {})],
    ids=["compacted", "tiny"],
)
async def test_a_topic_that_refuses_every_record_blocks(
    kafka: Kafka, config: dict[str, str], given: dict[str, str]
) -> None:
    """It is the operator's mistake: a night of letters would hide it, and the records can wait."""
    made_with: dict[str, Any] = {name.replace(".", "_"): value for name, value in config.items()}
    topics = {engine: await asyncio.to_thread(make_topic, kafka.bootstrap, **made_with) for engine in ENGINES}
    async with both(kafka.bootstrap, topics, **given) as sinks:
        found = await refusals(sinks, batch(0, 30))

    assert all(error.blocked and "refuses every record" in str(error) for error in found.values())
    for topic in topics.values():
        assert await asyncio.to_thread(read_log, kafka.bootstrap, topic) == []
