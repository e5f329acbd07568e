"""What the Elasticsearch lane costs beside the Kafka lane: the same batches through one router, in turns.

``python -m tests.bench fanout [--records N] [--rounds N]`` starts both real servers. A batch is harvested, spelled and
carried here, as the collector does it, and done when its receipt is settled. Two figures: time, in which the servers
count as well (they share this machine's cores), and the collector's own CPU, all threads of it. Every run has events
of its own: Elasticsearch would be quicker with ids that it has already.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from collector.cli.serve import seldom_look_for_cycles
from collector.clock import SystemClock
from collector.config.settings import SinkSettings
from collector.model import Batch
from collector.normalize import harvest
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.receipt import Receipt
from collector.routing.router import Router
from collector.routing.spool import Spool
from collector.sinks.base import Surroundings
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.table import SINKS
from tests.bench.elasticsearch import STREAM, TEMPLATE
from tests.bench.kafka import AT_ONCE, BATCH, batches
from tests.bench.measure import Run, measured_here
from tests.contracts.memory_store import MemoryStore
from tests.contracts.topic_log import make_topic
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.kafka import Kafka

GOAL = 1.3
ALONE, BOTH = "kafka", "kafka and elasticsearch"
_runs = itertools.count()


async def carried(lanes: dict[str, SinkSettings], waiting: Sequence[Batch], folder: Path) -> Run:
    """All of *waiting* through new *lanes*, every batch with its receipt."""
    opened = [_lane(f"{kind}{next(_runs)}", settings, folder) for kind, settings in lanes.items()]
    for one in opened:
        await one.open()
    router, room = Router(opened), asyncio.Semaphore(AT_ONCE)

    async def carry(batch: Batch) -> None:
        async with room:
            receipt = Receipt()
            router.carry(harvest(batch), receipt)
            await receipt.settled()

    await carry(waiting[0])  # connections and metadata
    count = (len(waiting) - 1) * BATCH
    run = await measured_here(count, lambda: asyncio.gather(*map(carry, waiting[1:])))
    for one in opened:
        state = one.measure()
        assert (state.delivered, state.rejected, state.spool_bytes) == (count + BATCH, 0, 0), state
        await one.drain(10)
    return run


def _lane(name: str, settings: SinkSettings, folder: Path) -> Lane:
    sink = SINKS[settings.type].build(name, settings, Surroundings(folder, SystemClock()))
    spool = Spool.open(folder / f"{name}.sqlite", 2**30)
    return Lane(name, sink, settings, spool, MemoryStore().save_letters, SystemClock(), Taking.compile({}))


def compare(brokers: str, url: str, count: int, rounds: int) -> float:
    """Prints a table; the ratio of the medians of the collector's CPU."""
    kafka = KafkaSettings.model_validate({"brokers": [brokers], "topic": make_topic(brokers), "patience": "60s"})
    elastic = ElasticsearchSettings.model_validate(
        {"type": "elasticsearch", "hosts": [url], "data_stream": STREAM, "patience": "60s"}
    )
    ways: dict[str, dict[str, SinkSettings]] = {ALONE: {"kafka": kafka}, BOTH: {"kafka": kafka, "elastic": elastic}}
    found: dict[str, list[Run]] = {name: [] for name in ways}
    seldom_look_for_cycles()
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(carried(ways[BOTH], batches(2 * count // BATCH + 1), Path(place)))  # the servers' compilers
        for _ in range(rounds):
            for name, lanes in ways.items():
                found[name].append(asyncio.run(carried(lanes, batches(count // BATCH + 1), Path(place))))
    return _table(found)


def _table(found: dict[str, list[Run]]) -> float:
    times = {name: statistics.median(run.seconds / run.records for run in runs) * 1e6 for name, runs in found.items()}
    cpus = {name: statistics.median(run.cpu / run.records for run in runs) * 1e6 for name, runs in found.items()}
    print(f"{'lanes':24} {'us/record':>10} {'ratio':>6} {'CPU us/record':>14} {'ratio':>6}")
    for name in found:
        time_ratio, cpu_ratio = times[name] / times[ALONE], cpus[name] / cpus[ALONE]
        print(f"{name:24} {times[name]:10.1f} {time_ratio:6.2f} {cpus[name]:14.1f} {cpu_ratio:6.2f}")
    return cpus[BOTH] / cpus[ALONE]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench fanout", description=__doc__)
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    with contextlib.ExitStack() as ending:
        elastic = ending.enter_context(Elasticsearch(quick=False, memory="512m"))
        elastic.start()
        brokers = ending.enter_context(Kafka(quick=False)).start().wait().bootstrap
        elastic.wait()
        elastic.told("PUT", "/_index_template/bench", TEMPLATE)
        ratio = compare(brokers, elastic.url, asked.records // BATCH * BATCH, asked.rounds)
    print(f"goal {GOAL:.2f} of the collector's CPU: {'met' if ratio <= GOAL else 'missed'}")
    return 0 if ratio <= GOAL else 1
