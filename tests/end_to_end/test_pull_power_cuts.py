"""Pulled through power cuts: what a machine considers handed over is kept, wherever the collector was when it died."""

from __future__ import annotations

import fcntl
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from collector.simulate.host_fleet import ServeOptions
from collector.simulate.population import FleetOptions
from tests.end_to_end import holdings
from tests.end_to_end.holdings import in_archive, require_all, require_none_invented, require_once
from tests.end_to_end.machines import Machines, calling, documents, hosts_of
from tests.end_to_end.stage import Stage, json_lines, wef

pytestmark = pytest.mark.slow

SINKS = """
[sinks.events]
type = "events"
[sinks.archive]
type = "file"
path = "archive/{computer}/{date}.jsonl"
"""
HELD_UP = SINKS + '[sinks.pipe]\ntype = "stdout"\npatience = "10m"\n'
QUICKLY = '[delivery]\nmax_latency = "1s"\nheartbeat = "10s"\nmax_items = 20\n'
MOODS = {
    "cut": 0.02, "cut-header": 0.02, "cut-body": 0.02, "cut-answer": 0.02, "garbage": 0.02, "doubled": 0.05,
    "backwards": 0.03, "unmarked": 0.03, "expired": 0.03, "relates": 0.02, "close": 0.02, "slow": 0.03,
}  # fmt: skip
CUTS = 5


def kept(stage: Stage, machines: Machines) -> None:
    """The promise, read back from the files and from the store; the collector has ended."""
    happened, handed_over = machines.happened(), machines.acknowledged()
    archive, store = in_archive(stage.folder / "archive"), [holdings.identified(one) for one in documents(stage)]
    for where, held in (("the archive", archive), ("the store", store)):
        require_all(where, held, handed_over)
        require_none_invented(where, held, happened)
    require_once("the store", store)
    assert {one.name for one in store} == {one.name for one in archive}


def test_nothing_is_lost_when_the_collector_is_killed_five_times_among_moody_machines(tmp_path: Path) -> None:
    """kill -9 anywhere, cut connections, answers that lie, contexts that expire, reboots: one seed, one promise."""
    options = ServeOptions(
        FleetOptions("", sources=6, rate=100.0, duration=12.0, seed=8, reboots=3, away=0.3, history=20),
        hosts=hosts_of(tmp_path),
        moods=MOODS,
    )
    stage, machines = calling(tmp_path, sinks=SINKS, subscription=QUICKLY), Machines(options)
    machines.start()
    stage.start()
    try:
        for _ in range(CUTS):
            before = machines.count()
            machines.until(lambda: machines.count() >= before + 100, "the machines get rid of 100 events", stage.log)  # noqa: B023
            stage.kill()
            stage.start()
        verdict, notes = machines.end()
    finally:
        machines.abandon()
        code = stage.stop()

    assert verdict.ok, (verdict, notes, stage.log()[-3000:])
    assert code == 0
    assert verdict.sent > (CUTS + 1) * 100
    assert verdict.duplicates > 0, "nothing came twice, so nothing was cut"
    kept(stage, machines)


class Pipe:
    """A collector's standard output. Until ``flow`` nothing is read, and its sink waits in the middle of a batch."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)
        self._thread: threading.Thread | None = None

    def flow(self) -> None:
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No collector has it any more."""
        os.close(self.writing)
        if self._thread is not None:
            self._thread.join()
        os.close(self._reading)

    def _drain(self) -> None:
        while os.read(self._reading, 65536):
            pass


def test_killed_between_the_sinks_and_the_bookmark_it_asks_for_the_same_again(tmp_path: Path) -> None:
    """The very place: files and store have the answer, the bookmark has not, and no other Pull was sent."""
    options = ServeOptions(FleetOptions("", sources=1, rate=50.0, duration=3.0, history=50), hosts=hosts_of(tmp_path))
    stage, machines = calling(tmp_path, sinks=HELD_UP, subscription=QUICKLY), Machines(options)
    machines.start()
    try:
        for _ in range(3):
            held_up = Pipe()
            stage.start(stdout=held_up.writing)
            expected = Counter(in_archive(stage.folder / "archive"))

            def written() -> bool:
                more = Counter(in_archive(stage.folder / "archive")) - expected  # noqa: B023
                names = {held.name for held in more}
                return bool(names) and names == machines.under_way()

            machines.until(written, "the file has what the last answer brought", stage.log)
            assert machines.count() == 0, "it was asked for more, so it forgot"
            assert not bookmarks(stage)
            stage.kill()
            held_up.close()
        flowing = Pipe()
        flowing.flow()
        stage.start(stdout=flowing.writing)
        verdict, notes = machines.end()
    finally:
        machines.abandon()
        code = stage.stop()
    flowing.close()

    assert verdict.ok, (verdict, notes, stage.log()[-3000:])
    assert code == 0
    kept(stage, machines)
    times = Counter(in_archive(stage.folder / "archive")).values()
    assert max(times) == 4, "once in each life"


def test_killed_between_the_bookmark_and_the_next_pull_nothing_comes_twice(tmp_path: Path) -> None:
    """The machine does not know yet that we have it; the bookmark that we begin with says so."""
    options = ServeOptions(FleetOptions("", sources=1, rate=1.0, duration=1.0, history=50), hosts=hosts_of(tmp_path))
    stage = calling(tmp_path, sinks=SINKS, subscription='[delivery]\nheartbeat = "6s"\n')
    machines = Machines(options)
    machines.start()
    stage.start()
    try:
        machines.until(lambda: bookmarks(stage) != [], "there is a bookmark", stage.log)
        stage.kill()
        stage.start()
        verdict, notes = machines.end()
    finally:
        machines.abandon()
        code = stage.stop()

    assert verdict.ok, (verdict, notes, stage.log()[-3000:])
    assert code == 0
    assert verdict.duplicates == 0
    kept(stage, machines)
    require_once("the archive", in_archive(stage.folder / "archive"))


def bookmarks(stage: Stage) -> list[dict[str, Any]]:
    return json_lines(wef("bookmarks", "list", "--json", folder=stage.folder).stdout)
