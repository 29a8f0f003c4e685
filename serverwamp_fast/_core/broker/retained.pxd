from .publications cimport Publication
from ..session.sessions cimport SessionCore
from ..session.topics cimport Topic

cdef class RetainedEvents:
    cdef public size_t limit    # topics
    cdef dict events            # topic -> list of Publication, the oldest first

    cdef bint keep(self, Publication publication) except -1
    cdef list find(self, SessionCore session, Topic topic)
    cdef Publication find_number(self, object number)
