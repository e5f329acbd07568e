# The envelope of _events.pyx: a body's UTF-16 or UTF-8 -> one buffer of UTF-8, and the events in it, uncopied.
#
# CPython's decoders, ``wsman.pieces.slices`` and ``wsman.answer_pieces.cut_items`` are the specification; what is not
# the form that Windows sends is cut by them. The buffer is valid UTF-8, always: so whatever is cut out of it between characters is that too. ``Reader``
# is the way to the body's bytes, and ``Letters.at`` to the buffer's: both answer 0 beyond the end.

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char* start, Py_ssize_t size, const char* errors)

cdef enum:
    UNREADABLE = 0xFFFD       # what stands for units that are no character


cdef class Letters:
    """A text as UTF-8. It never changes, so pieces of it may be held as places."""

    cdef Out held

    def __cinit__(self):
        self.held.start, self.held.size, self.held.room = NULL, 0, 0

    def __dealloc__(self):
        free(self.held.start)

    def __len__(self):
        """Bytes."""
        return self.held.size

    def __sizeof__(self):
        return sizeof(Letters) + self.held.room

    def text(self):
        """All of it."""
        return self.part(0, self.held.size)

    def cut(self, bytes opening, bytes closing, bytes head, bytes tail):
        """The text without what is between *opening* and *closing*, and the pieces there, each in *head* and *tail*.

        None: it is not of that form, which is the one that ``wsman.pieces.slices`` describes.
        """
        cdef Py_ssize_t start = self.first(opening), end = self.last(closing)
        cdef Pieces pieces
        if start < 0:
            return None
        start += len(opening)
        if end < start or self.hides_tags(0, start) or self.hides_tags(end, self.held.size):
            return None
        pieces = Pieces.__new__(Pieces)
        pieces.letters = self
        if start < end and not self.take(pieces, start, end, head, tail):
            return None
        if start < end and memchr(self.held.start + start, 13, end - start) != NULL:
            pieces.normalise(end - start)
        return self.part(0, start) + self.part(end, self.held.size), pieces

    def cut_elements(self, bytes opening, bytes closing, bytes head, bytes tail, bytes name, bytes said):
        """The text without what is between *opening* and *closing*, and the elements there, each from *head* to *tail*.

        *name* is how each of their start tags begins, *said* what *opening* and *closing* alone say in the rest.
        None: it is not of that form, which is the one that ``wsman.answer_pieces.cut_items`` describes.
        """
        cdef Py_ssize_t start = self.first(opening), end = self.last(closing), left, right
        cdef Pieces pieces
        if start < 0:
            return None
        start += len(opening)
        if end <= start or self.hides_tags(0, start) or self.hides_tags(end, self.held.size):
            return None
        if self.times(0, start, said) + self.times(end, self.held.size, said) != 2:
            return None
        left, right = start, self.stripped(start, end)
        while left < right and blank(self.at(left)):
            left += 1
        pieces = Pieces.__new__(Pieces)
        pieces.letters = self
        if self.names_prefixes(left, right) or not self.take_elements(pieces, left, right, head, tail, name):
            return None
        if memchr(self.held.start + left, 13, right - left) != NULL:
            pieces.normalise(right - left)
        return self.part(0, start) + self.part(end, self.held.size), pieces

    cdef str part(self, Py_ssize_t start, Py_ssize_t end):
        if not 0 <= start <= end <= self.held.size:
            raise IndexError(start)
        return PyUnicode_DecodeUTF8(<char*> self.held.start + start, end - start, NULL) if start < end else ""

    cdef inline unsigned char at(self, Py_ssize_t place) noexcept:
        return self.held.start[place] if 0 <= place < self.held.size else 0

    cdef inline bint stands(self, Py_ssize_t place, bytes word) noexcept:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(word)
        return 0 <= place <= self.held.size - length and not memcmp(
            self.held.start + place, PyBytes_AS_STRING(word), length
        )

    cdef Py_ssize_t next(self, Py_ssize_t place, Py_ssize_t end, int byte) noexcept:
        """Where *byte* stands next, before *end*; -1: nowhere."""
        cdef const unsigned char* found = NULL
        if 0 <= place < end <= self.held.size:
            found = <const unsigned char*> memchr(self.held.start + place, byte, end - place)
        return found - self.held.start if found != NULL else -1

    cdef Py_ssize_t first(self, bytes word) noexcept:
        """Where *word*, which is a tag, stands for the first time; -1: nowhere."""
        cdef Py_ssize_t found = self.next(0, self.held.size, 60)
        while found >= 0 and not self.stands(found, word):
            found = self.next(found + 1, self.held.size, 60)
        return found

    cdef Py_ssize_t last(self, bytes word) noexcept:
        cdef Py_ssize_t found = self.held.size - PyBytes_GET_SIZE(word)
        while found >= 0 and (self.at(found) != 60 or not self.stands(found, word)):
            found -= 1
        return found

    cdef bint hides_tags(self, Py_ssize_t start, Py_ssize_t end) noexcept:
        """Whether a comment, a CDATA section or a processing instruction stands there, in which a tag is none."""
        cdef Py_ssize_t found = self.next(start, end, 60)
        while found >= 0:
            if self.at(found + 1) == 33 or self.at(found + 1) == 63:
                return True
            found = self.next(found + 1, end, 60)
        return False

    cdef Py_ssize_t times(self, Py_ssize_t start, Py_ssize_t end, bytes word) noexcept:
        """How often *word*, which begins with a colon, stands there."""
        cdef Py_ssize_t found = self.next(start, end, 58), number = 0
        while found >= 0:
            if found + PyBytes_GET_SIZE(word) <= end and self.stands(found, word):
                number += 1
            found = self.next(found + 1, end, 58)
        return number

    cdef Py_ssize_t stripped(self, Py_ssize_t start, Py_ssize_t end) noexcept:
        """Where what stands there ends without the blanks behind it."""
        while end > start and blank(self.at(end - 1)):
            end -= 1
        return end

    cdef bint names_prefixes(self, Py_ssize_t start, Py_ssize_t end) noexcept:
        """Whether something like an attribute with a prefix of one letter stands there."""
        cdef Py_ssize_t found = self.next(start, end, 58), place
        while found >= 0:
            if found - start >= 2 and 97 <= self.at(found - 1) <= 122 and blank(self.at(found - 2)):
                place = found + 1
                while place < end and named(self.at(place)):
                    place += 1
                if place > found + 1:
                    while place < end and blank(self.at(place)):
                        place += 1
                    if place < end and self.at(place) == 61:
                        return True
            found = self.next(found + 1, end, 58)
        return False

    cdef bint take_elements(
        self, Pieces pieces, Py_ssize_t start, Py_ssize_t end, bytes head, bytes tail, bytes name
    ) except -1:
        """Note the elements between *start* and *end*. False: something else is there too, or could be."""
        cdef Py_ssize_t found = start, begun = -1, after = PyBytes_GET_SIZE(name)
        cdef unsigned char first
        while found >= 0:
            first = self.at(found + 1) if found + 1 < end else 0
            if first == 33 or first == 63 or (97 <= first <= 122 and found + 2 < end and self.at(found + 2) == 58):
                return False
            if found + after <= end and self.stands(found, name) and not (
                found + after < end and letter(self.at(found + after))
            ):
                if found + PyBytes_GET_SIZE(head) > end or not self.stands(found, head):
                    return False
                if begun >= 0 and not self.add_element(pieces, begun, found, tail):
                    return False
                begun = found
            elif begun < 0:
                return False
            found = self.next(found + 1, end, 60)
        return begun >= start and self.add_element(pieces, begun, end, tail)

    cdef bint add_element(self, Pieces pieces, Py_ssize_t start, Py_ssize_t end, bytes tail) except -1:
        """Note what stands there without the blanks behind it; False: it does not end with *tail*."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(tail)
        end = self.stripped(start, end)
        if end - start < size or not self.stands(end - size, tail):
            return False
        pieces.add(start, end)
        return True

    cdef bint take(self, Pieces pieces, Py_ssize_t start, Py_ssize_t end, bytes head, bytes tail) except -1:
        """Note the pieces between *start* and *end*. False: something else is there too."""
        cdef Py_ssize_t place = start, found
        while True:
            if not self.stands(place, head):
                return False
            place += PyBytes_GET_SIZE(head)
            found = self.next(place, end, 93)
            while found >= 0 and not (self.at(found + 1) == 93 and self.at(found + 2) == 62):
                found = self.next(found + 1, end, 93)
            # The first "]]>" has to be the tail's: another one ends the CDATA section before the piece does.
            if found < 0 or not self.stands(found, tail) or found + PyBytes_GET_SIZE(tail) > end:
                return False
            pieces.add(place, found)
            place = found + PyBytes_GET_SIZE(tail)
            if place == end:
                return True


cdef inline bint blank(unsigned char byte) noexcept:
    """White space of XML."""
    return byte == 32 or byte == 10 or byte == 13 or byte == 9


cdef inline bint letter(unsigned char byte) noexcept:
    return 97 <= byte | 32 <= 122


cdef inline bint named(unsigned char byte) noexcept:
    """Whether it may be in a name; of what is not ASCII anything may."""
    return letter(byte) or 48 <= byte <= 57 or byte == 95 or byte == 45 or byte == 46 or byte >= 128


cdef struct Extent:
    Py_ssize_t start
    Py_ssize_t end


cdef class Pieces:
    """The events of a message: a sequence of texts, each of which is made when it is asked for."""

    cdef Letters letters
    cdef Extent* extents
    cdef Py_ssize_t many, room

    def __cinit__(self):
        self.extents, self.many, self.room = NULL, 0, 0

    def __dealloc__(self):
        free(self.extents)

    def __len__(self):
        return self.many

    def __sizeof__(self):
        """With the letters, which nobody else holds for long."""
        return sizeof(Pieces) + self.room * sizeof(Extent) + self.letters.__sizeof__()

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self.many))]
        return self.piece(index + self.many if index < 0 else index)

    def __iter__(self):
        return map(self.__getitem__, range(self.many))

    def __eq__(self, other):
        return list(self) == list(other) if isinstance(other, (list, tuple, Pieces)) else NotImplemented

    def __repr__(self):
        return repr(list(self))

    def index(self, text, *bounds):
        """As every sequence has it."""
        return list(self).index(text, *bounds)

    def count(self, text):
        """As every sequence has it."""
        return list(self).count(text)

    cdef str piece(self, Py_ssize_t place):
        cdef Extent extent = self.extent(place)
        return self.letters.part(extent.start, extent.end)

    cdef Extent extent(self, Py_ssize_t place) except *:
        if not 0 <= place < self.many:
            raise IndexError("there is no such piece")
        return self.extents[place]

    cdef const unsigned char* bytes(self, Py_ssize_t place, Py_ssize_t* size) except NULL:
        """Where the UTF-8 of one piece begins; it lives as long as the pieces do."""
        cdef Extent extent = self.extent(place)
        size[0] = extent.end - extent.start
        return self.letters.held.start + extent.start

    cdef int add(self, Py_ssize_t start, Py_ssize_t end) except -1:
        cdef void* moved
        cdef Py_ssize_t room
        if self.many == self.room:
            room = max(128, 2 * self.room)
            moved = realloc(self.extents, room * sizeof(Extent))
            if moved == NULL:
                raise MemoryError
            self.extents, self.room = <Extent*> moved, room
        self.extents[self.many].start, self.extents[self.many].end = start, end
        self.many += 1
        return 0

    cdef int normalise(self, Py_ssize_t most) except -1:
        """Every line end a LF, as an XML parser reads them (XML 1.0, 2.11), in letters of our own."""
        cdef Letters old = self.letters, new = Letters.__new__(Letters)
        cdef Py_ssize_t row, place, found, end
        widen_to(&new.held, most)
        for row in range(self.many):
            place, end = self.extents[row].start, self.extents[row].end
            self.extents[row].start = new.held.size
            while place < end:
                found = old.next(place, end, 13)
                put(&new.held, old.held.start + place, (found if found >= 0 else end) - place)
                if found < 0:
                    break
                put(&new.held, b"\n", 1)
                place = found + 1
                if place < end and old.at(place) == 10:
                    place += 1
            self.extents[row].end = new.held.size
        self.letters = new
        return 0


cdef int widen_to(Out* out, Py_ssize_t room) except -1:
    """Exactly that much room, for what will be held for long."""
    cdef void* moved = realloc(out.start, max(room, 1))
    if moved == NULL:
        raise MemoryError
    out.start, out.room = <unsigned char*> moved, room
    return 0


cdef struct Source:
    const unsigned char* start
    Py_ssize_t size


def unfold(bytes body, Py_ssize_t start, bint wide):
    """The letters of *body* from *start* on, as CPython's decoders read them: U+FFFD for what is no character.

    *wide*: it is UTF-16LE; else UTF-8, of which only what is valid is taken. None: it is not.
    """
    cdef Letters letters = Letters.__new__(Letters)
    cdef Source source
    if not 0 <= start <= len(body):
        raise IndexError(start)
    source.start = <const unsigned char*> PyBytes_AS_STRING(body) + start
    source.size = PyBytes_GET_SIZE(body) - start
    if wide:
        # A sixteenth more than ASCII needs: umlauts in a few of the events do not make it move.
        widen_to(&letters.held, source.size // 2 + source.size // 32 + 64)
        narrow(&source, &letters.held)
    elif not valid(&source):
        return None
    else:
        widen_to(&letters.held, source.size)
        put(&letters.held, source.start, source.size)
    widen_to(&letters.held, letters.held.size)
    return letters


cdef inline unsigned int unit(Source* s, Py_ssize_t place) noexcept:
    """The unit of UTF-16LE there; the caller knows that it is whole."""
    return s.start[place] | <unsigned int> s.start[place + 1] << 8 if 0 <= place < s.size - 1 else 0


cdef int narrow(Source* s, Out* out) except -1:
    """UTF-16LE -> UTF-8. There is room for a whole stride before each: 16 units are 49 bytes at most."""
    cdef Py_ssize_t place = 0, stop
    while place < s.size:
        if out.room - out.size < 4 * STRIDE:
            widen(out, 4 * STRIDE + (s.size - place) // 2)
        if s.size - place >= 2 * STRIDE and wef_narrowed(s.start + place, out.start + out.size):
            place += 2 * STRIDE
            out.size += STRIDE
            continue
        stop = min(place + 2 * STRIDE, s.size)
        while place < stop:
            out.size += spell(character(s, &place), out.start + out.size)
    return 0


cdef inline unsigned int character(Source* s, Py_ssize_t* place) noexcept:
    """One character of one unit or two, or UNREADABLE; *place* goes to where the next begins."""
    cdef unsigned int code, low = 0
    if s.size - place[0] < 2:  # half a unit
        place[0] = s.size
        return UNREADABLE
    code = unit(s, place[0])
    place[0] += 2
    if not 0xD800 <= code <= 0xDFFF:
        return code
    if code <= 0xDBFF:
        if s.size - place[0] < 2:  # half a pair, and perhaps half a unit: CPython counts them as one
            place[0] = s.size
            return UNREADABLE
        low = unit(s, place[0])
    if not 0xDC00 <= low <= 0xDFFF:
        return UNREADABLE
    place[0] += 2
    return 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00))


cdef inline int spell(unsigned int code, unsigned char* to) noexcept:
    """One character as UTF-8: how many bytes, of which there are four at *to*."""
    if code < 0x80:
        to[0] = code
        return 1
    if code < 0x800:
        to[0], to[1] = 0xC0 | code >> 6, 0x80 | code & 63
        return 2
    if code < 0x10000:
        to[0], to[1], to[2] = 0xE0 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63
        return 3
    to[0], to[1], to[2], to[3] = 0xF0 | code >> 18, 0x80 | code >> 12 & 63, 0x80 | code >> 6 & 63, 0x80 | code & 63
    return 4


cdef inline int put_letter(Out* out, unsigned int code) except -1:
    """One character as UTF-8."""
    cdef unsigned char spelled[4]
    return put(out, spelled, spell(code, spelled))


cdef bint valid(Source* s) noexcept:
    """Whether it is UTF-8 as RFC 3629 has it: the shortest spelling of every character, no surrogates."""
    cdef Py_ssize_t place = 0, more, stride
    cdef unsigned char first, second
    while place < s.size:
        if s.size - place >= STRIDE:
            stride = wef_ascii(s.start + place)
            place += stride
            if stride == STRIDE:
                continue
        first = s.start[place]
        place += 1
        if first < 0x80:
            continue
        more = 1 if 0xC2 <= first <= 0xDF else 2 if first & 0xF0 == 0xE0 else 3 if 0xF0 <= first <= 0xF4 else 0
        if more == 0 or s.size - place < more:
            return False
        second = s.start[place]
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F):
            return False
        if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):
            return False
        while more:
            if s.start[place] & 0xC0 != 0x80:
                return False
            place += 1
            more -= 1
    return True
