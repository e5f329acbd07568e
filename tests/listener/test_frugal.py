"""One TLS receive buffer for all connections: pinned on every Python version that we run on."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

from collector.listener.frugal import SIZE, be_frugal
from tests.listener.test_tls import Lab

LENGTH = 300_000


async def test_connections_share_one_buffer_and_never_mix_their_bytes(tmp_path: Path) -> None:
    """A mixed-up byte would put one source's events under another's name."""
    lab = Lab(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(lab.server, lab.server.with_suffix(".key"))
    buffers = set()

    async def digest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = writer.transport._ssl_protocol  # type: ignore[attr-defined]
        buffers.add(id(protocol._ssl_buffer))
        assert len(protocol._ssl_buffer) == SIZE
        writer.write(hashlib.sha256(await reader.readexactly(LENGTH)).digest())
        await writer.drain()
        writer.close()

    be_frugal()
    server = await asyncio.start_server(digest, "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]

    async def speak(number: int) -> bool:
        body = bytes([number]) * LENGTH
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=lab.client(None), server_hostname="localhost"
        )
        for at in range(0, LENGTH, 10_000):
            writer.write(body[at : at + 10_000])
            await writer.drain()
        answer = await reader.readexactly(32)
        writer.close()
        return answer == hashlib.sha256(body).digest()

    assert all(await asyncio.gather(*(speak(number) for number in range(1, 21))))
    assert len(buffers) == 1
    server.close()
