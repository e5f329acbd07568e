"""The tables of a store file, and how those of an earlier format become today's. SQL and numbers only.

Format 1 kept channel, provider, event id and level in every row of ``events``; since format 2 a row names
their combination, of which a day has some hundred. Readers know both, a file is changed by its next write.
"""

from __future__ import annotations

APPLICATION = 0x57454645
"""``PRAGMA application_id`` of our files ("WEFE")."""

VERSION = 2
"""``PRAGMA user_version``: the format of the tables."""

PAGE_SIZE = 8192
"""Bytes of a page in new files: fewer pages for each block and each commit than with SQLite's 4096, and an empty
file is still small."""

ROW_BITS = 12
"""``place`` is the number of a block, and in its lowest bits the number of the line in it."""

BLOCK_ROWS = 1 << ROW_BITS

_EVENTS = (
    "time integer not null, id text not null, computer integer not null, kind integer not null, place integer not null"
)
# Times grow, ids are random: a key that starts with the time appends, one of ids alone would rewrite pages everywhere.
_DATED = f"create table {{name}} ({_EVENTS}, primary key (time, id)) without rowid"
# Without a time of its own the event is known by its id alone; otherwise every delivery would be another event.
_UNDATED = f"create table {{name}} ({_EVENTS}, primary key (id)) without rowid"
_BY_TIME = "create index events_time on events (time, id)"
_NAMES = "create table names (id integer primary key, name text not null unique)"
_KINDS = (
    "create table kinds (id integer primary key, channel integer not null, provider integer not null, "
    "event_id not null, level integer not null, unique (channel, provider, event_id, level))"
)
_BLOCKS = (
    "create table blocks (id integer primary key, received integer not null, first integer not null, "
    "last integer not null, documents blob not null, xmls blob not null)"
)


def creation(*, undated: bool) -> str:
    """The script that makes an empty file ours."""
    events = [_UNDATED.format(name="events"), _BY_TIME] if undated else [_DATED.format(name="events")]
    marks = [f"pragma application_id = {APPLICATION}", f"pragma user_version = {VERSION}"]
    return _script([_NAMES, _KINDS, _BLOCKS, *events, *marks])


def migration(*, undated: bool) -> str:
    """The script from format 1 to format 2, in one transaction; bodies stay where they are."""
    return _script(
        [
            _KINDS,
            "insert into kinds (channel, provider, event_id, level) "
            "select distinct channel, provider, event_id, level from events",
            (_UNDATED if undated else _DATED).format(name="moved"),
            # "cross": in the order of the old table, so that the new one is written from front to end
            f"insert into moved select time, events.id, computer, kinds.id, block << {ROW_BITS} | row "  # noqa: S608
            "from events cross join kinds using (channel, provider, event_id, level)",
            "drop table events",
            "alter table moved rename to events",
            *([_BY_TIME] if undated else []),
            f"pragma user_version = {VERSION}",
        ]
    )


def _script(statements: list[str]) -> str:
    return ";".join(["begin immediate", *statements, "commit"])
