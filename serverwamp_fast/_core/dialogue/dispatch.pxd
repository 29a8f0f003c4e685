from ..session.sessions cimport SessionCore

cdef class InOrder:
    cdef readonly object work

cdef class Dispatch:
    cdef object call_rules
    cdef object delegate
    cdef frozenset delegated
    cdef bint synchronize
    cdef bint strict_uris
    cdef bint strict_ids
    cdef readonly bint cancels_calls
    cdef readonly object support
    cdef object open_inputs

cdef object receive_call(SessionCore session, Dispatch dispatch, object message, bint is_repeated)
cdef object receive_message(SessionCore session, object message)
