"""Names and values of EventData and UserData -> what a document can hold.

Keys are made safe for Elasticsearch and nothing else is touched: ``-``, ``0x1f4``, ``%%1833`` and
SIDs stay the strings they are (normalization.md 4.3-4.5). Knows neither XML nor documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from collector.kernel.fields import Pairs

MOST_KEYS = 200
"""Keys of one event; 42 is the most seen in 41,448 real ones. Elasticsearch counts every new key of an index."""
LONGEST_KEY = 128

_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f]+")


def clean_key(name: str) -> str:
    """*name* without dots (Elasticsearch makes objects of them), control characters and surrounding blanks."""
    return _clean(name) if len(name) <= LONGEST_KEY else _clean(name[: 2 * LONGEST_KEY])


@lru_cache(
    maxsize=4096
)  # 777 names in 41,448 real events; what a hostile source makes up is short and pushed out again
def _clean(name: str) -> str:
    key = name.replace(".", "_")
    if not key.isprintable():
        key = _CONTROL.sub(" ", key)
    return key.strip()[:LONGEST_KEY].strip()


def tidy(value: str) -> str:
    """Line ends as LF, none at the end; nothing else. Sigma rules match on the rest."""
    if "\r" in value:
        value = value.replace("\r\n", "\n")
    return value.rstrip("\n") if value.endswith("\n") else value


def collect(pairs: Pairs) -> tuple[dict[str, Any], list[str], str]:
    """The pairs by key, the values that have no name, and what was too much, a line each.

    A name that is empty or ``Data`` becomes ``param<i>``, i counted from 1 over all children; an
    empty value is dropped; the first of two equal keys wins.
    """
    found: dict[str, Any] = {}
    unnamed, overflow = [], []
    for position, (name, value) in enumerate(pairs, 1):
        if not value:
            continue
        key = clean_key(name)
        value = tidy(value)
        if key in ("", "Data"):
            key = f"param{position}"
            unnamed.append(value)
        if key in found:
            continue
        if len(found) < MOST_KEYS:
            found[key] = value
        else:
            overflow.append(f"{key}={value}")
    return found, unnamed, "\n".join(overflow)


def add_nested(found: dict[str, Any], nested: Pairs) -> None:
    """Values of deeper elements and of attributes, under keys that *found* has not; a repeated key gets a list."""
    added: dict[str, list[str]] = {}
    for name, value in _cleaned(nested):
        if name not in found and (name in added or len(found) + len(added) < MOST_KEYS):
            added.setdefault(name, []).append(value)
    for name, values in added.items():
        found[name] = values[0] if len(values) == 1 else values


def _cleaned(nested: Pairs) -> Iterable[tuple[str, str]]:
    for name, value in nested:
        key = clean_key(name)
        if key and value:
            yield key, tidy(value)
