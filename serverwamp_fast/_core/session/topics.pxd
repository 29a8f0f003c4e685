cdef enum:
    NO_PLACE = -1

cdef class Topic:
    cdef readonly str uri
    cdef readonly str match                     # exact, prefix, wildcard
    cdef readonly unsigned long long number     # the id that all subscribers share
    cdef Py_ssize_t dots                        # of a wildcard's URI
    cdef list subscribers                       # their Subscriptions, in no order

    cdef bint covers(self, str uri) except -1

cdef class Subscription:
    cdef object session         # the SessionCore
    cdef readonly Topic topic
    cdef list held              # events before SUBSCRIBED; None once that is out
    cdef object exit            # the subscription handler, suspended at its yield
    cdef Py_ssize_t place       # in topic.subscribers; NO_PLACE once it has ended

    cdef bint has_key(self, object key) except -1

cdef class TopicTable:
    cdef dict exact         # uri -> Topic, for each policy
    cdef dict prefixes
    cdef dict wildcards
    cdef dict lengths       # length -> number of prefixes
    cdef dict shapes        # number of components -> which ones are empty -> number of wildcards
    cdef dict numbers       # id -> Topic
    cdef unsigned long long last_id

    cdef dict find_table(self, str match)
    cdef Subscription add(self, object session, str uri, str match)
    cdef int remove(self, Subscription subscription) except -1
    cdef unsigned long long next_id(self) except 0
    cdef int note_shape(self, Topic topic, int step) except -1
    cdef list find_matching(self, str uri)
