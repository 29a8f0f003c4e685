cimport cython


cdef struct Utf8State:
    # All zero at the start of a text, and after every whole character `pending` is 0 again.
    unsigned char pending  # bytes that the unfinished character still lacks
    unsigned char low      # the range of the next one of them
    unsigned char high


# True if the text so far, `data` included, is UTF-8 or its beginning; it may end here if `pending`
# is 0. False from the first byte that makes it impossible; `state` means nothing then.
cdef bint utf8_check(Utf8State *state, const unsigned char *data, size_t size) noexcept nogil


@cython.final
cdef class Utf8Validator:
    cdef Utf8State _state
    cdef bint _is_valid
