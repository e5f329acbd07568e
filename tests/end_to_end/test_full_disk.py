"""The state's disk fills up under load: sources wait, and everything goes on by itself when there is room again."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import absent
from tests.end_to_end.stage import WEF, Stage, json_lines, wef

pytestmark = pytest.mark.slow

CLIENTS = ["ws-0001.lab.example", "ws-0002.lab.example"]
SINKS = """
[sinks.events]
type = "events"
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own, where root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        absent("a small disk of its own can be mounted by root only; run the tests as root to see it filled")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], check=False)
    if mounted.returncode != 0:
        absent("this machine lets nobody mount a small disk, so it was not filled")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_makes_sources_wait_and_costs_nothing(tmp_path: Path, small_disk: Path) -> None:
    """503 while it is full, an alarm in the log, and no restart when somebody has made room."""
    folder = tmp_path / "site"
    folder.mkdir()
    stage = Stage.build(
        folder, sinks=SINKS, channels=["Security", "System", "Application"], clients=CLIENTS,
        settings=f'state = "{small_disk}"\n', subscription='[delivery]\nmax_latency = "1s"\nconnection_retry = "1s"',
    )  # fmt: skip
    config = folder / "collector.toml"
    config.write_text(config.read_text().replace('min_free = "10MiB"', 'min_free = "4MiB"'))
    stage.start()
    fleet = subprocess.Popen(
        [*WEF, "simulate", "--url", stage.url, "--sources", "2", "--rate", "100", "--duration", "12", "--json",
         "--retry-interval", "1", "--ca", "tls/ca.pem", "--cert", "tls/clients/{source}.pem",
         "--key", "tls/clients/{source}.key"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    filler = small_disk / "filler"
    try:
        wait_for(lambda: "wef_events_acknowledged_total 0.0" not in stage.metrics(), "something is acknowledged")
        fill(filler)
        wait_for(lambda: "state trouble" in stage.log(), "the alarm is in the log")
        wait_for(lambda: 'wef_refusals_total{reason="backpressure"} ' in stage.metrics(), "a batch is refused")
        filler.unlink()
        wait_for(lambda: "state works again" in stage.log(), "it has recovered by itself")
        out, err = fleet.communicate(timeout=90)
    finally:
        fleet.kill()
        filler.unlink(missing_ok=True)
        code = stage.stop()
    verdict = json.loads(out.splitlines()[-1])
    assert verdict["ok"], (verdict, err[-1500:], stage.log()[-1500:])
    assert code == 0
    stored = [d["wef"]["event_id"] for d in json_lines(wef("events", "search", "--json", folder=folder).stdout)]
    assert len(stored) == len(set(stored)) == verdict["sent"]


def fill(filler: Path) -> None:
    """Take all the room there is, to the last byte."""
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def wait_for(condition: object, what: str) -> None:
    give_up = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < give_up, what
        os.sched_yield()
