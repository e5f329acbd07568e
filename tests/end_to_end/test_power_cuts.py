"""The main job, whole: real events over mutual TLS, a collector that is killed, and nothing lost."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.stage import WEF, Stage, json_lines, wef

SINKS = """
[sinks.events]
type = "events"
[sinks.archive]
type = "file"
path = "archive/{subscription}/{date}.jsonl"
"""
CHANNEL = re.compile(r"<Channel>([^<]*)</Channel>")
CLIENTS = [f"client{number}.lab.example" for number in range(1, 13)]
LIARS = [f"liar{number}.lab.example" for number in range(1, 4)]


def channels_of(events: Path) -> list[str]:
    """Every channel of a file, as the subscription has to name them."""
    found = {"Application"}
    with gzip.open(events, "rt", encoding="utf-8") as lines:
        for line in lines:
            match = CHANNEL.search(json.loads(line)["xml"])
            if match and match[1]:
                found.add(match[1])
    return sorted(found)


def simulate(stage: Stage, *options: str) -> subprocess.Popen[str]:
    tls = stage.folder / "tls"
    return subprocess.Popen(
        [*WEF, "simulate", "--url", stage.url, "--sources", str(len(CLIENTS)),
         "--ca", str(tls / "ca.pem"), "--cert", str(tls / "clients/{source}.pem"),
         "--key", str(tls / "clients/{source}.key"), "--json", *options],
        cwd=stage.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def through_power_cuts(stage: Stage, cuts: int, acknowledged: int, *options: str) -> int:
    """Kill the collector so often under a fleet's load, each time after so many Acks; how many events were sent."""
    stage.start()
    fleet = simulate(stage, *options)
    try:
        for _ in range(cuts):
            wait_until_acknowledged(stage, acknowledged)  # a killed collector counts from nought again
            stage.kill()
            stage.start()
        out, err = fleet.communicate(timeout=180)
    finally:
        fleet.kill()
        code = stage.stop()
    verdict = json.loads(out.splitlines()[-1])
    assert verdict["ok"], (verdict, err[-2000:])
    assert code == 0
    ids = [*stored_ids(stage), *(letter["event_id"] for letter in letters(stage, "events"))]
    assert len(ids) == verdict["sent"]
    assert len(set(ids)) == len(ids), "every event exactly once: in the embedded store, or as a letter to it"
    lines = {document["wef"]["event_id"] for document in archived(stage)}
    lines.update(letter["event_id"] for letter in letters(stage, "archive"))
    assert lines == set(ids), "every event at least once in the file, or as a letter to it, and none invented"
    return len(ids)


def letters(stage: Stage, sink: str) -> list[dict[str, Any]]:
    return json_lines(wef("letters", "list", "--sink", sink, "--json", folder=stage.folder).stdout)


def stored_ids(stage: Stage) -> list[str]:
    found = wef("events", "search", "--limit", "0", "--json", folder=stage.folder).stdout
    return [document["wef"]["event_id"] for document in json_lines(found)]


def archived(stage: Stage) -> list[dict[str, Any]]:
    return [
        document
        for path in sorted((stage.folder / "archive").rglob("*.jsonl"))
        for document in json_lines(path.read_text(encoding="utf-8"))
    ]


def count_lines(path: Path) -> int:
    with gzip.open(path, "rb") as lines:
        return sum(1 for _ in lines)


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_when_the_collector_is_killed_five_times(
    tmp_path: Path, shared_data: Path
) -> None:
    """8,000 real events, UTF-16 and SLDC over mutual TLS; kill -9 in the middle, five times over."""
    events = shared_data / "events" / "forwarder_style.jsonl.gz"
    stage = Stage.build(
        tmp_path, sinks=SINKS, channels=channels_of(events), clients=CLIENTS,
        subscription='compression = "sldc"\n[delivery]\nmax_latency = "1s"\nmax_items = 50\nconnection_retry = "1s"',
    )  # fmt: skip
    sent = through_power_cuts(stage, 5, 500, "--events", str(events), "--charset", "utf-16", "--rate", "700")

    assert sent == count_lines(events)


@pytest.mark.slow
def test_made_up_events_survive_two_power_cuts(tmp_path: Path) -> None:
    """The same promise where the real events are not at hand, and for events that are quarantined."""
    stage = Stage.build(
        tmp_path, sinks=SINKS, channels=["Security", "System", "Application"], clients=[*CLIENTS, *LIARS],
        subscription='[spoofing]\npolicy = "quarantine"\n'
        '[delivery]\nmax_latency = "1s"\nmax_items = 20\nconnection_retry = "1s"',
    )  # fmt: skip
    for liar, victim in zip(LIARS, CLIENTS, strict=False):
        for kind in ("pem", "key"):  # the machine that calls itself victim in its events proves to be somebody else
            shutil.copy(tmp_path / f"tls/clients/{liar}.{kind}", tmp_path / f"tls/clients/{victim}.{kind}")
    sent = through_power_cuts(stage, 2, 100, "--rate", "200", "--duration", "8", "--retry-interval", "1")

    assert sent > 200  # more than what was acknowledged before the cuts
    held = letters(stage, "events")
    assert len(held) == len(letters(stage, "archive")) > 0
    assert {letter["reason"].partition(":")[0] for letter in held} == {"computer"}
    assert {document["winlog"]["computer_name"].lower() for document in archived(stage)} == set(CLIENTS[len(LIARS) :])


def wait_until_acknowledged(stage: Stage, goal: int) -> None:
    give_up = time.monotonic() + 60
    while True:
        match = re.search(r"^wef_events_acknowledged_total (\S+)", stage.metrics(), re.MULTILINE)
        if match and float(match[1]) >= goal:
            return
        assert time.monotonic() < give_up, f"too few events are acknowledged:\n{stage.log()[-3000:]}"
        assert stage.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):  # asked without a pause it would do little else
            stage.process.wait(0.1)
