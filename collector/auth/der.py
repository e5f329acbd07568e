"""DER, just as much as tokens need: tags, definite lengths, views of what is inside (X.690 8.1).

It copies nothing, recurses nowhere and knows no token. Whatever the bytes are, ``DerError`` is all that comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from collector.errors import CollectorError

INTEGER, OCTETS, OID, ENUMERATED, SEQUENCE = 0x02, 0x04, 0x06, 0x0A, 0x30
_LONG = 0x80
_LENGTH_BYTES = 4  # 4 GiB; a token has 64 KiB
_INTEGER_BYTES = 8
_OID_BYTES = 32


class DerError(CollectorError):
    """The bytes are no DER: cut short, or their lengths lie."""


def context(number: int) -> int:
    """The tag of a constructed element ``[number]``."""
    return 0xA0 + number


def element(content: memoryview) -> tuple[int, memoryview, memoryview]:
    """Tag and content of the first element, and what follows it. Tags of one byte are all that tokens have."""
    if len(content) < 2:
        raise DerError("an element is cut")
    tag, length, start = content[0], content[1], 2
    if length >= _LONG:
        size = length - _LONG
        if not 0 < size <= _LENGTH_BYTES or len(content) < 2 + size:
            raise DerError("an element has no definite length")
        length, start = int.from_bytes(content[2 : 2 + size], "big"), 2 + size
    if length > len(content) - start:
        raise DerError(f"an element announces {length} bytes, and {len(content) - start} are there")
    return tag, content[start : start + length], content[start + length :]


def inside(content: memoryview, tag: int) -> memoryview:
    """The content of the one element that *content* begins with, which has to be a *tag*."""
    found, inner, _ = element(content)
    if found != tag:
        raise DerError(f"an element has the tag {found:#04x}; {tag:#04x} was expected")
    return inner


def elements(content: memoryview, most: int) -> Iterator[tuple[int, memoryview]]:
    """Tag and content of each element, up to *most* of them."""
    for _ in range(most):
        if not content:
            return
        tag, inner, content = element(content)
        yield tag, inner
    if content:
        raise DerError(f"there are more than {most} elements in a row")


def fields(content: memoryview, most: int = 16) -> dict[int, memoryview]:
    """The elements of a sequence by their tag; one tag twice is a lie."""
    found: dict[int, memoryview] = {}
    for tag, inner in elements(content, most):
        if tag in found:
            raise DerError(f"an element {tag:#04x} is there twice")
        found[tag] = inner
    return found


def integer(content: memoryview, tag: int = INTEGER) -> int:
    """The INTEGER or ENUMERATED that *content* begins with."""
    inner = inside(content, tag)
    if not 0 < len(inner) <= _INTEGER_BYTES:
        raise DerError(f"a number has {len(inner)} bytes; 1 to {_INTEGER_BYTES} were expected")
    return int.from_bytes(inner, "big", signed=True)


def dotted(content: memoryview) -> str:
    """An object identifier in its dotted form; *content* is what the OID element contains (X.690 8.19)."""
    if not 0 < len(content) <= _OID_BYTES or content[-1] >= _LONG:
        raise DerError(f"an object identifier has {len(content)} bytes or no end; 1 to {_OID_BYTES} were expected")
    return _spelled(bytes(content))


@lru_cache(maxsize=64)  # the same handful in every token
def _spelled(content: bytes) -> str:
    arcs, arc = [], 0
    for byte in content:
        arc = arc << 7 | byte & 0x7F
        if byte < _LONG:
            arcs.append(arc)
            arc = 0
    top = min(arcs[0] // 40, 2)
    return ".".join(map(str, (top, arcs[0] - 40 * top, *arcs[1:])))
