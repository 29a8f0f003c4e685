from .codecs cimport Codec

cdef class Outlet:
    cdef Codec codec

    cdef int put_payload(self, bytes payload) except -1
    cdef object wait_drained(self)
    cdef int session_closing(self) except -1
