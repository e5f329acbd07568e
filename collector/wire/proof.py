"""One connection's proof of who is calling, and the key that its bodies are sealed with from then on.

Between HTTP and an ``Initiator``: it knows what Windows seals how, and neither mechanisms nor messages. A proof ends
with its connection; there is a new one for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from collector.auth.initiator import Initiator, NotAuthenticated, Proving
from collector.errors import CollectorError
from collector.wire.aside import aside
from collector.wsman import sealing

Given = TypeVar("Given")
SEALED = "multipart/encrypted"
_LEGS = 10  # of one handshake; Kerberos takes one, SPNEGO up to three
_VERDICTS = (401, 403)


class NoTicket(CollectorError):
    """We have nothing to show: the trouble is on our side, and nothing was sent."""


class NotAdmitted(CollectorError):
    """The far end was shown our proof and does not take it, or gave none of its own; or it may not be shown there."""


class Lapsed(CollectorError):
    """The far end does not know any longer, or not at all, who is calling: prove again on a new connection."""


class Proof:
    """The proof of one connection.

    *begin* makes its ``Initiator``; it is given the server's certificate in DER, None without TLS. *desks*
    bounds how many ask the KDC at the same moment, each in a thread because they block.
    """

    __slots__ = ("_begin", "_desks", "_initiator", "_legs", "_proving", "unasked")

    def __init__(self, begin: Callable[[bytes | None], Initiator], desks: asyncio.Semaphore) -> None:
        self._begin = begin
        self._desks = desks
        self._legs = 0
        self._initiator: Initiator | None = None
        self._proving: Proving | None = None
        self.unasked: str | None = None
        """The Authorization of the first request with a body, where the mechanism proves nothing by empty ones."""

    @property
    def established(self) -> bool:
        return self._initiator is not None and self._initiator.established

    async def shown(self, certificate: bytes | None) -> str | None:
        """The Authorization of the next empty request; None: none is needed (any more).

        *certificate* is the server's. Raises ``NoTicket`` and ``NotAdmitted``.
        """
        self._legs += 1
        if self._legs > _LEGS:
            raise NotAdmitted(f"the far end is not convinced after {_LEGS} rounds")
        if self._proving is not None:
            return await self._asked(self._proving.next, NotAdmitted)
        initiator, proving = await self._asked(lambda: self._begun(certificate), NotAdmitted)
        if initiator.established:
            self.unasked = initiator.first()
        shown = await self._asked(proving.next, NoTicket)
        self._initiator, self._proving = initiator, proving
        return shown

    async def answered(self, status: int, challenges: Sequence[str]) -> None:
        """Take the far end's reply to an empty request. Raises ``NotAdmitted``."""
        proving = self._proving
        if proving is None:
            raise NotAdmitted("the far end answered before it was shown anything")
        await self._asked(lambda: proving.take(status, challenges), NotAdmitted)

    def judged(self, status: int, challenges: Sequence[str]) -> None:
        """The far end's reply to a body. Raises ``Lapsed`` where it says that it does not know us."""
        if status not in _VERDICTS or self._initiator is None:
            return
        try:
            self._initiator.answer(status, challenges)
        except NotAuthenticated as error:
            raise Lapsed(str(error)) from error
        if status == _VERDICTS[0]:
            raise Lapsed("it wants a proof of who is calling (HTTP 401), and it was given one")

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

    def _begun(self, certificate: bytes | None) -> tuple[Initiator, Proving]:
        initiator = self._begin(certificate)
        return initiator, Proving(initiator)

    async def _asked(self, question: Callable[[], Given], trouble: type[CollectorError]) -> Given:
        try:
            async with self._desks:
                return await aside(question)
        except NotAuthenticated as error:
            raise trouble(str(error)) from error
