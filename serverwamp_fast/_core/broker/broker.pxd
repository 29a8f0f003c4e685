from .publications cimport Publication
from .retained cimport RetainedEvents
from ..session.sessions cimport SessionCore
from ..session.topics cimport TopicTable

cdef class BrokerCore:
    cdef readonly TopicTable topics
    cdef readonly RetainedEvents retained
    cdef public bint discloses_publishers
    cdef readonly unsigned long long incomplete     # publications that not every subscriber could be sent
    cdef object __weakref__

    cdef object receive(self, SessionCore session, object message)
    cdef object go_on(self, SessionCore session, object message, tuple refusal)
    cdef object tell(self, SessionCore session, object message, Publication publication)
    cdef int count(self, Publication publication) except -1
    cdef int log_incomplete(self, Publication publication, str source) except -1
    cdef object refuse(self, SessionCore session, object message, tuple refusal)
    cdef list deliver(self, Publication publication, bint is_retained)
