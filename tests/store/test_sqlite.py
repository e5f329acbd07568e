"""What only the SQLite store must do: one file, several processes, crashes, disks that refuse."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from collector.errors import Backpressure, OperatorError
from collector.model import Bookmark
from collector.store.sqlite import REMEMBERED, SqliteStore

CHILD = """
import asyncio, sys
from pathlib import Path
from collector.model import Bookmark
from collector.store.sqlite import SqliteStore

async def main():
    store = SqliteStore.open(Path(sys.argv[1]))
    number = 0
    while True:
        await asyncio.gather(*(store.save_bookmark(f"pc{i}", "sub", Bookmark(str(number))) for i in range(5)))
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


async def test_what_was_saved_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    """A bookmark that is acknowledged and then forgotten replays events; that is what the sync is for."""
    file = tmp_path / "state.sqlite"
    last = await asyncio.to_thread(_save_until_killed, file)

    store = SqliteStore.open(file)
    saved = [int(bookmark.xml) for _, _, bookmark in store.bookmarks()]
    await store.close()

    assert len(saved) == 5
    assert min(saved) >= last


def _save_until_killed(file: Path) -> int:
    """The last round of bookmarks that the killed process was told to be safe."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(file)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        last = -1
        while last < 20:
            last = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        return max([last, *(int(line) for line in child.stdout.read().split())])


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_one_job_that_fails_takes_no_neighbour_with_it(tmp_path: Path) -> None:
    """Batches that wait together share a commit, not a fate."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    bad = "\ud800"  # SQLite keeps UTF-8 and cannot hold half a surrogate pair

    outcomes = await asyncio.gather(
        store.save_bookmark("pc01", "sub", Bookmark("1")),
        store.save_bookmark("pc02", "sub", Bookmark(bad)),
        store.save_bookmark("pc03", "sub", Bookmark("3")),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), Backpressure, type(None)]
    assert [source for source, _, _ in store.bookmarks()] == ["pc01", "pc03"]
    await store.close()


async def test_a_disk_that_refuses_becomes_backpressure_and_ends_by_itself(tmp_path: Path) -> None:
    """The source keeps its events until there is room again; nobody has to restart anything."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    assert store._writer is not None
    full = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {full}")

    with pytest.raises(Backpressure, match="full") as refusal:
        await store.save_bookmark("pc01", "sub", Bookmark("x" * 100_000))
    assert refusal.value.reason == "state"
    store._writer.execute("PRAGMA max_page_count = 1000000")
    await store.save_bookmark("pc01", "sub", Bookmark("later"))

    assert store.bookmark("pc01", "sub") == Bookmark("later")
    await store.close()


async def test_commands_read_beside_a_running_collector(tmp_path: Path) -> None:
    """People look while it runs; reading must neither wait nor disturb."""
    file = tmp_path / "state.sqlite"
    store = SqliteStore.open(file)
    await store.save_bookmark("pc01", "sub", Bookmark("1"))

    reading = SqliteStore.open(file, readonly=True)
    await store.save_bookmark("pc02", "sub", Bookmark("2"))

    assert [source for source, _, _ in reading.bookmarks()] == ["pc01", "pc02"]
    await reading.close()
    await store.close()


async def test_commands_read_without_a_collector_and_create_no_store(tmp_path: Path) -> None:
    """A command with a mistyped path must not leave a state file behind."""
    missing = tmp_path / "state.sqlite"

    reading = SqliteStore.open(missing, readonly=True)

    assert list(reading.bookmarks()) == []
    assert list(reading.presences()) == []
    await reading.close()
    assert not missing.exists()
    assert _names_in(tmp_path) == []


async def test_a_closed_store_reads_the_same_from_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """An auditor may read the state without being allowed to write beside it."""
    folder = tmp_path / "state"
    folder.mkdir()
    store = SqliteStore.open(folder / "state.sqlite")
    await store.save_bookmark("pc01", "sub", Bookmark("1"))
    await store.close()
    folder.chmod(0o500)
    try:
        reading = SqliteStore.open(folder / "state.sqlite", readonly=True)
        assert [source for source, _, _ in reading.bookmarks()] == ["pc01"]
        await reading.close()
    finally:
        folder.chmod(0o700)


async def test_a_reading_store_refuses_to_write(tmp_path: Path) -> None:
    """Two writers on one file wait for each other's locks."""
    reading = SqliteStore.open(tmp_path / "state.sqlite", readonly=True)

    with pytest.raises(Backpressure, match="read only"):
        await reading.save_bookmark("pc01", "sub", Bookmark("1"))


def test_a_store_of_a_newer_collector_is_refused(tmp_path: Path) -> None:
    """Guessing at a format of the future would damage it."""
    file = tmp_path / "state.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    for readonly in (False, True):
        with pytest.raises(OperatorError, match="has format 99, and this collector knows up to 3") as refusal:
            SqliteStore.open(file, readonly=readonly)
        assert refusal.value.exit_code == 78


def test_a_damaged_store_is_refused_and_not_replaced(tmp_path: Path) -> None:
    """It holds every source's position: a person decides whether to do without."""
    file = tmp_path / "state.sqlite"
    file.write_bytes(b"not a database, but long enough to look like one" * 100)

    with pytest.raises(OperatorError, match="is damaged"):
        SqliteStore.open(file)
    assert file.read_bytes().startswith(b"not a database")


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Letters hold events, and events hold secrets."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    await store.close()

    assert (tmp_path / "state.sqlite").stat().st_mode & 0o077 == 0


async def test_a_closed_store_does_not_say_that_there_is_no_bookmark(tmp_path: Path) -> None:
    """A source that asks while the collector stops would start anew, and what it had not sent would be lost."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    await store.save_bookmark("pc", "s", Bookmark("42"))
    await store.close()

    with pytest.raises(Backpressure):
        store.bookmark("pc", "s")
    with pytest.raises(Backpressure):
        await store.save_bookmark("pc", "s", Bookmark("43"))


async def test_a_bookmark_that_was_given_up_may_be_the_one_on_disk(tmp_path: Path) -> None:
    """The store remembers what it saved; what it only began to save, it has to look up."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    await store.save_bookmark("pc1", "sub", Bookmark("1"))
    second = asyncio.ensure_future(store.save_bookmark("pc1", "sub", Bookmark("2")))
    third = asyncio.ensure_future(store.save_bookmark("pc1", "sub", Bookmark("3")))
    await asyncio.sleep(0)
    third.cancel()  # its deadline has passed, and the write goes on
    await second
    await store.save_bookmark("pc2", "sub", Bookmark("4"))  # behind it, so it is done as well
    found = store.bookmark("pc1", "sub")
    assert found is not None
    assert found.xml == "3"
    await store.close()


async def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    """Sources come and go for years; the memory of their bookmarks does not grow with them."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    await asyncio.gather(*(store.save_bookmark(f"pc{n}", "sub", Bookmark(str(n))) for n in range(REMEMBERED + 10)))
    assert len(store._newest) <= REMEMBERED
    for number in (0, REMEMBERED + 9):
        found = store.bookmark(f"pc{number}", "sub")
        assert found is not None
        assert found.xml == str(number)
    await store.close()


async def test_a_round_of_any_number_of_bookmarks_saves_each_of_them(tmp_path: Path) -> None:
    """They are one statement, and the statement has a fixed number of places."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    for count in (1, 2, 3, 5, 9, 17):
        await asyncio.gather(
            *(store.save_bookmark(f"pc{n}", "sub", Bookmark(f"{count}-{n}")) for n in range(count)),
        )
        saved = [(source, bookmark.xml) for source, _, bookmark in store.bookmarks()]
        assert sorted(saved) == sorted((f"pc{n}", f"{count}-{n}") for n in range(count))
    await store.close()


async def test_of_two_bookmarks_in_one_round_the_later_one_stays(tmp_path: Path) -> None:
    """An earlier one may have been given up by its batch, and is still on its way."""
    store = SqliteStore.open(tmp_path / "state.sqlite")

    await asyncio.gather(*(store.save_bookmark("pc1", "sub", Bookmark(str(n))) for n in range(20)))
    saved = [bookmark.xml for _, _, bookmark in store.bookmarks()]
    await store.close()

    assert saved == ["19"]


async def test_a_bookmark_that_cannot_be_saved_takes_no_other_with_it(tmp_path: Path) -> None:
    """One statement saves all of a round; only the guilty one is refused."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    texts = ["good", "half a pair: \ud800", "good", "good"]

    outcomes = await asyncio.gather(
        *(store.save_bookmark(f"pc{n}", "sub", Bookmark(text)) for n, text in enumerate(texts)),
        return_exceptions=True,
    )
    saved = [source for source, _, _ in store.bookmarks()]
    await store.close()

    assert [type(outcome) for outcome in outcomes] == [type(None), Backpressure, type(None), type(None)]
    assert saved == ["pc0", "pc2", "pc3"]


async def test_the_journal_begins_anew_after_a_megabyte(tmp_path: Path) -> None:
    """A sync of a file that is written over costs half of one that lets it grow; and nobody needs 16 MB of it."""
    file = tmp_path / "state.sqlite"
    store = SqliteStore.open(file)
    for number in range(150):
        await store.save_bookmark("pc1", "sub", Bookmark(f"{number:020000}"))
    size = file.with_name(file.name + "-wal").stat().st_size
    await store.close()

    assert 0 < size < 2 * 2**20
