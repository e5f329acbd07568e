"""Store files as version 1 of the format had them, written by statements of their own: what lies on disks by now."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import orjson
import zstandard

from tests.events.made import NOON, Made

_COLUMNS = (
    "time integer not null, id text not null, computer integer not null, channel integer not null, "
    "provider integer not null, event_id not null, level integer not null, block integer not null, row integer not null"
)
_DATED = f"create table events ({_COLUMNS}, primary key (time, id)) without rowid;"
_UNDATED = (
    f"create table events ({_COLUMNS}, primary key (id)) without rowid;create index events_time on events (time, id);"
)
_TABLES = """
create table names (id integer primary key, name text not null unique);
create table blocks (id integer primary key, received integer not null, first integer not null, last integer not null,
                     documents blob not null, xmls blob not null);
pragma application_id = 1464157765;
pragma user_version = 1;
"""


def write_first_format(path: Path, events: Sequence[Made], *, per_block: int = 17) -> None:
    """A file of format 1 with *events*, which have to belong into it."""
    base = sqlite3.connect(path)
    base.execute("pragma journal_mode = wal")
    base.executescript((_UNDATED if path.stem == "undated" else _DATED) + _TABLES)
    for start in range(0, len(events), per_block):
        _write_block(base, start // per_block + 1, events[start : start + per_block])
    base.commit()
    base.close()


def _write_block(base: sqlite3.Connection, number: int, events: Sequence[Made]) -> None:
    times = [event.key.time or NOON for event in events]
    bodies = [[orjson.dumps(event.document) for event in events], [orjson.dumps(event.xml) for event in events]]
    packed = [zstandard.ZstdCompressor(level=1).compress(b"\n".join(lines)) for lines in bodies]
    base.execute("insert into blocks values (?, ?, ?, ?, ?, ?)", (number, NOON, min(times), max(times), *packed))
    for row, (event, time) in enumerate(zip(events, times, strict=True)):
        key = event.key
        names = []
        for name in (key.computer, key.channel, key.provider):
            base.execute("insert or ignore into names (name) values (?)", (name,))
            names.append(base.execute("select id from names where name = ?", (name,)).fetchone()[0])
        event_id = int(key.event_id) if key.event_id.isdigit() else key.event_id
        base.execute(
            "insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (time, event.id, *names, event_id, key.level, number, row),
        )
