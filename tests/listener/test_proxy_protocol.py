"""The PROXY protocol's headers: every good one is read to its last byte, everything else is refused."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.listener.addresses import Networks, plain_address
from collector.listener.proxy_protocol import (
    FIXED,
    LONGEST_BLOCK,
    LONGEST_LINE,
    SIGNATURE,
    Missing,
    ProxyHeader,
    ProxyHeaderError,
    read_header,
)


def version_2(source: str, target: str = "", *, command: int = 1, kind: int | None = None, more: bytes = b"") -> bytes:
    """A header of version 2; *more* are TLVs."""
    first = ipaddress.ip_address(source)
    second = ipaddress.ip_address(target or source)
    if kind is None:
        kind = 0x11 if first.version == 4 else 0x21
    block = first.packed + second.packed + struct.pack("!HH", 50000, 5985) + more
    return SIGNATURE + bytes([0x20 | command, kind]) + struct.pack("!H", len(block)) + block


def fed(stream: bytes) -> tuple[ProxyHeader, bytes]:
    """What a reader gets who reads only what is missing: the header, and what is left of *stream*."""
    seen = b""
    while isinstance(found := read_header(seen), Missing):
        assert found.size > 0
        chunk = stream[len(seen) : len(seen) + found.size]
        assert len(chunk) == found.size, "more was asked for than there is"
        seen += chunk
    return found, stream[len(seen) :]


GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 5985\r\n", "192.0.2.1"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", "1.1.1.1"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 50000 5986\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ffff:f...f ffff 65535 65535\r\n".replace(b"f...f ffff", b"ffff:ffff:ffff:ffff:ffff:ffff:ffff ::"),
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    (b"PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n", "192.0.2.9"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 whatever it says 1 2\r\n", None),
    (version_2("192.0.2.1"), "192.0.2.1"),
    (version_2("2001:db8::1"), "2001:db8::1"),
    (version_2("::ffff:192.0.2.9"), "192.0.2.9"),
    (version_2("192.0.2.1", more=b"\x04\0\x05hello"), "192.0.2.1"),
    (version_2("192.0.2.1", more=bytes(LONGEST_BLOCK - 12)), "192.0.2.1"),
    (version_2("192.0.2.1", command=0), None),
    (version_2("192.0.2.1", kind=0x00), None),
    (version_2("192.0.2.1", kind=0x12), None),
    (version_2("192.0.2.1", kind=0x31), None),
    (SIGNATURE + b"\x20\0\0\0", None),
]  # fmt: skip


@pytest.mark.parametrize(("header", "source"), GOOD)
def test_a_header_is_read_to_its_last_byte_and_no_further(header: bytes, source: str | None) -> None:
    """What follows is the beginning of a TLS handshake; one byte too many or too few and there is no connection."""
    assert fed(header + b"\x16\x03\x01") == (ProxyHeader(source), b"\x16\x03\x01")


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"POST /wsman HTTP/1.1\r\n", "no PROXY protocol header"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x11\x22", "no PROXY protocol header"),
        (b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "no PROXY protocol header"),
        (b"\r\n\r\n\0\r\nQUIT\r" + bytes(20), "no PROXY protocol header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n" + bytes(20), "CRLF"),
        (b"PROXY UNKNOWN " + b"x" * 200, "107 bytes"),
        (b"PROXY UNKNOWN " + b"x" * (LONGEST_LINE - 15) + b"\r\n", "107 bytes"),
        (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "no version 1 header"),
        (b"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", "no version 1 header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "no version 1 header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "no version 1 header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "no version 1 header"),
        (b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "no IP address"),
        (b"PROXY TCP4 192.0.2.1 192.0.02.2 1 2\r\n", "no IP address"),
        (b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "no IPv4 address"),
        (b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "no IPv6 address"),
        (SIGNATURE + b"\x11\x11\0\x0c" + bytes(12), "version and command"),
        (SIGNATURE + b"\x22\x11\0\x0c" + bytes(12), "version and command"),
        (SIGNATURE + b"\x21\x41\0\x0c" + bytes(12), "family and transport"),
        (SIGNATURE + b"\x21\x13\0\x0c" + bytes(12), "family and transport"),
        (SIGNATURE + b"\x21\x11\x10\x01" + bytes(5000), "4096"),
        (SIGNATURE + b"\x21\x11\0\x0b" + bytes(12), "cannot hold"),
        (SIGNATURE + b"\x21\x21\0\x0c" + bytes(12), "cannot hold"),
    ],
)
def test_what_is_no_header_is_refused_with_a_reason(stream: bytes, said: str) -> None:
    """Half understood it would be worse: somebody else's address on somebody's events."""
    with pytest.raises(ProxyHeaderError, match=said):
        fed(stream + bytes(FIXED + LONGEST_BLOCK))


beginnings = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE, SIGNATURE + b"\x21\x11"])


@given(st.builds(lambda first, rest: first + rest, beginnings, st.binary(max_size=300)))
def test_whatever_comes_there_is_a_header_a_want_or_one_kind_of_error(seen: bytes) -> None:
    """Anybody on a proxy's network can write here, before any proof; nothing of it may be a surprise."""
    try:
        found = read_header(seen)
    except ProxyHeaderError:
        return
    assert isinstance(found, ProxyHeader) or 0 < found.size <= FIXED + LONGEST_BLOCK
    if isinstance(found, ProxyHeader) and found.source is not None:
        ipaddress.ip_address(found.source)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(max_size=40), st.binary(max_size=40))
def test_every_address_survives_both_spellings(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, tlvs: bytes, rest: bytes
) -> None:
    """Whatever a proxy writes according to the specification, with whatever behind it."""
    line = f"PROXY TCP{address.version} {address} {address} {port} {port}\r\n".encode()

    for header in (line, version_2(str(address), more=tlvs)):
        found, left = fed(header + rest)
        assert (found.source, left) == (plain_address(str(address)), rest)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("::1", "::1"), ("192.0.2.1", "192.0.2.1"),
     ("::", "::"), ("::ffff:x", "::ffff:x"), ("", "")],
)  # fmt: skip
def test_one_peer_has_one_spelling(text: str, plain: str) -> None:
    """A socket for IPv4 and IPv6 shows IPv4 peers inside IPv6; a list of addresses would not find them there."""
    assert plain_address(text) == plain


def test_networks_hold_what_they_name() -> None:
    """And nothing else: whom they hold says for everybody who he is."""
    proxies = Networks(["10.0.0.5", "10.1.0.0/16", "2001:db8::/32"])

    assert all(address in proxies for address in ("10.0.0.5", "10.1.255.255", "2001:db8::7"))
    assert not any(address in proxies for address in ("10.0.0.6", "10.2.0.0", "2001:db9::7", "::ffff:10.0.0.5", ""))
    assert not Networks([])
