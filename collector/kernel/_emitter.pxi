# The emitter of _events.pyx: what the scanner found -> the bytes of a ``winlogbeat`` document.
#
# The order of keys, and what is left out, is that of ``normalize.document``. What follows from names and numbers
# comes spelled from Python (``Spelling``); here are only the values of one event. ``put`` measures every copy.

cdef enum:
    FULL = -3

cdef struct Out:
    unsigned char* start
    Py_ssize_t size
    Py_ssize_t room

cdef unsigned char KEYABLE[256]  # bytes that normalize.pairs.clean_key and JSON both leave as they are
cdef unsigned char ESCAPED[256]  # bytes that JSON does not leave as they are

cdef void _keyable():
    cdef int c
    for c in range(256):
        ESCAPED[c] = c < 32 or c == 34 or c == 92
        KEYABLE[c] = 32 <= c < 127 and c != 46 and c != 34 and c != 92 and c != 38

_keyable()


cdef int widen(Out* out, Py_ssize_t more) except -1:
    """Room for *more* bytes: doubled, so that a block is moved a few times and not for every event."""
    cdef Py_ssize_t room = max(2 * out.room, out.size + more + 4096)
    cdef void* moved = realloc(out.start, room)
    if moved == NULL:
        raise MemoryError
    out.start = <unsigned char*> moved
    out.room = room
    return 0


cdef inline int put(Out* out, const void* what, Py_ssize_t length) except -1:
    if out.room - out.size < length:
        widen(out, length)
    memcpy(out.start + out.size, what, length)
    out.size += length
    return 0


cdef inline int put_bytes(Out* out, bytes what) except -1:
    return put(out, PyBytes_AS_STRING(what), PyBytes_GET_SIZE(what))


cdef inline int put_span(Out* out, Scan* s, Span span) except -1:
    return put(out, s.text + span.start, span.end - span.start)


cdef int put_character(Out* out, unsigned int code) except -1:
    """One character as JSON spells it inside quotes; of the control characters XML has these three only."""
    if code == 9:
        return put(out, b"\\t", 2)
    if code == 10:
        return put(out, b"\\n", 2)
    if code == 13:
        return put(out, b"\\r", 2)
    if code == 34:
        return put(out, b'\\"', 2)
    if code == 92:
        return put(out, b"\\\\", 2)
    return put_letter(out, code)


cdef int put_marked(Out* out, Scan* s, Span span) except -1:
    """A text with references, quotes or line ends: line ends become LF, and none stays at the end (pairs.tidy)."""
    cdef Py_ssize_t i = span.start, run
    cdef unsigned int code, before = 0
    cdef int tail = 0  # line ends since the last other character
    cdef int tail_before = 0  # and before the CR that came last: with a LF after it, it was no character
    cdef unsigned char kind
    while i < span.end:
        run = i
        i = skip_plain(s, i, 38)
        kind = CLASSES[at(s, i)]
        while kind != MARK and kind != AMPERSAND and i < span.end:
            i = skip_plain(s, i + 1, 38)
            kind = CLASSES[at(s, i)]
        i = min(i, span.end)
        if i > run:
            put(out, s.text + run, i - run)
            before, tail = 0, 0
        if i >= span.end:
            break
        if kind == AMPERSAND:
            i = reference(s, i, &code)
            if i < 0:
                return 0  # never: the scanner took it
        else:
            code = at(s, i)
            i += 1
            if code == 13:  # XML 1.0, section 2.11: a literal line end of any kind is a LF
                code = 10
                i += at(s, i) == 10
        if code == 10 and before == 13:
            out.size -= 2
            tail = tail_before
        put_character(out, code)
        before, tail_before = code, tail
        tail = tail + 1 if code == 10 else 0
    out.size -= 2 * tail
    return 0


cdef inline int put_text(Out* out, Scan* s, Span span) except -1:
    """In quotes."""
    put(out, b'"', 1)
    if span.marked:
        put_marked(out, s, span)
    else:
        put_span(out, s, span)
    return put(out, b'"', 1)


cdef inline int put_member(Out* out, const char* name, Py_ssize_t length, Scan* s, Span span) except -1:
    """``,"name":"..."`` when the text is not empty. *name* has all but the text."""
    if span.end == span.start:
        return 0
    put(out, name, length)
    return put_text(out, s, span)


cdef int digits(Scan* s, Span span) noexcept nogil:
    """1: a number other than zero, spelled as Python does; 0: zero or nothing; -1: not ours to judge."""
    cdef Py_ssize_t i
    if span.end - span.start > 18:  # below 2**63, whatever they are
        return -1
    for i in range(span.start, span.end):
        if not 48 <= at(s, i) <= 57:
            return -1
    if span.end == span.start:
        return 0
    if at(s, span.start) == 48:
        return 0 if span.end - span.start == 1 else -1
    return 1


cdef inline bint simple(Scan* s, Span span) noexcept nogil:
    """Whether the bytes are the text: no reference, no CR."""
    cdef Py_ssize_t i
    if span.marked:
        for i in range(span.start, span.end):
            if at(s, i) == 38 or at(s, i) == 13:
                return False
    return True


cdef class Writer:
    """Writes documents one after another into one growing block."""

    cdef Out out
    cdef Scan scan
    cdef Memory memory
    cdef Span keys[MOST_PAIRS]     # of the object being written: places in the block
    cdef int key_count
    cdef uint64_t bloom            # of their lengths and ends: most keys need no comparison
    cdef Span unnamed[MOST_PAIRS]  # places in the block of values without a name, quotes included
    cdef int unnamed_count
    cdef Out paths
    cdef Span path[MOST_NODES]     # places in paths
    cdef Out subject               # of the id

    def __cinit__(self, Memory memory):
        self.memory = memory
        self.out.start, self.out.size, self.out.room = NULL, 0, 0
        self.paths.start, self.paths.size, self.paths.room = NULL, 0, 0
        self.subject.start, self.subject.size, self.subject.room = NULL, 0, 0

    def __dealloc__(self):
        free(self.out.start)
        free(self.paths.start)
        free(self.subject.start)

    cdef bint write(self, Kind kind, Computer computer, bytes user) except -1:
        """The document of the scanned event but for its last two bytes. False: not ours, and nothing was written."""
        cdef Out* out = &self.out
        cdef Scan* s = &self.scan
        cdef Py_ssize_t begin = out.size
        put(out, b'{"@timestamp":"', 15)
        put_span(out, s, s.slots[TIME])
        put(out, b'"', 1)
        put_bytes(out, computer.opening)
        put_bytes(out, kind.level_name)
        put_member(out, b',"message":', 11, s, s.slots[MESSAGE])
        put_bytes(out, kind.winlog)
        if digits(s, s.slots[RECORD]) > 0:
            put_member(out, b',"record_id":', 13, s, s.slots[RECORD])
        put_bytes(out, computer.member)
        put_member(out, b',"activity_id":', 15, s, s.slots[ACTIVITY])
        put_member(out, b',"related_activity_id":', 23, s, s.slots[RELATED])
        put_member(out, b',"time_created":', 16, s, s.slots[TIME])
        if not self.write_execution():
            out.size = begin
            return False
        put_bytes(out, user)
        put_bytes(out, kind.late)
        if not (self.write_pairs() and self.write_user_data()):
            out.size = begin
            return False
        put_bytes(out, kind.extras)
        put_bytes(out, kind.event)
        return True

    cdef bint write_execution(self) except -1:
        """Numbers of Execution; 0 is what classic providers write for "not known"."""
        cdef Scan* s = &self.scan
        cdef int slot, pid = digits(s, s.slots[PID]), thread = digits(s, s.slots[THREAD])
        if pid < 0 or thread < 0:
            return False
        if pid or thread:
            put(&self.out, b',"process":{', 12)
            if pid:
                put(&self.out, b'"pid":', 6)
                put_span(&self.out, s, s.slots[PID])
            if thread:
                put(&self.out, b',"thread":{"id":' if pid else b'"thread":{"id":', 16 if pid else 15)
                put_span(&self.out, s, s.slots[THREAD])
                put(&self.out, b"}", 1)
            put(&self.out, b"}", 1)
        return (
            self.write_number(b',"processor_id":', 16, PROCESSOR)
            and self.write_number(b',"session_id":', 14, SESSION)
            and self.write_number(b',"kernel_time":', 15, KERNEL_TIME)
            and self.write_number(b',"user_time":', 13, USER_TIME)
            and self.write_number(b',"processor_time":', 18, PROCESSOR_TIME)
        )

    cdef bint write_number(self, const char* name, Py_ssize_t length, int slot) except -1:
        cdef int found = digits(&self.scan, self.scan.slots[slot])
        if found > 0:
            put(&self.out, name, length)
            put_span(&self.out, &self.scan, self.scan.slots[slot])
        return found >= 0

    # -- objects whose keys the event brings -----------------------------------------------------------------------

    cdef void begin_object(self):
        self.key_count = self.unnamed_count = 0
        self.bloom = 0

    cdef int key(self, Py_ssize_t start) except -2:
        """Judge the key that the block ends with: its index if it is there already, -1: it is new, FULL: one too many."""
        cdef unsigned char* key = self.out.start + start
        cdef Py_ssize_t length = self.out.size - start
        cdef uint64_t bit = 1
        cdef int i
        if length:
            bit <<= (length * 7 + key[0] * 3 + key[length - 1] * 5 + key[length >> 1]) & 63
        if self.bloom & bit:
            for i in range(self.key_count):
                if self.keys[i].end - self.keys[i].start == length and not memcmp(
                    self.out.start + self.keys[i].start, key, length
                ):
                    return i
        if self.key_count == MOST_PAIRS:
            return FULL
        self.bloom |= bit
        self.keys[self.key_count].start, self.keys[self.key_count].end = start, self.out.size
        self.key_count += 1
        return -1

    cdef bint put_key(self, const unsigned char* name, Py_ssize_t length) except -1:
        """The key that the *length* bytes at *name* become, without quotes. False: not ours."""
        cdef Py_ssize_t i
        cdef bytes cleaned
        cdef bint plain = 0 < length <= LONGEST_NAME and name[0] != 32 and name[length - 1] != 32
        for i in range(length):
            plain &= KEYABLE[name[i]]
        if plain:
            put(&self.out, name, length)
            return True
        for i in range(length):
            if name[i] == 38 or name[i] == 13:
                return False
        cleaned = self.memory.name(name[:length])
        put_bytes(&self.out, cleaned)
        return PyBytes_GET_SIZE(cleaned) > 0

    cdef int position_key(self, int position) except -1:
        cdef char digits[16]
        put(&self.out, b"param", 5)
        return put(&self.out, digits, snprintf(digits, 16, b"%d", position))

    cdef int open_member(self, Span name, bint named, int position) except -2:
        """``"key":`` with the comma before it; 1: written, 0: this key is there already, -1: not ours."""
        cdef Py_ssize_t start
        cdef int known
        put(&self.out, b',"' if self.key_count else b'"', 2 if self.key_count else 1)
        start = self.out.size
        if not named:
            self.position_key(position)
        elif not self.put_key(self.scan.text + name.start, name.end - name.start):
            return -1
        known = self.key(start)
        if known >= 0 or known == FULL:
            return 0 if named and known >= 0 else -1
        put(&self.out, b'":', 2)
        return 1

    cdef bint write_pairs(self) except -1:
        """``event_data``: empty values are dropped, the first of two equal keys wins."""
        cdef Out* out = &self.out
        cdef Scan* s = &self.scan
        cdef Pair* pair
        cdef Py_ssize_t begin = out.size, start
        cdef int i, opened
        self.begin_object()
        put(out, b',"event_data":{', 15)
        for i in range(s.pair_count):
            pair = &s.pairs[i]
            if pair.value.end == pair.value.start:
                continue
            start = out.size
            opened = self.open_member(pair.name, pair.named, i + 1)
            if opened < 0:
                return False
            if opened == 0:
                out.size = start
                continue
            start = out.size
            put_text(out, s, pair.value)
            if not pair.named:
                self.unnamed[self.unnamed_count].start, self.unnamed[self.unnamed_count].end = start, out.size
                self.unnamed_count += 1
        if self.key_count == 0:
            out.size = begin
            return True
        self.write_unnamed()
        put(out, b"}", 1)
        return True

    cdef int write_unnamed(self) except -1:
        """The values without a name once more, as the list that Sigma's rules search."""
        cdef Out* out = &self.out
        cdef int i
        cdef Py_ssize_t length
        if self.unnamed_count:
            put(out, b',"Data":', 8)
        for i in range(self.unnamed_count):
            length = self.unnamed[i].end - self.unnamed[i].start
            put(out, b"," if i else b"[", 1)
            if out.room - out.size < length:
                widen(out, length)  # before the address of what is copied is taken: the block may move
            put(out, out.start + self.unnamed[i].start, length)
        if self.unnamed_count:
            put(out, b"]", 1)
        return 0

    cdef bint write_user_data(self) except -1:
        """``user_data``: the first level by name, then what lies deeper or in attributes by path."""
        cdef Out* out = &self.out
        cdef Scan* s = &self.scan
        cdef Py_ssize_t begin = out.size
        if s.node_count == 0:
            return True
        self.begin_object()
        put(out, b',"user_data":{', 14)
        if not (self.write_first_level() and self.find_paths() and self.write_nested()):
            return False
        if self.key_count == 0:
            out.size = begin
            return True
        put(out, b',"xml_name":"', 13)
        put_span(out, s, s.slots[USER_ROOT])
        put(out, b'"}', 2)
        return True

    cdef bint write_first_level(self) except -1:
        cdef Scan* s = &self.scan
        cdef Node* node
        cdef Py_ssize_t start
        cdef int i, opened, position = 0
        for i in range(s.node_count):
            node = &s.nodes[i]
            if node.depth != 1 or node.attribute:
                continue
            position += 1
            if node.value.end == node.value.start:
                continue
            start = self.out.size
            opened = self.open_member(node.name, not equal(s, node.name, b"Data", 4), position)
            if opened < 0 or (opened and self.says_xml_name()):
                return False
            if opened == 0:
                self.out.size = start
                continue
            put_text(&self.out, s, node.value)
        return True

    cdef bint says_xml_name(self) noexcept:
        """Whether the key written last is ``xml_name``, which is ours: asked of what cleaning made ("xml.name")."""
        cdef Span key = self.keys[self.key_count - 1]
        return key.end - key.start == 8 and not memcmp(self.out.start + key.start, b"xml_name", 8)

    cdef bint find_paths(self) except -1:
        """The names from below the root down to each node, joined by "_"; fields._flatten."""
        cdef Scan* s = &self.scan
        cdef Node* node
        cdef Py_ssize_t parent, length
        cdef int i
        self.paths.size = 0
        for i in range(s.node_count):
            node = &s.nodes[i]
            self.path[i].start = self.paths.size
            if node.parent >= 0:
                parent, length = self.path[node.parent].start, self.path[node.parent].end
                length -= parent
                if self.paths.room - self.paths.size < length:
                    widen(&self.paths, length)
                put(&self.paths, self.paths.start + parent, length)
                put(&self.paths, b"_", 1)
            put_span(&self.paths, s, node.name)
            self.path[i].end = self.paths.size
            if self.path[i].end - self.path[i].start > LONGEST_NAME:
                return False
        return True

    cdef inline bint nested(self, int i) noexcept:
        """Whether node *i* is said by its path: an attribute, or a text from the second level on."""
        cdef Node* node = &self.scan.nodes[i]
        return node.value.end > node.value.start and (node.attribute or node.depth > 1)

    cdef bint same_path(self, int a, int b) noexcept:
        cdef Py_ssize_t length = self.path[a].end - self.path[a].start
        return self.path[b].end - self.path[b].start == length and not memcmp(
            self.paths.start + self.path[a].start, self.paths.start + self.path[b].start, length
        )

    cdef bint write_nested(self) except -1:
        """Each path once, at its first place; one that comes again has a list."""
        cdef Out* out = &self.out
        cdef Py_ssize_t start, length, key
        cdef const unsigned char* path
        cdef int i, known
        for i in range(self.scan.node_count):
            if not self.nested(i):
                continue
            start = out.size
            put(out, b',"' if self.key_count else b'"', 2 if self.key_count else 1)
            key = out.size
            path, length = self.paths.start + self.path[i].start, self.path[i].end - self.path[i].start
            # Where cleaning changes a key, paths that differ may become one: that is left to the reference.
            if not self.put_key(path, length) or out.size - key != length or memcmp(out.start + key, path, length):
                return False
            if length == 8 and not memcmp(path, b"xml_name", 8):
                return False
            known = self.key(key)
            if known == FULL:
                return False
            if known >= 0:
                out.size = start
                continue
            put(out, b'":', 2)
            self.write_nested_values(i)
        return True

    cdef int write_nested_values(self, int first) except -1:
        cdef Out* out = &self.out
        cdef Scan* s = &self.scan
        cdef int i
        cdef bint several = False
        cdef Py_ssize_t start = out.size
        put_text(out, s, s.nodes[first].value)
        for i in range(first + 1, s.node_count):
            if self.nested(i) and self.same_path(first, i):
                if not several:
                    several = True
                    out.size = start
                    put(out, b"[", 1)
                    put_text(out, s, s.nodes[first].value)
                put(out, b",", 1)
                put_text(out, s, s.nodes[i].value)
        if several:
            put(out, b"]", 1)
        return 0
