# Sixteen bytes at a time, for _events.pyx: how far a text goes on without anything to look at, and UTF-16 made narrow.
#
# Written with the compiler's own vectors, which every machine has; where they are unknown, or the machine counts its
# bytes the other way round, each answers "look at it byte by byte". None looks at whether its 16 (or 32) bytes are
# there: that is for the caller, who knows where the text ends.

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    typedef uint8_t wef_bytes __attribute__((vector_size(16)));
    typedef uint16_t wef_units __attribute__((vector_size(16)));
    typedef uint8_t wef_narrow __attribute__((vector_size(8)));

    static inline wef_bytes wef_taken(const uint8_t *from) {
        wef_bytes taken;
        memcpy(&taken, from, sizeof taken);
        return taken;
    }

    static inline Py_ssize_t wef_first(wef_bytes found) {
        uint64_t half[2];
        memcpy(half, &found, sizeof half);
        if (half[0]) return __builtin_ctzll(half[0]) >> 3;
        return half[1] ? 8 + (__builtin_ctzll(half[1]) >> 3) : 16;
    }

    static inline Py_ssize_t wef_plain(const uint8_t *from, uint8_t quote) {
        wef_bytes b = wef_taken(from);
        return wef_first((wef_bytes) ((b < 0x20) | (b == quote) | (b == '"') | (b == '&') | (b == '<') | (b == 0x5C)
                                      | (b == ']') | (b == 0xEF)));
    }

    static inline Py_ssize_t wef_unescaped(const uint8_t *from) {
        wef_bytes b = wef_taken(from);
        return wef_first((wef_bytes) ((b < 0x20) | (b == '"') | (b == 0x5C)));
    }

    static inline Py_ssize_t wef_ascii(const uint8_t *from) {
        return wef_first((wef_bytes) (wef_taken(from) >= 0x80));
    }

    static inline int wef_narrowed(const uint8_t *from, uint8_t *to) {
        wef_units a, b, wide;
        wef_narrow narrow;
        uint64_t half[2];
        memcpy(&a, from, 16);
        memcpy(&b, from + 16, 16);
        wide = (a | b) & 0xFF80;
        memcpy(half, &wide, sizeof half);
        if (half[0] | half[1]) return 0;
        narrow = __builtin_convertvector(a, wef_narrow);
        memcpy(to, &narrow, 8);
        narrow = __builtin_convertvector(b, wef_narrow);
        memcpy(to + 8, &narrow, 8);
        return 1;
    }
    #else
    static inline Py_ssize_t wef_plain(const uint8_t *from, uint8_t quote) { return 0; }
    static inline Py_ssize_t wef_unescaped(const uint8_t *from) { return 0; }
    static inline Py_ssize_t wef_ascii(const uint8_t *from) { return 0; }
    static inline int wef_narrowed(const uint8_t *from, uint8_t *to) { return 0; }
    #endif
    """
    # Of 16 bytes, how many come before the first that is not PLAIN, or is *quote*.
    Py_ssize_t wef_plain(const unsigned char* start, unsigned char quote) noexcept nogil
    # The same, before the first that JSON does not leave as it is.
    Py_ssize_t wef_unescaped(const unsigned char* start) noexcept nogil
    # The same, before the first that is no ASCII.
    Py_ssize_t wef_ascii(const unsigned char* start) noexcept nogil
    # 16 units of UTF-16LE as 16 bytes, if all are ASCII; 0: they are not, and nothing was written.
    int wef_narrowed(const unsigned char* start, unsigned char* out) noexcept nogil

cdef enum:
    STRIDE = 16
