"""A connection against far ends that do wrong: what it says, that nothing is sent twice, and that it is gone then."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import gc
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from collector.wire import remedies
from collector.wire.budget import Budget, Claim
from collector.wire.connection import Answer, Connection, Ways
from collector.wire.hosts import Hosts, Place
from collector.wire.response import ResponseReader
from collector.wire.text import decoded
from collector.wire.tls import tls_context
from collector.wire.trouble import Trouble
from tests.wire.scripted import (
    BODY,
    EMPTY,
    KIND,
    PAUSE,
    FarEnd,
    Lab,
    answer,
    calling,
    ended,
    hasty,
    listening,
    says,
    troubled,
)


async def test_requests_are_spelled_as_windows_spells_them_and_share_a_connection() -> None:
    """The order of the capture (protocol.md 3.3)."""
    async with listening(says(answer(b"<a/>"), answer(b"<b/>", "500 "))) as far_end, calling(far_end) as connection:
        assert await connection.post(BODY, KIND) == Answer(200, KIND, b"<a/>")
        assert await connection.post(b"", KIND, headers={"WSMANIDENTIFY": "unauthenticated"}) == Answer(
            500, KIND, b"<b/>"
        )
        assert connection.address == "127.0.0.1"

    first, second = far_end.met
    assert (first.first, first.body, first.link, second.link) == ("POST /wsman HTTP/1.1", BODY, 1, 1)
    assert list(first.headers.items()) == [
        ("Connection", "Keep-Alive"),
        ("Content-Type", KIND),
        ("User-Agent", "Microsoft WinRM Client"),
        ("Content-Length", str(len(BODY))),
        ("Host", far_end.url.split("/")[2]),
    ]
    assert second.headers["WSMANIDENTIFY"] == "unauthenticated"


@pytest.mark.parametrize(
    "last",
    [
        answer(more="Connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n<x/>",
        b"HTTP/1.1 200 OK\r\n\r\n<x/>" + PAUSE,
        answer() + answer(b"<nobody asked/>"),
        answer() + b"!",
        answer() + PAUSE + b"late, and nobody asked either",
    ],
)
async def test_after_an_answer_that_ends_the_connection_the_next_post_opens_another(last: bytes) -> None:
    """Announced, or earned by saying more than was asked. The answer itself counts."""
    async with listening(says(last, answer(b"<y/>"))) as far_end, calling(far_end) as connection:
        assert (await connection.post(BODY, KIND)).body == b"<x/>"
        await ended(connection)
        assert (await connection.post(BODY, KIND)).body == b"<y/>"

    assert [met.link for met in far_end.met] == [1, 2]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "http"),
        (b"<html>It works!</html>", "http"),
        (b"\0" * 100, "http"),
        (answer(more="Content-Encoding: gzip\r\n"), "http"),
        (b"HTTP/1.1 200 \r\nContent-Length: 1048577\r\n\r\n", "too-large"),
        (b"HTTP/1.1 200 \r\n\r\n" + b"x" * 1048577, "too-large"),
        (b"HTTP/1.1 200 \r\nX: " + b"y" * 140_000, "too-large"),
        (b"", "cut"),
        (b"HTTP/1.1 20" + PAUSE, "cut"),
        (b"HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\n1234" + PAUSE, "cut"),
        (b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n" + PAUSE, "cut"),
        (None, "cut"),
    ],
)
async def test_what_is_no_answer_is_trouble_with_a_word_and_a_sentence(reply: bytes | None, reason: str) -> None:
    """The request may have been acted upon, so it is never repeated here."""
    async with listening(says(reply or None, answer())) as far_end:
        trouble = await troubled(calling(far_end))

    assert (trouble.reason, trouble.sent) == (reason, True)
    assert str(trouble).startswith(far_end.url)
    assert len(far_end.met) == 1


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 200 \r\n\r\n" + b"x" * 1048577, b"HTTP/1.1 200 \r\n\r\n" + b"x" * 9 + PAUSE, None]
)
async def test_a_broken_answer_is_gone_when_it_has_been_told(reply: bytes | None) -> None:
    """The collector looks for circles seldom, and 16 MiB in each would stay until then: half a gigabyte an hour."""
    gc.collect()
    gc.disable()
    try:
        async with listening(says(reply)) as far_end:
            connection = calling(far_end, limit=2**20)
            with contextlib.suppress(Trouble):
                await connection.post(BODY, KIND)
            await connection.close()
            await asyncio.sleep(0)  # what woke us is forgotten
        left = [one for one in gc.get_objects() if isinstance(one, ResponseReader)]
    finally:
        gc.enable()

    assert left == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 ", "308 "])
async def test_no_redirect_is_followed(status: str) -> None:
    """It would lead our proof and our questions wherever a far end likes."""
    async with listening(says(answer())) as trap:
        redirect = answer(b"", status, more=f"Location: {trap.url}\r\nSet-Cookie: a=b\r\n")
        async with listening(says(redirect, answer())) as far_end, calling(far_end) as connection:
            assert (await connection.post(BODY, KIND)).status == int(status[:3])
            await connection.post(BODY, KIND)

    assert not trap.met
    assert "Cookie" not in far_end.met[1].headers


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources are inside; a proxy would see what they say."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with listening(says(answer())) as far_end, calling(far_end) as connection:
        assert (await connection.post(BODY, KIND)).status == 200


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 \r\n", b"HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\n1"])
async def test_a_far_end_that_falls_silent_is_left_in_time(start: bytes) -> None:
    """Wherever it does: before the answer, in its head, in its body."""
    silence = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await silence.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/wsman"
    trouble = await troubled(Connection(url, context=None, prove=None, timeout=60), timeout=0.05)
    silence.set()
    server.close()

    assert (trouble.reason, trouble.sent) == ("timeout", True)


async def test_a_far_end_that_trickles_has_no_more_time_than_the_others() -> None:
    """A byte now and then would keep a conversation for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 \r\nContent-Length: 1000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.001)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/wsman"
    trouble = await troubled(Connection(url, context=None, prove=None, timeout=0.1))
    server.close()

    assert trouble.reason == "timeout"


async def test_a_post_that_is_cancelled_takes_its_connection_along() -> None:
    """The answer that is still to come would be taken for that of the next question."""
    silence = asyncio.Event()
    begun = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        await silence.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/wsman"
    connection = Connection(url, context=None, prove=None, timeout=60)
    post = asyncio.create_task(connection.post(BODY, KIND))
    await begun.wait()
    post.cancel()
    with pytest.raises(asyncio.CancelledError):
        await post
    silence.set()
    server.close()

    assert not connection.open


async def test_a_connection_that_the_far_end_closed_meanwhile_is_opened_anew() -> None:
    """Windows closes idle ones after two minutes; nothing was sent, so nothing is lost."""
    async with listening(says(answer() + PAUSE, answer(b"<y/>"))) as far_end, calling(far_end) as connection:
        await connection.post(BODY, KIND)
        await ended(connection)
        assert (await connection.post(BODY, KIND)).body == b"<y/>"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "reason", "said"),
    [
        ("http://127.0.0.1:{free}/wsman", "refused", "winrm quickconfig"),
        ("http://[::1]:{free}/wsman", "refused", "winrm quickconfig"),
        ("http://no-such-host.invalid/wsman", "dns", "DNS"),
        (f"http://{'a' * 64}.example/wsman", "dns", "DNS"),
        ("http://255.255.255.255:5985/wsman", "unreachable", "network"),
        ("ftp://127.0.0.1/wsman", "unreachable", "no URL"),
        ("http://user:secret@127.0.0.1/wsman", "unreachable", "no URL"),
        ("http:///wsman", "unreachable", "no URL"),
        ("http://127.0.0.1:99999/wsman", "unreachable", "no URL"),
        ("http://127.0.0.1/ws man", "unreachable", "no URL"),
        ("http://[::1/wsman", "unreachable", "no URL"),
    ],
)
async def test_without_a_connection_nothing_was_sent_and_the_sentence_says_what_to_do(
    url: str, reason: str, said: str
) -> None:
    """The administrator reads it in ``wef sources``."""
    trouble = await troubled(Connection(url.format(free=free_port()), context=None, prove=None, timeout=5))

    assert trouble.sent is False
    if reason == "dns":  # a machine without any name server says so instead
        assert trouble.reason == "dns"
    else:
        assert (trouble.reason, said in str(trouble)) == (reason, True)


class Map(Hosts):
    """Answers what it was told."""

    def __init__(self, *places: Place) -> None:
        super().__init__()
        self._places = places

    async def places(self, host: str, port: int) -> list[Place]:
        return [Place(family, (address[0], address[1] or port)) for family, address in self._places]


async def test_of_several_addresses_the_first_that_answers_counts() -> None:
    """A name may have an address of a network that is away."""
    async with listening(says(answer())) as far_end:
        port = int(far_end.url.split(":")[2].split("/")[0])
        dead, alive = Place(socket.AF_INET, ("127.0.0.2", free_port())), Place(socket.AF_INET, ("127.0.0.1", port))
        connection = Connection(
            "http://pc01.corp.example:5985/wsman",
            context=None,
            prove=None,
            timeout=5,
            ways=Ways(hosts=Map(dead, alive)),
        )
        assert (await connection.post(BODY, KIND)).status == 200
        assert connection.address == "127.0.0.1"
        await connection.close()

    assert far_end.met[0].headers["Host"] == "pc01.corp.example:5985"


async def test_a_host_that_never_answers_is_left_in_time() -> None:
    """A full backlog is as good as a switched-off machine: SYNs go unanswered."""
    with contextlib.ExitStack() as ending:
        full = ending.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = ending.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/wsman"
        trouble = await troubled(Connection(url, context=None, prove=None, timeout=60, ways=hasty()))

    assert (trouble.reason, trouble.sent) == ("timeout", False)
    assert "firewall" in str(trouble)


async def test_names_are_looked_up_once_for_all_who_ask_at_the_same_moment() -> None:
    """Two subscriptions of a source start together."""
    hosts = Hosts(threads=1)
    found = await asyncio.gather(*(hosts.places("localhost", 5985) for _ in range(20)))
    hosts.close()

    assert all(places is found[0] for places in found)


class Watched(Budget):
    """Tells when somebody has to wait."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.refused = asyncio.Event()

    def reach(self, claim: Claim, size: int) -> bool:
        fits = super().reach(claim, size)
        if not fits:
            self.refused.set()
        return fits


async def test_an_answer_waits_unread_while_the_others_fill_the_budget() -> None:
    """Memory has a bound for all together, and nobody starves: it comes when another is safe."""
    budget = Watched(60_000)
    ways = Ways(budget=budget)
    large = answer(b"x" * 50_000)
    async with listening(says(large, large, large)) as far_end:
        first, second = calling(far_end, ways=ways), calling(far_end, ways=ways)
        await first.post(BODY, KIND)
        assert budget.held == 50_000
        post = asyncio.create_task(second.post(BODY, KIND))
        await budget.refused.wait()
        assert not post.done()
        first.release()
        assert len((await post).body) == 50_000
        await first.close()
        assert budget.held == 50_000
        await second.close()

    assert budget.held == 0


async def test_the_name_in_the_certificate_must_be_that_of_the_host(tmp_path: Path) -> None:
    """Or anybody with any certificate of that CA could be any source."""
    lab = Lab(tmp_path)
    async with listening(says(answer()), lab.serving("pc02.lab.example")) as far_end:
        trouble = await troubled(calling(far_end, context=tls_context(lab.ca, None, None)))

    assert (trouble.reason, trouble.sent) == ("certificate", False)
    assert "another name" in str(trouble)
    assert not far_end.met


async def test_a_certificate_that_is_not_believed_is_told_with_the_remedy(tmp_path: Path) -> None:
    """Unknown issuer, or over."""
    lab = Lab(tmp_path)
    async with listening(says(), lab.serving("localhost")) as far_end:
        unknown = await troubled(calling(far_end, context=ssl.create_default_context()))
    async with listening(says(), lab.serving("localhost", ends=timedelta(days=-2))) as far_end:
        over = await troubled(calling(far_end, context=tls_context(lab.ca, None, None)))

    assert (unknown.reason, unknown.sent, over.reason, over.sent) == ("certificate", False, "certificate", False)
    assert "give that CA in ca" in str(unknown)
    assert "expired" in str(over)


def shake_hands(door: socket.socket, serving: ssl.SSLContext) -> str:
    """Accept one connection; why the handshake failed. The caller hears it too, and leaves first."""
    link, _ = door.accept()
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = serving.wrap_bio(came, goes, server_side=True)
    said = ""
    with link:
        while data := link.recv(65536):
            came.write(data)
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                said = said or str(error)
            link.sendall(goes.read())
    return said


async def test_a_far_end_that_does_not_take_our_certificate_has_heard_nothing(tmp_path: Path) -> None:
    """TLS 1.3 says so only after the request has left; it was never read."""
    lab = Lab(tmp_path)
    serving = lab.serving("localhost")
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_verify_locations(lab.ca)
    with socket.create_server(("127.0.0.1", 0)) as door:  # asyncio's server leaves without a word
        far_end = FarEnd([], url=f"https://localhost:{door.getsockname()[1]}/wsman")
        serve = asyncio.to_thread(shake_hands, door, serving)
        none, refusal = await asyncio.gather(troubled(calling(far_end, context=tls_context(lab.ca, None, None))), serve)
    async with listening(says(answer()), serving) as far_end:
        connection = calling(far_end, context=tls_context(lab.ca, str(tmp_path / "client.pem"), None))
        assert (await connection.post(BODY, KIND)).status == 200
        await connection.close()

    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in refusal
    assert (none.reason, none.sent) == ("certificate", False)
    assert "does not accept our certificate" in str(none)


@pytest.mark.parametrize("unheard", [True, False])
def test_who_has_answered_before_may_have_acted_whatever_it_says_of_our_certificate(unheard: bool) -> None:
    """A certificate that was revoked meanwhile: the Pull may have been read, and must not be sent a second time."""
    alert = ssl.SSLError(1, "[SSL: SSLV3_ALERT_CERTIFICATE_REVOKED] ssl/tls alert certificate revoked")
    alert.reason = "SSLV3_ALERT_CERTIFICATE_REVOKED"

    found, acted = remedies.of_loss(alert, unheard=unheard)

    assert (found.reason, acted) == ("certificate", not unheard)


async def test_a_far_end_that_leaves_without_a_word_inside_tls_may_want_our_certificate(
    tmp_path: Path,
) -> None:
    """It can also hang up without a word, or its word is lost with the connection (RST); a hint is all there is."""
    lab = Lab(tmp_path)
    async with listening(says(None), lab.serving("localhost")) as far_end:
        trouble = await troubled(calling(far_end, context=tls_context(lab.ca, None, None)))

    assert (trouble.reason, trouble.sent) == ("cut", True)
    assert "certificate" in str(trouble)


async def test_plain_http_where_tls_was_expected_and_the_other_way_round(tmp_path: Path) -> None:
    """The two ports are easily confused."""
    lab = Lab(tmp_path)
    serving = lab.serving("localhost")
    async with listening(says(answer())) as far_end:
        far_end.url = far_end.url.replace("http://127.0.0.1", "https://localhost")
        plain = await troubled(calling(far_end, context=tls_context(lab.ca, None, None), ways=hasty(1.0)))
    async with listening(says(answer()), serving) as far_end:
        far_end.url = far_end.url.replace("https:", "http:")
        secure = await troubled(calling(far_end))

    assert (plain.reason, plain.sent) in (("tls", False), ("timeout", False))
    assert secure.reason in ("cut", "http")


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (KIND, "é".encode(), "é"),
        ("application/soap+xml;charset=UTF-16", "é".encode("utf-16"), "é"),
        ("application/soap+xml;charset=UTF-16", b"<\0a\0>\0", "<a>"),
        ("application/soap+xml;charset=utf-8", b"\xfe\xff\0<\0a\0>", "<a>"),
        ("application/soap+xml", b"\xef\xbb\xbf<a>", "<a>"),
        ('text/xml; charset="us-ascii"', b"<a>\xff", "<a>�"),
        ("application/soap+xml;charset=UTF-16", b"<\0\x00\xd8>\0", "<�>"),  # a lone surrogate
        ("", b"", ""),
    ],
)
def test_an_answer_becomes_text_by_its_mark_then_its_charset_then_utf_8(kind: str, body: bytes, text: str) -> None:
    """[DSP0226] R13.1-5 to -8; one broken character must not cost a batch."""
    assert decoded(Answer(200, kind, body)) == text


@pytest.mark.parametrize("kind", ["text/html; charset=iso-8859-1", "application/soap+xml;charset=utf-7", "a;charset=x"])
def test_a_charset_that_nobody_speaks_is_trouble(kind: str) -> None:
    """Read as another it would be other events."""
    with pytest.raises(Trouble) as caught:
        decoded(Answer(200, kind, b"<a/>"))
    assert (caught.value.reason, caught.value.sent) == ("charset", True)


async def test_what_no_header_may_hold_is_not_sent() -> None:
    """A value with a line end would be a header of somebody else's."""
    async with listening(says(answer())) as far_end:
        with pytest.raises(ValueError, match="header"):
            await calling(far_end).post(BODY, KIND, headers={"X": "a\r\nAuthorization: b"})

    assert not far_end.met


async def test_an_empty_answer_is_an_answer() -> None:
    """A time-out of the far end may come so."""
    async with listening(says(EMPTY)) as far_end, calling(far_end) as connection:
        assert await connection.post(BODY, KIND) == Answer(200, "", b"")


async def test_inside_tls_an_answer_of_many_records_comes_whole(tmp_path: Path) -> None:
    """A receive buffer that all connections share must not mix what two of them say."""
    lab = Lab(tmp_path)
    serving = lab.serving("localhost")
    bodies = [bytes([letter]) * 700_001 for letter in range(8)]
    async with listening(FarEnd([lambda met: answer(2 * met.body)] * 8), serving) as far_end:
        context = tls_context(lab.ca, None, None)
        connections = [calling(far_end, context=context, limit=2**21) for _ in bodies]
        answers = await asyncio.gather(
            *(connection.post(body, KIND) for connection, body in zip(connections, bodies, strict=True))
        )
        for connection in connections:
            await connection.close()

    assert [got.body for got in answers] == [2 * body for body in bodies]


def test_a_tls_connection_keeps_no_large_buffer_for_what_hardly_ever_comes(tmp_path: Path) -> None:
    """asyncio keeps 256 KiB for each: 500 MB for two thousand idle sources. A private name of asyncio, pinned here."""
    Lab(tmp_path).serving("localhost")
    tls_context(str(tmp_path / "ca.pem"), None, None)

    assert 0 < asyncio.sslproto.SSLProtocol.max_size <= 64 * 1024
