cdef unsigned long long next_global_id() except 0
