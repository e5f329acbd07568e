"""The framing of sealed bodies: every style that peers write is read, and nothing else opens."""

from __future__ import annotations

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from collector.kernel import sldc
from collector.wsman.payload import PayloadError, close_payload, open_payload
from collector.wsman.sealing import (
    BOUNDARY,
    KERBEROS,
    SPNEGO,
    SealError,
    SealStyle,
    _any_front,
    _outer,
    open_sealed,
    read_frame,
    sealed_body,
)
from tests.wsman.sealed import PaperSeal

LIMIT = 1 << 20
XML = "<a>é</a>"
UTF_16 = b"\xff\xfe" + XML.encode("utf-16-le")
STYLES = [
    SealStyle(protocol, indent, blank)
    for protocol in (KERBEROS, SPNEGO)
    for indent in ("", "\t")
    for blank in (False, True)
]
TYPE = f'multipart/encrypted;protocol="{SPNEGO}";boundary="{BOUNDARY}"'


def framed(plain: bytes = UTF_16, style: SealStyle | None = None, padding: int = 0) -> tuple[str, bytes]:
    style = style or SealStyle(SPNEGO)
    return sealed_body(PaperSeal(style.protocol, padding), plain, "UTF-16", style)


def opened(body: bytes, content_type: str = TYPE, padding: int = 0) -> bytes:
    return open_sealed(body, content_type, PaperSeal(padding=padding), LIMIT)[0]


@pytest.mark.parametrize("style", STYLES)
@given(plain=st.binary(max_size=300), padding=st.sampled_from([0, 1, 8]))
def test_what_is_framed_in_any_style_is_read_and_its_style_known(style: SealStyle, plain: bytes, padding: int) -> None:
    """The reply mirrors the style: pypsrp reads nothing without the TAB, Windows writes none."""
    content_type, body = framed(plain, style, padding)

    assert open_sealed(body, content_type, PaperSeal(style.protocol, padding), LIMIT) == (
        plain,
        "application/soap+xml;charset=UTF-16",
        style,
    )


def test_the_layout_is_that_of_windows_byte_by_byte() -> None:
    """The overheads of protocol.md 3.8, measured on captures: 302 and 300 bytes around a four-digit length."""
    for protocol, overhead in ((KERBEROS, 302), (SPNEGO, 300)):
        content_type, body = framed(bytes(3240), SealStyle(protocol))
        assert len(body) - 16 + 60 == 3240 + overhead  # the paper's header has 16 bytes, that of AES 60
        assert content_type == f'multipart/encrypted;protocol="{protocol}";boundary="Encrypted Boundary"'
    assert len(framed(bytes(3240), SealStyle(SPNEGO, "\t"))[1]) == len(body) + 3


@pytest.mark.parametrize(
    "content_type",
    [
        f"Multipart/Encrypted ; Protocol = {SPNEGO} ; BOUNDARY = {BOUNDARY}",
        f'multipart/encrypted;boundary="{BOUNDARY}";protocol="{SPNEGO.upper()}"',
        f'multipart/encrypted;\tprotocol="{SPNEGO}"; boundary="{BOUNDARY.lower()}"; more=1',
    ],
)
def test_the_header_is_read_however_it_is_spelled(content_type: str) -> None:
    """Names in any case, blanks, quotes or none (protocol.md 14.2)."""
    assert opened(framed()[1], content_type) == UTF_16


def test_any_boundary_of_the_header_is_taken() -> None:
    """Also one that means something in a regular expression."""
    body = framed()[1].replace(BOUNDARY.encode(), b"(.*;")
    assert opened(body, TYPE.replace(BOUNDARY, "(.*;")) == UTF_16


@pytest.mark.parametrize("ending", [b"--Encrypted Boundary--", b"--Encrypted Boundary\r\n", b"-- Encrypted Boundary"])
def test_the_closing_line_may_lack_its_ends(ending: bytes) -> None:
    """txwinrm closes without the last dashes; others without CR LF."""
    assert opened(framed()[1].removesuffix(b"--Encrypted Boundary--\r\n") + ending) == UTF_16


@given(
    inside=st.sampled_from(
        [b"--Encrypted Boundary--\r\n", b"--Encrypted Boundary\r\n\tContent-Type: x\r\n", b"-", b"\r\n"]
    )
)
def test_ciphertext_may_contain_boundaries(inside: bytes) -> None:
    """It is random bytes; one day it will."""
    content_type, body = framed(bytes(byte ^ 0xFF for byte in b"x" + inside * 3))
    assert inside * 3 in body
    assert opened(body, content_type) == bytes(byte ^ 0xFF for byte in b"x" + inside * 3)


def changed(old: bytes, new: bytes) -> bytes:
    body = framed()[1]
    assert old in body
    return body.replace(old, new)


LENGTH = b"Length=%d" % len(UTF_16)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "part headers"),
        (framed()[1][:-30], "cut"),
        (framed()[1] + b"more", "cut"),
        (changed(LENGTH, b"Length=9"), "announces 9 bytes, and 18 are there"),
        (changed(LENGTH, b"Length=19"), "announces 19 bytes, and 18 are there"),
        (changed(LENGTH, b"Length=-1"), "no Length"),
        (changed(LENGTH, b"Length=\xb2"), "no Length"),
        (changed(b";" + LENGTH, b""), "no Length"),
        (changed(b"OriginalContent", b"Content-Type"), "twice"),
        (changed(b"OriginalContent", b"Original"), "no OriginalContent"),
        (changed(SPNEGO.encode(), b"text/plain"), "text/plain"),
        (changed(b"octet-stream", b"octets"), "second part"),
        (changed(b"OriginalContent:", b"OriginalContent"), "no header"),
        (changed(b"\r\nOriginal", b"\r\n" + b"X: 1\r\n" * 8 + b"Original"), "twice"),
        (changed(b"Original", b"".join(b"X%d: 1\r\n" % row for row in range(9)) + b"Original"), "more than 8"),
        (changed(b"Encrypted Boundary\r\nContent-Type: application/H", b"B\r\nContent-Type: application/H"), "begin"),
        (changed(struct.pack("<I", 16), struct.pack("<I", 0)), "header length of 0"),
        (changed(struct.pack("<I", 16), struct.pack("<I", 35)), "header length of 35, and 34 bytes follow"),
        (changed(struct.pack("<I", 16), struct.pack("<I", 0xFFFFFFFF)), "header length of 4294967295"),
        (changed(struct.pack("<I", 16), struct.pack("<I", 15)), "torn"),
    ],
)  # fmt: skip
def test_a_frame_that_is_not_one_is_refused_with_the_reason(body: bytes, sentence: str) -> None:
    """400, and the connection ends: who frames wrong has lost count of the messages too."""
    with pytest.raises(SealError, match=sentence) as refusal:
        opened(body)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("content_type", "sentence"),
    [
        ("multipart/x-multi-encrypted;protocol=a;boundary=b", "CredSSP"),
        (TYPE.replace("SPNEGO", "CredSSP"), "CredSSP"),
        ("multipart/mixed;boundary=b", "multipart/mixed"),
        ("multipart/encrypted", "no protocol"),
        ("multipart/encrypted;protocol=x", "no boundary"),
        (f"multipart/encrypted;protocol=x;boundary={'b' * 71}", "no boundary"),
        ("multipart/encrypted;protocol=x;boundary=ü", "no boundary"),
        (TYPE + ";x=" + "y" * 1000, "characters"),
        (TYPE.replace("SPNEGO", "Kerberos"), "agreed on"),
    ],
)
def test_a_header_that_names_no_seal_of_ours_is_refused(content_type: str, sentence: str) -> None:
    """The scheme of the Authorization header decides the protocol (protocol.md 3.8)."""
    with pytest.raises(SealError, match=sentence):
        opened(framed()[1], content_type)


def test_a_plaintext_larger_than_the_limit_is_refused_before_it_is_opened() -> None:
    """Decrypting is what costs."""
    with pytest.raises(SealError, match="at most 17 are taken") as refusal:
        open_sealed(framed()[1], TYPE, PaperSeal(), 17)
    assert refusal.value.status == 413


def test_a_length_that_is_more_than_padding_beyond_the_plaintext_is_a_lie() -> None:
    """RC4 may add a byte and DES eight (dependencies.md 8); nothing may take nine away."""
    content_type, body = framed(padding=9)
    with pytest.raises(SealError, match="announces 27 bytes and holds 18"):
        open_sealed(body, content_type, PaperSeal(padding=9), LIMIT)


@given(
    body=st.binary(max_size=400) | st.binary(max_size=200).map(lambda rest: framed()[1][:250] + rest),
    header=st.text(max_size=100),
)
def test_arbitrary_bytes_and_headers_end_in_one_error(body: bytes, header: str) -> None:
    """Every byte from the network is hostile."""
    for content_type in (TYPE, "multipart/encrypted;" + header, TYPE + header):
        with pytest.raises(SealError):
            opened(body, content_type)


@given(st.data())
def test_one_changed_byte_opens_the_same_or_nothing(draw: st.DataObject) -> None:
    """A stranger on the way changes what he likes: framing may be read with another letter, content never."""
    style = draw.draw(st.sampled_from([SealStyle(SPNEGO), SealStyle(SPNEGO, "\t", True)]))
    body = bytearray(framed(style=style)[1])
    row, byte = draw.draw(st.integers(0, len(body) - 1)), draw.draw(st.integers(0, 255))
    assume(body[row] != byte)
    body[row] = byte

    try:
        plain = opened(bytes(body))
    except SealError:
        return
    assert plain == UTF_16


@given(
    st.lists(
        st.sampled_from(
            [b"--Encrypted Boundary\r\n", b"-- encrypted boundary\r\n", b"\t", b"Content-Type: a/b\r\n", b" ",
             b"OriginalContent: type=a;charset=UTF-8;Length=3\r\n", b"Content-Type: application/octet-stream\r\n"]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_the_quick_way_into_a_body_reads_what_the_thorough_one_reads(lines: list[bytes]) -> None:
    """It is there for speed; a body that one takes otherwise than the other would be two bodies."""
    usual = framed()[1] if not lines else b"".join(lines) + bytes(8)
    found = _outer(TYPE).usual.match(usual)
    if found is None:
        return
    blank, indent, named, original = found.groups()

    about = {"content-type": named.decode(), "originalcontent": original.decode()}
    assert _any_front(usual, _outer(TYPE)) == (blank, indent, about, found.end())


def test_the_usual_bodies_go_the_quick_way() -> None:
    """Windows', pypsrp's and pywinrm's; the test above would be content if none did."""
    for style in (SealStyle(SPNEGO), SealStyle(SPNEGO, "\t"), SealStyle(SPNEGO, "", True)):
        assert _outer(TYPE).usual.match(framed(style=style)[1])


@given(cut=st.integers(0, 400))
def test_a_body_cut_anywhere_is_refused(cut: int) -> None:
    """But for its last line end."""
    body = framed()[1]
    cut = min(cut, len(body) - len("--\r\n") - 1)
    with pytest.raises(SealError):
        opened(body[:cut])


def test_the_work_does_not_grow_with_hostile_bytes() -> None:
    """Only the head and the tail are searched, so sixteen megabytes of almost-boundaries cost what none do."""
    filling = b"--Encrypted Boundary\r\n\tContent-Type: " * (1 << 14)
    for body in (filling, framed()[1][:200] + filling, b"--" * (1 << 18), b"\r\n" * (1 << 18), b"\t" * (1 << 18)):
        with pytest.raises(SealError):
            read_frame(body, TYPE)


def test_the_frame_is_a_view_and_copies_nothing() -> None:
    """A batch of 16 MiB is held once more by the cipher, not twice."""
    body = framed()[1]
    frame = read_frame(body, TYPE)
    assert frame.sealed.obj is body
    assert frame.header.obj is body


def test_inside_the_seal_a_body_is_compressed_as_the_outer_header_says() -> None:
    """Layers: multipart, seal, SLDC, charset (protocol.md 3.8)."""
    content_type, body = framed(sldc.encode(UTF_16), SealStyle(SPNEGO, "\t"))

    payload = open_payload(body, content_type, "SLDC", LIMIT, PaperSeal(), clear=False)

    assert (payload.text, payload.charset, payload.bom, payload.compressed) == (XML, "utf-16le", True, True)
    assert payload.style == SealStyle(SPNEGO, "\t")


def test_the_charset_is_that_of_the_original_content() -> None:
    """The outer Content-Type has none."""
    content_type, body = sealed_body(PaperSeal(), XML.encode("utf-16-be"), "utf-16be", SealStyle(SPNEGO))
    assert open_payload(body, content_type, "", LIMIT, PaperSeal()).text == XML


@pytest.mark.parametrize("style", STYLES)
def test_a_reply_is_framed_like_its_request(style: SealStyle) -> None:
    """Each peer reads only its own style."""
    ours, theirs = PaperSeal(style.protocol), PaperSeal(style.protocol)
    content_type, body = sealed_body(theirs, UTF_16, "UTF-16", style)

    reply = close_payload("<ack/>", open_payload(body, content_type, "", LIMIT, ours, clear=False), ours)

    answered = open_payload(reply[1], reply[0], "", LIMIT, theirs, clear=False)
    assert (answered.text, answered.style) == ("<ack/>", style)


def test_what_came_in_clear_is_answered_in_clear() -> None:
    """Inside TLS a connection with a session key need not use it (protocol.md 3.1)."""
    payload = open_payload(b"<a/>", "application/soap+xml;charset=UTF-8", "", LIMIT, PaperSeal())
    assert close_payload("<b/>", payload, PaperSeal()) == ("application/soap+xml;charset=UTF-8", b"<b/>")


@pytest.mark.parametrize("content_type", ["application/soap+xml;charset=UTF-16", "", "text/plain", "multipart"])
def test_a_body_in_clear_is_refused_where_it_has_to_be_sealed(content_type: str) -> None:
    """After authentication anybody on the way could write one (dependencies.md 1, trap 7)."""
    with pytest.raises(SealError, match="in clear"):
        open_payload(UTF_16, content_type, "", LIMIT, PaperSeal(), clear=False)


def test_a_sealed_body_without_a_key_is_no_seal_error() -> None:
    """The connection never agreed on one; nothing is out of step."""
    content_type, body = framed()
    with pytest.raises(PayloadError, match="agreed on no key"):
        open_payload(body, content_type, "", LIMIT, clear=False)
