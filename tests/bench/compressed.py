"""SLDC streams with places that can be written over, so that a load of a million different batches is compressed once.

A place is a plain byte that stays uncompressed: a literal of nine bits, which no copy reads from or goes over. The
stream is otherwise an ordinary one, for any decoder. It must not know what the text says.
"""

from __future__ import annotations

from collections.abc import Sequence

RESET_1, END_OF_RECORD = (0x1FF5, 13), (0x1FF4, 13)
HISTORY, SHORTEST, LONGEST = 1024, 3, 271
_AT_ONCE = 2048


def stream(plain: bytes, places: Sequence[int]) -> tuple[bytearray, list[int]]:
    """*plain* as an SLDC body with its length trailer, and the bit at which the byte of each of *places* begins."""
    letters = list(plain.decode("latin-1"))
    for number, place in enumerate(places):
        letters[place] = chr(0x100 + number)  # a letter that is nowhere else is never copied
    text, open_places = "".join(letters), dict.fromkeys(places, 0)
    packed, acc, bits = bytearray(), *RESET_1
    newest: dict[str, int] = {}
    at = 0
    while at < len(text):
        key = text[at : at + SHORTEST]
        start = newest.get(key, -1)
        if start >= 0 and at - start < HISTORY and len(key) == SHORTEST:
            length = _same(text, start, at)
            code, width = _code(length)
            acc, bits = acc << width + 10 | code << 10 | start & HISTORY - 1, bits + width + 10
        else:
            length = 1
            if at in open_places:
                open_places[at] = len(packed) * 8 + bits + 1
            acc, bits = acc << 9 | plain[at], bits + 9
        for place in range(at, at + length):
            newest[text[place : place + SHORTEST]] = place
        at += length
        if bits > _AT_ONCE:
            rest = bits & 7
            packed += (acc >> rest).to_bytes(bits >> 3, "big")
            acc, bits = acc & (1 << rest) - 1, rest
    acc, bits = acc << END_OF_RECORD[1] | END_OF_RECORD[0], bits + END_OF_RECORD[1]
    pad = -(len(packed) * 8 + bits) % 16
    packed += (acc << pad).to_bytes(bits + pad >> 3, "big")
    return packed + len(plain).to_bytes(4, "little"), list(open_places.values())


def write_over(body: bytearray, bit: int, byte: int) -> None:
    """Put *byte* where the literal's eight bits begin."""
    at, shift = bit >> 3, 8 - (bit & 7)
    word = (body[at] << 8 | body[at + 1]) & ~(0xFF << shift) | byte << shift
    body[at], body[at + 1] = word >> 8, word & 0xFF


def _same(text: str, start: int, at: int) -> int:
    length, most = SHORTEST, min(LONGEST, len(text) - at)
    while length < most and text[start + length] == text[at + length]:
        length += 1
    return length


def _code(length: int) -> tuple[int, int]:
    """The first bits of a copy of *length* bytes, with the leading ONE, and their number ([ECMA-321] 8.4)."""
    for first, prefix, extra in ((2, 0b10, 1), (4, 0b110, 2), (8, 0b1110, 3), (16, 0b11110, 4)):
        if length < first << 1:
            return prefix << extra | length - first, prefix.bit_length() + extra
    return 0b11111 << 8 | length - 32, 13
