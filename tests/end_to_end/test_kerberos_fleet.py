"""How nearly all sources arrive: domain machines with tickets of a real KDC, every body sealed, none of it lost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.simulate.generator import fleet_names
from tests.end_to_end.stage import WEF, Stage, free_port, json_lines, wef
from tests.end_to_end.test_power_cuts import stored_ids, wait_until_acknowledged
from tests.servers.kdc import Kdc

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("kerberos_library")]
MANY, FEW = 500, 6
SETTINGS = """\
state = "state"
min_free = "10MiB"
[limits]
connections = 4000
connections_per_address = 4000
[monitoring]
port = {monitoring}
[listeners.domain]
transport = "http"
address = "127.0.0.1"
port = {port}
authentication = ["kerberos", "negotiate"]
keytab = "http.keytab"
[sinks.events]
type = "events"
"""
WITH_CERTIFICATES = """\
[listeners.workgroup]
transport = "https"
address = "127.0.0.1"
port = {port}
authentication = ["certificate"]
certificate = "tls/server.pem"
key = "tls/server.key"
client_ca = ["tls/ca.pem"]
"""
INSIDE_TLS = """\
[listeners.strict]
transport = "https"
address = "127.0.0.1"
port = {port}
authentication = ["negotiate"]
keytab = "http.keytab"
cbt_hardening = "strict"
certificate = "tls/server.pem"
key = "tls/server.key"
"""
SUBSCRIPTION = """\
name = "everything"
read_existing_events = true # a machine that goes down before its first bookmark starts from the beginning, not from now
compression = "sldc"
[delivery]
max_latency = "1s"
connection_retry = "1s"
[[select]]
channel = "Security"
[[select]]
channel = "System"
[[select]]
channel = "Application"
"""


def machine(name: str) -> str:
    """The machine account of a source."""
    return f"{name.partition('.')[0].upper()}$"


@pytest.fixture(scope="module")
def machines(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One keytab with the keys of a fleet's machine accounts."""
    keytab = tmp_path_factory.mktemp("domain") / "machines.keytab"
    kdc.add_many([machine(name) for name, _ in fleet_names(MANY)], keytab)
    return keytab


@pytest.fixture
def stage(kdc: Kdc, tmp_path: Path) -> Iterator[Stage]:
    """A collector of the realm, not started yet."""
    built = Stage(tmp_path)
    (tmp_path / "http.keytab").write_bytes(kdc.keytab("HTTP/localhost").read_bytes())
    (tmp_path / "collector.toml").write_text(SETTINGS.format(port=built.port, monitoring=built.monitoring))
    (tmp_path / "subscriptions").mkdir()
    (tmp_path / "subscriptions" / "everything.toml").write_text(SUBSCRIPTION)
    yield built
    if built.process is not None:
        built.kill()


def fleet(stage: Stage, *options: str, url: str = "") -> subprocess.Popen[str]:
    at = url or f"http://localhost:{stage.port}/wsman/SubscriptionManager/WEC"
    return subprocess.Popen(
        [*WEF, "simulate", "--url", at, "--retry-interval", "1", "--json", *options],
        cwd=stage.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def verdict_of(simulator: subprocess.Popen[str], stage: Stage) -> dict[str, int]:
    """Of a run that went well."""
    try:
        out, err = simulator.communicate(timeout=90)
    finally:
        simulator.kill()
    assert out, (err[-3000:], stage.log()[-3000:])
    verdict: dict[str, int] = json.loads(out.splitlines()[-1])
    assert verdict["ok"], (verdict, err[-3000:], stage.log()[-3000:])
    return verdict


def sources_of(stage: Stage) -> list[str]:
    """The key of each row of ``wef sources list``."""
    return sorted(row["key"] for row in json_lines(wef("sources", "list", "--json", folder=stage.folder).stdout))


def keys(realm: str, *names: str) -> list[str]:
    return sorted(f"{machine(name)}@{realm}".lower() for name in names)


def test_five_hundred_domain_machines_survive_a_power_cut_of_the_collector(
    stage: Stage, machines: Path, kdc: Kdc
) -> None:
    """Sealed UTF-16 and SLDC, kill -9 in the middle: all prove themselves again; what is stored is what was sent."""
    stage.start()
    simulator = fleet(
        stage, "--mechanism", "kerberos", "--keytab", str(machines), "--sources", str(MANY),
        "--rate", "250", "--duration", "6", "--reboots", "3", "--crashes", "3",
    )  # fmt: skip
    wait_until_acknowledged(stage, 200)
    stage.kill()
    stage.start()
    verdict = verdict_of(simulator, stage)
    assert stage.stop() == 0

    ids = stored_ids(stage)
    assert len(ids) == len(set(ids)) == verdict["sent"]
    assert verdict["sent"] > 200
    assert verdict["refused"] == 0
    assert sources_of(stage) == keys(kdc.realm, *(name for name, _ in fleet_names(MANY)))


def test_negotiate_is_spoken_as_well(stage: Stage, machines: Path, kdc: Kdc) -> None:
    """What sources do when the collector is among their TrustedHosts (protocol.md 3.2)."""
    stage.start()
    simulator = fleet(
        stage, "--mechanism", "negotiate", "--keytab", str(machines), "--sources", str(FEW),
        "--rate", "60", "--duration", "1", "--compression", "none", "--charset", "utf-8",
    )  # fmt: skip
    verdict = verdict_of(simulator, stage)
    assert stage.stop() == 0

    assert len(stored_ids(stage)) == verdict["sent"] > 0
    assert sources_of(stage) == keys(kdc.realm, *(name for name, _ in fleet_names(FEW)))


def test_one_collector_takes_domain_machines_and_machines_with_certificates(
    stage: Stage, machines: Path, kdc: Kdc
) -> None:
    """A domain, its workgroup machines, and those whose tickets must be bound to TLS: three doors, one store."""
    names = [name for name, _ in fleet_names(FEW)]
    clients = [word for name in names for word in ("--client", name)]
    wef("tls", "init", "tls", "--server", "localhost", *clients, folder=stage.folder)
    ports = free_port(), free_port()
    with (stage.folder / "collector.toml").open("a") as settings:
        settings.write(WITH_CERTIFICATES.format(port=ports[0]) + INSIDE_TLS.format(port=ports[1]))
    stage.start()
    running = ("--sources", str(FEW), "--rate", "60", "--duration", "1")
    tickets, ca = ("--keytab", str(machines)), ("--ca", "tls/ca.pem")
    https = [f"https://localhost:{port}/wsman/SubscriptionManager/WEC" for port in ports]
    simulators = [
        fleet(stage, "--mechanism", "kerberos", *tickets, *running),
        fleet(
            stage, *ca, "--cert", "tls/clients/{source}.pem", "--key", "tls/clients/{source}.key", *running,
            url=https[0],
        ),
        fleet(stage, "--mechanism", "negotiate", *tickets, *ca, "--seed", "2", *running, url=https[1]),
    ]  # fmt: skip
    verdicts = [verdict_of(simulator, stage) for simulator in simulators]
    assert stage.stop() == 0

    assert len(stored_ids(stage)) == sum(verdict["sent"] for verdict in verdicts)
    assert sources_of(stage) == sorted([*keys(kdc.realm, *names), *names])
