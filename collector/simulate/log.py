"""A Windows machine's own event log: channels with record numbers, and what it still holds of them.

Sources read it forward from a position per channel. It knows no network, no subscription and no clock;
it is as forgetful as a real log: when it is full, the oldest records go.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One event in a log.

    *sequence* counts the records of the whole log from 0, *record_id* those of its channel: the
    position that bookmarks speak of. *xml* is the event as it will be sent, *rendering* the
    RenderingInfo element that RenderedText subscriptions get besides (``""``: the publisher's
    texts are not on this machine, which real logs know too). *bulk* makes an event oversized: an
    element that belongs at the end of its EventData, kept apart so that all such events share one.
    """

    sequence: int
    channel: str
    record_id: int
    xml: str
    rendering: str = ""
    bulk: str = ""

    def whole(self, *, rendered: bool) -> str:
        """The event's XML with its bulk and, for RenderedText, its rendering."""
        text = self.xml
        if self.bulk:
            text = _before(text, "</EventData>", self.bulk)
        return _before(text, "</Event>", self.rendering) if rendered and self.rendering else text


def _before(text: str, end: str, addition: str) -> str:
    head, found, tail = text.rpartition(end)
    return f"{head}{addition}{found}{tail}" if found else text


class EventLog:
    """Every channel of one machine, in the order in which things happened.

    *capacity* is how many records it holds at least (None: all); an eighth more is kept before the
    oldest go, so that a full log does not move with every event. Record numbers start somewhere in the
    thousands, like those of a machine that was not installed this morning; the number depends on
    *name* only, so a run can be repeated.
    """

    def __init__(self, name: str, capacity: int | None = None) -> None:
        self._name = name
        self._capacity = capacity
        self._records: list[Record] = []
        self._appended = 0
        self._newest: dict[str, int] = {}
        self._listeners: list[Callable[[], None]] = []

    def newest(self, channel: str) -> int:
        """The number of the newest record that *channel* ever had."""
        known = self._newest.get(channel)
        return 1000 + zlib.crc32(f"{self._name}\0{channel}".encode()) % 9000 if known is None else known

    @property
    def channels(self) -> Sequence[str]:
        """Every channel that was written to."""
        return list(self._newest)

    @property
    def appended(self) -> int:
        """How many records were ever appended: the next record's sequence."""
        return self._appended

    @property
    def oldest(self) -> int:
        """The sequence of the oldest record still held; *appended* when there is none."""
        return self._appended - len(self._records)

    def append(self, channel: str, write: Callable[[int], str], rendering: str = "", bulk: str = "") -> Record:
        """Append an event; *write* is told its record number and gives its XML."""
        record_id = self.newest(channel) + 1
        record = Record(self._appended, channel, record_id, write(record_id), rendering, bulk)
        self._records.append(record)
        self._newest[channel] = record_id
        self._appended += 1
        if self._capacity is not None and len(self._records) > self._capacity * 9 // 8:
            del self._records[: -self._capacity]
        self.stir()
        return record

    def stir(self) -> None:
        """Let everybody who listens look again, although nothing may have been appended."""
        for tell in self._listeners:
            tell()

    def since(self, sequence: int) -> Iterator[Record]:
        """The records from *sequence* on that are still there, oldest first."""
        for at in range(max(0, sequence - self.oldest), len(self._records)):
            yield self._records[at]

    def record(self, sequence: int) -> Record | None:
        """The record at *sequence*, None when it is not held (any more)."""
        at = sequence - self.oldest
        return self._records[at] if 0 <= at < len(self._records) else None

    def go_on_after(self, positions: Mapping[str, int]) -> None:
        """Number on after *positions*, in channels that this log has not written to yet.

        A collector that knows this machine offers a bookmark of an earlier life. The machine has been
        running since, so its numbers go on from there; starting below them would make every new event
        look as if it had been delivered already.
        """
        for channel, record_id in positions.items():
            if channel not in self._newest and record_id > self.newest(channel):
                self._newest[channel] = record_id

    def listen(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call *tell* after each append and ``stir``, until what this returns is called."""
        self._listeners.append(tell)
        return lambda: self._listeners.remove(tell)
