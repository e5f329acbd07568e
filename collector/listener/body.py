"""Reading a request's body within limits.

``request.read()`` would keep the body alive on the idle connection until its next request
(dependencies.md 3.2), and its size limit does not count what we count. So the body is read
here, and let go. Each piece is judged when it comes, by the connection; the request itself is
woken only once, when the body is whole or will not be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from collector.errors import Backpressure, SourceError
from collector.listener.budget import Account
from collector.listener.connection import Connection

TOO_LARGE = 413


class BodyError(SourceError):
    """The body did not come as it should: too large, too slow, or cut short."""


def declared_length(request: web.BaseRequest) -> int | None:
    """Content-Length, or None when the body is chunked."""
    return request.content_length


async def body_of(request: web.BaseRequest, limit: int, seconds: float, account: Account) -> bytes:
    """The whole body, counted on *account*.

    Raises ``BodyError``: 413 above *limit* bytes, 408 after *seconds*, 400 when cut short; and
    ``Backpressure`` when all bodies together are too much.
    """
    parts: list[bytes] = []

    def keep(chunk: bytes) -> None:
        account.take(len(chunk))
        parts.append(chunk)

    await _read(request, limit, seconds, keep)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def drop_body(request: web.BaseRequest, limit: int, seconds: float) -> None:
    """The whole body out of the way and not kept, so it counts nowhere. Raises ``BodyError`` as ``body_of``."""
    await _read(request, limit, seconds, lambda chunk: None)


async def _read(request: web.BaseRequest, limit: int, seconds: float, keep: Callable[[bytes], None]) -> None:
    declared = declared_length(request)
    if declared is not None and declared > limit:
        raise BodyError(f"the body has {declared} bytes; at most {limit} are taken", status=TOO_LARGE)
    if request.headers.get("Expect", "").lower() == "100-continue":
        # aiohttp's low-level server leaves this to us (RFC 9110 10.1.1)
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    intake = _Intake(request, limit, keep)
    try:
        intake.take()
        if not request.content.at_eof():
            await intake.rest(seconds)
    except web.RequestPayloadError as error:
        raise BodyError("the body ended before it was complete") from error


class _Intake:
    """A body on its way in, of which *keep* gets each piece."""

    def __init__(self, request: web.BaseRequest, limit: int, keep: Callable[[bytes], None]) -> None:
        self._request = request
        self._content = request.content
        self._limit = limit
        self._keep = keep
        self._size = 0
        self._taking = False
        self._ended: asyncio.Future[None] | None = None

    def take(self) -> None:
        """Take what has come. Raises what is wrong with it, or what ended the body before its time."""
        self._taking = True
        try:
            while chunk := self._content.read_nowait():
                self._size += len(chunk)
                if self._size > self._limit:
                    raise BodyError(f"the body has more than {self._limit} bytes", status=TOO_LARGE)
                self._keep(chunk)
                if self._content.at_eof():
                    break
        finally:
            self._taking = False

    async def rest(self, seconds: float) -> None:
        """Return when the body is whole; the connection says when something came."""
        connection = self._request.protocol
        assert isinstance(connection, Connection)
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        deadline = loop.call_later(
            seconds, self._end, BodyError(f"the body did not arrive within {seconds:.0f} s", status=408)
        )
        connection.intake = self._look
        try:
            await self._ended
        finally:
            connection.intake = None
            deadline.cancel()

    def _look(self) -> None:
        """Something came, or nothing more will."""
        if self._taking:  # to take something may let more come in, which the round under way takes as well
            return
        error = self._content.exception()
        if error is None:
            try:
                self.take()
            except (BodyError, Backpressure) as refusal:
                error = refusal
        if error is not None or self._content.at_eof():
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if self._ended is None or self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
