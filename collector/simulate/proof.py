"""One connection's proof of who is calling, and the key that its bodies are sealed with from then on.

Between HTTP and an ``Initiator``: it knows which connection the proof belongs to and what Windows seals
how, and neither mechanisms nor messages. A proof ends with its connection; there is a new one for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from collector.auth.initiator import Initiator, NotAuthenticated, Proving
from collector.errors import CollectorError
from collector.wsman import sealing

Given = TypeVar("Given")
SEALED = "multipart/encrypted"


class NoTicket(CollectorError):
    """We have nothing to show: the trouble is on our side, and nothing was sent."""


class NotAdmitted(CollectorError):
    """The far end was shown our proof and does not take it, or gave none of its own."""


class Lapsed(CollectorError):
    """The connection that was proven is gone, or the far end forgot the proof: prove again on a new one."""


class Proof:
    """The proof of one connection.

    *begin* makes its ``Initiator``; it is given the server's certificate in DER, None without TLS. *desks*
    bounds how many ask the KDC at the same moment, each in a thread because they block.
    """

    def __init__(self, begin: Callable[[bytes | None], Initiator], desks: asyncio.Semaphore) -> None:
        self._begin = begin
        self._desks = desks
        self._connection: object = None
        self._initiator: Initiator | None = None
        self._proving: Proving | None = None

    @property
    def established(self) -> bool:
        return self._initiator is not None and self._initiator.established

    async def shown(self, connection: object, certificate: bytes | None) -> str | None:
        """The Authorization value of the request that is about to leave on *connection*; None once established.

        Raises ``NoTicket``, and ``Lapsed`` when this is not the connection that the proof was begun on:
        what is sealed for one must not leave on another.
        """
        if self._proving is None:
            self._connection = connection
            return await self._asked(lambda: self._begun(certificate).next(), NoTicket)
        if connection is not self._connection:
            raise Lapsed("the proven connection is gone")
        return None if self.established else await self._asked(self._proving.next, NotAdmitted)

    async def answered(self, status: int, challenges: Sequence[str]) -> None:
        """Take the far end's reply to an empty request. Raises ``NotAdmitted``."""
        proving = self._proving
        if proving is None:
            raise NotAdmitted("the far end answered before it was shown anything")
        await self._asked(lambda: proving.take(status, challenges), NotAdmitted)

    def close(self, plain: bytes, content_type: str) -> tuple[str, bytes]:
        """Content-Type and body for *plain*, sealed as Windows does: without tabs (captured, protocol.md 3.8)."""
        seal = self._initiator.seal if self._initiator is not None else None
        if seal is None:
            return content_type, plain
        charset = content_type.rpartition("charset=")[2]
        return sealing.sealed_body(seal, plain, charset, sealing.SealStyle(seal.protocol))

    def open(self, body: bytes, content_type: str, limit: int) -> tuple[bytes, str]:
        """What is in the far end's *body*, and its Content-Type. Raises ``SourceError``.

        A clear body on a sealed connection is not believed: anybody between the two could have written it.
        """
        seal = self._initiator.seal if self._initiator is not None else None
        if seal is None or not body:
            return body, content_type
        if not content_type.lower().lstrip().startswith(SEALED):
            raise sealing.SealError("the answer is in clear on a sealed connection")
        plain, inner, _ = sealing.open_sealed(body, content_type, seal, limit)
        return plain, inner

    def _begun(self, certificate: bytes | None) -> Proving:
        self._initiator = self._begin(certificate)
        self._proving = Proving(self._initiator)
        return self._proving

    async def _asked(self, question: Callable[[], Given], trouble: type[CollectorError]) -> Given:
        try:
            async with self._desks:
                return await asyncio.to_thread(question)
        except NotAuthenticated as error:
            raise trouble(str(error)) from error
