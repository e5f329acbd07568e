# The XML of events as it was received, for _events.pyx: asked for as UTF-8, and written into records.
#
# What is in the batch's own buffer is taken from there; no text is made for it.

cdef class Texts:
    """A sequence of texts, each asked for as UTF-8: pieces where they lie, any other from its own texts."""

    cdef object texts
    cdef Pieces pieces
    cdef str held  # the text last asked for, which has to live while its bytes are looked at

    def __cinit__(self, texts):
        self.texts = texts
        self.pieces = texts if isinstance(texts, Pieces) else None

    cdef const unsigned char* bytes(self, Py_ssize_t row, Py_ssize_t* size) except NULL:
        """Raises ``UnicodeEncodeError`` for half of a surrogate pair, which no UTF-8 can hold."""
        if self.pieces is not None:
            return self.pieces.bytes(row, size)
        self.held = self.texts[row]
        return <const unsigned char*> PyUnicode_AsUTF8AndSize(self.held, size)


def wrap(texts, bytes before, bytes after, bytes block=b"", bytes between=b""):
    """Records with the XML of events in them, in one block, and where each ends: before, text as JSON, after, LF.

    *block*: records, one for each text, each ended by a LF; then each of them and *between* stand before its text.
    None: a text is no UTF-8, which a person's patience must mend (``formats.records.to_json``).
    """
    cdef Out out
    cdef Array ends = clone(array("Q"), len(texts), False)
    cdef const unsigned char[::1] records = block
    cdef const unsigned char* text
    cdef Py_ssize_t row, place = 0, start, size = 0
    cdef Texts source = Texts(texts)
    out.start, out.size, out.room = NULL, 0, 0
    try:
        widen(&out, len(block) + (len(before) + len(between) + len(after) + 1536) * len(texts))
        for row in range(len(texts)):
            put_bytes(&out, before)
            if records.shape[0]:
                start, place = place, line_end(records, place)
                put(&out, &records[start], place - start)
                place += 1
                put_bytes(&out, between)
            text = source.bytes(row, &size)
            put_string(&out, text, size)
            put_bytes(&out, after)
            put(&out, b"\n", 1)
            ends.data.as_ulonglongs[row] = out.size
        return PyBytes_FromStringAndSize(<char*> out.start, out.size), ends
    except UnicodeEncodeError:
        return None
    finally:
        free(out.start)


cdef Py_ssize_t line_end(const unsigned char[::1] records, Py_ssize_t place) except -1:
    """Where the LF of the record that begins at *place* stands."""
    cdef const unsigned char* start = &records[place]
    cdef const unsigned char* end = <const unsigned char*> memchr(start, 10, records.shape[0] - place)
    if end == NULL:
        raise IndexError(place)
    return place + (end - start)


def lines(texts):
    """The XML of events in one block, a line for each, and where each ends; line ends inside become references.

    None: a text is no UTF-8.
    """
    cdef Out out
    cdef Array ends = clone(array("Q"), len(texts), False)
    cdef const unsigned char* text
    cdef Py_ssize_t row, size = 0
    cdef Texts source = Texts(texts)
    out.start, out.size, out.room = NULL, 0, 0
    try:
        widen(&out, 1536 * len(texts))
        for row in range(len(texts)):
            text = source.bytes(row, &size)
            put_line(&out, text, size)
            ends.data.as_ulonglongs[row] = out.size
        return PyBytes_FromStringAndSize(<char*> out.start, out.size), ends
    except UnicodeEncodeError:
        return None
    finally:
        free(out.start)


cdef int put_line(Out* out, const unsigned char* start, Py_ssize_t size) except -1:
    """``formats.raw.raw_lines`` for one text, and its LF."""
    cdef Py_ssize_t i = 0, run
    if memchr(start, 10, size) == NULL and memchr(start, 13, size) == NULL:
        i = size
        put(out, start, size)
    while i < size:
        run = i
        while i < size and start[i] != 10 and start[i] != 13:
            i += 1
        put(out, start + run, i - run)
        if i < size:
            put(out, b"&#10;" if start[i] == 10 else b"&#13;", 5)
            i += 1
    return put(out, b"\n", 1)


cdef int put_string(Out* out, const unsigned char* start, Py_ssize_t size) except -1:
    """A text of any characters as JSON, as orjson spells it."""
    cdef Py_ssize_t i = 0, run, stride
    cdef unsigned char c
    cdef char spelled[8]
    put(out, b'"', 1)
    while i < size:
        run = i
        stride = STRIDE
        while stride == STRIDE and size - i >= STRIDE:
            stride = wef_unescaped(start + i)
            i += stride
        while i < size and not ESCAPED[start[i]]:
            i += 1
        put(out, start + run, i - run)
        if i < size:
            c = start[i]
            i += 1
            if c == 8:
                put(out, b"\\b", 2)
            elif c == 12:
                put(out, b"\\f", 2)
            elif c >= 0x20 or c == 9 or c == 10 or c == 13:
                put_character(out, c)
            else:
                put(out, spelled, snprintf(spelled, 8, b"\\u%04x", <unsigned int> c))
    return put(out, b'"', 1)
