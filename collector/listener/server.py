"""A listener: its sockets, its TLS context, and the connections that come in through them."""

from __future__ import annotations

import asyncio
import logging
import socket

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from collector import telemetry
from collector.auth.gate import Gate
from collector.config.settings import Limits, ListenerSettings
from collector.errors import Backpressure, OperatorError
from collector.listener.addresses import Networks
from collector.listener.answers import SERVER, Ready
from collector.listener.connection import Connection, Server
from collector.listener.door import UNAUTHORIZED, Door
from collector.listener.handshake import Handshake
from collector.listener.preface import Preface
from collector.listener.serving import ServingContext, tls_context
from collector.listener.turnstile import Seat, Turnstile

BACKLOG = 1024
"""Connections that may wait to be accepted: after a restart every source comes back within seconds."""
HEADERS = 32
"""Header fields of a request, each of which may be as long as a token; Windows sends eight, proxies add some. aiohttp's
own 128 are 16 MB of anybody."""
LINGERING = 5.0
"""Seconds for which the rest of a refused body is still read: who sends it must see our answer before the end."""
LAST_WAIT = 0.1
"""Seconds for what is cancelled to end; aiohttp takes 0 for "without end"."""
CANNOT_LISTEN = 69


class Listener:
    """One entry of ``[listeners]``: started, and later stopped, as a whole."""

    def __init__(self, name: str, settings: ListenerSettings, limits: Limits, door: Door, turnstile: Turnstile) -> None:
        self._name = name
        self._settings = settings
        self._limits = limits
        self._door = door
        self._turnstile = turnstile
        self._proxies = Networks(settings.proxy_protocol)
        self._servers: list[asyncio.Server] = []
        self._http: Server | None = None
        self._context: ServingContext | None = None
        self._closing = False
        self.addresses: list[tuple[str, int]] = []

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate that new connections are shown, ``""`` without TLS."""
        return self._context.thumbprint if self._context is not None else ""

    async def start(self) -> None:
        """Listen. Raises ``OperatorError`` for a taken port or an unusable certificate."""
        self._context = self.fresh_context()
        self._http = Server(
            self._name,
            self._handle,
            self._turnstile,
            access_log=None,
            auto_decompress=False,  # Content-Encoding is ours to judge
            keepalive_timeout=self._limits.idle_time,
            max_field_size=self._limits.header_size,
            max_line_size=self._limits.header_size,
            max_headers=HEADERS,
            lingering_time=LINGERING,
            logger=_quiet_logger(),
        )
        for address in self._settings.addresses:
            await self._listen(address)

    def fresh_context(self) -> ServingContext | None:
        """The TLS context that the settings' files make just now; None for plain HTTP. Raises ``OperatorError``."""
        return tls_context(self._name, self._settings) if self._settings.transport == "https" else None

    def renew(self, context: ServingContext | None, gate: Gate) -> None:
        """New connections get *context*; *gate* looks at everybody again with their next request."""
        self._context = context
        self._door.renew(gate)

    def close(self) -> None:
        """Take no more connections and no more requests; replies under way are finished.

        A request whose body is still under way can get none: aiohttp reads nothing more, so it is refused now.
        """
        self._closing = True
        for server in self._servers:
            server.close()
        if self._http is not None:
            self._http.leaving = True
            self._http.pre_shutdown()
            for connection in self._http.connections:
                _refuse_to_read(connection)

    async def drained(self, seconds: float) -> None:
        """Wait until the requests under way are answered, at most *seconds*, then hang up."""
        if self._http is not None:
            await asyncio.sleep(0)  # a connection that was made just before ``close`` waits for its first word from now
            self._http.pre_shutdown()
            try:
                async with asyncio.timeout(seconds):
                    await self._http.shutdown(seconds)
            except TimeoutError:  # aiohttp waits twice, first for the answers, then for its tasks
                await self._http.shutdown(LAST_WAIT)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.begin()
        if self._closing:
            _refuse_to_read(connection)
        known = False
        try:
            response = await self._door.handle(request)
            known = response.status != UNAUTHORIZED
        finally:
            connection.end(known=known)
        if not isinstance(response, Ready):
            response.headers["Server"] = SERVER
        return response

    async def _listen(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            sock = _bound(address, self._settings.port)
        except OSError as error:
            raise OperatorError(
                f"listener {self._name}: cannot listen on {address} port {self._settings.port}: {error.strerror}."
                " Name another port, or end what uses it.",
                exit_code=CANNOT_LISTEN,
            ) from error
        server = await loop.create_server(self._greet, sock=sock, backlog=BACKLOG)
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        self.addresses.append((address, port))
        telemetry.listening(self._name, address, port, self._settings.transport)

    def _greet(self) -> asyncio.BaseProtocol:
        """What a new connection meets first: what a proxy says of it, TLS, or HTTP at once."""
        if not self._proxies:
            return self._receive(None)
        return Preface(self._name, self._proxies, self._turnstile, self._limits.header_time, self._receive)

    def _receive(self, seat: Seat | None) -> asyncio.Protocol:
        """TLS or HTTP for a connection, which may have its place already."""
        assert self._http is not None
        if self._context is None:
            return self._http.connection(seat)
        seconds, make = self._limits.handshake_time, self._http.connection
        return Handshake(self._name, self._current_context, self._turnstile, seconds, make, seat)

    def _current_context(self) -> ServingContext:
        assert self._context is not None
        return self._context


def _refuse_to_read(connection: RequestHandler) -> None:
    assert isinstance(connection, Connection)
    connection.interrupt(Backpressure("shutdown", "the collector is shutting down"))


def _bound(address: str, port: int) -> socket.socket:
    """A bound socket; ``*`` is IPv6 that takes IPv4 as well, or IPv4 where the machine has no IPv6."""
    if address == "*":
        if socket.has_dualstack_ipv6():
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
        address = "0.0.0.0"  # noqa: S104 - what "*" asks for
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=BACKLOG)


def _quiet_logger() -> logging.Logger:
    """aiohttp logs every malformed request with a traceback and its bytes; anybody can cause that."""
    logger = logging.getLogger("wef.http")
    logger.setLevel(logging.CRITICAL)
    return logger
