"""How a share lies in a spool: a head (JSON) that describes it, and the block of its records as it is.

A checksum covers both. It reads what may be damaged and says so with ``ValueError``; it
opens no file.
"""

from __future__ import annotations

import json
import zlib
from array import array
from datetime import datetime
from typing import Any

from collector.model import Key, Records

OVERHEAD = 4096
"""Bytes charged for a share besides what it weighs: a database page that it may leave half empty."""
OVERHEAD_OF_RECORD = 200
"""Bytes charged for a record's id, key and end in the head: 60 for id and numbers, the rest for names."""


def footprint(records: Records) -> int:
    """Bytes that a share is charged for, in memory and in a spool; known without packing it."""
    return len(records.block) + OVERHEAD + OVERHEAD_OF_RECORD * len(records)


def pack(records: Records) -> tuple[bytes, int]:
    """The head and the checksum of head and block."""
    # json, not orjson: it also takes the lone surrogates that a damaged event's name may hold
    head = json.dumps(
        {
            "format": records.format,
            "source": records.source,
            "subscription": records.subscription,
            "received": records.received.isoformat(),
            "ids": list(records.ids),
            "keys": [tuple(key) for key in records.keys],
            "ends": list(records.ends),
        },
        separators=(",", ":"),
    ).encode("ascii")
    return head, zlib.crc32(records.block, zlib.crc32(head))


def unpack(head: bytes, block: bytes, checksum: int) -> Records:
    """What ``pack`` was given. Raises ``ValueError`` when it is not what was written."""
    found = zlib.crc32(block, zlib.crc32(head))
    if found != checksum:
        raise ValueError(f"the checksum is {found:08x} and should be {checksum:08x}")
    facts: dict[str, Any] = json.loads(head)
    return Records(
        facts["format"],
        block,
        array("Q", facts["ends"]),
        facts["ids"],
        [Key(*key) for key in facts["keys"]],
        facts["source"],
        facts["subscription"],
        datetime.fromisoformat(facts["received"]),
    )
