"""One collector with all its sinks, the servers behind them, and what can be done to those.

``FarEnds`` are real servers that a test may hurt; a ``Site`` is a collector of a case's own with a topic, a
namespace and a folder that nobody else has. What must hold in the end is ``Site.require_promises``.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from collector.simulate.fleet import FleetOptions
from collector.simulate.generator import kinds
from collector.sinks.datasets import known_datasets
from tests.contracts.topic_log import make_topic
from tests.end_to_end import holdings
from tests.end_to_end.holdings import Held
from tests.end_to_end.load import Load, Name, pushing, until
from tests.end_to_end.stage import Stage, json_lines, wef
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.fixtures import made
from tests.servers.kafka import Kafka
from tests.servers.proxy import Proxy
from tests.servers.server import Server, free_port

CLIENTS = [f"client{number}.lab.example" for number in range(1, 9)]
CHANNELS = sorted({kind.channel for kind in kinds()})
SINKS = ("kafka", "search", "archive", "events")
WARM = 400
"""Events acknowledged before something breaks, and after it is mended: one second of load."""
RATE = 400.0
"""Events/s of the whole fleet: what two cores carry beside two servers and another worker's."""
SUBSCRIPTION = '[delivery]\nmax_latency = "1s"\nmax_items = 40\nconnection_retry = "1s"'
QUICK: Mapping[str, str] = MappingProxyType({
    "kafka": 'patience = "2s"\nrequest_timeout = "4s"\ndelivery_timeout = "5s"',
    "search": 'patience = "2s"\nrequest_timeout = "5s"',
})  # fmt: skip
"""Settings that make an outage of seconds look like one of minutes."""
SLOW = {"kafka": 1.5, "search": 0.7}
"""Seconds that 64 KiB take each way when a network is slow: an answer takes longer than the lane's patience."""
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class FarEnd:
    """A server and a slow way to it. *way* is the port of ``door`` and leads to the same server."""

    server: Server
    door: Proxy
    pace: float

    def stop(self) -> None:
        self.server.stop()

    def kill(self) -> None:
        self.server.kill()

    def stall(self) -> None:
        self.server.stall()

    def slow(self) -> None:
        self.door.delay = self.pace

    def heal(self) -> None:
        """Whatever was done to it, it serves again."""
        self.door.delay = 0.0
        if self.server.running:
            self.server.resume()
        else:
            self.server.start().wait()


class FarEnds:
    """A broker and a node of the tests' own, warm, each with a door that can be made slow."""

    def __init__(self, ending: ExitStack) -> None:
        self.search: Elasticsearch = ending.enter_context(made(Elasticsearch)).start()
        self.kafka: Kafka = ending.enter_context(made(Kafka))
        behind = free_port()
        kafka_door, search_door = (ending.enter_context(Proxy(port)) for port in (behind, self.search.port))
        self._second_door(behind, kafka_door)
        self.kafka.start().wait()
        self.search.wait().load_built_in_templates()
        self._warm()
        self.ends = {
            "kafka": FarEnd(self.kafka, kafka_door, SLOW["kafka"]),
            "search": FarEnd(self.search, search_door, SLOW["search"]),
        }

    def _warm(self) -> None:
        """The first bulks of a node take seconds, which is no fault that is to be tested."""
        document = b'{"create":{}}\n{"@timestamp":"2026-01-01T00:00:00Z","winlog":{"event_data":{"a":"b"}}}\n'
        for dataset in known_datasets():
            self.search.told("POST", f"/logs-{dataset}-warm/_bulk", document * 200)

    def require_numbers(self, namespace: str, name: str) -> None:
        """The streams of *namespace* refuse what has no number as *name* in its event_data."""
        event_data = {"properties": {name: {"type": "long"}}}
        mappings = {"properties": {"winlog": {"properties": {"event_data": event_data}}}}
        template = {"index_patterns": [f"logs-*-{namespace}"], "data_stream": {}, "priority": 500}
        self.search.told("PUT", f"/_index_template/{namespace}", template | {"template": {"mappings": mappings}})

    def heal(self) -> None:
        for end in self.ends.values():
            end.heal()

    def _second_door(self, port: int, door: Proxy) -> None:
        """A listener that clients find through *door*, beside the plain one."""
        properties = self.kafka.properties
        properties["listeners"] += f",DOOR://127.0.0.1:{port}"
        properties["advertised.listeners"] += f",DOOR://{door.address}"
        properties["listener.security.protocol.map"] += ",DOOR:PLAINTEXT"


@dataclass
class Site:
    """A collector on servers that it shares with nobody. *sick*: the sinks that something is done to."""

    ends: FarEnds
    folder: Path
    sick: Collection[str]
    engine: str = "librdkafka"
    defaults: bool = False
    """Whether the sick sinks have the patience that they have without a word."""
    sinks: Mapping[str, str] = field(default_factory=dict)
    """More settings of the sinks ``kafka`` and ``search``."""
    through_doors: bool = False
    options: FleetOptions = field(default_factory=lambda: FleetOptions(url="", rate=RATE))
    topic_settings: Mapping[str, Any] = field(default_factory=dict)
    broken_at: int = 0
    """Characters of the log before something was broken."""
    stage: Stage = field(init=False)
    topic: str = field(init=False)
    namespace: str = field(init=False)

    def __post_init__(self) -> None:
        self.namespace = f"case{next(_numbers)}"
        self.topic = make_topic(self.ends.kafka.bootstrap, prefix=self.namespace, **self.topic_settings)
        self.stage = Stage.build(
            self.folder, sinks=self._settings(), channels=CHANNELS, clients=CLIENTS, subscription=SUBSCRIPTION
        )

    def load(self) -> Load:
        """The fleet, not yet started."""
        options = replace(
            self.options,
            sources=len(CLIENTS),
            charset="utf-8",
            retry_interval=1.0,
            greets=False,
            refresh=5.0,
            give_up=300.0,
        )
        return Load(pushing(self.stage, options))

    def gauge(self, name: str, sink: str) -> float:
        """A metric of a sink; 0 before it was ever set."""
        found = re.search(rf'^{name}{{sink="{sink}"}} (\S+)', self.stage.metrics(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def flows(self, load: Load) -> bool:
        """The first events are through, and every sink is warm."""
        return load.count() > WARM and all(self.gauge("wef_sink_up", sink) == 1 for sink in SINKS)

    def refused(self) -> bool:
        """A source was told to wait (503)."""
        return 'wef_refusals_total{reason="backpressure"} ' in self.stage.metrics()

    def healthy(self) -> Sequence[str]:
        """The sinks that nothing is done to."""
        return [name for name in SINKS if name not in self.sick]

    def require_undisturbed(self) -> None:
        """No healthy sink waits for a sick one: its spool is empty, and it delivers."""
        for sink in self.healthy():
            spooled, up = self.gauge("wef_sink_spool_bytes", sink), self.gauge("wef_sink_up", sink)
            assert (spooled, up) == (0, 1), f"{sink}: {spooled:g} bytes in its spool, up {up:g}\n{self.stage.log()}"

    def until_drained(self) -> None:
        """Until nothing waits anywhere."""
        until(self._drained, "everything is where it shall be", self.stage.log, threading.Event().wait)

    def _drained(self) -> bool:
        return all(
            self.gauge("wef_sink_up", sink) == 1
            and not self.gauge("wef_sink_spool_bytes", sink)
            and not self.gauge("wef_sink_queued", sink)
            for sink in SINKS
        )

    def held(self, sink: str) -> Sequence[Held]:
        """Everything at a far end, now."""
        if sink == "kafka":
            return holdings.whole(holdings.in_kafka(self.ends.kafka.bootstrap, self.topic))
        if sink == "search":
            return holdings.in_search(self.ends.search, self.namespace)
        if sink == "archive":
            return holdings.in_archive(self.folder / "archive")
        found = wef("events", "search", "--limit", "0", "--json", folder=self.folder).stdout
        return [holdings.identified(document) for document in json_lines(found)]

    def letters(self) -> Mapping[str, frozenset[str]]:
        """The event ids of the letters of each sink."""
        found: dict[str, set[str]] = {}
        for letter in json_lines(wef("letters", "list", "--json", folder=self.folder).stdout):
            found.setdefault(letter["sink"], set()).add(letter["event_id"])
        return {sink: frozenset(ids) for sink, ids in found.items()}

    def require_promises(self, load: Load, *, letters: Mapping[str, Collection[Name]] | None = None) -> None:
        """Everything acknowledged is everywhere but where it is a letter, nothing is invented, once or in order.

        To be called when the fleet has ended and the collector too.
        """
        letters = letters or {}
        happened, acknowledged = load.happened(), load.acknowledged()
        logs = holdings.in_kafka(self.ends.kafka.bootstrap, self.topic)
        held = {"kafka": holdings.whole(logs)} | {sink: self.held(sink) for sink in SINKS if sink != "kafka"}
        for sink, found in held.items():
            refused = set(letters.get(sink, ()))
            holdings.require_all(sink, found, acknowledged - refused)
            holdings.require_none_invented(sink, found, happened)
            assert not refused & {one.name for one in found}, f"{sink} has what it refused"
        assert len({frozenset(found) for sink, found in held.items() if not letters.get(sink)}) == 1, "ids differ"
        holdings.require_once("search", held["search"])
        holdings.require_once("events", held["events"])
        holdings.require_order(logs, happened, letters.get("kafka", ()))
        by_id = {one.event_id: one.name for one in held["archive"]}
        told = {sink: {by_id[letter] for letter in ids} for sink, ids in self.letters().items()}
        assert told == {sink: set(names) for sink, names in letters.items() if names}

    def require_quiet_log(self, *expected: str) -> None:
        """No ERROR but *expected* ones, and since the fault no healthy sink was said to be unavailable."""
        log = self.stage.log()
        assert set(holdings.errors(log)) <= set(expected), log
        assert holdings.unavailable(log[self.broken_at :]) <= set(self.sick), log

    def _more(self, sink: str) -> str:
        quick = QUICK.get(sink, "") if sink in self.sick and not self.defaults else ""
        return f"{quick}\n{self.sinks.get(sink, '')}"

    def _settings(self) -> str:
        ends = self.ends
        kafka, search = ends.kafka.bootstrap, ends.search.url
        if self.through_doors:
            kafka, search = ends.ends["kafka"].door.address, f"http://{ends.ends['search'].door.address}"
        return f"""
[sinks.kafka]
type = "kafka"
brokers = ["{kafka}"]
topic = "{self.topic}"
engine = "{self.engine}"
{self._more("kafka")}
[sinks.search]
type = "elasticsearch"
hosts = ["{search}"]
namespace = "{self.namespace}"
{self._more("search")}
[sinks.archive]
type = "file"
path = "archive/{{computer}}.jsonl"
[sinks.events]
type = "events"
"""
