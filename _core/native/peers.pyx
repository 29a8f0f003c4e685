"""A WAMP client on the native transport: messages come in as calls, and sessions need no task of their own.

Messages are handled in the order of their arrival. Work that must end before the next message (opening a
session, SUBSCRIBE, UNSUBSCRIBE, GOODBYE) runs in a task, the job; what arrives meanwhile is held, and when too
much is held, nothing more is read. Everything else is started as a task at once.
"""

import logging
from collections import deque

from cpython.contextvars cimport PyContext_Copy

from ..dealer.calls cimport Call
from ..wire.subprotocols cimport Codec
from ..base.deadlines cimport Deadline
from ..dialogue.dispatch cimport InOrder, receive_message
from ..framing.websocket cimport frame_is_close_code
from ..wire.messages cimport ABORT, GOODBYE, check_message
from ..session.sessions cimport SessionCore
from ..session.states cimport (
    ACTION_END, ACTION_OPEN, STATE_CLOSING, STATE_ENDED, STATE_NEW, STATE_OPEN, STATE_OPENING, action_for,
)
from .hubs cimport Hub
from ..base.steps cimport STEPS_DONE
from .transport cimport SOCKET_CLOSED, SOCKET_OPEN, WebSocketTransport
from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.errors import ConnectionClosed, NoSuchRealmError, PeerAbortedError, WAMPMsgParseError

logger = logging.getLogger('serverwamp_fast.session')

cdef object MISSING = object()

cdef enum:
    # What a held message counts beside its size: its objects. Reading stops when the sum is that of one large message.
    HELD_OVERHEAD = 1024
    INFO = 20                   # levels of logging
    WARNING = 30
    ERROR = 40


cdef class PeerClose:
    """Stands among the held messages for the peer's Close."""

    cdef unsigned int code

    def __cinit__(self, unsigned int code):
        self.code = code


cdef bint is_farewell(object item) except -1:
    """Whether an item is GOODBYE or ABORT, whatever else is in it."""
    return isinstance(item, (list, tuple)) and len(item) > 0 and (item[0] == GOODBYE or item[0] == ABORT)


cdef inline int demand_open(WAMPPeer peer) except -1:
    """Raise ConnectionClosed; before the handshake is done there is no codec either."""
    if peer.state != SOCKET_OPEN:
        raise ConnectionClosed('The WebSocket connection is not open.')
    return 0


cdef bint has_same_values(object context, object base) except -1:
    """Return whether a context has the very objects of another one: equal lists may still be two."""
    if len(context) != len(base):
        return False
    for variable, value in context.items():
        if base.get(variable, MISSING) is not value:
            return False
    return True


cdef class WAMPPeer(WebSocketTransport):
    """One client. `server` has these methods:

    - open_session(peer, message) -> (session, coroutine | None): takes HELLO; the coroutine, if any, must end
      before the session is used, and returns whether it is. Raises NoSuchRealmError.
    - end_session(session): the session is over; runs what is left to run
    - consume(peer): called instead of all this where the application wants to read the messages itself; returns
      whether it does
    - session_tasks(session) -> the session's task group
    """

    def __init__(self, Hub hub not None, server):
        WebSocketTransport.__init__(self, hub)
        self.server = server

    # From the transport

    cdef int on_open(self, object subprotocol) except -1:
        self.codec = codec_for(subprotocol)
        # The application that reads for itself has a deadline of its own. It may also close at once, and with that
        # arm a timer for closing, which has to stay.
        cdef Deadline deadline = self.deadline
        self.deadline = None
        self.inbox = deque()
        if self.server.consume(self):
            deadline.cancel()
        else:
            self.inbox = None
            self.deadline = deadline
        return 0

    cdef int on_message(self, bint is_text, unsigned char *data, size_t size) except -1:
        cdef Codec codec = self.codec
        if is_text == codec.is_binary:
            kind = 'binary' if codec.is_binary else 'text'
            return self.take(WAMPMsgParseError(f'{codec.subprotocol} travels in {kind} messages.'), 0)
        try:
            if not codec.is_batched:
                return self.take(codec.decode_single(<const char *> data, size), size)
            messages = codec.decode_payload(<const char *> data, size)
        except WAMPMsgParseError as error:
            return self.take(error, 0)
        self.codec = codec.answering_codec(<const char *> data, size)
        size //= <size_t> len(messages)
        for message in messages:
            self.take(message, size)
        return 0

    cdef int on_peer_close(self, unsigned int code) except -1:
        # What came before Close is handled before it is answered.
        return self.take(PeerClose(code), 0)

    cdef int on_deadline(self) except -1:
        if self.session is not None and self.session.state in (STATE_CLOSING, STATE_ENDED):
            # The client did not answer our GOODBYE.
            self.end_session()
            self.begin_close(1000, b'')
            return 0
        if self.session is not None and self.session.state == STATE_OPEN:
            # WELCOME is out; what runs is the session's own.
            return 0
        # Of clients that say nothing there may be many, and nothing is wrong with the server.
        self.refuse('wamp.error.timeout', f'No session was opened within {self.hub.open_timeout:g} seconds.',
                    INFO if self.session is None else WARNING)
        if self.job is not None:
            self.job.cancel()
        return 0

    cdef int on_lost(self) except -1:
        if self.inbox is not None:
            return self.wake_consumer()
        if self.give_up_opening():
            return 0
        if self.opener is not None:
            self.give_to_opener(ConnectionClosed('The client has left.'))
        self.note_leaving()
        if self.job is None and self.held:
            return self.schedule_resume()
        return self.on_all_read()

    cdef int on_all_read(self) except -1:
        if self.inbox is not None:
            return self.wake_consumer()
        if self.job is None and not self.held and self.backlog is None:
            self.end_session()
        return 0

    cdef bint give_up_opening(self) except -1:
        """The client has gone: if its session isn't open yet, end that; returns whether it was so."""
        if self.job is None or self.session is None or self.session.state != STATE_OPENING:
            return False
        self.end_session()
        self.job.cancel()
        return True

    cdef bint is_abort_of_opening(self, object item) except -1:
        """Whether an item is ABORT while a session is being opened. What hasn't its form is refused in its turn."""
        if self.job is None or self.session is None or self.session.state != STATE_OPENING:
            return False
        try:
            return check_message(item)[0] == ABORT
        except WAMPMsgParseError:
            return False

    cdef int note_leaving(self) except -1:
        """The client is leaving: nobody waits for its calls. What came before is handled all the same."""
        if self.session is not None:
            self.session.mark_gone()
        return 0

    cdef bint is_busy(self) noexcept:
        if self.held_size == 0:
            return False
        # Without a job, or a consumer, held messages only wait for the loop's next turn.
        return self.held_size >= self.hub.max_size or (self.job is None and self.inbox is None)

    cdef bint is_unfinished(self) noexcept:
        # Not by a job or a consumer: these are tasks, which the hub knows of.
        return self.inbox is None and self.held_size > 0

    cdef int on_resume(self) except -1:
        self.awaits_steps = False
        return 0

    cdef int on_turn(self) except -1:
        return self.drain_held()

    cdef bint is_early(self, object item) noexcept:
        """Whether an item has to wait for the loop's next turn, so that handlers that don't wait can answer.

        Nothing may be sent behind Close. Where tasks are eager, such handlers have answered already.
        """
        return self.awaits_steps and isinstance(item, PeerClose)

    # Messages, in order

    cdef int take(self, object item, size_t size) except -1:
        """Handle an item now, or hold it where something else has to end first."""
        if self.inbox is not None:
            self.inbox.append((item, size + HELD_OVERHEAD))
            self.held_size += size + HELD_OVERHEAD
            self.wake_consumer()
            self.update_reading()
            return 0
        if self.is_over():
            # Such as the rest of a batch with a message in it that was answered with ABORT.
            return 0
        if type(item) is PeerClose:
            if self.give_up_opening():
                return self.answer_close((<PeerClose> item).code)
            self.note_leaving()
        if self.opener is not None:
            return self.give_to_opener(item)
        if self.job is None and not self.held:
            if self.budget > 0 and not self.writing_paused and not self.is_early(item):
                self.budget -= 1
                return self.handle(item)
            self.schedule_resume()
        elif self.is_abort_of_opening(item):
            # It ends everything in any state, so it doesn't wait for the authenticator.
            logger.info('Ended %s: %.500r', self.name_client(), f'The client aborted the session: {item[2]}')
            self.give_up_opening()
            return self.begin_close(1000, b'')
        elif self.job is not None and is_farewell(item):
            self.note_leaving()
        if self.held is None:
            self.held = deque()
        size += HELD_OVERHEAD
        self.held.append((item, size))
        self.held_size += size
        return self.update_reading()

    cdef bint is_over(self) noexcept:
        """Whether messages don't count any more: after ABORT or Close. What came before a loss still does."""
        return self.state != SOCKET_OPEN and (self.session is None or self.state != SOCKET_CLOSED)

    cdef int handle(self, object item) except -1:
        """Handle a message, a message's error, or the peer's Close."""
        cdef object work
        if self.is_over():
            return 0
        if type(item) is PeerClose:
            return 0 if self.state == SOCKET_CLOSED else self.answer_close((<PeerClose> item).code)
        try:
            # The class is written in Python, which makes the general question a dear one.
            if not isinstance(item, (list, tuple)) and isinstance(item, WAMPMsgParseError):
                raise item
            if self.session is None:
                return self.handle_hello(item)
            work = receive_message(self.session, item)
        except PeerAbortedError as error:
            logger.info('Ended %s: %.500r', self.name_client(), str(error))
            self.end_session()
            self.begin_close(1000, b'')
            return 0
        except WAMPMsgParseError as error:
            return self.refuse(error.error_uri, str(error))
        except ConnectionClosed:
            # It was to be answered with ERROR, and the client has left.
            return 0
        if work is None:
            return 0
        if type(work) is InOrder:
            return self.run_in_order((<InOrder> work).work)
        context = self.session.context
        task = self.hub.start_task(work, None if context is None else PyContext_Copy(context), self.session)
        self.awaits_steps |= self.hub.started_later
        if isinstance(work, Call) and (<Call> work).phase != STEPS_DONE:
            (<Call> work).hold(task.cancel)
        return 0

    cdef int handle_hello(self, object message) except -1:
        """Handle the first message: HELLO opens a session (WAMP BP, "Session Establishment")."""
        cdef int code, action
        message = check_message(message)
        code = message[0]
        action = action_for(STATE_NEW, code)
        if action == ACTION_END:
            logger.info('Ended the connection of %s, which aborted before a session was open: %.500r',
                        self.name_client(), message[2])
            self.begin_close(1000, b'')
            return 0
        if action != ACTION_OPEN:
            return self.refuse('wamp.error.protocol_violation', 'A session starts with HELLO.')
        try:
            # Apart, because a read's context is that of other reads too, on uvloop even of other clients'.
            session, opening = self.hub.run_apart(self.server.open_session, (self, message))
        except NoSuchRealmError as error:
            return self.refuse('wamp.error.no_such_realm', str(error))
        self.session = session
        return 0 if opening is None else self.run_in_order(opening)

    cdef int run_in_order(self, object coroutine) except -1:
        """Run work that the next message has to wait for."""
        cdef SessionCore session = self.session
        if session.context is None:
            # What such work sets in context variables is there for the session's later calls.
            session.context = self.hub.own_context()
        task = self.hub.start_task(coroutine, session.context, None)
        if task.done():
            return self.job_ended(task)
        if isinstance(coroutine, Call):
            (<Call> coroutine).hold(task.cancel)
        self.job = task
        task.add_done_callback(self.finish_job, context=self.hub.own_context())
        return 0

    def finish_job(self, task):
        """The job has ended: go on with what was held."""
        self.job = None
        self.corked = True
        try:
            self.job_ended(task)
        except Exception:
            logger.exception('The connection of %s ends because of an error in the server.', self.name_client())
            self.fail(1011, b'internal error')
        finally:
            self.corked = False
            self.flush_output()
            self.resume()

    cdef int job_ended(self, object task) except -1:
        """Look at how the session stands after a job."""
        cdef SessionCore session = self.session
        if not task.cancelled() and task.exception() is not None:
            self.refuse('wamp.error.runtime_error', 'The session ends because of an error in the server.',
                        ERROR, task.exception())
            return 0
        if session is None:
            return 0
        self.drop_plain_context(session)
        if session.state == STATE_ENDED:
            # ABORT was sent, which closes the connection.
            self.end_session()
            self.begin_close(1000, b'')
        elif session.state == STATE_OPENING:
            # The authenticator was cancelled. Nobody has been let in.
            self.refuse('wamp.error.authentication_failed', 'Authentication failed.')
        elif session.peer_left and session.state != STATE_OPEN:
            # GOODBYE was said both ways. The client may go on with another HELLO, unless it was us who began.
            self.end_session()
            if session.close_timer is not None:
                self.begin_close(1000, b'')
            elif self.state == SOCKET_OPEN:
                self.arm_timer(self.hub.openings)
        elif session.state == STATE_OPEN and self.state == SOCKET_OPEN:
            # A timer that runs in any other state is for closing.
            self.disarm_timer()
        return 0

    cdef int drain_held(self) except -1:
        """Handle what was held, as far as the budget goes."""
        while self.held and self.job is None:
            if self.writing_paused:
                # resume_writing() comes back here.
                return 0
            if self.budget == 0 or self.is_early(self.held[0][0]):
                return self.schedule_resume()
            item, size = self.held.popleft()
            self.held_size -= <size_t> size
            self.budget -= 1
            self.handle(item)
        if not self.held and self.job is None:
            self.held = None
        return 0

    def next_while_opening(self):
        """Return a future of the next message, for the job that opens the session.

        It raises WAMPMsgParseError for what is not a message, and ConnectionClosed at the end.
        """
        future = self.opener = self.hub.loop.create_future()
        if self.held:
            item, size = self.held.popleft()
            self.held_size -= <size_t> size
            self.give_to_opener(item)
            self.update_reading()
        elif self.state != SOCKET_OPEN:
            self.give_to_opener(ConnectionClosed('The client has left.'))
        return future

    cdef int give_to_opener(self, object item) except -1:
        """Hand an item to the job that waits in next_while_opening()."""
        future = self.opener
        self.opener = None
        if future.done():
            # The job has been cancelled and does not know it yet.
            return self.take(item, 0) if not isinstance(item, ConnectionClosed) else 0
        if type(item) is PeerClose:
            if self.state == SOCKET_OPEN:
                self.answer_close((<PeerClose> item).code)
            item = ConnectionClosed('The client has left.')
        if isinstance(item, Exception):
            future.set_exception(item)
        else:
            future.set_result(item)
        return 0

    # Ends

    cdef int end_session(self) except -1:
        """Nothing more comes for the session, and nothing can be sent in it."""
        cdef SessionCore session = self.session
        if session is None:
            return 0
        session.state = STATE_ENDED
        if self.job is None:
            self.session = None
            self.server.end_session(session)
        # Otherwise finish_job() comes back here: the job may be about to start what has to be cleaned up.
        return 0

    cdef int refuse(self, object uri, str text, int level=WARNING, object failure=None) except -1:
        """End all with ABORT (WAMP BP, "ABORT") and close the connection."""
        if self.state == SOCKET_CLOSED and failure is None:
            return self.end_session()
        # The text may quote the client, at any length.
        logger.log(level, 'Aborted %s with %s: %.500r', self.name_client(), uri, text, exc_info=failure)
        if self.state == SOCKET_CLOSED:
            return self.end_session()
        if self.state == SOCKET_OPEN and (self.session is None or self.session.state != STATE_CLOSING):
            # Nothing may follow GOODBYE (WAMP BP, "Session Closing").
            self.put_message((ABORT, {'message': text}, uri))
        self.end_session()
        self.held = None
        self.held_size = 0
        self.begin_close(1000, b'')
        return 0

    cdef int session_closing(self) except -1:
        """The server said GOODBYE: wait for the client's, then close (WAMP BP, "Session Closing")."""
        if self.session is not None and self.state == SOCKET_OPEN:
            self.arm_timer(self.hub.closings)
            self.session.close_timer = self.stop_timer
        return 0

    cdef int session_opened(self) except -1:
        self.stop_timer()
        return 0

    cdef object session_tasks(self, object session):
        return self.server.session_tasks(session)

    cdef object run_in_session(self, object session, object function, tuple args):
        # As in a job, what it sets is there for the session's later calls.
        cdef SessionCore core = <SessionCore?> session
        if self.inbox is not None:
            # The application reads the messages, in a task of its own.
            return function(*args)
        if core.context is None:
            core.context = self.hub.own_context()
        try:
            return core.context.run(function, *args)
        finally:
            self.drop_plain_context(core)

    cdef int drop_plain_context(self, SessionCore session) except -1:
        """Forget a context in which nothing has been set, as in most. Idle sessions keep nothing that says nothing."""
        if session.context is not None and has_same_values(session.context, self.hub.context):
            session.context = None
        return 0

    # For Python

    cdef int put_message(self, object message) except -1:
        demand_open(self)
        self.put_payload(self.codec.encode_message(message))
        return 0

    def put(self, message):
        """Append a message to the output; return None, or an awaitable while the client doesn't read.

        Raises ConnectionClosed or SerializationError.
        """
        self.put_message(message)
        return self.wait_drained()

    def put_all(self, messages):
        """Append messages, in one payload where the subprotocol is batched; see put()."""
        demand_open(self)
        if self.codec.is_batched:
            self.put_payload(self.codec.encode_many(messages))
        else:
            for message in messages:
                self.put_message(message)
        return self.wait_drained()

    def start_close(self, code=1000, reason=''):
        """Close the connection; what was sent before goes out first."""
        if not 0 <= code <= 0xFFFF or not frame_is_close_code(code):
            raise ValueError(f'A Close frame may not carry the code {code}. Use 1000, or one from 3000 to 4999.')
        self.note_leaving()
        self.begin_close(code, reason.encode())

    @property
    def is_closed(self):
        return self.state != SOCKET_OPEN

    @property
    def current_session(self):
        return self.session

    cdef int wake_consumer(self) except -1:
        if self.inbox_waiter is not None and not self.inbox_waiter.done():
            self.inbox_waiter.set_result(None)
        return 0

    def next_item(self):
        """For a consumer: return (True, message), (False, awaitable) to wait for one, or None at the end.

        Raises WAMPMsgParseError for what is not a message.
        """
        while self.inbox:
            item, size = self.inbox.popleft()
            self.held_size -= <size_t> size
            if type(item) is PeerClose:
                if self.state == SOCKET_OPEN:
                    self.answer_close((<PeerClose> item).code)
                continue
            if isinstance(item, WAMPMsgParseError):
                raise item
            return True, item
        if self.reading_paused:
            # There is room again, first of all for what was set aside.
            self.schedule_resume()
        if self.state != SOCKET_OPEN and self.backlog is None:
            return None
        self.inbox_waiter = self.hub.loop.create_future()
        return False, self.inbox_waiter

    def stop_consuming(self):
        """The consumer has come to its end: what it has not taken is dropped."""
        self.inbox.clear()
        self.held_size = 0
        self.backlog = None
        self.leave()
