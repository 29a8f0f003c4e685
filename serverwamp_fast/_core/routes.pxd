cdef class RouteTable:
    cdef dict exact             # uri -> target
    cdef dict prefixes          # prefix -> (place in the order of registration, target)
    cdef list prefix_lengths    # the different lengths of the prefixes, ascending
    cdef list patterns          # (place in the order of registration, match method, target)
    cdef long long count

    cpdef add_exact(self, str uri, object target)
    cpdef add_prefix(self, str prefix, object target)
    cpdef add_pattern(self, object pattern, object target)
    cdef object find(self, str uri)
