"""How much of a bare loop the Kafka lane keeps: same library, same settings, same bytes, same broker, in turns.

``python -m tests.bench kafka [--brokers HOST:PORT] [--records N] [--rounds N]``; without ``--brokers`` the real broker
of tests/servers is started. The bare loop hands over messages that were made before and waits for every answer; the
lane takes batches from the router, each with a receipt. CPU is the client's own, all threads of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from collector.cli.serve import seldom_look_for_cycles
from collector.clock import SystemClock
from collector.formats import spell
from collector.model import Batch, Caller, SubscriptionRef
from collector.normalize import Harvest, harvest
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.receipt import Receipt
from collector.routing.router import Router
from collector.routing.spool import Spool
from collector.simulate.generator import Machine, fleet_names
from collector.sinks.base import Surroundings
from collector.sinks.kafka.engine import Failure, Message, TopicTrouble
from collector.sinks.kafka.known import KnownTopics
from collector.sinks.kafka.librdkafka_producer import configuration
from collector.sinks.kafka.python_producer import make_producer
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.sink import KafkaSink
from tests.bench.measure import Run, measured, measured_here
from tests.contracts.memory_store import MemoryStore
from tests.contracts.topic_log import make_topic
from tests.servers.kafka import Kafka

BATCH = 100
"""Events of one message, as Windows sends them under load."""
MACHINES = 100
AT_ONCE = 200
"""Batches under way: what a lane has at most."""
GOAL = 0.80
SHARE = 3
"""A run of kafka-python takes a third of the records, so that runs last about as long."""
_runs = itertools.count()


def batches(count: int) -> list[Batch]:
    """*count* batches, each of a machine of its own."""
    now = datetime.now(UTC)  # noqa: TID251 - brokers refuse what is too far from their own clock
    subscription = SubscriptionRef("8f4cf5b0-4b3a-5c0e-9a58-0d1ce5a5f7a1", "everything", "A" * 36, "1")
    found = []
    for name, role in fleet_names(count):
        machine = Machine(name, role, seed=1)
        events = [machine.happening(now - timedelta(milliseconds=BATCH - n)).write(n) for n in range(BATCH)]
        caller = Caller(f"{name}$@CORP.EXAMPLE".lower(), name, f"{name}$@CORP.EXAMPLE", "kerberos", "10.0.0.1")
        found.append(Batch(caller, subscription, now, events, "bench"))
    return found


def harvests() -> list[Harvest]:
    """One batch of each machine of a fleet, with its documents already spelled: that is not the lane's work."""
    found = [harvest(batch) for batch in batches(MACHINES)]
    for one in found:
        spell(one, "winlogbeat")
    return found


class Kept:
    """An engine that keeps what a sink hands over: the messages for the bare loop."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def open(self) -> None:
        return None

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure]:
        self.messages.extend(messages)
        return ()

    async def look_up(self, _topics: object) -> Sequence[TopicTrouble]:
        return ()

    async def close(self) -> None:
        return None


async def messages_of(settings: KafkaSettings, several: Sequence[Harvest], folder: Path) -> list[Message]:
    """What the sink makes of *several*."""
    kept, clock = Kept(), SystemClock()
    spelling = KafkaSink.build("bench", settings, Surroundings(folder, clock))._spelling
    sink = KafkaSink("bench", kept, spelling, KnownTopics("bench", kept, clock, letters=False), clock)
    await sink.open()
    for one in several:
        await sink.write(spell(one, sink.format))
    await sink.close()
    return kept.messages


def repeated(items: Sequence[Any], count: int) -> Iterator[Any]:
    return itertools.islice(itertools.cycle(items), count)


def bare_librdkafka(settings: KafkaSettings, messages: Sequence[Message], count: int) -> Run:
    producer = Producer({**configuration("bench", settings), "queue.buffering.max.kbytes": 2**18})
    answered = 0

    def report(error: object, _message: object) -> None:
        nonlocal answered
        assert error is None, error
        answered += 1

    def work() -> None:
        for topic, key, value, headers, stamp in repeated(messages, count):
            while True:
                try:
                    producer.produce(topic, value, key, on_delivery=report, timestamp=stamp, headers=headers)
                    break
                except BufferError:
                    producer.poll(0.01)
        while answered < count:
            producer.poll(0.05)

    producer.list_topics(messages[0].topic, timeout=10)
    run = measured(count, work)
    producer.close()
    return run


def bare_python(settings: KafkaSettings, messages: Sequence[Message], count: int) -> Run:
    producer = make_producer("bench", settings)

    def work() -> None:
        futures = [
            producer.send(topic, value=value, key=key, headers=headers, timestamp_ms=stamp)
            for topic, key, value, headers, stamp in repeated(messages, count)
        ]
        for future in futures:
            future.get(timeout=60)

    producer.partitions_for(messages[0].topic)
    run = measured(count, work)
    producer.close(5)
    return run


async def lane(settings: KafkaSettings, several: Sequence[Harvest], count: int, folder: Path) -> Run:
    """The same events through router, lane and sink, every batch with its receipt."""
    name = f"lane{next(_runs)}"
    sink = KafkaSink.build(name, settings, Surroundings(folder, SystemClock()))
    spool = Spool.open(folder / f"{name}.sqlite", 2**30)
    one = Lane(name, sink, settings, spool, MemoryStore().save_letters, SystemClock(), Taking.compile({}))
    router = Router([one])
    await one.open()
    await _carried(router, several[0])  # connections and metadata, as the bare loop has them
    room = asyncio.Semaphore(AT_ONCE)

    async def carry(reaped: Harvest) -> None:
        async with room:
            await _carried(router, reaped)

    async def work() -> None:
        await asyncio.gather(*map(carry, repeated(several, count // BATCH)))

    run = await measured_here(count, work)
    state = one.measure()
    assert (state.delivered, state.rejected, state.spool_bytes) == (count + BATCH, 0, 0), state
    await one.drain(10)
    return run


def lane_run(settings: KafkaSettings, several: Sequence[Harvest], count: int, folder: Path) -> Run:
    return asyncio.run(lane(settings, several, count, folder))


async def _carried(router: Router, reaped: Harvest) -> None:
    receipt = Receipt()
    router.carry(reaped, receipt)
    await receipt.settled()


def compare(brokers: str, count: int, rounds: int) -> float:
    """Prints a table; the worse ratio of the medians."""
    several = harvests()
    seldom_look_for_cycles()  # as ``wef serve`` does; the bare loop has it as well
    ways: dict[str, Callable[[], Run]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for engine, bare, number in (
            ("librdkafka", bare_librdkafka, count),
            ("kafka-python", bare_python, count // SHARE // BATCH * BATCH),
        ):
            settings = KafkaSettings.model_validate(
                {"brokers": [brokers], "topic": make_topic(brokers), "engine": engine, "patience": "60s"}
            )
            messages = asyncio.run(messages_of(settings, several, folder))
            ways[f"{engine} bare"] = functools.partial(bare, settings, messages, number)
            ways[f"{engine} lane"] = functools.partial(lane_run, settings, several, number, folder)
        size = statistics.mean(len(message.value) for message in messages)
        print(f"{count} records of {size:.0f} bytes and nine headers, {rounds} rounds, medians")
        found: dict[str, list[Run]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                found[name].append(way())
    return _table(found)


def _table(found: dict[str, list[Run]]) -> float:
    rates = {name: statistics.median(run.rate for run in runs) for name, runs in found.items()}
    print(f"{'way':20} {'records/s':>10} {'CPU us/record':>14} {'ratio':>6}")
    worst = 1.0
    for name, runs in found.items():
        cpu = statistics.median(run.cpu / run.records for run in runs) * 1e6
        ratio = rates[name] / rates[f"{name.split()[0]} bare"]
        worst = min(worst, ratio)
        print(f"{name:20} {rates[name]:10,.0f} {cpu:14.1f} {ratio:6.2f}")
    return worst


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench kafka", description=__doc__)
    parser.add_argument("--brokers", help="host:port of a broker that runs; topics are made there")
    parser.add_argument("--records", type=int, default=90_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)
    with contextlib.ExitStack() as ending:
        brokers = asked.brokers or ending.enter_context(Kafka(quick=False)).start().wait().bootstrap
        worst = compare(brokers, asked.records // BATCH * BATCH, asked.rounds)
    print(f"goal {GOAL:.2f}: {'met' if worst >= GOAL else 'missed'}")
    return 0 if worst >= GOAL else 1
