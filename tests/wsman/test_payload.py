"""Bodies to text: every encoding a source may use, and a sentence for those it may not."""

from __future__ import annotations

import codecs
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.kernel import sldc
from collector.wsman.payload import Payload, PayloadError, close_payload, open_payload

SOAP_XML = "application/soap+xml"
LIMIT = 100_000
TEXT = "<s:Envelope>é€😀</s:Envelope>"


def plain(payload: Payload) -> Payload:
    """The same with its text: what holds it depends on which kernel works."""
    return replace(payload, content=payload.text)


@pytest.mark.parametrize(
    ("body", "content_type", "charset", "bom"),
    [
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), f"{SOAP_XML};charset=UTF-16", "utf-16le", True),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), f"{SOAP_XML};charset=UTF-16", "utf-16be", True),
        (codecs.BOM_UTF8 + TEXT.encode(), f"{SOAP_XML};charset=UTF-8", "utf-8", True),
        (TEXT.encode(), f"{SOAP_XML};charset=UTF-8", "utf-8", False),
        (TEXT.encode(), SOAP_XML, "utf-8", False),
        (TEXT.encode(), "", "utf-8", False),
        (TEXT.encode("utf-16-le"), f"{SOAP_XML};charset=UTF-16", "utf-16le", False),
        (TEXT.encode("utf-16-be"), f"{SOAP_XML};charset=UTF-16", "utf-16be", False),
        (TEXT.encode("utf-16-be"), f"{SOAP_XML};charset=utf-16be", "utf-16be", False),
        (TEXT.encode("utf-16-le"), SOAP_XML, "utf-16le", False),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), f"{SOAP_XML};charset=UTF-8", "utf-16le", True),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), f"{SOAP_XML};charset=iso-8859-1", "utf-16le", True),
        (TEXT.encode("utf-16-le"), 'Charset = "UTF-16" ; x=y', "utf-16le", False),
        (TEXT.encode("utf-16-le"), 'APPLICATION/SOAP+XML ;  CharSet = "utf-16LE" ', "utf-16le", False),
    ],
)
def test_the_bom_wins_then_the_charset_then_utf_8(body: bytes, content_type: str, charset: str, bom: bool) -> None:
    """Windows sends UTF-16 with BOM; others send what they like, and spell the header as they like."""
    assert plain(open_payload(body, content_type, "", LIMIT)) == Payload(TEXT, charset, bom)


@pytest.mark.parametrize("letters", ["x", "é", "\u20ac", "\U0001f600"])
def test_a_body_weighs_what_it_holds(letters: str) -> None:
    """limits.bodies_size is in bytes: a body of four bytes a letter must not count as one of one."""
    text = letters * 10_000
    payload = open_payload(text.encode("utf-16-le"), f"{SOAP_XML};charset=utf-16le", "", LIMIT)

    assert payload.weight >= min(len(text.encode()), sys.getsizeof(text))


def test_sldc_is_decoded_before_the_charset() -> None:
    """The order of the layers on the wire."""
    body = sldc.encode(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"))

    assert plain(open_payload(body, SOAP_XML, "SLDC", LIMIT)) == Payload(TEXT, "utf-16le", True, compressed=True)
    assert open_payload(body, SOAP_XML, " sldc , identity", LIMIT).text == TEXT


@pytest.mark.parametrize("body", [TEXT.encode(), codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), b"  " + TEXT.encode()])
def test_a_text_that_claims_sldc_is_taken_as_it_is(body: bytes) -> None:
    """Windows' End message lies so each time; to refuse it would leave errors in every source's log."""
    opened = open_payload(body, "", "SLDC", LIMIT)

    assert opened.text.strip() == TEXT
    assert not opened.compressed


def test_an_empty_body_that_claims_sldc_is_empty() -> None:
    """The POST that only authenticates."""
    assert open_payload(b"", "application/soap+xml;charset=UTF-16", "SLDC", LIMIT).text == ""


def test_broken_characters_are_replaced_and_never_refused() -> None:
    """One event with half a surrogate pair must not cost a batch of hundreds."""
    utf16 = b"\xff\xfe" + "<a>".encode("utf-16-le") + b"\x00\xd8" + "b</a>".encode("utf-16-le")

    assert open_payload(utf16, "", "", LIMIT).text == "<a>\N{REPLACEMENT CHARACTER}b</a>"
    assert open_payload(utf16 + b"\x41", "", "", LIMIT).text == "<a>\ufffdb</a>\ufffd"
    assert open_payload(b"<a>\xff\xc3(</a>", "", "", LIMIT).text == "<a>\ufffd\ufffd(</a>"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "SLDC, gzip", "sldc, sldc"])
def test_another_content_encoding_is_refused_by_name(coding: str) -> None:
    """No source uses it; decompressors are doors that stay shut."""
    with pytest.raises(PayloadError, match=f'Content-Encoding is "{coding}"') as refused:
        open_payload(b"<a/>", "", coding, LIMIT)
    assert refused.value.status == 400


def test_an_unknown_charset_is_refused_by_name() -> None:
    """Guessing would make wrong evidence."""
    with pytest.raises(PayloadError, match='the charset is "ebcdic"') as refused:
        open_payload(b"<a/>", f"{SOAP_XML}; charset=EBCDIC", "", LIMIT)
    assert refused.value.status == 400


def test_a_sealed_body_is_refused_where_no_seal_was_agreed() -> None:
    """It would otherwise be read as text and refused with a misleading sentence."""
    with pytest.raises(PayloadError, match="sealed"):
        open_payload(b"--Encrypted Boundary", 'multipart/encrypted;boundary="Encrypted Boundary"', "SLDC", LIMIT)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"<a>" + b"x" * LIMIT, ""),
        (b"<a>" + b"x" * LIMIT, "SLDC"),
        (sldc.encode(b"x" * (LIMIT + 1)), "SLDC"),
        (b"\xff\xa8\0\0" + (1 << 31).to_bytes(4, "little"), "SLDC"),
    ],
)
def test_what_is_too_large_is_refused_with_413(body: bytes, encoding: str) -> None:
    """Received or declared: the bound holds before anything is built."""
    with pytest.raises(PayloadError, match=f"at most {LIMIT}") as refused:
        open_payload(body, "", encoding, LIMIT)
    assert refused.value.status == 413


def test_a_broken_sldc_body_is_refused_with_400() -> None:
    """It is neither SLDC nor text."""
    body = bytearray(sldc.encode(b"\xff\xfe" + TEXT.encode("utf-16-le")))
    body[-4] ^= 1
    with pytest.raises(PayloadError, match="says SLDC") as refused:
        open_payload(bytes(body), "", "SLDC", LIMIT)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("like", "content_type", "body"),
    [
        (Payload("", "utf-8", False), "application/soap+xml;charset=UTF-8", b"<a>\xc3\xa9</a>"),
        (Payload("", "utf-8", True), "application/soap+xml;charset=UTF-8", b"<a>\xc3\xa9</a>"),
        (
            Payload("", "utf-16le", True),
            "application/soap+xml;charset=UTF-16",
            b"\xff\xfe" + "<a>é</a>".encode("utf-16-le"),
        ),
        (
            Payload("", "utf-16be", False, compressed=True),
            "application/soap+xml;charset=UTF-16",
            b"\xfe\xff" + "<a>é</a>".encode("utf-16-be"),
        ),
    ],
)
def test_a_reply_mirrors_the_charset_of_its_request(like: Payload, content_type: str, body: bytes) -> None:
    """UTF-16 with a BOM, UTF-8 without, never compressed ([DSP0226] R13.1-5, -6)."""
    assert close_payload("<a>é</a>", like) == (content_type, body)


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "charset=utf-16", "text/xml;charset=x"]),
    st.sampled_from(["", "SLDC"]),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_become_text_or_one_error(body: bytes, content_type: str, encoding: str) -> None:
    """Whatever the network sends, the process lives on."""
    try:
        opened = open_payload(body, content_type, encoding, 1000)
    except PayloadError as error:
        status = error.status
    else:
        opened.text.encode("utf-8")  # no lone surrogates get through
        status = 400
    assert status in (400, 413)
