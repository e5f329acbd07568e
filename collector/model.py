"""The values that travel through the corridor. They know nobody and do nothing.

Key fields are plain tuples and columns, not objects per event: a frozen dataclass
per event would cost a fifth of the whole budget (design.md, "The corridor").
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Caller:
    """A source whose identity is proven, or on loopback claimed.

    *key* is what bookmarks, audience and state use, folded to lower case; *name* is
    for people and ``{source}``; *principal* is the identity as it was proven, its
    case kept; *names* is everything an audience glob may match besides key and
    name (SANs); *issuer* is the SHA-1 thumbprint, in lower-case hex, of the CA that
    issued the client certificate (contract.md section 3). *sids* are the security
    identifiers of its account and groups (``S-1-5-21-...``), from the PAC of its Kerberos
    ticket; None when there was no PAC.
    """

    key: str
    name: str
    principal: str
    mechanism: str
    address: str
    names: tuple[str, ...] = ()
    issuer: str | None = None
    sids: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionRef:
    """Which subscription a batch belongs to, as documents quote it.

    *id* is a UUID in lower case, *version* the version GUID in upper case without
    ``uuid:``, *revision* the revision under which the events were collected.
    """

    id: str
    name: str
    version: str
    revision: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one Events message carried: the unit of acknowledgement.

    *events* are the events' XML texts as received, decoded and nothing more; a text may be made only when it is
    asked for, and anew each time, so whoever can works on all of them at once (``normalize``).
    *received* is an aware UTC time; *collector* is the name of this collector.
    """

    caller: Caller
    subscription: SubscriptionRef
    received: datetime
    events: Sequence[str]
    collector: str


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A position in a source's logs: opaque XML (one element) or text, and when it was saved."""

    xml: str
    saved: datetime | None = None


class Key(NamedTuple):
    """What routing and the store ask of an event, without reading its document.

    *time* is in nanoseconds since 1970 (UTC), 0 when the event has no valid time.
    *event_id* is decimal text; *level* is the number, 0 when absent. The kernel may
    hand in plain tuples of the same six values.
    """

    time: int
    computer: str
    channel: str
    provider: str
    event_id: str
    level: int


@dataclass(frozen=True, slots=True)
class Records:
    """Events of one batch spelled in one format.

    *block* is every record followed by LF; *ends* holds, for each record, the offset
    after that LF. *source*, *subscription* and *received* say where all of them came
    from, for path templates.
    """

    format: str
    block: bytes
    ends: array[int]
    ids: Sequence[str]
    keys: Sequence[Key]
    source: str
    subscription: str
    received: datetime

    def __len__(self) -> int:
        return len(self.ends)

    def record(self, row: int) -> bytes:
        """The bytes of one record, without its LF."""
        start = self.ends[row - 1] if row else 0
        return self.block[start : self.ends[row] - 1]

    def pick(self, rows: Sequence[int]) -> Records:
        """The same values with only *rows* (indices in ascending order)."""
        parts, ends, at = [], array("Q"), 0
        for row in rows:
            record = self.record(row)
            at += len(record) + 1
            parts.append(record)
            ends.append(at)
        return Records(
            self.format,
            b"\n".join([*parts, b""]) if parts else b"",
            ends,
            [self.ids[row] for row in rows],
            [self.keys[row] for row in rows],
            self.source,
            self.subscription,
            self.received,
        )
