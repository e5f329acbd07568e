"""Claims about what is in the store after writing: once, whole, whatever the disk had to say."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from array import array
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from collector.events.filters import SearchQuery
from collector.events.search import count, search
from collector.events.store import EventStore, StoreUnavailable
from collector.model import Records
from tests.events.made import NOON, RECEIVED, SECOND, Made, crowd, made, records

ALL = SearchQuery()
DAY = 86_400 * SECOND


async def store_all(folder: Path, *batches: Records) -> list[int]:
    """Write *batches* one after the other; how many of each were new."""
    store = EventStore(folder)
    new = [(await store.write(batch)).new for batch in batches]
    await store.close()
    return new


def ids(folder: Path, query: SearchQuery = ALL) -> list[str]:
    return [found.id for found in search(folder, query)]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))


def in_order(events: list[Made]) -> list[str]:
    return [event.id for event in sorted(events, key=lambda event: (event.key.time, event.id))]


async def test_what_was_written_is_found_byte_for_byte(tmp_path: Path) -> None:
    """The document is printed as it was stored and the XML as it was received, line ends and all."""
    events = crowd(50, seed=1)

    await store_all(tmp_path, records(events))

    by_id = {event.id: event for event in events}
    for found in search(tmp_path, ALL, xml=True):
        assert found.document == orjson.dumps(by_id[found.id].document)
        assert found.xml == by_id[found.id].xml


async def test_a_duplicate_delivery_collapses(tmp_path: Path) -> None:
    """After a lost acknowledgement a source sends everything again; whoever counts logons must not count twice."""
    events = crowd(40, seed=2)

    new = await store_all(tmp_path, records(events), records(events), records(events[:7]))

    assert new == [40, 0, 0]
    assert ids(tmp_path) == in_order(events)


async def test_a_batch_that_is_partly_known_adds_only_the_rest(tmp_path: Path) -> None:
    """Resent batches are cut differently; every new event is kept with its own body, no known one twice."""
    events = crowd(300, seed=3, span=DAY)

    new = await store_all(tmp_path, records(events[100:200]), records(events), records([*events[:3], *events[:3]]))

    assert new == [100, 200, 0]
    assert [orjson.loads(f.document)["wef"]["event_id"] for f in search(tmp_path, ALL)] == in_order(events)


async def test_duplicates_leave_no_bodies_behind(tmp_path: Path) -> None:
    """A source that sends one batch for ever must not fill the disk."""
    events = [made(n, message="x" * 2000 + str(n)) for n in range(100)]

    await store_all(tmp_path, records(events), *[records(events)] * 5, records([*events, made(101)]))

    with sqlite3.connect(tmp_path / "2026-03-10.sqlite") as base:
        blocks = base.execute("select length(documents) + length(xmls) from blocks order by id").fetchall()
    assert len(blocks) == 2
    assert blocks[1][0] < 1000
    base.close()


async def test_an_event_without_a_time_collapses_by_its_id(tmp_path: Path) -> None:
    """It sorts by the time of receipt, which is another one at the second delivery; the event is the same."""
    event = made(1, 0)
    later = RECEIVED + timedelta(days=1)

    new = await store_all(tmp_path, records([event]), records([event], received=later))

    assert new == [1, 0]
    assert ids(tmp_path, SearchQuery(since=NOON, until=NOON)) == [event.id]


async def test_times_out_of_every_calendar_are_kept_and_found(tmp_path: Path) -> None:
    """Year 1601, year 9999 and worse: poorer events, not lost ones."""
    events = [made(1, -(2**70)), made(2, -1), made(3, NOON), made(4, 2**64)]

    await store_all(tmp_path, records(events))

    assert ids(tmp_path) == [event.id for event in events]


async def test_days_come_out_in_order_and_their_borders_belong_to_both_sides(tmp_path: Path) -> None:
    """A search over midnight leaves out nothing and shows nothing twice."""
    midnight = NOON + DAY // 2
    events = [made(n, midnight + offset) for n, offset in enumerate([-1, 0, 1, -DAY, DAY, -400 * DAY])]

    await store_all(tmp_path, records(events))

    assert ids(tmp_path) == in_order(events)
    assert ids(tmp_path, SearchQuery(since=midnight - 1, until=midnight)) == [events[0].id, events[1].id]
    assert files(tmp_path) == [f"{name}.sqlite" for name in ("2025", "2026-03-10", "2026-03-11", "2026-03-12")]


async def test_an_event_in_a_year_file_and_in_a_day_file_is_shown_once(tmp_path: Path) -> None:
    """The same event, delivered when it was young and, to another store file, when it was old."""
    event = made(1, NOON)
    old = records([event], received=RECEIVED + timedelta(days=400))
    await store_all(tmp_path, old)
    (tmp_path / "2026.sqlite").rename(tmp_path / "kept")
    await store_all(tmp_path, records([event]))
    (tmp_path / "kept").rename(tmp_path / "2026.sqlite")

    assert ids(tmp_path) == [event.id]
    assert count(tmp_path, ALL) == 1


async def test_batches_written_together_are_all_there(tmp_path: Path) -> None:
    """One commit serves every batch that waits; each caller is told its own truth."""
    events = crowd(200, seed=4)
    store = EventStore(tmp_path)

    written = await asyncio.gather(*(store.write(records(events[n : n + 10])) for n in range(0, 200, 10)))
    await store.close()

    assert sum(each.new for each in written) == 200
    assert ids(tmp_path) == in_order(events)


@pytest.mark.parametrize("damage", [b"no database at all" * 400, b"SQLite format 3\x00" + b"\xff" * 8000])
async def test_a_damaged_file_is_set_aside_and_writing_goes_on(tmp_path: Path, damage: bytes) -> None:
    """One bad sector must not stop a collector; what was in the file is kept for a closer look."""
    (tmp_path / "2026-03-10.sqlite").write_bytes(damage)
    event = made(1)

    assert await store_all(tmp_path, records([event])) == [1]

    assert ids(tmp_path) == [event.id]
    assert (tmp_path / "2026-03-10.sqlite.damaged-1").read_bytes() == damage


async def test_a_file_damaged_in_the_middle_is_passed_over_by_search_and_named(tmp_path: Path) -> None:
    """The other days stay searchable, and nobody is told that nothing is missing."""
    young, old = made(1), made(2, NOON - DAY)
    await store_all(tmp_path, records([young, old]))
    path = tmp_path / "2026-03-09.sqlite"
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * (path.stat().st_size - 4096))
    told: list[str] = []

    found = list(search(tmp_path, ALL, report=told.append))

    assert [each.id for each in found] == [young.id]
    assert len(told) == 1
    assert str(path) in told[0]


async def test_a_full_disk_refuses_the_batch_and_a_later_try_succeeds(tmp_path: Path) -> None:
    """The lane keeps the records and offers them again; the store must not stay in its failure."""
    store, small = EventStore(tmp_path), made(1)
    large = [made(n, data={str(n): os.urandom(500).hex()}) for n in range(2, 500)]
    await store.write(records([small]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # no file may grow beyond this
    try:
        with pytest.raises(StoreUnavailable, match=r"2026-03-10\.sqlite"):
            await store.write(records(large))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found_between = ids(tmp_path)
    again = await store.write(records(large))
    await store.close()

    assert found_between == [small.id]
    assert again.new == len(large)
    assert ids(tmp_path) == in_order([small, *large])


async def test_a_file_that_cannot_be_opened_is_not_now(tmp_path: Path) -> None:
    """Permission lost, a folder in its place: refused while it lasts, fine afterwards, without a restart."""
    blocker = tmp_path / "2026-03-10.sqlite"
    blocker.mkdir()  # what SQLite cannot open, also for root
    store, event = EventStore(tmp_path), made(1)

    with pytest.raises(StoreUnavailable, match=r"2026-03-10\.sqlite"):
        await store.write(records([event]))
    blocker.rmdir()
    again = await store.write(records([event]))
    await store.close()

    assert again.new == 1
    assert ids(tmp_path) == [event.id]


async def test_a_file_of_a_newer_collector_is_refused_not_set_aside(tmp_path: Path) -> None:
    """After a downgrade the events of yesterday's newer version must not be pushed out of the way."""
    await store_all(tmp_path, records([made(1)]))
    with sqlite3.connect(tmp_path / "2026-03-10.sqlite") as base:
        base.execute("pragma user_version = 99")
    base.close()

    with pytest.raises(StoreUnavailable, match="format 99"):
        await store_all(tmp_path, records([made(2)]))

    assert files(tmp_path) == ["2026-03-10.sqlite"]


async def test_a_row_that_is_no_record_is_refused_alone(tmp_path: Path) -> None:
    """Its neighbours are stored, and the sink can say which one will never be taken and why."""
    good = made(1)
    block = b"[1]\n" + good.stored + b"\n"
    odd = Records(
        "stored", block, array("Q", [4, len(block)]), ["x", good.id], [good.key, good.key], "s", "e", RECEIVED
    )
    store = EventStore(tmp_path)

    written = await store.write(odd)
    await store.close()

    assert written.new == 1
    assert [(entry.row, "document" in entry.reason) for entry in written.unstorable] == [(0, True)]


async def test_a_record_spelled_with_blanks_is_stored_all_the_same(tmp_path: Path) -> None:
    """Cutting is a short cut; what does not look as expected is parsed."""
    block = b'{ "xml": "<Event/>", "document": {"a": [1, 2]} }\n'
    event = made(1)
    batch = Records("stored", block, array("Q", [len(block)]), [event.id], [event.key], "s", "e", RECEIVED)

    await store_all(tmp_path, batch)

    assert [(found.document, found.xml) for found in search(tmp_path, ALL, xml=True)] == [(b'{"a":[1,2]}', "<Event/>")]


async def test_a_field_named_xml_does_not_mislead_the_cut(tmp_path: Path) -> None:
    """Event data may be called anything, and may hold what looks like our own separator."""
    event = made(1, data={"xml": '","xml":"', "z": "1"})

    await store_all(tmp_path, records([event]))

    (found,) = search(tmp_path, ALL, xml=True)
    assert (orjson.loads(found.document), found.xml) == (event.document, event.xml)


async def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    """Half a surrogate pair, NUL, 10,000 letters, SQL: names are values, never anything else."""
    names = ["\ud800", "a\0b", "x" * 10_000, "'; drop table events; --", "", "\x1b[2J"]
    events = [made(n, computer=name) for n, name in enumerate(names)]
    batch = records([made(n) for n in range(len(names))])
    hostile = Records("stored", batch.block, batch.ends, batch.ids, [event.key for event in events], "s", "e", RECEIVED)

    assert await store_all(tmp_path, hostile) == [len(names)]

    assert count(tmp_path, SearchQuery(computer=("x" * 10_000,))) == 1
    assert count(tmp_path, SearchQuery(computer=("'; drop*",))) == 1


async def test_retention_drops_whole_files_and_nothing_else(tmp_path: Path) -> None:
    """Old days go with their journals; what arrived today stays, however old it is."""
    old, late, young = made(1, NOON - 50 * DAY), made(2, NOON - 45 * DAY), made(3)
    store = EventStore(tmp_path)
    await store.write(records([old], received=RECEIVED - timedelta(days=50)))
    await store.write(records([late, young]))

    dropped = await store.retain(RECEIVED, age=30 * 86_400.0, size=2**40)
    await store.write(records([old]))  # the day can begin anew
    await store.close()

    assert dropped == ["2026-01-19.sqlite"]
    assert ids(tmp_path) == in_order([old, late, young])


async def test_retention_by_size_keeps_the_newest(tmp_path: Path) -> None:
    """When space is what is short, yesterday is worth more than last month."""
    store = EventStore(tmp_path)
    await store.write(records([made(n, NOON - n * DAY) for n in range(5)]))

    dropped = await store.retain(RECEIVED, age=1e9, size=1)
    await store.close()

    assert len(dropped) == 4
    assert ids(tmp_path) == [made(0, NOON).id]


async def test_many_days_at_once_stay_within_the_open_files(tmp_path: Path) -> None:
    """A batch of a wild clock names more days than may be open; each is written and found."""
    events = [made(n, NOON - n * DAY) for n in range(60)]
    store = EventStore(tmp_path)
    await store.write(records(events))

    assert len(store._open) <= 48

    await store.close()
    assert ids(tmp_path) == in_order(events)


SEARCH_AS_NOBODY = """
import os, sys
from pathlib import Path
from collector.events.filters import SearchQuery
from collector.events.search import search
if os.geteuid() == 0:  # root may write everywhere
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
assert not os.access(sys.argv[1], os.W_OK)
print(*(found.id for found in search(Path(sys.argv[1]), SearchQuery())))
"""


def test_search_works_in_a_folder_it_may_not_write() -> None:
    """Evidence is read from a read-only mount, too."""
    event = made(1)
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders let nobody but their owner in
        folder = Path(name)
        asyncio.run(store_all(folder, records([event])))
        folder.chmod(0o555)
        try:
            done = subprocess.run([sys.executable, "-c", SEARCH_AS_NOBODY, name], capture_output=True, text=True)
        finally:
            folder.chmod(0o700)
    assert done.stdout.split() == [event.id], done.stderr
