from .steps cimport Steps

cdef class Deliveries:
    cdef object connection
    cdef list reliefs           # to be called when half of what may wait is on its way
    cdef int count              # messages that the connection is taking

    cdef bint are_too_many(self) except -1
    cdef bint reach(self, int count, int size) except -1
    cdef int end_one(self) except -1

cdef class Delivery(Steps):
    cdef Deliveries deliveries
    cdef object awaitable

cdef class InTurn(Steps):
    cdef list work
