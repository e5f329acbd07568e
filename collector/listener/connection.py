"""One HTTP connection: it has a place at the turnstile, and its headers must come in time.

This subclasses two private spots of aiohttp, ``RequestHandler`` and how ``Server`` makes
one (dependencies.md 2.1); ``tests/listener`` pins them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from collector.auth.base import Visitor
from collector.listener.addresses import plain_address
from collector.listener.turnstile import Seat, Turnstile


class Connection(RequestHandler):
    """aiohttp's handler of one connection. *seat* is its place, when it already has one.

    *visitor* is the door's: who it turned out to be. It lives and dies with the connection. *intake* is called
    whenever there may be news of the body that is under way.
    """

    def __init__(self, server: Server, seat: Seat | None, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._seat = seat
        self.visitor: Visitor | None = None
        self.intake: Callable[[], None] | None = None
        self._header_deadline: asyncio.TimerHandle | None = None
        self._serving = False

    @property
    def address(self) -> str:
        """Who is at the other end, behind a proxy that we believe as well: the address that its place is for."""
        return self._seat.address if self._seat is not None else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._seat is None:
            self._seat = self._server.turnstile.enter(self._server.name, peer_address(transport))
        super().connection_made(transport)
        if self._seat is None or self._server.leaving:  # a TLS handshake that ends now would be waited for
            abort(transport)
        else:  # a connection that never says anything: scanners, health checks
            self._expect_header()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.intake is not None:
            self.intake()
        elif self._header_deadline is None and not self._serving and not self._messages:
            self._expect_header()  # the first bytes of a further request: the rest must follow as soon

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp resumes with each piece of a body that is read, and most connections were never paused."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def begin(self) -> None:
        """A complete request header is here, and being served."""
        self._serving = True
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None

    def end(self, *, known: bool = True) -> None:
        """The request is answered. The connection may be idle for long, but not that of who is not *known* yet."""
        self._serving = False
        if not known:
            self._expect_header()

    def interrupt(self, error: Exception) -> None:
        """Nothing more is read here: a body that is still under way ends with *error*."""
        request = self._current_request
        if request is not None and not request.content.is_eof():
            request.content.set_exception(error)
            self._look()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.begin()
        if self._seat is not None:
            self._seat.leave()
        self.visitor = None  # its session key goes now, not with the next collection of garbage
        super().connection_lost(exc)
        self._look()

    def _look(self) -> None:
        if self.intake is not None:
            self.intake()

    def _expect_header(self) -> None:
        seconds = self._server.turnstile.limits.header_time
        self._header_deadline = asyncio.get_running_loop().call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self.transport is not None:
            abort(self.transport)


class Server(web.Server):
    """aiohttp's low-level server, making our connections."""

    def __init__(self, name: str, handler: Any, turnstile: Turnstile, **options: Any) -> None:
        super().__init__(handler, **options)
        self.name = name
        self.turnstile = turnstile
        self.leaving = False
        """Nobody is served any more who is not being served already."""
        self._options = options

    def __call__(self) -> RequestHandler:
        return self.connection(None)

    def connection(self, seat: Seat | None) -> Connection:
        """The handler of a new connection, which may have its place already."""
        return Connection(self, seat, loop=asyncio.get_running_loop(), **self._options)


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The IP address of the other end of *transport*, a proxy's perhaps, without port; ``""`` when it is gone."""
    peer = transport.get_extra_info("peername")
    return plain_address(str(peer[0])) if peer else ""


def abort(transport: asyncio.BaseTransport) -> None:
    assert isinstance(transport, asyncio.Transport)
    transport.abort()
