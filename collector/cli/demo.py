"""``wef demo``: a collector on the embedded store and twenty pretend Windows machines, on this machine.

Everything is real but the machines: HTTPS with client certificates on loopback, the shipped
collector, its store, and Kafka and Elasticsearch where somebody runs them. What it leaves behind can be
looked at with the other commands.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shlex
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from collector import telemetry
from collector.app import Collector
from collector.cli.output import print_json
from collector.cli.screen import Screen, called
from collector.cli.settings import load_settings
from collector.cli.tls import make_lab
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.events.filters import SearchQuery
from collector.events.search import count
from collector.simulate.fleet import FleetOptions, run_fleet
from collector.simulate.generator import fleet_names
from collector.simulate.ledger import Verdict
from collector.store.state_folder import StateFolder

if TYPE_CHECKING:
    from collector.cli.far_ends import Discovery, FarEnd

SOURCES = 20
RATE = 100.0  # events/s of the whole fleet: busy to look at, idle for the machine
HISTORY = 5  # events that each machine has already logged, so that the first ones are there at once
SETTLED = 60.0  # seconds until a real server, cold and perhaps busy, must have what the fleet sent
MARK = "# Written by wef demo; it is written anew by the next one."
CANNOT_CREATE = 73
COLLECTOR = "demo-collector"
_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}", re.ASCII)

SETTINGS = """\
{mark}
state = "."
name = "{name}"
min_free = "64MiB"

[subscriptions]
path = "demo-subscriptions"

[listeners.tls]
transport = "https"
address = "127.0.0.1"
port = {port}
certificate = "demo-tls/server.pem"
key = "demo-tls/server.key"
client_ca = ["demo-tls/ca.pem"]

[sinks.events]
type = "events"

[monitoring]
port = {monitoring}
{ends}"""
KAFKA = """
[sinks.kafka]
type = "kafka"
brokers = {brokers}
engine = {engine}
"""
ELASTICSEARCH = """
[sinks.elasticsearch]
type = "elasticsearch"
hosts = {hosts}
"""
SUBSCRIPTION = """\
name = "demo"
description = "Everything that the pretend machines log."
read_existing_events = true
[delivery]
max_latency = "1s"
heartbeat = "30s"
"""
CHANNELS = (
    "Security", "System", "Application", "Windows PowerShell", "Microsoft-Windows-PowerShell/Operational",
    "Microsoft-Windows-Sysmon/Operational",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Servers:
    """Real servers that the demo shall also deliver to; empty: none."""

    brokers: tuple[str, ...] = ()
    engine: str = "auto"
    url: str = ""

    def __bool__(self) -> bool:
        return bool(self.brokers or self.url)

    def as_settings(self) -> str:
        """Tables of collector.toml. JSON's texts and lists are TOML's too."""
        text = ""
        if self.brokers:
            text += KAFKA.format(brokers=json.dumps(self.brokers), engine=json.dumps(self.engine))
        if self.url:
            text += ELASTICSEARCH.format(hosts=json.dumps([self.url]))
        return text


@dataclass(frozen=True, slots=True)
class Played:
    """How it went. *stored*: what the store gained; *ended*: somebody pressed Ctrl-C; *found*: by far end."""

    verdict: Verdict
    stored: int
    ended: bool
    found: Mapping[str, Discovery] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Everything that was sent is acknowledged, and is wherever it should be."""
        verdict = self.verdict
        whole = verdict.ok or (self.ended and verdict.refused == 0 and verdict.acknowledged == verdict.sent)
        everywhere = [self.stored, *(found.events for found in self.found.values())]
        return whole and all(number == verdict.sent for number in everywhere)

    def as_row(self) -> dict[str, Any]:
        """contract.md 6, and one more number for each far end."""
        verdict = self.verdict
        return {
            "ok": self.ok, "sent": verdict.sent, "acknowledged": verdict.acknowledged, "stored": self.stored,
            "duplicates": verdict.duplicates, "refused": verdict.refused, "seconds": round(verdict.seconds, 3),
            **{name: found.events for name, found in self.found.items()},
        }  # fmt: skip


def _brokers(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    found = tuple(broker.strip() for broker in text.split(","))
    for broker in found:
        if not _BROKER.fullmatch(broker):
            raise click.BadParameter(f'"{broker}" is no broker; write HOST:PORT, such as 127.0.0.1:9092.')
    return found


def _url(_: click.Context, __: click.Parameter, text: str | None) -> str:
    if not text:
        return ""
    if "@" in text:  # not quoted: it may be a password
        raise click.BadParameter(
            "it holds a user or a password, which other users of this machine can read; the demo takes a server without"
            " them. Write username and password, or api_key, into [sinks.NAME] of a collector.toml and use wef serve."
        )
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise click.BadParameter(f'"{text}" is no address; write for example http://127.0.0.1:9200.')
    return text


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0.1), default=None, help="End by itself. Default: Ctrl-C ends it.")
@click.option("--state", type=click.Path(path_type=Path), default=None, help="The state folder. Default: a new one.")
@click.option("--kafka", "brokers", metavar="HOST:PORT", callback=_brokers, help="Also deliver to these brokers (a,b).")
@click.option(
    "--kafka-engine", "engine", type=click.Choice(["auto", "kafka-python", "librdkafka"]), default="auto",
    show_default=True, help="The library that speaks to them.",
)  # fmt: skip
@click.option("--elasticsearch", "url", metavar="URL", callback=_url, help="Also deliver to this Elasticsearch.")
def command(seconds: float | None, state: Path | None, brokers: tuple[str, ...], engine: str, url: str) -> None:
    """See it work: a collector and a simulated fleet on this machine.

    With --kafka and --elasticsearch topics and templates are set up there first (as wef setup --apply does),
    and at the end the events are counted in the servers themselves. The last line of the output is the verdict;
    the exit code is 0 only when every event that was sent is acknowledged, stored, and in those servers.
    """
    servers = Servers(brokers, engine, url)
    folder = Path(tempfile.mkdtemp(prefix="wef-demo-")) if state is None else state.absolute()
    settings = _prepare(folder, servers)
    ends = _far_ends(settings) if servers else ()
    with (folder / "demo.log").open("a", encoding="utf-8") as log:
        telemetry.configure("info", "json", log)
        played = asyncio.run(_play(settings, folder, seconds, ends))
    _say_what_next(folder, ends, played)
    print_json(played.as_row())
    raise click.exceptions.Exit(0 if played.ok else 1)


def _prepare(folder: Path, servers: Servers) -> CollectorSettings:
    """Settings, certificates and a subscription in *folder*, which becomes the state folder."""
    file = folder / "collector.toml"
    if file.exists() and not file.read_text(errors="replace").startswith(MARK):
        raise OperatorError(
            f"{file} was not written by the demo and would be overwritten; name another folder with --state.",
            exit_code=CANNOT_CREATE,
        )
    try:
        (folder / "demo-subscriptions").mkdir(parents=True, exist_ok=True)
        if not (folder / "demo-tls").exists():
            make_lab(folder / "demo-tls", "localhost", [name for name, _ in fleet_names(SOURCES)])
        selects = "".join(f'[[select]]\nchannel = "{channel}"\n' for channel in CHANNELS)
        (folder / "demo-subscriptions" / "demo.toml").write_text(SUBSCRIPTION + selects)
        port, monitoring = _free_ports(2)
        # Servers outlive a demo: this run's events are told from those of others by the collector's name.
        name = f"{COLLECTOR}-{secrets.token_hex(4)}" if servers else COLLECTOR
        ends = servers.as_settings()
        file.write_text(SETTINGS.format(mark=MARK, name=name, port=port, monitoring=monitoring, ends=ends))
    except OSError as error:
        raise OperatorError(
            f"{error.filename or folder} cannot be written: {error.strerror}. Name a folder of your own with --state.",
            exit_code=CANNOT_CREATE,
        ) from error
    return load_settings(str(file))


def _far_ends(settings: CollectorSettings) -> Sequence[FarEnd]:
    # Imported here: the clients' libraries take half a second that the plain demo need not wait for.
    from collector.cli.far_ends import far_ends

    return far_ends(settings, "demo", CHANNELS)


async def _play(settings: CollectorSettings, folder: Path, seconds: float | None, ends: Sequence[FarEnd]) -> Played:
    """Set up the far ends, run both sides, and count what is where afterwards."""
    for end in ends:
        for sentence in await end.make_ready():
            click.echo(sentence)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    events = StateFolder(settings.state).events
    before = count(events, SearchQuery())
    collector = Collector(settings)
    await collector.start()
    try:
        (_, port) = collector.addresses["tls"][0]
        with Screen(folder, events) as screen:
            verdict = await run_fleet(_fleet(folder, port, seconds), screen.progress, stop=stop)
        for name in await collector.delivered(SETTLED):  # acknowledged is what a spool has; here all is to be seen
            click.echo(f"{name} has not taken everything within {SETTLED:g} s; the rest lies in its spool.")
    finally:
        await collector.stop("the demo is over")
    found = {end.name: await _find(end, settings.name or "") for end in ends}
    return Played(verdict, count(events, SearchQuery()) - before, stop.is_set(), found)


async def _find(end: FarEnd, collector: str) -> Discovery:
    """What *end* has. One that went away meanwhile has nothing: the verdict comes all the same."""
    from collector.cli.far_ends import Discovery

    try:
        return await end.find(collector)
    except OperatorError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return Discovery()


def _fleet(folder: Path, port: int, seconds: float | None) -> FleetOptions:
    return FleetOptions(
        url=f"https://localhost:{port}/wsman/SubscriptionManager/WEC",
        sources=SOURCES,
        rate=RATE,
        duration=seconds,
        ca=str(folder / "demo-tls" / "ca.pem"),
        cert=str(folder / "demo-tls" / "clients" / "{source}.pem"),
        key=str(folder / "demo-tls" / "clients" / "{source}.key"),
        history=HISTORY,
    )


def _free_ports(number: int) -> Sequence[int]:
    """Ports that are free at the moment; all are held while they are chosen, so that they differ."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def _say_what_next(folder: Path, ends: Sequence[FarEnd], played: Played) -> None:
    config = f"--config {shlex.quote(str(folder / 'collector.toml'))}"
    wef = called()
    for name, found in played.found.items():
        click.echo(f"\n{name} holds {found.events} of {played.verdict.sent} events{_again(found)}:")
        for place, number in sorted(found.places.items()):
            click.echo(f"  {number:7}  {place}")
    click.echo(f"""
Everything is in {folder}. What to type next:

  {wef} events search {config} --limit 5
  {wef} events search {config} --event-id 4625 --format xml
  {wef} sources list {config}
  {wef} bookmarks list {config}""")
    if ends:
        click.echo(f"  {wef} sinks list {config}")
    for end in ends:
        for line in end.next_lines():
            click.echo(f"  {line}")
    click.echo(f"  {wef} serve {config}      # the same collector, without the fleet\n")


def _again(found: Discovery) -> str:
    return f" ({found.again} records say one again)" if found.again else ""
