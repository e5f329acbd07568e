"""On which line of a TOML file a key stands; the TOML parser does not say.

A guess that is right for files as people write them: one key a line, tables in brackets.
Where it finds nothing it answers with the nearest table, or None.
"""

from __future__ import annotations

import re

_TABLE = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_ELEMENT = re.compile(r"\s*\[\[([^\[\]]+)\]\]\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-.\"']+)\s*=")


def line_of(text: str, location: tuple[str | int, ...]) -> int | None:
    """The line (from 1) of the key at *location*; an int counts the elements of ``[[tables]]``, from 0."""
    best, best_depth = None, 0
    for number, where in _keys(text):
        depth = len(where)
        if where == location[:depth] and depth > best_depth:
            best, best_depth = number, depth
    return best


def _keys(text: str) -> list[tuple[int, tuple[str | int, ...]]]:
    """Every table and key with its line."""
    found: list[tuple[int, tuple[str | int, ...]]] = []
    table: tuple[str | int, ...] = ()
    counts: dict[str, int] = {}
    quote = ""  # the triple quote of a text that is still open
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            quote = "" if quote in line else quote
            continue
        if match := _ELEMENT.match(line):
            name = match[1].strip()
            counts[name] = counts.get(name, -1) + 1
            table = (*_parts(name), counts[name])
            found.append((number, table))
        elif match := _TABLE.match(line):
            table = _parts(match[1])
            found.append((number, table))
        elif match := _KEY.match(line):
            found.append((number, (*table, *_parts(match[1]))))
            quote = _opened(line)
    return found


def _opened(line: str) -> str:
    """The triple quote that *line* opens and does not close."""
    return next((mark for mark in ("'''", '"""') if line.count(mark) == 1), "")


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.split("."))
