"""The tables of the state file and how values lie in their rows.

Times are whole microseconds since 1970 (UTC), NULL for never. Statements and conversions
only: it opens nothing.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.model import Key
from collector.store.base import LaneState, Letter, Presence

Row = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

MIGRATIONS = (
    (
        """CREATE TABLE bookmark (
            source TEXT NOT NULL, subscription TEXT NOT NULL, xml TEXT NOT NULL, saved INTEGER,
            PRIMARY KEY (source, subscription)) WITHOUT ROWID""",
        """CREATE TABLE presence (
            source TEXT NOT NULL, key TEXT NOT NULL, address TEXT NOT NULL, subscription TEXT NOT NULL,
            first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, last_heartbeat INTEGER, last_event INTEGER,
            last_event_time INTEGER, events INTEGER NOT NULL, dropped INTEGER NOT NULL, version TEXT NOT NULL,
            last_refusal TEXT NOT NULL,
            PRIMARY KEY (key, subscription)) WITHOUT ROWID""",
        """CREATE TABLE lane (
            sink TEXT NOT NULL PRIMARY KEY, type TEXT NOT NULL, state TEXT NOT NULL, queued INTEGER NOT NULL,
            spool_bytes INTEGER NOT NULL, spool_oldest INTEGER, delivered INTEGER NOT NULL,
            rejected INTEGER NOT NULL, last_error TEXT NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE letter (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, sink TEXT NOT NULL,
            reason TEXT NOT NULL, received INTEGER NOT NULL, event_id TEXT NOT NULL, record BLOB NOT NULL)""",
    ),
    (  # letters can be offered again
        "ALTER TABLE letter ADD COLUMN head TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE letter ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE letter ADD COLUMN trouble TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX letter_wanted ON letter (number) WHERE wanted",  # twice a second somebody looks
    ),
    (  # what each source has in quarantine is counted; by the file itself, because commands write beside the collector
        "ALTER TABLE letter ADD COLUMN quarantined TEXT NOT NULL DEFAULT ''",
        """CREATE TABLE quarantine (
            source TEXT NOT NULL PRIMARY KEY, letters INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID""",
        """CREATE TRIGGER quarantine_grows AFTER INSERT ON letter WHEN new.quarantined != '' BEGIN
            INSERT INTO quarantine VALUES (new.quarantined, 1, length(new.record)) ON CONFLICT (source)
                DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes;
            END""",
        """CREATE TRIGGER quarantine_changes AFTER UPDATE OF record ON letter WHEN old.quarantined != '' BEGIN
            UPDATE quarantine SET bytes = bytes + length(new.record) - length(old.record)
                WHERE source = old.quarantined;
            END""",
        """CREATE TRIGGER quarantine_shrinks AFTER DELETE ON letter WHEN old.quarantined != '' BEGIN
            UPDATE quarantine SET letters = letters - 1, bytes = bytes - length(old.record)
                WHERE source = old.quarantined;
            DELETE FROM quarantine WHERE source = old.quarantined AND letters = 0;
            END""",
    ),
)

BOOKMARK = "SELECT xml, saved FROM bookmark WHERE source = ? AND subscription = ?"
BOOKMARKS = "SELECT source, subscription, xml, saved FROM bookmark ORDER BY source, subscription"
_SAVE_BOOKMARKS = "INSERT OR REPLACE INTO bookmark (source, subscription, xml, saved) VALUES "
_BOOKMARK_ROW = "(?, ?, ?, ?)"
SAVE_BOOKMARK = _SAVE_BOOKMARKS + _BOOKMARK_ROW


def save_bookmarks(count: int) -> str:
    """``SAVE_BOOKMARK`` for *count* of them at once; of two with one key the later one stays."""
    return _SAVE_BOOKMARKS + ", ".join([_BOOKMARK_ROW] * count)


PRESENCES = """SELECT source, key, address, subscription, first_seen, last_seen, last_heartbeat, last_event,
    last_event_time, events, dropped, version, last_refusal FROM presence ORDER BY source, key, subscription"""
SAVE_PRESENCE = """INSERT OR REPLACE INTO presence (source, key, address, subscription, first_seen, last_seen,
    last_heartbeat, last_event, last_event_time, events, dropped, version, last_refusal)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

LANES = """SELECT sink, type, state, queued, spool_bytes, spool_oldest, delivered, rejected, last_error
    FROM lane ORDER BY sink"""
FORGET_LANES = "DELETE FROM lane"
SAVE_LANE = """INSERT OR REPLACE INTO lane (sink, type, state, queued, spool_bytes, spool_oldest, delivered, rejected,
    last_error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""

LETTERS = """SELECT id, sink, reason, received, event_id, record, head, quarantined, wanted, trouble
    FROM letter ORDER BY number"""
WANTED_LETTERS = """SELECT id, sink, reason, received, event_id, record, head, quarantined, wanted, trouble
    FROM letter WHERE wanted ORDER BY number LIMIT ?"""
HAS_LETTER = "SELECT 1 FROM letter WHERE id = ?"
QUARANTINED = "SELECT letters, bytes FROM quarantine WHERE source = ?"
# Offered again and rejected again: one letter. Its record as it was spelled last, and when it first came.
SAVE_LETTER = """INSERT INTO letter (id, sink, reason, received, event_id, record, head, quarantined)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, record = excluded.record, head = excluded.head,
        wanted = 0, trouble = ''"""
WANT_LETTER = "UPDATE letter SET wanted = 1, trouble = '' WHERE id = ?"
REMOVE_LETTER = "DELETE FROM letter WHERE id = ?"
POSTPONE_LETTERS = "UPDATE letter SET wanted = 0, trouble = ? WHERE sink = ? AND wanted"


def micros(time: datetime | None) -> int | None:
    """How an aware time lies in a row."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def moment(number: int | None) -> datetime | None:
    """The aware UTC time that ``micros`` wrote."""
    return None if number is None else _EPOCH + number * _MICROSECOND


def _certain(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND


def presence_row(value: Presence) -> Row:
    return (
        value.source,
        value.key,
        value.address,
        value.subscription,
        micros(value.first_seen),
        micros(value.last_seen),
        micros(value.last_heartbeat),
        micros(value.last_event),
        micros(value.last_event_time),
        value.events,
        value.dropped,
        value.version,
        value.last_refusal,
    )


def presence(row: Row) -> Presence:
    source, key, address, subscription, first_seen, last_seen, heartbeat, event, event_time, *rest = row
    return Presence(
        source,
        key,
        address,
        subscription,
        _certain(first_seen),
        _certain(last_seen),
        moment(heartbeat),
        moment(event),
        moment(event_time),
        *rest,
    )


def lane_row(value: LaneState) -> Row:
    return (
        value.sink,
        value.type,
        value.state,
        value.queued,
        value.spool_bytes,
        micros(value.spool_oldest),
        value.delivered,
        value.rejected,
        value.last_error,
    )


def lane(row: Row) -> LaneState:
    sink, type_, state, queued, spool_bytes, spool_oldest, *rest = row
    return LaneState(sink, type_, state, queued, spool_bytes, moment(spool_oldest), *rest)


def letter_row(value: Letter) -> Row:
    # ASCII, because a name may hold half a surrogate pair, which SQLite's texts cannot
    head = json.dumps([value.format, value.source, value.subscription, value.key], separators=(",", ":"))
    received, reason, quarantined = micros(value.received), storable(value.reason), storable(value.quarantined)
    return (value.id, value.sink, reason, received, value.event_id, value.record, head, quarantined)


def letter(row: Row) -> Letter:
    id_, sink, reason, received, event_id, record, head, quarantined, wanted, trouble = row
    first = Letter(
        id_, sink, reason, _certain(received), event_id, record,
        wanted=bool(wanted), trouble=trouble, quarantined=quarantined,
    )  # fmt: skip
    if not head:  # kept by a version that did not note where it came from
        return first
    format_, source, subscription, key = json.loads(head)
    return replace(first, format=format_, source=source, subscription=subscription, key=Key(*key))


def storable(text: str) -> str:
    """Text that SQLite takes: half a surrogate pair is no character and becomes ``?``."""
    return text.encode("utf-8", "replace").decode()
