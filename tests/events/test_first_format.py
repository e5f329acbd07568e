"""Claims about store files that an earlier version wrote: read as they are, moved forward when they are written to."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import orjson
import pytest

from collector.events.filters import SearchQuery, parse_query
from collector.events.rows import FileReader
from collector.events.search import search
from collector.events.store import EventStore, StoreUnavailable
from collector.events.tail import Tail
from tests.events.first_format import write_first_format
from tests.events.made import NOON, RECEIVED, SECOND, Made, crowd, made, records

EVENTS = crowd(120, seed=11, start=NOON - 3600 * SECOND, span=7200 * SECOND)
DAY = "2026-03-10.sqlite"
QUERIES: list[dict[str, object]] = [
    {},
    {"limit": 7},
    {"names": {"computer": ["pc*"], "channel": ["security"]}},
    {"numbers": {"event_id": ["4624,4720-4729"], "level": ["error"]}},
    {"names": {"provider": ["service*"]}, "text": ["alice"]},
]


def found(folder: Path, asked: dict[str, object]) -> list[tuple[str, bytes, str]]:
    query = parse_query(RECEIVED, **asked)  # type: ignore[arg-type]
    return [(each.id, each.document, each.xml) for each in search(folder, query, xml=True)]


async def stored(folder: Path, events: list[Made]) -> int:
    store = EventStore(folder)
    written = await store.write(records(events))
    await store.close()
    return written.new


def version(path: Path) -> int:
    base = sqlite3.connect(path)
    number: int = base.execute("pragma user_version").fetchone()[0]
    base.close()
    return number


@pytest.mark.parametrize("asked", QUERIES, ids=str)
async def test_a_file_of_the_first_format_answers_like_one_of_today(tmp_path: Path, asked: dict[str, object]) -> None:
    """After an update last month's evidence is found as before, also where nobody may change the files."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    write_first_format(old / DAY, EVENTS)
    await stored(new, EVENTS)

    assert found(old, asked) == found(new, asked)
    assert version(old / DAY) == 1


@pytest.mark.parametrize("asked", QUERIES, ids=str)
async def test_a_write_moves_the_file_forward_and_loses_nothing(tmp_path: Path, asked: dict[str, object]) -> None:
    """The day of the update has a file of yesterday's version; a late duplicate still meets its original."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    write_first_format(old / DAY, EVENTS[:100])
    await stored(new, EVENTS)

    assert await stored(old, EVENTS) == 20

    assert found(old, asked) == found(new, asked)
    assert version(old / DAY) == 2


async def test_events_without_a_time_are_moved_as_well(tmp_path: Path) -> None:
    """They are known by their ids alone, before and after."""
    events = [made(number, 0) for number in range(40)]
    write_first_format(tmp_path / "undated.sqlite", events)

    assert await stored(tmp_path, [*events, made(99, 0)]) == 1

    assert {each.id for each in search(tmp_path, SearchQuery())} == {each.id for each in [*events, made(99, 0)]}


async def test_a_move_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Half a migration would be the loss of a day."""
    write_first_format(tmp_path / DAY, EVENTS)
    base = sqlite3.connect(tmp_path / DAY)
    base.execute("create table moved (in_the_way)")
    base.commit()

    with pytest.raises(StoreUnavailable, match="moved"):
        await stored(tmp_path, EVENTS)

    assert len(found(tmp_path, {})) == len(EVENTS)
    base.execute("drop table moved")
    base.commit()
    base.close()
    assert await stored(tmp_path, [*EVENTS, made(1000)]) == 1


async def test_a_search_goes_on_while_a_writer_moves_the_file(tmp_path: Path) -> None:
    """The first event after an update must not end the search that somebody has just begun."""
    events = [made(number, NOON + number * SECOND) for number in range(3000)]
    write_first_format(tmp_path / DAY, events, per_block=1000)
    reader = FileReader(tmp_path / DAY, "2026-03-10")
    pages = reader.pages(parse_query(RECEIVED, names={"channel": ["security"]}), newest_first=False)
    rows = next(pages)

    assert await stored(tmp_path, [made(5000)]) == 1
    rows += [row for page in pages for row in page]

    assert [row[1] for row in rows if row[1] != made(5000).id] == [event.id for event in events]
    reader.close()


async def test_retention_looks_without_changing(tmp_path: Path) -> None:
    """Files that only wait for their age are not rewritten for it."""
    write_first_format(tmp_path / DAY, EVENTS)
    store = EventStore(tmp_path)

    await store.retain(RECEIVED, age=1e9, size=2**40)
    await store.close()

    assert version(tmp_path / DAY) == 1


async def test_a_tail_follows_a_file_through_its_move(tmp_path: Path) -> None:
    """What was there is no news because its file has other tables now."""
    write_first_format(tmp_path / DAY, EVENTS)
    tail = Tail(tmp_path, SearchQuery())

    await stored(tmp_path, [*EVENTS, made(1000)])

    assert [each.id for each in tail.news()] == [made(1000).id]


async def test_records_of_earlier_spools_are_stored_like_those_of_today(tmp_path: Path) -> None:
    """A spool that outlives an update holds records in the spelling of its day."""
    event = made(1, data={"tab": "a\tb", "xml": '},"xml":"'})
    then, now = records([event]), records([event])
    line = orjson.dumps(event.document) + b"\t" + orjson.dumps(event.xml) + b"\n"
    now = now.__class__(**{name: getattr(now, name) for name in now.__slots__} | {"block": line})
    now.ends[0] = len(line)
    first, second = tmp_path / "then", tmp_path / "now"
    for folder, batch in ((first, then), (second, now)):
        store = EventStore(folder)
        assert (await store.write(batch)).new == 1
        await store.close()

    assert found(first, {}) == found(second, {})
