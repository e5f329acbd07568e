"""How much may be under way, and who may be under way together. It knows no message.

``Window`` bounds what the engine holds, in records and bytes. ``Turnstile`` lets deliveries pass together,
and one alone when it must know that nobody's messages share a batch with its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

MOST_RECORDS: Final = 40_000
MOST_BYTES: Final = 64 * 2**20
"""Twice what a lane has under way at most: what it gave up waiting for is still on its way for a while."""


class Window:
    """Room for records and bytes; who waits gets it in turn. What exceeds all of it passes alone."""

    def __init__(self, records: int = MOST_RECORDS, size: int = MOST_BYTES) -> None:
        self._most_records, self._most_bytes = records, size
        self._records = self._size = 0
        self._turn = asyncio.Lock()  # first come, first served: its holder waits for room, all others for it
        self._room = asyncio.Event()

    async def enter(self, records: int, size: int) -> None:
        """Return when there is room; it is taken then."""
        async with self._turn:
            while not self._fits(records, size):
                self._room.clear()
                await self._room.wait()
            self._records += records
            self._size += size

    def leave(self, records: int, size: int) -> None:
        self._records -= records
        self._size -= size
        self._room.set()

    def _fits(self, records: int, size: int) -> bool:
        within = self._records + records <= self._most_records and self._size + size <= self._most_bytes
        return within or not self._records


class Turnstile:
    """Many pass together, or one alone. Who wants to be alone keeps out those who come later."""

    def __init__(self) -> None:
        self._inside = 0
        self._turn = asyncio.Lock()
        self._empty = asyncio.Event()
        self._empty.set()

    @contextlib.asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        async with self._turn:
            self._inside += 1
            self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._turn:
            await self._empty.wait()
            yield
