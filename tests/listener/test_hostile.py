"""Bad input, each kind of it: a clear answer, nothing lost, and a good source served meanwhile."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from collector.config.settings import Limits
from collector.kernel import sldc
from tests.delivery.conversation import ID, NARROW, Corridor, bookmark, event
from tests.listener.speaking import ENUMERATE, HEARTBEAT, Place, corridor_in, enumerate_, envelope, listening
from tests.listener.test_door import IDENTIFIER, events
from tests.routing.scripted_sink import ScriptedSink, eventually

EVENTS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Events"
ITEM = '<w:Event Action="http://schemas.dmtf.org/wbem/wsman/1/wsman/Event">{}</w:Event>'
LIMITS = Limits(body_size=2 * 2**20, decompressed_size=4 * 2**20, header_time=2.0, body_time=0.3)


async def good(place: Place) -> bool:
    """Whether an honest source is served."""
    return (await (await place.call()).post(events(1, 2))).status == 200


def batch(*items: str, header: str = "") -> str:
    inside = "".join(ITEM.format(item) for item in items)
    head = header or f"{IDENTIFIER}<w:Bookmark>{bookmark(1)}</w:Bookmark><w:AckRequested/>"
    return envelope(EVENTS, f"<w:Events>{inside}</w:Events>", header=head)


def cdata(text: str) -> str:
    return f"<![CDATA[{text}]]>"


BIG = f"<EventData><Data>{'x' * 2**20}</Data></EventData></Event>"
NESTED = "<x>" * 10_000 + "</x>" * 10_000
BOMB = "<!DOCTYPE b [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
OUTSIDE = "<!DOCTYPE b [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"

REFUSED: dict[str, tuple[bytes | str, dict[str, str], int]] = {
    "cut in the middle of an event": (events(1, 2)[:-200], {}, 500),
    "cut in the header": (events(1)[:300], {}, 500),
    "cut in the middle of a UTF-16 unit": (b"\xff\xfe" + events(1).encode("utf-16-le")[:-101], {}, 500),
    "nested 10,000 deep": (envelope(ENUMERATE, NESTED), {}, 500),
    "entity bomb": (BOMB + enumerate_(), {}, 500),
    "external entity": (OUTSIDE + enumerate_(), {}, 500),
    "unknown envelope": (enumerate_().replace("2003/05/soap-envelope", "2001/12/soap-envelope"), {}, 400),
    "no envelope": ("<html><body>hello</body></html>", {}, 400),
    "gzip": (b"\x1f\x8b\x08\x00" + b"\0" * 20, {"Content_Encoding": "gzip"}, 400),
    "deflate": (b"x\x9c" + b"\0" * 20, {"Content_Encoding": "deflate"}, 400),
    "sldc garbage": (b"\xff\xab\xfd" + b"\x80" * 50 + struct.pack("<I", 100), {"Content_Encoding": "SLDC"}, 400),
    "sldc bomb": (b"\xff\xab" + b"\xff" * 500 + struct.pack("<I", 2**31), {"Content_Encoding": "SLDC"}, 413),
    "sldc that lies about its length": (
        sldc.encode(enumerate_().encode())[:-4] + struct.pack("<I", 10), {"Content_Encoding": "SLDC"}, 400,
    ),
    "unknown charset": (enumerate_(), {"Content_Type": "application/soap+xml;charset=EBCDIC-CP-US"}, 400),
    "multipart without its seal": ("--Encrypted Boundary\r\n", {
        "Content_Type": 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="x"'}, 400),
    "no message id": (enumerate_().replace("<a:MessageID>uuid:AbC-1</a:MessageID>", ""), {}, 500),
    "an empty message id": (enumerate_().replace("uuid:AbC-1", " "), {}, 500),
    "two message ids": (enumerate_().replace("<a:Action>", "<a:MessageID>uuid:2</a:MessageID><a:Action>"), {}, 500),
    "no action": (envelope("").replace("<a:Action></a:Action>", ""), {}, 500),
    "no identifier": (envelope(HEARTBEAT), {}, 500),
    "somebody else's identifier": (envelope(HEARTBEAT, header="<e:Identifier>0</e:Identifier>"), {}, 500),
    "an unknown header that must be understood": (
        envelope(ENUMERATE, header='<z:Z xmlns:z="urn:z" s:mustUnderstand="true">1</z:Z>'), {}, 500,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_is_wrong_gets_a_clear_answer(tmp_path: Path, kind: str) -> None:
    """And the next source gets its own."""
    body, headers, status = REFUSED[kind]
    async with listening(corridor_in(tmp_path), limits=LIMITS) as place:
        answer = await (await place.call()).post(body, **headers)

        assert answer.status == status
        assert await good(place)


ODD: dict[str, tuple[list[str], int]] = {
    "one broken among a hundred": ([cdata(event(n)) for n in range(50)] + [cdata("<Event><Sys")]
                                   + [cdata(event(n)) for n in range(51, 100)], 100),
    "an empty event": (["", cdata(event(1))], 2),
    "an event that is no event": ([cdata("hello"), cdata(event(1))], 2),
    "control characters": ([cdata(event(1).replace("Test", "T\x01\x05est"))], 1),
    "an illegal reference": ([cdata(event(1).replace("Test", "T&#x3;est"))], 1),
    "events as child elements": ([event(1), event(2)], 2),
    "events as escaped text": ([event(1).replace("&", "&amp;").replace("<", "&lt;")], 1),
    "an event of 1 MB": ([cdata(event(1).replace("</Event>", BIG))], 1),
    "names that are paths": ([cdata(event(1).replace("WS-1", "../../../etc/cron.d/x"))], 1),
    "ANSI escapes": ([cdata(event(1).replace("WS-1", "\x1b[2J\x1b[31mred"))], 1),
    "a name of 10,000 letters": ([cdata(event(1).replace("WS-1", "w" * 10_000))], 1),
    "several events in one": ([cdata(event(1) + event(2))], 2),
    "10,000 deep inside an event": ([cdata(event(1).replace("</Event>", NESTED + "</Event>")), cdata(event(2))], 2),
    "a doctype inside one event": ([cdata(BOMB + event(1)), cdata(event(2))], 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
async def test_odd_events_never_fail_their_batch(tmp_path: Path, kind: str) -> None:
    """An unacknowledged poison batch comes back for ever and stops the source."""
    items, rows = ODD[kind]
    corridor = corridor_in(tmp_path)
    async with listening(corridor, limits=LIMITS) as place:
        answer = await (await place.call()).post(batch(*items))

        assert answer.status == 200
        assert b"wsman/Ack" in answer.body
        assert corridor.lane.measure().delivered == rows
        assert await good(place)


async def test_five_thousand_events_in_a_batch_are_taken(tmp_path: Path) -> None:
    """A source with a backlog and no item limit; the envelope is what bounds it."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, limits=Limits()) as place:
        answer = await (await place.call()).post(events(*range(1, 5001)))

    assert answer.status == 200
    assert corridor.lane.measure().delivered == 5000


async def test_zero_events_are_acknowledged(tmp_path: Path) -> None:
    """Nothing forbids it."""
    async with listening(corridor_in(tmp_path)) as place:
        assert (await (await place.call()).post(batch())).status == 200


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (b"\xff\xfe" + enumerate_().encode("utf-16-le"), "UTF-8"),
        (b"\xef\xbb\xbf" + enumerate_().encode(), "UTF-16"),
        (enumerate_().encode("utf-16-le"), "utf-16le"),
        (b"\xff\xfe" + enumerate_().replace("WS-1", "W\ud800S").encode("utf-16-le", "surrogatepass"), "UTF-16"),
    ],
    ids=["label says UTF-8", "label says UTF-16", "no BOM", "lone surrogate"],
)
async def test_odd_charsets_are_read_as_what_they_are(tmp_path: Path, body: bytes, charset: str) -> None:
    """protocol.md 14.2: the BOM wins, then the label, then UTF-8; bad sequences become U+FFFD."""
    async with listening(corridor_in(tmp_path)) as place:
        answer = await (await place.call()).post(body, Content_Type=f"application/soap+xml;charset={charset}")

    assert answer.status == 200


async def test_events_of_a_subscription_for_others_are_refused_and_their_owner_is_not_touched(tmp_path: Path) -> None:
    """No bookmark is saved for somebody who may not deliver."""
    corridor = corridor_in(tmp_path)
    corridor.subscriptions = type(corridor.subscriptions)((NARROW,))
    async with listening(corridor) as place:
        answer = await (await place.call()).post(events(1))

    assert answer.status == 500
    assert b"DeliveryRefused" in answer.body
    assert corridor.store.bookmark("ws-1.corp.example", ID) is None


RAW: dict[str, bytes] = {
    "two lengths": b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"
    ),
    "a negative length": b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: -5\r\n\r\n",
    "a length that is a word": b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: five\r\n\r\n",
    "a chunk size that is a word": b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
    "a header of 1 MB": b"POST / HTTP/1.1\r\nHost: w\r\nX: " + b"x" * 2**20 + b"\r\n\r\n",
    "a hundred headers": b"POST / HTTP/1.1\r\nHost: w\r\n" + b"".join(b"X-%d:\r\n" % i for i in range(99)) + b"\r\n",
    "a request line of 1 MB": b"POST /" + b"x" * 2**20 + b" HTTP/1.1\r\nHost: w\r\n\r\n",
    "bare line feeds in a header": b"POST / HTTP/1.1\r\nHost: w\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
    "no HTTP at all": b"\0\1\2\3\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", RAW)
async def test_requests_that_could_mean_two_things_mean_nothing(tmp_path: Path, kind: str) -> None:
    """400 or the end of the connection; never a second request smuggled behind the first."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, limits=LIMITS) as place:
        talk = await place.call()
        try:
            await talk.send(RAW[kind])
            status = (await talk.answer()).status
        except (ConnectionError, EOFError):
            status = 0

        assert status in {0, 400, 413, 431}
        assert await good(place)


@pytest.mark.slow
async def test_a_body_that_stops_half_way_is_given_up_in_time(tmp_path: Path) -> None:
    """Wrong Content-Length, or a line that died."""
    async with listening(corridor_in(tmp_path), limits=LIMITS) as place:
        talk = await place.call()
        await talk.send(b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 1000\r\n\r\nhalf")
        answer = await talk.answer()

        assert answer.status == 408
        assert await talk.at_end()


async def test_http_1_0_is_answered_and_closed(tmp_path: Path) -> None:
    """Old monitoring scripts speak it."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        body = enumerate_().encode()
        await talk.send(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        assert (await talk.answer()).status == 200
        assert await talk.at_end()


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """One after the other, so that a sealed connection keeps its sequence."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        request = b""
        for number in range(5):
            body = enumerate_().replace("AbC-1", f"n{number}").encode()
            request += b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        await talk.send(request)

        for number in range(5):
            assert f"uuid:n{number}<".encode() in (await talk.answer()).body


async def test_made_up_uris_and_names_reach_no_metric(tmp_path: Path) -> None:
    """3,000 of them would be 3,000 series for ever."""
    from prometheus_client import generate_latest

    from collector.telemetry import REGISTRY

    async with listening(corridor_in(tmp_path)) as place:
        before = generate_latest(REGISTRY).count(b"\n")
        talk = await place.call()
        for number in range(300):
            await talk.post(envelope(f"urn:made-up:{number}"), path=f"/made/up/{number}")
            await talk.post(enumerate_().replace("WS-1", f"ws-{number}"), path=f"/x{number}")
        after = generate_latest(REGISTRY)

    assert after.count(b"\n") - before < 30
    assert b"/made" not in after
    assert b"urn:" not in after
    assert b"ws-1" not in after


async def test_all_bodies_together_are_bounded_and_given_back(tmp_path: Path) -> None:
    """Ten thousand sources with a full envelope each, after an outage: some have to come again."""
    corridor = Corridor(tmp_path, sink := ScriptedSink("hang"))
    corridor.lane._patience = 3600
    big = batch(cdata(event(1).replace("</Event>", BIG)))
    async with listening(corridor, limits=Limits(bodies_size=3 * 2**20)) as place:
        first = asyncio.ensure_future((await place.call()).post(big))
        await eventually(lambda: bool(sink.called))
        second = await (await place.call()).post(big)
        sink.let_go()

        assert second.status == 503
        assert (await first).status == 200
        assert (await (await place.call()).post(big)).status == 200
