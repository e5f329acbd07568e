"""The composition root: what it watches, and that what it promises depends on it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from collector.app import DATABASE, DISK, Health
from collector.errors import Backpressure


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
