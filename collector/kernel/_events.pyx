# cython: language_level=3, boundscheck=True, wraparound=False, initializedcheck=True, cdivision=True
# cython: embedsignature=False
"""Events compiled: XML of Windows -> ids, keys and ``winlogbeat`` documents, without Python for each event.

``kernel.fields`` and ``normalize`` are the specification. What is read here is read as they do, byte for byte; what
is not ours (None) they read themselves. The names and numbers that repeat are spelled once by Python
(``normalize.spelling``) and remembered here, bounded, because a source may make them up.
"""

from array import array
from hashlib import blake2b

from cpython.array cimport array as Array, clone
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from collector.model import Key

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

include "_strides.pxi"
include "_scanner.pxi"
include "_sections.pxi"

cdef enum:
    MOST_REMEMBERED = 4096   # of each: kinds, computers, SIDs, unusual names
    LONGEST_REMEMBERED = 1024  # bytes of a kind's texts together
    LONGEST_ONE = 256        # of a computer or a SID: DNS ends at 253, and 4096 of them spelled stay small
    ID_BYTES = 16
    ID_LENGTH = 22

cdef object new_tuple = tuple.__new__  # a Key without the detour over Python's own constructor
cdef object NEW_HASHER = blake2b(digest_size=ID_BYTES).copy  # a copy is made in half the time of a new one
cdef const char* ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


cdef class Kind:
    """What the header's repeating texts say together, spelled; see ``normalize.spelling.Spelling.kind``."""

    cdef str code, channel, provider
    cdef object level
    cdef bytes id_channel, id_rest, level_name, winlog, late, extras, event

    def __init__(self, tuple parts):
        (self.code, self.channel, self.provider, self.level, self.id_channel, self.id_rest, self.level_name,
         self.winlog, self.late, self.extras, self.event) = parts


cdef class Computer:
    """A computer's name and what it says of itself, spelled; see ``normalize.spelling.Spelling.computer``."""

    cdef str name
    cdef bytes key, id_name, opening, member

    def __init__(self, bytes key, tuple parts):
        self.key = key
        self.name, self.id_name, self.opening, self.member = parts


cdef class Memory:
    """What Python spelled, by the bytes it was spelled for."""

    cdef object spelling
    cdef dict kinds, computers, users, names

    def __init__(self, spelling):
        self.spelling = spelling
        self.kinds, self.computers, self.users, self.names = {}, {}, {}, {}

    cdef object keep(self, dict known, bytes key, object made):
        """*made*, remembered. A full memory is emptied: what is real fills it again in a moment."""
        if len(known) >= MOST_REMEMBERED:
            known.clear()
        known[key] = made
        return made

    cdef Kind kind(self, bytes key):
        found = self.kinds.get(key)
        return found if found is not None else self.keep(self.kinds, key, Kind(self.spelling.kind(key)))

    cdef Computer computer(self, bytes key):
        """None: it has no name."""
        found = self.computers.get(key)
        if found is None:
            parts = self.spelling.computer(key)
            if parts is not None:
                found = self.keep(self.computers, key, Computer(key, parts))
        return found

    cdef bytes user(self, bytes sid):
        found = self.users.get(sid)
        return found if found is not None else self.keep(self.users, sid, self.spelling.user(sid))

    cdef bytes name(self, bytes name):
        """The key for an unusual name; empty: it is none, or not to be remembered."""
        if len(name) > 2 * LONGEST_NAME:
            return b""
        found = self.names.get(name)
        return found if found is not None else self.keep(self.names, name, self.spelling.name(name))

    def sizes(self):
        """How much is remembered: kinds, computers, users, names."""
        return len(self.kinds), len(self.computers), len(self.users), len(self.names)


include "_emitter.pxi"
include "_envelope.pxi"
include "_texts.pxi"


cdef class Reaped:
    """What was read of some events: their ids, keys and documents, in the order of the texts.

    *ids* and *keys* hold None for an event that is not ours. The documents lack their last two
    bytes, so that what is the same for a whole batch can be put there (``splice``).
    """

    cdef readonly list ids
    cdef readonly list keys
    cdef readonly Py_ssize_t missed
    cdef Out block
    cdef Array ends

    def __cinit__(self):
        self.block.start, self.block.size, self.block.room = NULL, 0, 0

    def __dealloc__(self):
        free(self.block.start)

    cdef Extent document_at(self, Py_ssize_t place) except *:
        """Where in the block the document of one event stands; one that is not ours has none."""
        cdef Extent found
        if not 0 <= place < len(self.ends):  # not len(ids): that list is in other hands too
            raise IndexError(place)
        found.start = self.ends.data.as_ulonglongs[place - 1] if place else 0
        found.end = self.ends.data.as_ulonglongs[place]
        return found

    def document(self, Py_ssize_t place):
        """The document of one event as JSON."""
        cdef Extent found = self.document_at(place)
        return PyBytes_FromStringAndSize(<char*> self.block.start + found.start, found.end - found.start) + b"}}"

    def splice(self, places, dict others, bytes before, list ids, bytes after):
        """The records of some rows: document, *before*, id, *after* and LF, in one block, and where each ends.

        *places*: for each row the event whose document it is, or -1: it is in *others*, by row.
        """
        cdef Array ends = clone(self.ends, len(ids), False)
        cdef Py_ssize_t row, place, size = 0
        cdef Py_ssize_t around = len(before) + len(after) + 1
        cdef Extent found
        cdef bytes block, other
        cdef Out out
        for row in range(len(ids)):
            place = places[row]
            if place < 0:
                size += len(others[row])
            else:
                found = self.document_at(place)
                size += found.end - found.start
            size += around + len(ids[row])
            ends.data.as_ulonglongs[row] = size
        block = PyBytes_FromStringAndSize(NULL, size)
        out.start, out.size, out.room = <unsigned char*> PyBytes_AS_STRING(block), 0, size
        for row in range(len(ids)):
            place = places[row]
            if place < 0:
                other = others[row]
                fill(&out, PyBytes_AS_STRING(other), PyBytes_GET_SIZE(other))
            else:
                found = self.document_at(place)
                fill(&out, self.block.start + found.start, found.end - found.start)
            fill(&out, PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
            fill_ascii(&out, ids[row])
            fill(&out, PyBytes_AS_STRING(after), PyBytes_GET_SIZE(after))
            fill(&out, b"\n", 1)
        if out.size != size:
            raise ValueError("the rows changed while they were written")
        return block, ends


cdef int fill(Out* out, const void* what, Py_ssize_t length) except -1:
    """``put`` into a block whose size was measured, and which must not move: it is an object's."""
    if out.room - out.size < length:
        raise ValueError("the rows changed while they were written")
    if length:
        memcpy(out.start + out.size, what, length)
        out.size += length
    return 0


cdef int fill_ascii(Out* out, str text) except -1:
    cdef Py_ssize_t size = 0
    cdef const char* start = PyUnicode_AsUTF8AndSize(text, &size)
    return fill(out, start, size)


cdef class Reaper:
    """Reads events. *spelling* spells what repeats: ``normalize.spelling.Spelling``."""

    cdef Memory memory
    cdef Computer last  # named by the event before: a source's events are nearly all of one
    cdef Writer spare  # it is large, so it is kept; taken while it works, because another thread may reap meanwhile

    def __init__(self, spelling):
        self.memory = Memory(spelling)
        self.last = self.spare = None

    def remembered(self):
        """How many kinds, computers, users and names are remembered."""
        return self.memory.sizes()

    def reap(self, events):
        """Read every text of *events*; never raises because of what one says."""
        cdef Reaped found = Reaped.__new__(Reaped)
        cdef Writer writer = self.spare
        cdef Texts texts = Texts(events)
        cdef Py_ssize_t count = len(events), i
        self.spare = None
        if writer is None:
            writer = Writer(self.memory)
        writer.out.size = 0  # a batch that was broken off left something
        found.ids, found.keys, found.missed = [None] * count, [None] * count, 0
        found.ends = clone(array("Q"), count, False)
        for i in range(count):
            if not self.read(writer, texts, found, i):
                found.missed += 1
            found.ends.data.as_ulonglongs[i] = writer.out.size
        found.block, writer.out = writer.out, found.block  # the documents change hands without a copy
        self.spare = writer
        return found

    cdef bint read(self, Writer writer, Texts texts, Reaped found, Py_ssize_t place) except -1:
        """One event. False: not ours."""
        cdef Scan* s = &writer.scan
        cdef int64_t time
        cdef Kind kind
        cdef Computer computer
        cdef bytes user = b""
        try:
            s.text = texts.bytes(place, &s.size)
        except UnicodeEncodeError:
            return False
        if s.size > LARGEST or not scan_event(s):
            return False
        time = nanoseconds(s, s.slots[TIME])
        if time <= 0 or digits(s, s.slots[RECORD]) < 0:
            return False
        if s.slots[ACTIVITY].marked or s.slots[RELATED].marked:
            return False
        kind, computer = self.kind(s), self.computer(s)
        if kind is None or computer is None:
            return False
        if s.slots[SID].end > s.slots[SID].start:
            if s.slots[SID].marked or s.slots[SID].end - s.slots[SID].start > LONGEST_ONE:
                return False
            user = self.memory.user(s.text[s.slots[SID].start:s.slots[SID].end])
        if not writer.write(kind, computer, user):
            return False
        found.ids[place] = identity(writer, kind, computer)
        found.keys[place] = new_tuple(Key, (time, computer.name, kind.channel, kind.provider, kind.code, kind.level))
        return True

    cdef Kind kind(self, Scan* s):
        """By the texts that say it, joined: no XML holds NUL or U+0001."""
        cdef unsigned char key[LONGEST_REMEMBERED]
        cdef Py_ssize_t size = 1, length
        cdef int i
        cdef Span span
        key[0] = 1 if s.elements >> 5 & 1 else 2  # an empty Opcode is not an absent one
        for i in range(R_OPCODE + 1 + s.word_count):
            span = s.slots[i] if i <= R_OPCODE else s.words[i - R_OPCODE - 1]
            length = span.end - span.start
            if size + length >= LONGEST_REMEMBERED or not simple(s, span):
                return None
            memcpy(key + size, s.text + span.start, length)
            key[size + length] = 0
            size += length + 1
        return self.memory.kind(PyBytes_FromStringAndSize(<char*> key, size))

    cdef Computer computer(self, Scan* s):
        cdef Computer last
        cdef Span span = s.slots[COMPUTER]
        if span.end - span.start > LONGEST_ONE or not simple(s, span):
            return None
        last = self.last
        if last is None or not equal(s, span, PyBytes_AS_STRING(last.key), PyBytes_GET_SIZE(last.key)):
            last = self.memory.computer(s.text[span.start:span.end])
            self.last = last
        return last


cdef int64_t nanoseconds(Scan* s, Span span) noexcept nogil:
    """Since 1970 of ``2026-03-04T05:06:07.1234567Z``, with 1 to 9 digits or no fraction; -1: not ours."""
    cdef Py_ssize_t i = span.start, length = span.end - span.start
    cdef int year, month, day, hour, minute, second, digits = 0
    cdef int64_t fraction = 0
    if not (20 <= length <= 30) or at(s, i + 4) != 45 or at(s, i + 7) != 45 or at(s, i + 10) != 84:
        return -1
    if at(s, i + 13) != 58 or at(s, i + 16) != 58 or at(s, span.end - 1) != 90:
        return -1
    year, month, day = number(s, i, 4), number(s, i + 5, 2), number(s, i + 8, 2)
    hour, minute, second = number(s, i + 11, 2), number(s, i + 14, 2), number(s, i + 17, 2)
    if not (1971 <= year <= 2261 and 1 <= month <= 12 and 1 <= day <= days_of(year, month)):
        return -1
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return -1
    if length > 20:
        digits = <int> (length - 21)
        fraction = number(s, i + 20, digits)
        if at(s, i + 19) != 46 or digits == 0 or fraction < 0:
            return -1
    while digits < 9:
        fraction, digits = fraction * 10, digits + 1
    return (((days_before(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000000000 + fraction


cdef int number(Scan* s, Py_ssize_t place, int digits) noexcept nogil:
    """Of at most nine digits; -1: something else stands there."""
    cdef int found = 0, i
    cdef unsigned char c
    for i in range(digits):
        c = at(s, place + i)
        if not 48 <= c <= 57:
            return -1
        found = found * 10 + c - 48
    return found


cdef inline int days_of(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef int64_t days_before(int year, int month, int day) noexcept nogil:
    """Days from 1970-01-01 to that date."""
    cdef int64_t past = year - 1
    cdef int earlier, found = day - 1
    for earlier in range(1, month):
        found += days_of(year, earlier)
    return past * 365 + past // 4 - past // 100 + past // 400 + found - 719162


cdef str identity(Writer writer, Kind kind, Computer computer):
    """``normalize.gathering.event_id``: the same bytes are hashed."""
    cdef Scan* s = &writer.scan
    if s.slots[RECORD].end == s.slots[RECORD].start:
        return base64(digest_of(s.text[: s.size]))
    return base64(digest_of(subject(writer, kind, computer)))


cdef bytes subject(Writer writer, Kind kind, Computer computer):
    """What says which event it is, for the hash."""
    cdef Scan* s = &writer.scan
    cdef Out* out = &writer.subject
    out.size = 0
    put_bytes(out, computer.id_name)
    put(out, b"\0", 1)
    put_bytes(out, kind.id_channel)
    put(out, b"\0", 1)
    put_span(out, s, s.slots[RECORD])
    put(out, b"\0", 1)
    put_span(out, s, s.slots[TIME])
    put_bytes(out, kind.id_rest)
    return PyBytes_FromStringAndSize(<char*> out.start, out.size)


cdef bytes digest_of(bytes subject):
    hasher = NEW_HASHER()
    hasher.update(subject)
    return hasher.digest()


cdef str base64(bytes digest):
    """22 characters of the URL-safe alphabet, without padding."""
    cdef char text[ID_LENGTH]
    cdef const unsigned char* bits = <const unsigned char*> PyBytes_AS_STRING(digest)
    cdef unsigned int held = 0
    cdef int i, left = 0, size = 0
    for i in range(ID_BYTES):
        held = (held << 8 | bits[i]) & 0xFFFF
        left += 8
        while left >= 6:
            left -= 6
            text[size] = ALPHABET[held >> left & 63]
            size += 1
    text[size] = ALPHABET[held << 4 & 63]
    return PyUnicode_DecodeASCII(text, ID_LENGTH, NULL)
