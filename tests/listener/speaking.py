"""A listener on a free port of loopback with the scripted corridor behind it, and a way to talk to it in bytes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.auth.gate import Gate
from collector.auth.mechanisms import MECHANISMS
from collector.clock import SystemClock
from collector.config.settings import Limits, ListenerSettings
from collector.listener.budget import Budget
from collector.listener.door import Door
from collector.listener.server import Listener
from collector.listener.serving import tls_context
from collector.listener.turnstile import Turnstile
from tests.delivery.conversation import Corridor

NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:e="http://schemas.xmlsoap.org/ws/2004/08/eventing" '
    'xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
    'xmlns:m="http://schemas.microsoft.com/wbem/wsman/1/machineid"'
)
ENUMERATE = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate"
HEARTBEAT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Heartbeat"
IDENTIFY = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    "<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"
)
UTF8 = "application/soap+xml;charset=UTF-8"


def envelope(action: str, body: str = "", *, header: str = "", to: str = "http://wec:5985/wsman") -> str:
    return (
        f"<s:Envelope {NAMESPACES}><s:Header><a:To>{to}</a:To><m:MachineID>WS-1.corp.example</m:MachineID>"
        f"<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
        f"<a:Action>{action}</a:Action><a:MessageID>uuid:AbC-1</a:MessageID>{header}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )


def enumerate_() -> str:
    return envelope(ENUMERATE, "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>20</w:MaxElements></n:Enumerate>")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool


class Talk:
    """One connection; what is said is bytes, what comes back is parsed just as far as tests need."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def post(self, body: bytes | str, *, path: str = "/wsman", method: str = "POST", **headers: str) -> Answer:
        content = body.encode() if isinstance(body, str) else body
        lines = {"Host": "wec:5985", "Content-Type": UTF8, "Content-Length": str(len(content))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        await self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
        return await self.answer()

    @property
    def served(self) -> bytes:
        """The certificate that the far end showed, in DER."""
        der: bytes = self.writer.get_extra_info("ssl_object").getpeercert(True)
        return der

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(status.split()[1]), headers, body, headers.get("connection") == "close")

    async def at_end(self) -> bool:
        """Whether the other side has hung up."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


class Place:
    """A running listener."""

    def __init__(self, corridor: Corridor, listener: Listener) -> None:
        self.corridor = corridor
        self.port = listener.addresses[0][1]
        self._listener = listener
        self._writers: list[asyncio.StreamWriter] = []

    async def call(self, context: ssl.SSLContext | None = None, **options: Any) -> Talk:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname="localhost" if context else None, **options
        )
        self._writers.append(writer)
        return Talk(reader, writer)

    def renew(self, settings: ListenerSettings) -> None:
        """What SIGHUP does to a listener, with the files that *settings* name."""
        self._listener.renew(tls_context("test", settings), gate_of(settings))

    def greet(self) -> asyncio.BaseProtocol:
        """What a new connection meets first, before it has a transport."""
        return self._listener._greet()

    async def stop(self, seconds: float) -> None:
        """What SIGTERM does to a listener."""
        await self.stopping(seconds)

    def stopping(self, seconds: float) -> Coroutine[None, None, None]:
        """The same, its first half done at once."""
        self._listener.close()
        return self._listener.drained(seconds)

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()


def gate_of(settings: ListenerSettings) -> Gate:
    clock = SystemClock()
    return Gate([MECHANISMS[word](settings, clock) for word in settings.authentication], clock)


@asynccontextmanager
async def listening(
    corridor: Corridor,
    settings: ListenerSettings | None = None,
    limits: Limits | None = None,
    gate: Gate | None = None,
) -> AsyncIterator[Place]:
    settings = settings or ListenerSettings(transport="http", address="127.0.0.1", port=0, authentication=["none"])
    limits = limits or Limits()
    gate = gate or gate_of(settings)
    door = Door(settings, limits, gate, corridor.exchange, lambda: "uuid:NEW", Budget(limits.bodies_size))
    listener = Listener("test", settings, limits, door, Turnstile(limits))
    await listener.start()
    place = Place(corridor, listener)
    try:
        yield place
    finally:
        place.hang_up()
        listener.close()
        await listener.drained(1)


def corridor_in(folder: Path, *script: str) -> Corridor:
    from tests.routing.scripted_sink import ScriptedSink

    return Corridor(folder, ScriptedSink(*script))
