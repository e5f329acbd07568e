"""One file of the store, open for reading: rows by their columns, bodies by their block.

Reads beside a writer and without one, and never changes a file. Every query is short, so that
a slow reader does not hold back the writer's journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from collector.errors import CollectorError
from collector.events.blocks import BlockDamaged, Unpacker
from collector.events.filters import Glob, Range, SearchQuery
from collector.events.tables import APPLICATION, ROW_BITS, VERSION

_PAGE = 2048
"""Rows per query: short transactions, little memory, and few queries."""


class FileUnreadable(CollectorError):
    """A store file that cannot be read, and why."""


class Row(NamedTuple):
    """Where an event is, and by what it is ordered. *place*: its block, and the line in it (``tables.ROW_BITS``)."""

    time: int
    id: str
    file: str
    place: int


Line = tuple[int, str, int]
"""A row of a file that is known: time, id and place. Most of those that a search for words reads become no ``Row``."""


@dataclass(frozen=True, slots=True)
class _Sql:
    """How a format of the tables is asked: for an event's place, for certain blocks, for kinds of events."""

    place: str
    blocks: str
    kinds: str


_FIRST_SQL = _Sql(f"block << {ROW_BITS} | row", "block between {first} and {last}", "{conditions}")
_SQL = _Sql(
    "place",
    f"place >> {ROW_BITS} between {{first}} and {{last}}",
    "kind in (select id from kinds where {conditions})",
)


class FileReader:
    """A store file for one search. Raises ``FileUnreadable`` from every method."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._unpacker = Unpacker()
        try:
            self._base = _open(path)
            version = self._base.execute("pragma user_version").fetchone()[0]
            application = self._base.execute("pragma application_id").fetchone()[0]
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        if version > VERSION:
            raise self._unreadable(f"its format is {version}; this collector knows formats up to {VERSION}")
        self._fresh = application != APPLICATION  # made a moment ago, its tables are not there yet
        self._sql = _FIRST_SQL if version == 1 else _SQL

    def pages(
        self, query: SearchQuery, *, newest_first: bool, blocks: tuple[int, int] | None = None
    ) -> Iterator[list[Line]]:
        """The rows whose columns match, in order and in pages; *blocks* (first, last) narrows to certain arrivals."""
        if self._fresh:
            return
        order, beyond = ("desc", "<") if newest_first else ("asc", ">")
        since, until = _bound("time >= ", query.since), _bound("time <= ", query.until)
        far, near = (until, since) if newest_first else (since, until)
        # Beside another bound of the time, SQLite would not begin a page where the last one ended.
        beyond_last = f"time {beyond}= ?1 and (time {beyond} ?1 or id {beyond} ?2)"
        last: tuple[int | str, ...] = ()
        try:
            conditions = self._conditions(query, blocks)
            while conditions is not None:
                where = " and ".join([*near, beyond_last, *conditions] if last else [*far, *near, *conditions])
                try:
                    page = self._page(where or "1", f"time {order}, id {order}", last)
                except sqlite3.OperationalError:
                    if not self._moved():
                        raise
                    conditions = self._conditions(query, blocks)
                    continue
                yield page
                if len(page) < _PAGE:
                    return
                last = page[-1][:2]
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _page(self, where: str, order: str, last: tuple[int | str, ...]) -> list[Line]:
        """The next rows; *where* and *order* are SQL without a word of anybody's."""
        found = self._base.execute(
            f"select time, id, {self._sql.place} from events where {where} order by {order} limit {_PAGE}",  # noqa: S608
            last,
        )
        return found.fetchall()

    def _moved(self) -> bool:
        """Whether a writer has brought the file to today's format meanwhile: places stay, so the next page goes on."""
        if self._sql is _SQL or self._base.execute("pragma user_version").fetchone()[0] != VERSION:
            return False
        self._sql = _SQL
        return True

    def newest_block(self) -> int:
        """The number of the last arrival; 0: none."""
        return int(self._one("select coalesce(max(id), 0) from blocks", (), 0))

    def times_of(self, first: int, last: int) -> tuple[int, int] | None:
        """Between which times lie the events of blocks *first* to *last*; None: there are none."""
        low = self._one("select min(first) from blocks where id between ? and ?", (first, last), None)
        high = self._one("select max(last) from blocks where id between ? and ?", (first, last), None)
        return None if low is None or high is None else (low, high)

    def documents(self, block: int) -> bytes:
        """The documents of a block, joined by LF."""
        return self._body("documents", block)

    def xmls(self, block: int) -> bytes:
        """The XML of a block's events as JSON strings, joined by LF."""
        return self._body("xmls", block)

    def close(self) -> None:
        self._base.close()

    def _body(self, column: str, block: int) -> bytes:
        packed = self._one(f"select {column} from blocks where id = ?", (block,), None)  # noqa: S608 - one of two words
        try:
            if packed is None:
                raise BlockDamaged(f"block {block} is not there")
            return self._unpacker.unpack(packed)
        except BlockDamaged as error:
            raise self._unreadable(error) from error

    def _one(self, sql: str, values: tuple[int, ...], default: Any) -> Any:
        if self._fresh:
            return default
        try:
            row = self._base.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return row[0] if row else default

    def _conditions(self, query: SearchQuery, blocks: tuple[int, int] | None) -> list[str] | None:
        """SQL made of numbers only; None when nothing in this file can match."""
        found: list[str] = []
        if blocks is not None:
            found.append(self._sql.blocks.format(first=blocks[0], last=blocks[1]))
        kinds: list[str] = []
        for column in ("event_id", "level"):
            ranges: tuple[Range, ...] = getattr(query, column)
            if ranges:
                alternatives = " or ".join(f"{column} between {low} and {high}" for low, high in ranges)
                kinds.append(f"({alternatives})")
        for column in ("computer", "channel", "provider"):
            patterns: tuple[str, ...] = getattr(query, column)
            if patterns:
                numbers = self._named(patterns)
                if not numbers:
                    return None
                (found if column == "computer" else kinds).append(f"{column} in ({','.join(numbers)})")
        if kinds:
            found.append(self._sql.kinds.format(conditions=" and ".join(kinds)))
        return found

    def _named(self, patterns: tuple[str, ...]) -> list[str]:
        wanted = Glob(patterns)
        return [str(number) for number, name in self._base.execute("select id, name from names") if wanted.match(name)]

    def _unreadable(self, reason: object) -> FileUnreadable:
        return FileUnreadable(f"{self.path}: {reason}")


def _bound(condition: str, time: int | None) -> list[str]:
    return [] if time is None else [f"{condition}{time}"]


def _open(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. A folder that we may not write into holds no journal for us to join."""
    name = path.absolute().as_uri()
    base = sqlite3.connect(f"{name}?mode=ro", uri=True, isolation_level=None, timeout=5, check_same_thread=False)
    try:
        base.execute("select 1 from sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        base.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        base = sqlite3.connect(f"{name}?immutable=1", uri=True, isolation_level=None, check_same_thread=False)
    except sqlite3.DatabaseError:
        base.close()
        raise
    return base
