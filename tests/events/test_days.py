"""Claims about which file an event lies in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.events.days import DAY, LATEST, UNDATED, file_name, nanoseconds, span, spans, stored_time
from tests.events.made import NOON


def at(year: int, month: int, day: int) -> int:
    return nanoseconds(datetime(year, month, day, tzinfo=UTC))


def test_the_day_is_the_events_own_in_utc() -> None:
    """The last nanosecond of a day and the first of the next lie in two files, whatever the machine's zone is."""
    midnight = at(2026, 3, 10)

    assert file_name(midnight - 1, NOON, ()) == "2026-03-09"
    assert file_name(midnight, NOON, ()) == "2026-03-10"


@pytest.mark.parametrize("time", [0, -1, LATEST + 1, 2**80])
def test_times_that_no_file_can_name_are_undated(time: int) -> None:
    """A hostile clock can say anything; the store has one place for all of it."""
    assert file_name(time, NOON, ()) == UNDATED
    assert abs(stored_time(time, NOON)) <= LATEST


def test_wild_clocks_cannot_make_a_file_for_every_day() -> None:
    """One batch could name a hundred thousand days; far ones share a file for each year."""
    wild = {file_name(day * DAY + 1, NOON, ()) for day in range(LATEST // DAY)}

    assert len(wild) < 400
    assert "1999" in wild


def test_a_day_that_has_a_file_keeps_it() -> None:
    """A duplicate that comes months later meets its original in the same file."""
    old = at(2025, 1, 2) + 3

    assert file_name(old, NOON, ()) == "2025"
    assert file_name(old, NOON, {"2025-01-02"}) == "2025-01-02"


def test_a_span_covers_its_day_or_year_to_the_nanosecond() -> None:
    """Search leaves out files by their span; one nanosecond short would lose events."""
    day, year = span("2024-02-29"), span("2024")

    assert day is not None
    assert (day.first, day.last) == (at(2024, 2, 29), at(2024, 3, 1) - 1)
    assert year is not None
    assert (year.first, year.last) == (at(2024, 1, 1), at(2025, 1, 1) - 1)


def test_foreign_files_are_no_spans(tmp_path: Path) -> None:
    """What somebody else put into the folder is neither searched nor dropped."""
    for name in ("2026-02-30.sqlite", "notes.sqlite", "2026-03-01.sqlite", "2026-03-01.sqlite-wal", "0001.sqlite"):
        (tmp_path / name).touch()

    assert [known.name for known in spans(tmp_path)] == ["2026-03-01"]
