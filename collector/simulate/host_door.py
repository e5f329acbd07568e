"""The HTTP side of pretend machines: who is calling, what is said, and how the answer leaves - or does not.

One door serves many machines; which one is meant is told by the address and port that were connected to. What an
answer says is decided by ``host``, in what mood by ``host_manners``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol, assert_never
from weakref import WeakKeyDictionary

from aiohttp import web

from collector.auth.base import Admitted, Claimed, Continue, Refused, Visitor
from collector.auth.gate import Gate
from collector.clock import Clock
from collector.errors import SourceError
from collector.simulate.host import Held, Host, Said
from collector.simulate.host_gate import binding_of
from collector.simulate.host_manners import HostManners, spoilt
from collector.simulate.host_push import Pushing
from collector.simulate.host_refusals import BY_MOOD
from collector.wsman.answering import write_identify_response, write_refusal
from collector.wsman.asked import Call, CallRefused, Subscribe, read_call
from collector.wsman.faults import FAULTS
from collector.wsman.header import EnvelopeError
from collector.wsman.messages import Identify
from collector.wsman.payload import MEDIA_TYPE, Payload, close_payload, open_payload
from collector.wsman.sealing import SealError, sealed_body

ANONYMOUS_PATH = "/wsman-anon/identify"  # [DSP0226] R11-6
ANONYMOUS_PRODUCT = "OS: 0.0.0 SP: 0.0 Stack: 3.0"
CHUNK = b"<!-- and so on -->" * 4096
"""What an endless body is made of."""
DRIP = 0.05
"""Seconds between two bytes of a dripping body."""
HEADERS: Mapping[str, str] = {"Server": "Microsoft-HTTPAPI/2.0"}
SILENT_STATUS = {"unauthorized": 401, "busy": 503, "error": 500, "missing": 404}


class Deliveries(Protocol):
    """Who pushes events for a machine."""

    async def reachable(self, pushing: Pushing) -> bool:
        """The connectivity test of a NotifyTo address."""

    def start(self, host: Host, pushing: Pushing) -> None: ...


@dataclass(eq=False, slots=True)
class Served:
    """A machine at its place. *rebooting* is called when its mood makes it reboot."""

    host: Host
    manners: HostManners
    rebooting: Callable[[Served], object] = lambda served: served.cut()
    transports: set[asyncio.Transport] = field(default_factory=set)

    def cut(self) -> None:
        """It goes down: every connection breaks, and it remembers no subscription."""
        self.host.restart()
        self.hang_up()

    def hang_up(self) -> None:
        """Every connection breaks."""
        for transport in list(self.transports):
            transport.abort()
        self.transports.clear()


@dataclass(slots=True)
class _Talk:
    """One request on its way."""

    request: web.BaseRequest
    served: Served
    visitor: Visitor
    headers: dict[str, str]
    payload: Payload | None = None
    mood: str = "well"


class HostDoor:
    """The handler of all requests; ``machines`` by (address, port)."""

    def __init__(self, gate: Gate, clock: Clock, deliveries: Deliveries | None = None) -> None:
        self.machines: dict[tuple[str, int], Served] = {}
        self._gate = gate
        self._clock = clock
        self._deliveries = deliveries
        self._visitors: WeakKeyDictionary[object, Visitor] = WeakKeyDictionary()

    def server(self) -> web.Server:
        """aiohttp's server of all machines; a handler ends when its caller has hung up."""
        return web.Server(self.handle, handler_cancellation=True, access_log=None, keepalive_timeout=86400.0)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer of the machine that was connected to."""
        own = request.get_extra_info("sockname")
        transport = request.transport
        if own is None or transport is None:
            return web.Response()  # the caller has hung up
        served = self.machines[own[0], own[1]]
        served.transports = {one for one in served.transports if not one.is_closing()} | {transport}
        talk = _Talk(request, served, self._visitor_of(request, transport), dict(HEADERS))
        if request.method != "POST":
            return _bare(talk, 405)
        if not request.path.startswith(("/wsman", ANONYMOUS_PATH)):
            return _bare(talk, 404)
        body = await _body(request, served.host.nature.max_envelope)
        if body is None:
            return _bare(talk, 413)
        try:
            return await self._admitted(talk, body)
        except SealError:
            talk.visitor.forget()
            return _bare(talk, 400, ends=True)
        except EnvelopeError as error:
            return await self._refused(talk, error)
        except SourceError as error:
            return _bare(talk, error.status, ends=True)

    async def _admitted(self, talk: _Talk, body: bytes) -> web.StreamResponse:
        request = talk.request
        verdict = self._gate.admit(talk.visitor, ", ".join(request.headers.getall("Authorization", ())))
        match verdict:
            case Admitted(caller, token):
                if token is not None:
                    talk.headers["WWW-Authenticate"] = token
                return await self._conversed(talk, body, caller.key)
            case Claimed():
                return await self._conversed(talk, body, "anonymous")
            case Continue(challenge):
                talk.headers["WWW-Authenticate"] = challenge
                return _bare(talk, 401)
            case Refused():
                if request.path == ANONYMOUS_PATH or "WSMANIDENTIFY" in request.headers:
                    return await self._identified(talk, body)
                return self._turned_away(talk)
            case _:
                assert_never(verdict)

    async def _conversed(self, talk: _Talk, body: bytes, user: str) -> web.StreamResponse:
        if not body:
            return _bare(talk, 200)  # an authentication round has no SOAP in it
        call = self._read(talk, body)
        talk.mood = talk.served.manners.next(type(call).__name__.lower())
        if talk.mood in SILENT_STATUS:
            if talk.mood == "unauthorized":
                talk.visitor.forget()
                return self._turned_away(talk)
            return _bare(talk, SILENT_STATUS[talk.mood])
        if talk.mood == "redirect":
            talk.headers["Location"] = "http://127.0.0.1:1/wsman"
            return _bare(talk, 302)
        if talk.mood == "cut":
            return _broken_off(talk)
        if talk.mood == "dead":
            await asyncio.Event().wait()
        if talk.mood == "slow":
            await asyncio.sleep(talk.served.manners.slow)
        if talk.mood == "reboot":
            talk.served.rebooting(talk.served)
            return _broken_off(talk)
        return await self._answered(talk, await self._said(talk, call, user))

    async def _said(self, talk: _Talk, call: Call, user: str) -> Said:
        host = talk.served.host
        if talk.mood in BY_MOOD and not isinstance(call, Identify):
            return host.refuse(BY_MOOD[talk.mood], call.header)
        wide = talk.payload is not None and talk.payload.charset.startswith("utf-16")
        step = host.hear(call, user, self._clock.monotonic(), wide=wide)
        if isinstance(step, Held):
            step = await self._waited(host, step)
        elif isinstance(step, Pushing):
            step = await self._tested(host, step)
        if talk.mood == "close" and isinstance(call, Subscribe):
            for subscription in list(host.subscriptions.values())[-1:]:
                host.close(subscription)
        return step

    async def _waited(self, host: Host, held: Held) -> Said:
        """The answer of a Pull, when there is something to say or its time is up."""
        wake = asyncio.Event()
        deaf = host.source.log.listen(wake.set)
        step: Said | Held = held
        try:
            while isinstance(step, Held):
                wake.clear()
                left = max(0.0, step.wake - self._clock.monotonic())
                if step.eager:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await wake.wait()
                else:
                    await asyncio.sleep(left)  # it waits for company: what comes now changes nothing
                step = host.look(held, self._clock.monotonic())
        finally:
            deaf()
            if isinstance(step, Held):
                host.let_go(held)
        return step

    async def _tested(self, host: Host, pushing: Pushing) -> Said:
        if self._deliveries is None or not await self._deliveries.reachable(pushing):
            return host.unusable(pushing)
        said = host.pushed(pushing)
        self._deliveries.start(host, pushing)
        return said

    def _read(self, talk: _Talk, body: bytes) -> Call:
        headers, visitor = talk.request.headers, talk.visitor
        payload = open_payload(
            body,
            headers.get("Content-Type", ""),
            headers.get("Content-Encoding", ""),
            talk.served.host.nature.max_envelope,
            visitor.seal,
            clear=visitor.seal is None or (visitor.secure and visitor.clear),
        )
        charset = talk.served.host.nature.charset
        talk.payload = replace(payload, content="", charset=charset or payload.charset)
        return read_call(payload.text)

    async def _identified(self, talk: _Talk, body: bytes) -> web.StreamResponse:
        if body and isinstance(self._read(talk, body), Identify):
            return await self._answered(talk, Said(write_identify_response(ANONYMOUS_PRODUCT)))
        return self._turned_away(talk)

    async def _refused(self, talk: _Talk, error: EnvelopeError) -> web.StreamResponse:
        if not isinstance(error, CallRefused) or error.fault is None or talk.payload is None:
            return _bare(talk, error.status)
        text = write_refusal(error, message_id=talk.served.host.new_id())
        return await self._answered(talk, Said(text, error.fault.name))

    def _turned_away(self, talk: _Talk) -> web.Response:
        response = _bare(talk, 401, ends=True)
        for challenge in self._gate.challenges:
            response.headers.add("WWW-Authenticate", challenge)
        return response

    async def _answered(self, talk: _Talk, said: Said) -> web.StreamResponse:
        """The answer on its way out, in the mood of the moment."""
        mood = talk.mood
        if mood == "cut-answer":
            return _broken_off(talk)
        content_type, body = _closed(talk, spoilt(said.text, mood))
        status = 200
        if said.fault:
            sender = said.fault in FAULTS and FAULTS[said.fault].code == "s:Sender"
            status = 400 if sender and talk.served.host.nature.openwsman else 500
        talk.headers["Content-Type"] = content_type
        if mood == "cut-header":
            return _broken_off(talk, b"HTTP/1.1 200 \r\nContent-Type: applic")
        if mood == "cut-body":
            head = f"HTTP/1.1 {status} \r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
            return _broken_off(talk, head.encode() + body[: len(body) // 2])
        if mood == "endless":
            await _on_and_on(talk, status, CHUNK, 0.0)
        if mood == "drip":
            await _on_and_on(talk, status, body[:1], DRIP)
        return web.Response(status=status, reason="", body=body, headers=talk.headers)

    def _visitor_of(self, request: web.BaseRequest, transport: asyncio.Transport) -> Visitor:
        ssl_object = request.get_extra_info("ssl_object")
        key = ssl_object or transport
        visitor = self._visitors.get(key)
        if visitor is None:
            peer = request.get_extra_info("peername")
            certificate = ssl_object.getpeercert(True) if ssl_object is not None else None
            address = str(peer[0]) if peer else ""
            visitor = Visitor(address, ssl_object is not None, certificate, binding_of(ssl_object))
            self._visitors[key] = visitor
        return visitor


def _bare(talk: _Talk, status: int, *, ends: bool = False) -> web.Response:
    """An answer without a body."""
    response = web.Response(status=status, reason="", headers=talk.headers)
    if ends:
        response.force_close()
    return response


async def _body(request: web.BaseRequest, limit: int) -> bytes | None:
    """The request's body; None: it has more than *limit* bytes, and a seal and an envelope's frame."""
    parts, size = [], 0
    async for part in request.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > limit + 4096:
            return None
    return b"".join(parts)


def _closed(talk: _Talk, text: str) -> tuple[str, bytes]:
    """Content-Type and body for *text*, spoilt where the mood is to spoil these."""
    like, seal = talk.payload, talk.visitor.seal
    assert like is not None, "an answer is spelled like its request, so there was one"
    match talk.mood:
        case "html":
            return "text/html; charset=utf-8", text.encode()
        case "empty":
            return f"{MEDIA_TYPE};charset=UTF-8", b""
        case "unsealed":
            return close_payload(text, replace(like, style=None))
        case "charset" | "foreign-charset":
            label = "UTF-8" if talk.mood == "charset" else "EBCDIC-CP-US"
            plain = text.encode("utf-16-le") if talk.mood == "charset" else text.encode("cp037", "replace")
            if like.style is not None and seal is not None:
                return sealed_body(seal, plain, label, like.style)
            return f"{MEDIA_TYPE};charset={label}", plain
        case "tampered":
            content_type, body = close_payload(text, like, seal)
            at = len(body) * 3 // 4
            return content_type, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        case _:
            return close_payload(text, like, seal)


def _broken_off(talk: _Talk, last: bytes = b"") -> web.Response:
    """The connection ends behind *last*; what is returned cannot be sent any more."""
    transport = talk.request.transport
    if transport is not None and last:
        transport.write(last)
        transport.close()
    elif transport is not None:
        transport.abort()
    return web.Response()


async def _on_and_on(talk: _Talk, status: int, piece: bytes, pause: float) -> NoReturn:
    """A body without an end, until the caller has had enough."""
    response = web.StreamResponse(status=status, headers=talk.headers)
    response.enable_chunked_encoding()
    await response.prepare(talk.request)
    while True:
        await response.write(piece)
        await asyncio.sleep(pause)
