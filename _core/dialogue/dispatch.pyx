"""What happens with a message of an established session.

`receive()` checks the message, asks the table of states and returns the work that the message asks for. Whoever
drives the session (the native transport, or Application.handle_connection for all others) runs that work: a
coroutine to be started as a task, or an `InOrder` that must end before the next message is looked at.
"""

from ..broker.broker cimport BrokerCore
from ..dealer.calls cimport (
    NEW_CALL, Call, CallRules, abandon_inputs, cancel_call, continue_call, is_abandoned, is_progressive, new_call,
    new_own_call,
)
from ..wire.messages cimport (
    CALL, ERROR, GOODBYE, PUBLISH, REGISTER, UNREGISTER, check_message, check_message_strictly,
)
from ..session.sequences cimport RequestSequence, is_numbered
from ..session.sessions cimport SessionCore
from ..session.states cimport (
    ACTION_CALL, ACTION_END, ACTION_IGNORE, ACTION_IN_ORDER, ACTION_REFUSE, ACTION_CANCEL,
    ACTION_PUBLISH, ACTION_WAIT, STATE_CLOSING, STATE_OPEN, action_for,
)
from serverwamp_fast.clients import shorten
from serverwamp_fast.errors import (
    InvalidRequestError, PeerAbortedError, UnexpectedMessageError, WAMPMsgParseError,
)


cdef class InOrder:
    """Work that must end before the session's next message is looked at."""

    def __cinit__(self, work):
        self.work = work


cdef class Dispatch:
    """How an application handles the requests of a realm's sessions; looked up once per session.

    - call_rules: a CallRules, or None where calls go through `delegate`, because something was overridden
    - delegate(session, message) -> a coroutine that handles one request of a type in `delegated`
    - delegated: the message codes that have a handler
    - synchronize: whether every request is handled to its end before the next
    - support: the AsyncSupport, for the timers of calls; without one, their timeouts are not kept
    - open_inputs(args, kwargs) -> what takes the later CALLs of a progressive call, see RPCInputs; without it, they
      are calls like others
    - strict_uris: whether URIs are held to the strict rules, messages to their number of elements, and callers to the
      features that they announced
    - strict_ids: whether request ids have to be in sequence
    - cancels_calls: whether all calls are cancelled when their client leaves, and not only async generators
    """

    def __init__(
        self, CallRules call_rules, delegate, delegated, bint synchronize, support=None, open_inputs=None, *,
        bint strict_uris=False, bint strict_ids=False, bint cancels_calls=False
    ):
        self.call_rules = call_rules
        self.delegate = delegate
        self.delegated = frozenset(delegated)
        self.synchronize = synchronize
        self.support = support
        self.open_inputs = open_inputs
        self.strict_uris = strict_uris
        self.strict_ids = strict_ids
        self.cancels_calls = cancels_calls


cdef object receive_message(SessionCore session, object message):
    """Take one message: return None, a coroutine to start as a task, or an InOrder.

    Raises WAMPMsgParseError where the peer is to be answered with ABORT, and PeerAbortedError.
    """
    # Checked: a session that was never attached has None here.
    cdef Dispatch dispatch = <Dispatch?> session.dispatch
    cdef int code, action
    cdef bint is_repeated = False, is_last
    cdef object work
    try:
        message = check_message_strictly(message) if dispatch.strict_uris else check_message(message)
    except WAMPMsgParseError as error:
        if session.state >= STATE_CLOSING and is_ignored(session.state, message):
            return None
        if session.state != STATE_OPEN or not isinstance(error, InvalidRequestError):
            raise
        if error.request_type == ERROR:
            # It names the request that it answers. None was sent, so it is refused as any other.
            return refuse(session, ERROR, message)
        if error.request_id is None:
            raise
        if dispatch.strict_ids and is_numbered(error.request_type):
            is_repeated = take_request_id(session, error.request_type, error.request_id, message[2])
        if error.request_type == CALL:
            is_last = dispatch.open_inputs is None or not is_progressive(message)
            if is_abandoned(session, error.request_id, is_last) or is_repeated \
                    or takes_inputs(session, error.request_id):
                # It continues a progressive call, which has its own answer.
                return None
            if not is_last:
                abandon_inputs(session, error.request_id)
        if error.request_type == PUBLISH and not is_acknowledged(message):
            return None
        return in_order(session.emit_refusal(error.request_type, error.request_id, error.error_uri, str(error)))
    code = message[0]
    if dispatch.strict_ids and session.state == STATE_OPEN and is_numbered(code):
        is_repeated = take_request_id(session, code, message[1], message[2])
    action = action_for(session.state, code)
    if action == ACTION_CALL and (dispatch.call_rules is not None or CALL in dispatch.delegated):
        return receive_call(session, dispatch, message, is_repeated)
    if action == ACTION_IGNORE:
        return None
    if action == ACTION_WAIT:
        # Before WELCOME no handler may run. Who drives the session doesn't come here before that.
        raise UnexpectedMessageError('The session is not open yet.')
    if action == ACTION_END:
        raise PeerAbortedError(f'The client aborted the session: {message[2]}')
    if code == GOODBYE and action == ACTION_IN_ORDER:
        session.peer_left = True
    if code in dispatch.delegated:
        work = dispatch.delegate(session, message)
        if action == ACTION_IN_ORDER or dispatch.synchronize:
            return InOrder(work)
        return work
    if action == ACTION_PUBLISH:
        return in_order((<BrokerCore?> session.realm.broker).receive(session, message))
    if action == ACTION_REFUSE:
        return refuse(session, code, message)
    if action == ACTION_CANCEL:
        return in_order(cancel_call(session, message))
    raise UnexpectedMessageError('Unexpected request.')


cdef int take_request_id(SessionCore session, int code, object request_id, object options) except -1:
    """Hold the session to the sequence of its request ids; return whether it is that of a progressive call before."""
    if session.sequence is None:
        session.sequence = RequestSequence.__new__(RequestSequence)
    return session.sequence.take(code, request_id, isinstance(options, dict) and options.get('progress') is True)


cdef bint takes_inputs(SessionCore session, object request_id) except -1:
    """Return whether a call of this id is running that takes further CALLs."""
    found = None if session.calls is None else session.calls.get(request_id)
    return found is not None and (<Call?> found).inputs is not None


cdef object receive_call(SessionCore session, Dispatch dispatch, object message, bint is_repeated):
    """Return the work that a CALL asks for: it may continue a call before it, and only that if its id is repeated."""
    cdef Call call
    cdef object work
    if dispatch.strict_uris and is_progressive(message) and not session.announces_inputs:
        # WAMP AP, "Progressive Call Invocations".
        raise WAMPMsgParseError('The caller did not announce progressive_call_invocations.')
    if session.calls is not None or session.abandoned is not None:
        work = continue_call(session, message)
        if work is not NEW_CALL:
            return in_order(work)
    if is_repeated:
        # The call that it continues is over (WAMP AP, "Continuations on Completed Calls").
        return None
    if dispatch.call_rules is not None:
        call = new_call(session, <CallRules> dispatch.call_rules, message)
    else:
        call = new_own_call(session, dispatch.delegate, message)
    if call.options and is_progressive(message) and dispatch.open_inputs is not None:
        call.open_inputs(dispatch.open_inputs)
        if dispatch.synchronize:
            # It would wait for messages that wait for its end.
            call.refusal = (
                'wamp.error.feature_not_supported', 'This server takes no progressive call invocations.')
    return InOrder(call) if dispatch.synchronize else call


cdef object in_order(object awaitable):
    """Wrap what emit() returned."""
    return None if awaitable is None else InOrder(awaitable)


cdef bint is_ignored(int state, object message) except -1:
    """Return whether a message that doesn't have its form is one that nobody looks at in this state."""
    if not isinstance(message, (list, tuple)) or not message or not isinstance(message[0], int):
        return False
    return 0 < message[0] < 128 and action_for(state, message[0]) == ACTION_IGNORE


cdef bint is_acknowledged(object publish) except -1:
    """Return whether the client waits for an answer to its PUBLISH (WAMP BP, "Publishing")."""
    return publish[2].get('acknowledge') is True


cdef object refuse(SessionCore session, int code, object message):
    """Answer a request that this server has no use for with ERROR (WAMP BP, "ERROR")."""
    cdef object uri, sentence
    cdef int request_type = code
    cdef object request_id = message[1]
    if code == REGISTER:
        uri = 'wamp.error.feature_not_supported'
        sentence = (f'{shorten(message[3])} was not registered: this server takes no procedures of clients, '
                    'all are its application\'s own.')
    elif code == UNREGISTER:
        uri = 'wamp.error.no_such_registration'
        sentence = f'The session has no registration {shorten(message[2])}.'
    else:
        # YIELD and ERROR answer an INVOCATION, and none was sent.
        uri = 'wamp.error.invalid_argument'
        if code == ERROR:
            # An id may be written as a float.
            request_type = int(message[1])
            request_id = int(message[2])
        sentence = f'The session was sent no INVOCATION {shorten(request_id)}.'
    return in_order(session.emit_refusal(request_type, request_id, uri, sentence))


def receive(SessionCore session not None, message):
    return receive_message(session, message)


def attach(SessionCore session not None, app, Dispatch dispatch not None):
    session.app = app
    session.dispatch = dispatch
