"""How much of a bare bulk loop the Elasticsearch lane keeps: same bytes, same client, same server, in turns.

``python -m tests.bench.elasticsearch [--url URL] [--records N] [--rounds N]``; without ``--url`` the real server of
tests/servers is started. The server is the limit (servers.md 8.2), so the client's own CPU is shown beside.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from collector.cli.serve import seldom_look_for_cycles
from collector.clock import SystemClock
from collector.model import Key, Records
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.receipt import Receipt
from collector.routing.share import Share
from collector.routing.spool import Spool
from collector.sinks.elasticsearch.asking import BULK, STREAMS_ONLY
from collector.sinks.elasticsearch.clients import connect
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.sink import ElasticsearchSink
from tests.bench.measure import Run, measured_here
from tests.contracts.memory_store import MemoryStore
from tests.events.made import NOON, RECEIVED, made, shown
from tests.servers.elasticsearch import Elasticsearch

BATCH = 100
"""Events of one message, as Windows sends them under load."""
GOAL = 0.70
_runs = itertools.count(int(time.time()) % 10**6 * 1000)


def batches(count: int) -> list[Records]:
    """*count* records of about 1,200 bytes with ids of this run, in batches of as many sources."""
    run = next(_runs)
    return [_batch(run, first) for first in range(0, count, BATCH)]


def _batch(run: int, first: int) -> Records:
    lines, ids = [], []
    for number in range(first, first + BATCH):
        identifier = f"{run:010d}{number:012d}"
        ids.append(identifier)
        lines.append(_line(number, identifier))
    ends = array("Q", itertools.accumulate(len(line) for line in lines))
    keys = [Key(NOON, "pc01", "Security", "Microsoft-Windows-Security-Auditing", "4624", 0)] * BATCH
    return Records("winlogbeat", b"".join(lines), ends, ids, keys, f"pc{first}", "everything", RECEIVED)


def _line(number: int, identifier: str) -> bytes:
    document = made(number).document
    texts = {f"Target{n}": f"value {number % 50} of {n}" for n in range(18)}
    document["@timestamp"] = shown(NOON + number * 1000)
    document["winlog"]["event_data"] = texts
    document["message"] = "An account was successfully logged on. " * 8
    event = {"kind": "event", **document.pop("event"), "created": "2026-03-10T12:00:00.000Z"}
    del document["wef"]
    return orjson.dumps({**document, "event": event, "wef": {"event_id": identifier, "collector": "bench"}}) + b"\n"


async def bare(settings: ElasticsearchSettings, count: int) -> Run:
    """Whole bodies, built beforehand, as many at once as the sink sends."""
    bodies = _bodies(settings, batches(count))
    client = connect(settings)

    async def send() -> None:
        while bodies:
            reply = await client.request("POST", BULK + STREAMS_ONLY, bodies.pop(), "x-ndjson")
            answer = orjson.loads(reply.body)
            assert reply.status == 200, reply.body
            assert not answer["errors"], reply.body[:500]

    async def all_of_them() -> None:
        await asyncio.gather(*(send() for _ in range(settings.concurrency)))

    found = await measured_here(count, all_of_them)
    await client.close()
    return found


def _bodies(settings: ElasticsearchSettings, several: Sequence[Records]) -> list[bytes]:
    line_of = ElasticsearchSink("bench", settings, SystemClock())._lines
    lines: list[bytes] = []
    for records in several:
        line = line_of(records)
        lines.extend(found[0] for row in range(len(records)) if isinstance(found := line(row), tuple))
    most = settings.bulk_records
    return [b"".join(lines[first : first + most]) for first in range(0, len(lines), most)]


async def lane(settings: ElasticsearchSettings, count: int, folder: Path) -> Run:
    """The same records through a lane, every batch with its receipt."""
    found = batches(count)
    name = f"lane{next(_runs)}"
    patient = settings.model_copy(update={"patience": 60.0})
    sink = ElasticsearchSink(name, patient, SystemClock())
    spool = Spool.open(folder / f"{name}.sqlite", 2**30)
    one = Lane(name, sink, patient, spool, MemoryStore().save_letters, SystemClock(), Taking.compile({}))
    await one.open()
    room = asyncio.Semaphore(200)

    async def carry(records: Records) -> None:
        async with room:
            receipt = Receipt()
            receipt.expect([name])
            one.offer(Share(records, receipt))
            await receipt.settled()

    async def all_of_them() -> None:
        await asyncio.gather(*map(carry, found))

    measured = await measured_here(count, all_of_them)
    state = one.measure()
    assert (state.delivered, state.rejected, state.spool_bytes) == (count, 0, 0), state
    await one.drain(10)
    return measured


async def compare(url: str, count: int, rounds: int) -> float:
    """Prints a table; the ratio of the medians."""
    settings = ElasticsearchSettings.model_validate({"type": "elasticsearch", "hosts": [url], "data_stream": STREAM})
    with tempfile.TemporaryDirectory() as folder:
        await bare(settings, 2 * count)  # the server's compiler needs some tens of thousands (servers.md 8.2)
        await lane(settings, count, Path(folder))
        found: dict[str, list[Run]] = {"bare bulk loop": [], "lane": []}
        for _ in range(rounds):
            found["bare bulk loop"].append(await bare(settings, count))
            found["lane"].append(await lane(settings, count, Path(folder)))
    rates = {name: statistics.median(run.rate for run in runs) for name, runs in found.items()}
    print(f"{'way':16} {'records/s':>10} {'CPU us/record':>14} {'ratio':>6}")
    for name, runs in found.items():
        cpu = statistics.median(run.cpu / run.records for run in runs) * 1e6
        print(f"{name:16} {rates[name]:10,.0f} {cpu:14.1f} {rates[name] / rates['bare bulk loop']:6.2f}")
    return rates["lane"] / rates["bare bulk loop"]


STREAM = "bench-{dataset}-{namespace}"
TEMPLATE: dict[str, Any] = {
    "index_patterns": ["bench-*-*"],
    "data_stream": {},
    "priority": 500,
    "template": {
        "settings": {"number_of_replicas": 0, "refresh_interval": "5s"},
        "mappings": {
            "properties": {"@timestamp": {"type": "date_nanos"}},
            "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
        },
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.elasticsearch", description=__doc__)
    parser.add_argument("--url", help="of an Elasticsearch whose template makes bench-*-* data streams")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)
    with contextlib.ExitStack() as ending:
        url = asked.url
        if url is None:
            server = ending.enter_context(Elasticsearch(quick=False, memory="512m"))
            server.start().wait()
            server.told("PUT", "/_index_template/bench", TEMPLATE)
            url = server.url
        seldom_look_for_cycles()  # as ``wef serve`` does; the bare loop has it as well
        ratio = asyncio.run(compare(url, asked.records, asked.rounds))
    print(f"goal {GOAL:.2f}: {'met' if ratio >= GOAL else 'missed'}")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
