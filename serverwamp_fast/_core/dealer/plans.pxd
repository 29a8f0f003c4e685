cdef enum ParameterKind:
    KIND_POSITIONAL = 0
    KIND_KEYWORD_ONLY = 1
    KIND_VAR_POSITIONAL = 2
    KIND_VAR_KEYWORD = 3

cdef enum SpecialParameter:
    SPECIAL_NONE = 0
    SPECIAL_SESSION = 1
    SPECIAL_REQUEST = 2

cdef class Parameter:
    cdef str name
    cdef object default
    cdef object target          # the type to convert to, or None
    cdef bint has_default
    cdef bint counts            # made from an integer, the type would be that many zeros: bytes, bytearray
    cdef ParameterKind kind
    cdef SpecialParameter special

    cdef object convert(self, object value)

cdef class CallPlan:
    cdef readonly object procedure
    cdef tuple parameters
    cdef frozenset names
    cdef str failure            # why the signature can't be read, or None
    cdef readonly bint wants_request
    cdef bint positional_only   # nothing but plain positional parameters
    cdef bint is_plain          # and all of them take any value that a call brings

    cdef int read_signature(self, object signature) except -1
    cdef object invoke(self, object session, object request, object args, object kwargs, dict factories)
    cdef object given(self, Parameter parameter, object args, Py_ssize_t *used, object kwargs)
    cdef bint is_served(self, dict factories) except -1
    cdef object served(self, Parameter parameter, object session, object request, dict factories)
    cdef list bind_positional(self, object session, object request, object args, object kwargs, dict factories)
    cdef list bind_all(self, object session, object request, object args, object kwargs, dict factories, dict named)
