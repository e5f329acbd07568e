"""Which file an event belongs to, and which span of time a file can hold. Arithmetic and names only.

A file is one UTC day of the events' own time. Days far from the time of receipt share a file
for each year: a source with a wild clock, or with years of old logs, would otherwise make a
file for every event it sends. What has no usable time is in ``undated``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

DAY = 86_400 * 10**9
"""Nanoseconds in a day."""

LATEST = 2**63 - 1
"""The last nanosecond that SQLite's integers can name (2262-04-11)."""

PAST_DAYS = 60
"""Events at most this old when they arrive get a file for their day: twice the default retention."""

FUTURE_DAYS = 2
"""Events at most this far ahead get one: clocks are wrong by hours often, by days rarely."""

UNDATED = "undated"
SUFFIX = ".sqlite"
_NAME = re.compile(r"(\d{4})(?:-(\d\d)-(\d\d))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 2262


@dataclass(frozen=True, slots=True)
class Span:
    """A store file: its name without suffix, and the first and last nanosecond of the events it may hold."""

    name: str
    first: int
    last: int

    @property
    def one_day(self) -> bool:
        return len(self.name) == len("2026-01-01")


def nanoseconds(moment: datetime) -> int:
    """An aware time as whole nanoseconds since 1970."""
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 10**9 + passed.microseconds * 1000


def file_name(time: int, received: int, existing: Collection[str]) -> str:
    """The file of an event of *time* that came at *received* (both ns), given the files that exist.

    A day that has a file keeps it, so that a late duplicate meets its original.
    """
    if not 0 < time <= LATEST:
        return UNDATED
    day = time // DAY
    name = _day_name(day)
    ahead = day - received // DAY
    return name if -PAST_DAYS <= ahead <= FUTURE_DAYS or name in existing else name[:4]


def stored_time(time: int, received: int) -> int:
    """What the store sorts by: the event's time, or the time of receipt, which is then its ``@timestamp``."""
    return received if time == 0 else max(-LATEST, min(time, LATEST))


@lru_cache(maxsize=4096)
def _day_name(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def span(name: str) -> Span | None:
    """What the file *name* (without suffix) may hold; None when it is no name of ours."""
    if name == UNDATED:
        return Span(name, -LATEST, LATEST)
    match = _NAME.fullmatch(name)
    if match is None or not 1970 <= int(match[1]) <= _LAST_YEAR:
        return None
    year = int(match[1])
    try:
        first = date(year, int(match[2] or 1), int(match[3] or 1))
    except ValueError:  # 2026-02-30
        return None
    after = first + timedelta(days=1) if match[2] else date(year + 1, 1, 1)
    start, end = ((day - _EPOCH.date()).days * DAY for day in (first, after))
    return Span(name, start, min(end - 1, LATEST))


def spans(folder: Path) -> list[Span]:
    """The files of a store folder, oldest first; foreign files are not ours to read."""
    found = (span(path.name.removesuffix(SUFFIX)) for path in folder.glob(f"*{SUFFIX}"))
    return sorted((known for known in found if known is not None), key=lambda known: (known.first, known.name))
