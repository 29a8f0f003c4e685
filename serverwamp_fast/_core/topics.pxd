cdef class TopicTable:
    cdef dict ids            # (topic, match) -> id
    cdef dict entries        # id -> [(topic, match), number of subscribers]
    cdef unsigned long long last_id

    cdef unsigned long long acquire_id(self, str topic, str match) except 0
    cdef int release_id(self, unsigned long long number) except -1
