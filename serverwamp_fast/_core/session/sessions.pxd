from .deliveries cimport Deliveries
from .outlets cimport Outlet
from .sequences cimport RequestSequence
from ..base.steps cimport Steps
from .topics cimport Subscription, TopicTable

cdef tuple with_payload(tuple head, object args, object kwargs)

cdef class Answer


cdef class SessionCore:
    cdef public object connection
    cdef public object realm
    cdef unsigned long long number      # its id
    cdef public object identity
    cdef public object auth_id
    cdef public object auth_methods
    cdef object task_group              # AsyncTaskGroup that spawn_task() uses, if not the outlet's
    cdef public object app              # the Application that runs the session, once it does
    cdef public object context          # contextvars that ordered handlers set for the rest of the session
    cdef public object lifespan_exits   # lifespan handlers, suspended at their yields
    cdef public object receive_message  # gets the client's next message, while an authenticator is at work
    cdef public object close_timer      # cancels the wait for the peer's GOODBYE
    cdef dict data                      # item data
    cdef Subscription sole_subscription  # while there is only one, which spares most sessions the dict
    cdef dict subscriptions             # topic or (pattern, match) -> Subscription, and id -> Subscription
    # A deque of (Subscription, event, publication) or (None, Answer, None) that wait to be sent, or None.
    cdef object outbox
    cdef object posted                  # the Publication of what next_posted() has returned, where it is to know
    cdef Outlet outlet                  # the connection, if it takes payloads at once
    cdef RequestSequence sequence       # of request ids, where the application is strict about them
    cdef dict calls                     # request id -> Call, of those that run on after their first step
    cdef dict abandoned                 # ids of progressive calls that ended before their last CALL came
    cdef object dispatch                # how the session's requests are handled; see dispatch.pyx
    cdef Deliveries deliveries          # what a connection without an outlet is taking, once there was anything
    cdef unsigned int pattern_count     # subscriptions that are not exact
    # Of sessions there are very many, so these are bytes.
    cdef unsigned char state
    cdef unsigned char plain_sends
    cdef unsigned char welcomed
    cdef unsigned char peer_left
    cdef unsigned char is_set_aside     # the application has said `is_open = False`
    cdef unsigned char is_posting       # whether a task sends what is in the outbox
    cdef unsigned char is_gone          # the client leaves: nobody waits for answers
    cdef unsigned char is_lost          # it was noticed that the connection has ended, which an outlet knows itself
    cdef unsigned char watches_answers  # calls are answered by functions of the application

    cdef TopicTable topic_table(self)
    cdef Subscription find_subscription(self, object key)
    cdef list own_subscriptions(self)
    cdef int enter_subscription(self, Subscription subscription) except -1
    cdef Subscription add_subscription(self, str topic, str match)
    cdef Subscription drop_subscription(self, object number)
    cdef object call_later(self, double delay, object callback)
    cdef object emit(self, object message)
    cdef object emit_now(self, object message)
    cdef object emit_behind_events(self, object item)
    cdef Answer new_answer(self, object item)
    cdef bint takes_payloads(self) except -1
    cdef object deliver(self, bytes payload)
    cdef bint is_dropped(self, object message) except -1
    cdef int refuse_sending(self) except -1
    cdef object emit_result(self, object request_id, bint progress, object args, object kwargs)
    cdef object emit_error(self, int request_type, object request_id, object uri, object args, object kwargs)
    cdef object emit_refusal(self, int request_type, object request_id, object uri, object sentence)
    cdef object emit_through(self, object message)
    cdef object emit_event(self, object topic, object args, object kwargs, object trust_level)
    cdef object emit_to(
        self, Subscription subscription, unsigned long long publication, dict details, object args, object kwargs
    )
    cdef object emit_to_patterns(
        self, object topic, unsigned long long publication, dict details, object args, object kwargs
    )
    cdef object wait_for_room(self)
    cdef bint post(self, Subscription subscription, object event, object publication) except -1

cdef class Answer(Steps):
    cdef SessionCore session
    cdef object item                    # the message, or its payload; None once it is being sent
    cdef object turn                    # an event of the async library, which happens when it is the answer's turn
    cdef bint is_next                   # whether it has happened

    cdef int count(self, int step) except -1
    cdef int take_turn(self) except -1

cdef class Sending(Steps):
    cdef SessionCore session
    cdef object topic
    cdef object args
    cdef object kwargs
    cdef object trust_level
