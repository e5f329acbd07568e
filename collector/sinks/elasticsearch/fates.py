"""What an answer of Elasticsearch means for every record of a bulk (sinks.md 2.5, servers.md 4.6). Pure.

A record is accepted, rejected (no repetition helps: a letter) or kept (offered again). Whatever cannot be
read as an answer to exactly this question says nothing, and then nobody knows: everything is kept. A reply
may come from a proxy, or from somebody who is no Elasticsearch at all. It knows no connection.
"""

from __future__ import annotations

import email.utils
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import orjson

LONGEST_REASON = 300
"""Characters of a reason: Elasticsearch quotes the document in it, up to all of it."""
DEEPEST = 20
"""Links of ``caused_by`` that are followed; real ones have two or three."""
NO_STREAM = "index_not_found_exception"
DISK_FULL = "cluster_block_exception"
NO_NEW_INDEX = "validation_exception"
"""With status 400: the cluster makes no index, mostly because it has as many shards as it may have."""
CLOSED = "index_closed_exception"


@dataclass(slots=True)
class Outcome:
    """What became of rows. Those that are in neither *rejected* nor *kept* are safe.

    *kept*: row -> why. *blocked*: a person must act before they are taken. *retry_after*: seconds that the
    far end asked for. *present*: rows that were there already; *failures*: rows in a failure store.
    """

    rejected: dict[int, str] = field(default_factory=dict)
    kept: dict[int, str] = field(default_factory=dict)
    blocked: bool = False
    retry_after: float = 0.0
    present: int = 0
    failures: int = 0

    @classmethod
    def all_kept(cls, rows: Sequence[int], why: str, *, blocked: bool = False, retry_after: float = 0.0) -> Outcome:
        return cls(kept=dict.fromkeys(rows, why), blocked=blocked, retry_after=retry_after)

    def add(self, other: Outcome) -> None:
        """Take in what became of other rows."""
        self.rejected.update(other.rejected)
        self.kept.update(other.kept)
        self.blocked = self.blocked or other.blocked
        self.retry_after = max(self.retry_after, other.retry_after)
        self.present += other.present
        self.failures += other.failures


class Unreadable(ValueError):
    """A reply that is no answer to the bulk that was sent."""


class Whole(Enum):
    """What the status of a whole request means for the bulk."""

    ITEMS = "items"  # every item has its own fate
    LATER = "later"
    BLOCKED = "blocked"
    SPLIT = "split"  # too large: its halves may be taken
    BISECT = "bisect"  # something in it is malformed: everything but that will be taken
    WITHOUT = "without"  # the server does not know the parameter require_data_stream


# Items -------------------------------------------------------------------------------------------------------------


def items_outcome(body: bytes, rows: Sequence[int], streams: Sequence[str] = ()) -> Outcome:
    """The fate of each of *rows*, in the order of the bulk. Raises ``Unreadable``.

    *streams*: the data stream of each row, for people.
    """
    items = _items(body, len(rows))
    outcome = Outcome()
    for at, (row, item) in enumerate(zip(rows, items, strict=True)):
        status, result = _result(item)
        if status == 409:  # version_conflict: the id is there, so the record is safe
            outcome.present += 1
        elif 200 <= status < 300:
            outcome.failures += result.get("failure_store") == "used"
        else:
            _note(outcome, row, status, result, streams[at] if streams else "")
    return outcome


def _items(body: bytes, count: int) -> list[Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"the answer is no JSON: {excerpt(body)}") from error
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise Unreadable(f"the answer holds no items: {excerpt(body)}")
    if len(items) != count:
        raise Unreadable(f"the answer is about {len(items)} records, {count} were sent")
    return items


def _result(item: Any) -> tuple[int, dict[str, Any]]:
    if isinstance(item, dict) and len(item) == 1:
        (result,) = item.values()
        status = result.get("status") if isinstance(result, dict) else None
        if type(status) is int and (200 <= status < 300 or 400 <= status < 600):  # no item is led elsewhere
            return status, result
    raise Unreadable(f"an item of the answer has no status: {str(item)[:LONGEST_REASON]}")


def _note(outcome: Outcome, row: int, status: int, result: dict[str, Any], stream: str) -> None:
    error = result.get("error")
    kind = str(error.get("type", ""))[:100] if isinstance(error, dict) else ""
    text = f"{status} {reason(error)}"[:LONGEST_REASON]
    if advice := _advice(status, kind, text, stream):
        outcome.kept[row] = f"{advice} ({text})"
        outcome.blocked = True
    elif status >= 500 or status in (408, 429):
        outcome.kept[row] = text
    else:
        outcome.rejected[row] = text


def _advice(status: int, kind: str, text: str, stream: str) -> str:
    """What a person must do before the record is taken; ``""``: nothing, or nothing would help."""
    name = stream or "the data stream"
    if status == 404:
        return f"{name} does not exist and no template makes it; run wef setup elasticsearch --apply"
    if kind == DISK_FULL:
        if status == 429:  # the flood stage of a full disk, not overload: waiting does not cure it (servers.md 10, 13)
            return f"{name} takes no more: the disk of Elasticsearch is full; make room, or add nodes"
        return f"{name} is blocked for writing; remove the block (index.blocks.write) from its write index"
    if status in (401, 403):
        return f"the credentials may not write to {name}; they need create_doc and auto_configure on it"
    # Elasticsearch says 400 to these, but no document is at fault
    if kind == NO_NEW_INDEX:
        return f"the cluster makes no index for {name}; delete old indices, or raise cluster.max_shards_per_node"
    if kind == CLOSED:
        return f"the write index of {name} is closed; open it (POST /INDEX/_open), or roll the stream over"
    if status == 400 and "no write index is defined for alias" in text:
        return f"{name} is an alias of several indices and none of them is its write index; name one (is_write_index)"
    if status == 400 and "pipeline with id [" in text and "does not exist" in text:
        return f"{name} names an ingest pipeline that is not there; create it, or remove it from the template"
    return ""


def reason(error: Any) -> str:
    """``type: reason`` of an error object, and of what lies deepest under it; at most 300 characters."""
    if not isinstance(error, dict):
        return str(error)[:LONGEST_REASON] if error else "no reason given"
    deepest = error
    for _ in range(DEEPEST):
        below = deepest.get("caused_by")
        if not isinstance(below, dict):
            break
        deepest = below
    first = _said(error, LONGEST_REASON)
    if deepest is error:
        return first
    return f"{_said(error, LONGEST_REASON // 2)}; {_said(deepest, LONGEST_REASON // 2 - 2)}"


def _said(error: dict[str, Any], most: int) -> str:
    return f"{error.get('type', 'error')}: {error.get('reason', '')}".removesuffix(": ")[:most]


# Whole requests ----------------------------------------------------------------------------------------------------


def whole(status: int, body: bytes) -> tuple[Whole, str]:
    """What the *status* of a request says about the bulk, and in words."""
    if 200 <= status < 300:
        return Whole.ITEMS, ""
    kind, said = _whole_error(body)
    text = f"{status} {said}".strip()[:LONGEST_REASON]
    if status == 413:
        return Whole.SPLIT, text
    if status == 400 and kind:
        return _bad_request(kind, said), text
    if status in (408, 425, 429) or status >= 500:
        return Whole.LATER, text
    return Whole.BLOCKED, f"{_meaning(status)} ({text})"


def _bad_request(kind: str, said: str) -> Whole:
    """Elasticsearch's own 400; one of a proxy (plain HTTP sent to HTTPS, a bad path) says nothing about records."""
    if kind == "illegal_argument_exception" and "unrecognized parameter" in said:
        return Whole.WITHOUT if "require_data_stream" in said else Whole.BLOCKED
    return Whole.BLOCKED if kind == "media_type_header_exception" else Whole.BISECT


def _whole_error(body: bytes) -> tuple[str, str]:
    """Type and words of Elasticsearch's error; type ``""``: somebody else is speaking."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", excerpt(body)
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict) and isinstance(error.get("type"), str):
        return error["type"], reason(error)
    return "", excerpt(body)


def _meaning(status: int) -> str:
    if status == 401:
        return "Elasticsearch does not accept the credentials; check api_key, or username and password"
    if status == 403:
        return "the credentials may not write; they need create_doc and auto_configure on the data streams"
    if status in (406, 415):
        return 'what answers speaks not as Elasticsearch does; is it OpenSearch? Then write product = "opensearch"'
    if 300 <= status < 400:
        return "what answers leads elsewhere; write the address that it leads to in hosts"
    return "what answers takes no bulks; check the address in hosts"


def excerpt(body: bytes) -> str:
    """The beginning of a reply as one printable line."""
    text = body[:200].decode("utf-8", "replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds of a Retry-After header: a number or an HTTP date (RFC 9110 10.2.3); 0.0: none that can be read."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if at.tzinfo is None:  # "-0000"
        at = at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0.0)
