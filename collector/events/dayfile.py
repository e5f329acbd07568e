"""One file of the store, open for writing: how a run of events gets into it.

It belongs to one thread. It decides nothing about which events it is given; what SQLite
says about the disk or about damage goes up as SQLite said it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from collector.events.blocks import BLOCK_SIZE, Packer
from collector.events.days import UNDATED
from collector.events.entries import Run, portions
from collector.events.tables import (
    APPLICATION,
    BLOCK_ROWS,
    PAGE_SIZE,
    ROW_BITS,
    VERSION,
    creation,
    migration,
)

_ROWS = (128, 64, 32, 16, 8, 4, 2, 1)
"""Rows per INSERT, few sizes so that each is compiled once. One statement for many rows, because SQLite
gives up the GIL for each statement and a busy event loop is slow to give it back."""

_JOURNAL = 16 * 2**20
"""Bytes of journal after which its pages are copied into the file."""

_NAMES_KEPT = 50_000
"""Names remembered per file before the memory of them starts anew: sources choose names, memory stays bounded."""

_INT64 = 2**63

_COLUMNS = 5
"""Of ``events``."""


class FileTooNew(Exception):
    """A file that a newer collector wrote."""


class FileForeign(Exception):
    """A SQLite file that is none of ours."""


class DayFile:
    """An open store file. Every method raises ``sqlite3.DatabaseError`` as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packer = Packer()
        self._names = _Known(self._learn_name)
        self._kinds = _Known(self._learn_kind)
        self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            self._old = self._prepare() < VERSION
            self._block: int = self._base.execute("select coalesce(max(id), 0) from blocks").fetchone()[0]
        except BaseException:
            self._base.close()
            raise

    def _prepare(self) -> int:
        """Make an empty file ours, and be ready to write; answers the format of the tables."""
        run = self._base.execute
        (application,), (version,) = run("pragma application_id").fetchone(), run("pragma user_version").fetchone()
        if version > VERSION and application == APPLICATION:
            raise FileTooNew(f"{self.path} has format {version}; this collector knows formats up to {VERSION}")
        empty = not run("select count(*) from sqlite_schema").fetchone()[0]
        if not empty and application != APPLICATION:
            raise FileForeign("it is a SQLite file that this collector did not write")
        if empty:
            run(f"pragma page_size = {PAGE_SIZE}")
        run("pragma journal_mode = wal")
        # FULL: a commit is on the disk when it returns; NORMAL may lose the last ones (dependencies.md 13).
        run("pragma synchronous = full")
        run(f"pragma wal_autocheckpoint = {_JOURNAL // run('pragma page_size').fetchone()[0]}")
        run(f"pragma journal_size_limit = {2 * _JOURNAL}")
        run("pragma cache_size = -4096")
        if empty:
            self._script(creation(undated=self.path.stem == UNDATED))
            return VERSION
        return int(version)

    def _script(self, script: str) -> None:
        """All of *script*, which is one transaction, or nothing."""
        try:
            self._base.executescript(script)
        except BaseException:
            self._roll_back()
            raise

    def write(self, runs: Sequence[Run], received: int) -> int:
        """Store *runs*, which came at *received* (ns), in one synced transaction; answers how many were new."""
        if self._old:
            self._script(migration(undated=self.path.stem == UNDATED))
            self._old = False
        added = 0
        self._base.execute("begin immediate")
        try:
            for portion in portions(runs, BLOCK_SIZE, BLOCK_ROWS):
                added += self._write_block(portion, received)
        except BaseException:
            self._names.clear()  # some may have been rolled back
            self._kinds.clear()
            self._roll_back()
            raise
        self._base.execute("commit")
        return added

    def _roll_back(self) -> None:
        if self._base.in_transaction:
            self._base.execute("rollback")

    def _write_block(self, run: Run, received: int) -> int:
        block, count = self._block + 1, len(run)
        first = block << ROW_BITS
        values = self._values(run, first)
        added = sum(
            self._base.execute(_insertion(stop - start), values[start * _COLUMNS : stop * _COLUMNS]).rowcount
            for start, stop in _pieces(count)
        )
        if not added:
            return 0
        documents, xmls = run.documents, run.xmls
        if added < count:  # the duplicates' bodies stay out; empty lines keep the numbers right
            kept = self._kept(run, first)
            documents, xmls = _blanked(documents, kept), _blanked(xmls, kept)
        self._base.execute(
            "insert into blocks values (?, ?, ?, ?, ?, ?)",
            (block, received, min(run.times), max(run.times), self._packer.pack(documents), self._packer.pack(xmls)),
        )
        self._block = block
        return added

    def _values(self, run: Run, first: int) -> list[Any]:
        """The columns of ``events`` for each row of *run*, one row after the other."""
        names, kinds, keys = self._names, self._kinds, run.keys
        values: list[Any] = [None] * (len(run) * _COLUMNS)
        values[0::_COLUMNS] = run.times
        values[1::_COLUMNS] = run.ids
        values[2::_COLUMNS] = [names[key[1]] for key in keys]
        values[3::_COLUMNS] = [kinds[key[2:]] for key in keys]
        values[4::_COLUMNS] = range(first, first + len(run))
        return values

    def _kept(self, run: Run, first: int) -> set[int]:
        """The rows of *run* that the table took; the first of them has the place *first*."""
        kept: set[int] = set()
        for start, stop in _pieces(len(run)):
            marks = ",".join(["(?,?)"] * (stop - start))
            found = self._base.execute(
                f"with wanted(time, id) as (values {marks}) select place from wanted "  # noqa: S608 - only marks
                "join events using (time, id) where place between ? and ?",
                [
                    *chain.from_iterable(zip(run.times[start:stop], run.ids[start:stop], strict=True)),
                    first,
                    first + len(run) - 1,
                ],
            )
            kept.update(place - first for (place,) in found)
        return kept

    def _learn_name(self, text: str) -> int:
        name = (_storable(text),)
        self._base.execute("insert or ignore into names (name) values (?)", name)
        found: int = self._base.execute("select id from names where name = ?", name).fetchone()[0]
        return found

    def _learn_kind(self, kind: tuple[str, str, str, int]) -> int:
        channel, provider, event_id, level = kind
        values = (self._names[channel], self._names[provider], _number(event_id), _level(level))
        self._base.execute(
            "insert or ignore into kinds (channel, provider, event_id, level) values (?, ?, ?, ?)", values
        )
        found: int = self._base.execute(
            "select id from kinds where channel = ? and provider = ? and event_id = ? and level = ?", values
        ).fetchone()[0]
        return found

    def last_received(self) -> int:
        """When the newest arrival came (ns), 0 when the file is empty."""
        row = self._base.execute("select received from blocks order by id desc limit 1").fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._base.close()


class _Known(dict[Any, int]):
    """Numbers of what a file has a number for; what is not remembered is learned."""

    def __init__(self, learn: Callable[[Any], int]) -> None:
        super().__init__()
        self._learn = learn

    def __missing__(self, key: Any) -> int:
        found = self._learn(key)
        if len(self) >= _NAMES_KEPT:
            self.clear()
        self[key] = found
        return found


def _number(event_id: str) -> int | str:
    """A number where it is one that SQLite can hold: ranges are asked of it."""
    fits = event_id.isascii() and event_id.isdigit() and len(event_id) < 18
    return int(event_id) if fits else _storable(event_id)


def _level(level: int) -> int:
    return level if -_INT64 <= level < _INT64 else 0


def _storable(text: str) -> str:
    """Text that SQLite takes: half a surrogate pair is no character and becomes ``?``."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _blanked(lines: bytes, kept: Container[int]) -> bytes:
    """*lines* with nothing in those that are not *kept*."""
    return b"\n".join([line if row in kept else b"" for row, line in enumerate(lines.split(b"\n"))])


@cache
def _insertion(rows: int) -> str:
    marks = ",".join([f"({','.join('?' * _COLUMNS)})"] * rows)
    return f"insert or ignore into events values {marks}"  # noqa: S608 - only marks


def _pieces(rows: int) -> Iterator[tuple[int, int]]:
    """*rows* cut into the sizes that have a compiled statement."""
    start = 0
    for size in _ROWS:
        while rows - start >= size:
            yield start, start + size
            start += size
