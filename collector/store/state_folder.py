"""The one folder that holds everything the collector must not forget.

It knows where things lie and that only one collector may use them at a time. It does not
know what is in the files. A lock dies with its process, so a crash never leaves one behind.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from urllib.parse import quote

from collector.errors import Backpressure, OperatorError
from collector.store.database import sync_folder

VERSION = 1
"""The layout of the folder. Each database in it has its own number besides."""

IN_USE, CANNOT_CREATE, NOT_PERMITTED, WRONG_VERSION = 75, 73, 77, 78


class StateFolder:
    """Paths under *path*, and the lock on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """Bookmarks, sources, lanes and letters: what ``SqliteStore`` opens."""
        return self.path / "state.sqlite"

    @property
    def events(self) -> Path:
        """The folder of the embedded event store."""
        return self.path / "events"

    def spool(self, sink: str) -> Path:
        """The spool of a sink; a name that is no plain file name is written with percent signs."""
        return self.path / "spool" / f"{quote(sink, safe=' ')}.sqlite"

    def create(self) -> None:
        """Make the folder (for its owner alone) and what must be in it. Raises ``OperatorError``."""
        try:
            for folder in (self.path, self.path / "spool"):
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, parents=True)
                # also what exists: whoever made it may have been killed before it was durable
                sync_folder(folder.parent)
        except OSError as error:
            code = NOT_PERMITTED if isinstance(error, PermissionError) else CANNOT_CREATE
            raise OperatorError(
                f"the state folder {self.path} cannot be created: {error.strerror}. "
                "Name a folder on a local disk that the collector's user may write.",
                exit_code=code,
            ) from error

    def lock(self) -> None:
        """Take the folder for this process until ``unlock`` or its end. Raises ``OperatorError`` (75: in use)."""
        if self._lock is not None:
            return
        file = self.path / "lock"
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperatorError(
                f"{file} cannot be opened: {error.strerror}. The collector's user needs to write in its state folder.",
                exit_code=NOT_PERMITTED,
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise OperatorError(
                f"the state folder {self.path} is in use by another collector (process {holder or 'unknown'}). "
                "Stop that one first, or give this one a state folder of its own.",
                exit_code=IN_USE,
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        self._lock = handle
        self._require_version()

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def in_use(self) -> bool:
        """Whether a collector holds the lock just now; changes nothing, and a missing folder is not in use."""
        try:
            handle = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def free(self) -> int:
        """Bytes that this process may still write on the folder's disk. Raises ``Backpressure`` when nobody knows."""
        try:
            disk = os.statvfs(self.path)
        except OSError as error:
            raise Backpressure("state", f"the state folder {self.path} cannot be used: {error.strerror}") from error
        return disk.f_bavail * disk.f_frsize

    def _require_version(self) -> None:
        file = self.path / "version"
        found = file.read_text(encoding="ascii", errors="replace").strip() if file.exists() else ""
        if found == str(VERSION):
            return
        if found:
            self.unlock()
            raise OperatorError(
                f"the state folder {self.path} has version {found[:20]!r}, and this collector knows version {VERSION}. "
                "A newer collector wrote it: install that one again, or name another state folder.",
                exit_code=WRONG_VERSION,
            )
        _write_durably(file, f"{VERSION}\n")


def _write_durably(file: Path, text: str) -> None:
    draft = file.with_name(file.name + ".new")
    with draft.open("w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    sync_folder(file.parent)
