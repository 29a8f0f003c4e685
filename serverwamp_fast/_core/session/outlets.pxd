from ..base.deadlines cimport Timed
from ..wire.subprotocols cimport Codec

cdef class Outlet(Timed):
    cdef Codec codec
    cdef bint is_dirty              # whether its hub has it down for flush_output()

    cdef int put_payload(self, bytes payload) except -1
    cdef int flush_output(self) except -1
    cdef int take_turn(self) except -1
    cdef object wait_drained(self)
    cdef object run_apart(self, object function, tuple args)
    cdef object own_context(self)
    cdef object run_in_session(self, object session, object function, tuple args)
    cdef bint is_connected(self) noexcept
    cdef object session_tasks(self, object session)
    cdef int session_opened(self) except -1
    cdef int session_closing(self) except -1
