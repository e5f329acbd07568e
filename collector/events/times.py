"""Times as people write them on a command line: RFC 3339, a date, or so long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from collector.config.units import parse_duration
from collector.events.days import nanoseconds

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?\s*([Zz]|[+-]\d\d:?\d\d)?)?")
_AGO = re.compile(r"-?\s*(\d+(?:\.\d+)?\s*(?:ms|s|m|h|d))(?:\s+ago)?")
_WEEKS = re.compile(r"-?\s*(\d+)\s*w(?:\s+ago)?")


def parse_time(text: str, now: datetime) -> int:
    """Nanoseconds since 1970 of ``2026-01-31``, ``2026-01-31T08:00:00Z``, ``1h``, ``-30m``, ``2h ago``, ``now``.

    A time without a zone is UTC, a date its midnight. Raises ValueError with a sentence.
    """
    written = text.strip()
    if written == "now":
        return nanoseconds(now)
    if match := _WEEKS.fullmatch(written):
        written = f"{int(match[1]) * 7}d"
    try:
        if match := _AGO.fullmatch(written):
            return nanoseconds(now - timedelta(seconds=parse_duration(match[1])))
        if match := _STAMP.fullmatch(written):
            return _stamp(match)
    except (ValueError, OverflowError) as error:  # February 30th, or a million years ago
        raise _no_time(text) from error
    raise _no_time(text)


def _stamp(match: re.Match[str]) -> int:
    day, minute, second, fraction, zone = match.groups()
    leap = second == "60"  # RFC 3339 5.7 allows it; it is the second before, and one more
    moment = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{'59' if leap else second or '00'}")
    moment = moment.replace(tzinfo=UTC)
    if zone and zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        moment -= (1 if zone[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes)
    return nanoseconds(moment) + leap * 10**9 + int((fraction or "0").ljust(9, "0"))


def _no_time(text: str) -> ValueError:
    return ValueError(
        f'{text!r} is no time; write "2026-01-31", "2026-01-31T08:00:00Z", or how long ago: "30m", "12h", "7d"'
    )
