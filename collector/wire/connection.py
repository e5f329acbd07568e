"""One HTTP connection to one URL, from the calling end: one request at a time, one proof, sealed where it must be.

What is sent is sent once: whether the same may be said again is for those to decide who know what it means. It knows
HTTP, TLS and seals, and neither mechanisms nor messages. No redirect is followed, no cookie kept, no proxy asked.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

from collector.errors import SourceError
from collector.wire import remedies
from collector.wire.budget import Budget
from collector.wire.hosts import Hosts, Place
from collector.wire.line import Line, LineLost
from collector.wire.proof import Lapsed, NotAdmitted, NoTicket, Proof
from collector.wire.response import BadResponse, Head
from collector.wire.trouble import Reason
from collector.wire.trouble import Trouble as Trouble

PORTS = {"http": 80, "https": 443}
"""What a URL without a port means, and the ports that Host does not name (RFC 9110 4.2)."""
AGENT = "Microsoft WinRM Client"
"""What Windows calls itself (captured, protocol.md 2.1)."""
PROVING = 256 * 2**10
"""Bytes of an answer to a proof: a page that says 401 has 300."""
GOODBYE = 1.0
"""Seconds that the end of TLS may take."""
LARGEST = 16 * 2**20
_SPOKEN = (200, 500)
"""Statuses of WS-Management; with any other it was HTTP itself that answered, which seals nothing."""
_HARMLESS = re.compile(r"[\x20-\x7e]*")
_TARGET = re.compile(r"/[!-~]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status, the Content-Type and the bytes of its body, unsealed. Text: ``text.decoded``."""

    status: int
    content_type: str
    body: bytes


class Where(NamedTuple):
    """What a URL says. *named*: as the header Host names it; *target*: path and query."""

    secure: bool
    host: str
    port: int
    named: str
    target: str


@dataclass(frozen=True, slots=True)
class Ways:
    """What the connections of a process share: who looks names up, how many bytes of answers there may be, and how
    many connections are opened and proven at the same moment. *patience*: seconds for a name, TCP and TLS."""

    hosts: Hosts = field(default_factory=Hosts)
    budget: Budget = field(default_factory=lambda: Budget(256 * 2**20))
    doors: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
    patience: float = 10.0


class Connection:
    """Opened by the first ``post`` and kept until ``close``; one that has ended is opened and proven anew.

    *timeout* is in seconds and covers an exchange; opening and proving have as much again, and begin when there is a
    door free. *limit* is in bytes of an answer. *prove* makes a proof for each connection; None: nothing is proven, or
    the TLS *context* does it. Every time-out and every broken answer ends the connection.
    """

    __slots__ = (
        "_context",
        "_limit",
        "_line",
        "_proof",
        "_prove",
        "_sent",
        "_timeout",
        "_url",
        "_ways",
        "_where",
        "address",
    )

    def __init__(
        self,
        url: str,
        *,
        context: ssl.SSLContext | None,
        prove: Callable[[], Proof] | None,
        timeout: float,
        limit: int = LARGEST,
        ways: Ways | None = None,
    ) -> None:
        self.address = ""
        """The IP address of the far end once there was a connection, else ``""``."""
        self._url = url
        self._where = read_url(url)
        self._context = context
        self._prove = prove
        self._timeout = timeout
        self._limit = limit
        self._ways = ways or Ways()
        self._line: Line | None = None
        self._proof: Proof | None = None
        self._sent = False

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def open(self) -> bool:
        """There is a connection, and as far as we know it lives."""
        return self._line is not None and self._line.usable

    async def post(
        self, body: bytes, content_type: str, *, timeout: float | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send *body* and return the answer, unsealed. Raises ``Trouble``; a body is never sent twice.

        *content_type* is that of the plain body; it ends in ``charset=...``. *headers* go with empty requests too.
        What the answer holds of the budget is held until the next post, ``release`` or ``close``.
        """
        line = await self._ready(content_type, headers)
        async with self._ending_in(timeout or self._timeout):
            kind, sealed = self._closed(body, content_type)
            shown = self._proof.unasked if self._proof is not None else None
            request = self._spelled(kind, sealed, headers, shown)
            self._sent = True
            head, received = await self._exchanged(line, request, self._limit)
            return self._believed(head, received)

    async def tear(self, body: bytes, content_type: str, *, headers: Mapping[str, str] = {}) -> None:
        """Send the head and half of *body*, then drop the connection, as a power cut does. For those who test."""
        line = await self._ready(content_type, headers)
        kind, sealed = self._closed(body, content_type)
        request = self._spelled(kind, sealed, headers, None)
        line.tear(request[: len(request) - len(sealed) + len(sealed) // 2])
        await self.close()

    def release(self) -> None:
        """Give back what the last answer holds of the budget: it is safe, or forgotten."""
        if self._line is not None:
            self._line.release()

    async def close(self) -> None:
        line, self._line, self._proof = self._line, None, None
        if line is not None:
            await line.close()

    # Opening ---------------------------------------------------------------------------------------------------------

    async def _ready(self, content_type: str, headers: Mapping[str, str]) -> Line:
        """A connection on which we are known. Raises ``Trouble``, and nothing of the body was sent."""
        self._sent = False
        if self._line is not None and self._line.usable:
            return self._line
        if self._where is None:
            raise self._dropped("unreachable", 'this is no URL such as "http://pc01.corp.example:5985/wsman"', 0)
        async with self._ways.doors:
            self._line = line = await self._opened(self._where)
            self.address = line.address
            async with self._ending_in(self._timeout):
                self._proof = self._prove() if self._prove is not None else None
                if self._proof is not None:
                    await self._introduced(line, self._proof, content_type, headers)
        if not line.usable:
            raise self._dropped("cut", "it takes our proof and closes the connection", 0)
        return line

    async def _opened(self, where: Where) -> Line:
        sock = await self._connected(await self._places(where))
        line = Line(self._ways.budget)
        loop = asyncio.get_running_loop()
        if not where.secure:
            await loop.create_connection(lambda: line, sock=sock)
            return line
        try:
            async with asyncio.timeout(self._ways.patience):
                await loop.create_connection(
                    lambda: line,
                    sock=sock,
                    ssl=self._context or ssl.create_default_context(),
                    server_hostname=where.host.removesuffix(".").partition("%")[0],
                    ssl_shutdown_timeout=GOODBYE,
                )
        except OSError as error:  # ssl.SSLError and TimeoutError are such
            raise self._dropped(*remedies.of_handshake(error), 0) from error
        return line

    async def _places(self, where: Where) -> Sequence[Place]:
        try:
            async with asyncio.timeout(self._ways.patience):
                return await self._ways.hosts.places(where.host, where.port)
        except OSError as error:
            raise self._dropped(*remedies.of_lookup(error), 0) from error

    async def _connected(self, places: Sequence[Place]) -> socket.socket:
        """A socket to the first of *places* that answers; each has its share of the time."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._ways.patience
        failure = OSError("it has no address")
        for row, place in enumerate(places):
            sock: socket.socket | None = None
            try:
                sock = socket.socket(place.family, socket.SOCK_STREAM)
                sock.setblocking(False)
                async with asyncio.timeout((ends - loop.time()) / (len(places) - row)):
                    await loop.sock_connect(sock, place.address)
                connected, sock = sock, None
                return connected
            except OSError as error:
                failure = error
            finally:
                if sock is not None:
                    sock.close()
        raise self._dropped(*remedies.of_connect(failure), 0) from failure

    async def _introduced(self, line: Line, proof: Proof, content_type: str, headers: Mapping[str, str]) -> None:
        """Prove who is calling with empty requests, as far as that is to do."""
        try:
            while (shown := await proof.shown(line.certificate)) is not None:
                request = self._spelled(content_type, b"", headers, shown)
                head, _ = await self._exchanged(line, request, min(self._limit, PROVING))
                if head.status not in (200, 401):
                    said = f"it answers HTTP {head.status} to our proof; is it a WinRM listener, and not busy?"
                    raise self._dropped("http", said, head.status)
                await proof.answered(head.status, head.all("www-authenticate"))
        except NoTicket as error:
            raise self._dropped("ticket", str(error), 0) from error
        except NotAdmitted as error:
            raise self._dropped("authentication", str(error), 0) from error

    # Exchanging ------------------------------------------------------------------------------------------------------

    def _closed(self, body: bytes, content_type: str) -> tuple[str, bytes]:
        """Content-Type and body as they go out."""
        try:
            return (content_type, body) if self._proof is None else self._proof.close(body, content_type)
        except SourceError as error:
            raise self._dropped("sealing", f"the request cannot be sealed: {error}", 0) from error

    def _spelled(self, content_type: str, body: bytes, headers: Mapping[str, str], authorization: str | None) -> bytes:
        """A request, in the order of Windows' headers (captured, protocol.md 3.3)."""
        where = self._where
        assert where is not None
        if not headers and authorization is None and _HARMLESS.fullmatch(content_type) is not None:
            return (
                f"POST {where.target} HTTP/1.1\r\nConnection: Keep-Alive\r\nContent-Type: {content_type}\r\n"
                f"User-Agent: {AGENT}\r\nContent-Length: {len(body)}\r\nHost: {where.named}\r\n\r\n"
            ).encode("ascii") + body
        fields = {"Connection": "Keep-Alive", "Content-Type": content_type, **headers}
        if authorization is not None:
            fields["Authorization"] = authorization
        fields |= {"User-Agent": AGENT, "Content-Length": str(len(body)), "Host": where.named}
        for name, value in fields.items():
            if _HARMLESS.fullmatch(value) is None or _HARMLESS.fullmatch(name) is None:
                raise ValueError(f"header {name} holds what no header may hold")
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {where.target} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + body

    async def _exchanged(self, line: Line, request: bytes, limit: int) -> tuple[Head, bytes]:
        try:
            reader = await line.exchange(request, limit)
        except BadResponse as error:
            raise self._dropped(error.reason, str(error), error.status) from error
        except LineLost as error:
            secure = self._where is not None and self._where.secure
            found, acted = remedies.of_loss(error.error, unheard=secure and not line.heard)
            self._sent = self._sent and acted
            raise self._dropped(*found, 0) from error
        assert reader.head is not None
        return reader.head, bytes(reader.body)

    def _believed(self, head: Head, received: bytes) -> Answer:
        """What is in an answer, where it is the far end's."""
        content_type = head.value("content-type")
        if head.value("content-encoding").lower() not in ("", "identity"):
            said = f"HTTP {head.status}: the answer is packed ({head.value('content-encoding')[:40]}), unasked"
            raise self._dropped("http", said, head.status)
        proof = self._proof
        if proof is None:
            return Answer(head.status, content_type, received)
        try:
            proof.judged(head.status, head.all("www-authenticate"))
            received, content_type = proof.open(received, content_type, self._limit)
        except Lapsed as error:
            raise self._dropped("authentication", str(error), head.status) from error
        except SourceError as error:
            reason: Reason = "sealing" if head.status in _SPOKEN else "http"
            raise self._dropped(reason, f"HTTP {head.status}: {error}", head.status) from error
        proof.unasked = None
        return Answer(head.status, content_type, received)

    def _ending_in(self, seconds: float) -> _Ending:
        """At most so long; whatever goes wrong inside ends the connection."""
        return _Ending(seconds, self._late, self._drop)

    def _late(self, seconds: float) -> Trouble:
        return self._dropped("timeout", f"no answer in time ({seconds:g} s)", 0)

    # Saying what is wrong --------------------------------------------------------------------------------------------

    def _dropped(self, reason: Reason, said: str, status: int) -> Trouble:
        """What there is to say, and the connection is gone."""
        self._drop()
        said = said if said.startswith(self._url) else f"{self._url}: {said}"
        return Trouble(reason, said, sent=self._sent, status=status)

    def _drop(self) -> None:
        line, self._line, self._proof = self._line, None, None
        if line is not None:
            line.abort()


class _Ending:
    """``async with`` it; a generator would cost twice as much, and each exchange has one.

    *late* makes the trouble of having had more than *seconds*, *drop* ends the connection after any other.
    """

    __slots__ = ("_drop", "_late", "_seconds", "_timeout")

    def __init__(self, seconds: float, late: Callable[[float], Trouble], drop: Callable[[], None]) -> None:
        self._seconds = seconds
        self._late = late
        self._drop = drop

    async def __aenter__(self) -> None:
        self._timeout = asyncio.timeout(self._seconds)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        expired = error if isinstance(error, TimeoutError) else None
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as ended:
            expired = ended
        if expired is not None:
            raise self._late(self._seconds) from expired
        if error is not None:
            self._drop()


def read_url(url: str) -> Where | None:
    """None for what is no http or https URL, or one that names a user."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except ValueError:  # UnicodeError is one
        return None
    host = host.replace("%25", "%")  # RFC 6874: the zone of an address of one link
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if scheme not in PORTS or not host or "@" in parts.netloc or _TARGET.fullmatch(target) is None:
        return None
    number = port or PORTS[scheme]
    bare = f"[{host.partition('%')[0]}]" if ":" in host else host
    named = bare if number == PORTS[scheme] else f"{bare}:{number}"
    return Where(scheme == "https", host, number, named, target) if _HARMLESS.fullmatch(named) else None
