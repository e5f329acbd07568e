"""asyncio's TLS, with the buffers of a thread instead of those of each connection.

asyncio gives every TLS connection a buffer of its own (256 KiB) that is empty but for the moment
between ``recv`` and the copy into OpenSSL. Both happen in one step of the event loop, so one buffer serves
all connections of a loop. Ten thousand idle sources save 2.5 GB. As it is there only once it can be large: a batch
comes in with one or two system calls, and HTTP sees it in as few pieces. OpenSSL gets it in small parts, because it
keeps what it was once handed. This touches private names of ``asyncio.sslproto``; ``tests/listener/test_frugal.py``
pins them.
"""

from __future__ import annotations

import asyncio.sslproto
import ssl
import threading
from collections.abc import Callable
from typing import Any

SIZE = 32 * 1024
"""Two TLS records: what OpenSSL is handed at most, with what it has not used yet, and so what a used connection
holds; 64 KiB would cost each of them 60 KB more."""
WIDE = 256 * 1024
"""What is received at once while everything flows, and what HTTP gets at once; asyncio's own measure without TLS."""


class _Buffers(threading.local):
    """Of one thread, for all its connections: what was received, and what it says."""

    def __init__(self) -> None:
        self.received = memoryview(bytearray(WIDE))
        self.part = self.received[:SIZE]
        self.plain = memoryview(bytearray(WIDE))


class FrugalProtocol(asyncio.sslproto.SSLProtocol):
    """An ``SSLProtocol`` that receives into the buffer of its thread, and decrypts all of it in one step."""

    max_size = SIZE
    _buffers = _Buffers()
    _app_protocol_is_buffer: bool
    _app_reading_paused: bool
    _call_eof_received: Callable[[], None]
    _incoming: ssl.MemoryBIO
    _sslobj: Any
    _state: object

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ssl_buffer = self._ssl_buffer_view = self._buffers.part
        self._received = self._handed = 0

    def get_buffer(self, n: int) -> memoryview:
        """All of the buffer while HTTP takes what comes; else no more than OpenSSL may keep."""
        return self._buffers.received if self._flows() else self._ssl_buffer_view

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio begins with the first part; its reading ends up in ``_do_read__copied``, where the rest follows."""
        self._received = nbytes
        self._handed = min(nbytes, self._room()) if self._flows() else nbytes
        super().buffer_updated(self._handed)
        self._received = self._handed = 0

    def _flows(self) -> bool:
        """Whether what is received now is read at once, in ``_do_read__copied``."""
        wrapped = self._state is asyncio.sslproto.SSLProtocolState.WRAPPED
        return wrapped and not self._app_reading_paused and not self._app_protocol_is_buffer

    def _room(self) -> int:
        """How much more OpenSSL is handed: after a rest in which nobody read, a part all the same."""
        return max(SIZE - self._incoming.pending, SIZE // 2)

    def _do_read__copied(self) -> None:
        plain, filled, ended = self._buffers.plain, 0, False
        while not ended:
            try:
                while count := self._sslobj.read(WIDE, plain[filled:]):
                    filled += count
                    if filled == WIDE:
                        filled = self._hand_on(filled)
                ended = True  # close_notify: what follows it is not TLS any more
            except asyncio.sslproto.SSLAgainErrors:
                if self._handed >= self._received:
                    break
                part = self._buffers.received[self._handed : min(self._handed + self._room(), self._received)]
                self._handed += self._incoming.write(part)
        self._hand_on(filled)
        if ended:
            self._call_eof_received()
            self._start_shutdown()

    def _hand_on(self, filled: int) -> int:
        """Give HTTP what was decrypted, unless it has hung up; how much is left."""
        if filled and self._state is not asyncio.sslproto.SSLProtocolState.UNWRAPPED:
            http: Any = self._app_protocol
            http.data_received(bytes(self._buffers.plain[:filled]))
        return 0


def be_frugal() -> None:
    """From now on every TLS connection of this process shares; call it before the first one."""
    asyncio.sslproto.SSLProtocol = FrugalProtocol  # type: ignore[misc]
