# The scanner of _events.pyx: the text of one event -> where its parts stand. It copies nothing and mends nothing.
#
# It takes the subset of XML that Windows writes, checks all of it (what it skips too), and answers False for
# anything else: then ``kernel.fields``, the specification, reads that event. So it may be strict wherever being
# general would cost a line. Safety: ``at`` is the only way to a byte of the text, and beyond the end it answers 0,
# which every loop stops at, because no XML holds it. Spans are made of such places alone, so they lie inside.

cdef enum:
    LARGEST = 256 * 1024     # bytes of an event. Above it its texts may have to be cut, which the reference does
    MOST_PAIRS = 200         # as normalize.pairs.MOST_KEYS: nothing overflows below it
    LONGEST_NAME = 128       # bytes; as normalize.pairs.LONGEST_KEY
    LONGEST_TAG = 1024       # of what XML calls a name; libxml2 refuses more than 50,000 bytes, of which we know none
    MOST_WORDS = 32          # rendered keywords; a mask has 64 bits, and providers name few
    MOST_ATTRIBUTES = 16     # of one element
    MOST_NODES = 1000        # elements and attributes below UserData, together
    DEEPEST = 4              # levels below the root of UserData; as fields.DEEPEST_USER_DATA
    NESTED = 16              # levels that are checked; libxml2 ends at 256

cdef enum:  # slots: where texts and attributes of System are kept; the first nine say which kind of event it is
    PROVIDER, GUID, EVENT_ID, VERSION, LEVEL, TASK, OPCODE, KEYWORDS, CHANNEL, SOURCE, QUALIFIERS
    R_LEVEL, R_TASK, R_OPCODE
    TIME, RECORD, ACTIVITY, RELATED, PID, THREAD, PROCESSOR, SESSION, KERNEL_TIME, USER_TIME, PROCESSOR_TIME
    COMPUTER, SID, MESSAGE, USER_ROOT
    SLOTS
    NOWHERE = -1

cdef enum:  # classes of bytes
    PLAIN      # copied as it is, into a document too
    MARK       # fine in XML, but JSON or the line-end rules have something to say
    AMPERSAND
    BRACKET    # maybe the start of "]]>"
    FFFE       # maybe the start of U+FFFE or U+FFFF, which XML forbids
    LESS
    FORBIDDEN


cdef struct Span:
    Py_ssize_t start
    Py_ssize_t end
    bint marked     # not every byte of it is PLAIN

cdef struct Pair:
    Span name
    Span value
    bint named      # by an attribute or a tag, not by its position

cdef struct Node:   # an element below the root of UserData, or an attribute there
    Span name
    Span value
    int parent      # index of the element around it, -1: the root
    int depth       # 1: a child of the root; that of an attribute is its element's
    int children
    bint attribute

cdef struct Scan:
    const unsigned char* text
    Py_ssize_t size
    Py_ssize_t here
    unsigned int sections      # which were seen
    unsigned int elements      # of System
    Span slots[SLOTS]
    Span words[MOST_WORDS]
    int word_count
    Pair pairs[MOST_PAIRS]
    int pair_count
    Node nodes[MOST_NODES]
    int node_count
    Span names[MOST_ATTRIBUTES]    # the attributes of the element just opened
    Span values[MOST_ATTRIBUTES]
    int attributes

cdef unsigned char CLASSES[256]
cdef unsigned char NAMING[256]  # 1: may begin a name and go on in it, 2: may only go on

cdef void _classify():
    cdef int c
    for c in range(256):
        CLASSES[c] = FORBIDDEN if c < 0x20 else PLAIN
        NAMING[c] = 1 if 65 <= c <= 90 or 97 <= c <= 122 or c == 95 else 2 if 48 <= c <= 57 or c == 45 or c == 46 else 0
    for c in b'\t\n\r"\\':
        CLASSES[c] = MARK
    CLASSES[38], CLASSES[93], CLASSES[0xEF], CLASSES[60] = AMPERSAND, BRACKET, FFFE, LESS

_classify()


cdef inline unsigned char at(Scan* s, Py_ssize_t place) noexcept nogil:
    return s.text[place] if place < s.size else 0


cdef inline bint stands(Scan* s, Py_ssize_t place, const char* word, Py_ssize_t length) noexcept nogil:
    return place + length <= s.size and memcmp(s.text + place, word, length) == 0


cdef inline bint same(Scan* s, Span a, Span b) noexcept nogil:
    return a.end - a.start == b.end - b.start and memcmp(s.text + a.start, s.text + b.start, a.end - a.start) == 0


cdef inline bint equal(Scan* s, Span a, const char* word, Py_ssize_t length) noexcept nogil:
    return a.end - a.start == length and memcmp(s.text + a.start, word, length) == 0


cdef inline void skip_blanks(Scan* s) noexcept nogil:
    cdef unsigned char c = at(s, s.here)
    while c == 32 or c == 10 or c == 9 or c == 13:
        s.here += 1
        c = at(s, s.here)


cdef Py_ssize_t reference(Scan* s, Py_ssize_t place, unsigned int* code) noexcept nogil:
    """Where the reference that begins at *place* (an ampersand) ends, and its character; -1: not one of ours."""
    cdef unsigned int found = 0, digit
    cdef int digits = 0
    cdef bint hexadecimal
    cdef unsigned char c = at(s, place + 1)
    if c != 35:
        return named_reference(s, place + 1, code)
    hexadecimal = at(s, place + 2) == 120
    place += 3 if hexadecimal else 2
    while True:
        c = at(s, place)
        place += 1
        if 48 <= c <= 57:
            digit = c - 48
        elif hexadecimal and (97 <= c <= 102 or 65 <= c <= 70):
            digit = (c | 32) - 87
        else:
            break
        digits += 1
        if digits > 7:  # so that nothing wraps round
            return -1
        found = found * (16 if hexadecimal else 10) + digit
    if c != 59 or digits == 0 or not legal(found):
        return -1
    code[0] = found
    return place


cdef Py_ssize_t named_reference(Scan* s, Py_ssize_t place, unsigned int* code) noexcept nogil:
    if stands(s, place, b"amp;", 4):
        code[0] = 38
        return place + 4
    if stands(s, place, b"lt;", 3):
        code[0] = 60
        return place + 3
    if stands(s, place, b"gt;", 3):
        code[0] = 62
        return place + 3
    if stands(s, place, b"quot;", 5):
        code[0] = 34
        return place + 5
    if stands(s, place, b"apos;", 5):
        code[0] = 39
        return place + 5
    return -1


cdef inline bint legal(unsigned int code) noexcept nogil:
    """Whether XML 1.0 lets a reference name this character (section 2.2)."""
    if code < 0x20:
        return code == 9 or code == 10 or code == 13
    return code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF


cdef inline Py_ssize_t skip_plain(Scan* s, Py_ssize_t place, unsigned char quote) noexcept nogil:
    """The first byte from *place* on that is not PLAIN, or is *quote*."""
    cdef Py_ssize_t plain
    cdef unsigned char c
    while place + STRIDE <= s.size:
        plain = wef_plain(s.text + place, quote)
        place += plain
        if plain < STRIDE:
            break
    c = at(s, place)
    while CLASSES[c] == PLAIN and c != quote:
        place += 1
        c = at(s, place)
    return place


cdef bint scan_text(Scan* s, Span* found) noexcept nogil:
    """Characters up to the next tag."""
    cdef Py_ssize_t i = s.here
    cdef unsigned int code
    cdef unsigned char kind
    found.start, found.marked = i, False
    while True:
        i = skip_plain(s, i, 60)
        kind = CLASSES[at(s, i)]
        if kind == LESS:
            found.end = s.here = i
            return True
        elif kind == MARK:
            found.marked = True
            i += 1
        elif kind == AMPERSAND:
            found.marked = True
            i = reference(s, i, &code)
            if i < 0:
                return False
        elif kind == BRACKET:
            if at(s, i + 1) == 93 and at(s, i + 2) == 62:
                return False
            i += 1
        elif kind == FFFE:
            if at(s, i + 1) == 0xBF and at(s, i + 2) >= 0xBE:
                return False
            i += 1
        else:
            return False


cdef bint scan_value(Scan* s, Span* found) noexcept nogil:
    """An attribute's value with its quotes. What a parser would turn into blanks is left to one."""
    cdef Py_ssize_t i = s.here + 1
    cdef unsigned int code
    cdef unsigned char c, kind, quote = at(s, s.here)
    if quote != 39 and quote != 34:
        return False
    found.start, found.marked = i, False
    while True:
        i = skip_plain(s, i, quote)
        c = at(s, i)
        kind = CLASSES[c]
        if c == quote:
            found.end = i
            s.here = i + 1
            return True
        elif kind == BRACKET:
            i += 1
        elif kind == MARK and (c == 34 or c == 92):
            found.marked = True
            i += 1
        elif kind == AMPERSAND:
            found.marked = True
            i = reference(s, i, &code)
            if i < 0:
                return False
        elif kind == FFFE and not (at(s, i + 1) == 0xBF and at(s, i + 2) >= 0xBE):
            i += 1
        else:
            return False


cdef bint scan_name(Scan* s, Span* found) noexcept nogil:
    """A name without prefix; a colon after it ends the whole attempt, because nothing allowed begins so."""
    cdef Py_ssize_t i = s.here
    if NAMING[at(s, i)] != 1:
        return False
    while NAMING[at(s, i)]:
        i += 1
    found.start, found.end, found.marked = s.here, i, False
    s.here = i
    return found.end - found.start <= LONGEST_TAG


cdef int open_element(Scan* s, Span* tag, bint spaced) noexcept nogil:
    """At "<": the tag and its attributes. 1: it has contents, 0: it is empty, -1: not ours.

    *spaced*: namespaces may be declared here (below UserData); they are checked and not kept.
    """
    cdef int i
    cdef Span name
    cdef Span value
    s.attributes = 0
    if at(s, s.here) != 60:
        return -1
    s.here += 1
    if not scan_name(s, tag):
        return -1
    if at(s, s.here) == 62:
        s.here += 1
        return 1
    while at(s, s.here) == 32:
        while at(s, s.here) == 32:
            s.here += 1
        if at(s, s.here) == 62 or at(s, s.here) == 47:
            break
        if s.attributes == MOST_ATTRIBUTES or not scan_attribute(s, &name, &value):
            return -1
        for i in range(s.attributes):
            if same(s, name, s.names[i]):
                return -1
        s.names[s.attributes] = name
        s.values[s.attributes] = value
        s.attributes += 1
    if not drop_namespaces(s, spaced):
        return -1
    if at(s, s.here) == 62:
        s.here += 1
        return 1
    if at(s, s.here) == 47 and at(s, s.here + 1) == 62:
        s.here += 2
        return 0
    return -1


cdef bint scan_attribute(Scan* s, Span* name, Span* value) noexcept nogil:
    if not scan_name(s, name):
        return False
    if at(s, s.here) == 58 and equal(s, name[0], b"xmlns", 5):  # a prefix, which nothing that we take can use
        s.here += 1
        while NAMING[at(s, s.here)]:
            s.here += 1
        name.end = s.here
    if at(s, s.here) != 61 or name.end - name.start > LONGEST_TAG:
        return False
    s.here += 1
    return scan_value(s, value)


cdef bint drop_namespaces(Scan* s, bint spaced) noexcept nogil:
    """Check the declarations among the attributes and take them out; libxml2 refuses some that are legal."""
    cdef int i, kept = 0
    for i in range(s.attributes):
        if not stands(s, s.names[i].start, b"xml", 3):
            s.names[kept] = s.names[i]
            s.values[kept] = s.values[i]
            kept += 1
        elif not spaced or not namespace(s, s.names[i], s.values[i]):
            return False
    s.attributes = kept
    return True


cdef bint namespace(Scan* s, Span name, Span value) noexcept nogil:
    """Whether it declares a namespace in the way of Windows' manifests: a word, or http: with plain characters."""
    cdef Py_ssize_t i = value.start
    if not stands(s, name.start, b"xmlns", 5) or stands(s, name.start, b"xmlns:xml", 9) or value.end == i:
        return False
    if name.end - name.start > 5 and (at(s, name.start + 5) != 58 or NAMING[at(s, name.start + 6)] != 1):
        return False
    if stands(s, i, b"http://", 7):
        if equal(s, value, b"http://www.w3.org/XML/1998/namespace", 36):
            return False
        if equal(s, value, b"http://www.w3.org/2000/xmlns/", 29) or NAMING[at(s, i + 7)] != 1:
            return False
        i += 7
        while i < value.end and (NAMING[at(s, i)] or at(s, i) == 47):
            i += 1
        return i == value.end or (i + 1 == value.end and at(s, i) == 35)
    if NAMING[at(s, i)] != 1:
        return False
    while i < value.end and NAMING[at(s, i)]:
        i += 1
    return i == value.end


cdef bint close_element(Scan* s, Span tag) noexcept nogil:
    cdef Py_ssize_t length = tag.end - tag.start, i = s.here
    if at(s, i) != 60 or at(s, i + 1) != 47 or at(s, i + 2 + length) != 62:
        return False
    if memcmp(s.text + i + 2, s.text + tag.start, length):  # the byte after them was there, so they are
        return False
    s.here = i + 3 + length
    return True


cdef bint leaf(Scan* s, Span tag, int opened, Span* value) noexcept nogil:
    """The text of an element that holds nothing else, and its end."""
    if opened == 0:
        value.start, value.end, value.marked = s.here, s.here, False
        return True
    return opened == 1 and scan_text(s, value) and close_element(s, tag)


cdef inline bint ends(Scan* s) noexcept nogil:
    """Whether an end tag comes next, after blanks."""
    skip_blanks(s)
    return at(s, s.here) == 60 and at(s, s.here + 1) == 47
