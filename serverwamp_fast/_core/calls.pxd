from .routes cimport RouteTable
from .sessions cimport SessionCore
from .steps cimport Steps

cdef enum CallStage:
    CALL_HANDLING = 0       # the procedure runs
    CALL_REPLYING = 1       # its answer is being sent
    CALL_APOLOGIZING = 2    # its answer could not be sent; an ERROR takes its place

cdef class CallRules:
    cdef RouteTable routes
    cdef dict factories
    cdef object make_request
    cdef object interpret
    cdef object stream
    cdef object handler
    cdef object convert_names

cdef class Call(Steps):
    cdef SessionCore session
    cdef CallRules rules
    cdef object request_id
    cdef object options
    cdef str uri
    cdef object args
    cdef object kwargs
    cdef object cancellation    # the CancelledError to raise once the caller has been told
    cdef object thrown_early    # what was thrown in before the first step
    cdef CallStage stage

    cdef object invoke(self)
    cdef object make_request(self)
    cdef object reply_failed(self, object error)
    cdef object answer_value(self, object value)
    cdef object answer_interpreted(self, object value)
    cdef object answer_result(self, object args, object kwargs)
    cdef object answer_error(self, object uri, object args, object kwargs)
    cdef object send_error(self, object uri, object args, object kwargs)

cdef Call new_call(SessionCore session, CallRules rules, object message)
