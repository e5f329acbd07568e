"""Answers that are written as they are: the same bytes that aiohttp would write, in one piece."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.delivery.conversation import ID
from tests.listener.speaking import HEARTBEAT, Talk, corridor_in, envelope, listening

SIGN_OF_LIFE = envelope(HEARTBEAT, header=f"<e:Identifier>{ID.upper()}</e:Identifier>")
GENERAL = SIGN_OF_LIFE.replace("uuid:AbC-1", "uuid:AbC 1")
"""The same with an id that is left to the writer, and so to aiohttp, at the same length."""
UTF16 = b"\xff\xfe"


def encoded(text: str, charset: str) -> bytes:
    return text.encode() if charset == "UTF-8" else UTF16 + text.encode("utf-16-le")


async def raw(talk: Talk, body: bytes, charset: str, first: str = "HTTP/1.1", more: str = "") -> bytes:
    """What comes back, in bytes, with the second of its Date blotted out."""
    head = (
        f"POST / {first}\r\nHost: w\r\nContent-Type: a/b;charset={charset}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    await talk.send(head.encode() + body)
    async with asyncio.timeout(10):
        answer = await talk.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answer)
        assert length is not None
        answer += await talk.reader.readexactly(int(length[1]))
    return re.sub(rb"Date: [^\r]+", b"Date: now", answer)


@pytest.mark.parametrize("charset", ["UTF-8", "UTF-16"])
async def test_a_ready_answer_is_what_aiohttp_writes(tmp_path: Path, charset: str) -> None:
    """Keep-alive, length, type, date and our name: nothing may depend on the way that an Ack took."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        ready = await raw(talk, encoded(SIGN_OF_LIFE, charset), charset)
        usual = await raw(talk, encoded(GENERAL, charset), charset)

    same, other = ("uuid:AbC-1", "uuid:AbC 1") if charset == "UTF-8" else ("A\0b\0C\0-\0", "A\0b\0C\0 \0")
    assert same.encode() in ready
    assert ready.replace(same.encode(), other.encode()) == usual


@pytest.mark.parametrize(
    ("first", "more", "said"),
    [
        ("HTTP/1.1", "Connection: close\r\n", b"connection: close"),
        ("HTTP/1.0", "", b"http/1.0 200"),
        ("HTTP/1.0", "Connection: keep-alive\r\n", b"connection: keep-alive"),
    ],
)
async def test_who_wants_the_connection_otherwise_is_answered_by_aiohttp(
    tmp_path: Path, first: str, more: str, said: bytes
) -> None:
    """What becomes of the connection is then a header of the answer."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        answer = await raw(talk, SIGN_OF_LIFE.encode(), "UTF-8", first, more)

        assert said in answer.lower()
        assert b"wsman/Ack" in answer
        if b"keep-alive" not in said:
            assert await talk.at_end()


async def test_ready_answers_of_pipelined_requests_come_in_order(tmp_path: Path) -> None:
    """More of them than aiohttp reads before it answers."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        bodies = [SIGN_OF_LIFE.replace("AbC-1", f"n-{number}").encode() for number in range(100)]
        await talk.send(
            b"".join(b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n%s" % (len(b), b) for b in bodies)
        )

        for number in range(100):
            assert f"<a:RelatesTo>uuid:n-{number}</a:RelatesTo>".encode() in (await talk.answer()).body
