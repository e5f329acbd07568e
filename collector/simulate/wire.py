"""How a Windows source's words travel: one HTTP connection, one POST for each message.

It knows HTTP, TLS, charsets and SLDC, and nothing of what the messages mean.
"""

from __future__ import annotations

import asyncio.sslproto
import codecs
import contextlib
import errno
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType

import aiohttp

from collector.errors import CollectorError, OperatorError
from collector.kernel import sldc
from collector.simulate.descriptors import exhausted

ANSWER_LIMIT = 16 * 2**20
"""Bytes of the longest answer read. Real ones end at MaxEnvelopeSize (512000); a collector with hundreds of
subscriptions may need more, and one that never stops talking shall not fill our memory."""

RECEIVED = 16 * 1024
"""Bytes that asyncio receives at once on a TLS connection: one record. It keeps such a buffer for each connection,
256 KiB by default, and thousands of sources have thousands of connections on which hardly anything is received."""

_ENCODINGS = {"utf-16": "utf-16-le", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "utf-8": "utf-8"}
_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-8": b""}
CHARSETS = tuple(_ENCODINGS)


class Unreachable(CollectorError):
    """No answer: no connection, a broken one, or none in time."""


class NotConnected(Unreachable):
    """No connection came about: nothing was sent."""


class NotTrusted(NotConnected):
    """The TLS handshake failed: one side does not accept the other's certificate."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status and its text, decoded (``""`` for none)."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Charset:
    """A charset of bodies: a key of CHARSETS. WEF sources send UTF-16LE with a byte order mark (captured)."""

    name: str = "utf-16"

    @property
    def content_type(self) -> str:
        label = "UTF-8" if self.name == "utf-8" else "UTF-16"
        return f"application/soap+xml;charset={label}"

    def encode(self, text: str) -> bytes:
        """The body for *text*. UTF-16 keeps lone surrogates, as Windows does; UTF-8 has no place for them."""
        codec = _ENCODINGS[self.name]
        return _MARKS[codec] + text.encode(codec, "replace" if codec == "utf-8" else "surrogatepass")

    def size(self, text: str) -> int:
        """Bytes of *text* without a byte order mark."""
        codec = _ENCODINGS[self.name]
        return len(text.encode(codec, "replace" if codec == "utf-8" else "surrogatepass"))


class Wire:
    """One connection to one URL: opened by the first message, kept until ``close``.

    *timeout* is in seconds and covers a whole exchange. aiohttp sets TCP_NODELAY on every connection;
    without it header and body in two TLS records would cost 40 ms each (dependencies.md 3.7).
    """

    def __init__(self, url: str, charset: Charset, context: ssl.SSLContext | None, timeout: float) -> None:
        self._url = url
        self._charset = charset
        connector = aiohttp.TCPConnector(
            limit=1,
            ssl=context if context is not None else True,
            keepalive_timeout=86400.0,  # an event connection stays open between heartbeats, which may be hours
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout),
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
        body = self._charset.encode(text)
        if compressed:
            body = sldc.encode(body)
        headers = self._headers(claims_sldc=claims_sldc)
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                return Answer(response.status, decoded(await _read(response), response.charset))
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

    async def cut_off(self, text: str, *, claims_sldc: bool = False, compressed: bool = False) -> None:
        """Send the head and half of the body for *text*, then drop the connection, as a power cut does."""
        body = self._charset.encode(text)
        if compressed:
            body = sldc.encode(body)
        headers = self._headers(claims_sldc=claims_sldc) | {"Content-Length": str(len(body))}

        async def half() -> AsyncIterator[bytes]:
            yield body[: len(body) // 2]
            raise ConnectionAbortedError("the power is gone")

        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with self._session.post(self._url, data=half(), headers=headers):
                pass
        await self.close()

    def _headers(self, *, claims_sldc: bool) -> dict[str, str]:
        headers = {
            "Connection": "Keep-Alive",
            "Content-Type": self._charset.content_type,
            "User-Agent": "Microsoft WinRM Client",
        }
        return headers | {"Content-Encoding": "SLDC"} if claims_sldc else headers

    async def close(self) -> None:
        await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for chunk in response.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if size > ANSWER_LIMIT:
            raise Unreachable(f"{response.url}: the answer is longer than {ANSWER_LIMIT} bytes")
    return b"".join(parts)


def decoded(body: bytes, charset: str | None) -> str:
    """An answer as text: its byte order mark, else its charset, else UTF-8 ([DSP0226] R13.1-8)."""
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    return body.decode(_ENCODINGS.get((charset or "utf-8").lower(), "utf-8"), "replace")


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
