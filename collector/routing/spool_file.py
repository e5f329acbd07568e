"""The file of a spool: its table, its totals, and what is saved from a broken one.

Everything here runs in the thread that owns the connection (or before there is one). It
knows rows and bytes, and nothing of lanes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector import telemetry
from collector.errors import OperatorError
from collector.model import Records
from collector.routing.packing import pack, unpack
from collector.store import database

Row = tuple[int, bytes, bytes, int]
"""Position, head, block, checksum."""

FREE_PAGES_KEPT = 2048
"""8 MiB of emptied pages stay in the file for the next shares; more than that goes back to the disk."""
FREED_AT_ONCE = 1024
"""Pages given back in one round, so that giving back 4 GiB never holds up the appends that wait."""

_MIGRATIONS = (
    (
        """CREATE TABLE share (
            position INTEGER PRIMARY KEY AUTOINCREMENT, received INTEGER NOT NULL, size INTEGER NOT NULL,
            checksum INTEGER NOT NULL, head BLOB NOT NULL, block BLOB NOT NULL)""",
        "CREATE INDEX share_received ON share (received, size)",  # totals without reading a block
    ),
)
_BEFORE = ("PRAGMA auto_vacuum = incremental",)
_COLUMNS = "position, head, block, checksum, size, received"
_READ = "position, CAST(head AS BLOB), CAST(block AS BLOB), checksum, size"  # damage may change what a value is
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Totals:
    """What is in the file. *oldest* is microseconds since 1970 or None, *highest* the last position given out."""

    shares: int
    bytes: int
    oldest: int | None
    highest: int


@dataclass(frozen=True, slots=True)
class Inserted:
    position: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Deleted:
    shares: int
    bytes: int


def open_or_set_aside(path: Path) -> sqlite3.Connection:
    """The writer's connection. Raises ``OperatorError`` for what only a person can mend."""
    try:
        try:
            return _open(path)
        except sqlite3.DatabaseError as error:
            if not database.damaged(error):
                raise
            return replace(path, str(error), after=0)
    except (sqlite3.Error, OSError) as error:
        raise OperatorError(
            f"the spool {path} cannot be opened: {error}. The collector's user needs to read and write it.",
            exit_code=77 if isinstance(error, PermissionError) else 74,
        ) from error


def _open(path: Path) -> sqlite3.Connection:
    connection = database.open_writer(path, _MIGRATIONS, before=_BEFORE)
    try:
        totals(connection)  # touches the table and its index: what is grossly broken shows here
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def replace(path: Path, reason: str, *, after: int) -> sqlite3.Connection:
    """Move the broken file aside, begin a new one whose positions come after *after*, save what can be read.

    Raises ``sqlite3.Error`` or ``OSError`` when the disk refuses; it can then be tried again.
    """
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-file-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):  # the file itself last: with its name gone nobody looks for the others
        piece = path.with_name(path.name + suffix)
        if piece.exists():
            piece.rename(aside.with_name(aside.name + suffix))
    database.sync_folder(path.parent)
    telemetry.set_aside("spool", str(aside), reason)
    connection = _open(path)
    with database.transaction(connection):
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('share', ?)", (after,))
        saved = sum(_save(connection, row) for row in _readable(aside))
    telemetry.spool_salvaged(str(aside), saved)
    return connection


def _save(connection: sqlite3.Connection, row: Sequence[Any]) -> int:
    position, head, block, checksum, size, received = row
    try:
        unpack(head, block, checksum)
    except (ValueError, TypeError, KeyError):
        return 0
    cursor = connection.execute(
        f"INSERT OR IGNORE INTO share ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant of ours
        (position, head, block, checksum, size, received),
    )
    return cursor.rowcount


def _readable(path: Path) -> Iterator[Sequence[Any]]:
    """Rows of a broken file, from the first until damage, then from the last until damage."""
    if not path.exists():
        return
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield from connection.execute(f"SELECT {_READ}, received FROM share ORDER BY position {order}")  # noqa: S608


def totals(connection: sqlite3.Connection) -> Totals:
    shares, size, oldest = connection.execute("SELECT count(*), total(size), min(received) FROM share").fetchone()
    sequence = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'share'").fetchone()
    return Totals(shares, int(size), oldest, sequence[0] if sequence else 0)


def totals_after(connection: sqlite3.Connection, before: Totals, results: Sequence[Any]) -> Totals:
    """The totals when *results* have been committed. Also gives emptied pages back."""
    inserted = [result for result in results if isinstance(result, Inserted)]
    deleted = [result for result in results if isinstance(result, Deleted)]
    if not inserted and not deleted:
        return before
    oldest = before.oldest
    with suppress(sqlite3.Error):  # only for people and for tidiness; the next round tries again
        oldest = connection.execute("SELECT min(received) FROM share").fetchone()[0]
        if deleted:
            _give_back(connection)
    return Totals(
        before.shares + len(inserted) - sum(result.shares for result in deleted),
        before.bytes + sum(result.bytes for result in inserted) - sum(result.bytes for result in deleted),
        oldest,
        max((before.highest, *(result.position for result in inserted))),
    )


def _give_back(connection: sqlite3.Connection) -> None:
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    if free > FREE_PAGES_KEPT:
        # executescript: execute() takes the first of its steps and leaves the others, one page each
        connection.executescript(f"PRAGMA incremental_vacuum({min(free - FREE_PAGES_KEPT, FREED_AT_ONCE)})")


def insert(connection: sqlite3.Connection, records: Records, size: int) -> Inserted:
    head, checksum = pack(records)
    received = (records.received - _EPOCH) // timedelta(microseconds=1)
    cursor = connection.execute(
        "INSERT INTO share (received, size, checksum, head, block) VALUES (?, ?, ?, ?, ?)",
        (received, size, checksum, head, records.block),
    )
    assert cursor.lastrowid is not None
    return Inserted(cursor.lastrowid, size)


def first(connection: sqlite3.Connection, most: int, most_bytes: int) -> list[Row]:
    """The first rows in order, at least one when there is one."""
    rows: list[Row] = []
    weight = 0
    cursor = connection.execute(f"SELECT {_READ} FROM share ORDER BY position LIMIT ?", (most,))  # noqa: S608
    for position, head, block, checksum, size in cursor:
        weight += size
        if rows and weight > most_bytes:
            break
        rows.append((position, head, block, checksum))
    cursor.close()
    return rows


def delete(connection: sqlite3.Connection, positions: Sequence[int]) -> Deleted:
    """Remove these rows; positions that are gone already count for nothing."""
    shares = size = 0
    for position in positions:
        row = connection.execute("SELECT size FROM share WHERE position = ?", (position,)).fetchone()
        if row is not None:
            connection.execute("DELETE FROM share WHERE position = ?", (position,))
            shares, size = shares + 1, size + row[0]
    return Deleted(shares, size)


def time_of(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
