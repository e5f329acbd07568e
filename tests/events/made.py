"""Events made up for tests: documents, XML, and the Records that the format ``stored`` would spell of them."""

from __future__ import annotations

import base64
import hashlib
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from collector.model import Key, Records

RECEIVED = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SECOND = 10**9
NOON = int(RECEIVED.timestamp()) * SECOND
"""Nanoseconds of RECEIVED."""


@dataclass(frozen=True)
class Made:
    """One event: its key, id, document and XML."""

    key: Key
    id: str
    document: dict[str, Any]
    xml: str

    @property
    def stored(self) -> bytes:
        return orjson.dumps({"document": self.document, "xml": self.xml})


def made(number: int, time: int = NOON, **parts: Any) -> Made:
    """Event *number* at *time* (ns, 0: none); *parts*: computer, channel, provider, event_id, level, data, message."""
    key = Key(
        time,
        parts.get("computer", "pc01.corp.example"),
        parts.get("channel", "Security"),
        parts.get("provider", "Microsoft-Windows-Security-Auditing"),
        str(parts.get("event_id", 4624)),
        parts.get("level", 0),
    )
    identifier = base64.urlsafe_b64encode(hashlib.blake2b(repr((number, key)).encode(), digest_size=16).digest())[:22]
    document = {
        "@timestamp": shown(time or NOON),
        "event": {"code": key.event_id, "provider": key.provider},
        "message": parts.get("message", f"event {number}"),
        "winlog": {
            "channel": key.channel,
            "computer_name": key.computer,
            "record_id": str(number),
            "process": {"pid": number % 97},
            "event_data": parts.get("data", {"TargetUserName": f"user{number % 7}", "LogonType": str(number % 11)}),
        },
        "wef": {"event_id": identifier.decode()},
    }
    xml = (
        f"<Event xmlns='x'><System><EventRecordID>{number}</EventRecordID></System>"
        f'<Data>"{number}"\r\n\u00e9</Data></Event>'
    )
    return Made(key, identifier.decode(), document, xml)


def shown(time: int) -> str:
    """RFC 3339 with nine digits."""
    if not 0 <= time < 250_000_000_000 * SECOND:
        return f"year {time // SECOND // 31_556_952 + 1970}"
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{time % SECOND:09d}Z"


def records(events: Sequence[Made], *, form: str = "stored", received: datetime = RECEIVED, **where: str) -> Records:
    """What one batch of *events* is in the format *form*: ``stored``, or lines of documents for any other."""
    lines = [event.stored if form == "stored" else orjson.dumps(event.document) for event in events]
    ends, at = array("Q"), 0
    for line in lines:
        at += len(line) + 1
        ends.append(at)
    return Records(
        form,
        b"".join(line + b"\n" for line in lines),
        ends,
        [event.id for event in events],
        [event.key for event in events],
        where.get("source", "pc01"),
        where.get("subscription", "everything"),
        received,
    )


def crowd(
    number: int, seed: int, *, start: int = NOON - 3 * 86_400 * SECOND, span: int = 4 * 86_400 * SECOND
) -> list[Made]:
    """*number* events of several machines, channels, users and levels, over *span* ns; the same for one *seed*."""
    chance = random.Random(seed)
    return [
        made(
            n,
            start + chance.randrange(span),
            computer=chance.choice(["pc01.corp.example", "PC02.corp.example", "dc01.corp.example", "web-1"]),
            channel=chance.choice(["Security", "System", "Microsoft-Windows-Sysmon/Operational"]),
            provider=chance.choice(["Microsoft-Windows-Security-Auditing", "Service Control Manager"]),
            event_id=chance.choice([1, 4624, 4625, 4720, 4729, 7036]),
            level=chance.randrange(6),
            message=chance.choice(
                ["An account was logged on", "Der Dienst l\u00e4uft", 'C:\\Windows\\"quoted".exe ran']
            ),
            data={
                "TargetUserName": chance.choice(["alice", "Bob", "SYSTEM"]),
                "TargetDomainName": "CORP",
                "SubjectUserSid": chance.choice(["S-1-5-18", "S-1-5-21-1-2-3-500"]),
                "LogonType": str(chance.choice([2, 3, 10])),
            },
        )
        for n in range(number)
    ]
