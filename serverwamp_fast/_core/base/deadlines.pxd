cdef class Timed:
    cdef int time_is_up(self) except -1

cdef class Deadline:
    cdef DeadlineQueue queue
    cdef Timed connection      # None when it is over or cancelled
    cdef double when            # by the loop's clock

    cdef int cancel(self) except -1

cdef class DeadlineQueue:
    cdef object loop
    cdef object context         # only ever copied
    cdef readonly double length
    cdef object deadlines       # a deque; cancelled ones stay until they are first
    cdef object timer           # the loop's, while there are any
    cdef size_t count           # of those that are not cancelled

    cdef Deadline set_for(self, Timed connection)
    cdef int start_timer(self, double delay) except -1
    cdef int note_cancelled(self) except -1
    cdef int drop_cancelled(self) except -1
