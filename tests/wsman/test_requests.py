"""The simulator's messages are Windows' messages, to the byte; so a reader that likes them likes Windows."""

from __future__ import annotations

from pathlib import Path

from collector.wsman.messages import Delivery, Heartbeat
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
from tests.wsman.spoken import EVENT, MESSAGE_ID, TARGET

SESSION = "uuid:981C530F-BE2A-4AAB-BACB-6FB4CD1A14AB"
WINDOWS = Target(
    "http://srv.windomain.local:5985/wsman/subscriptions/B6BDBB59-FB07-4EE5-841F-EBEC9D67CDD4/1",
    "219C5353-5F3D-4CD7-A644-F6B69E57C1C1",
)


def capture(shared_data: Path, name: str) -> str:
    return (shared_data / "captures" / f"{name}.xml").read_text()


def test_an_enumerate_is_the_captured_one(shared_data: Path) -> None:
    """Blanks before slashes and all."""
    written = write_enumerate(
        Speaker("win10.windomain.local", "uuid:D25DD033-C406-44AB-8443-85E1BC794F10"),
        to="http://srv.windomain.local:5985/wsman/SubscriptionManager/WEC",
        message_id="uuid:E9802257-6A7D-4C0D-BFA4-E81C7B1C447E",
        operation_id="uuid:03A3D1BB-9B16-4847-9F04-C9A8ED38E1E4",
    )

    assert written == capture(shared_data, "enumerate-request")


def test_heartbeats_are_the_captured_ones(shared_data: Path) -> None:
    """Over Kerberos in 2022 and over TLS in 2018."""
    assert write_heartbeat(
        Speaker("win10.windomain.local", SESSION),
        WINDOWS,
        message_id="uuid:EEC04F74-A27D-4C3A-AEF5-BC5BF54359BA",
        operation_id="uuid:EA2EE566-2CC1-49A0-A726-BCE7DC356E22",
    ) == capture(shared_data, "heartbeat")
    tls = capture(shared_data, "heartbeat-tls-2018")
    message = read_envelope(tls)
    assert isinstance(message, Heartbeat)
    header = message.header
    assert (
        write_heartbeat(
            Speaker(header.machine_id, "uuid:33AE3D43-87F0-44BB-95DB-A61C383EF2EC"),
            Target(header.to, header.identifier),
            message_id=header.message_id,
            operation_id=header.operation_id,
        )
        == tls
    )


def test_a_batch_is_the_captured_one(shared_data: Path) -> None:
    """Take the 21 events out, write them again: the same 29,341 characters."""
    captured = capture(shared_data, "events-batch-21-rendered")
    message = read_envelope(captured)
    assert isinstance(message, Delivery)

    written = write_events(
        Speaker("win10.windomain.local", SESSION),
        WINDOWS,
        message.pieces,
        message.bookmark,
        message_id=message.header.message_id,
        operation_id=message.header.operation_id,
    )

    assert len(message.pieces) == 21
    assert written == captured


def test_a_subscription_end_and_its_end_are_the_captured_ones(shared_data: Path) -> None:
    """The last words of a source, with its own diagnosis."""
    target = Target(
        "http://wec.windomain.local:5985/wsman/subscriptions/0C98CAE1-EDA4-4C92-82D9-A8A20EB518D2",
        "0C98CAE1-EDA4-4C92-82D9-A8A20EB518D2",
    )
    assert write_subscription_end(
        Speaker("win10.windomain.local", "uuid:B2FA79EC-9D29-4DFF-9BB4-D12809DC935D"),
        target,
        manager_id="820FEC3F-E3BD-4064-A4FD-BA8D550C4432",
        message_id="uuid:21DF76D2-A1ED-4333-BEAB-378AFB012DEE",
        operation_id="uuid:50485065-8F54-44F2-8525-DBCBE293E317",
        status="SourceCancelling",
        reason=(1717, "Windows Event Forward Plugin failed to read events."),
    ) == capture(shared_data, "subscription-end")
    assert write_end(
        message_id="uuid:3244F96B-8ECA-4A06-90DE-8A1DED23AB1F",
        operation_id="uuid:50485065-8F54-44F2-8525-DBCBE293E317",
    ) == capture(shared_data, "subscription-end-end")


def test_an_old_source_names_no_session() -> None:
    """Windows 7 and 2008 R2 know neither SessionId nor OperationID nor SequenceId."""
    written = write_heartbeat(Speaker("old.corp.example"), TARGET, message_id=MESSAGE_ID)

    for name in ("SessionId", "OperationID", "SequenceId"):
        assert name not in written


def test_an_event_that_ends_a_cdata_section_is_split_over_two() -> None:
    """Else its rest would be read as part of the envelope."""
    event = EVENT.replace("x</Data>", "]]>]]]>></Data>")
    message = read_envelope(write_events(Speaker("pc"), TARGET, [event], None, message_id=MESSAGE_ID))

    assert isinstance(message, Delivery)
    assert message.pieces == [event]
