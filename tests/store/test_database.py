"""How SQLite files are opened and written, whoever keeps something in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from collector.errors import OperatorError
from collector.store import database

FIRST = ("CREATE TABLE thing (name TEXT PRIMARY KEY)",)
SECOND = ("ALTER TABLE thing ADD COLUMN size INTEGER", "INSERT INTO thing VALUES ('new', 1)")


def test_every_commit_is_synced_and_readers_do_not_wait(tmp_path: Path) -> None:
    """A kill cannot show a missing sync, a power cut would: so the setting itself is looked at."""
    connection = database.open_writer(tmp_path / "x.sqlite", [FIRST])

    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_an_old_file_is_brought_forward_step_by_step_with_what_it_holds(tmp_path: Path) -> None:
    """An update must not cost the bookmarks."""
    file = tmp_path / "x.sqlite"
    old = database.open_writer(file, [FIRST])
    old.execute("INSERT INTO thing VALUES ('kept')")
    old.close()

    new = database.open_writer(file, [FIRST, SECOND])

    assert new.execute("SELECT * FROM thing ORDER BY name").fetchall() == [("kept", None), ("new", 1)]
    assert database.version(new) == 2
    new.close()
    with pytest.raises(OperatorError, match="has format 2"):
        database.open_writer(file, [FIRST])


def test_a_step_that_fails_leaves_the_old_format_whole(tmp_path: Path) -> None:
    """Half a migration is worse than none."""
    file = tmp_path / "x.sqlite"
    database.open_writer(file, [FIRST]).close()

    with pytest.raises(sqlite3.OperationalError):
        database.open_writer(file, [FIRST, (*SECOND, "NO SUCH STATEMENT")])

    connection = database.open_writer(file, [FIRST])
    assert database.version(connection) == 1
    assert connection.execute("SELECT count(*) FROM thing").fetchone() == (0,)
    connection.close()


def test_only_the_guilty_job_fails_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Jobs share a commit, not a fate."""
    connection = database.open_writer(tmp_path / "x.sqlite", [FIRST])

    def job(*names: str) -> database.Job[int]:
        return lambda connection: [connection.execute("INSERT INTO thing VALUES (?)", (n,)) for n in names].__len__()

    results = database.perform(connection, [job("a"), job("b", "a"), job("c")])

    assert [results[0], type(results[1]), results[2]] == [1, sqlite3.IntegrityError, 1]
    assert connection.execute("SELECT name FROM thing ORDER BY name").fetchall() == [("a",), ("c",)]
    connection.close()
