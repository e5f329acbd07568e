"""How a Windows source's words travel: one HTTP connection, one POST for each message.

It knows charsets and SLDC and what a pretend source makes of a failure, and nothing of what the messages mean. HTTP,
TLS, proofs and seals are ``collector.wire``'s.
"""

from __future__ import annotations

import contextlib
import errno
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from collector.errors import CollectorError
from collector.kernel import sldc
from collector.simulate.charset import Charset
from collector.simulate.descriptors import exhausted
from collector.wire.connection import Connection, Ways
from collector.wire.proof import Proof
from collector.wire.text import decoded
from collector.wire.trouble import Trouble

ANSWER_LIMIT = 16 * 2**20
"""Bytes of the longest answer read. Real ones end at MaxEnvelopeSize (512000); a collector with hundreds of
subscriptions may need more, and one that never stops talking shall not fill our memory."""
UNAUTHORIZED = 401


class Unreachable(CollectorError):
    """No answer: no connection, a broken one, or none in time."""


class NotConnected(Unreachable):
    """No connection came about: nothing was sent."""


class NotTrusted(NotConnected):
    """The TLS handshake failed: one side does not accept the other's certificate."""


class Unproven(NotConnected):
    """We have no ticket to show: the trouble is on our side."""


class TurnedAway(NotConnected):
    """The far end does not take our proof, or did not prove who it is. No message was sent."""


_NOT_SENT: dict[str, type[NotConnected]] = {
    "ticket": Unproven,
    "authentication": TurnedAway,
    "tls": NotTrusted,
    "certificate": NotTrusted,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status and its text, decoded (``""`` for none)."""

    status: int
    text: str


class Wire:
    """One connection to one URL: opened by the first message, kept until ``close``.

    *timeout* is in seconds and covers a whole exchange. *prove* makes a proof for each connection; None: nothing is
    proven, or the TLS *context* does. *ways* is what the connections of a fleet share.
    """

    def __init__(
        self,
        url: str,
        charset: Charset,
        context: ssl.SSLContext | None,
        timeout: float,
        prove: Callable[[], Proof] | None = None,
        ways: Ways | None = None,
    ) -> None:
        self._charset = charset
        self._connection = Connection(url, context=context, prove=prove, timeout=timeout, limit=ANSWER_LIMIT, ways=ways)

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def post(self, text: str, *, claims_sldc: bool = False, compressed: bool = False) -> Answer:
        """Send *text* and return the answer. Raises ``Unreachable``.

        *claims_sldc* sets Content-Encoding, *compressed* compresses: the End after a SubscriptionEnd does
        the first without the second (captured).
        """
        try:
            return await self._said(text, claims_sldc, compressed)
        except Trouble as trouble:
            if not (trouble.sent and trouble.status == UNAUTHORIZED):
                return _answered(trouble)
        try:  # the far end has lost the session and took nothing: once more on a new connection
            return await self._said(text, claims_sldc, compressed)
        except Trouble as trouble:
            return _answered(trouble)

    async def cut_off(self, text: str, *, claims_sldc: bool = False, compressed: bool = False) -> None:
        """Send the head and half of the body for *text*, then drop the connection, as a power cut does."""
        with contextlib.suppress(Trouble):
            await self._connection.tear(
                self._body(text, compressed), self._charset.content_type, headers=_claim(claims_sldc)
            )
        await self.close()

    async def close(self) -> None:
        await self._connection.close()

    async def _said(self, text: str, claims_sldc: bool, compressed: bool) -> Answer:
        # a Windows source claims SLDC on an event connection from its first request on (captured)
        body = self._body(text, compressed)
        answer = await self._connection.post(body, self._charset.content_type, headers=_claim(claims_sldc))
        text = decoded(answer)
        self._connection.release()
        return Answer(answer.status, text)

    def _body(self, text: str, compressed: bool) -> bytes:
        body = self._charset.encode(text)
        return sldc.encode(body) if compressed else body


def _claim(sldc: bool) -> dict[str, str]:
    return {"Content-Encoding": "SLDC"} if sldc else {}


def _answered(trouble: Trouble) -> Answer:
    """What a source makes of it: an answer after all, or an error."""
    cause = trouble.__cause__
    if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
        raise exhausted() from trouble
    if not trouble.sent and trouble.reason == "http" and trouble.status:
        return Answer(trouble.status, "")  # to the proof: too busy, say
    kind = Unreachable if trouble.sent else _NOT_SENT.get(trouble.reason, NotConnected)
    raise kind(str(trouble)) from trouble
