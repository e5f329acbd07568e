"""The PROXY protocol, versions 1 and 2: what a proxy says in front of a connection about who it is for. Pure.

Specification: HAProxy's "The PROXY protocol". Bytes in, an address out, or how many bytes are missing at least -
so that nobody reads a byte too many: what follows belongs to TLS or HTTP. It knows not whose headers are believed.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from collector.errors import SourceError
from collector.listener.addresses import plain_address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED = len(SIGNATURE) + 4
"""Bytes of version 2 before the part whose length they name (section 2.2)."""
SHORTEST = len(b"PROXY UNKNOWN\r\n")
"""Bytes that every header has."""
LONGEST_LINE = 107
"""Bytes of a version 1 header with its CRLF (section 2.1)."""
LONGEST_BLOCK = 4096
"""Bytes of addresses and TLVs of version 2. Real ones have some hundred, a client certificate's name among them."""

_WORD = b"PROXY "
_V1_TCP = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45}) ([0-9]{1,5}) ([0-9]{1,5})\r\n")
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_LOCAL, _PROXY = 0, 1
_STREAM = 1
_FAMILIES = {1: 4, 2: 16}
"""Bytes of an address, by the address family of version 2: AF_INET, AF_INET6."""
_KNOWN_FAMILIES, _KNOWN_TRANSPORTS = range(4), range(3)


class ProxyHeaderError(SourceError):
    """What came is no PROXY protocol header."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """*source* is the address of the peer behind the proxy; None: the proxy speaks for itself, or does not know."""

    source: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    """The header is not complete: at least *size* more bytes belong to it."""

    size: int


def read_header(seen: bytes) -> ProxyHeader | Missing:
    """What *seen*, the first bytes of a connection, says. Raises ``ProxyHeaderError`` as soon as it can be none.

    Whoever reads no more than what is missing, and asks again, never holds a byte behind the header.
    """
    if not seen:
        return Missing(SHORTEST)
    if _begins(seen, SIGNATURE):
        return Missing(FIXED - len(seen)) if len(seen) < FIXED else _version_2(seen)
    if _begins(seen, _WORD):
        return _version_1(seen)
    raise ProxyHeaderError(f"it begins with {seen[:12]!r}, which is no PROXY protocol header")


def _begins(seen: bytes, mark: bytes) -> bool:
    return seen[: len(mark)] == mark[: len(seen)]


def _version_1(seen: bytes) -> ProxyHeader | Missing:
    if not seen.endswith(b"\r\n"):
        if b"\n" in seen or len(seen) >= LONGEST_LINE:
            raise _no_line()
        return Missing(_least(seen))
    if len(seen) > LONGEST_LINE:
        raise _no_line()
    if _V1_UNKNOWN.fullmatch(seen):
        return ProxyHeader(None)
    found = _V1_TCP.fullmatch(seen)
    if found is None or not all(int(port) <= 0xFFFF and str(int(port)).encode() == port for port in found.groups()[3:]):
        raise ProxyHeaderError(
            f"{seen[:60]!r} is no version 1 header such as PROXY TCP4 192.0.2.1 192.0.2.2 50000 5985"
        )
    source, _ = (_address(text.decode(), int(found[1])) for text in found.groups()[1:3])
    return ProxyHeader(source)


def _no_line() -> ProxyHeaderError:
    return ProxyHeaderError(f"a version 1 header is one line of at most {LONGEST_LINE} bytes that ends with CRLF")


def _least(seen: bytes) -> int:
    """What a line that goes on like *seen* needs at least: each missing field a blank and a letter, and CRLF."""
    if len(seen) < len(_WORD):
        return SHORTEST - len(seen)
    fields = 6 if seen[len(_WORD) :].startswith(b"TCP") else 2
    missing = max(0, fields - 1 - seen.count(b" "))
    return 2 * missing + (1 if seen.endswith(b"\r") else 2)


def _version_2(seen: bytes) -> ProxyHeader | Missing:
    version, command = divmod(seen[12], 16)
    family, transport = divmod(seen[13], 16)
    length = int.from_bytes(seen[14:16], "big")
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"version and command are 0x{seen[12]:02x}; 0x20 (LOCAL) and 0x21 (PROXY) are known")
    if family not in _KNOWN_FAMILIES or transport not in _KNOWN_TRANSPORTS:
        raise ProxyHeaderError(f"family and transport are 0x{seen[13]:02x}; 0x11 is TCP over IPv4, 0x21 over IPv6")
    if length > LONGEST_BLOCK:
        raise ProxyHeaderError(f"the version 2 header names {length} bytes; at most {LONGEST_BLOCK} are read")
    size = _FAMILIES.get(family, 0) if transport == _STREAM and command == _PROXY else 0
    if length < (2 * size + 4 if size else 0):  # both addresses and both ports (section 2.2)
        raise ProxyHeaderError(f"{length} bytes cannot hold the addresses of family 0x{seen[13]:02x}")
    if len(seen) < FIXED + length:
        return Missing(FIXED + length - len(seen))
    # LOCAL, and what a stream cannot come from (sockets of one machine, datagrams): the connection's own address
    return ProxyHeader(_text(seen[FIXED : FIXED + size]) if size else None)


def _text(packed: bytes) -> str:
    return plain_address(str(ipaddress.ip_address(packed)))


def _address(text: str, version: int) -> str:
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise ProxyHeaderError(f"{text!r} is no IP address") from error
    if found.version != version:
        raise ProxyHeaderError(f"{text!r} is no IPv{version} address, though TCP{version} announces one")
    return plain_address(str(found))
