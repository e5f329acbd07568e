"""One TCP or TLS connection that carries requests and answers in turn.

It moves bytes between asyncio and ``response``; who calls, what is sealed and what a failure means to people is decided
elsewhere. All connections of a thread receive into one buffer: thousands of them are idle, and each would keep its own.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from collector.wire.budget import STEP, Budget, Claim
from collector.wire.response import BadResponse, ResponseReader

BUFFER: Final = 64 * 2**10
"""Bytes received at once while a body comes in."""
FIRST: Final = 16 * 2**10
"""And before it is known how long it is: what has to be kept while it waits for the others."""


class LineLost(Exception):
    """The connection ended before the answer was complete. *error*: why, None where the far end closed it."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__(str(error))
        self.error = error


class Line(asyncio.BufferedProtocol):
    """One connection. One ``exchange`` at a time; cancelling it ends the connection."""

    __slots__ = ("_budget", "_claim", "_closed", "_paused", "_reader", "_transport", "_waiter", "heard")
    _own: Final = threading.local()

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._claim = Claim(self._granted)
        self.heard = False
        """The far end has said something."""
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._paused = False
        self._reader: ResponseReader | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def address(self) -> str:
        """The IP address of the far end, without a port."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""

    @property
    def certificate(self) -> bytes | None:
        """The far end's certificate in DER, None without TLS."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        served: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
        return served

    async def exchange(self, request: bytes, limit: int) -> ResponseReader:
        """Send *request*; its answer, of at most *limit* bytes. Raises ``BadResponse`` and ``LineLost``.

        What the answer takes of the budget is held until ``release``, or the next exchange.
        """
        assert self._waiter is None, "one exchange at a time"
        if not self.usable:
            raise LineLost(None)
        assert self._transport is not None
        self.release()
        reader = self._reader = ResponseReader(limit)
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(request)
            await waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._reader = self._waiter = None
            del waiter  # it may hold an error whose traceback holds this frame, and so the whole answer
        assert reader.head is not None
        if not reader.head.keeps or reader.excess or self._transport.get_write_buffer_size():
            self._transport.close()  # or an answer that did not wait for the request
        return reader

    def tear(self, part: bytes) -> None:
        """Send *part* of a request and no more."""
        if self._transport is not None and self.usable:
            self._transport.write(part)
            self._transport.close()

    def release(self) -> None:
        """Give back what the last answer holds of the budget."""
        self._budget.release(self._claim)

    def abort(self) -> None:
        """End it at once, whatever was still to be sent."""
        self.release()
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """End it in good order, if that does not take long: TLS says good-bye and waits for the other's."""
        self.release()
        if self._transport is None:
            return
        self._transport.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._closed), 1.0)
        except TimeoutError:
            self._transport.abort()

    # What asyncio calls ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        reader = self._reader
        view = self._view()
        return view if reader is not None and reader.head is not None else view[:FIRST]

    def buffer_updated(self, nbytes: int) -> None:
        self.heard = True
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            if self._transport is not None:  # nobody asked: a second answer, or somebody else's
                self._transport.abort()
            return
        try:
            complete = reader.feed(self._view()[:nbytes])
        except BadResponse as error:
            waiter.set_exception(error.with_traceback(None))  # the way here ends in the waiter: a circle
            return
        if complete:
            waiter.set_result(None)
        elif not self._paused and not self._budget.reach(self._claim, self._reach(reader)):
            assert self._transport is not None
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self.release()
        if not self._closed.done():
            self._closed.set_result(None)

    def _ended(self, error: Exception | None) -> None:
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            return
        if error is None and reader.end():
            waiter.set_result(None)
        else:
            waiter.set_exception(LineLost(error))

    @staticmethod
    def _reach(reader: ResponseReader) -> int:
        """Bytes that have to be held before more of the answer is read: all of a usual one, the others in steps."""
        head = reader.head
        if head is None:
            return 0
        ahead = len(reader.body) // STEP * STEP + STEP
        return ahead if head.length is None else min(head.length, ahead)

    def _granted(self) -> None:
        transport = self._transport
        if self._paused and transport is not None:
            self._paused = False
            if not transport.is_closing():
                transport.resume_reading()

    def _view(self) -> memoryview:
        view: memoryview | None = getattr(self._own, "view", None)
        if view is None:
            view = self._own.view = memoryview(bytearray(BUFFER))
        return view
