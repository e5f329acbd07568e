"""Claims about times on the command line."""

from __future__ import annotations

import pytest

from collector.errors import OperatorError
from collector.events.filters import parse_query
from collector.events.times import parse_time
from tests.events.made import NOON, RECEIVED, SECOND


@pytest.mark.parametrize(
    ("text", "ago"),
    [("1h", 3600), ("-1h", 3600), ("2h ago", 7200), ("30m", 1800), ("7d", 7 * 86400), ("2w", 14 * 86400), ("now", 0)],
)
def test_a_duration_means_so_long_ago(text: str, ago: int) -> None:
    """People type what they mean: the last hour."""
    assert parse_time(text, RECEIVED) == NOON - ago * SECOND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-10", NOON - 12 * 3600 * SECOND),
        ("2026-03-10T12:00:00Z", NOON),
        ("2026-03-10 12:00", NOON),
        ("2026-03-10T13:30:00+01:30", NOON),
        ("2026-03-10T04:00:00.000000001-0800", NOON + 1),
        ("2026-03-10T12:00:00.1234567Z", NOON + 123_456_700),
    ],
)
def test_rfc_3339_is_read_to_the_nanosecond(text: str, expected: int) -> None:
    """Windows writes seven digits, servers nine; a bound that loses digits loses events."""
    assert parse_time(text, RECEIVED) == expected


@pytest.mark.parametrize("text", ["", "yesterday-ish", "2026-02-30", "10", "2026-03-10T25:00:00Z", "99999999999d"])
def test_what_is_no_time_is_refused_with_what_would_be_one(text: str) -> None:
    """A bad filter that is silently ignored answers another question."""
    with pytest.raises(ValueError, match="is no time; write"):
        parse_time(text, RECEIVED)


def test_every_problem_of_a_query_is_told_at_once() -> None:
    """Exit code 64, and a sentence for each mistake."""
    with pytest.raises(OperatorError) as caught:
        parse_query(
            RECEIVED,
            times=("soon", None),
            numbers={"event_id": ["x", "9-3"], "level": ["loud"]},
            field=["LogonType"],
            limit=-1,
        )

    assert caught.value.exit_code == 64
    assert len(caught.value.problems) == 6
