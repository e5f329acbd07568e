"""One file of the store, open for writing: its tables, and how a run of events gets into it.

It belongs to one thread. It decides nothing about which events it is given; what SQLite
says about the disk or about damage goes up as SQLite said it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from collector.events.blocks import BLOCK_SIZE, Packer
from collector.events.days import UNDATED

APPLICATION = 0x57454645
"""``PRAGMA application_id`` of our files ("WEFE")."""

VERSION = 1
"""``PRAGMA user_version``: the format of the tables."""

_ROWS = (128, 64, 32, 16, 8, 4, 2, 1)
"""Rows per INSERT, few sizes so that each is compiled once. One statement for many rows, because SQLite
gives up the GIL for each statement and a busy event loop is slow to give it back."""

_BLOCK_ROWS = 4096
_NAMES_KEPT = 50_000
"""Names remembered per file before the memory of them starts anew: sources choose names, memory stays bounded."""

_COLUMNS = (
    "time integer not null, id text not null, computer integer not null, channel integer not null, "
    "provider integer not null, event_id not null, level integer not null, block integer not null, row integer not null"
)
# Times grow, ids are random: a key that starts with the time appends, one of ids alone would rewrite pages everywhere.
_DATED = f"create table events ({_COLUMNS}, primary key (time, id)) without rowid"
# Without a time of its own the event is known by its id alone; otherwise every delivery would be another event.
_UNDATED = (
    f"create table events ({_COLUMNS}, primary key (id)) without rowid;create index events_time on events (time, id)"
)
_TABLES = """
create table names (id integer primary key, name text not null unique);
create table blocks (id integer primary key, received integer not null, first integer not null, last integer not null,
                     documents blob not null, xmls blob not null);
"""


class Entry(NamedTuple):
    """An event on its way into a file: what it is found by, its document, and its XML as a JSON string."""

    time: int
    id: str
    computer: str
    channel: str
    provider: str
    event_id: int | str
    level: int
    document: bytes
    xml: bytes


class FileTooNew(Exception):
    """A file that a newer collector wrote."""


class FileForeign(Exception):
    """A SQLite file that is none of ours."""


class DayFile:
    """An open store file. Every method raises ``sqlite3.DatabaseError`` as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packer = Packer()
        self._names: dict[str, int] = {}
        self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            self._prepare()
            self._block: int = self._base.execute("select coalesce(max(id), 0) from blocks").fetchone()[0]
        except BaseException:
            self._base.close()
            raise

    def _prepare(self) -> None:
        run = self._base.execute
        (application,), (version,) = run("pragma application_id").fetchone(), run("pragma user_version").fetchone()
        if version > VERSION and application == APPLICATION:
            raise FileTooNew(f"{self.path} has format {version}; this collector knows formats up to {VERSION}")
        empty = not run("select count(*) from sqlite_schema").fetchone()[0]
        if not empty and application != APPLICATION:
            raise FileForeign("it is a SQLite file that this collector did not write")
        run("pragma journal_mode = wal")
        # FULL: a commit is on the disk when it returns; NORMAL may lose the last ones (dependencies.md 13).
        run("pragma synchronous = full")
        run("pragma wal_autocheckpoint = 4000")
        run("pragma journal_size_limit = 33554432")
        run("pragma cache_size = -4096")
        if empty:
            events = _UNDATED if self.path.stem == UNDATED else _DATED
            marks = f"pragma application_id = {APPLICATION};pragma user_version = {VERSION};"
            self._base.executescript(f"begin immediate;{_TABLES}{events};{marks}commit")

    def write(self, entries: Sequence[Entry], received: int) -> int:
        """Store *entries* that came at *received* (ns) in one synced transaction; answers how many were new."""
        added = 0
        self._base.execute("begin immediate")
        try:
            for chunk in _chunks(entries):
                added += self._write_block(chunk, received)
        except BaseException:
            self._names.clear()  # some may have been rolled back
            if self._base.in_transaction:
                self._base.execute("rollback")
            raise
        self._base.execute("commit")
        return added

    def _write_block(self, chunk: Sequence[Entry], received: int) -> int:
        block = self._block + 1
        rows = [
            (e.time, e.id, self._name(e.computer), self._name(e.channel), self._name(e.provider),
             e.event_id, e.level, block, number)
            for number, e in enumerate(chunk)
        ]  # fmt: skip
        added = sum(self._insert(rows[start:stop]) for start, stop in _pieces(len(rows)))
        if not added:
            return 0
        documents, xmls = [e.document for e in chunk], [e.xml for e in chunk]
        if added < len(chunk):  # the duplicates' bodies stay out; empty lines keep the numbers right
            kept = self._kept(rows, block)
            documents = [line if number in kept else b"" for number, line in enumerate(documents)]
            xmls = [line if number in kept else b"" for number, line in enumerate(xmls)]
        times = [e.time for e in chunk]
        self._base.execute(
            "insert into blocks values (?, ?, ?, ?, ?, ?)",
            (block, received, min(times), max(times), self._packer.pack(documents), self._packer.pack(xmls)),
        )
        self._block = block
        return added

    def _insert(self, rows: Sequence[tuple[int | str, ...]]) -> int:
        marks = ",".join(["(?,?,?,?,?,?,?,?,?)"] * len(rows))
        return self._base.execute(
            f"insert or ignore into events values {marks}",  # noqa: S608 - only marks
            list(chain.from_iterable(rows)),
        ).rowcount

    def _kept(self, rows: Sequence[tuple[int | str, ...]], block: int) -> set[int]:
        """Which of *rows* the table took for this *block*."""
        kept: set[int] = set()
        for start, stop in _pieces(len(rows)):
            marks = ",".join(["(?,?)"] * (stop - start))
            found = self._base.execute(
                f"with wanted(time, id) as (values {marks}) select row from wanted "  # noqa: S608 - only marks
                "join events using (time, id) where block = ?",
                [*chain.from_iterable(row[:2] for row in rows[start:stop]), block],
            )
            kept.update(row for (row,) in found)
        return kept

    def _name(self, text: str) -> int:
        known = self._names.get(text)
        return self._learn(text) if known is None else known

    def _learn(self, text: str) -> int:
        if len(self._names) >= _NAMES_KEPT:
            self._names.clear()
        self._base.execute("insert or ignore into names (name) values (?)", (text,))
        found: int = self._base.execute("select id from names where name = ?", (text,)).fetchone()[0]
        self._names[text] = found
        return found

    def last_received(self) -> int:
        """When the newest arrival came (ns), 0 when the file is empty."""
        row = self._base.execute("select received from blocks order by id desc limit 1").fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._base.close()


def _chunks(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Runs of entries, each of a block's size."""
    start = size = 0
    for number, entry in enumerate(entries):
        size += len(entry.document)
        if size >= BLOCK_SIZE or number - start + 1 >= _BLOCK_ROWS:
            yield entries[start : number + 1]
            start, size = number + 1, 0
    if start < len(entries):
        yield entries[start:]


def _pieces(rows: int) -> Iterator[tuple[int, int]]:
    """*rows* cut into the sizes that have a compiled statement."""
    start = 0
    for size in _ROWS:
        while rows - start >= size:
            yield start, start + size
            start += size
