"""A TCP door in front of a server that can be made slow, silent or shut: what networks do.

It runs in a thread of its own and knows no protocol. A Kafka broker tells its clients where it is, so
it has to be told about the door: ``Kafka().behind(proxy)``.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.servers.server import free_port

CHUNK = 64 * 1024
"""At most so many bytes are passed on at once; ``delay`` counts for each."""
Answer = TypeVar("Answer")


class Proxy:
    """Listens on ``127.0.0.1:port`` and passes everything on to *target_port*, both ways, from the start.

    ``delay``: seconds that every chunk waits, in each direction. ``sent`` and ``received``: bytes passed on to
    the server, and to its clients. All of it may be changed while connections are open.
    """

    def __init__(self, target_port: int) -> None:
        self.port, self.target_port = free_port(), target_port
        self.delay = 0.0
        self.sent = self.received = 0
        self.connections = 0
        """How many clients have connected since the start."""
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._flows: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.mend()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset every connection, and refuse new ones until ``mend``."""
        self._run(self._cut)

    def mend(self) -> None:
        """Listen (again), on the same port."""
        self._run(self._listen)

    @property
    def blackhole(self) -> bool:
        """Connections are accepted and stay open, and nobody says anything; what was sent flows on afterwards."""
        return not self._open.is_set()

    @blackhole.setter
    def blackhole(self, silent: bool) -> None:
        async def change() -> None:
            (self._open.clear if silent else self._open.set)()

        self._run(change)

    def close(self) -> None:
        """Cut, and end the thread."""
        if self._loop.is_closed():
            return
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _run(self, deed: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        return asyncio.run_coroutine_threadsafe(deed(), self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        flows = list(self._flows)
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until either side has enough."""
        flow = asyncio.current_task()
        assert flow is not None
        self._flows.add(flow)
        self.connections += 1
        try:
            await self._open.wait()
            with suppress(OSError):
                await self._both_ways(reader, writer)
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            self._flows.discard(flow)
            writer.close()

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            ways = [
                asyncio.create_task(self._pass(reader, far_writer, sending=True)),
                asyncio.create_task(self._pass(far_reader, writer, sending=False)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            far_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, sending: bool) -> None:
        while chunk := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._open.wait()
            if sending:  # counted before it goes: who has read it may ask at once
                self.sent += len(chunk)
            else:
                self.received += len(chunk)
            writer.write(chunk)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN: the client learns that the rest will not come."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
