"""Names into addresses: each name once at a time, in threads of its own.

The event loop's own pool looks names up too, but it also asks KDCs and reads files, and one dead name server would
stop all of them. It knows no connections.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from collector.wire.aside import aside

THREADS = 64
"""Names looked up at the same moment. A dead name server holds a thread for its time-out (resolv.conf: 5 s, twice), and
whoever has another one stands behind it."""
MOST = 8
"""Addresses of one name that are tried; a machine has two to four."""


class Place(NamedTuple):
    """Where a socket connects to: an address family, and what ``connect`` takes."""

    family: int
    address: tuple[Any, ...]


class Hosts:
    """Asks the system's resolver (hosts file, DNS)."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = asyncio.Semaphore(threads)
        self._asked: dict[tuple[str, int], asyncio.Task[list[Place]]] = {}

    async def places(self, host: str, port: int) -> Sequence[Place]:
        """Where *host* is, in the system's order of preference. Raises ``OSError`` (``socket.gaierror``)."""
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        asked = self._asked.get((host, port))
        if asked is None:
            self._asked[host, port] = asked = asyncio.create_task(self._found(host, port))
            asked.add_done_callback(lambda done: self._answered((host, port), done))
        return await asyncio.shield(asked)  # others may wait for it as well

    def close(self) -> None:
        """Nobody waits for a name any more."""
        for asked in self._asked.values():
            asked.cancel()

    async def _found(self, host: str, port: int) -> list[Place]:
        async with self._threads:
            return await aside(partial(_asked, host, port))

    def _answered(self, key: tuple[str, int], done: asyncio.Task[list[Place]]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # looked at, whether or not anybody still waits


def _literal(host: str, port: int) -> Place | None:
    """An address needs no looking up, unless its zone is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.version == 4:
        return Place(socket.AF_INET, (host, port))
    return Place(socket.AF_INET6, (host, port, 0, 0)) if address.scope_id is None else None


def _asked(host: str, port: int) -> list[Place]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of more than 63 letters, or of none
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    return [Place(family, address) for family, _, _, _, address in found[:MOST]]
