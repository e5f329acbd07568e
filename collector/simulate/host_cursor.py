"""How a pull subscription goes through a machine's log: forward, from a record number per channel.

What was drawn is gone for this cursor, whether it arrives or not: nobody acknowledges a pull, and a Pull that is
said once more gets what comes next (protocol.md 7.2). It knows no context, no time and no network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from collector.simulate.log import EventLog, Record
from collector.simulate.reading import bookmark_list

MARKER = 320
"""Bytes of a DroppedEvents marker with any total, rounded up."""


class TooLarge(Exception):
    """The next event does not fit into the envelope that was asked for, but would into the machine's own."""


@dataclass(frozen=True, slots=True)
class Draught:
    """What one Pull takes along: XML texts, their *bookmark* (an element) and their *sequences* in the log.

    *dropped* is the running total of events that fit into no envelope, where this draught ends with one; else None.
    """

    events: tuple[str, ...]
    bookmark: str
    sequences: tuple[int, ...] = ()
    dropped: int | None = None


class Cursor:
    """One subscription's place in *log*.

    *start* and *selects* as in ``reading``. *greeting* is the artificial event to begin with, alone, or None.
    *size* measures a text in bytes.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        start: Mapping[str, int],
        selects: Callable[[Record], bool],
        size: Callable[[str], int],
        rendered: bool = False,
        greeting: str | None = None,
    ) -> None:
        self.lost = 0  # records that rolled out of the log unread
        self._log = log
        self._start = dict(start)
        self._positions = dict(start)
        self._selects = selects
        self._size = size
        self._rendered = rendered
        self._greeting = greeting
        self._next = 0
        self._dropped = 0

    @property
    def at_end(self) -> bool:
        """Everything in the log has been drawn or was not meant for this subscription."""
        return self._greeting is None and self._next == self._log.appended

    @property
    def channels(self) -> int:
        """How many channels its bookmark names."""
        return len(self._positions)

    def draw(self, most: int, room: int, own_room: int) -> Draught | None:
        """The next events: at most *most*, and at most *room* bytes of them; None: there are none.

        Raises ``TooLarge``: the next one is larger than *room* and not than *own_room*, which is what the machine
        itself would send at most. What is larger than that is dropped, and the draught ends with it.
        """
        if self._greeting is not None:
            greeting, self._greeting = self._greeting, None
            return Draught((greeting,), bookmark_list(self._positions, None, backward=True))
        events: list[str] = []
        taken: list[Record] = []
        dropped: int | None = None
        for record in self._coming():
            text = record.whole(rendered=self._rendered)
            cost = self._size(text)
            if cost > own_room and room >= MARKER:
                self._dropped += 1
                dropped = self._dropped
            elif cost > room:
                if taken:
                    break
                raise TooLarge
            else:
                events.append(text)
                taken.append(record)
                room -= cost
            self._next = record.sequence + 1
            self._positions[record.channel] = record.record_id
            last = record.channel
            if dropped is not None or len(events) >= most:
                break
        if not events and dropped is None:
            return None
        sequences = tuple(record.sequence for record in taken)
        return Draught(tuple(events), bookmark_list(self._positions, last), sequences, dropped)

    def _coming(self) -> Iterator[Record]:
        """The records from here on that are meant for this subscription; those between are passed."""
        if self._next < self._log.oldest:
            self.lost += self._log.oldest - self._next
            self._next = self._log.oldest
        for record in self._log.since(self._next):
            if record.record_id > self._start.get(record.channel, 0) and self._selects(record):
                yield record
            else:
                self._next = record.sequence + 1
