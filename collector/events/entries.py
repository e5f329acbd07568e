"""Records of the format ``stored`` taken apart into what the store keeps. Pure.

A record is ``{"document":{...},"xml":"..."}``. Our own format writes exactly that, so it is cut, not
parsed; anything else takes the general way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from collector.events.dayfile import Entry
from collector.events.days import stored_time
from collector.model import Key, Records

_HEAD = b'{"document":{'
_XML = b'},"xml":"'
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Unstorable:
    """A row that is no record of the format ``stored``, and why."""

    row: int
    reason: str


def entries(records: Records, received: int) -> tuple[list[tuple[int, Entry]], Sequence[Unstorable]]:
    """(the event's own time, its entry) for each record, and the rows that cannot be stored."""
    taken, unstorable, start = [], [], 0
    for row, (end, identifier, key) in enumerate(zip(records.ends, records.ids, records.keys, strict=True)):
        try:
            document, xml = _cut(records.block, start, end - 1)
        except ValueError as error:
            unstorable.append(Unstorable(row, f"no record of the format stored: {error}"))
        else:
            taken.append((key[0], _entry(key, identifier, received, document, xml)))
        start = end
    return taken, unstorable


def _cut(block: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """The document and the XML (as a JSON string) of a record. Raises ValueError."""
    # Inside JSON strings every quote is escaped, so the last `},"xml":"` ends the document and begins the last member.
    at = block.rfind(_XML, start, end)
    as_ours = at > 0 and block.startswith(_HEAD, start) and block.endswith(b'"}', start, end)
    if as_ours and block.find(b"\n", start, end) < 0:  # a line end within would shift every line after it
        return block[start + len(_HEAD) - 1 : at + 1], block[at + len(_XML) - 1 : end - 1]
    return _parsed(block, start, end)


def _parsed(block: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """The same for any JSON. Raises ValueError (orjson's error is one)."""
    record = orjson.loads(block[start:end])
    if not isinstance(record, dict) or not isinstance(record.get("document"), dict):
        raise ValueError('it needs an object "document" and a text "xml"')
    xml = record.get("xml")
    return orjson.dumps(record["document"]), orjson.dumps(xml if isinstance(xml, str) else "")


def _entry(key: Key, identifier: str, received: int, document: bytes, xml: bytes) -> Entry:
    time, computer, channel, provider, event_id, level = key
    return Entry(
        stored_time(time, received),
        identifier,
        _storable(computer),
        _storable(channel),
        _storable(provider),
        int(event_id) if event_id.isascii() and event_id.isdigit() and len(event_id) < 18 else _storable(event_id),
        level if -_INT64 <= level < _INT64 else 0,
        document,
        xml,
    )


def _storable(text: str) -> str:
    """Text that SQLite takes: half a surrogate pair is no character and becomes ``?``."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
