"""How a Windows source's words travel: one HTTP connection, one POST for each message.

It knows HTTP, TLS, charsets and SLDC, and nothing of what the messages mean. Where the connection is to
be proven, the proof goes first, with empty requests, and what follows is sealed (protocol.md 3.3).
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import errno
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, cast

import aiohttp

from collector.errors import CollectorError, OperatorError, SourceError
from collector.kernel import sldc
from collector.simulate.charset import Charset, decoded
from collector.simulate.descriptors import exhausted
from collector.simulate.proof import Lapsed, NotAdmitted, NoTicket, Proof

ANSWER_LIMIT = 16 * 2**20
"""Bytes of the longest answer read. Real ones end at MaxEnvelopeSize (512000); a collector with hundreds of
subscriptions may need more, and one that never stops talking shall not fill our memory."""

UNAUTHORIZED = 401
RECEIVED = 16 * 1024
"""Bytes that asyncio receives at once on a TLS connection: one record. It keeps such a buffer for each connection,
256 KiB by default, and thousands of sources have thousands of connections on which hardly anything is received."""


class Unreachable(CollectorError):
    """No answer: no connection, a broken one, or none in time."""


class NotConnected(Unreachable):
    """No connection came about: nothing was sent."""


class NotTrusted(NotConnected):
    """The TLS handshake failed: one side does not accept the other's certificate."""


class Unproven(NotConnected):
    """We have no ticket to show: the trouble is on our side."""


class TurnedAway(NotConnected):
    """The far end does not take our proof, or did not prove who it is. No message was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status and its text, decoded (``""`` for none)."""

    status: int
    text: str


class _Request(aiohttp.ClientRequest):
    """A request that sees the connection it is about to leave on, because a proof belongs to one connection."""

    def __init__(
        self, *given: Any, aboard: Callable[[asyncio.BaseTransport], Awaitable[str | None]], **named: Any
    ) -> None:
        super().__init__(*given, **named)
        self._aboard = aboard

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        assert conn.transport is not None
        authorization = await self._aboard(conn.transport)
        if authorization is not None:
            self.headers["Authorization"] = authorization
        return await super().send(conn)


class Wire:
    """One connection to one URL: opened by the first message, kept until ``close``.

    *timeout* is in seconds and covers a whole exchange. *prove* makes a proof for each connection; None: nothing is
    proven, or the TLS *context* does. aiohttp sets TCP_NODELAY on every connection; without it header and body in
    two TLS records would cost 40 ms each (dependencies.md 3.7).
    """

    def __init__(
        self,
        url: str,
        charset: Charset,
        context: ssl.SSLContext | None,
        timeout: float,
        prove: Callable[[], Proof] | None = None,
    ) -> None:
        self._url = url
        self._charset = charset
        self._context = context
        self._timeout = timeout
        self._prove = prove
        self._open()

    def _open(self) -> None:
        self._proof = self._prove() if self._prove is not None else None
        request = aiohttp.ClientRequest if self._proof is None else partial(_Request, aboard=self._aboard)
        connector = aiohttp.TCPConnector(
            limit=1,
            ssl=self._context if self._context is not None else True,
            keepalive_timeout=86400.0,  # an event connection stays open between heartbeats, which may be hours
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=cast(type[aiohttp.ClientRequest], request),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def post(self, text: str, *, claims_sldc: bool = False, compressed: bool = False) -> Answer:
        """Send *text* and return the answer. Raises ``Unreachable``.

        *claims_sldc* sets Content-Encoding, *compressed* compresses: the End after a SubscriptionEnd does
        the first without the second (captured).
        """
        try:
            return await self._said(text, claims_sldc, compressed)
        except Lapsed:  # the far end has lost the session and took nothing: once more on a new connection
            await self.close()
            self._open()
        try:
            return await self._said(text, claims_sldc, compressed)
        except Lapsed as error:
            raise Unreachable(f"{self._url}: {error}") from error

    async def cut_off(self, text: str, *, claims_sldc: bool = False, compressed: bool = False) -> None:
        """Send the head and half of the body for *text*, then drop the connection, as a power cut does."""
        with contextlib.suppress(Unreachable, Lapsed):
            if await self._introduced(claims_sldc) is None:
                await self._torn(text, claims_sldc, compressed)
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    async def _said(self, text: str, claims_sldc: bool, compressed: bool) -> Answer:
        refusal = await self._introduced(claims_sldc)
        if refusal is not None:
            return refusal
        content_type, body = self._body(text, compressed)
        async with self._exchange(content_type, body, claims_sldc) as response:
            received = await _read(response)
            if self._proof is None:
                return Answer(response.status, decoded(received, response.charset))
            if response.status == UNAUTHORIZED:
                raise Lapsed("HTTP 401 in the middle of a session")
            return self._opened(response, received, self._proof)

    async def _introduced(self, claims_sldc: bool) -> Answer | None:
        """Prove who is calling with empty requests, where that is still to do; an answer that ends the attempt."""
        while self._proof is not None and not self._proof.established:
            # a Windows source claims SLDC on an event connection from its first request on (captured)
            async with self._exchange(self._charset.content_type, b"", claims_sldc) as response:
                await _read(response)
                if response.status not in (200, UNAUTHORIZED):
                    return Answer(response.status, "")
                await self._proof.answered(response.status, response.headers.getall("WWW-Authenticate", ()))
        return None

    def _body(self, text: str, compressed: bool) -> tuple[str, bytes]:
        body = self._charset.encode(text)
        if compressed:
            body = sldc.encode(body)
        content_type = self._charset.content_type
        return self._proof.close(body, content_type) if self._proof is not None else (content_type, body)

    def _opened(self, response: aiohttp.ClientResponse, received: bytes, proof: Proof) -> Answer:
        try:
            plain, content_type = proof.open(received, response.headers.get("Content-Type", ""), ANSWER_LIMIT)
        except SourceError as error:
            raise Unreachable(f"{self._url}: HTTP {response.status}: {error}") from error
        return Answer(response.status, decoded(plain, content_type.rpartition("charset=")[2]))

    async def _torn(self, text: str, claims_sldc: bool, compressed: bool) -> None:
        content_type, body = self._body(text, compressed)

        async def half() -> AsyncIterator[bytes]:
            yield body[: len(body) // 2]
            raise ConnectionAbortedError("the power is gone")

        async with self._exchange(content_type, half(), claims_sldc, length=len(body)):
            pass

    @contextlib.asynccontextmanager
    async def _exchange(
        self, content_type: str, body: bytes | AsyncIterator[bytes], claims_sldc: bool, length: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request and its response. Raises ``Unreachable`` and ``Lapsed``."""
        headers = {
            "Connection": "Keep-Alive",
            "Content-Type": content_type,
            "User-Agent": "Microsoft WinRM Client",
        }
        if claims_sldc:
            headers["Content-Encoding"] = "SLDC"
        if length is not None:
            headers["Content-Length"] = str(length)
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                yield response
        except TimeoutError as error:  # before OSError, whose child it is
            raise Unreachable(f"{self._url}: no answer in time") from error
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise NotTrusted(f"{self._url}: the TLS handshake failed: {error}") from error
        except aiohttp.ClientConnectorError as error:
            if error.os_error.errno in (errno.EMFILE, errno.ENFILE):
                raise exhausted() from error
            raise NotConnected(f"{self._url}: {error.os_error.strerror or error.os_error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{self._url}: {error or type(error).__name__}") from error
        except NoTicket as error:
            raise Unproven(f"{error}") from error
        except NotAdmitted as error:
            raise TurnedAway(f"{self._url}: {error}") from error

    async def _aboard(self, transport: asyncio.BaseTransport) -> str | None:
        assert self._proof is not None
        tls = transport.get_extra_info("ssl_object")
        return await self._proof.shown(transport, tls.getpeercert(binary_form=True) if tls is not None else None)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for chunk in response.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if size > ANSWER_LIMIT:
            raise Unreachable(f"{response.url}: the answer is longer than {ANSWER_LIMIT} bytes")
    return b"".join(parts)


def tls_context(ca: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """A client's context; without *ca* the system's authorities count. Raises ``OperatorError`` naming the file."""
    protocol = asyncio.sslproto.SSLProtocol
    if protocol.max_size > 4 * RECEIVED:  # nobody in this process was frugal before; a private name, pinned by a test
        protocol.max_size = RECEIVED
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(
            f"{ca}: cannot be used as certificate authority ({_reason(error)}); give a PEM file."
        ) from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            problem = f"{certificate} and {key or 'the key in it'}: cannot be used ({_reason(error)})"
            raise OperatorError(f"{problem}; give a PEM certificate and its key.") from error
    return context


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
