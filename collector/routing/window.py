"""How many writes a lane lets run at the same time.

Several at once, so that a sink can make many batches durable together; a bounded number,
so that a slow sink costs a bounded amount of memory. And one at a time for a source on a
subscription: should the first fail and the second succeed, their order would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable

from collector.model import Records
from collector.routing.packing import footprint

MOST_RECORDS = 20_000
"""About 200 batches of 100: what a group commit gathers under full load (measured gain ends at 100 batches)."""
MOST_BYTES = 32 * 2**20
"""The same 200 batches at 1.5 KiB a record."""

Origin = tuple[str, str]
"""Source and subscription: within one of these, order is kept."""


def origin(records: Records) -> Origin:
    return records.source, records.subscription


class Window:
    """What is being written right now."""

    def __init__(self) -> None:
        self._records = 0
        self._bytes = 0
        self._origins: set[Origin] = set()

    def admits(self, records: Records) -> bool:
        """Whether a write of *records* may start; an empty window takes anything."""
        if not self._origins:
            return True
        fits = self._records + len(records) <= MOST_RECORDS and self._bytes + footprint(records) <= MOST_BYTES
        return fits and origin(records) not in self._origins

    def enter(self, records: Records) -> None:
        self._records += len(records)
        self._bytes += footprint(records)
        self._origins.add(origin(records))

    def leave(self, records: Records) -> None:
        self._records -= len(records)
        self._bytes -= footprint(records)
        self._origins.discard(origin(records))


def wave(waiting: Iterable[Records]) -> list[Records]:
    """The longest beginning of *waiting* that one window admits: what may be written at the same time."""
    window, admitted = Window(), []
    for records in waiting:
        if not window.admits(records):
            break
        window.enter(records)
        admitted.append(records)
    return admitted
