"""A far end that answers what its script says, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from collector.clock import SystemClock
from collector.simulate.authority import LEAF_LIFE, issue, make_authority
from collector.wire.connection import Connection, Ways
from collector.wire.trouble import Trouble

KIND = "application/soap+xml;charset=UTF-8"
BODY = b"<s:Envelope>pull</s:Envelope>"
EMPTY = b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Met:
    """One request. *link* numbers the connections from 1."""

    link: int
    first: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FarEnd:
    """Answers the nth request by the nth of *replies* (None: it hangs up); after the last it hangs up."""

    replies: list[Callable[[Met], bytes | None]]
    met: list[Met] = field(default_factory=list)
    links: int = 0
    partial: list[bytes] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        link = self.links
        try:
            while (met := await self._read(link, reader)) is not None and self.replies:
                self.met.append(met)
                reply = self.replies.pop(0)(met)
                if reply is None:
                    break
                for piece in reply.split(PAUSE):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if reply.endswith(PAUSE):
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _read(self, link: int, reader: asyncio.StreamReader) -> Met | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        try:
            body = await reader.readexactly(int(headers["Content-Length"]))
        except asyncio.IncompleteReadError as error:
            self.partial.append(error.partial)
            return None
        return Met(link, first, headers, body)


PAUSE = b"\0PAUSE\0"
"""In a reply: what comes after it is written later; at its end: and then the far end hangs up."""


def says(*replies: bytes | None) -> FarEnd:
    return FarEnd([lambda _, reply=reply: reply for reply in replies])  # type: ignore[misc]


def answer(body: bytes = b"<x/>", status: str = "200 ", kind: str = KIND, more: str = "") -> bytes:
    """A well-formed answer."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.asynccontextmanager
async def listening(far_end: FarEnd, tls: ssl.SSLContext | None = None) -> AsyncIterator[FarEnd]:
    """*far_end* on a loopback port; its url is set."""
    server = await asyncio.start_server(far_end.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    far_end.url = f"https://localhost:{port}/wsman" if tls else f"http://127.0.0.1:{port}/wsman"
    try:
        yield far_end
    finally:
        server.close()


def calling(far_end: FarEnd, *, timeout: float = 5.0, limit: int = 2**20, **more: object) -> Connection:
    options: dict[str, object] = {"context": None, "prove": None, **more}
    return Connection(far_end.url, timeout=timeout, limit=limit, **options)  # type: ignore[arg-type]


async def troubled(connection: Connection, body: bytes = BODY, *, timeout: float | None = None) -> Trouble:
    """The trouble that a post ends in; the connection must be gone."""
    try:
        got = await connection.post(body, KIND, timeout=timeout)
    except Trouble as trouble:
        assert not connection.open
        return trouble
    finally:
        await connection.close()
    raise AssertionError(f"there was an answer: {got}")


@dataclass(frozen=True)
class Lab:
    """A CA and what it issued, as files in *folder*."""

    folder: Path

    def serving(self, *names: str, ends: timedelta | None = None) -> ssl.SSLContext:
        """A server's context with a certificate for *names*, which *ends* so long after now (None: a year)."""
        now = SystemClock().now()
        authority = make_authority("Lab CA", now - timedelta(days=900))
        (self.folder / "ca.pem").write_bytes(authority.pem())
        made = now if ends is None else now + ends - LEAF_LIFE
        server = issue(authority, list(names), server=True, now=made)
        (self.folder / "server.pem").write_bytes(server.pem() + server.key_pem())
        client = issue(authority, ["collector.lab.example"], server=False, now=now)
        (self.folder / "client.pem").write_bytes(client.pem() + client.key_pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem")
        return context

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")


def hasty(seconds: float = 0.2) -> Ways:
    """For far ends that never answer: the tests do not wait ten seconds for what they know."""
    return Ways(patience=seconds)


async def ended(connection: Connection) -> None:
    """The far end has closed it, and we have noticed."""
    line = connection._line
    assert line is not None
    await line._closed
    assert not connection.open
