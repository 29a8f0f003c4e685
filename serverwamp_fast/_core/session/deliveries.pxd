from ..base.steps cimport Steps

cdef class Deliveries:
    cdef object connection
    cdef list reliefs           # to be called when half of what may wait is on its way
    cdef object send_payload    # the connection's, where it takes payloads past its methods for messages
    cdef int count              # messages that the connection is taking
    cdef size_t size            # the bytes of those that are taken by send_payload()

    cdef bint are_too_many(self) except -1
    cdef bint reach(self, int count, int size) except -1
    cdef int end_one(self, size_t size) except -1

cdef class Delivery(Steps):
    cdef Deliveries deliveries
    cdef object awaitable

cdef class PayloadDelivery(Steps):
    cdef Deliveries deliveries
    cdef bytes payload

cdef PayloadDelivery new_payload_delivery(Deliveries deliveries, bytes payload)

cdef class InTurn(Steps):
    cdef list work
