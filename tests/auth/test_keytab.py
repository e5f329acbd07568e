"""Keytab files: whose names they hold. What Kerberos' own programs write, and what an enemy would."""

from __future__ import annotations

import contextlib
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.auth.keytab import LARGEST, Entry, KeytabError, parse_keytab, read_keytab
from tests.servers.fixtures import made
from tests.servers.kdc import Kdc

MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"\x5a" * 32


def counted(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def entry(name: str, realm: str = "CORP.EXAMPLE", *, kvno: int = 3, number: int = 18, wide: int | None = None) -> bytes:
    """One entry of version 2; *wide* is the 32-bit key version at its end."""
    parts = name.split("/")
    body = struct.pack(">H", len(parts)) + counted(realm) + b"".join(counted(part) for part in parts)
    body += struct.pack(">IIBHH", 1, int(MADE.timestamp()), kvno & 255, number, len(SECRET)) + SECRET
    if wide is not None:
        body += struct.pack(">I", wide)
    return struct.pack(">i", len(body)) + body


def test_it_says_whose_keys_these_are() -> None:
    """Principal, key version, encryption type, date: what klist -kte shows."""
    (found,) = parse_keytab(b"\x05\x02" + entry("HTTP/wec.corp.example"))

    assert found == Entry(("HTTP", "wec.corp.example"), "CORP.EXAMPLE", 3, 18, MADE)
    assert found.principal == "HTTP/wec.corp.example@CORP.EXAMPLE"
    assert found.encryption == "aes256-cts-hmac-sha1-96"
    assert not found.broken


def test_keys_are_not_kept() -> None:
    """What nobody holds, nobody prints."""
    (found,) = parse_keytab(b"\x05\x02" + entry("HTTP/wec.corp.example"))

    assert "ZZZ" not in repr(found)


def test_key_versions_above_255_are_whole() -> None:
    """Read-only domain controllers number from 65536 on; the old field has eight bits."""
    (found,) = parse_keytab(b"\x05\x02" + entry("HTTP/wec", kvno=70000, wide=70000))

    assert found.kvno == 70000


def test_removed_keys_leave_holes_that_are_stepped_over() -> None:
    """ktutil and ktremove overwrite an entry with its negative length."""
    removed = entry("HTTP/old")
    hole = struct.pack(">i", -(len(removed) - 4)) + bytes(len(removed) - 4)

    found = parse_keytab(b"\x05\x02" + hole + entry("HTTP/new"))

    assert [one.name for one in found] == ["HTTP/new"]


def test_the_first_version_of_the_format_is_read_too() -> None:
    """Little-endian, the realm counted as a component, no name type."""
    body = struct.pack("<H", 3) + b"".join(struct.pack("<H", len(t)) + t for t in (b"R", b"HTTP", b"wec"))
    body += struct.pack("<IBHH", int(MADE.timestamp()), 3, 23, len(SECRET)) + SECRET

    (found,) = parse_keytab(b"\x05\x01" + struct.pack("<i", len(body)) + body)

    assert found == Entry(("HTTP", "wec"), "R", 3, 23, MADE)
    assert found.broken


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is no keytab"),
        (b"-----BEGIN CERTIFICATE-----", "it is no keytab"),
        (b"\x05\x02" + entry("HTTP/wec")[:-1], "cut off"),
        (b"\x05\x02" + entry("HTTP/wec") + b"\x00", "cut off"),
        (b"\x05\x02" + struct.pack(">i", -(2**31)), "cut off"),
        (b"\x05\x02" + bytes(LARGEST), "more than 1024 KiB"),
    ],
)
def test_what_is_no_keytab_is_refused_in_a_sentence(content: bytes, said: str) -> None:
    """A certificate copied to the wrong name, a file sent as text, a disk that was full."""
    with pytest.raises(KeytabError, match=said):
        parse_keytab(content)


@given(st.binary(max_size=200).map(lambda tail: b"\x05\x02" + tail) | st.binary(max_size=50))
def test_whatever_the_bytes_are_one_exception_comes_out(content: bytes) -> None:
    """The doctor reads files that somebody sent by mail."""
    with contextlib.suppress(KeytabError):
        parse_keytab(content)


@given(st.data())
def test_a_flipped_byte_never_reads_beyond_the_file(data: st.DataObject) -> None:
    """Lengths that lie are the usual way in."""
    content = bytearray(b"\x05\x02" + entry("HTTP/wec.corp.example") + entry("HOST/wec", wide=9))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(2, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(KeytabError):
        assert len(parse_keytab(bytes(content))) <= 8


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path is what the reader needs."""
    with pytest.raises(KeytabError, match=r"http\.keytab cannot be read: No such file"):
        read_keytab(tmp_path / "http.keytab")


def test_what_kerberos_writes_is_read() -> None:
    """A keytab of MIT's kadmin, with every encryption type of the realm."""
    with made(Kdc) as kdc:  # the KDC need not run
        found = read_keytab(kdc.keytab("HTTP/wec.wef.test"))

    assert {one.principal for one in found} == {"HTTP/wec.wef.test@WEF.TEST"}
    assert {one.encryption for one in found} == {
        "aes256-cts-hmac-sha1-96",
        "aes128-cts-hmac-sha1-96",
        "aes256-cts-hmac-sha384-192",
        "arcfour-hmac",
    }
    assert {one.kvno for one in found} == {1}
