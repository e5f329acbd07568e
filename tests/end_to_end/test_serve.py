"""`wef serve` as operators meet it: signals, a second one on the same state, commands beside it."""

from __future__ import annotations

import json
import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.stage import Stage, json_lines, wef

pytestmark = pytest.mark.slow  # each test starts a collector in a process of its own

CLIENTS = ["ws-0001.lab.example", "ws-0002.lab.example"]
SINKS = """
[sinks.events]
type = "events"
[sinks.archive]
type = "file"
path = "archive/{source}/{channel}.xml"
format = "raw"
match = { channel = "Security" }
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A running collector; whatever the test did to it, it is gone afterwards."""
    built = Stage.build(tmp_path, sinks=SINKS, channels=["Security", "System", "Application"], clients=CLIENTS,
                        subscription='[delivery]\nmax_latency = "1s"\nheartbeat = "5s"')  # fmt: skip
    built.start()
    yield built
    if built.process is not None and built.process.poll() is None:
        built.kill()


def run_fleet(stage: Stage, *options: str) -> dict[str, object]:
    done = wef(
        "simulate", "--url", stage.url, "--sources", "2", "--rate", "200", "--duration", "2", "--json",
        "--ca", "tls/ca.pem", "--cert", "tls/clients/{source}.pem", "--key", "tls/clients/{source}.key", *options,
        folder=stage.folder,
    )  # fmt: skip
    verdict: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return verdict


def eventually(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up, what
        os.sched_yield()


def test_a_fleet_pushes_and_every_command_sees_it_beside_the_running_collector(stage: Stage) -> None:
    """The walk-through of the README, whole."""
    verdict = run_fleet(stage)

    assert verdict["ok"] is True
    stored = json_lines(wef("events", "search", "--json", folder=stage.folder).stdout)
    assert len(stored) == verdict["sent"] == verdict["acknowledged"]
    assert {document["wef"]["client"]["name"] for document in stored} == set(CLIENTS)
    assert [d["@timestamp"] for d in stored] == sorted(d["@timestamp"] for d in stored)

    found = wef("events", "search", "--channel", "security", "--format", "xml", "--json", folder=stage.folder).stdout
    xml = [row["xml"].replace("\r", "&#13;").replace("\n", "&#10;") for row in json_lines(found)]
    archived = "".join(path.read_text() for path in sorted((stage.folder / "archive").rglob("*.xml")))
    assert sorted(xml) == sorted(archived.splitlines()), "the file has the Security events and no others"

    eventually(lambda: len(json_lines(listed(stage, "sources"))) == 2, "both sources are listed")
    sources = json_lines(listed(stage, "sources"))
    assert {source["source"] for source in sources} == set(CLIENTS)
    assert {source["subscription"] for source in sources} == {"everything"}
    eventually(
        lambda: sum(row["events"] for row in json_lines(listed(stage, "sources"))) == len(stored), "events are counted"
    )
    assert {row["source"] for row in json_lines(listed(stage, "bookmarks"))} == set(CLIENTS)
    sinks = {row["sink"]: row for row in json_lines(listed(stage, "sinks"))}
    assert sinks["events"]["state"] == "delivering"
    assert "wef_events_acknowledged_total" in stage.metrics()
    assert stage.stop() == 0


def listed(stage: Stage, what: str) -> str:
    return wef(what, "list", "--json", folder=stage.folder).stdout


def test_commands_that_read_work_without_a_running_collector(stage: Stage) -> None:
    """An investigation may begin long after the machine was switched off."""
    verdict = run_fleet(stage)
    assert stage.stop() == 0

    assert len(json_lines(wef("events", "search", "--json", folder=stage.folder).stdout)) == verdict["sent"]
    assert len(json_lines(listed(stage, "sources"))) == 2
    assert {row["state"] for row in json_lines(listed(stage, "sinks"))} == {"stopped"}


def test_sighup_swaps_the_subscriptions_all_or_nothing(stage: Stage) -> None:
    """A typing error in one file must not stop the others at every source."""
    assert stage.process is not None
    good = stage.folder / "subscriptions" / "more.toml"

    good.write_text('name = "more"\n[[select]]\nchannel = "Setup"\n')
    stage.process.send_signal(signal.SIGHUP)
    eventually(lambda: "wef_subscriptions 2.0" in stage.metrics(), "the new subscription is there")

    good.write_text("name = [broken")
    stage.process.send_signal(signal.SIGHUP)
    eventually(lambda: "reload refused" in stage.log(), "the refusal is in the log")
    assert "wef_subscriptions 2.0" in stage.metrics()
    assert stage.stop() == 0


def test_sighup_renews_the_certificate_and_refuses_a_broken_one(stage: Stage) -> None:
    """A renewal every few months, by a script that may go wrong at night."""
    assert stage.process is not None
    folder = stage.folder
    first = served(stage)
    subscription = folder / "subscriptions" / "more.toml"
    subscription.write_text('name = "more"\n[[select]]\nchannel = "Setup"\n')
    good = (folder / "tls/server.pem").read_bytes()

    (folder / "tls/server.pem").write_bytes(good[: len(good) // 2])
    stage.process.send_signal(signal.SIGHUP)
    eventually(lambda: "reload refused" in stage.log(), "the refusal is in the log")
    assert served(stage) == first
    assert "wef_subscriptions 1.0" in stage.metrics(), "nothing of a broken reload takes effect"

    wef("tls", "init", "renewed", "--server", "localhost", "--clients", "0", folder=folder)
    (folder / "tls/server.key").write_bytes((folder / "renewed/server.key").read_bytes())
    (folder / "tls/server.pem").write_bytes((folder / "renewed/server.pem").read_bytes())
    stage.process.send_signal(signal.SIGHUP)
    eventually(lambda: served(stage) != first, "the new certificate is served")
    assert "wef_subscriptions 2.0" in stage.metrics()
    assert stage.stop() == 0


def served(stage: Stage) -> str:
    return ssl.get_server_certificate(("127.0.0.1", stage.port), timeout=10)


def test_two_collectors_never_share_a_state_folder(stage: Stage) -> None:
    """Two writers of one spool would both think that they are alone."""
    second = wef("serve", folder=stage.folder, check=False)

    assert second.returncode == 75
    assert str(stage.process.pid if stage.process else "") in second.stderr
    assert stage.stop() == 0


def test_a_taken_port_is_named(stage: Stage) -> None:
    """The most common mistake of the second start."""
    other = stage.folder / "other.toml"
    other.write_text((stage.folder / "collector.toml").read_text().replace("[listeners", 'state = "s2"\n[listeners', 1))

    second = wef("serve", "--config", "other.toml", folder=stage.folder, check=False)

    assert second.returncode == 69
    assert str(stage.port) in second.stderr + second.stdout or str(stage.monitoring) in second.stderr


def test_a_broken_subscription_stops_the_start_with_78(tmp_path: Path) -> None:
    """contract.md 2: better no collector than one that silently collects half."""
    stage = Stage.build(tmp_path, sinks=SINKS, channels=["Security"], clients=CLIENTS)
    (tmp_path / "subscriptions" / "broken.toml").write_text('name = "x"\nquerry = "*"\n')

    done = wef("serve", folder=stage.folder, check=False)

    assert done.returncode == 78
    assert "broken.toml" in done.stderr
    assert "Did you mean" in done.stderr


def test_the_demonstration_ends_with_a_good_verdict(tmp_path: Path) -> None:
    """The first minute of every user."""
    done = wef("demo", "--seconds", "3", "--state", str(tmp_path / "demo"), folder=tmp_path)

    verdict = json.loads(done.stdout.splitlines()[-1])
    assert list(verdict) == ["ok", "sent", "acknowledged", "stored", "duplicates", "refused", "seconds"]
    assert verdict["ok"] is True
    assert verdict["stored"] == verdict["sent"] > 100
    found = wef("events", "search", "--config", str(tmp_path / "demo/collector.toml"), "--limit", "3", folder=tmp_path)
    assert len(json_lines(found.stdout)) == 3
