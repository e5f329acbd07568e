"""The door of a listener: one HTTP request in, one HTTP response out.

It walks a request through the corridor - gate, payload, reader, exchange, writer - and is
the place where every refusal becomes a status (contract.md section 5). It decides nothing
else, and it never logs a body.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never
from urllib.parse import urlsplit
from weakref import WeakSet

from aiohttp import web

from collector import telemetry
from collector.auth.anonymous import claimed_caller
from collector.auth.base import Admitted, Claimed, Continue, Refused, Visitor
from collector.auth.gate import Gate
from collector.config.settings import Limits, ListenerSettings
from collector.delivery.exchange import Arrival, Exchange
from collector.errors import Backpressure, SourceError
from collector.listener.addresses import plain_address
from collector.listener.answers import Ready, takes_ready
from collector.listener.body import TOO_LARGE, BodyError, body_of, drop_body
from collector.listener.budget import Account, Budget
from collector.listener.connection import Connection
from collector.listener.serving import binding_of
from collector.model import Caller
from collector.wsman import acks
from collector.wsman.messages import (
    Ack,
    Delivery,
    Enumerate,
    Fault,
    Identify,
    Message,
    NoContent,
    Reply,
    ResourceRequest,
)
from collector.wsman.payload import Payload, PayloadError, close_payload, open_payload
from collector.wsman.reader import EnvelopeError, read_envelope
from collector.wsman.sealing import SealError
from collector.wsman.writer import write_envelope

ANONYMOUS_BODY = 8192
"""Bytes taken from a caller who is not known yet: an Identify has 200 (protocol.md 10.1). As many as may be connected
at once hold a third of what all bodies together may."""
LEG_BODY = 65536
"""Bytes of a body that are read and thrown away between two legs of a handshake, which keeps its connection: Windows
sends none, others the envelope that comes again when they are known."""
ANONYMOUS_PATH = "/wsman-anon/identify"  # [DSP0226] R11-6
_HOST = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}")
_ANYWHERE = Arrival("", None)
OK, NO_CONTENT, UNAUTHORIZED, NOT_ALLOWED, FAULT, UNAVAILABLE = 200, 204, 401, 405, 500, 503


@dataclass(slots=True)
class _Conversation:
    """One request on its way: what is known so far decides how a refusal can be spelled."""

    request: web.BaseRequest
    visitor: Visitor
    account: Account
    headers: dict[str, str] = field(default_factory=dict)
    payload: Payload | None = None
    relates_to: str | None = None
    stranger: bool = False

    @property
    def source(self) -> str:
        return self.visitor.caller.name if self.visitor.caller is not None else ""


class Door:
    """The request handler of one listener."""

    def __init__(
        self,
        settings: ListenerSettings,
        limits: Limits,
        gate: Gate,
        exchange: Exchange,
        new_id: Callable[[], str],
        budget: Budget,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._gate = gate
        self._exchange = exchange
        self._new_id = new_id
        self._budget = budget
        self._visitors: WeakSet[Visitor] = WeakSet()

    def renew(self, gate: Gate) -> None:
        """Ask *gate* from now on, also about connections that are open: their certificates may be revoked.

        Who has a session key keeps it. That proof hangs on no file of ours, and the source would go on sealing
        with a key that we had thrown away.
        """
        self._gate = gate
        for visitor in self._visitors:
            if visitor.seal is None:
                visitor.caller = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Never raises but for a connection that is gone; our own faults get an incident id."""
        with self._budget.open() as account:
            talk = _Conversation(request, self._visitor_of(request), account)
            response = await self._answer(talk)
            if talk.stranger:
                response.force_close()  # who has proven nothing holds no place for as long as a source may be quiet
            return response

    async def _answer(self, talk: _Conversation) -> web.StreamResponse:
        try:
            return await self._serve(talk)
        except SealError as error:
            response = _refuse("size" if error.status == TOO_LARGE else "seal", talk, error)
            talk.visitor.forget()  # the two ends no longer agree on what was sealed: nothing more counts here
            return response
        except (BodyError, PayloadError) as error:
            return _refuse("size" if error.status == TOO_LARGE else "body", talk, error)
        except EnvelopeError as error:
            return self._refuse_envelope(error, talk)
        except Backpressure as error:
            telemetry.request_refused("backpressure", talk.visitor.address, str(error), source=talk.source)
            response = web.Response(status=UNAVAILABLE)  # the source keeps its events and comes again
            if not talk.request.content.is_eof() or (talk.visitor.seal is not None and talk.payload is None):
                response.force_close()  # a sealed body that nobody opened leaves a gap in the sequence
            return response
        except ConnectionError:
            raise  # nobody is left to answer; Windows does this when group policy is applied again
        except Exception as error:  # noqa: BLE001 - the door: one of the two broad ones in the corridor
            return self._own_fault(error, talk)

    async def _serve(self, talk: _Conversation) -> web.StreamResponse:
        request, visitor = talk.request, talk.visitor
        if request.method != "POST":
            return _refuse_method(visitor)
        # two of them are one that nobody can read (RFC 9110 5.3): whoever is in front of us may have read the other
        shown = request.headers.getall("Authorization", ())
        verdict = self._gate.admit(visitor, ", ".join(shown) if shown else "")
        match verdict:
            case Admitted() | Claimed():
                return await self._converse(talk, verdict)
            case Continue(challenge):
                return await self._ask_further(challenge, talk)
            case Refused(reason):
                talk.stranger = True
                if request.path == ANONYMOUS_PATH or "WSMANIDENTIFY" in request.headers:
                    return await self._identify_anonymously(talk)
                telemetry.request_refused("proof", visitor.address, reason)
                return self._turn_away()
            case _:
                assert_never(verdict)

    async def _converse(self, talk: _Conversation, verdict: Admitted | Claimed) -> web.StreamResponse:
        if isinstance(verdict, Admitted) and verdict.token is not None:
            talk.headers["WWW-Authenticate"] = verdict.token
        body = await body_of(talk.request, self._limits.body_size, self._limits.body_time, talk.account)
        if not body:
            return web.Response(status=OK, headers=talk.headers)  # an authentication round has no SOAP in it
        message = self._read(talk, body)
        del body  # it must not live as long as the batch waits
        caller = _caller_of(verdict, message, talk.visitor)
        reply = await self._exchange.answer(message, caller, self._arrival(talk, message, caller))
        return self._respond(reply, talk)

    async def _ask_further(self, challenge: str, talk: _Conversation) -> web.StreamResponse:
        """One more leg on the same connection, so its body has to be out of the way."""
        response = _unauthorized([challenge])
        try:
            await drop_body(talk.request, LEG_BODY, self._limits.body_time)
        except BodyError:
            response.force_close()
        return response

    def _read(self, talk: _Conversation, body: bytes) -> Message:
        """What the body says. Where there is a session key it has to be sealed, but in TLS that the proof is bound to.

        Anybody between the two ends could write a clear one ([MS-WSMV] 3.1.4.1.29.1, AllowUnencrypted), or take a
        token off the wire and show it inside TLS of his own: there he lacks nothing but the session key. It is
        refused like a broken seal, with 400 and the end of the connection (contract.md 5, bad multipart): no
        Windows sends one, so whoever did is no source.
        """
        headers, visitor = talk.request.headers, talk.visitor
        payload = open_payload(
            body,
            headers.get("Content-Type", ""),
            headers.get("Content-Encoding", ""),
            self._limits.decompressed_size,
            visitor.seal,
            clear=visitor.seal is None or (visitor.secure and visitor.clear),
        )
        talk.account.take(payload.weight)  # the events are held as text until they are safe
        # how to spell the reply; the text itself may go
        talk.payload = Payload("", payload.charset, payload.bom, payload.compressed, payload.style)
        message = read_envelope(payload.content, depth=self._limits.xml_depth, most=self._limits.events_per_batch)
        if isinstance(message, Delivery):
            most = self._limits.events_per_batch
            if len(message.pieces) > most:
                raise BodyError(
                    f"the batch has {len(message.pieces)} events; at most {most} are taken", status=TOO_LARGE
                )
            if isinstance(message.pieces, list):  # texts of their own: one letter makes each four times as large
                talk.account.take(max(sum(map(sys.getsizeof, message.pieces)) - payload.weight, 0))
        if not isinstance(message, Identify):
            talk.relates_to = message.header.message_id
        return message

    async def _identify_anonymously(self, talk: _Conversation) -> web.StreamResponse:
        message = self._read(talk, await body_of(talk.request, ANONYMOUS_BODY, self._limits.body_time, talk.account))
        if not isinstance(message, Identify):
            return self._turn_away()
        return self._respond(self._exchange.identify_anonymously(), talk)

    def _respond(self, reply: Reply, talk: _Conversation) -> web.StreamResponse:
        if isinstance(reply, NoContent):
            return web.Response(status=NO_CONTENT, headers=talk.headers)
        assert talk.payload is not None, "a reply is spelled like its request, so there was one"
        if isinstance(reply, Ack) and talk.payload.style is None and not talk.headers and takes_ready(talk.request):
            ack = acks.ack(talk.payload.charset, self._new_id(), talk.relates_to)
            if ack is not None:
                return Ready(talk.request, *ack)
        text = write_envelope(reply, message_id=self._new_id(), relates_to=talk.relates_to)
        try:
            content_type, body = close_payload(text, talk.payload, talk.visitor.seal)
        except SealError as error:  # here: faults come this way too, and there is no other way to say one
            response = _refuse("seal", talk, error)
            talk.visitor.forget()
            return response
        status = FAULT if isinstance(reply, Fault) else OK  # 500 for Sender faults too: what Windows peers are used to
        return web.Response(status=status, body=body, headers={**talk.headers, "Content-Type": content_type})

    def _turn_away(self) -> web.Response:
        response = _unauthorized(self._gate.challenges)
        response.force_close()  # aiohttp would take a body still under way for the next request
        return response

    def _refuse_envelope(self, error: EnvelopeError, talk: _Conversation) -> web.StreamResponse:
        telemetry.request_refused("envelope", talk.visitor.address, str(error), source=talk.source)
        if error.fault is None or talk.payload is None:
            return web.Response(status=error.status)
        talk.relates_to = error.relates_to
        return self._respond(error.fault, talk)

    def _own_fault(self, error: Exception, talk: _Conversation) -> web.StreamResponse:
        incident = self._new_id()
        telemetry.incident(incident, talk.visitor.address, error)
        if talk.payload is None:
            return web.Response(status=FAULT)
        text = f"The collector met a fault of its own; its log has it as {incident}."
        return self._respond(Fault("w:InternalError", text=text), talk)

    def _arrival(self, talk: _Conversation, message: Message, caller: Caller) -> Arrival:
        """What an offer needs; nobody else is told where we are, and most messages bring events."""
        if isinstance(message, ResourceRequest):
            return Arrival("", None, (), self._settings)
        if not isinstance(message, Enumerate | Identify):
            return _ANYWHERE
        secure = talk.visitor.secure
        profile = self._gate.profile(caller.mechanism, secure)
        if isinstance(message, Identify):
            return Arrival("", profile, tuple(self._gate.profiles(secure)))
        host, port = self._public_address(message.header.to, talk.request)
        return Arrival(f"{self._settings.transport}://{host}:{port}", profile)

    def _public_address(self, to: str, request: web.BaseRequest) -> tuple[str, int]:
        """Host and port for NotifyTo: the settings, else what the source itself called us (contract.md 1)."""
        own = request.get_extra_info("sockname")
        named = _host_and_port(to) or _host_and_port(f"//{request.headers.get('Host', '')}")
        host, port = named or (_bracketed(plain_address(own[0])) if own else "localhost", None)
        own_port = int(own[1]) if own else self._settings.port
        return self._settings.hostname or host, self._settings.public_port or port or own_port

    def _visitor_of(self, request: web.BaseRequest) -> Visitor:
        """The state of this connection, which goes when the connection goes (dependencies.md 3.3)."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        if connection.transport is None:
            raise ConnectionResetError("the source has hung up")
        if connection.visitor is None:
            ssl_object = request.get_extra_info("ssl_object")
            certificate = ssl_object.getpeercert(True) if ssl_object is not None else None
            connection.visitor = Visitor(
                connection.address, ssl_object is not None, certificate, binding_of(ssl_object)
            )
            self._visitors.add(connection.visitor)
        return connection.visitor


def _caller_of(verdict: Admitted | Claimed, message: Message, visitor: Visitor) -> Caller:
    if isinstance(verdict, Admitted):
        return verdict.caller
    return claimed_caller(visitor, "" if isinstance(message, Identify) else message.header.machine_id)


def _host_and_port(url: str) -> tuple[str, int | None] | None:
    """Host and port of a URL that a stranger wrote; None when it names no plausible host."""
    try:
        parts = urlsplit(url)
        host, port = _bracketed(parts.hostname or ""), parts.port
    except ValueError:
        return None
    if not parts.netloc or not _HOST.fullmatch(host) or url.startswith("http://schemas."):
        return None  # an a:To of the anonymous role names nobody
    return host, port or {"http": 80, "https": 443}.get(parts.scheme.lower())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _refuse(reason: str, talk: _Conversation, error: SourceError) -> web.Response:
    telemetry.request_refused(reason, talk.visitor.address, str(error), source=talk.source)
    response = web.Response(status=error.status)
    response.force_close()  # what is left of the body is not worth reading
    return response


def _refuse_method(visitor: Visitor) -> web.Response:
    telemetry.request_refused("method", visitor.address, "WS-Management uses POST only")
    response = web.Response(status=NOT_ALLOWED, headers={"Allow": "POST"})
    response.force_close()
    return response


def _unauthorized(challenges: Sequence[str]) -> web.Response:
    response = web.Response(status=UNAUTHORIZED)
    for challenge in challenges:
        response.headers.add("WWW-Authenticate", challenge)
    return response
