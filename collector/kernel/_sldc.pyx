# cython: language_level=3, boundscheck=True, wraparound=False, initializedcheck=False, cdivision=True
"""SLDC compiled: the two names of ``kernel.sldc``, which is the specification and says what every step means.

Every byte read and written goes through a checked memoryview. The checks never strike, because each
copy is measured against the room left before it is made; they are there for the day that this is wrong.
"""

from array import array

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from collector.kernel.sldc import SldcError

cdef enum:
    FLUSH = 0x1FF0
    SCHEME_1 = 0x1FF1
    SCHEME_2 = 0x1FF2
    FILE_MARK = 0x1FF3
    END_OF_RECORD = 0x1FF4
    RESET_1 = 0x1FF5
    RESET_2 = 0x1FF6
    END_MARKER = 0x1FFF
    HISTORY = 1024
    LONGEST = 271
    SHORTEST = 3
    # what a run ends with instead of a control symbol; -1 is Python's
    ENDED = -2
    TOO_LONG = -3
    NEVER_WRITTEN = -4

cdef enum:
    # Output above which other threads may run meanwhile: below, waiting for the lock again can cost more than the work.
    LARGE = 1 << 20


cdef struct Stream:
    uint64_t acc       # the next bits, most significant first, from bit 63 down
    int left           # how many of them came from the stream; below them stand zeros
    Py_ssize_t fed     # bytes taken in, those beyond the end included: they read as zeros
    Py_ssize_t size    # bytes that there are
    Py_ssize_t at      # bytes put out
    Py_ssize_t origin  # where the history began: a reset forgets what is before


cdef inline int refill(Stream* s, const uint8_t[::1] encoded) except -1 nogil:
    """At least 57 bits: the longest symbol has 23, a control symbol with its padding 44."""
    while s.left <= 56:
        if s.fed < s.size:
            s.acc |= <uint64_t> encoded[s.fed] << (56 - s.left)
        s.fed += 1
        s.left += 8
    return 0


cdef inline void drop(Stream* s, int bits) noexcept nogil:
    s.acc <<= bits
    s.left -= bits


cdef inline Py_ssize_t used(Stream* s) noexcept nogil:
    """Bits taken so far."""
    return s.fed * 8 - s.left


cdef inline int copy(Stream* s, uint8_t[::1] out, int length, int place) except -1 nogil:
    """*length* bytes from the ring's *place*, one by one, since a copy may read what it has just written."""
    cdef Py_ssize_t start = s.at - 1 - ((s.at - 1 - s.origin - place) & (HISTORY - 1))
    cdef Py_ssize_t at = s.at
    cdef Py_ssize_t stop = at + length
    if start < s.origin:
        return NEVER_WRITTEN
    if stop > out.shape[0]:
        return TOO_LONG
    while at < stop:
        out[at] = out[start]
        at += 1
        start += 1
    s.at = at
    return 0


cdef inline int match(Stream* s, uint8_t[::1] out) except -1 nogil:
    """The copy that the next bits, which begin with a ONE, stand for: [ECMA-321] 8.4."""
    cdef int length, bits
    cdef uint64_t acc = s.acc
    if not acc >> 62 & 1:
        length = 2 + <int> (acc >> 61 & 1)
        bits = 3
    elif not acc >> 61 & 1:
        length = 4 + <int> (acc >> 59 & 3)
        bits = 5
    elif not acc >> 60 & 1:
        length = 8 + <int> (acc >> 57 & 7)
        bits = 7
    elif not acc >> 59 & 1:
        length = 16 + <int> (acc >> 55 & 15)
        bits = 9
    else:
        length = 32 + <int> (acc >> 51 & 255)
        bits = 13
    drop(s, bits + 10)
    return copy(s, out, length, <int> (acc >> (54 - bits) & 1023))


cdef int scheme_1(Stream* stream, const uint8_t[::1] encoded, uint8_t[::1] out) except -1 nogil:
    """Literals and copies up to the next control symbol."""
    cdef Stream s = stream[0]  # a copy stays in registers: each byte put out might else have changed it
    cdef int ended = 0
    while True:
        if s.left < 23:
            if used(&s) > s.size * 8:
                ended = ENDED
                break
            refill(&s, encoded)
        if not s.acc >> 63:
            if s.at >= out.shape[0]:
                ended = TOO_LONG
                break
            out[s.at] = <uint8_t> (s.acc >> 55)
            s.at += 1
            drop(&s, 9)
        elif s.acc >> 55 == 0x1FF:
            break
        else:
            ended = match(&s, out)
            if ended:
                break
    stream[0] = s
    return ended


cdef int scheme_2(Stream* s, const uint8_t[::1] encoded, uint8_t[::1] out) except -1 nogil:
    """Plain bytes up to the next control symbol; a ZERO follows each 0xFF, so that nine ONEs stay special."""
    cdef uint8_t byte
    while True:
        if s.left < 9:
            if used(s) > s.size * 8:
                return ENDED
            refill(s, encoded)
        if s.acc >> 55 == 0x1FF:
            return 0
        if s.at >= out.shape[0]:
            return TOO_LONG
        byte = <uint8_t> (s.acc >> 56)
        out[s.at] = byte
        s.at += 1
        drop(s, 9 if byte == 0xFF else 8)


cdef int control(Stream* s, const uint8_t[::1] encoded) except -1 nogil:
    """Take a control symbol, and the padding to the next 32 bits behind it where it has one."""
    cdef int symbol
    refill(s, encoded)
    symbol = <int> (s.acc >> 51)
    drop(s, 13)
    if symbol == FLUSH or symbol == FILE_MARK:
        drop(s, <int> (-used(s) & 31))
    return symbol


cdef int run(Stream* s, const uint8_t[::1] encoded, uint8_t[::1] out) except -1 nogil:
    """Decode to the control symbol that ends the stream, and name it; or one of the negative answers."""
    cdef int scheme = 1
    cdef int symbol
    while True:
        symbol = scheme_1(s, encoded, out) if scheme == 1 else scheme_2(s, encoded, out)
        if symbol:
            return symbol
        symbol = control(s, encoded)
        if used(s) > s.size * 8:
            return ENDED
        if symbol == RESET_1 or symbol == RESET_2:
            s.origin = s.at
        if symbol == RESET_1 or symbol == SCHEME_1:
            scheme = 1
        elif symbol == RESET_2 or symbol == SCHEME_2:
            scheme = 2
        elif symbol != FLUSH and symbol != FILE_MARK:
            return symbol


def expand(bytes data not None, Py_ssize_t declared):
    """The *declared* plain bytes of the SLDC body *data*, of which ``kernel.sldc.decode`` has read the trailer.

    Raises ``SldcError`` as the pure twin does; where a stream is wrong in several ways, the first that is met is named.
    """
    cdef Stream s
    cdef int symbol
    s.acc, s.left, s.fed, s.size, s.at, s.origin = 0, 0, 0, len(data) - 4, 0, 0
    cdef const uint8_t[::1] encoded = data
    plain = PyBytes_FromStringAndSize(NULL, declared)
    # Nobody sees the new object before it is full. Its NUL is taken in because a view of nothing cannot be made.
    cdef uint8_t[::1] out = <uint8_t[:declared + 1]> <uint8_t*> PyBytes_AS_STRING(plain)
    out = out[:declared]
    if declared < LARGE:
        symbol = run(&s, encoded, out)
    else:
        with nogil:
            symbol = run(&s, encoded, out)
    require_good(symbol, s.at, declared)
    return plain


cdef int require_good(int symbol, Py_ssize_t got, Py_ssize_t declared) except -1:
    """What the pure twin says of a stream that ended so."""
    if symbol == ENDED:
        raise SldcError("the stream ends before its End Of Record")
    if symbol == TOO_LONG:
        raise SldcError(f"the stream holds more than the {declared} bytes it declares")
    if symbol == NEVER_WRITTEN:
        raise SldcError("a copy names a place in the history that was never written")
    if symbol != END_OF_RECORD and symbol != END_MARKER:
        raise SldcError(f"0x{symbol:04x} is a reserved control symbol")
    if got != declared:
        raise SldcError(f"the stream holds {got} bytes but declares {declared}")
    return 0


# -- the other way: what the simulator sends ---------------------------------------------------------------

cdef enum:
    HASHES = 4096


cdef struct Packer:
    uint64_t acc  # bits that are no whole byte yet, in its low end
    int bits      # how many
    Py_ssize_t at


cdef inline int put(Packer* p, uint8_t[::1] packed, uint64_t value, int width) except -1 nogil:
    p.acc = p.acc << width | value
    p.bits += width
    while p.bits >= 8:
        p.bits -= 8
        packed[p.at] = <uint8_t> (p.acc >> p.bits)
        p.at += 1
    p.acc &= (1 << p.bits) - 1
    return 0


cdef inline int hashed(const uint8_t[::1] data, Py_ssize_t at) except -1 nogil:
    """Of the three bytes at *at*."""
    cdef uint32_t key = data[at] | <uint32_t> data[at + 1] << 8 | <uint32_t> data[at + 2] << 16
    return <int> (key * <uint32_t> 2654435761 >> 20)


cdef Py_ssize_t newest(const uint8_t[::1] data, Py_ssize_t at, int32_t[::1] heads, int32_t[::1] before) except -2 nogil:
    """The newest place within the history with the same three bytes as *at*; -1: there is none."""
    cdef Py_ssize_t start = heads[hashed(data, at)]
    while start >= 0 and at - start < HISTORY:
        if data[start] == data[at] and data[start + 1] == data[at + 1] and data[start + 2] == data[at + 2]:
            return start
        start = before[start & (HISTORY - 1)]
    return -1


cdef inline int note(const uint8_t[::1] data, Py_ssize_t at, int32_t[::1] heads, int32_t[::1] before) except -1 nogil:
    cdef int key
    if at + SHORTEST <= data.shape[0]:
        key = hashed(data, at)
        before[at & (HISTORY - 1)] = heads[key]
        heads[key] = <int32_t> at
    return 0


cdef int put_copy(Packer* p, uint8_t[::1] packed, int length, int place) except -1 nogil:
    """[ECMA-321] 8.4, the other way round."""
    if length < 4:
        put(p, packed, 0b10 << 1 | length - 2, 3)
    elif length < 8:
        put(p, packed, 0b110 << 2 | length - 4, 5)
    elif length < 16:
        put(p, packed, 0b1110 << 3 | length - 8, 7)
    elif length < 32:
        put(p, packed, 0b11110 << 4 | length - 16, 9)
    else:
        put(p, packed, 0b11111 << 8 | length - 32, 13)
    return put(p, packed, place, 10)


cdef int pack(Packer* p, const uint8_t[::1] data, uint8_t[::1] packed, int32_t[::1] heads, int32_t[::1] before) except -1 nogil:
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t end = data.shape[0]
    cdef Py_ssize_t start, most, length
    put(p, packed, RESET_1, 13)
    while at < end:
        start = newest(data, at, heads, before) if at + SHORTEST <= end else -1
        length = 1
        if start >= 0:
            length = SHORTEST
            most = min(<Py_ssize_t> LONGEST, end - at)
            while length < most and data[start + length] == data[at + length]:
                length += 1
            put_copy(p, packed, <int> length, <int> (start & (HISTORY - 1)))
        else:
            put(p, packed, data[at], 9)
        while length:
            note(data, at, heads, before)
            at += 1
            length -= 1
    put(p, packed, END_OF_RECORD, 13)
    # to an even number of bytes, as the captured streams are
    return put(p, packed, 0, <int> (-(p.at * 8 + p.bits) & 15))


def encode(bytes data not None):
    """As ``kernel.sldc.encode``, to the byte."""
    cdef Packer p
    p.acc, p.bits, p.at = 0, 0, 0
    cdef const uint8_t[::1] plain = data
    packed = bytearray(len(data) + len(data) // 8 + 16)
    cdef uint8_t[::1] room = packed
    cdef int32_t[::1] heads = array("i", [-1]) * HASHES
    cdef int32_t[::1] before = array("i", [-1]) * HISTORY
    if len(data) < LARGE:
        pack(&p, plain, room, heads, before)
    else:
        with nogil:
            pack(&p, plain, room, heads, before)
    return bytes(packed[: p.at]) + len(data).to_bytes(4, "little")
