"""A member of a domain, as raw as it gets: gssapi and bytes, nothing of our client role.

``Member`` holds a machine's credentials; ``Session`` is one handshake and what is sealed with it. The framing is
spelled here once more, so that ours is not only read by itself.
"""

from __future__ import annotations

import base64
import importlib.util
import re
import struct
from pathlib import Path
from typing import Any

from collector.config.settings import ListenerSettings
from tests.conftest import absent
from tests.listener.speaking import Answer, Talk
from tests.servers.kdc import Kdc

if importlib.util.find_spec("gssapi") is None:
    absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")

import gssapi
import gssapi.raw

KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
MECHANISM = {"Kerberos": KRB5, "Negotiate": SPNEGO}
PROTOCOL = {
    "Kerberos": "application/HTTP-Kerberos-session-encrypted",
    "Negotiate": "application/HTTP-SPNEGO-session-encrypted",
}
FLAG = gssapi.RequirementFlag
AS_WINDOWS = (
    FLAG.mutual_authentication
    | FLAG.confidentiality
    | FLAG.integrity
    | FLAG.replay_detection
    | FLAG.out_of_sequence_detection
)
SERVICE = "HTTP/localhost@WEF.TEST"


def taking(kdc: Kdc, *words: str, keytab: Path | None = None, **more: Any) -> ListenerSettings:
    """A listener over plain http, or what *more* says, with the keytab of HTTP/localhost."""
    chosen: dict[str, Any] = {
        "transport": "http",
        "address": "127.0.0.1",
        "port": 0,
        "authentication": list(words or ("kerberos", "negotiate")),
        "keytab": keytab or kdc.keytab("HTTP/localhost"),
    }
    return ListenerSettings.model_construct(**chosen | more)


class Member:
    """A principal of *kdc* with its own keytab and a cache in memory: ``Member(kdc, "pc01$")``."""

    def __init__(self, kdc: Kdc, principal: str) -> None:
        self.principal = kdc.full(principal)
        store = {"client_keytab": str(kdc.keytab(principal)), "ccache": f"MEMORY:{id(kdc)}-{principal}"}
        name = gssapi.Name(self.principal, gssapi.NameType.kerberos_principal)
        self._credentials = gssapi.Credentials(usage="initiate", name=name, store=store)

    def session(
        self,
        scheme: str = "Kerberos",
        service: str = SERVICE,
        *,
        binding: bytes | None = None,
        flags: Any = AS_WINDOWS,
        mechanism: gssapi.OID | None = None,
    ) -> Session:
        context = gssapi.SecurityContext(
            name=gssapi.Name(service, gssapi.NameType.kerberos_principal),
            creds=self._credentials,
            usage="initiate",
            mech=mechanism or MECHANISM[scheme],
            flags=flags,
            channel_bindings=gssapi.raw.ChannelBindings(application_data=binding) if binding else None,
        )
        return Session(context, scheme)


class Session:
    """One handshake from the calling side, and its session key."""

    def __init__(self, context: gssapi.SecurityContext, scheme: str = "Kerberos") -> None:
        self.context = context
        self.scheme = scheme
        self.protocol = PROTOCOL[scheme]

    def authorization(self, token: bytes | None = None) -> str:
        """The Authorization value of the next leg, or with *token* instead."""
        return f"{self.scheme} {base64.b64encode(token or self.context.step()).decode()}"

    def take(self, answer: Answer) -> None:
        """The token that came back, which proves the other side."""
        scheme, _, token = answer.headers["www-authenticate"].partition(" ")
        assert scheme == self.scheme
        self.context.step(base64.b64decode(token))
        assert self.context.complete

    async def prove(self, talk: Talk) -> Answer:
        """As Windows begins: an empty request with a token, before anybody asked."""
        answer = await talk.post(b"", Authorization=self.authorization())
        if answer.status == 200:
            self.take(answer)
        return answer

    def sealed(self, plain: bytes, *, charset: str = "UTF-8", indent: str = "", dashes: str = "--") -> bytes:
        kind = gssapi.raw.IOVBufferType
        iov = gssapi.raw.IOV(
            (kind.header, True, None), (kind.data, False, plain), (kind.padding, True, None), std_layout=False
        )
        gssapi.raw.wrap_iov(self.context, iov, confidential=True)
        padding = iov[2].value or b""
        size = len(plain) + len(padding)
        body: bytes = (
            f"{dashes}Encrypted Boundary\r\n{indent}Content-Type: {self.protocol}\r\n"
            f"{indent}OriginalContent: type=application/soap+xml;charset={charset};Length={size}\r\n"
            f"{dashes}Encrypted Boundary\r\n{indent}Content-Type: application/octet-stream\r\n"
        ).encode() + (
            struct.pack("<I", len(iov[0].value)) + iov[0].value + iov[1].value + padding
            + f"{dashes}Encrypted Boundary--\r\n".encode()
        )  # fmt: skip
        return body

    @property
    def content_type(self) -> str:
        return f'multipart/encrypted;protocol="{self.protocol}";boundary="Encrypted Boundary"'

    async def say(self, talk: Talk, text: str, charset: str = "UTF-8", **headers: str) -> Answer:
        """*text* sealed; the reply as it came."""
        plain = b"\xff\xfe" + text.encode("utf-16-le") if charset == "UTF-16" else text.encode()
        body = self.sealed(plain, charset=charset)
        return await talk.post(body, **{"Content_Type": self.content_type, **headers})

    def opened(self, answer: Answer, indent: str = "") -> str:
        """The text of a sealed reply, whose framing must be what *indent* says."""
        head = (
            f"--Encrypted Boundary\r\n{indent}Content-Type: {self.protocol}\r\n"
            f"{indent}OriginalContent: type=application/soap\\+xml;charset=(UTF-16|UTF-8);Length=(\\d+)\r\n"
            f"--Encrypted Boundary\r\n{indent}Content-Type: application/octet-stream\r\n"
        )
        found = re.match(head.encode(), answer.body)
        assert found is not None, answer.body[:300]
        assert answer.headers["content-type"] == self.content_type
        sealed, rest = answer.body[found.end() :], b"--Encrypted Boundary--\r\n"
        assert sealed.endswith(rest)
        result = gssapi.raw.unwrap(self.context, sealed[4 : -len(rest)])
        assert result.encrypted
        plain: bytes = result.message
        assert int(found[2]) - len(plain) in (0, 1)  # RC4 pads one byte
        return plain.decode("utf-8" if found[1] == b"UTF-8" else "utf-16")
