"""``wef demo``: a collector on the embedded store and twenty pretend Windows machines, on this machine.

Everything is real but the machines: HTTPS with client certificates on loopback, the shipped
collector, its store. What it leaves behind can be looked at with the other commands.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

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

SOURCES = 20
RATE = 100.0  # events/s of the whole fleet: busy to look at, idle for the machine
HISTORY = 5  # events that each machine has already logged, so that the first ones are there at once
MARK = "# Written by wef demo; it is written anew by the next one."
CANNOT_CREATE = 73

SETTINGS = """\
{mark}
state = "."
name = "demo-collector"
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


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0.1), default=None, help="End by itself. Default: Ctrl-C ends it.")
@click.option("--state", type=click.Path(path_type=Path), default=None, help="The state folder. Default: a new one.")
def command(seconds: float | None, state: Path | None) -> None:
    """See it work: a collector and a simulated fleet on this machine.

    The last line of the output is the verdict; the exit code is 0 only when every event that
    was sent is acknowledged and stored.
    """
    folder = Path(tempfile.mkdtemp(prefix="wef-demo-")) if state is None else state.absolute()
    settings = _prepare(folder)
    with (folder / "demo.log").open("a", encoding="utf-8") as log:
        telemetry.configure("info", "json", log)
        verdict, stored, ended = asyncio.run(_play(settings, folder, seconds))
    _say_what_next(folder)
    whole = verdict.ok or (ended and verdict.refused == 0 and verdict.acknowledged == verdict.sent)
    ok = whole and stored == verdict.sent
    print_json({
        "ok": ok, "sent": verdict.sent, "acknowledged": verdict.acknowledged, "stored": stored,
        "duplicates": verdict.duplicates, "refused": verdict.refused, "seconds": round(verdict.seconds, 3),
    })  # fmt: skip
    raise click.exceptions.Exit(0 if ok else 1)


def _prepare(folder: Path) -> CollectorSettings:
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
        file.write_text(SETTINGS.format(mark=MARK, port=port, monitoring=monitoring))
    except OSError as error:
        raise OperatorError(
            f"{error.filename or folder} cannot be written: {error.strerror}. Name a folder of your own with --state.",
            exit_code=CANNOT_CREATE,
        ) from error
    return load_settings(str(file))


async def _play(settings: CollectorSettings, folder: Path, seconds: float | None) -> tuple[Verdict, int, bool]:
    """Run both sides; the fleet's verdict, how many events the store gained, whether Ctrl-C ended it."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    events = StateFolder(settings.state).events
    before = count(events, SearchQuery())
    collector = Collector(settings)
    await collector.start()
    try:
        (_, port) = collector.addresses["tls"][0]
        options = FleetOptions(
            url=f"https://localhost:{port}/wsman/SubscriptionManager/WEC",
            sources=SOURCES,
            rate=RATE,
            duration=seconds,
            ca=str(folder / "demo-tls" / "ca.pem"),
            cert=str(folder / "demo-tls" / "clients" / "{source}.pem"),
            key=str(folder / "demo-tls" / "clients" / "{source}.key"),
            history=HISTORY,
        )
        with Screen(folder, events) as screen:
            verdict = await run_fleet(options, screen.progress, stop=stop)
    finally:
        await collector.stop("the demo is over")
    return verdict, count(events, SearchQuery()) - before, stop.is_set()


def _free_ports(number: int) -> Sequence[int]:
    """Ports that are free at the moment; all are held while they are chosen, so that they differ."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def _say_what_next(folder: Path) -> None:
    config = f"--config {shlex.quote(str(folder / 'collector.toml'))}"
    wef = called()
    click.echo(f"""
Everything is in {folder}. What to type next:

  {wef} events search {config} --limit 5
  {wef} events search {config} --event-id 4625 --format xml
  {wef} sources list {config}
  {wef} bookmarks list {config}
  {wef} serve {config}      # the same collector, without the fleet
""")
