"""Answers are read out of bytes that anybody may have written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wire.response import BadResponse, ResponseReader

LIMIT = 4096
WINDOWS = b"HTTP/1.1 200 \r\nContent-Type: application/soap+xml;charset=UTF-16\r\nServer: Microsoft-HTTPAPI/2.0\r\n"
CHUNKED = WINDOWS + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, limit: int = LIMIT) -> ResponseReader:
    reader = ResponseReader(limit)
    for piece in pieces:
        reader.feed(piece)
    return reader


def refusal(answer: bytes, limit: int = LIMIT) -> BadResponse:
    with pytest.raises(BadResponse) as caught:
        read(answer, limit=limit)
    return caught.value


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 5\r\n\r\n", b"12345"),
        (b"content-length:5\r\n\r\n", b"12345"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\n123\r\n2;name=value\r\n45\r\n0\r\nX: y\r\n\r\n"),
        (b"Transfer-Encoding: Chunked\r\n\r\n", b"05\r\n12345\r\n000\r\n\r\n"),
    ],
)
def test_an_answer_is_the_same_however_it_is_cut_into_packets(framing: bytes, body: bytes) -> None:
    """The network cuts where it likes."""
    answer = WINDOWS + framing + body
    whole, trickled = read(answer), read(*(answer[at : at + 1] for at in range(len(answer))))

    for reader in (whole, trickled):
        assert reader.complete
        assert reader.head is not None
        assert (reader.head.status, bytes(reader.body), reader.head.keeps, reader.excess) == (
            200,
            b"12345",
            True,
            False,
        )
    for at in range(len(answer)):
        assert not read(answer[:at]).complete


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """HTTP/1.0, and whoever speaks like it."""
    reader = read(b"HTTP/1.0 200 OK\r\n\r\n<x/>")

    assert not reader.complete
    assert reader.end()
    assert (bytes(reader.body), reader.head is not None and reader.head.keeps) == (b"<x/>", False)


@pytest.mark.parametrize(
    "answer", [WINDOWS + b"Content-Length: 5\r\n\r\n1234", CHUNKED + b"4\r\n1234\r\n", b"HTTP/1.1 2"]
)
def test_an_answer_that_says_how_long_it_is_and_ends_before_is_none(answer: bytes) -> None:
    """Half a batch must never pass for a whole one."""
    assert not read(answer).end()


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_whatever_they_say(status: int) -> None:
    """RFC 9112 6.3: a body here would be the next answer."""
    assert read(b"HTTP/1.1 %d \r\nContent-Length: 5\r\n\r\n" % status).complete


def test_interim_answers_are_passed_over() -> None:
    """100 Continue, which we never ask for, and which proxies send."""
    reader = read(b"HTTP/1.1 100 Continue\r\n\r\n", WINDOWS + b"Content-Length: 1\r\n\r\nx")

    assert (reader.complete, bytes(reader.body)) == (True, b"x")


def test_what_follows_an_answer_is_noticed() -> None:
    """Nobody asked for it: it may be somebody else's, or meant for the next question."""
    for framing in (b"Content-Length: 1\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"):
        assert not read(WINDOWS + framing).excess
        assert read(WINDOWS + framing + b"HTTP/1.1 200 ").excess
        assert read(WINDOWS + framing, b"H").excess


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html><body>It works!</body></html>",
        b"\x15\x03\x01\x00\x02\x02\x16",  # a TLS alert
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 099 \r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 \r\n\r\n" * 9,
        WINDOWS + b"no colon\r\n\r\n",
        WINDOWS + b" folded: header\r\n\r\n",
        WINDOWS + b"Name : value\r\n\r\n",
        WINDOWS + b"Name: va\x00lue\r\n\r\n",
        WINDOWS + b"Name: one\nOther: two\r\n\r\n",
        WINDOWS + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        WINDOWS + b"Content-Length: -5\r\n\r\n",
        WINDOWS + b"Content-Length: +5\r\n\r\n",
        WINDOWS + b"Content-Length: 5, 5\r\n\r\n",
        WINDOWS + b"Content-Length: \r\n\r\n",
        WINDOWS + "Content-Length: ٥\r\n\r\n".encode(),
        WINDOWS + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        WINDOWS + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        WINDOWS + b"Transfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.0 200 \r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0x5\r\n12345\r\n",
        CHUNKED + b"5\r\n12345XX",
        CHUNKED + b"\r\n",
        CHUNKED + b"5" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    """What is unusual is refused rather than interpreted."""
    assert refusal(answer).reason == "http"


@pytest.mark.parametrize(
    "answer",
    [
        WINDOWS + b"Content-Length: 4097\r\n\r\n",
        WINDOWS + b"Content-Length: 9999999999999999999\r\n\r\n",
        WINDOWS + b"\r\n" + b"x" * 4097,
        CHUNKED + b"1001\r\n",
        CHUNKED + b"ffffffffffffffff\r\n",
        CHUNKED + b"800\r\n" + b"x" * 2048 + b"\r\n801\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 2000,
        WINDOWS + b"X: " + b"y" * 140_000,
        WINDOWS + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_too_large_is_refused_before_it_is_read(answer: bytes) -> None:
    """A source must not fill our memory, declared or not."""
    assert refusal(answer).reason == "too-large"


def test_a_body_of_one_byte_chunks_does_not_cost_an_hour() -> None:
    """Sixteen million of them are within the limit of bytes and not of patience."""
    assert refusal(CHUNKED + b"1\r\nx\r\n" * 2000, limit=2**20).reason == "too-large"
    assert read(CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n" + b"0\r\n\r\n").complete


def test_a_header_of_blanks_does_not_stop_the_process() -> None:
    """An expression that tried every way to share 100,000 blanks would still be at it, and nobody else be served."""
    blanks = b" \t" * 50_000

    assert refusal(WINDOWS + b"X:" + blanks + b"\x01\r\n\r\n").reason == "http"
    assert refusal(WINDOWS + b"X: y" + blanks + b"\x7f\r\n\r\n").reason == "http"
    head = read(WINDOWS + b"X:" + blanks[:50_000] + b"a b" + blanks[:50_000] + b"\r\n\r\n").head
    assert head is not None
    assert head.value("x") == "a b"


@given(st.binary(max_size=300), st.sampled_from([b"", WINDOWS, WINDOWS + b"\r\n", CHUNKED]))
@settings(max_examples=300)
def test_any_bytes_are_an_answer_or_a_refusal(noise: bytes, front: bytes) -> None:
    """Nothing else comes out, and never more than the limit."""
    reader = ResponseReader(100)
    try:
        for at in range(0, len(front + noise), 7):
            reader.feed((front + noise)[at : at + 7])
    except BadResponse:
        pass
    assert len(reader.body) <= 100
