"""A document told where it will lie: ``data_stream.*``, ``event.dataset`` and ``event.module``. Pure.

Fleet's mappings hold these as constant_keyword: a document that says something else than its stream is
refused (sinks.md 2.1). The spelling ``winlogbeat`` ends ``"event":{...},"wef":{"event_id":...}}``, so two
runs of bytes suffice, and nothing is parsed. Nobody can forge the place: inside a JSON text every quote is
escaped, and what a source names ``event`` or ``wef`` stands before ours. Whatever looks otherwise takes
the slow way: parsed, changed, written. It knows no sink and no server.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from collector.formats.records import to_json

_WEF = b',"wef":{"event_id":"'
_EVENT = b'"event":{'
_PLACED = b'{"data_stream":'
"""How a document begins that was placed before. No other has this key at its top (normalization.md 4)."""


@dataclass(frozen=True, slots=True)
class Place:
    """What documents of one stream say. As bytes: *head* begins a document, *tail* ends its ``event``."""

    stream: dict[str, str]
    event: dict[str, str]
    head: bytes
    tail: bytes

    @classmethod
    def of(cls, names: tuple[str, str, str], module: str, *, dropped: Collection[str] = ()) -> Place:
        """*names*: type, dataset and namespace of the stream. What *dropped* names is not said."""
        kept = "data_stream" not in dropped
        stream = _left(dict(zip(("type", "dataset", "namespace"), names, strict=True)), "data_stream", dropped)
        event = _left({"dataset": names[1], "module": module}, "event", dropped)
        stream = stream if kept else {}
        return cls(
            stream,
            event,
            b'{"data_stream":' + orjson.dumps(stream) + b"," if stream else b"{",
            orjson.dumps(event)[1:-1],
        )


def _left(fields: dict[str, str], under: str, dropped: Collection[str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if f"{under}.{name}" not in dropped}


def placed(record: bytes, place: Place) -> bytes:
    """*record* (one JSON object without line end) with the fields of *place*, each key once.

    A document without ``event`` (drop_fields) gets none. What is no JSON object comes back as it is.
    """
    end = record.rfind(_WEF)
    start = record.rfind(_EVENT, 0, end) if end > 0 else -1
    if record[:2] == b"{}" or record[:1] != b"{" or record.startswith(_PLACED):
        return _rewritten(record, place)
    if start < 0:
        return place.head + record[1:] if _EVENT not in record and end > 0 else _rewritten(record, place)
    inside = record[start + len(_EVENT) : end - 1]
    if record[end - 1 : end] != b"}" or not _plain(inside):
        return _rewritten(record, place)
    comma = b"," if inside and place.tail else b""
    return b"".join((place.head, record[1 : end - 1], comma, place.tail, record[end - 1 :]))


def _plain(inside: bytes) -> bool:
    """Whether *inside* is the inside of one object, and says nothing yet of what will be added."""
    if b'"dataset":' in inside or b'"module":' in inside:
        return False
    if b"}" not in inside and b"{" not in inside:
        return True
    try:
        orjson.loads(b"{" + inside + b"}")
    except orjson.JSONDecodeError:
        return False
    return True


def _rewritten(record: bytes, place: Place) -> bytes:
    try:
        document: Any = json.loads(record)  # not orjson: integers beyond 64 bits must stay what they are
    except (ValueError, RecursionError):
        return record
    if not isinstance(document, dict):
        return record
    document.pop("data_stream", None)
    event = document.get("event")
    if isinstance(event, dict):
        event.update(place.event)
    return to_json({"data_stream": place.stream, **document} if place.stream else document)
