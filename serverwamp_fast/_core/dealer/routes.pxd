cdef class RouteTable:
    cdef dict exact             # uri -> target
    cdef dict prefixes          # prefix -> (place in the order of registration, target)
    cdef list prefix_lengths    # the different lengths of the prefixes, ascending
    cdef list patterns          # (place in the order of registration, match method, target)
    cdef long long count

    cdef object find(self, str uri)
