"""One CALL, from its arguments to its RESULT or ERROR.

A `Call` is a coroutine: whoever drives the session runs it as a task, so that the procedure sees a task of its
own. Whatever happens in there, exactly one RESULT or ERROR leaves (WAMP BP, "Calling"); only when the client
has left is there nobody to answer.

A call that is not finished in its first step is listed in its session, where CANCEL, the later CALLs of a
progressive call and its timeout find it. Who drives the session says by `hold()` how its task is cancelled.
"""

import logging
from collections.abc import AsyncIterator
from time import monotonic
from types import GeneratorType

from ..wire.messages cimport CALL
from .plans cimport CallPlan
from .routes cimport RouteTable
from ..session.sessions cimport SessionCore
from ..session.states cimport STATE_CLOSING, STATE_ENDED
from ..base.steps cimport STEPS_DONE, STEPS_NEW, STEPS_RUNNING, Steps
from serverwamp_fast.clients import log_refusal, session_name, shorten
from serverwamp_fast.errors import ConnectionClosed, InvalidArgumentError, NoSuchRouteError
from serverwamp_fast.lone_arguments import as_one_argument
from serverwamp_fast.mistakes import name_function

cdef extern from "Python.h":
    bint PyCoro_CheckExact(object candidate) noexcept

logger = logging.getLogger('serverwamp_fast.rpc')

cdef long long MAX_TIMEOUT = 1 << 53

cdef enum:
    ABANDONED_LIMIT = 256   # ids of progressive calls whose last CALL is awaited, only to be dropped

cdef object NEW_CALL = object()


cdef class CallRules:
    """How the calls of a realm are answered: its routes, its default args, and the functions of the public layer.

    - make_request(id, session, uri, args, kwargs, options[, inputs]) -> RPCRequest, for procedures that ask for one;
      `inputs` are what Dispatch's open_inputs() returned for a progressive call
    - interpret(value) -> an RPCResult or RPCErrorResult for a value that a procedure returned
    - stream(call, iterator) -> a coroutine that sends the progress and the end of an async iterator; what it
      returns is the answer where it has not sent one
    - handler(request): called in place of the routes' procedures; what it returns or yields are results, not
      plain values
    - convert_names(kwargs) -> the keyword arguments that a procedure gets
    """

    def __cinit__(
        self, RouteTable routes not None, dict factories not None, make_request, interpret, stream, *, handler=None,
        convert_names=None,
    ):
        self.routes = routes
        self.factories = factories
        self.make_request = make_request
        self.interpret = interpret
        self.stream = stream
        self.handler = handler
        self.convert_names = convert_names


# Of calls that a function of the application answers as it likes: see OwnCall.hand_over().
cdef CallRules OWN_RULES = CallRules(
    RouteTable(), {}, None, None, lambda call, iterator: iterator, handler=NotImplemented
)


cdef inline int demand_session(Call call) except -1:
    """Raise TypeError for what Python has made by itself."""
    if call.session is None:
        raise TypeError('A call is made of a message, by receive() or answer_call().')
    return 0


cdef class Call(Steps):
    """A CALL being answered."""

    cdef object advance(self, object value, object error):
        if self.phase == STEPS_NEW and error is not None and not isinstance(error, GeneratorExit):
            # A task that is cancelled before its first step owes the caller an answer all the same.
            self.thrown_early = error
            error = None
        if not self.is_listed:
            return Steps.advance(self, value, error)
        try:
            waited_for = Steps.advance(self, value, error)
            if self.begins_late and self.phase != STEPS_DONE:
                self.abandon()
            return waited_for
        finally:
            if self.phase == STEPS_DONE:
                self.delist()

    cdef object begin(self):
        cdef CallPlan plan = None
        demand_session(self)
        if self.thrown_early is not None:
            return self.raised(self.thrown_early)
        if self.session.is_gone:
            self.begins_late = True
        room = self.session.wait_for_room()
        if room is not None:
            # Where tasks aren't eager, the answers to the calls of one read may be more than the client reads.
            self.waits_for_room = True
            return room
        if self.refusal is not None:
            return self.refuse(self.refusal[0], self.refusal[1])
        try:
            if self.rules.handler is not None:
                invocation = self.hand_over()
            else:
                target = self.rules.routes.find(self.uri)
                if target is None:
                    return self.refuse('wamp.error.no_such_procedure', f'There is no procedure {shorten(self.uri)}.')
                plan = <CallPlan?> target
                if self.inputs is not None and not plan.wants_request:
                    # WAMP AP, "Ignoring Progressive Call Invocations".
                    return self.refuse('wamp.error.feature_not_supported',
                                       f'Procedure {shorten(self.uri)} takes no progressive call invocations.')
                invocation = self.invoke(plan)
        except InvalidArgumentError as error:
            return self.refuse('wamp.error.invalid_argument', str(error))
        except BaseException as error:
            return self.raised(error)
        if PyCoro_CheckExact(invocation):
            return invocation
        if isinstance(invocation, AsyncIterator):
            self.note_procedure(True)
            return self.rules.stream(self, invocation)
        if not hasattr(type(invocation), '__await__') and not isinstance(invocation, GeneratorType):
            # As a rule the procedure is a plain function. To Steps, None would say that all is done.
            function = name_function(self.rules.handler if plan is None else plan.procedure)
            return self.raised(TypeError(
                f"object {type(invocation).__name__} can't be used in 'await' expression: {function} returned it. "
                'Write async def.'))
        return invocation

    cdef object hand_over(self):
        """Call the function that stands in place of the routes."""
        request = self.make_request()
        # For the router to say what procedure it is, where the function passes the call on.
        request._call = self
        return self.rules.handler(request)

    cdef object invoke(self, CallPlan plan):
        """Call the procedure and return what it returns: an awaitable or an async iterator, as a rule."""
        request = self.make_request() if plan.wants_request else None
        kwargs = self.kwargs
        if kwargs and self.rules.convert_names is not None:
            kwargs = self.rules.convert_names(kwargs)
        return plan.invoke(self.session, request, self.args, kwargs, self.rules.factories)

    cdef object make_request(self):
        if self.inputs is None:
            return self.rules.make_request(
                self.request_id, self.session, self.uri, self.args, self.kwargs, self.options)
        return self.rules.make_request(
            self.request_id, self.session, self.uri, self.args, self.kwargs, self.options, self.inputs)

    cdef object returned(self, object value):
        if self.waits_for_room:
            self.waits_for_room = False
            return self.begin()
        if self.stage == CALL_HANDLING:
            return self.answer_value(value)
        if self.cancellation is not None:
            raise self.cancellation
        return None

    cdef object raised(self, object error):
        if self.closing or isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        if self.waits_for_room:
            self.waits_for_room = False
            if isinstance(error, ConnectionClosed):
                # What came before a loss is handled.
                return self.begin()
        if self.cancellation is not None:
            raise self.cancellation
        # GeneratorExit: nobody is throwing this coroutine away, so it is an error like others.
        if isinstance(error, (Exception, GeneratorExit)):
            if self.stage == CALL_GIVEN_UP or (self.outer is not None and self.outer.stage == CALL_GIVEN_UP):
                if not isinstance(error, ConnectionClosed):
                    self.log_exception(error)
                return None
            if self.stage != CALL_HANDLING:
                return self.reply_failed(error)
            if isinstance(error, ConnectionClosed) and self.session.state >= STATE_CLOSING:
                # The session ended under a procedure that sends.
                return self.reply_failed(error)
            # Of a function in place of the routes; a procedure that raises it has failed like others.
            if isinstance(error, NoSuchRouteError) and self.rules.handler is not None:
                return self.refuse('wamp.error.no_such_procedure', str(error))
            self.log_exception(error)
            return self.answer_failed()
        if self.stage == CALL_HANDLING:
            # The task is being cancelled. The caller is told, and the cancellation goes on its way.
            self.cancellation = error
            awaitable = self.refuse('wamp.error.canceled', f'The call of {shorten(self.uri)} was canceled.')
            if awaitable is not None:
                return awaitable
        raise error

    cdef object shielded(self, object awaitable):
        """Return an awaitable that does the same in a task that is cancelled for good, as trio's are."""
        cdef Call outer = self if self.outer is None else self.outer
        if awaitable is None or not outer.is_killed:
            return awaitable
        support = self.session.dispatch.support
        return awaitable if support is None else support.shield(_hand_over, awaitable)

    cdef object reply_failed(self, object error):
        """The answer could not be sent: say so to the caller if that's possible, and to the log."""
        if isinstance(error, ConnectionClosed):
            logger.debug('The caller disconnected before the answer of %.500s could be sent to %s.',
                         self.uri, session_name(self.session))
            return None
        if self.stage == CALL_APOLOGIZING:
            # The log has why there is no answer, as a rule for the same reason.
            logger.debug('Nor could the caller of %.500s, %s, be told: %.500s',
                         self.uri, session_name(self.session), error)
            return None
        logger.error('The answer of procedure %.500s could not be sent to %s: %.500s',
                     self.uri, session_name(self.session), error)
        if self.cancellation is not None:
            return None
        self.stage = CALL_APOLOGIZING
        if isinstance(self.outer, OwnCall) and self.outer.stage != CALL_GIVEN_UP:
            # What it counts as its answer did not leave.
            (<OwnCall> self.outer).is_answered = False
        return self.send_explained(
            'wamp.error.runtime_error',
            f'The answer of procedure {shorten(self.uri)} could not be sent. The log of the server says why.')

    cdef object answer_value(self, object value):
        """Answer with what the procedure returned."""
        cdef type kind = type(value)
        if self.rules.handler is not None:
            return self.answer_interpreted(value)
        if value is None:
            return self.answer_result(None, None)
        if kind is str or kind is int or kind is dict or kind is float or kind is bool or kind is bytes:
            if kind is dict:
                return self.answer_result(None, value)
            return self.answer_result((value,), None)
        if kind is list or kind is tuple:
            return self.answer_result(value, None)
        return self.answer_interpreted(value)

    cdef object answer_interpreted(self, object value):
        try:
            result = self.rules.interpret(value)
            is_error = hasattr(result, 'error_uri')
            args = result.args
            kwargs = result.kwargs
            if isinstance(args, (str, bytes)):
                args = as_one_argument(args, self.find_handler())
        except Exception as error:
            return self.raised(error)
        if is_error:
            uri = result.error_uri or 'wamp.error.runtime_error'
            if not isinstance(uri, str):
                # A client may end the connection over it.
                logger.error('Procedure %.500s, called by %s, ended with the error URI %.500r, which is not a string.',
                             self.uri, session_name(self.session), uri)
                return self.answer_failed()
            return self.answer_error(uri, args, kwargs)
        return self.answer_result(args, kwargs)

    cdef object find_handler(self):
        """Return the function that the application has for this call."""
        if self.rules.handler is not None:
            return self.rules.handler
        return (<CallPlan?> self.rules.routes.find(self.uri)).procedure

    cdef object answer_result(self, object args, object kwargs):
        self.stage = CALL_REPLYING
        try:
            return self.shielded(self.session.emit_result(self.request_id, False, args, kwargs))
        except Exception as error:
            return self.reply_failed(error)

    cdef object answer_error(self, object uri, object args, object kwargs):
        self.stage = CALL_REPLYING
        return self.send_error(uri, args, kwargs)

    cdef int log_exception(self, object error) except -1:
        logger.error('Exception from call handler for procedure %.500s, called by %s',
                     self.uri, session_name(self.session), exc_info=error)
        return 0

    cdef object answer_failed(self):
        """Answer that the procedure failed. Why is for the log alone: it may be nobody else's business."""
        self.stage = CALL_REPLYING
        return self.send_explained(
            'wamp.error.runtime_error', f'Procedure {shorten(self.uri)} failed. The log of the server says why.')

    cdef object refuse(self, object uri, object sentence):
        """Answer with an error of the server's own, and say so to the log."""
        log_refusal(self.session, 'CALL', uri, sentence)
        self.stage = CALL_REPLYING
        return self.send_explained(uri, sentence)

    cdef object send_explained(self, object uri, object sentence):
        """Send an error of the server's own. Some clients show only positional values, others only `message`."""
        return self.send_error(uri, (sentence,), {'message': sentence})

    cdef object send_error(self, object uri, object args, object kwargs):
        try:
            return self.shielded(self.session.emit_error(CALL, self.request_id, uri, args, kwargs))
        except Exception as error:
            return self.reply_failed(error)

    @property
    def procedure_uri(self):
        return self.uri

    @property
    def caller(self):
        """What the log calls the caller."""
        return session_name(self.session)

    @property
    def wants_progress(self):
        """Whether the caller asked for progressive results (WAMP AP, "Progressive Call Results")."""
        return self.stage != CALL_GIVEN_UP and self.options.get('receive_progress') is True

    @property
    def is_orphaned(self):
        """Whether the caller's session is over, so that there will never again be anybody to tell something."""
        cdef SessionCore session = self.session
        demand_session(self)
        if session.is_lost or session.state == STATE_ENDED:
            return True
        if session.state == STATE_CLOSING and not session.is_set_aside:
            return True
        return session.outlet is not None and not session.outlet.is_connected()

    def answer(self, value):
        """Send what the procedure ended with as RESULT or ERROR; returns what report() returns. Doesn't raise."""
        demand_session(self)
        return None if self.stage == CALL_GIVEN_UP else self.answer_value(value)

    def report(self, args, kwargs):
        """Send a progress report; returns None when it is on its way, else an awaitable that sends it.

        Raises ConnectionClosed, and SerializationError where the report has no form on the wire.
        """
        cdef Call outer = self if self.outer is None else self.outer
        demand_session(self)
        if isinstance(args, (str, bytes)):
            args = as_one_argument(args, self.find_handler())
        on_its_way = self.session.emit_result(self.request_id, True, args, kwargs)
        if outer.timeout > 0:
            outer.reported_at = monotonic()
        return on_its_way

    def note_procedure(self, bint is_stream):
        """The call is answered by an async generator, or by something else."""
        if self.is_passed_on:
            # The router has said it already: what it returned to who passed the call on says nothing.
            return
        self.is_stream = is_stream
        if self.outer is not None:
            self.outer.is_stream = is_stream

    def pass_on(self, bint is_stream):
        """A function in place of the routes has passed the call on to the router, whose procedure is one or not."""
        self.is_passed_on = False
        self.note_procedure(is_stream)
        self.is_passed_on = True

    # While it runs

    @property
    def has_timeout(self):
        return self.timeout > 0

    cdef int read_options(self) except -1:
        """Read what CALL.Options ask of the server itself."""
        timeout = self.options.get('timeout')
        if timeout is None:
            return 0
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 <= timeout <= MAX_TIMEOUT \
                or timeout != int(timeout):
            self.refusal = ('wamp.error.invalid_argument', 'CALL.Options.timeout is not a number of milliseconds.')
        else:
            self.timeout = timeout / 1000.0
        return 0

    cdef int open_inputs(self, object open_inputs) except -1:
        """Take in this call's later CALLs (WAMP AP, "Progressive Call Invocations")."""
        self.inputs = open_inputs(self.args, self.kwargs)
        return self.enlist()

    cdef int enlist(self) except -1:
        cdef SessionCore session = self.session
        if session.calls is None:
            session.calls = {}
        session.calls[self.request_id] = self
        self.is_listed = True
        return 0

    cdef int delist(self) except -1:
        """The call is over."""
        cdef SessionCore session = self.session
        self.is_listed = False
        self.cancel = None
        if session.calls is not None and session.calls.get(self.request_id) is self:
            del session.calls[self.request_id]
            if not session.calls:
                session.calls = None
        if self.stop_timer is not None:
            self.stop_timer()
            self.stop_timer = None
        if self.inputs is not None:
            self.inputs.end()
            # Of a session that has ended no CALL is looked at any more.
            if not self.has_all_inputs and session.state != STATE_ENDED:
                abandon_inputs(session, self.request_id)
        return 0

    cdef int hold(self, object cancel) except -1:
        """The call's task has not ended yet; `cancel` cancels it."""
        self.cancel = cancel
        if not self.is_listed:
            self.enlist()
        if self.timeout > 0 and self.stop_timer is None and self.session.dispatch.support is not None:
            self.stop_timer = self.session.call_later(self.timeout, self.expire)
        if self.begins_late and self.phase != STEPS_NEW:
            self.abandon()
        return 0

    def expire(self):
        """Return an awaitable that ends the call, if the time is up since its last progress report too (WAMP AP,
        "Progressive Call Results", "Timeouts").
        """
        # The timer is set anew when it runs out, because one for each report would cost more than the report.
        cdef double rest = self.reported_at + self.timeout - monotonic() if self.reported_at > 0 else 0
        self.reported_at = 0
        if rest <= 0 or self.stage != CALL_HANDLING:
            return Expiry(self)
        self.stop_timer = self.session.call_later(rest, self.expire)
        return Steps()

    def caller_left(self):
        """The session is over. The procedure may go on, but nothing more comes in."""
        if self.inputs is not None:
            self.inputs.end()

    def caller_leaves(self):
        """The caller sends nothing more, and waits for no answer, but not all that it sent has been looked at."""
        demand_session(self)
        if self.inputs is not None:
            self.inputs.lift_limit()
        self.abandon()

    cdef int abandon(self) except -1:
        """Cancel the procedure if nobody is there for whom it could go on (WAMP BP, "Caller Leaving")."""
        self.begins_late = False
        if not self.is_stream and not self.session.dispatch.cancels_calls:
            return 0
        if self.stage == CALL_REPLYING or self.stage == CALL_APOLOGIZING:
            # It cleans up, or its answer meets the same end.
            return 0
        if self.phase == STEPS_RUNNING:
            # It has ended the session itself, and may be about to tell the client. The connection's end comes too.
            return 0
        if self.inputs is not None:
            self.inputs.end()
        if not self.is_killed:
            self.stage = CALL_GIVEN_UP
        return self.stop()

    def let_clean_up(self):
        """The stream ends because its caller has left: nothing is sent any more, and its cleanup isn't cancelled."""
        demand_session(self)
        self.stage = CALL_GIVEN_UP
        self.is_stopped = True
        if self.outer is not None:
            self.outer.is_stopped = True

    cdef int stop(self) except -1:
        """Cancel the task, once."""
        if self.cancel is not None and not self.is_stopped:
            self.is_stopped = True
            self.cancel()
        return 0

    def drops(self, is_final):
        """Whether a RESULT or ERROR that somebody sends for this call by himself must not leave."""
        return False

    cdef object end_early(self, object uri, object sentence, bint kills):
        """Answer with ERROR while the procedure runs; with `kills` cancel its task. Returns what emit() does."""
        cdef object awaitable = None
        try:
            awaitable = self.session.emit_error(CALL, self.request_id, uri, (sentence,), {'message': sentence})
        except ConnectionClosed:
            # The client has left. The task is cancelled all the same.
            pass
        self.stage = CALL_GIVEN_UP
        if self.inputs is not None:
            self.inputs.end()
        if kills:
            self.stop()
        return awaitable


cdef class OwnCall(Call):
    """A CALL that is handled by a function of the application, which answers as it likes.

    The session asks drops() about the answers, so that none follows one that has been given on CANCEL.
    """

    cdef object hand_over(self):
        return self.delegate(self.session, self.message)

    cdef object answer_value(self, object value):
        # The function has answered, if it did so at all. It can't have where the call was cancelled under it.
        if not self.is_killed:
            return None
        return self.refuse('wamp.error.canceled', f'The call of {shorten(self.uri)} was canceled.')

    def drops(self, is_final):
        if self.is_answered:
            return True
        if is_final:
            self.is_answered = True
            if self.stage == CALL_HANDLING:
                self.stage = CALL_REPLYING
        elif self.timeout > 0 and self.options.get('receive_progress') is True:
            self.reported_at = monotonic()
        return False


cdef class Expiry(Steps):
    """The end of a call whose time is up."""

    def __cinit__(self, Call call not None, sentence=None):
        self.call = call
        self.sentence = sentence

    cdef object begin(self):
        demand_session(self.call)
        if self.call.stage != CALL_HANDLING:
            return None
        sentence = self.sentence
        if sentence is None:
            uri, limit = shorten(self.call.uri), round(self.call.timeout * 1000)
            sentence = f'Procedure {uri} has not answered within {limit} milliseconds.'
            log_refusal(self.call.session, 'CALL', 'wamp.error.timeout', sentence)
        return self.call.end_early('wamp.error.timeout', sentence, True)

    cdef object raised(self, object error):
        if isinstance(error, ConnectionClosed):
            return None
        raise error


cdef class RoomWait(Steps):
    """The wait for a procedure to take inputs of its call. A call whose procedure takes none for too long ends.

    The client isn't read meanwhile: it might have left, or cancelled the call.
    """

    def __cinit__(self, Call call not None, room):
        if call.session is None:
            raise TypeError('The call is none of a session.')
        self.call = call
        self.room = room

    cdef object begin(self):
        support = self.call.session.dispatch.support
        if support is not None:
            self.stop_timer = self.call.session.call_later(self.call.inputs.PATIENCE, self.give_up)
        return self.room

    cdef object returned(self, object value):
        self.stop()
        return None

    cdef object raised(self, object error):
        self.stop()
        raise error

    cdef int stop(self) except -1:
        if self.stop_timer is not None:
            self.stop_timer()
            self.stop_timer = None
        return 0

    def give_up(self):
        """Return an awaitable that ends the call."""
        uri, patience = self.call.uri, self.call.inputs.PATIENCE
        logger.warning('A call of %s ends because procedure %.500s has taken none of its inputs for %g seconds.',
                       session_name(self.call.session), uri, patience)
        return Expiry(self.call, f'Procedure {shorten(uri)} has taken none of its inputs for {patience:g} seconds.')


cdef int fill_call(Call call, SessionCore session, object message) except -1:
    cdef Py_ssize_t size = len(message)
    call.session = session
    call.request_id = message[1]
    call.options = message[2]
    uri = message[3]
    # A user's own connection may hand over members of an enumeration of strings.
    call.uri = uri if type(uri) is str else str.__str__(uri)
    call.args = message[4] if size > 4 else ()
    call.kwargs = message[5] if size > 5 else None
    if call.options:
        call.read_options()
    return 0


cdef Call new_call(SessionCore session, CallRules rules, object message):
    """Return the Call for a checked CALL message."""
    cdef Call call = Call.__new__(Call)
    call.rules = rules
    fill_call(call, session, message)
    return call


cdef Call new_own_call(SessionCore session, object delegate, object message):
    """Return the Call for a checked CALL message that `delegate(session, message)` handles."""
    cdef OwnCall call = OwnCall.__new__(OwnCall)
    call.rules = OWN_RULES
    call.delegate = delegate
    call.message = message
    fill_call(call, session, message)
    # Its answers are looked at from the start.
    session.watches_answers = True
    call.enlist()
    return call


cdef bint is_progressive(object message) except -1:
    """Return whether more CALLs of the same id follow a CALL (WAMP AP, "Progressive Call Invocations")."""
    return message[2].get('progress') is True


cdef int abandon_inputs(SessionCore session, object request_id) except -1:
    """Remember to drop the CALLs that the caller sends before it sees the call's answer, the last one included."""
    if session.abandoned is None:
        session.abandoned = {}
    session.abandoned[request_id] = None
    if len(session.abandoned) > ABANDONED_LIMIT:
        del session.abandoned[next(iter(session.abandoned))]
    return 0


cdef bint is_abandoned(SessionCore session, object request_id, bint is_last) except -1:
    """Return whether a CALL is one that abandon_inputs() spoke of; behind the last one the id is free."""
    if session.abandoned is None or request_id not in session.abandoned:
        return False
    if is_last:
        del session.abandoned[request_id]
        if not session.abandoned:
            session.abandoned = None
    return True


cdef object continue_call(SessionCore session, object message):
    """Take a CALL that belongs to one before; return None or an awaitable for room, or NEW_CALL if it doesn't."""
    cdef Call call
    cdef bint is_last = not is_progressive(message)
    found = None if session.calls is None else session.calls.get(message[1])
    if found is not None:
        call = <Call?> found
        if call.inputs is None or call.has_all_inputs:
            return NEW_CALL
        if message[3] != call.uri:
            return None
        call.has_all_inputs = is_last
        if call.stage != CALL_HANDLING:
            return None
        room = call.inputs.put(
            message[4] if len(message) > 4 else (), message[5] if len(message) > 5 else None, is_last)
        return None if room is None else RoomWait(call, room)
    return None if is_abandoned(session, message[1], is_last) else NEW_CALL


cdef object cancel_call(SessionCore session, object message):
    """Take a CANCEL (WAMP AP, "Call Canceling"): return None, or an awaitable that sends the answer."""
    cdef Call call
    found = None if session.calls is None else session.calls.get(message[1])
    if found is None:
        # It never was, or its answer is on the way.
        return None
    call = <Call?> found
    if call.stage != CALL_HANDLING:
        return None
    mode = message[2].get('mode')
    if mode == 'kill' and call.cancel is not None:
        call.is_killed = True
        call.stop()
        return None
    sentence = f'The call of {shorten(call.uri)} was canceled.'
    log_refusal(session, 'CALL', 'wamp.error.canceled', sentence)
    return call.end_early('wamp.error.canceled', sentence, mode != 'skip')


def answer_call(SessionCore session not None, CallRules rules not None, message):
    cdef Call call = new_call(session, rules, message)
    found = None if session.calls is None else session.calls.get(call.request_id)
    if found is not None:
        # A function of the application handed on what it was given.
        call.outer = <Call?> found
        call.inputs = call.outer.inputs
    return call


def hold(work, cancel):
    if isinstance(work, Call) and (<Call> work).phase != STEPS_DONE:
        demand_session(<Call> work)
        (<Call> work).hold(cancel)


def _hand_over(awaitable):
    return awaitable
