"""A file that only grows, by whole records, and says honestly what it holds.

Used by one thread. What an append or a sync cannot finish is taken back, so a half line never
stays; a half line that a crash left is cut off when the file is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from collector import telemetry

_STEP = 64 * 1024
"""Bytes read at a time while looking for the last line end from behind."""


class AppendFile:
    """*path*, open for appending; made with its folders when it is not there. Every method raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        fresh = _make_folder(path.parent)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            facts = os.fstat(self._descriptor)
            self.regular = stat.S_ISREG(facts.st_mode)
            """Not a device such as /dev/null, which can be neither synced nor rotated."""
            self.written = facts.st_mtime if facts.st_size else None
            """When an existing file was last written (seconds since 1970); None: it was empty."""
            self.size = self._mended(facts.st_size)
            self._synced = self.size
            for folder in [*fresh, path.parent]:
                sync_folder(folder)
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, parts: Sequence[bytes]) -> None:
        """Add *parts*, all of them or, raising, none. They are safe after ``sync``."""
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    count = os.pwrite(self._descriptor, view, self.size)
                    view, self.size = view[count:], self.size + count
        except OSError:
            self._take_back()
            raise

    def sync(self) -> None:
        """Return when everything appended is on the disk. Raising, it has taken all of it back.

        After a sync that went wrong the kernel may forget the pages it could not write, and a second
        sync would succeed; so the file must not be used again: close it and open it anew.
        """
        if self.size == self._synced:
            return
        try:
            if self.regular:
                os.fdatasync(self._descriptor)
        except OSError:
            self._take_back()
            raise
        self._synced = self.size

    def facts(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def _take_back(self) -> None:
        self.size = self._synced
        if self.regular:
            os.ftruncate(self._descriptor, self._synced)

    def _mended(self, size: int) -> int:
        """Cut off what follows the last line end: a record that was never acknowledged. Answers the size."""
        end = size
        while end > 0:
            start = max(0, end - _STEP)
            at = os.pread(self._descriptor, end - start, start).rfind(b"\n")
            if at >= 0:
                end = start + at + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
            telemetry.torn_record_cut(str(self.path), size - end)
        return end


def rotate(path: Path, stamp: str) -> Path:
    """Give *path* a name with *stamp* before its last suffix, never that of another file; answers it."""
    number = 0
    while True:
        mark = f".{stamp}-{number}" if number else f".{stamp}"
        aside = path.with_name(f"{path.stem}{mark}{path.suffix}")
        if not aside.exists():
            break
        number += 1
    path.rename(aside)
    sync_folder(path.parent)
    return aside


def sync_folder(folder: Path) -> None:
    """A name in a folder is durable once the folder is synced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> list[Path]:
    """Make *folder*; answers the folders that hold a new one, innermost first: each needs a sync."""
    missing = []
    at = folder
    while not at.exists():
        missing.append(at)
        at = at.parent
    folder.mkdir(parents=True, exist_ok=True)
    return [made.parent for made in missing]
