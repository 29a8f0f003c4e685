# All four rules are for str objects, subclasses included; whoever calls has looked at the type.
cdef bint is_loose_uri(object uri) noexcept
cdef bint is_strict_uri(object uri) noexcept
cdef bint is_loose_pattern(object uri) noexcept
cdef bint is_strict_pattern(object uri) noexcept
cdef bint is_reserved_uri(object uri) noexcept
