# The sections of an event, for _events.pyx: which elements and attributes are ours, and where their texts are kept.
# What ``kernel.fields`` would merge, overwrite or ignore (a section twice, an unknown element) is not ours.

cdef enum:
    ELEMENTS = 14
    PLACES = 15
    NO_PLACE = PLACES

cdef struct Element:     # of System
    const char* name
    Py_ssize_t length
    int text             # its slot
    int first            # its first attribute in ATTRIBUTES; NO_PLACE: it has none

cdef struct Place:       # an attribute of System's elements
    int element          # index into SYSTEM
    const char* name
    Py_ssize_t length
    int slot

cdef Element SYSTEM[ELEMENTS]
cdef Place ATTRIBUTES[PLACES]

SYSTEM[0] = Element(b"Provider", 8, NOWHERE, 0)
SYSTEM[1] = Element(b"EventID", 7, EVENT_ID, 3)
SYSTEM[2] = Element(b"Version", 7, VERSION, NO_PLACE)
SYSTEM[3] = Element(b"Level", 5, LEVEL, NO_PLACE)
SYSTEM[4] = Element(b"Task", 4, TASK, NO_PLACE)
SYSTEM[5] = Element(b"Opcode", 6, OPCODE, NO_PLACE)
SYSTEM[6] = Element(b"Keywords", 8, KEYWORDS, NO_PLACE)
SYSTEM[7] = Element(b"TimeCreated", 11, NOWHERE, 4)
SYSTEM[8] = Element(b"EventRecordID", 13, RECORD, NO_PLACE)
SYSTEM[9] = Element(b"Correlation", 11, NOWHERE, 5)
SYSTEM[10] = Element(b"Execution", 9, NOWHERE, 7)
SYSTEM[11] = Element(b"Channel", 7, CHANNEL, NO_PLACE)
SYSTEM[12] = Element(b"Computer", 8, COMPUTER, NO_PLACE)
SYSTEM[13] = Element(b"Security", 8, NOWHERE, 14)

ATTRIBUTES[0] = Place(0, b"Name", 4, PROVIDER)
ATTRIBUTES[1] = Place(0, b"Guid", 4, GUID)
ATTRIBUTES[2] = Place(0, b"EventSourceName", 15, SOURCE)
ATTRIBUTES[3] = Place(1, b"Qualifiers", 10, QUALIFIERS)
ATTRIBUTES[4] = Place(7, b"SystemTime", 10, TIME)
ATTRIBUTES[5] = Place(9, b"ActivityID", 10, ACTIVITY)
ATTRIBUTES[6] = Place(9, b"RelatedActivityID", 17, RELATED)
ATTRIBUTES[7] = Place(10, b"ProcessID", 9, PID)
ATTRIBUTES[8] = Place(10, b"ThreadID", 8, THREAD)
ATTRIBUTES[9] = Place(10, b"ProcessorID", 11, PROCESSOR)
ATTRIBUTES[10] = Place(10, b"SessionID", 9, SESSION)
ATTRIBUTES[11] = Place(10, b"KernelTime", 10, KERNEL_TIME)
ATTRIBUTES[12] = Place(10, b"UserTime", 8, USER_TIME)
ATTRIBUTES[13] = Place(10, b"ProcessorTime", 13, PROCESSOR_TIME)
ATTRIBUTES[14] = Place(13, b"UserID", 6, SID)

cdef enum:
    ROOT_LENGTH = 77
cdef const char* ROOT = b"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"


cdef bint scan_event(Scan* s) noexcept nogil:
    """The whole text. False: it is not ours, and nothing of what was found counts."""
    s.here = s.sections = s.elements = 0
    s.word_count = s.pair_count = s.node_count = 0
    memset(s.slots, 0, sizeof(s.slots))
    if not stands(s, 0, ROOT, ROOT_LENGTH):
        return False
    s.here = ROOT_LENGTH
    if not scan_system(s):
        return False
    while not ends(s):
        if not scan_section(s):
            return False
    if not stands(s, s.here, b"</Event>", 8):
        return False
    s.here += 8
    skip_blanks(s)
    return s.here == s.size


cdef bint scan_system(Scan* s) noexcept nogil:
    """The elements of System, most often in the order of the table, and its end."""
    cdef int expected = 0, opened, i
    cdef Span tag
    cdef Span text
    while not ends(s):
        opened, i = -1, expected
        if i < ELEMENTS:
            opened = open_familiar(s, &tag, i)
        if opened < 0:
            opened = open_element(s, &tag, False)
            if opened < 0:
                return False
            i = element(s, tag, expected)
            if i < 0 or not keep_attributes(s, i):
                return False
        if s.elements >> i & 1:
            return False
        s.elements |= 1u << i
        expected = i + 1
        if not leaf(s, tag, opened, &text):
            return False
        if SYSTEM[i].text != NOWHERE:
            s.slots[SYSTEM[i].text] = text
        elif text.end > text.start:
            return False
    if not stands(s, s.here, b"</System>", 9):
        return False
    s.here += 9
    return True


cdef int open_familiar(Scan* s, Span* tag, int element) noexcept nogil:
    """Open *element* of SYSTEM where it is spelled as Windows does, its attributes in the order of the table.

    As ``open_element`` answers; -1: nothing was read (a slot that was filled is filled again), it may be another.
    """
    cdef Py_ssize_t start = s.here, i = start + 1 + SYSTEM[element].length
    cdef int place = SYSTEM[element].first
    if at(s, start) != 60 or not stands(s, start + 1, SYSTEM[element].name, SYSTEM[element].length):
        return -1
    tag.start, tag.end, tag.marked = start + 1, i, False
    while at(s, i) == 32 and place < PLACES and ATTRIBUTES[place].element == element:
        if stands(s, i + 1, ATTRIBUTES[place].name, ATTRIBUTES[place].length):
            i += 1 + ATTRIBUTES[place].length
            if at(s, i) != 61:
                return -1
            s.here = i + 1
            if not scan_value(s, &s.slots[ATTRIBUTES[place].slot]):
                s.here = start
                return -1
            i, s.here = s.here, start
        place += 1
    if at(s, i) == 62:
        s.here = i + 1
        return 1
    if at(s, i) == 47 and at(s, i + 1) == 62:
        s.here = i + 2
        return 0
    return -1


cdef int element(Scan* s, Span tag, int expected) noexcept nogil:
    """The index of *tag* in SYSTEM, looked for from *expected* on and round; -1: it is unknown."""
    cdef int step, i
    for step in range(ELEMENTS):
        i = (expected + step) % ELEMENTS
        if equal(s, tag, SYSTEM[i].name, SYSTEM[i].length):
            return i
    return -1


cdef bint keep_attributes(Scan* s, int element) noexcept nogil:
    cdef int i, place
    for i in range(s.attributes):
        for place in range(PLACES):
            if ATTRIBUTES[place].element == element and equal(
                s, s.names[i], ATTRIBUTES[place].name, ATTRIBUTES[place].length
            ):
                s.slots[ATTRIBUTES[place].slot] = s.values[i]
                break
        else:
            return False
    return True


cdef bint scan_section(Scan* s) noexcept nogil:
    cdef Span tag
    cdef unsigned int bit
    cdef int opened = open_element(s, &tag, False)
    if opened < 0:
        return False
    if equal(s, tag, b"EventData", 9):
        bit = 1
    elif equal(s, tag, b"UserData", 8):
        bit = 2
    elif equal(s, tag, b"RenderingInfo", 13):
        bit = 4
    else:
        return False
    if s.sections & bit:
        return False
    s.sections |= bit
    if opened == 0:
        return True
    if bit == 1:
        return scan_pairs(s, tag)
    if bit == 2:
        return scan_user_data(s, tag)
    return scan_rendering(s, tag)


cdef bint scan_pairs(Scan* s, Span section) noexcept nogil:
    """EventData: leaves, named by their Name or by their tag."""
    cdef Span tag
    cdef Pair* pair
    cdef int opened
    while not ends(s):
        if s.pair_count == MOST_PAIRS:
            return False
        pair = &s.pairs[s.pair_count]
        s.pair_count += 1
        opened = open_data(s, &tag, &pair.name)
        if opened < 0:
            opened = open_pair(s, &tag, &pair.name)
        if opened < 0:
            return False
        if not leaf(s, tag, opened, &pair.value):
            return False
        pair.named = pair.name.end > pair.name.start and not equal(s, pair.name, b"Data", 4)
    return close_element(s, section)


cdef int open_data(Scan* s, Span* tag, Span* name) noexcept nogil:
    """``<Data Name='...'>``, what nearly every pair begins with. -1: nothing was read, it is spelled otherwise."""
    cdef Py_ssize_t start = s.here
    if not stands(s, start, b"<Data Name=", 11):
        return -1
    s.here = start + 11
    if scan_value(s, name) and at(s, s.here) == 62:
        tag.start, tag.end, tag.marked = start + 1, start + 5, False
        s.here += 1
        return 1
    s.here = start
    return -1


cdef int open_pair(Scan* s, Span* tag, Span* name) noexcept nogil:
    """Any other element that makes a pair, named by its Name or by its tag."""
    cdef int opened = open_element(s, tag, False)
    if opened < 0 or s.attributes > 1:
        return -1
    name[0] = tag[0]
    if s.attributes == 1:
        if not equal(s, s.names[0], b"Name", 4):
            return -1
        name[0] = s.values[0]
    return opened


cdef bint scan_user_data(Scan* s, Span section) noexcept nogil:
    """UserData: one element, whose descendants become nodes in the order of the text."""
    cdef Span tag
    cdef int opened
    if ends(s):
        return close_element(s, section)
    opened = open_element(s, &tag, True)
    if opened < 0:
        return False
    s.slots[USER_ROOT] = tag
    if not add_attributes(s, -1, 0):
        return False
    if opened == 1 and not scan_nodes(s, tag, -1, 1):
        return False
    return ends(s) and close_element(s, section)


cdef bint scan_nodes(Scan* s, Span around, int parent, int depth) noexcept nogil:
    """The elements inside *around*, and its end. Texts beside elements are not ours: the reference joins them."""
    cdef Span tag
    cdef Node* node
    cdef int opened, index
    if depth > DEEPEST:
        return scan_deeper(s, around, depth)
    while True:
        if parent < 0:
            skip_blanks(s)
        if at(s, s.here) == 60 and at(s, s.here + 1) == 47:
            return close_element(s, around)
        if s.node_count == MOST_NODES:
            return False
        index = s.node_count
        node = &s.nodes[index]
        s.node_count += 1
        opened = open_element(s, &tag, True)
        if opened < 0:
            return False
        node.name, node.parent, node.depth, node.children, node.attribute = tag, parent, depth, 0, False
        if not add_attributes(s, index, depth):
            return False
        if parent >= 0:
            s.nodes[parent].children += 1
        if not scan_node(s, tag, opened, index, depth):
            return False


cdef bint scan_deeper(Scan* s, Span around, int depth) noexcept nogil:
    """The same where nothing is said of any more, but everything is checked."""
    cdef Span tag
    cdef Span text
    cdef int opened
    if depth > NESTED:
        return False
    while not (at(s, s.here) == 60 and at(s, s.here + 1) == 47):
        opened = open_element(s, &tag, True)
        if opened < 0:
            return False
        if opened == 0:
            continue
        if not scan_text(s, &text):
            return False
        if at(s, s.here + 1) != 47:
            if not scan_deeper(s, tag, depth + 1):
                return False
        elif not close_element(s, tag):
            return False
    return close_element(s, around)


cdef bint scan_node(Scan* s, Span tag, int opened, int index, int depth) noexcept nogil:
    """What is inside one element: a text, or elements without blanks before the first of them."""
    cdef Span* value = &s.nodes[index].value
    value.start, value.end, value.marked = s.here, s.here, False
    if opened == 0:
        return True
    if not scan_text(s, value):
        return False
    if at(s, s.here + 1) == 47:
        return close_element(s, tag)
    return value.end == value.start and scan_nodes(s, tag, index, depth + 1)


cdef bint add_attributes(Scan* s, int index, int depth) noexcept nogil:
    """The attributes of the element just opened, as nodes; a Name is its name, but on the root an attribute."""
    cdef int i
    cdef Node* node
    for i in range(s.attributes):
        if depth and equal(s, s.names[i], b"Name", 4):
            if s.values[i].end == s.values[i].start or s.values[i].marked:
                return False
            s.nodes[index].name = s.values[i]
            continue
        if s.node_count == MOST_NODES:
            return False
        node = &s.nodes[s.node_count]
        s.node_count += 1
        node.name, node.value, node.parent, node.depth, node.children = s.names[i], s.values[i], index, depth, 0
        node.attribute = True
        if index >= 0:
            s.nodes[index].children += 1
    return True


cdef bint scan_rendering(Scan* s, Span section) noexcept nogil:
    cdef Span tag
    cdef Span ignored
    cdef Span* text
    cdef int opened
    cdef unsigned int seen = 0, bit
    while not ends(s):
        opened = open_element(s, &tag, False)
        if opened < 0 or s.attributes:
            return False
        text = &ignored
        if equal(s, tag, b"Message", 7):
            bit, text = 1, &s.slots[MESSAGE]
        elif equal(s, tag, b"Level", 5):
            bit, text = 2, &s.slots[R_LEVEL]
        elif equal(s, tag, b"Task", 4):
            bit, text = 4, &s.slots[R_TASK]
        elif equal(s, tag, b"Opcode", 6):
            bit, text = 8, &s.slots[R_OPCODE]
        elif equal(s, tag, b"Keywords", 8):
            bit = 16
        elif equal(s, tag, b"Channel", 7):
            bit = 32
        elif equal(s, tag, b"Provider", 8):
            bit = 64
        else:
            return False
        if seen & bit:
            return False
        seen |= bit
        if bit == 16 and opened == 1:
            if not scan_words(s, tag):
                return False
        elif not leaf(s, tag, opened, text):
            return False
    return close_element(s, section)


cdef bint scan_words(Scan* s, Span around) noexcept nogil:
    cdef Span tag
    cdef int opened
    while not ends(s):
        if s.word_count == MOST_WORDS:
            return False
        opened = open_element(s, &tag, False)
        if opened < 0 or s.attributes or not equal(s, tag, b"Keyword", 7):
            return False
        if not leaf(s, tag, opened, &s.words[s.word_count]):
            return False
        s.word_count += 1
    return close_element(s, around)
