"""A play: the far end of pull says what its script says, and remembers what it heard.

A line of the script is what answers one request: the text of an envelope as a function of the request's MessageID, an
HTTP answer, or an error to raise. When the script is at its end, Unsubscribe is answered and everything else never.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.clock import ManualClock
from collector.config.settings import Limits, SinkSettings
from collector.delivery.receiver import Receiver
from collector.errors import Backpressure
from collector.evidence.presence import Presences
from collector.model import Caller
from collector.pull.book import Book
from collector.pull.conversation import Company, Conversation, Corridor
from collector.pull.line import Line
from collector.pull.turns import Allowance, Gate
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.router import Router
from collector.routing.spool import Spool
from collector.subscriptions.subscription import DeliverySettings, Subscription
from collector.wire.connection import Answer
from collector.wire.trouble import Trouble
from collector.wsman import names
from tests.contracts.memory_store import MemoryStore
from tests.routing.scripted_sink import ScriptedSink

URL = "http://pc01.corp.example:5985/wsman"
PC01 = Caller("pc01.corp.example", "pc01.corp.example", "HTTP/pc01.corp.example", "pull", "")
ID = "11111111-2222-3333-4444-555555555555"
QUERY = '<QueryList><Query Id="0"><Select Path="System">*</Select></Query></QueryList>'
PULLED = Subscription("pulled", ID, QUERY, type="pull", delivery=DeliverySettings(max_latency=1.0))
XSI = "http://www.w3.org/2001/XMLSchema-instance"

Said = Callable[[str], str]
Cue = Said | Answer | Exception
"""One line of a script."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as the far end heard it."""

    text: str

    @property
    def action(self) -> str:
        """The last word of a:Action."""
        found = re.search(r"<a:Action[^>]*>[^<]*/(\w+)</a:Action>", self.text)
        assert found is not None, self.text
        return found[1]

    @property
    def message_id(self) -> str:
        return self.value("MessageID")

    def value(self, name: str) -> str:
        """The text of the first element called *name*, ``""`` where there is none."""
        found = re.search(rf"<(?:\w+:)?{name}(?:\s[^>]*)?>(.*?)</(?:\w+:)?{name}>", self.text, re.DOTALL)
        return found[1] if found else ""


class Stage:
    """The far end of one conversation, over as many connections as it makes."""

    def __init__(self, *script: Cue) -> None:
        self.script = deque(script)
        self.heard: list[Heard] = []
        self.connections = 0
        self.released = 0
        self.over = asyncio.Event()
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()
        self.goes_on.set()

    def connect(self) -> Scene:
        self.connections += 1
        return Scene(self)

    @property
    def plot(self) -> list[str]:
        """What was asked, in order."""
        return [heard.action for heard in self.heard]

    async def answer(self, text: str) -> Answer:
        heard = Heard(text)
        self.heard.append(heard)
        self.asked.set()
        await self.goes_on.wait()
        if not self.script:
            if heard.action != "Unsubscribe":
                self.over.set()
                await asyncio.Event().wait()
            return spoken(unsubscribed()(heard.message_id))
        cue = self.script.popleft()
        if isinstance(cue, Exception):
            raise cue
        return cue if isinstance(cue, Answer) else spoken(cue(heard.message_id))


class Scene:
    """One connection."""

    address = "192.0.2.9"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.open = False

    async def post(self, body: bytes, content_type: str, *, timeout: float | None = None) -> Answer:
        assert content_type == "application/soap+xml;charset=UTF-8"
        answer = await self._stage.answer(body.decode())
        self.open = True
        return answer

    def release(self) -> None:
        self._stage.released += 1

    async def close(self) -> None:
        self.open = False


# What a far end says -----------------------------------------------------------------------------------------------


def spoken(text: str, status: int = 200) -> Answer:
    return Answer(status, "application/soap+xml;charset=UTF-8", text.encode())


def envelope(action: str, body: str, header: str = "") -> Said:
    def said(relates_to: str) -> str:
        return (
            f'<s:Envelope xml:lang="en-US" xmlns:s="{names.SOAP}" xmlns:a="{names.ADDRESSING}"'
            f' xmlns:e="{names.EVENTING}" xmlns:n="{names.ENUMERATION}" xmlns:w="{names.WSMAN}"><s:Header>'
            f"<a:Action>{action}</a:Action>"
            "<a:MessageID>uuid:ACFA9E9F-D4C4-4C81-AC90-AB6D82CFACA4</a:MessageID>"
            f"<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>{header}"
            f"<a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )

    return said


def subscribed(context: str | None = "uuid:C0", identifier: str = "SUB-1", expires: str = "PT0.000S") -> Said:
    given = f"<n:EnumerationContext>{context}</n:EnumerationContext>" if context is not None else ""
    return envelope(
        f"{names.EVENTING}/SubscribeResponse",
        f"<e:SubscribeResponse><e:SubscriptionManager><a:Address>{URL}</a:Address><a:ReferenceProperties>"
        f"<w:ResourceURI>{names.EVENT_LOG}</w:ResourceURI><e:Identifier>{identifier}</e:Identifier>"
        f"</a:ReferenceProperties></e:SubscriptionManager><e:Expires>{expires}</e:Expires>{given}</e:SubscribeResponse>",
    )


def pulled(*records: int, context: str | None = "uuid:C1", marked: bool = True, extra: str = "") -> Said:
    at = f"<w:Bookmark>{bookmark(records[-1])}</w:Bookmark>" if marked and records else ""
    items = f"<n:Items>{''.join(map(event, records))}</n:Items>" if records else "<n:Items/>"
    given = f"<n:EnumerationContext>{context}</n:EnumerationContext>" if context is not None else ""
    return envelope(f"{names.ENUMERATION}/PullResponse", f"<n:PullResponse>{given}{items}{extra}</n:PullResponse>", at)


def unsubscribed() -> Said:
    return envelope(f"{names.EVENTING}/UnsubscribeResponse", "")


def renewed(expires: str) -> Said:
    return envelope(
        f"{names.EVENTING}/RenewResponse", f"<e:RenewResponse><e:Expires>{expires}</e:Expires></e:RenewResponse>"
    )


def fault(name: str, code: int | None = None, *, detail: str = "", provider: str = "") -> Said:
    found = f"<w:FaultDetail>{names.WSMAN.removesuffix('.xsd')}/faultDetail/{detail}</w:FaultDetail>" if detail else ""
    message = f'<f:ProviderFault provider="{provider}">no</f:ProviderFault>' if provider else "no"
    if code is not None:
        found += (
            f'<f:WSManFault xmlns:f="{names.WSMAN_FAULT}" Code="{code}" Machine="">'
            f"<f:Message>{message}</f:Message></f:WSManFault>"
        )
    return envelope(
        names.FAULT_WSMAN,
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{name}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">no</s:Text></s:Reason><s:Detail>{found}</s:Detail></s:Fault>',
    )


def trouble(reason: str, *, sent: bool) -> Trouble:
    return Trouble(reason, f"{URL}: {reason}", sent=sent)  # type: ignore[arg-type]


def event(record: int) -> str:
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Test'/>"
        f"<EventID>1</EventID><TimeCreated SystemTime='2026-01-01T00:00:00.000{record:04}Z'/>"
        f"<EventRecordID>{record}</EventRecordID><Channel>System</Channel><Computer>pc01</Computer></System></Event>"
    )


def bookmark(record: int) -> str:
    return f'<BookmarkList><Bookmark Channel="System" RecordId="{record}" IsCurrent="true"/></BookmarkList>'


# Our end -----------------------------------------------------------------------------------------------------------


class House:
    """Everything between a conversation and its sink, with a clock that goes on when somebody sleeps."""

    def __init__(self, folder: Path, *script: str, spool: int = 2**30, patience: float = 0.05) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.presences = Presences()
        self.sink = ScriptedSink(*script)
        self.trouble: Backpressure | None = None
        self.mends_after = 0
        """How many sleeps *trouble* lasts; 0: for ever."""
        self.slept: list[float] = []
        settings = SinkSettings(type="scripted", patience=patience)
        spooled = Spool.open(folder / "spool.sqlite", spool)
        self.lane = Lane(
            "scripted", self.sink, settings, spooled, self.store.save_letters, self.clock, Taking.compile({}, None, 1.0)
        )
        receiver = Receiver(Router([self.lane]), self.store, self.clock, self._require_health, Limits())
        self.book = Book(self.presences, self.clock)
        self._ids = 0
        self.company = Company(
            Corridor(receiver, self.store, "wec"),
            self.clock,
            places=Allowance(10),
            bytes=Allowance(2**30),
            saving=Allowance(2**30),
            gate=Gate(10, 60.0),
            network_delay=5.0,
            max_items=32000,
            new_id=self._new_id,
            chance=lambda: 0.5,
            sleep=self.sleep,
            grace=0.0,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)
        if len(self.slept) == self.mends_after:
            self.trouble = None
        await asyncio.sleep(0)

    def conversation(
        self, stage: Stage, subscription: Subscription = PULLED, host: Allowance | None = None
    ) -> Conversation:
        page = self.book.open(PC01, subscription.id, subscription.name)
        return Conversation(subscription, Line(URL, stage.connect), page, host or Allowance(10), self.company)

    async def play(self, stage: Stage, subscription: Subscription = PULLED) -> Conversation:
        """Converse until the script is at its end, then retire."""
        conversation = self.conversation(stage, subscription)
        task = asyncio.ensure_future(conversation.run())
        over = asyncio.ensure_future(stage.over.wait())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        conversation.retire()
        await task
        return conversation

    def bookmark(self) -> str | None:
        saved = self.store.bookmark(PC01.key, ID)
        return saved.xml if saved is not None else None

    @property
    def refusal(self) -> str:
        """The newest reason, without its time."""
        return next((one.last_refusal.partition(" ")[2] for one in self.presences.all()), "")

    def _new_id(self) -> str:
        self._ids += 1
        return f"uuid:{self._ids:08X}-0000-4000-8000-000000000000"

    def _require_health(self) -> None:
        if self.trouble is not None:
            raise self.trouble


def contexts(stage: Stage) -> Sequence[str]:
    """Of every Pull, in order."""
    return [heard.value("EnumerationContext") for heard in stage.heard if heard.action == "Pull"]
