"""The composition root: what it watches, and that what it promises depends on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.app import DATABASE, DISK, Collector, Health
from collector.cli.settings import load_settings
from collector.errors import Backpressure
from collector.kernel import selection
from tests.conftest import absent

SETTINGS = """
min_free = "1KiB"
[monitoring]
port = 0
[sinks.nothing]
type = "null"
"""
ASKING = 'name = "{}"\ncompression = "{}"\n[[select]]\nchannel = "Security"\n'


@pytest.fixture(autouse=True)
def _the_kernel_as_before() -> Iterator[None]:
    yield
    selection.choose(pure=os.environ.get("WEF_KERNEL") == "pure")


async def said_at_start(folder: Path) -> list[Any]:
    """The log lines of a collector that starts and stops in *folder*."""
    (folder / "subscriptions").mkdir()
    (folder / "subscriptions" / "one.toml").write_text(ASKING.format("one", "none"))
    (folder / "subscriptions" / "two.toml").write_text(ASKING.format("two", "sldc"))
    (folder / "collector.toml").write_text(SETTINGS)
    collector = Collector(load_settings(str(folder / "collector.toml")))
    with capture_logs() as lines:
        await collector.start()
        await collector.stop("test")
    return [line for line in lines if "kernel" in line["event"]]


def refused(health: Health) -> str:
    """Why a batch would be refused, or ``""``."""
    try:
        health.require()
    except Backpressure as error:
        return f"{error.reason}: {error}"
    return ""


def test_room_on_the_disk_does_not_mend_a_database_that_cannot_be_written() -> None:
    """Both are looked at every second; one must not hide the other, nor fill the log with ups and downs."""
    health = Health()
    health.report(DATABASE, "it cannot be written")

    health.report(DISK, "")
    assert refused(health) == "state: it cannot be written"

    health.report(DISK, "it is full")
    health.report(DATABASE, "")
    assert refused(health) == "state: it is full"

    health.report(DISK, "")
    assert refused(health) == ""


def test_a_trouble_is_said_once_and_so_is_its_end() -> None:
    """One line when the state breaks and one when it works again is what an alert can be built on."""
    health = Health()
    with capture_logs() as lines:
        for _ in range(3):
            health.report(DATABASE, "it cannot be written")
            health.report(DISK, "")
        health.report(DATABASE, "")
        health.report(DATABASE, "")

    assert [line["event"] for line in lines] == [
        "state trouble: batches are refused until it is mended",
        "state works again",
    ]


def test_a_collector_that_stops_accepts_nothing() -> None:
    """What is accepted now might not be safe before the process ends."""
    health = Health()
    health.closing = True

    with pytest.raises(Backpressure, match="shutting down"):
        health.require()


async def test_a_collector_without_the_compiled_kernel_says_so_and_what_it_costs_most(tmp_path: Path) -> None:
    """It works as well and several times slower; who looks for the reason finds it in the first lines of the log."""
    selection.choose(pure=True)

    [line] = await said_at_start(tmp_path)

    assert (line["log_level"], line["reason"], line["asked_for_sldc"]) == ("warning", "chosen", "two")


async def test_a_collector_with_the_compiled_kernel_says_nothing_of_it(tmp_path: Path) -> None:
    """That is how it should be."""
    selection.choose(pure=False)
    if selection.active() != "compiled":
        absent(f"the compiled kernel is not there: {selection.reason()}")

    assert await said_at_start(tmp_path) == []
