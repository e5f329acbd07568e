"""What tokens show on their outside: those of Windows, those of others, and bytes that are none."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.auth.der import DerError, dotted
from collector.auth.tokens import KERBEROS_OID, LONGEST, MS_KERBEROS_OID, SPNEGO_OID, Seen, TokenError, peek

NTLM_OID, NEGOEX_OID = "1.3.6.1.4.1.311.2.2.10", "1.3.6.1.4.1.311.2.2.30"
WINDOWS = (MS_KERBEROS_OID, KERBEROS_OID, NEGOEX_OID, NTLM_OID)
WINDOWS_NAMES = ("Kerberos (Microsoft)", "Kerberos", "NegoEx", "NTLM")


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 + len(length))) + length + content


def oid(name: str) -> bytes:
    first, second, *rest = map(int, name.split("."))
    content = bytes((first * 40 + second,))
    for arc in rest:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        content += bytes(reversed(groups))
    return tlv(0x06, content)


def number(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def text(value: str) -> bytes:
    return tlv(0x1B, value.encode())


def sequence(**parts: bytes) -> bytes:
    """``_0=...`` is the element [0]."""
    return tlv(0x30, b"".join(tlv(0xA0 + int(name[1:]), content) for name, content in parts.items()))


def ap_req(realm: str = "WINDOMAIN.LOCAL", *service: str, kvno: int | None = 3, enctype: int = 18) -> bytes:
    """RFC 4120 5.5.1, as far as nobody needs a key."""
    versions = {} if kvno is None else {"_1": number(kvno)}
    secret = sequence(_0=number(enctype), **versions, _2=tlv(0x04, b"\x5a" * 200))
    name = sequence(_0=number(2), _1=tlv(0x30, b"".join(map(text, service or ("HTTP", "srv.windomain.local")))))
    ticket = tlv(0x61, sequence(_0=number(5), _1=text(realm), _2=name, _3=secret))
    options = tlv(0x03, b"\0\x20\0\0\0")
    return tlv(0x6E, sequence(_0=number(5), _1=number(14), _2=options, _3=ticket, _4=secret))


def gss(mechanism: str, inner: bytes) -> bytes:
    return tlv(0x60, oid(mechanism) + inner)


def kerberos(request: bytes) -> bytes:
    return gss(KERBEROS_OID, b"\x01\x00" + request)


def negotiation(mechanisms: Sequence[str], token: bytes | None) -> bytes:
    parts = {"_0": tlv(0x30, b"".join(map(oid, mechanisms)))}
    if token is not None:
        parts["_2"] = tlv(0x04, token)
    return gss(SPNEGO_OID, tlv(0xA0, sequence(**parts)))


NTLM_1 = base64.b64decode("TlRMTVNTUAABAAAAt4II4gAAAAAAAAAAAAAAAAAAAAAKALpHAAAADw==")
NTLM_3 = base64.b64decode(
    "TlRMTVNTUAADAAAAAQABAHYAAAAAAAAAdwAAAAAAAABYAAAAAAAAAFgAAAAeAB4AWAAAABAAEAB3AAAANYqI4goAukcAAAAPmD0yQwTKWnFp1Uy4"
    "jLim4lcASQBOAC0AVAAyADEATABVAE4ANgBEAEoASwA2AAAEjYlhpb73BYOeiGamkT8s"
)
"""Of a workgroup source (protocol.md 3.5)."""


def test_the_ticket_of_a_source_says_for_whom_it_is_and_with_which_key() -> None:
    """The reasons of a refusal are a name, a realm, a key version and an encryption type: keytab against ticket."""
    seen = peek(kerberos(ap_req()))

    assert seen == Seen(
        "kerberos",
        "AP-REQ",
        (),
        "kerberos",
        "WINDOMAIN.LOCAL",
        "HTTP/srv.windomain.local",
        3,
        "aes256-cts-hmac-sha1-96",
    )
    assert seen.offers_kerberos
    assert seen.prefers_kerberos


@pytest.mark.parametrize(
    ("enctype", "name"), [(23, "arcfour-hmac"), (20, "aes256-cts-hmac-sha384-192"), (99, "type 99")]
)
def test_the_key_may_be_of_any_type_and_have_no_version(enctype: int, name: str) -> None:
    """Some KDCs write none."""
    seen = peek(kerberos(ap_req(kvno=None, enctype=enctype)))
    assert (seen.kvno, seen.enctype) == (None, name)


def test_the_mechanism_list_of_windows_is_named_in_its_order() -> None:
    """And the ticket inside is seen: Windows sends it for the first mechanism of its list."""
    seen = peek(negotiation(WINDOWS, kerberos(ap_req())))

    assert (seen.kind, seen.message, seen.mechanisms) == ("spnego", "NegTokenInit", WINDOWS_NAMES)
    assert (seen.carries, seen.service, seen.realm) == ("kerberos", "HTTP/srv.windomain.local", "WINDOMAIN.LOCAL")
    assert seen.prefers_kerberos


def test_a_list_that_begins_with_another_mechanism_does_not_prefer_kerberos() -> None:
    """It needs one leg more (dependencies.md 5.2)."""
    seen = peek(negotiation((NEGOEX_OID, KERBEROS_OID), b"NEGOEXTS" + bytes(32)))
    assert seen.offers_kerberos
    assert not seen.prefers_kerberos
    assert seen.carries == "unknown"


@pytest.mark.parametrize(
    ("token", "message", "anonymous"), [(NTLM_1, "NEGOTIATE", False), (NTLM_3, "AUTHENTICATE", True)]
)
def test_ntlm_is_known_bare_and_wrapped(token: bytes, message: str, anonymous: bool) -> None:
    """Both ways reach us, and neither may reach a library that believes them (dependencies.md 5.1)."""
    bare, wrapped = peek(token), peek(negotiation((NTLM_OID,), token))

    assert (bare.kind, bare.message, bare.carries, bare.anonymous) == ("ntlm", message, "ntlm", anonymous)
    assert (wrapped.kind, wrapped.mechanisms, wrapped.carries, wrapped.anonymous) == (
        "spnego", ("NTLM",), "ntlm", anonymous,
    )  # fmt: skip
    assert not bare.offers_kerberos
    assert not wrapped.offers_kerberos


@pytest.mark.parametrize(("state", "name"), [(0, "accept-completed"), (2, "reject"), (9, "9")])
def test_an_answer_of_spnego_says_how_it_went(state: int, name: str) -> None:
    """The calling side explains itself with it."""
    answer = tlv(0xA1, sequence(_0=tlv(0x0A, bytes((state,))), _1=oid(MS_KERBEROS_OID)))
    seen = peek(answer)
    assert (seen.message, seen.state, seen.mechanisms) == ("NegTokenResp", name, ("Kerberos (Microsoft)",))


def test_what_the_far_end_says_instead_of_an_answer_has_its_number() -> None:
    """37 is a clock that is wrong."""
    error = tlv(0x7E, sequence(_0=number(5), _1=number(30), _6=number(37)))
    assert peek(gss(KERBEROS_OID, b"\x03\x00" + error)) == Seen("kerberos", "KRB-ERROR", (), "kerberos", error=37)


def test_names_of_a_stranger_cannot_drive_a_terminal() -> None:
    """They end in the log."""
    assert peek(kerberos(ap_req("A\x1b[2J\n", "HTTP", "x\0y"))).service == "HTTP/x?y"
    assert peek(kerberos(ap_req("A\x1b[2J\n"))).realm == "A?[2J?"


@pytest.mark.parametrize(
    "token",
    [
        b"hello world",
        gss("1.2.3.4", b"whatever"),
        gss("1.3.6.1.5.2.5", b"iakerb"),
        negotiation(WINDOWS, negotiation(WINDOWS, kerberos(ap_req()))),
    ],
)
def test_what_is_no_token_of_ours_is_unknown(token: bytes) -> None:
    """SPNEGO inside SPNEGO too: nobody sends it, and depth is what an attacker would want."""
    assert peek(token).carries == "unknown"


HOSTILE = {
    "nothing": b"",
    "too much": b"\x60" * (LONGEST + 1),
    "an indefinite length": b"\x60\x80" + bytes(40),
    "a length of 126 bytes": b"\x60\xfe" + b"\xff" * 200,
    "a length that is not there": b"\x60\x84\xff\xff\xff\xff",
    "no name of a mechanism": tlv(0x60, b"\x04\x00"),
    "a name without end": tlv(0x60, tlv(0x06, b"\xff\xff")),
    "a name that is long": tlv(0x60, tlv(0x06, b"\x2a" * 33)),
    "a thousand mechanisms": negotiation((KERBEROS_OID,) * 1000, None),
    "a service of a thousand parts": kerberos(ap_req("R", *"x" * 1000)),
    "a realm of a thousand letters": kerberos(ap_req("R" * 1000)),
    "a key version of 100 digits": kerberos(ap_req(kvno=10**100)),
    "the same element twice": gss(SPNEGO_OID, tlv(0xA0, tlv(0x30, tlv(0xA0, tlv(0x30, b"")) * 2))),
    "kerberos that is another message": gss(KERBEROS_OID, b"\x01\x00" + tlv(0x6F, b"")),
    "kerberos without a ticket": kerberos(tlv(0x6E, sequence(_0=number(5)))),
    "ntlm without a number": b"NTLMSSP\0",
    "ntlm with another number": b"NTLMSSP\0" + bytes(40),
    "a mechanism that is none": gss(SPNEGO_OID, tlv(0xA0, sequence(_0=tlv(0x30, number(1))))),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_begins_like_a_token_and_is_none_is_refused(kind: str) -> None:
    """With a sentence, and without a byte of it: what is printed may be used."""
    with pytest.raises(TokenError) as refusal:
        peek(HOSTILE[kind])
    assert len(str(refusal.value)) < 150
    assert "RRR" not in str(refusal.value)


REAL = [kerberos(ap_req()), negotiation(WINDOWS, kerberos(ap_req())), NTLM_1, NTLM_3, negotiation((NTLM_OID,), NTLM_3)]


@given(st.binary(max_size=300) | st.sampled_from([b"\x60", b"\x6e", b"\xa1", b"NTLMSSP\0"]).flatmap(
    lambda start: st.binary(max_size=200).map(lambda rest: start + rest)))  # fmt: skip
def test_arbitrary_bytes_end_in_one_error(token: bytes) -> None:
    """They come from whoever can reach the port."""
    try:
        peek(token)
    except TokenError:
        return


@given(token=st.sampled_from(REAL), draw=st.data())
def test_mutated_tokens_end_in_one_error(token: bytes, draw: st.DataObject) -> None:
    """Cut, lengthened, changed in the middle: whoever fuzzes begins with a real one."""
    mutable = bytearray(token)
    for _ in range(draw.draw(st.integers(1, 4))):
        mutable[draw.draw(st.integers(0, len(token) - 1))] = draw.draw(st.integers(0, 255))
    try:
        peek(bytes(mutable[: draw.draw(st.integers(1, len(token)))]))
    except TokenError:
        return


@pytest.mark.parametrize("token", REAL[:2])
def test_a_ticket_cut_anywhere_is_refused(token: bytes) -> None:
    """Definite lengths leave no doubt."""
    for size in range(1, len(token)):
        with pytest.raises(TokenError):
            peek(token[:size])


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=8))
def test_object_identifiers_come_back_as_they_were_written(arcs: list[int]) -> None:
    """X.690 8.19: seven bits a byte, the first two arcs in one."""
    name = ".".join(map(str, (1, 3, *arcs)))
    assert dotted(memoryview(oid(name)[2:])) == name


def test_an_empty_object_identifier_is_none() -> None:
    """A name has at least one byte."""
    with pytest.raises(DerError):
        dotted(memoryview(b""))
