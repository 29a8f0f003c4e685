cdef bint is_numbered(int code) noexcept

cdef class RequestSequence:
    cdef long long last
    cdef dict progressive   # ids of progressive calls, the oldest first; None until there is one

    cdef int take(self, int code, long long number, bint progressive) except -1
    cdef int remember(self, long long number) except -1
