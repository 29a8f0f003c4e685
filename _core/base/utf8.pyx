"""Incremental UTF-8 validation (RFC 3629), for text that arrives in pieces.

The frame reader asks of every piece of a text message whether it can still become UTF-8, and
refuses the message at the first byte that makes it impossible (RFC 6455, section 8.1). Nothing is
decoded, and nothing is kept but three bytes of state, which the caller owns.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef enum:
    # Lead bytes, RFC 3629 section 4. C0 and C1 could only begin overlong forms of ASCII, and what
    # F5 and later bytes begin lies beyond U+10FFFF, so that none of them ever occurs.
    LEAD_OF_TWO = 0xC2
    LEAD_OF_THREE = 0xE0
    LEAD_OF_FOUR = 0xF0
    LEAD_END = 0xF5
    TAIL_FIRST = 0x80
    TAIL_LAST = 0xBF


cdef inline size_t count_ascii(const unsigned char *data, size_t size) noexcept nogil:
    """The number of ASCII bytes before the first other one."""
    cdef size_t position = 0
    cdef uint64_t word
    while size - position >= sizeof(word):
        memcpy(&word, data + position, sizeof(word))
        if word & <uint64_t>0x8080808080808080U:
            break
        position += sizeof(word)
    while position < size and data[position] < 0x80:
        position += 1
    return position


cdef bint utf8_check(Utf8State *state, const unsigned char *data, size_t size) noexcept nogil:
    cdef unsigned char pending = state.pending
    cdef unsigned char low = state.low
    cdef unsigned char high = state.high
    cdef size_t position = 0
    cdef unsigned char byte

    while True:
        if pending == 0:
            position += count_ascii(data + position, size - position)
        if position == size:
            break
        byte = data[position]
        position += 1

        if pending:
            if byte < low or byte > high:
                return False
            pending -= 1
            low = TAIL_FIRST
            high = TAIL_LAST
            continue

        # Some lead bytes narrow the range of the byte that follows them. That keeps out overlong
        # forms (E0, F0), surrogates (ED) and what lies beyond U+10FFFF (F4) at the first byte that
        # tells, without looking at a whole sequence.
        low = TAIL_FIRST
        high = TAIL_LAST
        if byte < LEAD_OF_TWO:
            return False
        elif byte < LEAD_OF_THREE:
            pending = 1
        elif byte < LEAD_OF_FOUR:
            pending = 2
            if byte == 0xE0:
                low = 0xA0
            elif byte == 0xED:
                high = 0x9F
        elif byte < LEAD_END:
            pending = 3
            if byte == 0xF0:
                low = 0x90
            elif byte == 0xF4:
                high = 0x8F
        else:
            return False

    state.pending = pending
    state.low = low
    state.high = high
    return True


cdef class Utf8Validator:
    """The validator as Python sees it: one text, fed in pieces."""

    def __cinit__(self):
        self._state.pending = 0
        self._is_valid = True

    def feed(self, bytes data not None):
        if self._is_valid:
            self._is_valid = utf8_check(
                &self._state, <const unsigned char *><const char *>data, len(data)
            )
        return self._is_valid

    @property
    def is_complete(self):
        return self._is_valid and self._state.pending == 0
