"""A writer of small Windows event log files (EVTX), for the tests of the reader.

One chunk of records whose binary XML is spelled out, without templates and substitutions: enough for any
reader of the format, and nothing that Windows itself would write so plainly.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

HEADER, CHUNK = 4096, 65536
CHUNK_HEADER = 512
RECORD_HEADER = 24
NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
WRITTEN = 132539328000000000  # a FILETIME: 2021-01-01

Value = str | bytes  # bytes: a value token of another type than text, whole


@dataclass(frozen=True)
class Node:
    """An element: its attributes, and its children or its text."""

    name: str
    attributes: Sequence[tuple[str, Value]] = ()
    content: Sequence[Node | str] = ()


def evtx_file(events: Sequence[Node], *, chunks: int = 1) -> bytes:
    """The file; *chunks* is how many its header promises."""
    header = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, 0, len(events) + 1, 128, 1, 3, HEADER, chunks)
    header = header.ljust(120, b"\0")
    header += struct.pack("<II", 0, zlib.crc32(header))
    return header.ljust(HEADER, b"\0") + _chunk(events)


def guid(data: bytes) -> bytes:
    """A value token of type GUID, its 16 bytes as stored."""
    return b"\x05\x0f" + data


def filetime(ticks: int) -> bytes:
    """A value token of type FILETIME: 100 ns since 1601."""
    return struct.pack("<BBQ", 5, 0x11, ticks)


def _chunk(events: Sequence[Node]) -> bytes:
    records, last = b"", CHUNK_HEADER
    for number, event in enumerate(events, 1):
        last = CHUNK_HEADER + len(records)
        records += _record(last, number, event)
    count = len(events)
    free = CHUNK_HEADER + len(records)
    head = struct.pack("<8sQQQQIIII", b"ElfChnk\0", 1, count, 1, count, 128, last, free, zlib.crc32(records)).ljust(
        120, b"\0"
    )
    tables = bytes(CHUNK_HEADER - 128)  # no common strings, no templates
    head += struct.pack("<II", 1, zlib.crc32(head + tables))
    return (head + tables + records).ljust(CHUNK, b"\0")


def _record(at: int, number: int, event: Node) -> bytes:
    xml = _BinaryXml(at + RECORD_HEADER)
    xml.data += b"\x0f\x01\x01\x00"  # the fragment's header
    xml.element(event)
    xml.data += b"\x00"
    size = RECORD_HEADER + len(xml.data) + 4
    return struct.pack("<IIQQ", 0x2A2A, size, number, WRITTEN) + bytes(xml.data) + struct.pack("<I", size)


class _BinaryXml:
    """Tokens; names are spelled at their first and every other use. *base* is their place in the chunk."""

    def __init__(self, base: int) -> None:
        self.data = bytearray()
        self._base = base

    def element(self, node: Node) -> None:
        self.data += b"\x41" if node.attributes else b"\x01"
        self.data += struct.pack("<I", 0)  # its size, which readers do not need
        self._name(node.name)
        if node.attributes:
            self.data += struct.pack("<I", 0)
        for place, (name, value) in enumerate(node.attributes, 1):
            self.data += b"\x06" if place == len(node.attributes) else b"\x46"
            self._name(name)
            self._value(value)
        if not node.content:
            self.data += b"\x03"
            return
        self.data += b"\x02"
        for child in node.content:
            if isinstance(child, Node):
                self.element(child)
            else:
                self._value(child)
        self.data += b"\x04"

    def _name(self, name: str) -> None:
        self.data += struct.pack("<I", self._base + len(self.data) + 4)
        self.data += struct.pack("<IHH", 0, 0, len(name)) + name.encode("utf-16-le") + b"\0\0"

    def _value(self, value: Value) -> None:
        if isinstance(value, bytes):
            self.data += value
        else:
            self.data += struct.pack("<BBH", 5, 1, len(value)) + value.encode("utf-16-le")


def logged(number: int, computer: str = "pc1.corp.example", text: str = "x") -> Node:
    """An event as a Windows log holds it, with a typed GUID and a typed time."""
    return Node(
        "Event",
        [("xmlns", NAMESPACE)],
        [
            Node(
                "System",
                (),
                [
                    Node("Provider", [("Name", "Test"), ("Guid", guid(bytes(range(16))))]),
                    Node("EventID", (), [str(number)]),
                    Node("TimeCreated", [("SystemTime", filetime(WRITTEN + 1_234_560))]),
                    Node("EventRecordID", (), ["7"]),
                    Node("Correlation"),
                    Node("Channel", (), ["System"]),
                    Node("Computer", (), [computer]),
                    Node("Security"),
                ],
            ),
            Node("EventData", (), [Node("Data", [("Name", "x")], [text]), Node("Data", [("Name", "none")])]),
        ],
    )


def forwarded(number: int, computer: str = "pc1.corp.example", text: str = "x") -> str:
    """The same event as a source sends it; *text* as it stands in XML."""
    return (
        f"<Event xmlns='{NAMESPACE}'><System><Provider Name='Test' Guid='{{03020100-0504-0706-0809-0a0b0c0d0e0f}}'/>"
        f"<EventID>{number}</EventID><TimeCreated SystemTime='2021-01-01T00:00:00.1234560Z'/>"
        f"<EventRecordID>7</EventRecordID><Correlation/><Channel>System</Channel><Computer>{computer}</Computer>"
        f"<Security/></System><EventData><Data Name='x'>{text}</Data><Data Name='none'></Data></EventData></Event>"
    )
