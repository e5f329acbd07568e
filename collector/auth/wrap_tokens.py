"""What the header of a sealed message says without its key: whose it is, its flags, its number.

For ``wef decode``: a gap in the numbers of a capture is a message that never came. It opens nothing, and knows no
framing. RFC 4121 4.2.6.2 (AES), RFC 4757 7.3 (RC4), [MS-NLMP] 2.2.2.9.1 (NTLM).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collector.auth.der import OID, DerError, dotted, element
from collector.auth.tokens import KERBEROS_OID

_CFX, _CFX_SIZE = b"\x05\x04", 16
_ACCEPTOR, _SEALED, _SUBKEY = 1, 2, 4
_NTLM, _NTLM_SIZE = b"\x01\0\0\0", 16
_WRAP = b"\x02\x01"
_RC4_SEAL, _NO_SEAL = b"\x10\x00", b"\xff\xff"


@dataclass(frozen=True, slots=True)
class WrapToken:
    """*kind*: AES (what RFC 4121 calls CFX; any encryption type since), RC4, NTLM, or unknown. None: the kind does
    not say it in clear. *extra* and *rotation* are EC and RRC, in bytes.
    """

    kind: Literal["AES", "RC4", "NTLM", "unknown"]
    sequence: int | None = None
    sealed: bool | None = None
    by_acceptor: bool | None = None
    acceptor_subkey: bool | None = None
    extra: int | None = None
    rotation: int | None = None


def wrap_token(header: bytes) -> WrapToken:
    """What *header*, the security header of a sealed body, says. It never raises: what is strange is unknown."""
    if header.startswith(_CFX) and len(header) >= _CFX_SIZE:
        flags = header[2]
        return WrapToken(
            "AES",
            int.from_bytes(header[8:16], "big"),
            bool(flags & _SEALED),
            bool(flags & _ACCEPTOR),
            bool(flags & _SUBKEY),
            int.from_bytes(header[4:6], "big"),
            int.from_bytes(header[6:8], "big"),
        )
    if header.startswith(_NTLM) and len(header) == _NTLM_SIZE:
        return WrapToken("NTLM", int.from_bytes(header[12:16], "little"))
    return _framed(header)


def _framed(header: bytes) -> WrapToken:
    """RFC 1964 1.2.2 and RFC 4757 7.3: GSS-API framing, whose length counts the ciphertext too."""
    start = 2 + (header[1] & 0x7F if header[1:2] > b"\x80" else 0) if len(header) > 1 else 0
    try:
        tag, name, rest = element(memoryview(header)[start:])
        kerberos = header[:1] == b"\x60" and tag == OID and dotted(name) == KERBEROS_OID
    except DerError:
        return WrapToken("unknown")
    if not kerberos or bytes(rest[:2]) != _WRAP or bytes(rest[4:6]) not in (_RC4_SEAL, _NO_SEAL):
        return WrapToken("unknown")
    return WrapToken("RC4", sealed=bytes(rest[4:6]) == _RC4_SEAL)
