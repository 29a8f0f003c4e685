"""One CALL, from its arguments to its RESULT or ERROR.

A `Call` is a coroutine: whoever drives the session runs it as a task, so that the procedure sees a task of its
own. Whatever happens in there, exactly one RESULT or ERROR leaves (WAMP BP, "Calling"); only when the client
has left is there nobody to answer.
"""

import logging
from collections.abc import AsyncIterator

from .messages cimport CALL
from .plans cimport CallPlan
from .routes cimport RouteTable
from .sessions cimport SessionCore
from .states cimport STATE_CLOSING
from .steps cimport STEPS_NEW, Steps
from serverwamp_fast.errors import ConnectionClosed, InvalidArgumentError, NoSuchRouteError

cdef extern from "Python.h":
    bint PyCoro_CheckExact(object candidate) noexcept

logger = logging.getLogger('serverwamp_fast.rpc')


cdef class CallRules:
    """How the calls of a realm are answered: its routes, its default args, and the functions of the public layer.

    - make_request(id, session, uri, args, kwargs, options) -> RPCRequest, for procedures that ask for one
    - interpret(value) -> an RPCResult or RPCErrorResult for a value that a procedure returned
    - stream(call, iterator) -> a coroutine that sends the progress and the end of an async iterator; what it
      returns is the answer where it has not sent one
    - handler(request): called in place of the routes' procedures; what it returns or yields are results, not
      plain values
    - convert_names(kwargs) -> the keyword arguments that a procedure gets
    """

    def __init__(
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


cdef class Call(Steps):
    """A CALL being answered."""

    cdef object advance(self, object value, object error):
        if self.phase == STEPS_NEW and error is not None and not isinstance(error, GeneratorExit):
            # A task that is cancelled before its first step owes the caller an answer all the same.
            self.thrown_early = error
            error = None
        return Steps.advance(self, value, error)

    cdef object begin(self):
        if self.thrown_early is not None:
            return self.raised(self.thrown_early)
        try:
            if self.rules.handler is not None:
                invocation = self.rules.handler(self.make_request())
            else:
                invocation = self.invoke()
        except InvalidArgumentError as error:
            return self.answer_error('wamp.error.invalid_argument', (), {'message': str(error)})
        except BaseException as error:
            return self.raised(error)
        if PyCoro_CheckExact(invocation):
            return invocation
        if isinstance(invocation, AsyncIterator):
            return self.rules.stream(self, invocation)
        if invocation is None:
            # To Steps, None says that all is done; here it says that the procedure is a plain function.
            return self.raised(TypeError("object NoneType can't be used in 'await' expression"))
        return invocation

    cdef object invoke(self):
        """Call the procedure and return what it returns: an awaitable or an async iterator, as a rule."""
        cdef CallPlan plan
        target = self.rules.routes.find(self.uri)
        if target is None:
            raise NoSuchRouteError(f'There is no procedure {self.uri}.')
        plan = <CallPlan?> target
        request = self.make_request() if plan.wants_request else None
        kwargs = self.kwargs
        if kwargs and self.rules.convert_names is not None:
            kwargs = self.rules.convert_names(kwargs)
        return plan.invoke(self.session, request, self.args, kwargs, self.rules.factories)

    cdef object make_request(self):
        return self.rules.make_request(
            self.request_id, self.session, self.uri, self.args, self.kwargs, self.options)

    cdef object returned(self, object value):
        if self.stage == CALL_HANDLING:
            return self.answer_value(value)
        if self.cancellation is not None:
            raise self.cancellation
        return None

    cdef object raised(self, object error):
        if self.closing or isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        if self.cancellation is not None:
            raise self.cancellation
        # GeneratorExit: nobody is throwing this coroutine away, so it is an error like others.
        if isinstance(error, (Exception, GeneratorExit)):
            if self.stage != CALL_HANDLING:
                return self.reply_failed(error)
            if isinstance(error, ConnectionClosed) and self.session.state >= STATE_CLOSING:
                # The session ended under a procedure that sends.
                return self.reply_failed(error)
            if isinstance(error, NoSuchRouteError):
                return self.answer_error('wamp.error.no_such_procedure', (), {'message': str(error)})
            logger.error('Exception from call handler for procedure %s', self.uri, exc_info=error)
            return self.answer_error('wamp.error.runtime_error', None, None)
        if self.stage == CALL_HANDLING:
            # The task is being cancelled. The caller is told, and the cancellation goes on its way.
            self.cancellation = error
            awaitable = self.answer_error('wamp.error.canceled', None, None)
            if awaitable is not None:
                return awaitable
        raise error

    cdef object reply_failed(self, object error):
        """The answer could not be sent: say so to the caller if that's possible, and to the log."""
        if isinstance(error, ConnectionClosed):
            logger.debug('Session %s disconnected before the answer of %s could be sent.', self.session.id, self.uri)
            return None
        logger.error('The answer of procedure %s could not be sent: %s', self.uri, error)
        if self.stage == CALL_APOLOGIZING or self.cancellation is not None:
            return None
        self.stage = CALL_APOLOGIZING
        return self.send_error('wamp.error.runtime_error', None, None)

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
        except Exception as error:
            return self.raised(error)
        if is_error:
            return self.answer_error(result.error_uri or 'wamp.error.runtime_error', args, kwargs)
        return self.answer_result(args, kwargs)

    cdef object answer_result(self, object args, object kwargs):
        self.stage = CALL_REPLYING
        try:
            return self.session.emit_result(self.request_id, False, args, kwargs)
        except Exception as error:
            return self.reply_failed(error)

    cdef object answer_error(self, object uri, object args, object kwargs):
        self.stage = CALL_REPLYING
        return self.send_error(uri, args, kwargs)

    cdef object send_error(self, object uri, object args, object kwargs):
        try:
            return self.session.emit_error(CALL, self.request_id, uri, args, kwargs)
        except Exception as error:
            return self.reply_failed(error)

    @property
    def procedure_uri(self):
        return self.uri

    @property
    def wants_progress(self):
        """Whether the caller asked for progressive results (WAMP AP, "Progressive Call Results")."""
        return self.options.get('receive_progress') is True

    def answer(self, value):
        """Send what the procedure ended with as RESULT or ERROR; returns what report() returns. Doesn't raise."""
        return self.answer_value(value)

    def report(self, args, kwargs):
        """Send a progress report; returns None when it is on its way, else an awaitable that sends it.

        Raises ConnectionClosed, and SerializationError where the report has no form on the wire.
        """
        return self.session.emit_result(self.request_id, True, args, kwargs)


cdef Call new_call(SessionCore session, CallRules rules, object message):
    """Return the Call for a checked CALL message."""
    cdef Call call = Call.__new__(Call)
    cdef Py_ssize_t size = len(message)
    call.session = session
    call.rules = rules
    call.request_id = message[1]
    call.options = message[2]
    uri = message[3]
    # A user's own connection may hand over members of an enumeration of strings.
    call.uri = uri if type(uri) is str else str.__str__(uri)
    call.args = message[4] if size > 4 else ()
    call.kwargs = message[5] if size > 5 else None
    return call


def answer_call(SessionCore session not None, CallRules rules not None, message):
    return new_call(session, rules, message)
