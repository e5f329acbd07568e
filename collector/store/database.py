"""How this house opens SQLite files and writes to them.

One way for the state and for the spools: WAL, a sync for every commit, numbered
migrations, many waiting jobs in one transaction. It must not know what any table means.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from collector.errors import CollectorError, OperatorError

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]
Migrations = Sequence[Sequence[str]]
"""Step n brings a file from ``user_version`` n to n + 1: statements that run in one transaction."""

WRITER_SETTINGS = (
    "PRAGMA journal_mode = wal",  # readers never wait for the writer, nor it for them
    "PRAGMA synchronous = full",  # a commit that returned survives a power cut; NORMAL would not promise that
    "PRAGMA wal_autocheckpoint = 4000",  # 16 MiB: fewer double writes of blocks than with the default of 1000 pages
    "PRAGMA journal_size_limit = 33554432",  # a burst does not leave a huge -wal file behind
)
BUSY_SECONDS = 5.0  # all that can hold us up: a command's few rows, or its recovery of a -wal file after a crash
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
JOB_ERRORS = (sqlite3.Error, CollectorError, ValueError, OverflowError)


def open_writer(path: Path, migrations: Migrations, *, before: Sequence[str] = ()) -> sqlite3.Connection:
    """The one connection that writes *path*; creates the file, migrates it, and syncs the folder that names it.

    *before* are settings that only take effect while the file is still empty. Raises
    ``OperatorError`` for a file of a newer collector, ``sqlite3.Error`` for everything else.
    """
    new = not path.exists()
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    try:
        for setting in (*before, *WRITER_SETTINGS):
            connection.execute(setting)
        migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    if new:
        path.chmod(0o600)
    sync_folder(path.parent)  # also of a file that exists: whoever made it may have been killed before this
    return connection


def open_second_writer(path: Path, migrations: Migrations) -> sqlite3.Connection:
    """A connection for a few rows beside the one that owns *path*; the file stays as that one made it.

    Raises ``OperatorError`` when the file is not of our version, ``sqlite3.Error`` for everything else.
    """
    address = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA synchronous = full")
        found = version(connection)
        require_known_version(found, path, migrations)
        if found < len(migrations):
            raise old_format(found, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """A connection that only reads, beside a writer or without one. *alone*: it may be our own process's file.

    A file that was closed cleanly in a folder where we may not write cannot share memory with
    a writer, and there is none: it is then read as it lies there. Raises ``sqlite3.Error``.
    """
    connection = _read_only(path, "")
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        journal = path.with_name(path.name + "-wal")
        if not alone or (journal.exists() and journal.stat().st_size):
            raise
        return _read_only(path, "&immutable=1")
    return connection


def _read_only(path: Path, options: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro{options}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)


def version(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def migrate(connection: sqlite3.Connection, path: Path, migrations: Migrations) -> None:
    """Bring the file forward step by step; refuse one that a newer collector wrote."""
    require_known_version(version(connection), path, migrations)
    for number in range(version(connection), len(migrations)):
        with transaction(connection):
            for statement in migrations[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")


def require_known_version(found: int, path: Path, migrations: Migrations) -> None:
    """Raises ``OperatorError`` when *path* is newer than we are."""
    if found > len(migrations):
        raise OperatorError(
            f"{path} has format {found}, and this collector knows up to {len(migrations)}: a newer one wrote it. "
            "Install that one again, or name another state folder."
        )


def old_format(found: int, path: Path, migrations: Migrations) -> OperatorError:
    """What to say of a file that only its owner may bring forward."""
    return OperatorError(
        f"{path} has the old format {found}, and this version reads format {len(migrations)}. "
        "Start the collector of this version once (or restart the one that runs); it brings the file forward."
    )


def perform(connection: sqlite3.Connection, jobs: Sequence[Job[Result]]) -> list[Result | BaseException]:
    """Run *jobs* in one transaction; if it fails, one by one, so that only the guilty one fails.

    The answer has one result or one error for each job. What returns a result is on disk.
    """
    together = _attempt(connection, jobs)
    if not isinstance(together, BaseException):
        return list(together)
    if len(jobs) == 1:
        return [together]
    return [outcome for job in jobs for outcome in perform(connection, [job])]


def _attempt(connection: sqlite3.Connection, jobs: Sequence[Job[Result]]) -> list[Result] | BaseException:
    try:
        with transaction(connection):
            return [job(connection) for job in jobs]
    except JOB_ERRORS as error:
        return error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on disk when it ends."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back after some errors (full disk, input/output)
            connection.execute("ROLLBACK")
        raise


def damaged(error: object) -> bool:
    """Whether SQLite says that the file itself is broken, and not the moment."""
    return isinstance(error, sqlite3.DatabaseError) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE


def sync_folder(folder: Path) -> None:
    """Make names that were created, renamed or removed in *folder* durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
