"""Whom initiators talk to: our own gate, an acceptor that nobody here wrote, and some that do wrong.

A far end is one connection, without HTTP: a request's Authorization and body in, a reply out.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from collector.auth.base import Admitted, Continue, Visitor
from collector.auth.gate import Gate
from collector.auth.initiator import Initiator, Proving
from collector.auth.mechanisms import MECHANISMS
from collector.clock import ManualClock
from collector.config.settings import ListenerSettings
from collector.wsman import sealing

CLEAR = "application/soap+xml;charset=UTF-16"
LIMIT = 2**20


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    challenges: Sequence[str] = ()
    content_type: str = ""
    body: bytes = b""


class FarEnd(Protocol):
    def reply(self, authorization: str | None, content_type: str = "", body: bytes = b"") -> Reply: ...


def prove(initiator: Initiator, far_end: FarEnd) -> list[str]:
    """The requests before the first body; what was shown in them."""
    proving, shown = Proving(initiator), []
    while (authorization := proving.next()) is not None:
        shown.append(authorization)
        reply = far_end.reply(authorization)
        proving.take(reply.status, reply.challenges)
    return shown


def exchange(initiator: Initiator, far_end: FarEnd, plain: bytes) -> bytes:
    """What the far end answers to *plain*, both sealed where the initiator has a key. Raises as it does."""
    if initiator.seal is None:
        reply = far_end.reply(None, CLEAR, plain)
    else:
        style = sealing.SealStyle(initiator.seal.protocol)
        reply = far_end.reply(None, *sealing.sealed_body(initiator.seal, plain, "UTF-16", style))
    initiator.answer(reply.status, reply.challenges)
    if initiator.seal is None:
        return reply.body
    return sealing.open_sealed(reply.body, reply.content_type, initiator.seal, LIMIT)[0]


class OurFarEnd:
    """A connection to a listener of ours; answers each body with itself, twice."""

    def __init__(self, keytab: Path, *, secure: bool = False, binding: bytes | None = None, **settings: Any) -> None:
        listener = ListenerSettings.model_construct(keytab=keytab, **{"cbt_hardening": "relaxed", **settings})
        clock = ManualClock()
        self.gate = Gate([MECHANISMS[name](listener, clock) for name in ("kerberos", "negotiate")], clock)
        self.visitor = Visitor("192.0.2.7", secure, None, binding)
        self.verdict: object = None

    def reply(self, authorization: str | None, content_type: str = "", body: bytes = b"") -> Reply:
        self.verdict = verdict = self.gate.admit(self.visitor, authorization or "")
        match verdict:
            case Admitted(_, token):
                return replace(self._answer(content_type, body), challenges=[token] if token else [])
            case Continue(challenge):
                return Reply(401, [challenge])
            case _:
                return Reply(401, self.gate.challenges)

    def _answer(self, content_type: str, body: bytes) -> Reply:
        seal = self.visitor.seal
        if not body or seal is None or self.visitor.secure:
            return Reply(200, content_type=content_type, body=2 * body)
        plain, _, style = sealing.open_sealed(body, content_type, seal, LIMIT)
        return Reply(200, (), *sealing.sealed_body(seal, 2 * plain, "UTF-16", style))


class ForeignFarEnd:
    """pyspnego's acceptor, which has a SPNEGO of its own, and a framing written from the specification.

    It finds its keytab in KRB5_KTNAME and nowhere else.
    """

    def __init__(self, scheme: str, binding: bytes | None = None) -> None:
        import spnego
        from spnego.channel_bindings import GssChannelBindings

        self.scheme = scheme
        self.context = spnego.server(
            hostname="wec.wef.test",
            service="HTTP",
            protocol=scheme.lower(),
            channel_bindings=GssChannelBindings(application_data=binding) if binding else None,
            options=spnego.NegotiateOptions.wrapping_winrm,
        )

    def reply(self, authorization: str | None, content_type: str = "", body: bytes = b"") -> Reply:
        if authorization is not None:
            scheme, _, text = authorization.partition(" ")
            assert scheme == self.scheme
            token = self.context.step(base64.b64decode(text, validate=True))
            spelled = f"{scheme} {base64.b64encode(token or b'').decode()}".strip()
            return Reply(200 if self.context.complete else 401, ['Basic realm="WSMAN, Kerberos"', spelled])
        word = "SPNEGO" if self.scheme == "Negotiate" else "Kerberos"
        assert f'protocol="application/HTTP-{word}-session-encrypted"' in content_type
        sealed = body.partition(b"application/octet-stream\r\n")[2].removesuffix(b"--Encrypted Boundary--\r\n")
        (size,) = struct.unpack_from("<I", sealed)
        plain = self.context.unwrap_winrm(sealed[4 : 4 + size], sealed[4 + size :])
        answer = self.context.wrap_winrm(2 * plain)
        length = len(2 * plain) + answer.padding_length
        front = (
            "--Encrypted Boundary\r\n"
            f"\tContent-Type: application/HTTP-{word}-session-encrypted\r\n"
            f"\tOriginalContent: type=application/soap+xml;charset=UTF-16;Length={length}\r\n"
            "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
        ).encode()
        parts = [
            front,
            struct.pack("<I", len(answer.header)),
            answer.header,
            answer.data,
            b"--Encrypted Boundary--\r\n",
        ]
        return Reply(200, (), content_type, b"".join(parts))


class Crooked:
    """Another far end, whose replies go through *bend* before they leave."""

    def __init__(self, straight: FarEnd, bend: Callable[[Reply], Reply]) -> None:
        self._straight = straight
        self._bend = bend

    def reply(self, authorization: str | None, content_type: str = "", body: bytes = b"") -> Reply:
        return self._bend(self._straight.reply(authorization, content_type, body))


class Fixed:
    """Answers everything alike, as far ends do that never looked."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def reply(self, authorization: str | None, content_type: str = "", body: bytes = b"") -> Reply:
        return self._reply
