from ..wire.codec cimport Codec
from ..session.sessions cimport SessionCore
from ..base.steps cimport Steps

cdef class Intake:
    cdef object connection
    cdef object receive_payload     # the connection's, or what stands in its place for a while
    cdef Codec codec                # the connection's, once its first payload has been read
    cdef list messages              # of the last payload, those that have not been taken in reversed order
    cdef readonly bint is_over

    cdef int accept(self, object payload) except -1

cdef class Begun(Steps):
    cdef object work
    cdef object waited_for          # what the first step yielded to the loop, which has not been told yet
    cdef bint is_held

cdef class Fetching(Steps):
    cdef Intake intake

cdef class Working(Steps):
    cdef Intake intake
    cdef SessionCore session
    cdef object start               # the functions of a task group's eager_starter(), or None
    cdef object adopt
    cdef readonly unsigned int budget
    cdef readonly object work

    cdef object go_on(self)
