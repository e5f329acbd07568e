"""What a connection of a proxy meets first: the reading of its PROXY protocol header, before TLS and HTTP.

A connection from an address that the settings name must begin with a header; it then counts, and is logged, as
coming from the address behind the proxy. Anybody else goes straight on, so that a header of his is no TLS and no HTTP.
It asks ``proxy_protocol`` what bytes mean, and knows neither TLS nor HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import assert_never

from collector import telemetry
from collector.listener.addresses import Networks
from collector.listener.connection import abort, peer_address
from collector.listener.proxy_protocol import (
    FIXED,
    LONGEST_BLOCK,
    SHORTEST,
    Missing,
    ProxyHeader,
    ProxyHeaderError,
    read_header,
)
from collector.listener.turnstile import Seat, Turnstile

Next = Callable[[Seat | None], asyncio.Protocol]
"""Makes whom the connection is handed over to; who has no seat yet takes one."""


class Preface(asyncio.BufferedProtocol):
    """Reads a header to its last byte and no further, within *seconds*, and hands the connection over."""

    def __init__(self, name: str, proxies: Networks, turnstile: Turnstile, seconds: float, make: Next) -> None:
        self._name = name
        self._proxies = proxies
        self._turnstile = turnstile
        self._seconds = seconds
        self._make = make
        self._buffer = bytearray(FIXED + LONGEST_BLOCK)
        self._filled = 0
        self._wanted = SHORTEST
        self._transport: asyncio.Transport | None = None
        self._seat: Seat | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if peer_address(transport) not in self._proxies:
            self._hand_over(None)
            return
        self._seat = self._turnstile.enter(self._name, peer_address(transport))
        if self._seat is None:
            abort(transport)
            return
        self._deadline = asyncio.get_running_loop().call_later(self._seconds, self._too_slow)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._filled : self._filled + self._wanted]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        try:
            found = read_header(bytes(self._buffer[: self._filled]))
        except ProxyHeaderError as error:
            self._refuse(str(error))
            return
        match found:
            case Missing(size):
                self._wanted = size
            case ProxyHeader(source):
                self._admit(source)
            case _:
                assert_never(found)

    def eof_received(self) -> None:
        """Balancers look whether somebody listens and say nothing (protocol.md 14.2): no refusal."""
        if self._filled:
            self._refuse("the connection ended inside its PROXY protocol header")

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def _admit(self, source: str | None) -> None:
        """From here on the connection counts for *source*, the peer behind the proxy."""
        assert self._transport is not None
        assert self._seat is not None
        address = source or self._seat.address
        self._leave()
        seat = self._turnstile.enter(self._name, address)
        if seat is None:
            abort(self._transport)
        else:
            seat.checks = source is None
            self._hand_over(seat)

    def _hand_over(self, seat: Seat | None) -> None:
        assert self._transport is not None
        transport, self._transport = self._transport, None
        successor = self._make(seat)
        transport.set_protocol(successor)
        successor.connection_made(transport)

    def _too_slow(self) -> None:
        self._refuse(f"no PROXY protocol header within {self._seconds:g} s")

    def _refuse(self, reason: str) -> None:
        assert self._seat is not None
        assert self._transport is not None
        telemetry.proxy_header_refused(self._name, self._seat.address, reason)
        self._leave()
        abort(self._transport)

    def _leave(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._seat is not None:
            self._seat.leave()
            self._seat = None
