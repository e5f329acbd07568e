"""asyncio's TLS, with one receive buffer for all connections instead of one for each.

asyncio gives every TLS connection a buffer of its own (256 KiB) that is empty but for the moment
between ``recv`` and the copy into OpenSSL. Both happen in one step of the event loop, so one buffer serves
all connections of a loop. Ten thousand idle sources save 2.5 GB. This touches private names of
``asyncio.sslproto``; ``tests/listener/test_frugal.py`` pins them.
"""

from __future__ import annotations

import asyncio.sslproto
import threading
from typing import Any

SIZE = 32 * 1024
"""Two TLS records. OpenSSL keeps what it was once handed, so this bounds what a used connection holds
as well; 64 KiB costs each of them 60 KB more, 16 KiB a third of the throughput."""


class FrugalProtocol(asyncio.sslproto.SSLProtocol):
    """An ``SSLProtocol`` that receives into the buffer of its thread."""

    max_size = SIZE
    _own = threading.local()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not hasattr(self._own, "buffer"):
            self._own.buffer = bytearray(SIZE)
            self._own.view = memoryview(self._own.buffer)
        self._ssl_buffer = self._own.buffer
        self._ssl_buffer_view = self._own.view


def be_frugal() -> None:
    """From now on every TLS connection of this process shares; call it before the first one."""
    asyncio.sslproto.SSLProtocol = FrugalProtocol  # type: ignore[misc]
