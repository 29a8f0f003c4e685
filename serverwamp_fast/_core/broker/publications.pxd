from ..wire.subprotocols cimport Codec
from ..session.sessions cimport SessionCore
from ..session.topics cimport Topic, TopicTable

cdef class Audience:
    cdef object publisher           # the id of the session that is left out because it published; or None
    cdef object exclude             # sets, or None where the option is absent
    cdef object exclude_authid
    cdef object exclude_authrole
    cdef object eligible
    cdef object eligible_authid
    cdef object eligible_authrole
    cdef bint by_name               # whether authid or authrole count
    cdef bint is_restricted         # whether the publisher has restricted the receivers

    cdef bint admits(self, SessionCore session) except -1

cdef class Publication:
    cdef readonly unsigned long long number
    cdef readonly str topic
    cdef object args                # as from as_arguments()
    cdef object kwargs
    cdef dict details
    cdef Audience audience
    cdef dict written               # while it is delivered: class of codecs -> (args, kwargs) as bytes, or None
    cdef readonly object failure    # the first SerializationError
    cdef dict forms                 # after delivery: class of codecs -> whether it has a form for the payload; or None
    cdef object broker              # once the publisher has been told, who is to know of failures
    cdef bint is_counted            # as one that not every subscriber could be sent
    cdef bint is_logged

    cdef dict details_for(self, Topic topic)
    cdef list deliver(self, TopicTable topics)
    cdef int deliver_to(self, Topic topic, list waiting) except -1
    cdef bint has_form_for(self, SessionCore session) except -1
    cdef tuple write_payload(self, Codec codec)
    cdef bytes encode(self, Codec codec, Topic topic, dict details)
    cdef tuple build_message(self, unsigned long long subscription, dict details)
    cdef tuple build_retained(self, Topic topic)
