"""State files of older collectors: brought forward with all that they hold, by the collector alone."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.errors import OperatorError
from collector.model import Bookmark
from collector.store.base import Amount, LaneState, Letter, Presence
from collector.store.rows import MIGRATIONS
from collector.store.sqlite import SqliteStore
from tests.cli.running import wef

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MICROSECONDS = 1_767_323_045_678_901

FORMAT_1 = f"""
PRAGMA journal_mode = wal;
CREATE TABLE bookmark (
    source TEXT NOT NULL, subscription TEXT NOT NULL, xml TEXT NOT NULL, saved INTEGER,
    PRIMARY KEY (source, subscription)) WITHOUT ROWID;
CREATE TABLE presence (
    source TEXT NOT NULL, key TEXT NOT NULL, address TEXT NOT NULL, subscription TEXT NOT NULL,
    first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, last_heartbeat INTEGER, last_event INTEGER,
    last_event_time INTEGER, events INTEGER NOT NULL, dropped INTEGER NOT NULL, version TEXT NOT NULL,
    last_refusal TEXT NOT NULL, PRIMARY KEY (key, subscription)) WITHOUT ROWID;
CREATE TABLE lane (
    sink TEXT NOT NULL PRIMARY KEY, type TEXT NOT NULL, state TEXT NOT NULL, queued INTEGER NOT NULL,
    spool_bytes INTEGER NOT NULL, spool_oldest INTEGER, delivered INTEGER NOT NULL,
    rejected INTEGER NOT NULL, last_error TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE letter (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, sink TEXT NOT NULL,
    reason TEXT NOT NULL, received INTEGER NOT NULL, event_id TEXT NOT NULL, record BLOB NOT NULL);
INSERT INTO bookmark VALUES ('pc01', 'sub', '<BookmarkList/>', {MICROSECONDS});
INSERT INTO presence VALUES ('PC01', 'pc01', '10.0.0.1', 'sub', {MICROSECONDS}, {MICROSECONDS}, NULL, NULL, NULL,
    7, 0, 'GUID', '');
INSERT INTO lane VALUES ('archive', 'file', 'delivering', 0, 0, NULL, 7, 1, '');
INSERT INTO letter VALUES (5, 'id1', 'archive', 'too large', {MICROSECONDS}, 'event-1', x'7b7d');
PRAGMA user_version = 1;
"""
"""The first format, written down here for good: it must not change when the code does."""


FORMAT_2 = f"""{FORMAT_1}
ALTER TABLE letter ADD COLUMN head TEXT NOT NULL DEFAULT '';
ALTER TABLE letter ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE letter ADD COLUMN trouble TEXT NOT NULL DEFAULT '';
CREATE INDEX letter_wanted ON letter (number) WHERE wanted;
INSERT INTO letter VALUES (6, 'id2', 'archive', 'computer: ...', {MICROSECONDS}, 'event-2', x'7b7d',
    '["raw","PC01","sub",[1,"dc01","System","Test","1",4]]', 1, '');
PRAGMA user_version = 2;
"""
"""The second one, with a letter from quarantine: it does not know that it is one."""


def old_state(folder: Path, text: str = FORMAT_1) -> Path:
    """A state file as an old version left it."""
    folder.mkdir(exist_ok=True)
    file = folder / "state.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript(text)
    connection.close()
    return file


def version(file: Path) -> int:
    connection = sqlite3.connect(file)
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return number


async def test_an_update_keeps_everything_that_the_first_format_held(tmp_path: Path) -> None:
    """A lost bookmark replays a source's whole log, a lost letter is evidence lost."""
    file = old_state(tmp_path)

    store = SqliteStore.open(file)

    assert list(store.bookmarks()) == [("pc01", "sub", Bookmark("<BookmarkList/>", WHEN))]
    assert list(store.presences()) == [
        Presence("PC01", "pc01", "10.0.0.1", "sub", WHEN, WHEN, events=7, version="GUID")
    ]
    assert list(store.lanes()) == [LaneState("archive", "file", "delivering", 0, 0, None, 7, 1, "")]
    assert list(store.letters()) == [Letter("id1", "archive", "too large", WHEN, "event-1", b"{}")]
    await store.want_letters(["id1"])
    assert [letter.id for letter in store.wanted_letters(10, 1000)] == ["id1"]
    await store.close()
    assert version(file) == len(MIGRATIONS)


async def test_letters_of_the_second_format_stay_and_count_against_nobodys_quarantine(tmp_path: Path) -> None:
    """An update refuses no source because of what was let in before, and deleting that makes no count wrong."""
    store = SqliteStore.open(old_state(tmp_path, FORMAT_2))
    old = next(letter for letter in store.letters() if letter.id == "id2")
    assert (old.subscription, old.key.computer, old.wanted, old.quarantined) == ("sub", "dc01", True, "")

    new = Letter("id3", "archive", "computer: ...", WHEN, "event-3", b"{}", quarantined="pc01")
    assert await store.quarantine([new], Amount(1, 2)) is None
    await store.remove_letters(["id2"])

    assert await store.quarantine([replace(new, id="id4")], Amount(1, 2)) == Amount(1, 2)
    await store.close()


@pytest.mark.parametrize("text", [FORMAT_1, FORMAT_2], ids=["1", "2"])
async def test_a_file_that_was_brought_forward_is_the_same_as_a_new_one(tmp_path: Path, text: str) -> None:
    """Two ways to one format must meet, or a bug would show on old installations only."""
    old, new = old_state(tmp_path, text), tmp_path / "new.sqlite"
    for file in (old, new):
        await SqliteStore.open(file).close()

    def shape(file: Path) -> list[tuple[str, ...]]:
        connection = sqlite3.connect(file)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema ORDER BY name")]
        columns = [connection.execute(f"PRAGMA table_info({name})").fetchall() for name in tables]
        connection.close()
        return [*((name,) for name in tables), *(tuple(map(repr, found)) for found in columns)]

    assert shape(old) == shape(new)


@pytest.mark.parametrize(
    "command", [("sinks", "list"), ("sources", "list"), ("bookmarks", "list"), ("letters", "list")]
)
def test_a_command_beside_an_old_state_says_what_to_do_and_leaves_it_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, str]
) -> None:
    """Whoever only looks must not change the file beneath a collector of the old version that still runs."""
    file = old_state(tmp_path / "state")
    (tmp_path / "subscriptions").mkdir()
    (tmp_path / "collector.toml").write_text("")

    ended = wef(capsys, *command, "--config", tmp_path / "collector.toml")

    assert ended.code == 78
    assert "state.sqlite has the old format 1, and this version reads format 3" in ended.err
    assert "Start the collector of this version once (or restart the one that runs)" in ended.err
    assert version(file) == 1


@pytest.mark.parametrize("command", [("sinks", "list"), ("sources", "list"), ("letters", "replay", "--all")])
def test_a_command_beside_a_newer_state_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Reading it wrongly would be worse than not at all."""
    connection = sqlite3.connect(old_state(tmp_path / "state"))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    (tmp_path / "subscriptions").mkdir()
    (tmp_path / "collector.toml").write_text("")

    ended = wef(capsys, *command, "--config", tmp_path / "collector.toml")

    assert ended.code == 78
    assert "a newer one wrote it" in ended.err


@pytest.mark.parametrize("number", [1, 99])
def test_a_second_writer_takes_only_its_own_format(tmp_path: Path, number: int) -> None:
    """It never brings a file forward: that would pull it away from under the collector that has it open."""
    file = old_state(tmp_path)
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {number}")
    connection.close()

    with pytest.raises(OperatorError, match=f"format {number}"):
        SqliteStore.open_beside(file)
    assert version(file) == number


async def test_a_second_writer_and_the_first_see_what_the_other_wrote(tmp_path: Path) -> None:
    """The request of a command reaches the running collector, and neither stops the other."""
    first = SqliteStore.open(tmp_path / "state.sqlite")
    letter = Letter("id1", "archive", "why", WHEN, "event-1", b"{}")
    await first.save_letters([letter])

    second = SqliteStore.open_beside(tmp_path / "state.sqlite")
    await asyncio.gather(second.want_letters(["id1"]), *(first.save_bookmark(f"pc{n}", "sub", Bookmark("x"))
                                                         for n in range(50)))  # fmt: skip
    seen = first.wanted_letters(10, 1000)
    await second.close()
    await first.save_bookmark("later", "sub", Bookmark("x"))
    await first.close()

    assert [found.id for found in seen] == ["id1"]


async def test_what_a_second_writer_deletes_makes_room_in_quarantine_and_a_restart_makes_none(tmp_path: Path) -> None:
    """`wef letters delete` is the way out, beside a collector that runs; to kill the collector is none."""
    file = tmp_path / "state.sqlite"
    letters = [Letter(f"id{n}", "s", "computer: ...", WHEN, f"e{n}", b"{}", quarantined="pc01") for n in range(4)]
    first = SqliteStore.open(file)
    assert await first.quarantine(letters[:3], Amount(3, 6)) is None
    await first.close()

    first = SqliteStore.open(file)
    assert await first.quarantine(letters[3:], Amount(3, 6)) == Amount(3, 6)
    second = SqliteStore.open_beside(file)
    await second.remove_letters(["id0", "id1"])
    await second.close()

    assert await first.quarantine(letters[3:], Amount(3, 6)) is None
    assert [letter.id for letter in first.letters()] == ["id2", "id3"]
    await first.close()


async def test_a_quarantine_that_is_full_delays_nobody_elses_bookmark(tmp_path: Path) -> None:
    """Both are in one transaction, and what is refused must not undo it."""
    store = SqliteStore.open(tmp_path / "state.sqlite")
    letter = Letter("id1", "s", "computer: ...", WHEN, "e1", b"{}", quarantined="pc01")

    refused, *_ = await asyncio.gather(
        store.quarantine([letter], Amount(0, 0)),
        *(store.save_bookmark(f"pc{n}", "sub", Bookmark("x")) for n in range(9)),
    )

    assert refused == Amount(0, 0)
    assert len(list(store.bookmarks())) == 9
    await store.close()


def test_a_second_writer_creates_nothing(tmp_path: Path) -> None:
    """A mistyped state folder stays empty."""
    with pytest.raises(OperatorError, match="cannot be opened"):
        SqliteStore.open_beside(tmp_path / "state.sqlite")
    assert list(tmp_path.iterdir()) == []
