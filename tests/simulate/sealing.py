"""Proofs and keys with a script, and a far end that sees every request: what a sealed wire is measured against.

The cipher is a toy (every bit turned over) with the header length of AES, so that lengths are those of the captures.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import ClientPayloadError, web

from collector.auth.initiator import NotAuthenticated
from collector.wsman.sealing import KERBEROS, SealError

HEADER = 60
"""Bytes of the security header of Kerberos with AES (protocol.md 3.8)."""


@dataclass
class ToySeal:
    """Turns every bit over; header: who sealed, and the how manyth message it is."""

    own: bytes
    others: bytes
    protocol: str = KERBEROS
    sealed: int = 0
    opened: int = 0

    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        self.sealed += 1
        return self._header(self.own, self.sealed), bytes(255 - byte for byte in plain), 0

    def unseal(self, header: bytes, sealed: bytes | memoryview) -> bytes:
        self.opened += 1
        if header != self._header(self.others, self.opened):
            raise SealError("a sealed body is not the one that was expected")
        return bytes(255 - byte for byte in sealed)

    @staticmethod
    def _header(who: bytes, number: int) -> bytes:
        return (who + b"%d" % number).ljust(HEADER, b".")


@dataclass
class ToyInitiator:
    """Shows "leg1", "leg2", ... and is established after so many *legs*; *clear*: no seal, as inside TLS."""

    legs: int = 1
    clear: bool = False
    trouble: str = ""  # why there is no ticket
    shown: int = 0
    established: bool = False
    seal: ToySeal | None = None

    def first(self) -> str | None:
        if self.trouble:
            raise NotAuthenticated(self.trouble)
        self.shown = 1
        return "Kerberos leg1"

    def answer(self, status: int, challenges: Sequence[str]) -> str | None:
        if f"Kerberos re{self.shown}" not in challenges:
            raise NotAuthenticated(f"HTTP {status} does not take PC01$")
        if status == 200:
            self.established, self.seal = True, None if self.clear else ToySeal(b"source", b"collector")
            return None
        self.shown += 1
        return f"Kerberos leg{self.shown}"


@dataclass(frozen=True)
class Met:
    """One request. *peer* is the client's port: one connection, one number."""

    peer: int
    headers: dict[str, str]
    body: bytes


@dataclass
class FarEnd:
    """Answers an Authorization "Kerberos legN" until *legs*, and what comes after it by *replies*, else an echo.

    A reply is called with the connection's seal and the request. *torn*: bytes declared and arrived of bodies that
    broke off.
    """

    legs: int = 1
    refusal: web.Response | None = None  # to whatever is shown
    replies: list[Callable[[ToySeal, Met], web.Response]] = field(default_factory=list)
    met: list[Met] = field(default_factory=list)
    torn: list[tuple[int, bytes]] = field(default_factory=list)
    seals: dict[int, ToySeal] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        body = b""
        try:
            async for chunk in request.content.iter_any():
                body += chunk
        except (ClientPayloadError, ConnectionError, web.HTTPException):
            self.torn.append((request.content_length or 0, body))
            self.ended.set()
            return web.Response(status=400)
        met = Met(request.transport.get_extra_info("peername")[1], dict(request.headers), body)
        self.met.append(met)
        shown = request.headers.get("Authorization", "")
        if not shown:
            if met.peer not in self.seals:
                return web.Response(status=401, headers={"WWW-Authenticate": "Kerberos"})
            reply = self.replies.pop(0) if self.replies else echo
            return reply(self.seals[met.peer], met)
        if self.refusal is not None:
            return self.refusal
        leg = int(shown.removeprefix("Kerberos leg"))
        last = leg == self.legs
        if last:
            self.seals[met.peer] = ToySeal(b"collector", b"source")
        return web.Response(status=200 if last else 401, headers={"WWW-Authenticate": f"Kerberos re{leg}"})


def sealed(seal: ToySeal, plain: bytes, status: int = 200, charset: str = "UTF-16") -> web.Response:
    """A reply as a Windows collector frames it, with lines of our own and not the collector's writer."""
    header, body, _ = seal.seal(plain)
    frame = (
        f"--Encrypted Boundary\r\nContent-Type: {seal.protocol}\r\n"
        f"OriginalContent: type=application/soap+xml;charset={charset};Length={len(plain)}\r\n"
        "--Encrypted Boundary\r\nContent-Type: application/octet-stream\r\n"
    )
    kind = f'multipart/encrypted;protocol="{seal.protocol}";boundary="Encrypted Boundary"'
    content = frame.encode() + len(header).to_bytes(4, "little") + header + body + b"--Encrypted Boundary--\r\n"
    return web.Response(status=status, body=content, headers={"Content-Type": kind})


def opened(seal: ToySeal, met: Met) -> bytes:
    """What is in a request, taken apart by its place in the frame."""
    front, _, rest = met.body.partition(b"application/octet-stream\r\n")
    size = int.from_bytes(rest[:4], "little")
    assert front.startswith(b"--Encrypted Boundary\r\nContent-Type: ")  # no tab
    return seal.unseal(rest[4 : 4 + size], rest[4 + size : -len(b"--Encrypted Boundary--\r\n")])


def echo(seal: ToySeal, met: Met) -> web.Response:
    return sealed(seal, opened(seal, met))


@contextlib.asynccontextmanager
async def answering(far_end: FarEnd, tls: ssl.SSLContext | None = None) -> AsyncIterator[FarEnd]:
    """*far_end* listening on a loopback port; its url is set."""
    runner = web.ServerRunner(web.Server(far_end.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    far_end.url = f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}/wsman/x"
    try:
        yield far_end
    finally:
        await runner.cleanup()
