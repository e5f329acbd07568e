"""What every format is made of: its row in the table, JSON that never fails, and records from lines.

It knows no particular format.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from collector.model import Records
from collector.normalize import Block, Harvest

Drop = tuple[str, ...]
"""Dotted names of fields that a sink does not want."""


@dataclass(frozen=True, slots=True)
class Format:
    """A row of FORMATS. *lines*: a harvest -> one record for each row, without LF and holding none.

    *structured*: has fields, so that some can be dropped. *public*: settings may name it. *block*: the same
    records at once, where the compiled kernel can; None: it cannot this time, so take the lines.
    """

    lines: Callable[[Harvest, Drop], Iterable[bytes]]
    structured: bool
    public: bool = True
    block: Callable[[Harvest, Drop], Block | None] | None = None


def to_json(value: Any) -> bytes:
    """JSON in UTF-8. Total: half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return orjson.dumps(value)
    except TypeError:  # orjson: "str is not valid UTF-8: surrogates not allowed", or an integer over 64 bits
        return to_utf8(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def to_utf8(text: str) -> bytes:
    """The text in UTF-8, with U+FFFD for what UTF-8 cannot hold."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def assemble(name: str, harvest: Harvest, lines: Iterable[bytes]) -> Records:
    """One block of all *lines*, each followed by LF, with what routing and sinks ask beside them."""
    rows = list(lines)
    block = b"\n".join([*rows, b""]) if rows else b""
    return records(name, harvest, (block, array("Q", accumulate(len(row) + 1 for row in rows))))


def records(name: str, harvest: Harvest, block: Block) -> Records:
    """*block* with what routing and sinks ask beside it."""
    batch = harvest.batch
    return Records(
        format=name,
        block=block[0],
        ends=block[1],
        ids=harvest.ids,
        keys=harvest.keys,
        source=batch.caller.name,
        subscription=batch.subscription.name,
        received=batch.received,
    )
