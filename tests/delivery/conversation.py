"""The corridor with a scripted far end: one lane, a store in memory, and callers made up by tests."""

from __future__ import annotations

import itertools
from pathlib import Path

from collector.clock import ManualClock
from collector.config.settings import Limits, SinkSettings
from collector.delivery.exchange import Arrival, Exchange
from collector.delivery.receiver import Receiver
from collector.errors import Backpressure
from collector.evidence.presence import Presences
from collector.model import Caller
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.router import Router
from collector.routing.spool import Spool
from collector.sinks.base import Sink
from collector.subscriptions.folder import SubscriptionSet
from collector.subscriptions.subscription import Audience, Subscription
from collector.wsman.messages import Delivery, Header, Message, Reply
from tests.contracts.memory_store import MemoryStore

PC = Caller("ws-1.corp.example", "WS-1.corp.example", "WS-1.corp.example", "certificate", "192.0.2.7", issuer="ab" * 20)
OTHER = Caller("ws-2.corp.example", "WS-2.corp.example", "WS-2.corp.example", "certificate", "192.0.2.8")
ID = "11111111-2222-3333-4444-555555555555"
QUERY = '<QueryList><Query Id="0"><Select Path="System">*</Select></Query></QueryList>'
EVERYTHING = Subscription("everything", ID, QUERY, revision="r1")
NARROW = Subscription("narrow", ID, QUERY, revision="r1", audience=Audience(allow=("ws-9.*",)))
ARRIVAL = Arrival("https://wec.corp.example:5986", "https/mutual", ("https/mutual",))


def event(record: int) -> str:
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Test'/>"
        f"<EventID>1</EventID><TimeCreated SystemTime='2026-01-01T00:00:00.000{record:04}Z'/>"
        f"<EventRecordID>{record}</EventRecordID><Channel>System</Channel><Computer>WS-1</Computer></System></Event>"
    )


def bookmark(record: int) -> str:
    return f'<BookmarkList><Bookmark Channel="System" RecordId="{record}" IsCurrent="true"/></BookmarkList>'


def header(**said: object) -> Header:
    return Header("action", "uuid:1", identifier=ID.upper(), **said)  # type: ignore[arg-type]


def batch(*records: int, dropped: int | None = None, marked: bool = True, **said: object) -> Delivery:
    at = bookmark(records[-1]) if marked and records else None
    return Delivery(header(**said), [event(record) for record in records], at, dropped)


class Corridor:
    """Everything between the reader and the sink, as ``app`` builds it."""

    def __init__(
        self,
        folder: Path,
        sink: Sink,
        *,
        spool: int = 2**30,
        required: bool = True,
        store: MemoryStore | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self.clock = ManualClock()
        self.store = store or MemoryStore()
        self.presences = Presences()
        self.subscriptions = SubscriptionSet((EVERYTHING,))
        self.trouble: Backpressure | None = None
        settings = SinkSettings(type="scripted", patience=0.05, required=required)
        spooled = Spool.open(folder / "spool.sqlite", spool)
        self.lane = Lane(
            "scripted", sink, settings, spooled, self.store.save_letters, self.clock, Taking.compile({}, None, 1.0)
        )
        ids = itertools.count(1)
        receiver = Receiver(Router([self.lane]), self.store, self.clock, self._require_health, limits)
        self.exchange = Exchange(
            lambda: self.subscriptions,
            receiver,
            self.store,
            self.presences,
            self.clock,
            collector="wec",
            version="0",
            new_id=lambda: f"uuid:{next(ids)}",
        )

    async def say(self, message: Message, caller: Caller = PC) -> Reply:
        return await self.exchange.answer(message, caller, ARRIVAL)

    def bookmark(self, caller: Caller = PC) -> str | None:
        saved = self.store.bookmark(caller.key, ID)
        return saved.xml if saved is not None else None

    def _require_health(self) -> None:
        if self.trouble is not None:
            raise self.trouble
