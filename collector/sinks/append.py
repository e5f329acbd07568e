"""A file that only grows, by whole records, and says honestly what it holds.

Used by one thread. What an append or a sync cannot finish is taken back, so a half line never
stays; a half record that a crash left is cut off when the file is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from collector import telemetry


def sync_folder(folder: Path) -> None:
    """A name in a folder is durable once the folder is synced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_TOGETHER = 512
"""Parts of one call, because each gives up the GIL, which a busy event loop is slow to give back. Linux takes 1024."""


class Content(Protocol):
    """How records lie in a file."""

    def encoded(self, parts: Sequence[bytes]) -> Sequence[bytes]:
        """*parts*, which are whole lines, as they are appended together."""

    def whole(self, descriptor: int, size: int) -> int:
        """How much of a file of *size* bytes is whole records. Raises ``frames.Damaged``."""

    def closed(self, facts: os.stat_result) -> None:
        """A file was closed as *facts* say; it holds whole records."""


class AppendFile:
    """*path*, open for appending; made with its folders when it is not there. Every method raises OSError.

    *whole* answers how much of a file is whole records (``Content.whole``); what it raises is raised.
    """

    def __init__(
        self,
        path: Path,
        whole: Callable[[int, int], int],
        *,
        sync: Callable[[Path], None] = sync_folder,
        write: Callable[[int, Sequence[bytes | memoryview], int], int] = os.pwritev,
    ) -> None:
        self.path = path
        self._write = write
        fresh = _make_folder(path.parent)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            facts = os.fstat(self._descriptor)
            self.regular = stat.S_ISREG(facts.st_mode)
            """Not a device such as /dev/null, which can be neither synced nor rotated."""
            self._identity = facts.st_dev, facts.st_ino
            self.written = facts.st_mtime if facts.st_size else None
            """When an existing file was last written (seconds since 1970); None: it was empty."""
            self.size = self._mended(facts.st_size, whole)
            self._synced = self.size
            for folder in [*fresh, path.parent]:
                sync(folder)
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, parts: Sequence[bytes]) -> None:
        """Add *parts*, all of them or, raising, none. They are safe after ``sync``."""
        try:
            for start in range(0, len(parts), _TOGETHER):
                self._put(parts[start : start + _TOGETHER])
        except OSError:
            self._take_back()
            raise

    def _put(self, parts: Sequence[bytes | memoryview]) -> None:
        while parts:
            count = self._write(self._descriptor, parts, self.size)
            self.size += count
            parts = _beyond(parts, count)

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

    def still_there(self) -> bool:
        """Whether the path still leads to the open file; logrotate and people move files away."""
        try:
            facts = self.path.stat()
        except FileNotFoundError:
            return False
        return (facts.st_dev, facts.st_ino) == self._identity

    def facts(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def _take_back(self) -> None:
        self.size = self._synced
        if self.regular:
            os.ftruncate(self._descriptor, self._synced)

    def _mended(self, size: int, whole: Callable[[int, int], int]) -> int:
        """Cut off what follows the last whole record, and was never acknowledged. Answers the size."""
        end = whole(self._descriptor, size) if size else 0
        if end < size:
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
            telemetry.torn_record_cut(str(self.path), size - end)
        return end


def _beyond(parts: Sequence[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """What follows the first *count* bytes; nearly always nothing."""
    rest: list[bytes | memoryview] = []
    for part in parts:
        if count < len(part):
            rest.append(memoryview(part)[count:])
        count = max(count - len(part), 0)
    return rest


def rotate(path: Path, stamp: str) -> Path:
    """Give *path* a name with *stamp* before its last suffix (before ``.zst``), never another file's; answers it."""
    packed = path.suffix if path.suffix == ".zst" else ""
    bare = Path(path.name.removesuffix(packed))
    number = 0
    while True:
        mark = f".{stamp}-{number}" if number else f".{stamp}"
        aside = path.with_name(f"{bare.stem}{mark}{bare.suffix}{packed}")
        if not aside.exists():
            break
        number += 1
    path.rename(aside)
    sync_folder(path.parent)
    return aside


def _make_folder(folder: Path) -> list[Path]:
    """Make *folder*; answers the folders that hold a new one, innermost first: each needs a sync."""
    missing = []
    at = folder
    while not at.exists():
        missing.append(at)
        at = at.parent
    folder.mkdir(parents=True, exist_ok=True)
    return [made.parent for made in missing]
