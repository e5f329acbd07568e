"""Where a lane keeps shares that its sink does not take now: durable, ordered, bounded.

One SQLite file for each lane, one row for each share. One thread does all that touches
the file, and what waits shares one sync. Damage costs as little as it can: a row that does
not match its checksum is set aside alone, a broken file is set aside with every readable
row saved into its successor. It knows neither sinks nor receipts.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from collector import telemetry
from collector.commit import GroupCommit
from collector.errors import Backpressure
from collector.model import Records
from collector.routing import spool_file
from collector.routing.packing import footprint, unpack
from collector.store import database

Job = Callable[[sqlite3.Connection], Any]


class SpoolFull(Backpressure):
    """No room for this share until the sink has taken some."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(
            "spool_full", f"the spool {path.name} holds its {limit} bytes; its sink has to take some first"
        )


@dataclass(frozen=True, slots=True)
class Spooled:
    """A share as it waits in the spool. Positions ascend in the order of ``append`` and are never used twice."""

    position: int
    records: Records


class Spool:
    """At most *limit* bytes of shares in *path*. Made by ``open``; to be used on one event loop."""

    def __init__(self, path: Path, limit: int, connection: sqlite3.Connection) -> None:
        self.path = path
        self.limit = limit
        self._connection = connection  # belongs to the thread of _commit until that has ended
        self._totals = spool_file.totals(connection)  # written by that thread alone
        self._broken: str | None = None
        self._reserved = 0  # bytes of appends under way; belongs to the event loop
        self._commit: GroupCommit[Job, Any] = GroupCommit(f"spool-{path.stem}", self._perform)

    @classmethod
    def open(cls, path: Path, limit: int) -> Spool:
        """The spool in *path*, created when missing; a broken file is set aside. Raises ``OperatorError``."""
        return cls(path, limit, spool_file.open_or_set_aside(path))

    @property
    def bytes(self) -> int:
        """What the shares in it and on their way into it are charged for."""
        return self._totals.bytes + self._reserved

    @property
    def shares(self) -> int:
        """How many are on disk."""
        return self._totals.shares

    @property
    def oldest_received(self) -> datetime | None:
        """When the batch came of which a share has waited longest."""
        return spool_file.time_of(self._totals.oldest)

    def fits(self, records: Records) -> bool:
        return self.bytes + footprint(records) <= self.limit

    def append(self, records: Records) -> asyncio.Future[int]:
        """A future of the share's position, done when it is on disk (synced); appends keep their order.

        Raises ``SpoolFull`` at once; the future raises ``Backpressure`` when the disk refuses.
        """
        if not self.fits(records):
            raise SpoolFull(self.path, self.limit)
        size = footprint(records)
        future: asyncio.Future[int] = self._commit.submit(
            lambda connection: spool_file.insert(connection, records, size)
        )
        self._reserved += size
        future.add_done_callback(lambda _: self._release(size))
        return future

    async def oldest(self, most: int, most_bytes: int) -> Sequence[Spooled]:
        """The first shares in order: at most *most*, and no more than *most_bytes* (but always one).

        A damaged share is set aside and left out. Raises ``Backpressure`` when the disk refuses.
        """
        while True:
            rows = await self._commit.submit(lambda connection: spool_file.first(connection, most, most_bytes))
            good, bad = _unpacked(rows)
            for position, raw, reason in bad:
                file = self.path.with_name(f"{self.path.stem}.damaged-share-{position}")
                await asyncio.to_thread(_set_aside, file, raw, reason)
            if bad:
                await self.remove([position for position, _, _ in bad])
            if good or not bad:
                return good

    async def remove(self, positions: Sequence[int]) -> None:
        """Return when these shares are gone for good. Raises ``Backpressure`` when the disk refuses."""
        await self._commit.submit(lambda connection: spool_file.delete(connection, positions))

    async def close(self) -> None:
        """Finish what waits and let go of the file."""
        await self._commit.close()
        self._connection.close()

    def _release(self, size: int) -> None:
        self._reserved -= size

    def _perform(self, jobs: Sequence[Job]) -> Sequence[Any]:
        """In the thread: one transaction for all *jobs*; a broken file is replaced and they are tried again."""
        if self._broken is not None:
            self._begin_anew(self._broken)
        results = database.perform(self._connection, jobs)
        broken = next((result for result in results if database.damaged(result)), None)
        if broken is not None:
            self._begin_anew(str(broken))
            # all of them: what was written into the broken file a moment ago may not have been readable again
            results = database.perform(self._connection, jobs)
        self._totals = spool_file.totals_after(self._connection, self._totals, results)
        return [self._said(result) for result in results]

    def _begin_anew(self, reason: str) -> None:
        """Positions go on where they were: one that is being delivered must never name another share."""
        self._connection.close()
        self._broken = reason  # should the disk refuse the new file too, the next round tries again
        try:
            self._connection = spool_file.replace(self.path, reason, after=self._totals.highest)
        except (sqlite3.Error, OSError) as error:
            raise Backpressure("state", f"the spool {self.path} is broken and cannot be replaced: {error}") from error
        self._broken = None
        self._totals = spool_file.totals(self._connection)

    def _said(self, result: Any) -> Any:
        if isinstance(result, spool_file.Inserted):
            return result.position
        if isinstance(result, sqlite3.Error):
            return Backpressure("state", f"the spool {self.path} cannot be used: {result}")
        return result


def _set_aside(file: Path, raw: bytes, reason: str) -> None:
    try:
        with file.open("wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise Backpressure("state", f"{file} cannot be written: {error.strerror}") from error
    telemetry.set_aside("spooled share", str(file), reason)


def _unpacked(rows: Sequence[spool_file.Row]) -> tuple[list[Spooled], list[tuple[int, bytes, str]]]:
    good, bad = [], []
    for position, head, block, checksum in rows:
        try:
            good.append(Spooled(position, unpack(head, block, checksum)))
        except (ValueError, TypeError, KeyError) as error:
            bad.append((position, b"\n".join([head or b"", block or b""]), str(error)))
    return good, bad
