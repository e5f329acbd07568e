"""A small collector with a script, as a Windows collector would look from outside: the simulator's far end.

It reads requests with its own few lines of lxml and answers in the form that Windows uses
(ReferenceProperties, an echoed OperationID), so that the simulator is measured against the protocol and
not against our own writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from html import escape

from aiohttp import ClientPayloadError, web
from lxml import etree

from collector.kernel import sldc

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
E = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
P = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
ANONYMOUS = A + "/role/anonymous"
SPACES = f'xmlns:s="{S}" xmlns:a="{A}" xmlns:e="{E}" xmlns:n="{N}" xmlns:w="{W}" xmlns:p="{P}"'

QUERY = (
    '<QueryList><Query Id="0"><Select Path="System">*</Select><Select Path="Security">*</Select></Query></QueryList>'
)


@dataclass(frozen=True)
class Offering:
    """A subscription as this collector offers it; *bookmark* None: what the source sent last, if anything."""

    version: str = "11111111-1111-4111-8111-111111111111"
    identifier: str = "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"
    query: str = QUERY
    bookmark: str | None = None
    read_existing: bool = False
    rendered: bool = False
    compression: bool = False
    heartbeat: float = 60.0
    max_time: float = 0.05
    max_elements: int | None = None
    max_envelope: int = 512000
    retry_interval: float = 0.05
    retry_total: int = 5


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. *peer* is the client's port: one connection, one number."""

    kind: str  # the last part of the action
    peer: int
    path: str
    http: Mapping[str, str]
    raw: bytes
    text: str
    fields: Mapping[str, str]
    events: tuple[str, ...]
    bookmark: str

    @property
    def positions(self) -> dict[str, int]:
        if not self.bookmark:
            return {}
        return {row.get("Channel", ""): int(row.get("RecordId", "0")) for row in etree.fromstring(self.bookmark)}


@dataclass
class ScriptedCollector:
    """Answers deliveries as *script* says, one word each, then acknowledges: 503, refuse, drop, stray, late, ack."""

    offerings: list[Offering] = field(default_factory=lambda: [Offering()])
    script: list[str] = field(default_factory=list)
    enumerations: list[str] = field(default_factory=list)  # the same for Enumerate
    seen: list[Seen] = field(default_factory=list)
    bookmarks: dict[tuple[str, str], str] = field(default_factory=dict)  # (machine, identifier): last acknowledged
    forgetful: bool = False  # never offers a bookmark
    torn: list[tuple[int, int]] = field(default_factory=list)  # bodies that broke off: bytes declared and arrived
    url: str = ""
    together: int = 0  # the most deliveries that were ever under way at once on one subscription
    _under_way: dict[str, int] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    def of(self, *kinds: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.kind in kinds]

    def events(self) -> list[str]:
        """Every event that arrived, the artificial 111 left out."""
        return [event for seen in self.of("Events") for event in seen.events if "<EventID>111<" not in event]

    async def until(self, condition: object, within: float = 5.0) -> None:
        """Wait until *condition* (a callable) holds; it is looked at after each request."""
        async with asyncio.timeout(within):
            while not condition():  # type: ignore[operator]
                self._changed.clear()
                await self._changed.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await self._body(request)
        if raw is None:
            return web.Response(status=400)
        seen = _seen(request, raw)
        self.seen.append(seen)
        try:
            return await self._answer(request, seen)
        finally:
            self._changed.set()

    async def _body(self, request: web.BaseRequest) -> bytes | None:
        """The body; None when it broke off."""
        arrived = b""
        try:
            async for chunk in request.content.iter_any():
                arrived += chunk
        except (ClientPayloadError, ConnectionError, web.HTTPException):
            self.torn.append((request.content_length or 0, len(arrived)))
            self._changed.set()
            return None
        return arrived

    async def _answer(self, request: web.BaseRequest, seen: Seen) -> web.StreamResponse:
        match seen.kind:
            case "Enumerate":
                word = self.enumerations.pop(0) if self.enumerations else "ok"
                return await self._refusal(request, seen, word) or self._offers(seen)
            case "End":
                return web.Response(status=204)
            case _:
                key = seen.fields["Identifier"] + seen.fields["MachineID"]
                self._under_way[key] = self._under_way.get(key, 0) + 1
                self.together = max(self.together, self._under_way[key])
                try:
                    word = self.script.pop(0) if self.script and seen.kind != "SubscriptionEnd" else "ack"
                    return await self._refusal(request, seen, word) or self._ack(seen)
                finally:
                    self._under_way[key] -= 1

    async def _refusal(self, request: web.BaseRequest, seen: Seen, word: str) -> web.StreamResponse | None:
        match word:
            case "503" | "403" | "400":
                return web.Response(status=int(word))
            case "drop":
                assert request.transport is not None
                request.transport.close()
                return web.Response(status=200)
            case "stray":
                return _soap(_envelope(_ACK, "uuid:OTHER", "", ""))
            case "late":
                await asyncio.sleep(0.01)
                return None
            case "refuse":
                body = (
                    "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:DeliveryRefused</s:Value>"
                    '</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">no</s:Text></s:Reason></s:Fault>'
                )
                fault = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
                return _soap(_envelope(fault, seen.fields["MessageID"], "", body), 500)
            case _:
                return None

    def _ack(self, seen: Seen) -> web.Response:
        if seen.bookmark:
            self.bookmarks[seen.fields["MachineID"], seen.fields["Identifier"]] = seen.bookmark
        return _soap(_envelope(_ACK, seen.fields["MessageID"], seen.fields.get("OperationID", ""), ""))

    def _offers(self, seen: Seen) -> web.Response:
        items = []
        for offering in self.offerings:
            stored = None if self.forgetful else self.bookmarks.get((seen.fields["MachineID"], offering.identifier))
            items.append(_item(replace(offering, bookmark=offering.bookmark or stored), self.url))
        body = (
            "<n:EnumerateResponse><n:EnumerationContext></n:EnumerationContext>"
            f"<w:Items>{''.join(items)}</w:Items><w:EndOfSequence/></n:EnumerateResponse>"
        )
        return _soap(_envelope(N + "/EnumerateResponse", seen.fields["MessageID"], seen.fields["OperationID"], body))


@contextlib.asynccontextmanager
async def collecting(
    collector: ScriptedCollector, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedCollector]:
    """*collector* listening on a loopback port, with *tls* as localhost; its url is set."""
    runner = web.ServerRunner(web.Server(collector.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    start = "https://localhost" if tls is not None else "http://127.0.0.1"
    collector.url = f"{start}:{runner.addresses[0][1]}/wsman/SubscriptionManager/WEC"
    try:
        yield collector
    finally:
        await runner.cleanup()


_ACK = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Ack"


def _seen(request: web.BaseRequest, raw: bytes) -> Seen:
    body = raw
    if request.headers.get("Content-Encoding") == "SLDC" and not raw.startswith((b"\xff\xfe", b"<")):
        body = sldc.decode(raw, 10_000_000)
    text = body.decode("utf-16" if body.startswith(b"\xff\xfe") else "utf-8")
    root = etree.fromstring(text)
    header = root.find(f"{{{S}}}Header")
    assert header is not None
    fields = {etree.QName(child).localname: (child.text or "").strip() for child in header}
    fields["ReplyTo"] = (header.findtext(f"{{{A}}}ReplyTo/{{{A}}}Address") or "").strip()
    lists = header.findall(f"{{{W}}}Bookmark/BookmarkList")
    assert request.transport is not None
    return Seen(
        kind=fields["Action"].rpartition("/")[2],
        peer=request.transport.get_extra_info("peername")[1],
        path=request.path,
        http=dict(request.headers),
        raw=raw,
        text=text,
        fields=fields,
        events=tuple(event.text or "" for event in root.iter(f"{{{W}}}Event")),
        bookmark=etree.tostring(lists[0]).decode() if lists else "",
    )


def _envelope(action: str, relates_to: str, operation_id: str, body: str) -> str:
    operation = f'<p:OperationID s:mustUnderstand="false">{operation_id}</p:OperationID>' if operation_id else ""
    return (
        f'<s:Envelope xml:lang="en-US" {SPACES}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:45697184-34FA-4722-BF84-AF362DAF7832</a:MessageID><a:To>{ANONYMOUS}</a:To>{operation}"
        f"<a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def _soap(text: str, status: int = 200) -> web.Response:
    body = text.encode("utf-16")
    return web.Response(status=status, body=body, headers={"Content-Type": "application/soap+xml;charset=UTF-16"})


def _item(offer: Offering, url: str) -> str:
    nil = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    address = url.replace("http", "HTTP").replace("SubscriptionManager/WEC", f"subscriptions/{offer.identifier}/1")
    end = (
        f"<a:Address>{address}</a:Address><a:ReferenceProperties><e:Identifier>{offer.identifier}</e:Identifier>"
        "</a:ReferenceProperties>"
    )
    options = '<w:Option Name="SubscriptionName">Toto</w:Option>'
    options += '<w:Option Name="Compression">SLDC</w:Option>' if offer.compression else ""
    options += '<w:Option Name="CDATA" xsi:nil="true"/>'
    options += f'<w:Option Name="ContentFormat">{"RenderedText" if offer.rendered else "Raw"}</w:Option>'
    options += '<w:Option Name="IgnoreChannelError" xsi:nil="true"/>'
    options += '<w:Option Name="ReadExistingEvents">true</w:Option>' if offer.read_existing else ""
    most = f"<w:MaxElements>{offer.max_elements}</w:MaxElements>" if offer.max_elements else ""
    bookmark = f"<w:Bookmark>{offer.bookmark}</w:Bookmark>" if offer.bookmark else ""
    return (
        '<m:Subscription xmlns:m="http://schemas.microsoft.com/wbem/wsman/1/subscription">'
        f"<m:Version>uuid:{offer.version}</m:Version><s:Envelope {SPACES}><s:Header><a:To>{ANONYMOUS}</a:To>"
        '<w:ResourceURI s:mustUnderstand="true">http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog</w:ResourceURI>'
        f'<a:ReplyTo><a:Address s:mustUnderstand="true">{ANONYMOUS}</a:Address></a:ReplyTo>'
        f'<a:Action s:mustUnderstand="true">{E}/Subscribe</a:Action>'
        '<w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize>'
        "<a:MessageID>uuid:A666D835-B462-465E-ACEE-BA6354EA0E58</a:MessageID>"
        f"<w:OptionSet {nil}>{options}</w:OptionSet></s:Header><s:Body><e:Subscribe><e:EndTo>{end}</e:EndTo>"
        '<e:Delivery Mode="http://schemas.dmtf.org/wbem/wsman/1/wsman/Events">'
        f"<w:Heartbeats>PT{offer.heartbeat:.3f}S</w:Heartbeats><e:NotifyTo>{end}</e:NotifyTo>"
        f'<w:ConnectionRetry Total="{offer.retry_total}">PT{offer.retry_interval}S</w:ConnectionRetry>'
        f"<w:MaxTime>PT{offer.max_time:.3f}S</w:MaxTime>{most}"
        f'<w:MaxEnvelopeSize Policy="Notify">{offer.max_envelope}</w:MaxEnvelopeSize>'
        "<w:ContentEncoding>UTF-16</w:ContentEncoding></e:Delivery>"
        f'<w:Filter Dialect="http://schemas.microsoft.com/win/2004/08/events/eventquery">{offer.query}</w:Filter>'
        f"{bookmark}<w:SendBookmarks/></e:Subscribe></s:Body></s:Envelope></m:Subscription>"
    )


def event(channel: str, number: int, text: str = "x") -> str:
    """An event of our own in the forwarder's style; *number* tells it apart."""
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Test'/>"
        f"<EventID>{number}</EventID><Level>4</Level><EventRecordID>7</EventRecordID><Channel>{escape(channel)}</Channel>"
        f"<Computer>a.corp.example</Computer><Security/></System><EventData><Data Name='x'>{escape(text)}</Data>"
        "</EventData></Event>"
    )
