"""The writing side of the event store: batches in, synced day files out. One folder, one writer.

It finds the file of every event, lets one thread write whatever waits, moves damaged
files out of the way and drops old ones. Searching is another room's door: ``search``.
"""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from collector import telemetry
from collector.commit import GroupCommit
from collector.errors import CollectorError
from collector.events.dayfile import DayFile, FileForeign, FileTooNew
from collector.events.days import DAY, LATEST, SUFFIX, file_name, nanoseconds, span
from collector.events.entries import Run, Unstorable, entries
from collector.events.retention import FileFacts, expendable
from collector.model import Records

OPEN_FILES = 48
"""Files kept open for writing, three descriptors and at most 4 MiB of cache each: more than a busy
store needs (today, yesterday and a few stragglers), little enough when clocks are wild."""

_ROUND = 64
"""Batches committed together at most; bounds what one round holds in memory."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class StoreUnavailable(CollectorError):
    """The disk does not take it now; nothing of the batch counts as stored."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: how many events were new, and the rows that can never be stored, with the reason."""

    new: int
    unstorable: Sequence[Unstorable]


@dataclass(frozen=True, slots=True)
class _Write:
    received: int
    files: dict[str, Run]


@dataclass(frozen=True, slots=True)
class _Retain:
    now: int
    age: int
    size: int


class EventStore:
    """The store in *folder*. Methods are for the event loop; the files belong to the writer's thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[str, DayFile] = OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
        self._names = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")}
        self._writer: GroupCommit[_Write | _Retain, int | list[str]] = GroupCommit("events", self._perform, most=_ROUND)

    async def write(self, records: Records) -> Written:
        """Return when *records* (format ``stored``) are synced; what is there already stays as it was.

        Raises ``StoreUnavailable``. A part may be stored then; offering all of it again does no harm.
        """
        received = nanoseconds(records.received)
        run, unstorable = entries(records, received)
        files = self._files(run, received)
        new = await self._writer.submit(_Write(received, files)) if files else 0
        assert isinstance(new, int)
        return Written(new, unstorable)

    def _files(self, run: Run, received: int) -> dict[str, Run]:
        """*run* by the files its events belong to. Nearly always one day, which costs nothing per event but a look."""
        times = [key[0] for key in run.keys]
        if times and min(times) > 0 and max(times) <= LATEST and len({time // DAY for time in times}) == 1:
            return {file_name(times[0], received, self._names): run}
        rows: dict[str, list[int]] = {}
        for row, time in enumerate(times):
            rows.setdefault(file_name(time, received, self._names), []).append(row)
        return dict(zip(rows, run.parted(rows.values()), strict=True))

    async def retain(self, now: datetime, age: float, size: int) -> list[str]:
        """Drop files older than *age* (seconds), then the oldest until *size* bytes suffice; answers their names."""
        dropped = await self._writer.submit(_Retain(nanoseconds(now), int(age * 10**9), size))
        assert isinstance(dropped, list)
        return dropped

    async def close(self) -> None:
        """Write what waits and let the files go."""
        await self._writer.close()
        while self._open:
            self._open.popitem()[1].close()

    # In the writer's thread ----------------------------------------------------------------------------------------

    def _perform(self, jobs: Sequence[_Write | _Retain]) -> Sequence[int | list[str] | BaseException]:
        writes = [job for job in jobs if isinstance(job, _Write)]
        outcome = self._write_files(writes)
        return [self._retain(job) if isinstance(job, _Retain) else _result(job, outcome) for job in jobs]

    def _write_files(self, writes: Sequence[_Write]) -> dict[tuple[str, int], int | CollectorError]:
        """Every file of the round once; the outcome for each (file, write)."""
        together: dict[str, list[_Write]] = {}
        for write in writes:
            for name in write.files:
                together.setdefault(name, []).append(write)
        outcome: dict[tuple[str, int], int | CollectorError] = {}
        for name, sharers in together.items():
            result: int | CollectorError
            try:
                runs = [write.files[name] for write in sharers]
                result = self._write_file(name, runs, sharers[-1].received)
            except StoreUnavailable as error:
                result = error
            for number, write in enumerate(sharers):  # counted once, for the first of them
                outcome[name, id(write)] = result if number == 0 or isinstance(result, CollectorError) else 0
        return outcome

    def _write_file(self, name: str, runs: Sequence[Run], received: int) -> int:
        path = self._folder / f"{name}{SUFFIX}"
        for attempt in ("as it is", "anew"):
            try:
                return self._file(name, path).write(runs, received)
            except (sqlite3.Error, OSError, FileForeign, FileTooNew) as error:
                self._let_go(name)
                if attempt == "as it is" and _damaged(error):
                    set_aside(path, str(error))
                    continue
                raise StoreUnavailable(f"{path}: {error}") from error
        raise AssertionError("unreachable")

    def _file(self, name: str, path: Path) -> DayFile:
        file = self._open.get(name)
        if file is None:
            while len(self._open) >= OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            file = DayFile(path)
            self._open[name] = file  # before the sync: whoever catches its error lets go of it
            # also for a file that exists: whoever made it may have been killed before its name was durable
            _sync_folder(self._folder)
            self._names.add(name)
        self._open.move_to_end(name)
        return file

    def _let_go(self, name: str) -> None:
        file = self._open.pop(name, None)
        if file is not None:
            file.close()

    def _retain(self, job: _Retain) -> list[str] | StoreUnavailable:
        try:
            facts = [self._facts(path) for path in sorted(self._folder.glob(f"*{SUFFIX}*")) if _counts(path)]
            going = expendable(facts, job.now, job.age, job.size)
            for name in going:
                self._let_go(name.removesuffix(SUFFIX))
                for path in _parts(self._folder / name):
                    path.unlink(missing_ok=True)
                self._names.discard(name.removesuffix(SUFFIX))
        except OSError as error:
            return StoreUnavailable(f"{self._folder}: {error}")
        if going:
            telemetry.events_retired(going)
        return going

    def _facts(self, path: Path) -> FileFacts:
        size = sum(part.stat().st_size for part in _parts(path) if part.exists())
        known = span(path.name.removesuffix(SUFFIX))
        last = known.last if known is not None else 0
        return FileFacts(path.name, size, last, self._last_received(path))

    def _last_received(self, path: Path) -> int:
        """The last arrival in a file; for a damaged one, when it was last written."""
        name = path.name.removesuffix(SUFFIX)
        try:
            if name in self._open:
                return self._open[name].last_received()
            if path.name.endswith(SUFFIX):
                file = DayFile(path)
                try:
                    return file.last_received()
                finally:
                    file.close()
        except (sqlite3.Error, FileForeign, FileTooNew):
            self._let_go(name)
        return path.stat().st_mtime_ns


def set_aside(path: Path, reason: str) -> None:
    """Move a damaged file and its journals out of the way, keeping every byte for a closer look."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for part in _parts(path):
        if part.exists():
            part.rename(aside.with_name(aside.name + part.name.removeprefix(path.name)))
    _sync_folder(path.parent)
    telemetry.set_aside("event store file", str(aside), reason)


def _parts(path: Path) -> list[Path]:
    """A SQLite file and what belongs to it."""
    return [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]


def _counts(path: Path) -> bool:
    """A file that retention counts on its own: store files and damaged ones, not their journals."""
    return not path.name.endswith(("-wal", "-shm", "-journal"))


def _damaged(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, FileForeign) or (isinstance(code, int) and code & 0xFF in _CORRUPT)


def _result(job: _Write, outcome: dict[tuple[str, int], int | CollectorError]) -> int | BaseException:
    new = 0
    for name in job.files:
        result = outcome[name, id(job)]
        if isinstance(result, CollectorError):
            return result
        new += result
    return new


def _sync_folder(folder: Path) -> None:
    """A new name in a folder is durable once the folder is synced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
