"""How one subscription reads a source's log, and what it has to say next.

A state machine without a network: ``step`` says what is to be sent now or how long to wait,
``acknowledged`` and the absence of it move it on. A batch that was not acknowledged is the next thing
said again, unchanged ([DSP0226] R10.7-1). Time arrives as an argument, in monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from math import inf

from collector.simulate.log import EventLog, Record
from collector.wsman.messages import Offer
from collector.wsman.requests import DroppedEvents

WRAPPING = 120
"""Characters that w:Event with its Action and the CDATA marks put round an event, rounded up."""
MARKER = 320
"""Characters of a DroppedEvents marker with any total, rounded up."""
MAX_ENVELOPE = 512000
"""Bytes of an envelope where the collector names no limit: what WEF sources say themselves (captured)."""
SHORTEST_BEAT = 0.02
"""Seconds between heartbeats at least; no w:Heartbeats at all means that none are wanted."""
BACKWARD = ' Direction="backward"'  # what the bookmark of the artificial event 111 has (captured)


@dataclass(frozen=True, slots=True)
class Beat:
    """Send a heartbeat: nothing else was said for the interval, or nothing at all yet."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Send these events. *sequences* are their places in the log, none for what is no log event.

    *bookmark* is the element that belongs into w:Bookmark. Where an event was too large for any envelope
    a marker stands in its place ([DSP0226] 10.9), and *dropped* is how many of them there are.
    """

    events: tuple[str | DroppedEvents, ...]
    bookmark: str
    sequences: tuple[int, ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to say for *seconds*, unless the log grows."""

    seconds: float


Step = Beat | Parcel | Wait


class Reading:
    """One subscription of one source, from its start to its end.

    *start* holds the record number per channel after which to read, as the offered bookmark says
    ([DSP0226] R10.2.6-4); a channel it does not name is read from its oldest record, as Windows does.
    *selects* is the query. *size* measures a text in bytes of the envelope's charset and *frame* is
    the size of an envelope without events. *greeting* is an artificial event to begin with, or None.
    """

    def __init__(
        self,
        offer: Offer,
        log: EventLog,
        *,
        start: Mapping[str, int],
        selects: Callable[[Record], bool],
        size: Callable[[str], int],
        frame: int,
        greeting: str | None = None,
    ) -> None:
        self.offer = offer
        self.hurry = False  # send what there is without waiting for company
        self.refused = False  # the collector turned it down for good
        self.lost = 0  # records that rolled out of the log unread
        self._log = log
        self.start = dict(start)
        self.selects = selects
        self._size = size
        self._room = (offer.max_envelope_size or MAX_ENVELOPE) - frame - size(bookmark_list(start, None, backward=True))
        self._wrapping = size(" " * WRAPPING)
        self._marker = size(" " * MARKER)
        self._rendered = offer.content_format == "RenderedText"
        self._greeting = greeting
        self._positions = dict(start)
        self._cursor = 0
        self._pending: list[tuple[Record, str | DroppedEvents]] = []
        self._filled = 0
        self._full = False
        self._opened = 0.0  # when the first pending event was picked up
        self._dropped = 0  # running total since the subscription
        self._outstanding: Parcel | None = None
        self._began = 0  # the first record of the outstanding parcel
        self._spoken: float | None = None

    @property
    def settled(self) -> bool:
        """Everything in the log that is meant for this subscription has been acknowledged."""
        idle = self._outstanding is None and self._greeting is None and self._spoken is not None
        return idle and not self._pending and self._cursor == self._log.appended

    def owed(self) -> int:
        """How many records of the log are meant for this subscription and were never acknowledged to it."""
        first = self._cursor
        if self._pending:
            first = self._pending[0][0].sequence
        elif self._outstanding is not None:
            first = self._began
        return sum(self._new(record) for record in self._log.since(first))

    def step(self, now: float) -> Step:
        """What to do now. Asked twice without an answer in between, it says the same parcel again."""
        if self._outstanding is not None:
            return self._outstanding
        if self._spoken is None:  # a new subscription commonly begins with a heartbeat (captured)
            return Beat()
        if self._greeting is not None:
            self._outstanding = Parcel((self._greeting,), bookmark_list(self._positions, None, backward=True))
            self._began = self._cursor
            return self._outstanding
        self._gather(now)
        due = self._opened + self.offer.max_time
        if self._pending and (self._full or self.hurry or now >= due):
            return self._close()
        beat = self._spoken + (max(self.offer.heartbeat, SHORTEST_BEAT) if self.offer.heartbeat else inf)
        if now >= beat:  # something is sent within the interval, even while a batch waits for company (R10.2.5-2)
            return Beat()
        return Wait(max(0.0, min(due, beat) - now) if self._pending else beat - now)

    def acknowledged(self, now: float) -> None:
        """The collector has taken what was said last; the heartbeat timer starts anew (R10.2.5-4)."""
        if self._outstanding is not None:
            self._greeting = None
        self._outstanding = None
        self._spoken = now

    def _gather(self, now: float) -> None:
        if self._cursor < self._log.oldest:
            self.lost += self._log.oldest - self._cursor
            self._cursor = self._log.oldest
        if self._full:
            return
        for record in self._log.since(self._cursor):
            if self._new(record) and not self._take(record, now):
                return
            self._cursor = record.sequence + 1

    def _new(self, record: Record) -> bool:
        return record.record_id > self.start.get(record.channel, 0) and self.selects(record)

    def _take(self, record: Record, now: float) -> bool:
        """Put *record* into the open batch; False: it has to wait for the next one."""
        whole = record.whole(rendered=self._rendered)
        text: str | DroppedEvents = whole
        cost = self._size(whole) + self._wrapping
        if record.channel not in self._positions and all(record.channel != other.channel for other, _ in self._pending):
            cost += self._size(_row(record.channel, 2**64, current=False))
        if cost > self._room:  # MaxEnvelopeSize Policy="Notify": a marker takes the event's place
            text, cost = DroppedEvents(self._dropped + 1), self._marker
        limit = self.offer.max_elements
        if self._filled + cost > self._room or (limit and len(self._pending) >= limit):
            self._full = True
            return False
        if not self._pending:
            self._opened = now
        if isinstance(text, DroppedEvents):
            self._dropped = text.total
        self._pending.append((record, text))
        self._filled += cost
        self._full = limit is not None and len(self._pending) == limit
        return True

    def _close(self) -> Parcel:
        """The open batch becomes the outstanding one."""
        for record, _ in self._pending:
            self._positions[record.channel] = record.record_id
        current = self._pending[-1][0].channel if self._pending else None
        sequences = tuple(record.sequence for record, text in self._pending if isinstance(text, str))
        self._outstanding = Parcel(
            tuple(text for _, text in self._pending),
            bookmark_list(self._positions, current),
            sequences,
            len(self._pending) - len(sequences),
        )
        self._began = self._pending[0][0].sequence
        self._pending, self._filled, self._full = [], 0, False
        return self._outstanding


def bookmark_list(positions: Mapping[str, int], current: str | None, *, backward: bool = False) -> str:
    """A BookmarkList element: every channel with its newest record, *current* the one read last.

    Exactly one is marked IsCurrent, as captured; without *current* that is the last one.
    """
    marked = current if current is not None else next(reversed(list(positions)), None)
    rows = "".join(_row(channel, number, current=channel == marked) for channel, number in positions.items())
    return f"<BookmarkList{BACKWARD if backward else ''}>{rows}</BookmarkList>"


def _row(channel: str, record_id: int, *, current: bool) -> str:
    end = ' IsCurrent="true"/>' if current else "/>"
    return f'<Bookmark Channel="{escape(channel)}" RecordId="{record_id}"{end}'
