"""A whole collector that pulls: from its files to its store, through reload, stop and start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.app import Collector
from collector.cli.settings import load_settings
from collector.clock import SystemClock
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.pull.department import listener_for
from collector.simulate.host_fleet import HostFleet, ServeOptions
from collector.simulate.population import FleetOptions
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder
from tests.routing.scripted_sink import eventually
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow
"""Each takes its second or more; ``./tests/run`` runs them."""

SETTINGS = """
state = "state"
min_free = "1MiB"
drain = "2s"
[monitoring]
port = 0
[listeners.plain]
transport = "http"
address = "127.0.0.1"
port = 0
authentication = ["none"]
[sinks.events]
type = "events"
"""
SUBSCRIPTION = """
name = "{name}"
type = "{type}"
sources = {{ file = "hosts.txt" }}
[delivery]
max_latency = "1s"
[[select]]
channel = "Security"
[[select]]
channel = "System"
[[select]]
channel = "Application"
"""


def configured(folder: Path, *, kind: str = "pull", settings: str = SETTINGS) -> CollectorSettings:
    (folder / "subscriptions").mkdir(exist_ok=True)
    (folder / "subscriptions" / "them.toml").write_text(SUBSCRIPTION.format(name="them", type=kind))
    (folder / "collector.toml").write_text(settings)
    return load_settings(str(folder / "collector.toml"))


def fleet_of(folder: Path, machines: int, duration: float = 1.0) -> HostFleet:
    options = FleetOptions(url="", sources=machines, rate=100.0, duration=duration, give_up=20.0)
    return HostFleet(ServeOptions(options, hosts=folder / "subscriptions" / "hosts.txt"), SystemClock())


async def test_what_machines_log_is_in_the_store_and_sources_list_shows_them(tmp_path: Path) -> None:
    """The first thing an operator does: a list of hosts and a subscription."""
    settings, fleet = configured(tmp_path), fleet_of(tmp_path, 4)
    collector = Collector(settings)
    started: list[asyncio.Task[None]] = []

    def begin(urls: Sequence[str]) -> None:
        started.append(asyncio.ensure_future(collector.start()))

    verdict = await fleet.run(on_ready=begin)
    await collector.delivered(10.0)
    await collector.stop("test")

    assert verdict.ok, fleet.notes
    store = SqliteStore.open(StateFolder(settings.state).database)
    try:
        presences = list(store.presences())
        assert sum(presence.events for presence in presences) == verdict.sent
        assert {presence.key for presence in presences} == {url.partition("//")[2] for url in fleet.urls.values()}
        assert len(list(store.bookmarks())) == 4
    finally:
        await store.close()


async def test_a_stopped_collector_leaves_no_subscription_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """Restart, upgrade: each is a stop in good order, and nothing is missing or comes twice after it."""
    settings, fleet = configured(tmp_path), fleet_of(tmp_path, 3)
    async with fleet:
        collector = Collector(settings)
        await collector.start()
        hosts = [served.host for served in fleet.machines.values()]
        await eventually(lambda: all(host.subscriptions for host in hosts))

        await collector.stop("test")
        assert not any(host.subscriptions for host in hosts)

        again = Collector(settings)
        await again.start()
        await eventually(lambda: all(host.subscriptions for host in hosts))
        await again.stop("test")


async def test_reload_calls_those_who_are_new_and_leaves_those_who_are_gone(tmp_path: Path) -> None:
    """SIGHUP after an edit of the list."""
    settings, fleet = configured(tmp_path), fleet_of(tmp_path, 3)
    async with fleet:
        hosts = tmp_path / "subscriptions" / "hosts.txt"
        first, second, third = fleet.urls.values()
        one, two, three = (served.host for served in fleet.machines.values())
        hosts.write_text(f"{first}\n{second}\n")
        collector = Collector(settings)
        await collector.start()
        await eventually(lambda: bool(one.subscriptions and two.subscriptions))
        assert not three.subscriptions

        hosts.write_text(f"{second}\n{third}\n")
        await collector.reload()
        await eventually(lambda: bool(three.subscriptions) and not one.subscriptions)
        assert two.subscriptions

        await collector.stop("test")


async def test_machines_that_are_asked_to_push_deliver_to_our_listener(tmp_path: Path) -> None:
    """Collector-initiated push: the listener is there before anybody is asked, and lets in whom we asked."""
    settings, fleet = configured(tmp_path, kind="push"), fleet_of(tmp_path, 2)
    collector = Collector(settings)
    started: list[asyncio.Task[None]] = []
    verdict = await fleet.run(on_ready=lambda _: started.append(asyncio.ensure_future(collector.start())))
    await collector.delivered(10.0)
    await collector.stop("test")

    assert verdict.ok, fleet.notes
    assert verdict.sent > 0


async def test_who_pushes_is_told_when_we_leave(tmp_path: Path) -> None:
    """Else it goes on for its five retries, and somebody wonders about its log."""
    settings, fleet = configured(tmp_path, kind="push"), fleet_of(tmp_path, 2)
    async with fleet:
        collector = Collector(settings)
        await collector.start()
        hosts = [served.host for served in fleet.machines.values()]
        await eventually(lambda: all(host.pushing for host in hosts))

        await collector.stop("test")
        assert not any(host.pushing for host in hosts)


def test_a_push_subscription_without_a_listener_is_refused_at_the_start() -> None:
    """Nobody could deliver anywhere."""
    with pytest.raises(OperatorError, match="needs a listener, and there is none"):
        listener_for({}, None, "http")


def test_the_listener_that_sources_are_told_of_is_one_they_can_reach(tmp_path: Path) -> None:
    """A loopback listener is for this machine alone; else the transport decides by which we call."""
    kerberos = 'authentication = ["kerberos"]\nkeytab = "http.keytab"\n'
    settings = configured(
        tmp_path,
        settings=SETTINGS
        + f'[listeners.a]\ntransport = "http"\n{kerberos}'
        + f'[listeners.b]\ntransport = "https"\n{kerberos}certificate = "a.pem"\nkey = "a.key"\n',
    )

    assert listener_for(settings.listeners, None, "http") == "a"
    assert listener_for(settings.listeners, None, "https") == "b"
    assert listener_for(settings.listeners, "plain", "https") == "plain"
    with pytest.raises(OperatorError, match=r'at pull\.notify: there is no listener "c"; there are: plain, a, b'):
        listener_for(settings.listeners, "c", "http")


@pytest.mark.usefixtures("kerberos_library")
@pytest.mark.slow
async def test_a_domain_is_pulled_with_tickets_and_everything_is_sealed(tmp_path: Path, kdc: Kdc) -> None:
    """As in a domain: HTTP 5985, Kerberos by keytab, and documents that say who was proven."""
    service, client = kdc.keytab("HTTP/localhost"), kdc.keytab("pulling")
    credentials = (
        f'[credentials.domain]\nmechanism = "kerberos"\nprincipal = "pulling@WEF.TEST"\nkeytab = "{client}"\n'
        f'[sinks.all]\ntype = "file"\npath = "all.jsonl"\nformat = "winlogbeat"\n'
    )
    settings = configured(tmp_path, settings=SETTINGS + credentials)
    options = FleetOptions(url="", sources=2, rate=50.0, duration=1.0, give_up=20.0)
    hosts = tmp_path / "subscriptions" / "hosts.txt"
    fleet = HostFleet(
        ServeOptions(options, hosts=hosts, mechanism="kerberos", keytab=service, host_name="localhost"), SystemClock()
    )
    collector = Collector(settings)
    started: list[asyncio.Task[None]] = []
    verdict = await fleet.run(on_ready=lambda _: started.append(asyncio.ensure_future(collector.start())))
    await collector.delivered(10.0)
    await collector.stop("test")

    assert verdict.ok, fleet.notes
    documents = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert len(documents) == verdict.sent
    assert {document["wef"]["client"]["principal"] for document in documents} == {"HTTP/localhost"}
    assert {document["wef"]["client"]["ip"] for document in documents} == {"127.0.0.1"}
