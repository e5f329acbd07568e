"""Handshakes of several legs, and tokens of every size: built by hand, since no client here makes them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.config.settings import Limits
from tests.listener.domain import AS_WINDOWS, FLAG, KRB5, Member, taking
from tests.listener.speaking import Talk, corridor_in, enumerate_, listening
from tests.listener.test_door import events
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow
NEGOEX = bytes.fromhex("060a2b06010401823702021e")
KERBEROS = bytes.fromhex("06092a864886f712010202")
SPNEGO = bytes.fromhex("06062b0601050502")


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def part(value: str, number: int) -> bytes:
    """The octets of one part of the NegTokenResp in a WWW-Authenticate *value* (RFC 4178 4.2.2), b"" without it."""
    fields = content(content(base64.b64decode(value.partition(" ")[2])))
    while fields:
        found, tag = content(fields), fields[0]
        if tag == 0xA0 | number:
            return content(found)
        fields = fields[fields.index(found) + len(found) :]
    return b""


def content(token: bytes) -> bytes:
    """What the DER element at the beginning of *token* holds."""
    if token[1] < 128:
        return token[2 : 2 + token[1]]
    start = 2 + (token[1] & 0x7F)
    return token[start : start + int.from_bytes(token[2:start], "big")]


MECHANISMS = der(0x30, NEGOEX + KERBEROS)
FIRST = der(0x60, SPNEGO + der(0xA0, der(0x30, der(0xA0, MECHANISMS))))


async def leg(talk: Talk, token: bytes, body: bytes = b"") -> tuple[int, str, bool]:
    answer = await talk.post(body, Authorization=f"Negotiate {base64.b64encode(token).decode()}")
    return answer.status, answer.headers.get("www-authenticate", ""), answer.closed


async def test_a_negotiation_that_begins_with_another_mechanism_takes_three_legs(tmp_path: Path, kdc: Kdc) -> None:
    """NegoEx first, as Windows does with some accounts; each leg is a request on the same connection."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session("Negotiate", mechanism=KRB5)
        # 1: the list alone, and a body that a client sends in vain
        status, chosen, closed = await leg(talk, FIRST, enumerate_().encode())
        assert (status, closed) == (401, False)
        assert KERBEROS in base64.b64decode(chosen.partition(" ")[2])
        # 2: the ticket
        ticket = session.context.step()
        status, proven, closed = await leg(talk, der(0xA1, der(0x30, der(0xA2, der(0x04, ticket)))))
        assert (status, closed) == (401, False)
        session.context.step(part(proven, 2))
        # 3: that the list arrived as it was sent
        mic = session.context.get_signature(MECHANISMS)
        status, done, _ = await leg(talk, der(0xA1, der(0x30, der(0xA3, der(0x04, mic)))))
        assert status == 200
        session.context.verify_signature(MECHANISMS, part(proven, 3) or part(done, 3))

        assert "wsman/Ack" in session.opened(await session.say(talk, events(1)))
    assert [key for key, _, _ in corridor.store.bookmarks()] == ["pc01$@wef.test"]


async def test_between_two_legs_nobody_is_known(tmp_path: Path, kdc: Kdc) -> None:
    """Half a proof is none: what comes without a token is refused, and the handshake is gone."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk = await place.call()
        await leg(talk, FIRST)
        answer = await talk.post(enumerate_())

        assert (answer.status, await talk.at_end()) == (401, True)


async def test_a_large_body_between_two_legs_ends_the_connection(tmp_path: Path, kdc: Kdc) -> None:
    """It would have to be read and thrown away, of somebody who has proven nothing."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk = await place.call()
        assert (await leg(talk, FIRST, b"x" * 70_000))[::2] == (401, True)


async def test_the_next_leg_must_come_in_time(tmp_path: Path, kdc: Kdc) -> None:
    """Anybody can begin a handshake; who does not go on holds a place no longer than a header may take."""
    async with listening(corridor_in(tmp_path), taking(kdc), Limits(header_time=0.2)) as place:
        talk = await place.call()
        assert (await leg(talk, FIRST))[0] == 401

        assert await talk.at_end()


async def test_dce_style_is_not_spoken(tmp_path: Path, kdc: Kdc) -> None:
    """Three legs and other sequence numbers: nothing that WS-Management uses."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session(flags=AS_WINDOWS | FLAG.dce_style)
        first = await talk.post(b"", Authorization=session.authorization())
        token = session.context.step(base64.b64decode(first.headers["www-authenticate"].partition(" ")[2]))
        with capture_logs() as lines:
            second = await talk.post(b"", Authorization=session.authorization(token))

    assert (first.status, second.status, second.closed) == (401, 401, True)
    assert "DCE style" in lines[-1]["text"]


def swollen(token: bytes, size: int) -> bytes:
    """A raw token of *size* bytes: an AP-REQ with a field that nobody knows, for want of a thousand groups."""
    framed = content(token)
    oid, request = framed[: len(KERBEROS) + 2], framed[len(KERBEROS) + 2 :]
    fields = content(content(request))

    def padded(count: int) -> bytes:
        return der(0x60, oid + der(0x6E, der(0x30, fields + der(0xA9, der(0x04, b"\0" * count)))))

    found = padded(size - len(padded(60_000)) + 60_000)
    assert len(found) == size
    return found


@pytest.mark.parametrize("size", [48_000, 65_536])
async def test_the_largest_tokens_are_taken(tmp_path: Path, kdc: Kdc, size: int) -> None:
    """MaxTokenSize is 48,000 and may be set to 65,535: accounts in a thousand groups have such tickets."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        token = swollen(session.context.step(), size)
        answer = await talk.post(b"", Authorization=session.authorization(token))
        session.take(answer)

        assert answer.status == 200
        assert "EnumerateResponse" in session.opened(await session.say(talk, enumerate_()))


async def test_larger_tokens_are_refused_and_cost_nothing(tmp_path: Path, kdc: Kdc) -> None:
    """One byte more is told apart by us, a megabyte already by the limit of headers; the next source is served."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        session = Member(kdc, "pc01$").session()
        with capture_logs() as lines:
            exact = base64.b64encode(swollen(session.context.step(), 65_537)).decode()
            more = await (await place.call()).post(b"", Authorization=f"Kerberos {exact}")
        talk = await place.call()
        much = await talk.post(b"", Authorization=f"Kerberos {'A' * 2**20}")
        assert await talk.at_end()
        assert (await Member(kdc, "pc01$").session().prove(await place.call())).status == 200

    assert (more.status, much.status) == (401, 400)
    assert "more than 65536 bytes" in lines[-1]["text"]


@pytest.mark.parametrize(
    "value", ["Kerberos", "Kerberos ", "Kerberos !!!!", "Kerberos YII", "Kerberos YIIé", "Kerberos A A"]
)
async def test_what_is_no_token_is_no_proof(tmp_path: Path, kdc: Kdc, value: str) -> None:
    """And nothing of it comes into the log."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk = await place.call()
        with capture_logs() as lines:
            await talk.send(
                f"POST /wsman HTTP/1.1\r\nHost: w\r\nAuthorization: {value}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            answer = await talk.answer()

    assert (answer.status, answer.closed) == (401, True)
    assert "token" in lines[-1]["text"]
    assert "YII" not in str(lines)
