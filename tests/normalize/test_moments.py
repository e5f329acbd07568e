"""Times as Windows and its tools write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.normalize.moments import Moment, moment

SECOND = 1772600761  # 2026-03-04T05:06:01Z
NANO = 10**9


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-04T05:06:01Z", SECOND * NANO),
        ("2026-03-04T05:06:01.123Z", SECOND * NANO + 123_000_000),
        ("2026-03-04T05:06:01.1234567Z", SECOND * NANO + 123_456_700),
        ("2026-03-04T05:06:01.123456789Z", SECOND * NANO + 123_456_789),
        ("2026-03-04T07:06:01.5+02:00", SECOND * NANO + 500_000_000),
        ("2026-03-03T23:36:01-05:30", SECOND * NANO),
        ("1601-01-01T00:00:00.0000000Z", 0),
        ("1969-12-31T23:59:59Z", 0),
        ("9999-12-31T23:59:59.9999999Z", 0),
    ],
)
def test_times_are_kept_as_given_and_counted_in_full(text: str, time: int) -> None:
    """What is RFC 3339 stays untouched; what is out of range is a time, but one that counts for nothing."""
    assert moment(text) == Moment(text, time)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2026-03-04 05:06:01.123456", "2026-03-04T05:06:01.123456Z"),
        ("2026-03-04T05:06:01", "2026-03-04T05:06:01Z"),
        ("2026-03-04T05:06:01.1234567899Z", "2026-03-04T05:06:01.123456789Z"),
    ],
)
def test_what_is_nearly_rfc_3339_is_made_so(text: str, spelled: str) -> None:
    """Re-rendering tools write blanks and leave the zone out; a date field would refuse that."""
    found = moment(text)
    assert found is not None
    assert found.text == spelled
    assert found.time // NANO == SECOND


@pytest.mark.parametrize(
    "text", ["", "now", "2026-02-30T00:00:00Z", "2026-03-04T24:00:00Z", "2026-03-04", "20260304T050601Z", "2026-W10-3",
             "2026-03-04T05:06:01.Z", "2026-03-04T05:06:01.1_2Z", "2026-03-04T05:06:01.٣Z", "2026-03-04T05:06:01.1z1Z",
             "9" * 100],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment(text) is None


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2261, 12, 31)))  # noqa: DTZ001 - the zone is added below
def test_any_moment_is_counted_as_datetime_counts_it(when: datetime) -> None:
    """Our own arithmetic, checked against the standard library's."""
    when = when.replace(tzinfo=UTC)
    found = moment(when.isoformat().replace("+00:00", "Z"))
    assert found is not None
    assert found.time // 1000 == (when - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
