"""The TLS handshake of one connection, in our own hands.

asyncio's servers do it as well, but tell nobody why one failed, and count a connection only when
it is over. Here it has a place at the turnstile from the start, a deadline, a reason in the log, and
takes the context of the moment: a reload needs no new socket.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from collector import telemetry
from collector.listener.connection import Connection, abort, peer_address
from collector.listener.turnstile import Seat, Turnstile

Context = Callable[[], ssl.SSLContext]


class Handshake(asyncio.Protocol):
    """Secures a connection and hands it over to HTTP. *make* gives the handler for a seat; *seat*: it has one."""

    def __init__(
        self,
        name: str,
        context: Context,
        turnstile: Turnstile,
        seconds: float,
        make: Callable[[Seat], Connection],
        seat: Seat | None = None,
    ) -> None:
        self._name = name
        self._context = context
        self._turnstile = turnstile
        self._seconds = seconds
        self._make = make
        self._seat = seat
        self._early = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        seat = self._seat or self._turnstile.enter(self._name, peer_address(transport))
        if seat is None:
            abort(transport)
            return
        transport.pause_reading()  # the first bytes belong to TLS
        self._task = asyncio.ensure_future(self._secure(transport, seat))

    def data_received(self, data: bytes) -> None:
        """Already decrypted, between the end of the handshake and the handing over."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True

    async def _secure(self, transport: asyncio.Transport, seat: Seat) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, self, self._context(), server_side=True, ssl_handshake_timeout=self._seconds
            )
        except (OSError, asyncio.CancelledError) as error:  # ssl.SSLError and time-outs are OSErrors
            seat.leave()
            if not (seat.checks and isinstance(error, ConnectionError)):  # a balancer's look is no news
                telemetry.handshake_failed(self._name, seat.address, _reason(error))
            abort(transport)
            return
        if secured is None or self._lost:
            seat.leave()
            return
        connection = self._make(seat)
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(bytes(self._early))


def _reason(error: BaseException) -> str:
    """OpenSSL's own words: which certificate, what is wrong with it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return str(error) or type(error).__name__
