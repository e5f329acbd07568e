"""The store of state in one SQLite file: the default.

One thread writes, and what waits is committed together (dependencies: a sync costs the
same for one bookmark and for a hundred). Reading has its own connection. It keeps the
promise of ``store.base`` and knows nothing of what the values mean.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from collector.commit import GroupCommit
from collector.errors import Backpressure, OperatorError
from collector.model import Bookmark
from collector.store import database, rows
from collector.store.base import Amount, LaneState, Letter, Presence
from collector.store.database import Job

READ_FAILED, NOT_PERMITTED = 74, 77
REMEMBERED, LONGEST = 4096, 2048
"""Bookmarks that a store remembers of those that it saved itself, and the characters of the longest: 4 MB as a rule.
Each batch asks for its source's; only the process that has the state folder's lock writes any."""


JOURNAL_PAGES = 256
"""Pages of journal after which they go into the file: a round writes one or two, over and over the same few. So the
journal soon begins anew, and a sync of what is written over costs half of one that lets a file grow."""


@dataclass(frozen=True, slots=True)
class _Saving:
    """A bookmark on its way: nearly all that is ever written, so a round's bookmarks are one statement."""

    row: tuple[Any, ...]

    def __call__(self, connection: sqlite3.Connection) -> None:
        connection.execute(rows.SAVE_BOOKMARK, self.row)


class SqliteStore:
    """State in *path*. Made by ``open``; its writes are awaited on the event loop."""

    def __init__(self, path: Path, reader: sqlite3.Connection | None, writer: sqlite3.Connection | None) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._closed = False
        self._newest: dict[tuple[str, str], Bookmark] = {}
        self._saving: dict[tuple[str, str], Bookmark] = {}
        self._commit: GroupCommit[Job[None] | _Saving, None] | None = None
        if writer is not None:
            self._commit = GroupCommit("state", functools.partial(_perform, writer))

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False) -> SqliteStore:
        """The store in *path*; created unless *readonly*, when a missing file is an empty store.

        Raises ``OperatorError`` for a file that is newer than we are, damaged or not ours to use.
        """
        try:
            return cls._open_to_read(path) if readonly else cls._open_to_write(path)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error

    @classmethod
    def open_beside(cls, path: Path) -> SqliteStore:
        """The store in *path* that a running collector writes, to write a word into it: nothing is created or migrated.

        Raises ``OperatorError`` as ``open`` does, and for a file of another version.
        """
        try:
            writer = database.open_second_writer(path, rows.MIGRATIONS)
            return cls(path, database.open_reader(path), writer)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error

    @classmethod
    def _open_to_read(cls, path: Path) -> SqliteStore:
        if not path.exists():
            return cls(path, None, None)
        reader = database.open_reader(path, alone=True)
        found = database.version(reader)
        database.require_known_version(found, path, rows.MIGRATIONS)
        if found < len(rows.MIGRATIONS):  # a collector that is just being started for the first time, or an old one
            reader.close()
            if found:
                raise database.old_format(found, path, rows.MIGRATIONS)
            return cls(path, None, None)
        return cls(path, reader, None)

    @classmethod
    def _open_to_write(cls, path: Path) -> SqliteStore:
        writer = database.open_writer(path, rows.MIGRATIONS)
        writer.execute(f"PRAGMA wal_autocheckpoint = {JOURNAL_PAGES}")
        return cls(path, database.open_reader(path), writer)

    def bookmark(self, source: str, subscription: str) -> Bookmark | None:
        newest = self._newest.get((source, subscription))
        if newest is not None and not self._closed:
            return newest
        found = self._select(rows.BOOKMARK, (source, subscription))
        for xml, saved in found:
            return Bookmark(xml, rows.moment(saved))
        return None

    async def save_bookmark(self, source: str, subscription: str, bookmark: Bookmark) -> None:
        key = (source, subscription)
        self._newest.pop(key, None)
        self._saving[key] = bookmark
        try:
            await self._submit(_Saving((*key, bookmark.xml, rows.micros(bookmark.saved))))
            if self._saving.get(key) is bookmark and len(bookmark.xml) <= LONGEST:  # else a later one is on its way
                if len(self._newest) >= REMEMBERED:
                    self._newest.clear()
                self._newest[key] = bookmark
        finally:
            if self._saving.get(key) is bookmark:
                del self._saving[key]

    def bookmarks(self) -> Iterable[tuple[str, str, Bookmark]]:
        for source, subscription, xml, saved in self._select(rows.BOOKMARKS):
            yield source, subscription, Bookmark(xml, rows.moment(saved))

    def presences(self) -> Iterable[Presence]:
        return (rows.presence(row) for row in self._select(rows.PRESENCES))

    async def save_presences(self, presences: Sequence[Presence]) -> None:
        await self._write(rows.SAVE_PRESENCE, [rows.presence_row(presence) for presence in presences])

    def lanes(self) -> Iterable[LaneState]:
        return (rows.lane(row) for row in self._select(rows.LANES))

    async def save_lanes(self, lanes: Sequence[LaneState]) -> None:
        """Replaces what was saved: a sink that is no longer configured has no lane."""
        await self._write(rows.SAVE_LANE, [rows.lane_row(lane) for lane in lanes], before=rows.FORGET_LANES)

    async def save_letters(self, letters: Sequence[Letter]) -> None:
        await self._write(rows.SAVE_LETTER, [rows.letter_row(letter) for letter in letters])

    async def quarantine(self, letters: Sequence[Letter], most: Amount) -> Amount | None:
        letters = list({letter.id: letter for letter in letters}.values())
        full: list[Amount] = []

        def job(connection: sqlite3.Connection) -> None:
            # counted and written in one transaction: no other batch, and no command, comes in between
            waiting = _no_room(connection, letters, most)
            full[:] = [] if waiting is None else [waiting]  # a job may be performed twice
            if waiting is None:
                connection.executemany(rows.SAVE_LETTER, map(rows.letter_row, letters))

        if letters:
            await self._submit(job)
        return full[0] if full else None

    def letters(self) -> Iterable[Letter]:
        return (rows.letter(row) for row in self._select(rows.LETTERS))

    async def want_letters(self, ids: Sequence[str]) -> None:
        await self._write(rows.WANT_LETTER, [(identifier,) for identifier in ids])

    def wanted_letters(self, most: int, most_bytes: int) -> Sequence[Letter]:
        found: list[Letter] = []
        weight = 0
        for row in self._select(rows.WANTED_LETTERS, (most,)):
            letter = rows.letter(row)
            weight += len(letter.record)
            if found and weight > most_bytes:
                break
            found.append(letter)
        return found

    async def remove_letters(self, ids: Sequence[str]) -> None:
        await self._write(rows.REMOVE_LETTER, [(identifier,) for identifier in ids])

    async def postpone_letters(self, sink: str, trouble: str) -> None:
        await self._write(rows.POSTPONE_LETTERS, [(rows.storable(trouble), sink)])

    async def close(self) -> None:
        """Write what waits, then let go of the file."""
        if self._commit is not None:
            await self._commit.close()
        for connection in (self._reader, self._writer):  # the writer last: it folds the -wal file in
            if connection is not None:
                connection.close()
        self._reader = self._writer = None
        self._closed = True

    def _select(self, statement: str, arguments: Sequence[Any] = ()) -> Iterator[Any]:
        if self._closed:  # nothing found would be a wrong answer: a source without a bookmark starts anew
            raise Backpressure("shutdown", f"{self._path} is closed")
        if self._reader is None:
            return
        try:
            yield from self._reader.execute(statement, arguments)
        except sqlite3.Error as error:
            raise Backpressure("state", f"{self._path} cannot be read: {error}") from error

    async def _write(self, statement: str, values: Sequence[Sequence[Any]], *, before: str | None = None) -> None:
        def job(connection: sqlite3.Connection) -> None:
            if before is not None:
                connection.execute(before)
            connection.executemany(statement, values)

        await self._submit(job)

    async def _submit(self, job: Job[None] | _Saving) -> None:
        if self._commit is None:
            raise Backpressure("state", f"{self._path} was opened to read only")
        if self._closed:
            raise Backpressure("shutdown", f"{self._path} is closed")
        try:
            await self._commit.submit(job)
        except (sqlite3.Error, ValueError, OverflowError) as error:  # the last two: a value SQLite cannot hold
            raise Backpressure("state", f"{self._path} cannot be written: {error}") from error


def _perform(connection: sqlite3.Connection, jobs: Sequence[Job[None] | _Saving]) -> Sequence[BaseException | None]:
    """A round that saves bookmarks and nothing else is one statement, which is a transaction by itself.

    SQLite gives up the GIL for each statement, and a busy event loop is slow to give it back.
    """
    saved = [job.row for job in jobs if isinstance(job, _Saving)]
    if len(saved) == len(jobs):
        # a power of two, so that few statements are compiled: the last row is written again, which changes nothing
        saved += saved[-1:] * ((1 << (len(saved) - 1).bit_length()) - len(saved))
        with suppress(*database.JOB_ERRORS):  # else one by one, so that only the guilty one fails
            connection.execute(rows.save_bookmarks(len(saved)), list(chain.from_iterable(saved)))
            return [None] * len(jobs)
    return database.perform(connection, jobs)


def _no_room(connection: sqlite3.Connection, letters: Sequence[Letter], most: Amount) -> Amount | None:
    """None: with *letters*, their one source has no more than *most* in quarantine. Else what it has without them."""
    found = connection.execute(rows.QUARANTINED, (rows.storable(letters[0].quarantined),)).fetchone()
    waiting = Amount(*(found or (0, 0)))
    if waiting.grown(letters).within(most):  # nearly always: then nobody has to look them up
        return None
    new = [letter for letter in letters if connection.execute(rows.HAS_LETTER, (letter.id,)).fetchone() is None]
    return None if not new or waiting.grown(new).within(most) else waiting


def _unusable(path: Path, error: sqlite3.Error | OSError) -> OperatorError:
    if database.damaged(error):
        return OperatorError(
            f"{path} is damaged ({error}). It holds the bookmarks: put back a copy, or move it away; "
            "then sources without a bookmark start anew, as read_existing_events says.",
            exit_code=READ_FAILED,
        )
    return OperatorError(
        f"{path} cannot be opened: {error}. The collector's user needs to read and write it and its folder.",
        exit_code=NOT_PERMITTED if isinstance(error, PermissionError) else READ_FAILED,
    )
