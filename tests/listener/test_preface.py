"""A listener behind a proxy: whose word counts about whom, before TLS and before HTTP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.config.settings import Limits, ListenerSettings
from collector.telemetry import REGISTRY
from tests.listener.speaking import IDENTIFY, Place, Talk, corridor_in, enumerate_, listening
from tests.listener.test_proxy_protocol import version_2
from tests.listener.test_tls import Lab

BEHIND = b"PROXY TCP4 203.0.113.9 192.0.2.2 50000 5985\r\n"


def settings(*proxies: str, address: str = "127.0.0.1") -> ListenerSettings:
    return ListenerSettings(
        transport="http", address=address, port=0, authentication=["none"], proxy_protocol=list(proxies)
    )


def seen_from(place: Place) -> set[str]:
    return {presence.address for presence in place.corridor.presences.all()}


async def said_first(place: Place, first: bytes) -> Talk:
    talk = await place.call()
    await talk.send(first)
    return talk


@pytest.mark.parametrize("header", [BEHIND, version_2("203.0.113.9"), version_2("203.0.113.9", more=bytes(3000))])
async def test_the_address_behind_the_proxy_is_the_callers(tmp_path: Path, header: bytes) -> None:
    """In the log, in wef sources and in every event; the proxy's own says nothing."""
    async with listening(corridor_in(tmp_path), settings("127.0.0.1")) as place:
        talk = await said_first(place, header)
        assert (await talk.post(enumerate_())).status == 200
        assert (await talk.post(enumerate_())).status == 200

        assert seen_from(place) == {"203.0.113.9"}


async def test_header_and_request_may_come_in_any_pieces(tmp_path: Path) -> None:
    """A proxy writes the header with what it has of the client, or byte by byte."""
    text = enumerate_().encode()
    request = f"POST /wsman HTTP/1.1\r\nHost: wec\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text
    async with listening(corridor_in(tmp_path), settings("127.0.0.0/8")) as place:
        whole = await said_first(place, BEHIND + request)
        assert (await whole.answer()).status == 200

        pieces = await place.call()
        for byte in version_2("203.0.113.10"):
            await pieces.send(bytes([byte]))
        await pieces.send(request)
        assert (await pieces.answer()).status == 200

        assert seen_from(place) == {"203.0.113.10"}


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", version_2("203.0.113.9", command=0)])
async def test_a_proxy_that_speaks_for_itself_keeps_its_address(tmp_path: Path, header: bytes) -> None:
    """Its health checks (LOCAL), and connections whose origin it does not know."""
    async with listening(corridor_in(tmp_path), settings("127.0.0.1")) as place:
        assert (await (await said_first(place, header)).post(enumerate_())).status == 200

        assert seen_from(place) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"POST /wsman HTTP/1.1\r\nHost: wec\r\nContent-Length: 0\r\n\r\n", "no PROXY protocol header"),
        (b"PROXY TCP4 203.0.113.999 192.0.2.2 50000 5985\r\n", "no IP address"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "at most 4096"),
    ],
)
async def test_without_a_good_header_a_proxys_connection_is_closed_and_the_log_says_why(
    tmp_path: Path, first: bytes, reason: str
) -> None:
    """send-proxy forgotten, or on one side only; without the reason it looks like a broken network."""
    with capture_logs() as lines:
        async with listening(corridor_in(tmp_path), settings("127.0.0.1")) as place:
            assert await (await said_first(place, first)).at_end()

    (line,) = [line for line in lines if line["event"] == "PROXY protocol header refused"]
    assert reason in line["reason"]
    assert (line["address"], line["log_level"]) == ("127.0.0.1", "warning")


async def test_a_header_of_anybody_else_is_just_no_http(tmp_path: Path) -> None:
    """Else everybody could choose his address, and the limits for each address would be none."""
    async with listening(corridor_in(tmp_path), settings("192.0.2.1")) as place:
        assert (await (await said_first(place, BEHIND)).answer()).status == 400
        assert (await (await place.call()).post(enumerate_())).status == 200

        assert seen_from(place) == {"127.0.0.1"}


async def test_who_says_nothing_is_closed_in_time_and_quiet_ones_are_no_news(tmp_path: Path) -> None:
    """Balancers look whether somebody listens, and go (protocol.md 14.2); others would hold a place for ever."""
    limits = Limits(header_time=0.1, connections=1)
    with capture_logs() as lines:
        async with listening(corridor_in(tmp_path), settings("127.0.0.1"), limits) as place:
            check = await place.call()
            check.writer.close()
            await check.writer.wait_closed()
            silent = await place.call()
            while await asyncio.wait_for(silent.reader.read(1), 10):
                pass
            assert (await (await said_first(place, BEHIND)).post(enumerate_())).status == 200

    reasons = [line["reason"] for line in lines if line["event"] == "PROXY protocol header refused"]
    assert reasons == ["no PROXY protocol header within 0.1 s"]


async def test_the_limit_for_each_address_counts_those_behind_the_proxy(tmp_path: Path) -> None:
    """All sources of a site come through one proxy: its own address must not use up what is meant for one."""
    limits = Limits(connections_per_address=1)
    async with listening(corridor_in(tmp_path), settings("127.0.0.1"), limits) as place:
        first = await said_first(place, BEHIND)
        assert (await first.post(IDENTIFY)).status == 200
        other = await said_first(place, version_2("203.0.113.10"))
        assert (await other.post(IDENTIFY)).status == 200
        assert await (await said_first(place, BEHIND)).at_end()

        first.writer.close()
        other.writer.close()

    assert REGISTRY.get_sample_value("wef_connections", {"listener": "test"}) == 0


async def test_the_header_comes_before_tls(tmp_path: Path) -> None:
    """The handshake's first bytes often share a packet with it, and belong to OpenSSL to the last one."""
    lab = Lab(tmp_path)
    lab_settings = lab.settings().model_copy(update={"proxy_protocol": ["127.0.0.1"]})
    async with listening(corridor_in(tmp_path), lab_settings) as place:
        for header in (BEHIND, version_2("203.0.113.9")):
            answer = await asyncio.to_thread(through_tls, place.port, header, lab.client(lab.new))
            assert b" 200 " in answer

        assert seen_from(place) == {"203.0.113.9"}


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_a_balancers_look_at_a_tls_listener_is_no_news(tmp_path: Path, reset: bool) -> None:
    """HAProxy says LOCAL and hangs up, every two seconds: neither a line in the log nor a failed handshake."""
    lab = Lab(tmp_path)
    lab_settings = lab.settings().model_copy(update={"proxy_protocol": ["127.0.0.1"]})
    with capture_logs() as lines:
        async with listening(corridor_in(tmp_path), lab_settings) as place:
            check = await said_first(place, version_2("203.0.113.9", command=0))
            if reset:
                check.writer.transport.abort()
            else:
                check.writer.write_eof()
                assert await check.at_end()
            assert b" 200 " in await asyncio.to_thread(through_tls, place.port, BEHIND, lab.client(lab.new))

    assert [line["event"] for line in lines] == ["listening"]


def through_tls(port: int, header: bytes, context: ssl.SSLContext) -> bytes:
    """The head of the answer to one Enumerate; *header* and ClientHello leave in one packet."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    text = enumerate_().encode()
    request = f"POST /wsman HTTP/1.1\r\nHost: wec\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text

    def insist(step: Callable[[], bytes | None], first: bytes = b"") -> bytes | None:
        while True:
            try:
                found = step()
            except ssl.SSLWantReadError:
                plain.sendall(first + outgoing.read())
                first = b""
                incoming.write(plain.recv(65536))
            else:
                return found

    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        insist(secure.do_handshake, header)
        secure.write(request)
        return insist(lambda: secure.read(65536)) or b""


async def test_an_ipv4_proxy_is_known_on_a_socket_for_both(tmp_path: Path) -> None:
    """There it shows itself as ::ffff:127.0.0.1, and so would every caller."""
    everywhere = settings("127.0.0.1").model_copy(update={"address": "*"})  # with "none" nobody can write that
    async with listening(corridor_in(tmp_path), everywhere) as place:
        assert (await (await said_first(place, BEHIND)).post(enumerate_())).status == 200
        assert seen_from(place) == {"203.0.113.9"}

        await (await said_first(place, b"PROXY UNKNOWN\r\n")).post(enumerate_())
        assert seen_from(place) == {"127.0.0.1"}
