"""One HTTP request to one host, with nothing taken on trust: bounded reply, bounded time, no redirect.

Both clients send through it. It knows aiohttp's client and nothing of bulks.
"""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import Mapping

import aiohttp

from collector.sinks.elasticsearch.clients import Access, NoAnswer, Reply

LARGEST_REPLY = 64 * 2**20
"""An item with an error has up to some kilobytes, a bulk up to 50,000 items; whoever says more is no Elasticsearch."""
CONNECT_TIME = 10.0
"""Seconds for a connection: a host that is gone must not use up the time of the others."""
KEPT_HEADERS = ("content-type", "retry-after", "x-elastic-product", "location", "www-authenticate")
_PIECE = 2**16


class Wire:
    """A pool of connections, made with the first request."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, host: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """What *host* (an address without "/" at its end) answers. Raises ``NoAnswer``."""
        session = self._session = self._session or self._opened()
        sent = {**headers, **({"authorization": self._access.authorization} if self._access.authorization else {})}
        if body is not None and self._access.gzip:
            body = await asyncio.to_thread(_gzipped, body)
            sent["content-encoding"] = "gzip"
        # BytesIO: aiohttp sends it in pieces and lets others run between them
        data = None if body is None else io.BytesIO(body)
        try:
            async with session.request(method, host + path, data=data, headers=sent, allow_redirects=False) as response:
                content = await _read(response, host)
        except TimeoutError as error:
            raise NoAnswer(f"{host}: no answer within {self._access.timeout:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            reason = f"its certificate proves nothing ({error.certificate_error}); check ca, and the name in hosts"
            raise NoAnswer(f"{host}: {reason[:300]}", blocked=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: what is no HTTP at all
            raise NoAnswer(f"{host}: {str(error)[:300] or type(error).__name__}") from error
        kept = {name: response.headers[name][:200] for name in KEPT_HEADERS if name in response.headers}
        return Reply(response.status, content, kept, host)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        timeout = self._access.timeout
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._access.tls or True),
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_TIME, timeout)),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("accept-encoding",),
            headers={"user-agent": "wef-collector"},
            auto_decompress=False,  # we ask for none, and nobody shall unpack gigabytes here
            trust_env=False,
        )


async def _read(response: aiohttp.ClientResponse, host: str) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        content += piece
        if len(content) > LARGEST_REPLY:
            response.close()
            raise NoAnswer(f"{host}: the answer has more than {LARGEST_REPLY >> 20} MiB; no Elasticsearch says so much")
    return bytes(content)


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)  # 31: gzip's own header and trailer
    return packer.compress(body) + packer.flush()
