"""What is searched for, as a value, and how it is read from the texts of a command line.

It knows no file and no document: ``rows`` asks the columns, ``matching`` asks the documents.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from collector.errors import OperatorError
from collector.events.times import parse_time

LEVELS = {
    "critical": ((1, 1),),
    "error": ((2, 2),),
    "warning": ((3, 3),),
    "warn": ((3, 3),),
    "information": ((0, 0), (4, 4)),  # level 0 is written "information" as well (normalization.md 7.1)
    "info": ((0, 0), (4, 4)),
    "verbose": ((5, 5),),
}
"""The names of winmeta's levels, and the numbers that events carry for them."""

USAGE = 64
_NUMBERS = re.compile(r"(\d{1,10})(?:\s*-\s*(\d{1,10}))?")

Range = tuple[int, int]
"""From, to; both belong to it."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Filters, all of which must agree; an empty one agrees with everything, values of one are alternatives.

    *since* and *until* are nanoseconds since 1970, both belong to the time asked for. Texts are globs
    without regard to case. *field* holds (dotted name, glob) pairs and *text* words: all of them must be found.
    *limit*: the newest so many; 0: all.
    """

    since: int | None = None
    until: int | None = None
    computer: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    event_id: tuple[Range, ...] = ()
    level: tuple[Range, ...] = ()
    user: tuple[str, ...] = ()
    field: tuple[tuple[str, str], ...] = ()
    text: tuple[str, ...] = ()
    limit: int = 0


def parse_query(
    now: datetime,
    *,
    times: tuple[str | None, str | None] = (None, None),
    names: dict[str, Sequence[str]] | None = None,
    numbers: dict[str, Sequence[str]] | None = None,
    field: Sequence[str] = (),
    text: Sequence[str] = (),
    limit: int = 0,
) -> SearchQuery:
    """A query from what was typed. *times*: since, until; *names*: computer, channel, provider, user;
    *numbers*: event_id, level. Lists may be repeated or separated by commas.

    Raises ``OperatorError`` (64) with a sentence for everything that cannot be understood.
    """
    problems: list[str] = []
    since, until = (
        _time(option, value, now, problems) for option, value in zip(("--since", "--until"), times, strict=True)
    )
    if since is not None and until is not None and since > until:
        problems.append(f"--since {times[0]} is later than --until {times[1]}; nothing can lie between them.")
    names, numbers = names or {}, numbers or {}
    query = SearchQuery(
        since,
        until,
        computer=_parts(names.get("computer", ())),
        channel=_parts(names.get("channel", ())),
        provider=_parts(names.get("provider", ())),
        event_id=_ranges("--event-id", numbers.get("event_id", ()), problems),
        level=_ranges("--level", numbers.get("level", ()), problems),
        user=_parts(names.get("user", ())),
        field=tuple(_field(pair, problems) for pair in field),
        text=tuple(word for words in text for word in words.split()),
        limit=limit,
    )
    if limit < 0:
        problems.append(f"--limit {limit}: it cannot be negative; 0 means all.")
    if problems:
        raise OperatorError(*problems, exit_code=USAGE)
    return query


class Glob:
    """Globs of which any may match a whole text, without regard to case: STRASSE is also straße, as ? is its ß."""

    __slots__ = ("_ascii", "_folded", "_written")

    def __init__(self, patterns: Iterable[str]) -> None:
        written = tuple(patterns)
        self._ascii = all(map(str.isascii, written))
        self._written = _expression(written)
        self._folded = _expression([pattern.casefold() for pattern in written])

    def match(self, text: str) -> bool:
        if self._written.match(text) is not None:
            return True
        if self._ascii and text.isascii():  # then folding changes nothing more
            return False
        return self._folded.match(text.casefold()) is not None


def _expression(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns), re.IGNORECASE)


def _time(option: str, text: str | None, now: datetime, problems: list[str]) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text, now)
    except ValueError as error:
        problems.append(f"{option}: {error}.")
        return None


def _parts(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _ranges(option: str, values: Sequence[str], problems: list[str]) -> tuple[Range, ...]:
    found: list[Range] = []
    for part in _parts(values):
        if option == "--level" and part.lower() in LEVELS:
            found.extend(LEVELS[part.lower()])
            continue
        match = _NUMBERS.fullmatch(part)
        if match is None:
            also = f" or one of {', '.join(LEVELS)}" if option == "--level" else ""
            problems.append(f'{option}: {part!r} is no number; write "4624", "4720-4729"{also}.')
            continue
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            problems.append(f"{option}: the range {part} is empty; write {high}-{low}.")
        found.append((low, high))
    return tuple(found)


def _field(pair: str, problems: list[str]) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name.strip():
        problems.append(f"--field {pair!r}: write NAME=VALUE, for example winlog.event_data.LogonType=10.")
    return name.strip(), value
