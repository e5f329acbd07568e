"""HTTP in, HTTP out: every refusal of contract.md section 5, and the shapes that real clients use."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config.settings import Limits
from collector.errors import Backpressure
from collector.model import Caller
from collector.subscriptions.folder import SubscriptionSet
from collector.subscriptions.subscription import Subscription
from tests.delivery.conversation import ID, bookmark, event
from tests.listener.speaking import HEARTBEAT, IDENTIFY, UTF8, corridor_in, enumerate_, envelope, listening

IDENTIFIER = f"<e:Identifier>{ID.upper()}</e:Identifier>"


def events(*records: int) -> str:
    inside = "".join(
        f'<w:Event Action="http://schemas.dmtf.org/wbem/wsman/1/wsman/Event"><![CDATA[{event(record)}]]></w:Event>'
        for record in records
    )
    header = f"{IDENTIFIER}<w:Bookmark>{bookmark(records[-1])}</w:Bookmark><w:AckRequested/>"
    action = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Events"
    return envelope(action, f"<w:Events>{inside}</w:Events>", header=header)


@pytest.mark.parametrize(
    ("encode", "charset", "begins"),
    [
        (lambda text: text.encode(), "UTF-8", b"<s:Env"),
        (lambda text: b"\xff\xfe" + text.encode("utf-16-le"), "UTF-16", b"\xff\xfe<\x00"),
        (lambda text: b"\xfe\xff" + text.encode("utf-16-be"), "UTF-16", b"\xfe\xff\x00<"),
    ],
    ids=["utf-8", "utf-16-le", "utf-16-be"],
)
async def test_a_reply_is_spelled_in_the_charset_of_its_request(
    tmp_path: Path, encode: object, charset: str, begins: bytes
) -> None:
    """[DSP0226] R13.1-5 to 7: Windows reports 0x803380F8 for anything else."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        body = encode(enumerate_())  # type: ignore[operator]
        answer = await talk.post(body, Content_Type=f"application/soap+xml;charset={charset}")

    assert answer.status == 200
    assert answer.body.startswith(begins)
    assert answer.headers["content-type"] == f"application/soap+xml;charset={charset}"


async def test_events_are_acknowledged_with_the_id_of_their_message(tmp_path: Path) -> None:
    """RelatesTo repeats the MessageID to the letter; a source forgets only for its own message."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor) as place:
        talk = await place.call()
        answer = await talk.post(events(1, 2), path="/any/path?x=1")

    assert answer.status == 200
    assert b"wsman/Ack" in answer.body
    assert b"<a:RelatesTo>uuid:AbC-1</a:RelatesTo>" in answer.body
    assert corridor.store.bookmark("ws-1.corp.example", ID) is not None


async def test_many_messages_share_one_connection(tmp_path: Path) -> None:
    """A source keeps its connection for hours."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        answers = [await talk.post(envelope(HEARTBEAT, header=IDENTIFIER)) for _ in range(5)]

    assert [answer.status for answer in answers] == [200] * 5


async def test_a_chunked_body_is_taken(tmp_path: Path) -> None:
    """curl and .NET clients send one."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        text = enumerate_().encode()
        parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:100], text[100:]))
        await talk.send(
            b"POST /wsman HTTP/1.1\r\nHost: wec\r\nContent-Type: " + UTF8.encode()
            + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
        )  # fmt: skip
        assert (await talk.answer()).status == 200


async def test_a_client_that_asks_first_is_told_to_go_on(tmp_path: Path) -> None:
    """Expect: 100-continue: without the 100 such a client waits for a second or for ever."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        text = enumerate_().encode()
        await talk.send(
            f"POST /wsman HTTP/1.1\r\nHost: wec\r\nContent-Type: {UTF8}\r\n"
            f"Content-Length: {len(text)}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert (await talk.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        await talk.send(text)
        assert (await talk.answer()).status == 200


async def test_only_post_is_served(tmp_path: Path) -> None:
    """contract.md 5."""
    async with listening(corridor_in(tmp_path)) as place:
        answer = await (await place.call()).post(b"", method="GET")

    assert answer.status == 405


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """By its declared length, and the source learns why."""
    async with listening(corridor_in(tmp_path), limits=Limits(body_size=8192)) as place:
        answer = await (await place.call()).post(b"x" * 10000)

    assert answer.status == 413


async def test_a_chunked_body_is_counted_while_it_comes(tmp_path: Path) -> None:
    """It declares nothing, so nothing else would stop it."""
    async with listening(corridor_in(tmp_path), limits=Limits(body_size=8192)) as place:
        talk = await place.call()
        await talk.send(
            b"POST /wsman HTTP/1.1\r\nHost: wec\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2710\r\n" + b"x" * 10000
        )
        assert (await talk.answer()).status == 413


async def test_a_batch_of_too_many_events_is_too_large(tmp_path: Path) -> None:
    """Each event costs memory in several rooms, however small it is."""
    async with listening(corridor_in(tmp_path), limits=Limits(events_per_batch=2)) as place:
        answer = await (await place.call()).post(events(1, 2, 3))

    assert answer.status == 413


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\x00\x01garbage", {}, 400),
        (b"<a/>", {}, 400),
        (b"<s:Envelope xmlns:s='urn:unknown'/>", {}, 400),
        (b"<a/>", {"Content_Type": "application/soap+xml;charset=EBCDIC"}, 400),
        (b"\xff\xb3\xa3 no sldc at all\x40\x00\x00\x00", {"Content_Encoding": "SLDC"}, 400),
        (b"\x1f\x8b\x08\x00", {"Content_Encoding": "gzip"}, 400),
        (b"<!DOCTYPE s [<!ENTITY a 'b'>]><s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'/>", {}, 500),
        (b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Header>", {}, 500),
    ],
    ids=["garbage", "no soap", "foreign", "charset", "sldc", "gzip", "doctype", "cut short"],
)
async def test_what_cannot_be_read_is_refused(
    tmp_path: Path, body: bytes, headers: dict[str, str], status: int
) -> None:
    """contract.md 5; the process lives on and serves the next one."""
    async with listening(corridor_in(tmp_path)) as place:
        answer = await (await place.call()).post(body, **headers)
        after = await (await place.call()).post(enumerate_())

    assert answer.status == status
    assert after.status == 200
    if status == 500:
        assert b"SchemaValidationError" in answer.body


async def test_a_full_spool_or_disk_is_503_and_the_connection_stays(tmp_path: Path) -> None:
    """Windows sends the same batch again later, over the same connection if it can."""
    corridor = corridor_in(tmp_path)
    corridor.trouble = Backpressure("state", "the disk is full")
    async with listening(corridor) as place:
        talk = await place.call()
        first = await talk.post(events(1))
        corridor.trouble = None
        second = await talk.post(events(1))

    assert (first.status, first.body, second.status) == (503, b"", 200)


async def test_refusals_of_the_exchange_are_faults_with_status_500(tmp_path: Path) -> None:
    """What Windows peers are used to, for Sender and Receiver alike (protocol.md 2.2)."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        unknown = await talk.post(envelope("urn:made-up"))
        foreign = await talk.post(envelope(HEARTBEAT, header="<e:Identifier>nobody</e:Identifier>"))

    assert unknown.status == foreign.status == 500
    assert b"ActionNotSupported" in unknown.body
    assert b"DeliveryRefused" in foreign.body


class Broken(SubscriptionSet):
    """As if we had made a mistake."""

    def offered_to(self, caller: Caller) -> list[Subscription]:
        raise ZeroDivisionError


async def test_our_own_fault_carries_an_incident_id_and_ends_nothing(tmp_path: Path) -> None:
    """Whoever calls about it can be found in the log."""
    corridor = corridor_in(tmp_path)
    good, corridor.subscriptions = corridor.subscriptions, Broken()
    async with listening(corridor) as place:
        talk = await place.call()
        answer = await talk.post(enumerate_())
        corridor.subscriptions = good
        after = await talk.post(enumerate_())

    assert answer.status == 500
    assert b"InternalError" in answer.body
    assert b"uuid:NEW" in answer.body
    assert after.status == 200


async def test_identify_is_answered(tmp_path: Path) -> None:
    """Test-WSMan and winrm id are how administrators begin."""
    async with listening(corridor_in(tmp_path)) as place:
        answer = await (await place.call()).post(IDENTIFY)

    assert answer.status == 200
    assert b"<wsmid:ProductVendor>wef-collector</wsmid:ProductVendor>" in answer.body


async def test_end_is_answered_204_without_a_body(tmp_path: Path) -> None:
    """As Windows does (protocol.md 6.3)."""
    async with listening(corridor_in(tmp_path)) as place:
        answer = await (await place.call()).post(envelope("http://schemas.microsoft.com/wbem/wsman/1/wsman/End"))

    assert (answer.status, answer.body) == (204, b"")


async def test_notify_to_names_what_the_source_called_us(tmp_path: Path) -> None:
    """contract.md 1: the host of a:To, else of the Host header; a:To may be written by anybody."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        by_to = await talk.post(envelope_to("http://wec.corp.example:80/wsman"))
        by_host = await talk.post(envelope_to("http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"))
        hostile = await talk.post(envelope_to("http://evil&quot;&gt;&lt;x/&gt;:5985/"))

    assert b"http://wec.corp.example:80/wsman/subscriptions/" in by_to.body
    assert b"http://wec:5985/wsman/subscriptions/" in by_host.body
    assert b"http://wec:5985/wsman/subscriptions/" in hostile.body


def envelope_to(to: str) -> str:
    return enumerate_().replace("http://wec:5985/wsman", to)


async def test_one_address_cannot_take_all_connections(tmp_path: Path) -> None:
    """The limit closes the newcomer and leaves those who are there alone."""
    async with listening(corridor_in(tmp_path), limits=Limits(connections_per_address=2)) as place:
        first, second = await place.call(), await place.call()
        third = await place.call()

        assert await third.at_end()
        assert (await first.post(enumerate_())).status == 200
        assert (await second.post(enumerate_())).status == 200


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    """Scanners and health checks; a request in time sets it free."""
    async with listening(corridor_in(tmp_path), limits=Limits(header_time=0.2)) as place:
        silent, speaking = await place.call(), await place.call()
        assert (await speaking.post(enumerate_())).status == 200

        assert await silent.at_end()
        assert (await speaking.post(enumerate_())).status == 200


async def test_the_headers_of_a_later_request_must_come_in_time_too(tmp_path: Path) -> None:
    """Who has been polite once may not hold a place for hours with half a header."""
    async with listening(corridor_in(tmp_path), limits=Limits(header_time=0.2)) as place:
        talk = await place.call()
        assert (await talk.post(enumerate_())).status == 200
        await talk.send(b"POST /wsman HTTP/1.1\r\nHost: w")

        assert await talk.at_end()
