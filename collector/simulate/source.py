"""One Windows source without its network: who it is, what it logs, and which subscriptions it follows.

``receive`` is given the offers of an Enumerate and decides what Windows decides: a version seen before
carries on, a new one is subscribed from the bookmark it brings, one that is gone is unsubscribed
([MS-WSMV] 2.2.4.41). Nothing here waits, sends or reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from collector.query.matcher import Matcher
from collector.query.query_list import parse_query_list
from collector.query.xpath import QueryError
from collector.simulate.beginning import beginning, bookmark_event, places
from collector.simulate.ledger import Ledger
from collector.simulate.log import EventLog
from collector.simulate.reading import Reading
from collector.wsman.messages import Offer

MOST_SUBSCRIPTIONS = 200
"""Subscriptions a source follows; real policies have fewer than ten, and the ledger counts in bytes."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What an Enumerate led to."""

    opened: Sequence[Reading]
    closed: Sequence[Reading]


@dataclass(frozen=True, slots=True)
class Nature:
    """How this source behaves where sources differ.

    *greets*: it sends the artificial event 111 when it starts without a bookmark (Windows 11).
    *size* measures a text in bytes of its charset, *frame* an Events envelope without events.
    """

    greets: bool
    size: Callable[[str], int]
    frame: Callable[[Offer], int]


@dataclass(eq=False, slots=True)
class Source:
    """A machine. *before_first* is called once, between the first offers and the first subscription."""

    name: str
    log: EventLog
    nature: Nature
    before_first: Callable[[], None] = lambda: None
    ledger: Ledger = field(default_factory=Ledger)
    readings: dict[str, Reading] = field(default_factory=dict)  # by version: what Windows compares
    complaints: list[str] = field(default_factory=list)  # subscriptions that could not be created, and why
    subscribed: bool = False  # the first offers have come
    away: bool = False  # the machine is down, or up and without an answer to its first Enumerate
    _former: dict[str, Reading] = field(default_factory=dict)  # by identifier: what the machine read before it went

    def receive(self, offers: Sequence[Offer], moment: datetime) -> Changes:
        """Follow *offers*, made at *moment*; those beyond MOST_SUBSCRIPTIONS are complained about."""
        bookmarks = [places(offer.bookmark) or {} for offer in offers]
        if not self.subscribed:
            for marked in bookmarks:
                self.log.go_on_after(marked)
            self.before_first()
            self.subscribed = True
        offered = {offer.version for offer in offers}
        closed = [self.readings.pop(version) for version in list(self.readings) if version not in offered]
        self.ledger.lost += sum(reading.lost for reading in closed)
        opened = []
        for offer in offers:
            if not offer.version:
                self._complain(offer, "the offer has no version")
            elif offer.version not in self.readings:
                reading = self.follow(offer, moment)
                if reading is not None:
                    self.readings[offer.version] = reading
                    opened.append(reading)
        self.away = False
        return Changes(opened, closed)

    def restart(self) -> None:
        """The machine goes down: log and account stay, and what its subscriptions had in memory is gone."""
        for reading in self.readings.values():
            self.ledger.lost += reading.lost
            self._former[reading.offer.identifier] = reading
        self.readings.clear()
        self.away = True

    @property
    def settled(self) -> bool:
        """Nothing in the log waits for an acknowledgement, except where the collector refused for good."""
        at_rest = self.subscribed and not self.away
        return at_rest and all(reading.settled or reading.refused for reading in self.readings.values())

    @property
    def lost(self) -> int:
        """Events that should have been sent and never will be."""
        return self.ledger.lost + sum(reading.lost for reading in self.readings.values())

    def acknowledged_records(self) -> list[tuple[str, int]]:
        """(channel, record number) of every acknowledged event that the log still holds, in order."""
        held = (self.log.record(sequence) for sequence in self.ledger.confirmed())
        return [(record.channel, record.record_id) for record in held if record is not None]

    def follow(self, offer: Offer, moment: datetime) -> Reading | None:
        """Subscribe to *offer* at *moment*; None, and a complaint: it cannot be done."""
        try:
            if len(self.readings) >= MOST_SUBSCRIPTIONS:
                raise QueryError(f"a source follows at most {MOST_SUBSCRIPTIONS} subscriptions")
            if not offer.identifier:
                raise QueryError("the offer has no e:Identifier")
            query = parse_query_list(offer.query)
        except QueryError as error:  # Windows writes event 102 and goes on with the others
            self._complain(offer, str(error))
            return None
        matcher = Matcher.compile(query)
        start, fresh = beginning(
            self.log, offer.bookmark, query.channels, read_existing_events=offer.read_existing_events
        )
        former = self._former.pop(offer.identifier, None)
        if not fresh:
            self._settle_by_bookmark(offer, start)
        elif former is not None:  # the collector knows nothing of what it has acknowledged: the rest is skipped
            self.ledger.lost += former.owed()
        return Reading(
            offer,
            self.log,
            start=start,
            selects=lambda record: matcher.selects(record.xml, record.channel),
            size=self.nature.size,
            frame=self.nature.frame(offer),
            greeting=bookmark_event(self.name, moment) if fresh and self.nature.greets else None,
        )

    def _settle_by_bookmark(self, offer: Offer, start: Mapping[str, int]) -> None:
        """An Ack may have been lost, but the bookmark that the collector offers says what it has."""
        taken = []
        for sequence in self.ledger.open(offer.identifier):
            record = self.log.record(sequence)
            if record is not None and record.record_id <= start.get(record.channel, 0):
                taken.append(sequence)
        self.ledger.confirm(offer.identifier, taken)

    def _complain(self, offer: Offer, text: str) -> None:
        complaint = f"{self.name}: subscription {offer.name}: {text}"
        if complaint not in self.complaints:
            self.complaints.append(complaint)
