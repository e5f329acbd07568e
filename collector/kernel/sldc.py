"""SLDC ([ECMA-321]), the compression of Windows event deliveries: bytes in, bytes out.

The stream is bits, most significant first: control symbols, single bytes, and copies out
of the last 1,024 bytes; four little-endian bytes behind it declare the length of the
plain data ([MS-WSMV] 2.2.9.2). This is the pure-Python spelling, which says what the
compiled sibling (``_sldc.pyx``) has to do. It knows nothing of text, messages or sources.
"""

from __future__ import annotations

from functools import lru_cache

from collector.kernel import selection

_RESET_1, _END_OF_RECORD = 0x1FF5, 0x1FF4
_FLUSH, _SCHEME_1, _SCHEME_2, _FILE_MARK = 0x1FF0, 0x1FF1, 0x1FF2, 0x1FF3
_RESET_2, _END_MARKER = 0x1FF6, 0x1FFF

_HISTORY = 1024
_LONGEST = 271
_SHORTEST = 3  # a copy of two costs 13 bits; Windows never sends one either
_REFILL = 32  # bytes taken into the accumulator at once: wide enough to be rare, narrow enough to shift fast
_PEEK = 14  # bits looked at to tell a symbol apart, 13 at most; spelled out in the loop, where a name costs time
_WIDEST = 23  # bits of the longest symbol: the copy of 32 to 271 bytes
_WIDEST_CONTROL = 13 + 31  # bits of a control symbol and the longest padding behind it

_CONTROL = 256  # a table entry between the literals (below) and the copies (above)


class SldcError(ValueError):
    """The bytes are no complete SLDC stream with the length they declare."""


class SldcTooLong(SldcError):
    """The declared length is above the limit; nothing was decoded."""


def _match_codes() -> dict[int, tuple[int, int]]:
    """Match length -> (copy pointer's first bits with the leading ONE, their number), [ECMA-321] 8.4."""
    codes = {}
    for first, prefix, extra in ((2, 0b10, 1), (4, 0b110, 2), (8, 0b1110, 3), (16, 0b11110, 4)):
        for offset in range(1 << extra):
            codes[first + offset] = (prefix << extra | offset, prefix.bit_length() + extra)
    for length in range(32, _LONGEST + 1):
        codes[length] = (0b11111 << 8 | length - 32, 13)
    return codes


_CODES = _match_codes()


@lru_cache(maxsize=1)
def _scheme_1_table() -> list[int]:
    """What the next 14 bits mean: below 256 a literal of 9 bits, _CONTROL, or length << 9 | bits of the whole copy.

    Made when it is first needed: where the compiled kernel works it never is.
    """
    table = [_CONTROL] * (1 << _PEEK)
    for byte in range(256):
        at = byte << _PEEK - 9
        table[at : at + (1 << _PEEK - 9)] = [byte] * (1 << _PEEK - 9)
    for length, (code, bits) in _CODES.items():
        at = code << _PEEK - bits
        table[at : at + (1 << _PEEK - bits)] = [length << 9 | bits + 10] * (1 << _PEEK - bits)
    return table


class _Stream:
    """The encoded bits and the decoded bytes. Its two schemes keep both in locals while they run."""

    __slots__ = ("acc", "declared", "fed", "left", "origin", "out", "padded", "total")

    def __init__(self, encoded: bytes, declared: int) -> None:
        self.padded = encoded + bytes(2 * _REFILL)  # so that looking ahead never falls off the end
        self.total = len(encoded) * 8
        self.declared = declared
        self.acc = 0  # bits already used stay on top until the next refill
        self.left = 0  # how many of its low bits are still to come
        self.fed = 0  # bytes taken from padded
        self.out = bytearray()
        self.origin = 0  # where in out the history began: a reset forgets what is before

    def refill(self) -> None:
        """Bring 256 more bits; notice here, and not at each symbol, that the stream is over or says too much."""
        if self.fed * 8 - self.left > self.total:
            raise SldcError("the stream ends before its End Of Record")
        if len(self.out) > self.declared:
            raise SldcError(f"the stream holds more than the {self.declared} bytes it declares")
        chunk = self.padded[self.fed : self.fed + _REFILL]
        self.acc = (self.acc & (1 << self.left) - 1) << _REFILL * 8 | int.from_bytes(chunk, "big")
        self.left += _REFILL * 8
        self.fed += _REFILL

    def control(self) -> int:
        """Take a control symbol, and the padding behind it where it has one."""
        if self.left < _WIDEST_CONTROL:
            self.refill()
        self.left -= 13
        symbol = self.acc >> self.left & 0x1FFF
        if symbol in (_FLUSH, _FILE_MARK):
            self.left -= (self.left - self.fed * 8) % 32  # to the next 32-bit boundary
        return symbol

    def scheme_1(self) -> None:
        """Literals and copies up to the next control symbol."""
        table, out, origin = _scheme_1_table(), self.out, self.origin
        acc, left = self.acc, self.left
        append = out.append
        while True:
            if left < 23:  # _WIDEST
                self.left = left
                self.refill()
                acc, left = self.acc, self.left
            entry = table[acc >> left - 14 & 0x3FFF]
            if entry < 256:
                left -= 9
                append(entry)
            elif entry > 256:
                left -= entry & 31
                at = len(out)
                # The stream names a place in a ring of 1,024 bytes; out has it 1 to 1,024 bytes back.
                start = at - 1 - (at - 1 - origin - (acc >> left) & 1023)
                stop = start + (entry >> 9)
                if stop <= at and start >= origin:
                    out += out[start:stop]
                else:
                    self.overlap(start, stop)
            else:
                self.left = left
                return

    def overlap(self, start: int, stop: int) -> None:
        """A copy that reads what it has just written: its first bytes repeat."""
        if start < self.origin:
            raise SldcError("a copy names a place in the history that was never written")
        run = self.out[start:]
        length = stop - start
        self.out += (run * (length // len(run) + 1))[:length]

    def scheme_2(self) -> None:
        """Plain bytes up to the next control symbol; a ZERO follows each 0xFF, so that nine ONEs stay special."""
        out = self.out
        while True:
            if self.left < _WIDEST:
                self.refill()
            nine = self.acc >> self.left - 9 & 0x1FF
            if nine == 0x1FF:
                return
            out.append(nine >> 1)
            self.left -= 9 if nine >> 1 == 0xFF else 8


def decode(data: bytes, limit: int) -> bytes:
    """The plain bytes of an SLDC body *data*, its 4-byte length trailer included.

    Raises ``SldcTooLong`` before decoding when more than *limit* bytes are declared, and
    ``SldcError`` for anything but a stream that ends in order and with the declared length.
    Source: [ECMA-321] 8 and 9, [MS-WSMV] 2.2.9.2.
    """
    if len(data) < 4:
        raise SldcError(f"{len(data)} bytes are too few: the last four declare the length of the plain data")
    declared = int.from_bytes(data[-4:], "little")
    if declared > limit:
        raise SldcTooLong(f"the stream declares {declared} bytes, at most {limit} are taken")
    most = (len(data) * 8 // _WIDEST + 1) * _LONGEST  # no symbol makes more of its bits than the longest copy
    if declared > most:  # so a few bytes cannot make us set memory aside for millions
        raise SldcError(f"the stream can hold {most} bytes at most but declares {declared}")
    compiled = selection.sldc()
    return compiled.expand(data, declared) if compiled else expand(data, declared)


def expand(data: bytes, declared: int) -> bytes:
    """The *declared* plain bytes of *data*, whose trailer was read: what the compiled kernel is held equal to.

    Raises ``SldcError``; ``decode`` says for what.
    """
    stream = _Stream(data[:-4], declared)
    symbol = _run(stream)
    if stream.fed * 8 - stream.left > stream.total:
        raise SldcError("the stream ends before its End Of Record")
    if symbol not in (_END_OF_RECORD, _END_MARKER):
        raise SldcError(f"0x{symbol:04x} is a reserved control symbol")
    if len(stream.out) != declared:
        raise SldcError(f"the stream holds {len(stream.out)} bytes but declares {declared}")
    return bytes(stream.out)


def _run(stream: _Stream) -> int:
    """Decode to the control symbol that ends the stream, and name it.

    Before the first Reset the scheme is undefined; like other decoders we begin with 1.
    """
    scheme = 1
    while True:
        if scheme == 1:
            stream.scheme_1()
        else:
            stream.scheme_2()
        symbol = stream.control()
        if symbol in (_RESET_1, _RESET_2):
            stream.origin = len(stream.out)
        if symbol in (_RESET_1, _SCHEME_1):
            scheme = 1
        elif symbol in (_RESET_2, _SCHEME_2):
            scheme = 2
        elif symbol not in (_FLUSH, _FILE_MARK):
            return symbol


_COPIES = [_CODES.get(length, (0, 0)) for length in range(_LONGEST + 1)]
_SEALED = 2048  # bits kept as one number before they become bytes: more makes each shift slower


def encode(data: bytes) -> bytes:
    """*data* as one SLDC record in scheme 1 with its length trailer; ``decode`` gives it back.

    Greedy: the newest place with the same three bytes is copied from, as far as it goes.
    Windows looks further back and gets some per cent less.
    """
    compiled = selection.sldc()
    return compiled.encode(data) if compiled else pack(data)


def pack(data: bytes) -> bytes:
    """``encode`` in pure Python, whose bytes the compiled kernel repeats."""
    packed = bytearray()
    acc, bits = _RESET_1, 13
    newest: dict[bytes, int] = {}
    seen = newest.get
    at, end = 0, len(data)
    while at < end:
        key = data[at : at + _SHORTEST]
        start = seen(key, -1)
        if start >= 0 and at - start < _HISTORY and len(key) == _SHORTEST:
            length = _common(data, start, at)
            code, width = _COPIES[length]
            acc = acc << width + 10 | code << 10 | start & _HISTORY - 1
            bits += width + 10
            for place in range(at, at + length):
                newest[data[place : place + _SHORTEST]] = place
            at += length
        else:
            newest[key] = at
            acc = acc << 9 | data[at]
            bits += 9
            at += 1
        if bits >= _SEALED:
            rest = bits & 7
            packed += (acc >> rest).to_bytes(bits >> 3, "big")
            acc &= (1 << rest) - 1
            bits = rest
    acc, bits = acc << 13 | _END_OF_RECORD, bits + 13
    pad = -(len(packed) * 8 + bits) % 16  # to an even number of bytes, as the captured streams are
    packed += (acc << pad).to_bytes(bits + pad >> 3, "big")
    return bytes(packed) + end.to_bytes(4, "little")


def _common(data: bytes, start: int, at: int) -> int:
    """How many bytes, at least three and at most 271, are the same from *start* and from *at*."""
    length, most = _SHORTEST, min(_LONGEST, len(data) - at)
    while length + 8 <= most and data[start + length : start + length + 8] == data[at + length : at + length + 8]:
        length += 8
    while length < most and data[start + length] == data[at + length]:
        length += 1
    return length
