"""Where pretend machines listen: a port for each on one address, or an address for each with one port.

It opens sockets and knows no message. All of 127.0.0.0/8 is loopback on Linux, so thousands of addresses need no
preparation.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator

from collector.errors import OperatorError

USAGE, UNAVAILABLE = 64, 73
BACKLOG = 16
"""Connections that wait to be accepted by one machine; a collector has one or two with each."""


def places(address: str, port: int, count: int) -> Iterator[tuple[str, int]]:
    """(address, port) of *count* machines.

    An *address* gives them ports from *port* on (0: any free ones); a network such as ``127.1.0.0/16`` gives each its
    own address of it, from the first host address on, and all the same port. Raises ``OperatorError``.
    """
    try:
        network = ipaddress.ip_network(address, strict=False) if "/" in address else None
        if network is None and address != "localhost":
            ipaddress.ip_address(address)
    except ValueError:
        raise OperatorError(
            f"--address {address}: this is no address; write one, such as 127.0.0.1, or a network, such as"
            " 127.1.0.0/16, to give each source an address of its own.",
            exit_code=USAGE,
        ) from None
    if network is None:
        if port and port + count - 1 > 65535:
            raise OperatorError(
                f"--port {port}: {count} sources need the ports up to {port + count - 1}; the last one is 65535. Give"
                " a lower --port, or a network as --address.",
                exit_code=USAGE,
            )
        yield from ((address, port + number if port else 0) for number in range(count))
        return
    if network.num_addresses < count + 2 or not port:
        raise OperatorError(
            f"--address {address} --port {port}: {count} sources need as many addresses in that network, and one"
            " --port for all.",
            exit_code=USAGE,
        )
    yield from ((str(network[number + 1]), port) for number in range(count))


class Site:
    """One machine's listening socket, which may be closed and opened again at the same place.

    *accept* makes the protocol of a connection. ``place`` is the address and port that it has, once opened.
    """

    def __init__(
        self, place: tuple[str, int], accept: Callable[[], asyncio.BaseProtocol], context: ssl.SSLContext | None
    ) -> None:
        self.place = place
        self._accept = accept
        self._context = context
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. Raises ``OperatorError`` where that place is taken or not ours."""
        address, port = self.place
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address, port))
        except OSError as error:
            listening.close()
            raise OperatorError(
                f"{address}:{port}: cannot listen there: {error.strerror or error}.", exit_code=UNAVAILABLE
            ) from error
        own = listening.getsockname()
        self.place = (own[0], own[1])
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._accept,
            sock=listening,
            ssl=self._context,
            backlog=BACKLOG,
        )

    @property
    def listening(self) -> bool:
        return self._server is not None

    def close(self) -> None:
        """Take no more connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None
