from .plans cimport CallPlan
from .routes cimport RouteTable
from ..session.sessions cimport SessionCore
from ..base.steps cimport Steps

cdef enum CallStage:
    CALL_HANDLING = 0       # the procedure runs
    CALL_REPLYING = 1       # its answer is being sent
    CALL_APOLOGIZING = 2    # its answer could not be sent; an ERROR takes its place
    CALL_GIVEN_UP = 3       # the caller has been answered already; what the procedure ends with is dropped

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
    cdef tuple refusal          # (error URI, text) if the options of CALL can't be met
    cdef object inputs          # the later CALLs of a progressive call, or None
    cdef Call outer             # the OwnCall whose function has this one answered, or None
    cdef object cancel          # cancels the task, or None where nobody can
    cdef object stop_timer      # prevents the timeout
    cdef double timeout         # seconds, 0 for none
    cdef double reported_at     # when the last progress report left; 0 for none since the timer was set
    cdef CallStage stage
    cdef bint is_listed         # in the session's table of running calls
    cdef bint is_killed         # the caller waits for the end of the cancelled task
    cdef bint has_all_inputs
    cdef bint waits_for_room    # has not begun, because the client doesn't read
    cdef bint is_stream         # an async generator answers
    cdef bint is_passed_on      # to the router, which has said whether one does
    cdef bint begins_late       # the client was leaving before the call's first step
    cdef bint is_stopped        # its task has been cancelled

    cdef int read_options(self) except -1
    cdef int open_inputs(self, object open_inputs) except -1
    cdef int enlist(self) except -1
    cdef int delist(self) except -1
    cdef int hold(self, object cancel) except -1
    cdef int abandon(self) except -1
    cdef int stop(self) except -1
    cdef object end_early(self, object uri, object sentence, bint kills)
    cdef object shielded(self, object awaitable)
    cdef object hand_over(self)
    cdef object invoke(self, CallPlan plan)
    cdef object make_request(self)
    cdef object reply_failed(self, object error)
    cdef object answer_value(self, object value)
    cdef object answer_interpreted(self, object value)
    cdef object find_handler(self)
    cdef object answer_result(self, object args, object kwargs)
    cdef object answer_error(self, object uri, object args, object kwargs)
    cdef int log_exception(self, object error) except -1
    cdef object answer_failed(self)
    cdef object refuse(self, object uri, object sentence)
    cdef object send_explained(self, object uri, object sentence)
    cdef object send_error(self, object uri, object args, object kwargs)

cdef class OwnCall(Call):
    cdef object delegate
    cdef object message
    cdef bint is_answered

cdef class Expiry(Steps):
    cdef Call call
    cdef object sentence        # what the caller is told, or None for its own timeout

cdef class RoomWait(Steps):
    cdef Call call
    cdef object room
    cdef object stop_timer

    cdef int stop(self) except -1

cdef object NEW_CALL            # what continue_call() returns if it is none

cdef Call new_call(SessionCore session, CallRules rules, object message)
cdef Call new_own_call(SessionCore session, object delegate, object message)
cdef int abandon_inputs(SessionCore session, object request_id) except -1
cdef bint is_abandoned(SessionCore session, object request_id, bint is_last) except -1
cdef object continue_call(SessionCore session, object message)
cdef object cancel_call(SessionCore session, object message)
cdef bint is_progressive(object message) except -1
