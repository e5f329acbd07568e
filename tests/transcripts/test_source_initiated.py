"""The source-initiated flow as it was recorded, message after message, from bytes to values."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.kernel import sldc
from collector.wsman import names
from collector.wsman.messages import Delivery, End, Enumerate, Header, Heartbeat, Identify, Message, SubscriptionEnd
from collector.wsman.payload import close_payload, open_payload
from collector.wsman.reader import read_envelope
from collector.wsman.requests import (
    Speaker,
    Target,
    write_end,
    write_enumerate,
    write_events,
    write_heartbeat,
    write_subscription_end,
)

LIMIT = 1 << 20
CAPTURED = "219C5353-5F3D-4CD7-A644-F6B69E57C1C1"
ENDED = "0C98CAE1-EDA4-4C92-82D9-A8A20EB518D2"
PRINTED = "BB8CD0E7-46F4-40E4-B74C-A0C7B509F669"  # in the specification
UTF_16 = "application/soap+xml;charset=UTF-16"


def on_the_wire(text: str) -> bytes:
    return b"\xff\xfe" + text.encode("utf-16-le")


def received(body: bytes, content_encoding: str = "") -> Message:
    return read_envelope(open_payload(body, UTF_16, content_encoding, LIMIT).text)


def header_of(message: Message) -> Header:
    assert not isinstance(message, Identify)
    return message.header


@pytest.mark.parametrize(
    ("name", "wire", "kind", "machine", "identifier", "timeout"),
    [
        ("enumerate-request", 3240, Enumerate, "win10.windomain.local", "", 60.0),
        ("end", 1434, End, "", "", None),
        ("heartbeat", 3042, Heartbeat, "win10.windomain.local", CAPTURED, 60.0),
        ("heartbeat-tls-2018", 3018, Heartbeat, "dc.markkurossi.com", "794B572A-0F96-46A6-8EFF-0F81EE927A05", 60.0),
        (
            "events-batch-21-rendered",
            58684,
            Delivery,
            "win10.windomain.local",
            CAPTURED,
            60.0,
        ),
        ("events-two-rendered", 9620, Delivery, "win10.windomain.local", CAPTURED, 60.0),
        (
            "subscription-end",
            4594,
            SubscriptionEnd,
            "win10.windomain.local",
            ENDED,
            0.5,
        ),
        ("subscription-end-end", 1434, End, "", "", None),
        ("spec-enumerate-request-https", None, Enumerate, "RMACKTEST0.MIG.NET", "", None),
        ("spec-events", None, Delivery, "RMACKTEST0.MIG.NET", PRINTED, None),
        (
            "spec-subscription-end",
            None,
            SubscriptionEnd,
            "RMACKTEST0.MIG.NET",
            PRINTED,
            0.5,
        ),
    ],
)
def test_each_recorded_message_is_read_as_what_it_is(
    shared_data: Path,
    name: str,
    wire: int | None,
    kind: type[Message],
    machine: str,
    identifier: str,
    timeout: float | None,
) -> None:
    """In the encoding of the wire, whose length the recordings name."""
    body = on_the_wire((shared_data / "captures" / f"{name}.xml").read_text())
    message = received(body)
    header = header_of(message)

    assert wire is None or len(body) == wire
    assert isinstance(message, kind)
    assert (header.machine_id, header.identifier, header.operation_timeout) == (machine, identifier, timeout)
    assert header.message_id.startswith("uuid:")
    assert header.not_understood == ()


@pytest.mark.parametrize("name", ["sldc-heartbeat-kerberos-2022", "sldc-heartbeat-tls-2018"])
def test_a_compressed_heartbeat_is_a_heartbeat(shared_data: Path, name: str) -> None:
    """The bytes of real sources through every layer but the seal."""
    body = (shared_data / "captures" / f"{name}.sldc").read_bytes()

    assert isinstance(received(body, "SLDC"), Heartbeat)


def test_the_end_that_claims_to_be_compressed_is_read(shared_data: Path) -> None:
    """It never is."""
    body = on_the_wire((shared_data / "captures" / "subscription-end-end.xml").read_text())

    assert isinstance(received(body, "SLDC"), End)


def test_the_recorded_batch_has_21_events_and_one_bookmark_for_all(shared_data: Path) -> None:
    """The bookmark is the last event's: acknowledged, the source continues behind it."""
    message = received(on_the_wire((shared_data / "captures" / "events-batch-21-rendered.xml").read_text()))

    assert isinstance(message, Delivery)
    assert message.sliced
    assert len(message.pieces) == 21
    assert all(piece.startswith("<Event xmlns=") and piece.endswith("</Event>") for piece in message.pieces)
    assert "<EventRecordID>149161</EventRecordID>" in message.pieces[-1]
    assert message.bookmark is not None
    assert 'RecordId="149161"' in message.bookmark


def test_the_recorded_end_tells_why(shared_data: Path) -> None:
    """1717: the source's own words."""
    message = received(on_the_wire((shared_data / "captures" / "subscription-end.xml").read_text()))

    assert isinstance(message, SubscriptionEnd)
    assert (message.status, message.code) == ("SourceCancelling", 1717)
    assert message.text == "Windows Event Forward Plugin failed to read events."


def test_identify_is_read(shared_data: Path) -> None:
    """What winrm id asks."""
    assert read_envelope((shared_data / "captures" / "identify-request.xml").read_text()) == Identify()


EVENT = f"<Event xmlns='{names.EVENT}'><System><EventID>1</EventID></System></Event>"
BOOKMARK = '<BookmarkList><Bookmark Channel="Application" RecordId="9" IsCurrent="true"/></BookmarkList>'
SPEAKER = Speaker("pc07.corp.example", "uuid:0F000000-0000-4000-8000-000000000001")
TARGET = Target("https://wec.corp.example:5986/wsman/subscriptions/A", "A", "V", "r1")
MESSAGE_ID, OPERATION_ID = "uuid:0F000000-0000-4000-8000-000000000002", "uuid:0F000000-0000-4000-8000-000000000003"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-8"])
def test_the_whole_flow_in_every_encoding(charset: str, compressed: bool) -> None:
    """The same conversation, written here: it needs no recordings."""
    bom = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff", "utf-8": b""}[charset]
    flow = [
        (
            write_enumerate(
                SPEAKER, to="https://wec.corp.example:5986/wsman", message_id=MESSAGE_ID, operation_id=OPERATION_ID
            ),
            Enumerate,
        ),
        (write_heartbeat(SPEAKER, TARGET, message_id=MESSAGE_ID, operation_id=OPERATION_ID), Heartbeat),
        (
            write_events(SPEAKER, TARGET, [EVENT] * 3, BOOKMARK, message_id=MESSAGE_ID, operation_id=OPERATION_ID),
            Delivery,
        ),
        (
            write_subscription_end(SPEAKER, TARGET, manager_id="m", message_id=MESSAGE_ID, operation_id=OPERATION_ID),
            SubscriptionEnd,
        ),
        (write_end(message_id=MESSAGE_ID, operation_id=OPERATION_ID), End),
    ]
    for text, kind in flow:
        body = bom + text.encode(charset)
        payload = open_payload(
            sldc.encode(body) if compressed else body, UTF_16 if bom else "", "SLDC" if compressed else "", LIMIT
        )
        message = read_envelope(payload.text)

        assert isinstance(message, kind)
        assert header_of(message).message_id == MESSAGE_ID
        assert close_payload("<x/>", payload)[1] == bom + "<x/>".encode(charset)
        if isinstance(message, Delivery):
            assert (message.pieces, message.bookmark, message.sliced) == ([EVENT] * 3, BOOKMARK, True)
            assert (message.header.version, message.header.revision) == ("V", "r1")
