"""What a token says on its outside, without any key: for the reason in a log, and to choose who looks closer.

Nothing in a token is proven before a mechanism has accepted it, so this room decides nothing; it knows no
GSS-API, no HTTP, no base64. Token bytes go into no message: a ticket may be shown again by who finds it.
It reads what peers send (protocol.md 3.2-3.5): GSS-API framing (RFC 2743 3.1), SPNEGO ([MS-SPNG], RFC 4178
4.2), Kerberos (RFC 4121 4.1, RFC 4120 5.5.1 and 5.9.1), and NTLM ([MS-NLMP] 2.2.1), bare and inside SPNEGO.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from collector.auth.der import (
    ENUMERATED,
    OCTETS,
    OID,
    SEQUENCE,
    DerError,
    context,
    dotted,
    element,
    elements,
    fields,
    inside,
    integer,
)
from collector.auth.keytab import ENCRYPTION
from collector.errors import CollectorError

Kind = Literal["kerberos", "spnego", "ntlm", "unknown"]

KERBEROS_OID, MS_KERBEROS_OID = "1.2.840.113554.1.2.2", "1.2.840.48018.1.2.2"
SPNEGO_OID = "1.3.6.1.5.5.2"
MECHANISMS = {
    KERBEROS_OID: "Kerberos",
    MS_KERBEROS_OID: "Kerberos (Microsoft)",  # Windows 2000 lost a bit, and everybody kept it ([MS-SPNG] 3.1.5.2)
    "1.2.840.113554.1.2.2.3": "Kerberos user to user",
    SPNEGO_OID: "SPNEGO",
    "1.3.6.1.4.1.311.2.2.10": "NTLM",
    "1.3.6.1.4.1.311.2.2.30": "NegoEx",
    "1.3.6.1.5.2.5": "IAKerb",
}
"""Names of what SPNEGO negotiates."""
_KERBEROS = ("Kerberos", "Kerberos (Microsoft)")
STATES = {0: "accept-completed", 1: "accept-incomplete", 2: "reject", 3: "request-mic"}  # RFC 4178 4.2.2
_GSS, _TICKET, _AP_REQ, _AP_REP, _ERROR = 0x60, 0x61, 0x6E, 0x6F, 0x7E
_GSS_KERBEROS = {b"\x01\x00": _AP_REQ, b"\x02\x00": _AP_REP, b"\x03\x00": _ERROR}  # RFC 4121 4.1
_NTLM, _NEGOEX = b"NTLMSSP\0", b"NEGOEXTS"
_NTLM_MESSAGES = {1: "NEGOTIATE", 2: "CHALLENGE", 3: "AUTHENTICATE"}
_GENERAL_STRING = 0x1B
_MOST_MECHANISMS, _MOST_COMPONENTS, _LONGEST_NAME = 32, 8, 256
LONGEST = 1 << 17
"""Bytes. Windows stops at 48,000 (MaxTokenSize), a request header of ours at this."""


class TokenError(CollectorError):
    """The token is none: cut short, or its lengths lie."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a token shows.

    *message* is its name in its specification, "" when unknown. *mechanisms* are those that SPNEGO offers or
    names, in order. *carries* is whose token is really inside (*kind* itself where nothing is wrapped, None where
    SPNEGO carries none). *realm*, *service* (``HTTP/wec.corp.example``), *kvno* and *enctype* are the outside of the
    ticket in an AP-REQ: for whom, and the key it was made with. *state* is SPNEGO's, *error* Kerberos' number
    (RFC 4120 7.5.9). *anonymous*: NTLM that names no user.
    """

    kind: Kind
    message: str = ""
    mechanisms: tuple[str, ...] = ()
    carries: Kind | None = None
    realm: str = ""
    service: str = ""
    kvno: int | None = None
    enctype: str = ""
    state: str | None = None
    error: int | None = None
    anonymous: bool = False

    @property
    def offers_kerberos(self) -> bool:
        return self.carries == "kerberos" or any(name in _KERBEROS for name in self.mechanisms)

    @property
    def prefers_kerberos(self) -> bool:
        """Kerberos is what it begins with: its token is inside, or would be if one were."""
        if self.carries is not None and not self.mechanisms:
            return self.carries == "kerberos"
        return bool(self.mechanisms) and self.mechanisms[0] in _KERBEROS


def peek(token: bytes, *, ticket: bool = True) -> Seen:
    """What *token* shows. Raises ``TokenError``, and nothing else; what begins like no token is of kind "unknown".

    Without *ticket* a ticket stays unread: half of the work, and only a reason needs it.
    """
    if not 0 < len(token) <= LONGEST:
        raise TokenError(f"the token has {len(token)} bytes; 1 to {LONGEST} are possible")
    try:
        return _seen(memoryview(token), wrapped=False, ticket=ticket)
    except DerError as error:
        raise TokenError(f"the token cannot be read: {error}") from error


def _seen(token: memoryview, *, wrapped: bool, ticket: bool) -> Seen:
    """*wrapped*: inside SPNEGO, where no other SPNEGO can be."""
    start = bytes(token[:8])
    if start == _NTLM:
        return _ntlm(token)
    if start == _NEGOEX:
        return Seen("unknown", "NegoEx", carries="unknown")
    if start[:1] in (b"\x6e", b"\x6f", b"\x7e"):
        return _kerberos(token, ticket)
    if token[0] == _GSS:
        return _framed(inside(token, _GSS), wrapped, ticket)
    if not wrapped and token[0] == context(1):
        return _negotiation_answer(inside(inside(token, context(1)), SEQUENCE), ticket)
    return Seen("unknown", carries="unknown")


def _framed(content: memoryview, wrapped: bool, ticket: bool) -> Seen:
    """RFC 2743 3.1: a mechanism's OID, and then what the mechanism likes."""
    tag, oid, rest = element(content)
    if tag != OID:
        raise DerError("a GSS-API token does not begin with the name of its mechanism")
    mechanism = dotted(oid)
    if mechanism == SPNEGO_OID and not wrapped:
        return _negotiation_start(inside(inside(rest, context(0)), SEQUENCE), ticket)
    if mechanism not in (KERBEROS_OID, MS_KERBEROS_OID):
        return Seen("unknown", MECHANISMS.get(mechanism, ""), carries="unknown")
    expected = _GSS_KERBEROS.get(bytes(rest[:2]))
    if expected is None or rest[2:3] != bytes((expected,)):
        raise DerError("a Kerberos token is none of AP-REQ, AP-REP and KRB-ERROR")
    return _kerberos(rest[2:], ticket)


def _negotiation_start(content: memoryview, ticket: bool) -> Seen:
    """NegTokenInit, RFC 4178 4.2.1; NegTokenInit2 of [MS-SPNG] 2.2.1 differs behind what is read here."""
    parts = fields(content)
    names: tuple[str, ...] = ()
    if context(0) in parts:
        listed = elements(inside(parts[context(0)], SEQUENCE), _MOST_MECHANISMS)
        names = tuple(_mechanism(tag, oid) for tag, oid in listed)
    return _with_inner(Seen("spnego", "NegTokenInit", names), parts.get(context(2)), ticket)


def _negotiation_answer(content: memoryview, ticket: bool) -> Seen:
    """NegTokenResp, RFC 4178 4.2.2."""
    parts = fields(content)
    state: str | None = None
    names: tuple[str, ...] = ()
    if context(0) in parts:
        number = integer(parts[context(0)], ENUMERATED)
        state = STATES.get(number, str(number))
    if context(1) in parts:
        names = (_mechanism(*element(parts[context(1)])[:2]),)
    return _with_inner(Seen("spnego", "NegTokenResp", names, state=state), parts.get(context(2)), ticket)


def _mechanism(tag: int, oid: memoryview) -> str:
    if tag != OID:
        raise DerError("the list of mechanisms holds something else")
    name = dotted(oid)
    return MECHANISMS.get(name, name)


def _with_inner(outer: Seen, octets: memoryview | None, ticket: bool) -> Seen:
    if octets is None or not (token := inside(octets, OCTETS)):
        return outer
    return replace(
        _seen(token, wrapped=True, ticket=ticket),
        kind=outer.kind,
        message=outer.message,
        mechanisms=outer.mechanisms,
        state=outer.state,
    )


def _kerberos(message: memoryview, ticket: bool) -> Seen:
    tag, content, _ = element(message)
    if tag == _AP_REQ:
        if not ticket:
            return Seen("kerberos", "AP-REQ", carries="kerberos")
        parts = fields(inside(content, SEQUENCE))
        return _ticket(Seen("kerberos", "AP-REQ", carries="kerberos"), _part(parts, 3, "ticket"))
    if tag == _ERROR:
        code = integer(_part(fields(inside(content, SEQUENCE)), 6, "error code"))
        return Seen("kerberos", "KRB-ERROR", carries="kerberos", error=code)
    return Seen("kerberos", "AP-REP", carries="kerberos")


def _ticket(request: Seen, content: memoryview) -> Seen:
    """RFC 4120 5.3: everything but what is encrypted."""
    parts = fields(inside(inside(content, _TICKET), SEQUENCE))
    name = fields(inside(_part(parts, 2, "service"), SEQUENCE))
    components = elements(inside(_part(name, 1, "name"), SEQUENCE), _MOST_COMPONENTS)
    secret = fields(inside(_part(parts, 3, "encrypted part"), SEQUENCE))
    number = integer(_part(secret, 0, "encryption type"))
    return replace(
        request,
        realm=_text(*element(_part(parts, 1, "realm"))[:2]),
        service="/".join(_text(tag, component) for tag, component in components),
        kvno=integer(secret[context(1)]) if context(1) in secret else None,
        enctype=ENCRYPTION.get(number, f"type {number}"),
    )


def _part(parts: dict[int, memoryview], number: int, what: str) -> memoryview:
    if context(number) not in parts:
        raise DerError(f"a Kerberos message has no {what}")
    return parts[context(number)]


def _text(tag: int, content: memoryview) -> str:
    """A name, in letters that a log can show. KerberosString says ASCII, Windows writes UTF-8 ([MS-KILE] 3.1.5.7)."""
    if tag != _GENERAL_STRING or len(content) > _LONGEST_NAME:
        raise DerError(f"a name is no string of at most {_LONGEST_NAME} bytes")
    return "".join(letter if letter.isprintable() else "?" for letter in bytes(content).decode("utf-8", "replace"))


def _ntlm(token: memoryview) -> Seen:
    """[MS-NLMP] 2.2.1: a signature, a number, and in AUTHENTICATE (2.2.1.3) the length of the user's name at 36."""
    number = int.from_bytes(token[8:12], "little")
    name = _NTLM_MESSAGES.get(number)
    if name is None or len(token) < 12:
        raise DerError("an NTLM token is none of its three messages")
    anonymous = number == 3 and len(token) >= 38 and not any(token[36:38])
    return Seen("ntlm", name, carries="ntlm", anonymous=anonymous)
