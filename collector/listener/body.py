"""Reading a request's body within limits.

``request.read()`` would keep the body alive on the idle connection until its next request
(dependencies.md 3.2), and its size limit does not count what we count. So the body is read
here, and let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from collector.errors import SourceError
from collector.listener.budget import Account

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
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise BodyError(f"the body has more than {limit} bytes", status=TOO_LARGE)
                keep(chunk)
    except TimeoutError as error:
        raise BodyError(f"the body did not arrive within {seconds:.0f} s", status=408) from error
    except web.RequestPayloadError as error:
        raise BodyError("the body ended before it was complete") from error
