"""WinRM clients that others wrote, forwarding events: ``python -m tests.end_to_end.foreign_clients JSON``.

pypsrp and pywinrm carry any SOAP, sealed by code that shares nothing with ours; what they are given to carry is what a
source says. A process of its own, because the Kerberos library takes its realm from the environment. It must not
know the collector: whether the events were stored is for the caller to look up.

The argument is a ``Journey``; the answer, one line of JSON, is how many messages were answered as they should be.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol
from urllib.parse import urlsplit

from collector.simulate.delivery import target_of
from collector.wsman.messages import Ack, EnumerateResponse
from collector.wsman.requests import Speaker, Target, write_enumerate, write_events, write_heartbeat
from collector.wsman.responses import read_response

EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Service Control "
    "Manager'/><EventID>7036</EventID><TimeCreated SystemTime='2026-01-01T00:00:00.0000000Z'/><EventRecordID>{record}"
    "</EventRecordID><Channel>System</Channel><Computer>{computer}</Computer></System><EventData>"
    "<Data Name='param1'>{padding}</Data></EventData></Event>"
)
BOOKMARK = '<BookmarkList><Bookmark Channel="System" RecordId="{record}" IsCurrent="true"/></BookmarkList>'


@dataclass(frozen=True, slots=True)
class Journey:
    """One client, one identity, one listener. *batches* are the sizes of the Events messages, in bytes of events."""

    client: str  # pypsrp, pywinrm
    scheme: str  # what the client is told to use: kerberos, negotiate
    url: str
    computer: str
    batches: Sequence[int] = (2_000,)
    ca: str | None = None
    binding: bool = True  # whether it tells which certificate it saw


class Carrier(Protocol):
    """A client's way to carry one message to *url* and bring the answer."""

    def __call__(self, url: str, message: str) -> str: ...


def pypsrp(journey: Journey) -> Carrier:
    from pypsrp.wsman import _TransportHTTP

    parts = urlsplit(journey.url)
    transport = _TransportHTTP(
        parts.hostname or "",
        parts.port,
        ssl=parts.scheme == "https",
        auth=journey.scheme,
        encryption="always",
        cert_validation=journey.ca or True,
        negotiate_service="HTTP",
        negotiate_send_cbt=journey.binding,
    )

    def carry(url: str, message: str) -> str:
        transport.endpoint = url
        return str(transport.send(message.encode()), "utf-8")

    return carry


def pywinrm(journey: Journey) -> Carrier:
    from winrm.transport import Transport

    transport = Transport(
        journey.url,
        auth_method=journey.scheme,
        service="HTTP",
        message_encryption="always",
        ca_trust_path=journey.ca or "legacy_requests",
        send_cbt=journey.binding,
    )

    def carry(url: str, message: str) -> str:
        transport.endpoint = url
        return str(transport.send_message(message), "utf-8")

    return carry


CLIENTS = {"pypsrp": pypsrp, "pywinrm": pywinrm}


def travel(journey: Journey) -> int:
    """Enumerate, a heartbeat, and a batch of each size, over one connection; how many messages were answered."""
    carry = CLIENTS[journey.client](journey)
    speaker = Speaker(journey.computer, session_id=new_id())
    asked = new_id()
    text = carry(journey.url, write_enumerate(speaker, to=journey.url, message_id=asked, operation_id=new_id()))
    offered = read_response(text, asked)
    assert isinstance(offered, EnumerateResponse), text
    target = target_of(offered.offers[0])
    # the offer names the collector as the source called it; a listener's own port is where we came in
    record = 0
    acknowledged(carry, target, lambda said: write_heartbeat(speaker, target, message_id=said, operation_id=new_id()))
    for size in journey.batches:
        events = batch(journey.computer, record, size)
        record += len(events)
        at = BOOKMARK.format(record=record)

        def spelled(said: str, events: Sequence[str] = events, at: str = at) -> str:
            return write_events(speaker, target, events, at, message_id=said, operation_id=new_id())

        acknowledged(carry, target, spelled)
    return 2 + len(journey.batches)


class Spelling(Protocol):
    def __call__(self, said: str) -> str: ...


def acknowledged(carry: Carrier, target: Target, spell: Spelling) -> None:
    said = new_id()
    text = carry(target.to, spell(said))
    assert isinstance(read_response(text, said), Ack), text


def batch(computer: str, before: int, size: int) -> list[str]:
    """Events of 2,000 bytes each, *size* bytes of them, numbered from *before* + 1."""
    padding = "x" * (2_000 - len(EVENT.format(record=1, computer=computer, padding="")))
    count = max(1, size // 2_000)
    return [EVENT.format(record=before + 1 + at, computer=computer, padding=padding) for at in range(count)]


def new_id() -> str:
    return f"uuid:{uuid.uuid4()}".upper().replace("UUID:", "uuid:")


def asked_for(journey: Journey) -> list[str]:
    """The command line of a process that makes *journey*."""
    return [sys.executable, "-W", "ignore", "-m", "tests.end_to_end.foreign_clients", json.dumps(asdict(journey))]


if __name__ == "__main__":
    print(json.dumps({"answered": travel(Journey(**json.loads(sys.argv[1])))}))
