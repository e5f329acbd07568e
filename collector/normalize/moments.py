"""SystemTime as Windows writes it -> nanoseconds, with every digit that was given.

``datetime`` ends at microseconds, so the fraction is counted here. Knows texts and numbers only.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

_FORM = re.compile(
    r"(\d{4}-(?:0[1-9]|1[0-2])-\d\d)([T ])([01]\d|2[0-3]):([0-5]\d):([0-5]\d)"
    r"(?:\.(\d{1,9})\d*)?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?",
    re.ASCII,
)
_LONGEST = 64
_EPOCH = date(1970, 1, 1).toordinal()
_NANOSECONDS = 10**9
FIRST_YEAR, LAST_YEAR = 1970, 2261
"""What a signed 64-bit count of nanoseconds holds. FILETIME 0, the year 1601, is how Windows writes "unknown"."""


class Moment(NamedTuple):
    """*text* is RFC 3339, as given wherever it was that already; *time* is ns since 1970 (UTC), 0: out of range."""

    text: str
    time: int


def moment(given: str) -> Moment | None:
    """The moment that *given* names, None when it names none."""
    fraction = given[20:-1]
    if given[10:11] == "T" and given[19:20] == "." and given[-1:] == "Z" and 0 < len(fraction) <= 9:
        # How Windows writes it. Events come in bursts: the second has mostly been seen a moment ago.
        second = _second(given[:19])
        if second is not None and fraction.isdecimal() and fraction.isascii():
            return Moment(given, second * _NANOSECONDS + int(fraction) * 10 ** (9 - len(fraction)))
    return _moment(given)


def _moment(given: str) -> Moment | None:
    """The general way: any number of digits, offsets, a blank for the T."""
    match = _FORM.fullmatch(given) if len(given) <= _LONGEST else None
    day = _day(match[1]) if match else None
    if match is None or day is None:
        return None
    _, letter, hour, minute, second, fraction, zone = match.groups()
    time = ((day * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second) - _offset(zone)
    time = time * _NANOSECONDS + (int(fraction.ljust(9, "0")) if fraction else 0)
    text = given
    if letter == " " or zone is None or len(fraction or "") == 9:  # not RFC 3339, or maybe more than nine digits
        text = f"{match[1]}T{hour}:{minute}:{second}{'.' + fraction if fraction else ''}{zone or 'Z'}"
    return Moment(text, time if FIRST_YEAR <= int(given[:4]) <= LAST_YEAR and time > 0 else 0)


@lru_cache(maxsize=4096)
def _second(text: str) -> int | None:
    """Seconds since 1970 of a date and time without fraction and zone; None: none, or one that stands for nothing."""
    found = _moment(text)
    return found.time // _NANOSECONDS if found and found.time else None


@lru_cache(maxsize=4096)  # days repeat; eleven years of them, should somebody replay that much
def _day(text: str) -> int | None:
    """Days since 1970."""
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError:
        return None


def _offset(zone: str | None) -> int:
    """Seconds east of Greenwich. Windows writes UTC; re-rendering tools leave the zone out and mean UTC."""
    if zone is None or zone == "Z":
        return 0
    seconds = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60
    return -seconds if zone[0] == "-" else seconds
