"""One TCP connection: counted, and closed when it says nothing in time.

This subclasses two private spots of aiohttp, ``RequestHandler`` and how ``Server`` makes
one (dependencies.md 2.1); ``tests/listener`` pins them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from collector import telemetry
from collector.config.settings import Limits


@dataclass(slots=True)
class Turnstile:
    """Counts the connections of all listeners, in all and by address."""

    limits: Limits
    open: int = 0
    by_address: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> str | None:
        """Count one more; the name of the limit that forbids it, or None."""
        if self.open >= self.limits.connections:
            return "connections"
        if self.by_address[address] >= self.limits.connections_per_address:
            return "connections_per_address"
        self.open += 1
        self.by_address[address] += 1
        return None

    def leave(self, address: str) -> None:
        self.open -= 1
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]


class Connection(RequestHandler):
    """aiohttp's handler of one connection, with a place at the turnstile and a first deadline."""

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._address: str | None = None
        self._first_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        forbidden = self._server.turnstile.enter(address)
        super().connection_made(transport)
        if forbidden is not None:
            telemetry.connection_refused(self._server.name, address, forbidden)
            self._abort(transport)
            return
        self._address = address
        telemetry.connection_opened(self._server.name)
        loop = asyncio.get_running_loop()
        seconds = self._server.turnstile.limits.header_time
        # a connection that never sends a request line: scanners, health checks, slow headers
        self._first_deadline = loop.call_later(seconds, self._abort, transport)

    def arrived(self) -> None:
        """A complete request header is here."""
        if self._first_deadline is not None:
            self._first_deadline.cancel()
            self._first_deadline = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.arrived()
        if self._address is not None:
            self._server.turnstile.leave(self._address)
            telemetry.connection_closed(self._server.name)
            self._address = None
        super().connection_lost(exc)

    def _abort(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Server(web.Server):
    """aiohttp's low-level server, making our connections."""

    def __init__(self, name: str, handler: Any, turnstile: Turnstile, **options: Any) -> None:
        super().__init__(handler, **options)
        self.name = name
        self.turnstile = turnstile
        self._options = options

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)
