"""A WAMP session's state and what it sends.

The public class `serverwamp_fast.session.WAMPSession` is a Python subclass of `SessionCore`, so that users can
subclass it, set attributes on it and refer to it weakly. What is rarely there (item data, subscriptions, a
context) is allocated when it is first used: most sessions of a large site are idle.
"""

import logging
import warnings
from collections import deque

from cpython.contextvars cimport PyContext_Copy

from ..wire.codec cimport Codec, as_arguments, as_keywords
from .deliveries cimport Deliveries, Delivery, InTurn, new_payload_delivery
from ..base.ids cimport next_global_id
from ..wire.messages cimport CALL, ERROR, EVENT, PUBLISHED, RESULT, SUBSCRIBED
from .outlets cimport Outlet
from .states cimport (
    STATE_CLOSING, STATE_ENDED, STATE_OPEN, STATE_OPENING,
)
from ..base.steps cimport STEPS_NEW, Steps
from .topics cimport NO_PLACE, Subscription, Topic, TopicTable
from serverwamp_fast._core.wire.messages import MESSAGE_NAMES as _NAMES
from serverwamp_fast.clients import log_refusal, session_name
from serverwamp_fast.errors import ConnectionClosed, NoSuchSubscription
from serverwamp_fast.lone_arguments import as_one_argument

logger = logging.getLogger('serverwamp_fast.session')

cdef object DEBUG = logging.DEBUG
cdef object NOTHING = object()  # in place of an Answer's item: only its turn is waited for
cdef object RAW = object()  # in place of a Sending's topic: the args are a ready message


class NoIdentity:
    """The type of NO_IDENTITY, the identity of a session that has not been authenticated."""

    def __repr__(self):
        return 'NO_IDENTITY'


NO_IDENTITY = NoIdentity()


cdef tuple with_payload(tuple head, object args, object kwargs):
    """Return a message with Arguments and ArgumentsKw as far as there are any. Raises SerializationError."""
    args = as_arguments(args)
    kwargs = as_keywords(kwargs)
    if kwargs is not None:
        return head + (() if args is None else args, kwargs)
    return head if args is None else head + (args,)


cdef str plain_text(object text):
    return text if type(text) is str else str.__str__(text)


cdef inline object subscription_key(object topic, object match):
    """Return the key of a session's subscription; for exact ones, which nearly all are, that's the topic."""
    return topic if match == 'exact' else (topic, match)


# Messages that stay behind the events that were published before them. UNSUBSCRIBED is none of them: what waits for its
# subscription is dropped.
cdef tuple ANSWERS = (RESULT, ERROR, PUBLISHED, SUBSCRIBED)


cdef class SessionCore:
    """What the core knows of a session; see WAMPSession for the public face.

    A subclass has a coroutine function `empty_outbox()`, which has what was posted sent, and an attribute `own_topics`
    that can be set, None at first.
    """

    def __cinit__(self, *args, **kwargs):
        self.state = STATE_OPENING

    def __init__(self, connection, realm, tasks=None, auth_id=None, auth_methods=()):
        self.connection = connection
        self.outlet = connection if isinstance(connection, Outlet) else None
        if self.outlet is not None and self.outlet.codec is None:
            raise TypeError('A session begins when its connection has opened, and has a codec to send with.')
        self.realm = realm
        self.task_group = tasks
        self.number = next_global_id()
        self.auth_id = auth_id
        self.auth_methods = auth_methods
        self.identity = NO_IDENTITY
        # A subclass may do more on sending than the core does; then replies go through its methods.
        self.plain_sends = (type(self).send_raw is SessionCore.send_raw)

    @property
    def id(self):
        # A subclass may have forgotten to call __init__().
        return self.number or None

    @id.setter
    def id(self, number):
        self.number = number

    @property
    def tasks(self):
        """The session's AsyncTaskGroup."""
        # Most sessions never ask for it, so that the native transport makes one for who does.
        if self.task_group is None and self.outlet is not None:
            return self.outlet.session_tasks(self)
        return self.task_group

    @tasks.setter
    def tasks(self, group):
        self.task_group = group

    @property
    def is_open(self):
        """Whether WELCOME has been sent, no GOODBYE or ABORT since, and the client has not gone away."""
        # Requests that came before a loss are still handled, so that the state stays for these.
        return self.state == STATE_OPEN and not self.is_lost and (self.outlet is None or self.outlet.is_connected())

    @is_open.setter
    def is_open(self, bint value):
        if value:
            # What has ended, or has said GOODBYE, stays so.
            if self.state == STATE_OPENING or self.state == STATE_CLOSING and self.is_set_aside:
                self.state = STATE_OPEN
                self.is_set_aside = False
        elif self.state == STATE_OPEN:
            self.state = STATE_CLOSING
            self.is_set_aside = True

    # Item data

    def __getitem__(self, key):
        if self.data is None:
            raise KeyError(key)
        return self.data[key]

    def __setitem__(self, key, value):
        if self.data is None:
            self.data = {}
        self.data[key] = value

    def __delitem__(self, key):
        if self.data is None:
            raise KeyError(key)
        del self.data[key]

    def __len__(self):
        return 0 if self.data is None else len(self.data)

    def __iter__(self):
        return iter(() if self.data is None else self.data)

    def __bool__(self):
        # A session is not a container that counts as false while nothing is stored in it.
        return True

    # Subscriptions

    cdef TopicTable topic_table(self):
        """Return the table that the session's subscriptions are in: its realm's."""
        topics = getattr(self.realm, 'topics', None)
        if isinstance(topics, TopicTable):
            return <TopicTable> topics
        # In tests of an application's handlers the realm may be anything. Such a session has a table of its own.
        if self.own_topics is None:
            self.own_topics = TopicTable()
        return <TopicTable?> self.own_topics

    cdef Subscription find_subscription(self, object key):
        """Return the subscription for a topic (str), a pattern (topic, match) or an id (int), or None."""
        if self.sole_subscription is not None:
            return self.sole_subscription if self.sole_subscription.has_key(key) else None
        return None if self.subscriptions is None else <Subscription> self.subscriptions.get(key)

    cdef list own_subscriptions(self):
        """Return the subscriptions, in the order of subscribing."""
        if self.sole_subscription is not None:
            return [self.sole_subscription]
        return [subscription for key, subscription in (self.subscriptions or {}).items() if type(key) is not int]

    cdef Subscription add_subscription(self, str topic, str match):
        """Return the session's subscription, a new one if need be. Events for a new one are held."""
        cdef Subscription subscription = self.find_subscription(subscription_key(topic, match))
        if subscription is not None:
            return subscription
        subscription = self.topic_table().add(self, topic, match)
        self.pattern_count += match != 'exact'
        if self.sole_subscription is None and self.subscriptions is None:
            self.sole_subscription = subscription
            return subscription
        if self.subscriptions is None:
            self.subscriptions = {}
            self.enter_subscription(self.sole_subscription)
            self.sole_subscription = None
        self.enter_subscription(subscription)
        return subscription

    cdef int enter_subscription(self, Subscription subscription) except -1:
        cdef Topic topic = subscription.topic
        self.subscriptions[subscription_key(topic.uri, topic.match)] = subscription
        self.subscriptions[topic.number] = subscription
        return 0

    cdef Subscription drop_subscription(self, object number):
        """Forget a subscription and return it. Raises NoSuchSubscription."""
        cdef Subscription subscription = self.find_subscription(number)
        if subscription is None:
            raise NoSuchSubscription(f'The session has no subscription {number}.')
        if subscription is self.sole_subscription:
            self.sole_subscription = None
        else:
            del self.subscriptions[subscription_key(subscription.topic.uri, subscription.topic.match)]
            del self.subscriptions[subscription.topic.number]
            if not self.subscriptions:
                self.subscriptions = None
        self.pattern_count -= subscription.topic.match != 'exact'
        self.topic_table().remove(subscription)
        return subscription

    def subscribe(self, topic, match='exact'):
        """Return the id of the session's subscription to the topic, a new one if need be."""
        # A user's own connection may hand over members of an enumeration of strings.
        return self.add_subscription(plain_text(topic), plain_text(match)).topic.number

    def unsubscribe(self, number):
        """Forget a subscription. Raises NoSuchSubscription."""
        self.drop_subscription(number)

    def subscription_exit(self, number):
        """Return the handler whose teardown ends a subscription, or None; see set_subscription_exit()."""
        cdef Subscription subscription = self.find_subscription(number)
        return None if subscription is None else subscription.exit

    def set_subscription_exit(self, number, handler):
        """Keep the async iterator that is to be run to its end when the subscription ends."""
        cdef Subscription subscription = self.find_subscription(number)
        if subscription is None:
            raise NoSuchSubscription(f'The session has no subscription {number}.')
        subscription.exit = handler

    @property
    def has_subscriptions(self):
        return self.sole_subscription is not None or self.subscriptions is not None

    def subscription_exits(self):
        """Return the handlers whose teardown ends the subscriptions, in the order of subscribing."""
        cdef Subscription subscription
        return [subscription.exit for subscription in self.own_subscriptions() if subscription.exit is not None]

    def release_subscriptions(self):
        """Forget all subscriptions."""
        cdef Subscription subscription
        for subscription in self.own_subscriptions():
            self.drop_subscription(subscription.topic.number)

    def own_subscription_id(self, topic, match='exact'):
        """Return the id of the session's subscription to the topic, or None."""
        cdef Subscription subscription = self.find_subscription(subscription_key(topic, match))
        return None if subscription is None else subscription.topic.number

    def subscription_id_for_topic(self, topic):
        """Return the id of the session's subscription to the topic, or of the realm's, or None if nobody has one."""
        cdef Subscription subscription = self.find_subscription(topic)
        return self.topic_table().peek(topic) if subscription is None else subscription.topic.number

    cdef object call_later(self, double delay, object callback):
        """Have the async support call a function of the core's after `delay` seconds; return what prevents it."""
        if self.outlet is None:
            return self.dispatch.support.call_later(delay, callback)
        return self.outlet.run_apart(self.dispatch.support.call_later, (delay, callback))

    def own_context(self):
        """Return a new context for what is done for the session, whoever causes it, or None if it has none."""
        if self.context is not None:
            return PyContext_Copy(self.context)
        return None if self.outlet is None else self.outlet.own_context()

    def run_in_context(self, function, *args):
        """Call a function of the application that has no task to run in."""
        return function(*args) if self.outlet is None else self.outlet.run_in_session(self, function, args)

    # Sending

    cdef object emit(self, object message):
        """Send one message: return None when it is on its way, else an awaitable that sends it.

        Raises ConnectionClosed or SerializationError where that is known at once.
        """
        if self.state >= STATE_CLOSING:
            self.refuse_sending()
        if self.watches_answers and self.is_dropped(message):
            return None
        if self.outbox is not None and message and message[0] in ANSWERS:
            if self.outlet is None and self.takes_payloads():
                return self.emit_behind_events((<Codec?> self.connection.codec).encode_message(message))
            return self.emit_behind_events(message)
        return self.emit_now(message)

    cdef object emit_now(self, object message):
        """Send one message, whatever waits in the outbox; see emit()."""
        if self.outlet is None:
            if self.takes_payloads():
                return self.deliver((<Codec?> self.connection.codec).encode_message(message))
            awaitable = self.connection.send_msg(message)
            return None if awaitable is None else Delivery(self.deliveries, awaitable)
        self.outlet.put_payload(self.outlet.codec.encode_message(message))
        return None

    cdef object emit_behind_events(self, object item):
        """Send a message, or a payload (bytes), when what is in the outbox has been sent; see emit()."""
        cdef Answer answer = self.new_answer(item)
        if answer is None:
            return self.deliver(<bytes> item) if type(item) is bytes else self.emit_now(item)
        return answer

    cdef Answer new_answer(self, object item):
        """Return an Answer, or None where its turn can't be waited for."""
        cdef Answer answer
        # A session that was made for a test has no Dispatch, and not every support has events to wait for.
        support = None if self.dispatch is None else self.dispatch.support
        event = None if support is None else support.new_event()
        if event is None:
            return None
        answer = Answer.__new__(Answer)
        answer.session = self
        answer.item = item
        answer.turn = event
        return answer

    def wait_for_posted(self):
        return None if self.outbox is None else self.new_answer(NOTHING)

    cdef bint takes_payloads(self) except -1:
        """Return whether the connection, which is no Outlet, moves payloads past its methods for messages."""
        if self.deliveries is None:
            self.deliveries = Deliveries(self.connection)
        return self.deliveries.send_payload is not None

    cdef object deliver(self, bytes payload):
        """Return an awaitable that has a connection send a payload."""
        return new_payload_delivery(self.deliveries, payload)

    cdef bint is_dropped(self, object message) except -1:
        """Return whether a message answers a call that has been answered already."""
        if self.calls is None or len(message) < 3:
            return False
        if message[0] == RESULT:
            call = self.calls.get(message[1])
            is_final = message[2].get('progress') is not True
        elif message[0] == ERROR and message[1] == CALL:
            call = self.calls.get(message[2])
            is_final = True
        else:
            return False
        return call is not None and call.drops(is_final)

    cdef int refuse_sending(self) except -1:
        if self.state == STATE_CLOSING and self.is_set_aside:
            return 0
        # After GOODBYE nothing may follow, and code that still holds the session must not write into a later
        # session of the connection.
        raise ConnectionClosed(f'Session {self.id} has ended.')

    cdef object emit_result(self, object request_id, bint progress, object args, object kwargs):
        """Send RESULT (WAMP BP, "Calling"); see emit()."""
        if not self.plain_sends or self.watches_answers or self.outlet is None and not self.takes_payloads():
            details = {'progress': True} if progress else {}
            return self.emit_through(with_payload((RESULT, request_id, details), args, kwargs))
        if self.state >= STATE_CLOSING:
            self.refuse_sending()
        if self.outlet is None:
            payload = (<Codec?> self.connection.codec).encode_result(request_id, progress, args, kwargs)
            return self.deliver(payload) if self.outbox is None else self.emit_behind_events(payload)
        self.outlet.put_payload(self.outlet.codec.encode_result(request_id, progress, args, kwargs))
        # Of progress there may be any amount; of results, one for each call that was read.
        return self.outlet.wait_drained() if progress else None

    cdef object emit_error(self, int request_type, object request_id, object uri, object args, object kwargs):
        """Send ERROR (WAMP BP, "ERROR"); see emit()."""
        return self.emit_through(with_payload((ERROR, request_type, request_id, {}, uri), args, kwargs))

    cdef object emit_refusal(self, int request_type, object request_id, object uri, object sentence):
        """Send ERROR for a request that the server itself refuses, and say so to the log; see emit().

        Some clients show only positional values, others only the keyword `message`.
        """
        log_refusal(self, _NAMES[request_type], uri, sentence)
        return self.emit_error(request_type, request_id, uri, (sentence,), {'message': sentence})

    cdef object emit_through(self, object message):
        """Send by way of the class's own send_raw() where it has one."""
        return self.emit(message) if self.plain_sends else self.send_raw(message)

    cdef object emit_event(self, object topic, object args, object kwargs, object trust_level):
        """Send EVENT if the session is subscribed to the topic (WAMP BP, "Publishing"); see emit()."""
        cdef Subscription subscription = self.find_subscription(topic)
        cdef unsigned long long publication = next_global_id()
        # None for none, which spares nearly every event a dict.
        cdef dict details = None if trust_level is None else {'trustlevel': trust_level}
        if self.pattern_count:
            return self.emit_to_patterns(topic, publication, details, args, kwargs)
        if subscription is None:
            # A session that has ended has forgotten its subscriptions, and who sends to it is to forget the session.
            if self.state == STATE_ENDED:
                self.refuse_sending()
            if logger.isEnabledFor(DEBUG):
                logger.debug('An event for %s was not sent to %s, which is not subscribed to it.',
                             topic, session_name(self))
            return None
        return self.emit_to(subscription, publication, details, args, kwargs)

    cdef object emit_to(
        self, Subscription subscription, unsigned long long publication, dict details, object args, object kwargs
    ):
        """Send EVENT for one subscription; see emit()."""
        cdef unsigned long long number = subscription.topic.number
        if (
            subscription.held is None and self.outbox is None and self.state < STATE_CLOSING
            and (self.outlet is not None or self.plain_sends and self.takes_payloads())
        ):
            if self.outlet is None:
                return self.deliver((<Codec?> self.connection.codec).encode_event(
                    number, publication, details, args, kwargs))
            self.outlet.put_payload(self.outlet.codec.encode_event(number, publication, details, args, kwargs))
            return self.outlet.wait_drained()
        message = with_payload((EVENT, number, publication, {} if details is None else details), args, kwargs)
        if subscription.held is not None and self.state < STATE_CLOSING:
            subscription.held.append(message)
            return None
        if self.outbox is not None and self.state < STATE_CLOSING:
            # What was published before goes first, if need be now: who published it may have been kept from sending it.
            return self.empty_outbox() if self.post(subscription, message, None) else None
        return self.emit(message)

    cdef object emit_to_patterns(
        self, object topic, unsigned long long publication, dict details, object args, object kwargs
    ):
        """Send EVENT for each subscription that covers the topic; see emit()."""
        cdef Subscription subscription
        cdef str uri = plain_text(topic)
        cdef list work = []
        # An iterator gives its values once.
        args = as_arguments(args)
        kwargs = as_keywords(kwargs)
        for subscription in self.own_subscriptions():
            if not subscription.topic.covers(uri):
                continue
            known = details if subscription.topic.match == 'exact' else {**(details or {}), 'topic': uri}
            awaitable = self.emit_to(subscription, publication, known, args, kwargs)
            if awaitable is not None:
                work.append(awaitable)
        return InTurn(work) if len(work) > 1 else work[0] if work else None

    def send_event(self, topic, args=(), kwargs=None, trust_level=None):
        """Send an event to the client if it is subscribed to `topic`; await the result. See WAMPSession."""
        if isinstance(args, (str, bytes)):
            args = as_one_argument(args)
        return new_sending(self, topic, args, kwargs, trust_level)

    def send_raw(self, msg):
        """Send a ready message, a sequence whose first element is the message code; await the result."""
        return new_sending(self, RAW, msg, None, None)

    @property
    def is_congested(self):
        """Whether so much waits for the client to read that nothing more should be read from it."""
        return self.deliveries is not None and self.deliveries.are_too_many()

    def call_on_relief(self, callback):
        """Call a function, once, when half of what may wait for the client is on its way: now, if nothing waits."""
        if self.deliveries is None or self.deliveries.count == 0:
            callback()
        else:
            self.deliveries.reliefs.append(callback)

    cdef object wait_for_room(self):
        """Return None while the client reads what it is sent, else an awaitable of the time when it may again.

        The time may have passed again, so ask once more. Raises ConnectionClosed when it is awaited.
        """
        if self.outlet is not None:
            return self.outlet.wait_drained()
        if self.deliveries is None or not self.deliveries.are_too_many():
            return None
        event = None if self.dispatch.support is None else self.dispatch.support.new_event()
        if event is None:
            return None
        self.deliveries.reliefs.append(event.set)
        return event.wait()

    # Events on their way to a connection that is not an Outlet: nobody who publishes waits for it.

    cdef bint post(self, Subscription subscription, object event, object publication) except -1:
        """Put an event, a payload or a message, behind those that wait; return whether they need to be sent.

        Its publication is told where a message turns out to have no form; see note_unsent(). Without a subscription it
        is an Answer, whose turn comes behind them.
        """
        if self.outbox is None:
            self.outbox = deque()
        self.outbox.append((subscription, event, publication))
        return not self.is_posting

    def start_posting(self):
        """Take on what waits and return it, or None if somebody else is sending it; stop_posting() has to follow."""
        if self.is_posting or self.outbox is None:
            return None
        self.is_posting = True
        return self.outbox

    def next_posted(self):
        """Return the event to send next, a payload (bytes) or a message, or None if there is none."""
        cdef Subscription subscription
        while self.outbox and self.state < STATE_CLOSING:
            entry = <tuple> self.outbox.popleft()
            subscription = <Subscription> entry[0]
            if subscription is None:
                (<Answer?> entry[1]).take_turn()
                continue
            # Nothing may come for a subscription after UNSUBSCRIBED.
            if subscription.place != NO_PLACE:
                self.posted = entry[2]
                return entry[1]
        self.posted = None
        return None

    def note_unsent(self, error):
        """What next_posted() has returned has no form; returns whether it was published, and the publisher is told."""
        if self.posted is None:
            return False
        self.posted.note_failure(error)
        return True

    def stop_posting(self, outbox, bint keeps=False):
        """Nobody sends any more what start_posting() returned; what still waits is dropped, or kept for who comes next.

        No effect where that has been said before.
        """
        if outbox is self.outbox:
            self.outbox = self.outbox if keeps else None
            self.is_posting = False
            for subscription, item, _ in outbox or ():
                if subscription is None:
                    # Nobody would tell it any more that its turn has come.
                    (<Answer?> item).take_turn()

    def hold_events(self, number, messages):
        """Hold messages for a subscription, to be sent behind SUBSCRIBED and before all newer events."""
        cdef Subscription subscription = self.find_subscription(number)
        if subscription is not None:
            subscription.held = [*messages, *(subscription.held or ())]

    def take_held_events(self, number):
        """Return the events held for a subscription so far, and hold none from now on if there are none."""
        cdef Subscription subscription = self.find_subscription(number)
        if subscription is None or subscription.held is None:
            return ()
        events = subscription.held
        subscription.held = [] if events else None
        return events

    def holds_events(self, number):
        """Return whether events are held for a subscription."""
        cdef Subscription subscription = self.find_subscription(number)
        return subscription is not None and bool(subscription.held)

    def flush_output(self):
        """Write what was sent up to now, so that it is not in one write with what follows."""
        if self.outlet is not None:
            self.outlet.flush_output()

    # Opening and closing; the coroutines that send the messages are the public class's.

    def mark_open(self):
        """WELCOME is out."""
        if self.state == STATE_OPENING:
            self.state = STATE_OPEN
            if self.outlet is not None:
                self.outlet.session_opened()

    def mark_closing(self):
        """GOODBYE has been said by us, and the peer's is awaited."""
        if self.state in (STATE_OPENING, STATE_OPEN):
            self.state = STATE_CLOSING
            if self.outlet is not None and not self.peer_left:
                self.outlet.session_closing()

    def mark_ended(self):
        """Nothing can be sent any more."""
        self.state = STATE_ENDED
        self.abandoned = None
        self.mark_gone()
        if self.calls is not None:
            for call in list(self.calls.values()):
                call.caller_left()

    def mark_gone(self, bint is_lost=False):
        """The client leaves, and waits for no answers; with `is_lost` it has gone, and can't be told anything."""
        self.is_gone = True
        self.is_lost |= is_lost
        if self.calls is not None:
            for call in list(self.calls.values()):
                call.caller_leaves()

    @property
    def has_peer_left(self):
        return bool(self.peer_left)

    @property
    def has_ended(self):
        return self.state == STATE_ENDED

    @property
    def is_closing(self):
        return self.state == STATE_CLOSING and not self.is_set_aside

    @property
    def was_welcomed(self):
        return bool(self.welcomed)

    def mark_welcomed(self):
        """WELCOME is about to be sent; returns whether it had been before."""
        before = bool(self.welcomed)
        self.welcomed = True
        return before


def subscribe(TopicTable topics not None, SessionCore session not None, str topic, str match='exact'):
    return topics.add(session, topic, match)


cdef class Sending(Steps):
    """What send_event() and send_raw() return: awaiting it sends."""

    def __del__(self):
        # Python says the same of an `async def`: a forgotten `await` would lose the message without a word.
        if self.phase == STEPS_NEW:
            name = 'send_raw' if self.topic is RAW else 'send_event'
            warnings.warn(f"coroutine '{name}' was never awaited", RuntimeWarning, stacklevel=1, source=self)

    cdef object begin(self):
        if self.session is None:
            raise TypeError('What sends is made by send_event() and send_raw() of a session.')
        if self.topic is RAW:
            awaitable = self.session.emit(self.args)
            if self.session.outlet is None:
                return awaitable
            return self.session.outlet.wait_drained()
        return self.session.emit_event(self.topic, self.args, self.kwargs, self.trust_level)


cdef class Answer(Steps):
    """An answer behind the events in its session's outbox: they are sent first, as the native server does it.

    It waits for its own client only. The outbox is emptied, in order, by one task, and whoever ends that says so.
    """

    cdef object begin(self):
        if self.session is None:
            raise TypeError('An answer is made by the session that it is sent in.')
        # The client doesn't get to ask for more and more, as it wouldn't if the answer were being sent.
        self.count(1)
        return self.session.empty_outbox() if self.session.post(None, self, None) else self.turn.wait()

    cdef object returned(self, object value):
        if self.item is None:
            return None
        if not self.is_next:
            return self.turn.wait()
        item = self.item
        self.item = None
        self.count(-1)
        if item is NOTHING:
            return None
        if self.session.state >= STATE_CLOSING:
            self.session.refuse_sending()
        return self.session.deliver(<bytes> item) if type(item) is bytes else self.session.emit_now(item)

    cdef object raised(self, object error):
        if self.item is not None:
            self.item = None
            self.count(-1)
        raise error

    cdef int count(self, int step) except -1:
        if self.session.deliveries is None:
            # An Outlet has a measure of its own.
            return 0
        if step > 0:
            self.session.deliveries.count += 1
            return 0
        return self.session.deliveries.end_one(0)

    cdef int take_turn(self) except -1:
        """What was posted before has been sent, or never will be."""
        self.is_next = True
        self.turn.set()
        return 0


cdef Sending new_sending(SessionCore session, object topic, object args, object kwargs, object trust_level):
    cdef Sending sending = Sending.__new__(Sending)
    sending.session = session
    sending.topic = topic
    sending.args = args
    sending.kwargs = kwargs
    sending.trust_level = trust_level
    return sending
