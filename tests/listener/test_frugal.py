"""TLS with one receive buffer for all connections: pinned on every Python version that we run on."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.listener.frugal import SIZE, WIDE, FrugalProtocol, be_frugal
from tests.listener.test_tls import Lab
from tests.routing.scripted_sink import eventually

LENGTH = 300_000
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@asynccontextmanager
async def served(folder: Path, serve: Serve, version: ssl.TLSVersion | None = None) -> AsyncIterator[Connect]:
    """A server that does *serve* with each connection, and how to make one."""
    lab = Lab(folder)
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), lab.client(None)
    server_side.load_cert_chain(lab.server, lab.server.with_suffix(".key"))
    if version is not None:
        client_side.maximum_version = version
    be_frugal()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port, ssl=client_side, server_hostname="localhost")

    yield connect
    server.close()


def protocol_of(writer: asyncio.StreamWriter) -> Any:
    return writer.transport._ssl_protocol  # type: ignore[attr-defined]


@pytest.mark.parametrize("step", [10_000, LENGTH])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_connections_share_one_buffer_and_never_mix_their_bytes(
    tmp_path: Path, version: ssl.TLSVersion, step: int
) -> None:
    """A mixed-up byte would put one source's events under another's name."""
    buffers = set()

    async def digest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = protocol_of(writer)
        assert isinstance(protocol, FrugalProtocol)
        buffers.add(id(protocol._ssl_buffer))
        assert len(protocol._ssl_buffer) == SIZE
        assert len(protocol.get_buffer(-1)) == WIDE
        writer.write(hashlib.sha256(await reader.readexactly(LENGTH)).digest())
        await writer.drain()
        writer.close()

    async with served(tmp_path, digest, version) as connect:

        async def speak(number: int) -> bool:
            body = bytes([number]) * LENGTH
            reader, writer = await connect()
            for at in range(0, LENGTH, step):
                writer.write(body[at : at + step])
                await writer.drain()
            answer = await reader.readexactly(32)
            writer.close()
            return answer == hashlib.sha256(body).digest()

        assert all(await asyncio.gather(*(speak(number) for number in range(1, 21))))
    assert len(buffers) == 1


async def test_who_reads_nothing_is_sent_nothing_more(tmp_path: Path) -> None:
    """A source that sends faster than it is served waits in its own socket, not in our memory."""
    sent, asked, seen = 20_000_000, asyncio.Event(), asyncio.Event()
    found: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.extend((reader, protocol_of(writer)))
        seen.set()
        await asked.wait()
        writer.write(hashlib.sha256(await reader.readexactly(sent)).digest())

    async with served(tmp_path, serve) as connect:
        reader, writer = await connect()
        body = bytes(range(256)) * (sent // 256)
        writer.write(body)
        await seen.wait()
        kept, protocol = found
        await eventually(lambda: protocol._ssl_reading_paused)

        assert len(protocol.get_buffer(-1)) == SIZE, "no more than OpenSSL may keep"
        assert protocol._incoming.pending < 2 * WIDE
        assert len(kept._buffer) < 2 * WIDE
        asked.set()
        assert await reader.readexactly(32) == hashlib.sha256(body).digest()
        writer.close()


@pytest.mark.parametrize("size", [1, 16_384, 200_000, 1_000_000])
async def test_what_came_before_the_end_is_read_before_the_end(tmp_path: Path, size: int) -> None:
    """The last batch and the close_notify behind it often come with one receive."""
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.set_result(await reader.read())
        writer.close()

    async with served(tmp_path, serve) as connect:
        _, writer = await connect()
        writer.write(b"x" * size)
        writer.close()
        async with asyncio.timeout(10):
            assert await ended == b"x" * size


async def test_bytes_that_are_no_tls_end_the_connection(tmp_path: Path) -> None:
    """In the middle of a batch, too: nothing behind them can be trusted."""
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ended.set_result(await reader.read())
        except (OSError, ssl.SSLError) as error:
            ended.set_exception(error)

    async with served(tmp_path, serve) as connect:
        _, writer = await connect()
        protocol_of(writer)._transport.write(b"\x17\x03\x03\x40\x00" + b"n" * 200_000)
        with pytest.raises(OSError):  # noqa: PT011 - OpenSSL's own words differ between its versions
            async with asyncio.timeout(10):
                await ended


async def test_what_a_connection_keeps_is_bounded_by_what_openssl_is_handed(tmp_path: Path) -> None:
    """OpenSSL never gives back what it once needed, and ten thousand sources are idle most of the time."""
    most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        protocol = protocol_of(writer)
        incoming = protocol._incoming

        class Watched:
            pending = property(lambda self: incoming.pending)

            def write(self, part: memoryview) -> int:
                nonlocal most
                written: int = incoming.write(part)
                most = max(most, incoming.pending)
                return written

        protocol._incoming = Watched()
        writer.write(hashlib.sha256(await reader.readexactly(LENGTH * 4)).digest())

    async with served(tmp_path, serve) as connect:
        reader, writer = await connect()
        for _ in range(4):
            writer.write(b"y" * LENGTH)
        await reader.readexactly(32)
        writer.close()
    assert SIZE // 2 < most <= SIZE


async def test_who_has_hung_up_hears_nothing_more(tmp_path: Path) -> None:
    """asyncio promises it, and HTTP has forgotten the request by then; what was received with it is dropped."""
    heard: list[int] = []
    lost = asyncio.Event()

    class HangsUp(asyncio.Protocol):
        def __init__(self, transport: asyncio.WriteTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            heard.append(len(data))
            if len(data) == WIDE:  # more than that was there
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    async def hand_over(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_protocol(HangsUp(writer.transport))

    async with served(tmp_path, hand_over) as connect:
        _, writer = await connect()
        while not lost.is_set():
            for _ in range(30):
                writer.write(b"z" * 100_000)  # in records of odd lengths, so that some of them are behind what is full
            await asyncio.sleep(0.001)
        writer.transport.abort()
    assert heard.count(WIDE) == 1
    assert heard[-1] == WIDE
