"""One publication on its way to its receivers (WAMP BP, "Publishing and Events").

An event's own payload is written once for each serializer. Around it each codec builds one EVENT for each subscription
id, and the same bytes go to every connection. Nothing here waits: a connection that takes payloads has them in its
output afterwards, for all others they are posted in the session's outbox.
"""

import logging

from ..wire.subprotocols cimport Codec, as_arguments, as_keywords
from ..base.ids cimport next_global_id
from ..wire.messages cimport EVENT
from ..session.sessions cimport SessionCore, with_payload
from ..session.states cimport STATE_CLOSING
from ..session.topics cimport NO_PLACE, Subscription, Topic, TopicTable
from serverwamp_fast.clients import session_name
from serverwamp_fast.errors import ConnectionClosed, SerializationError

logger = logging.getLogger('serverwamp_fast.broker')


cdef object read_set(str name, object values, type kind):
    """Return an option's values as a set, or None where it is absent. Raises TypeError."""
    if values is None:
        return None
    if isinstance(values, (str, bytes)) or not hasattr(values, '__iter__'):
        raise TypeError(f'{name} is a collection, not {values!r:.100}.')
    found = frozenset(values)
    for value in found:
        if not isinstance(value, kind):
            raise TypeError(f'{name} holds values of type {kind.__name__}, and {value!r:.100} is none.')
    return found


cdef class Audience:
    """Which subscribers get an event (WAMP AP, "Subscriber Black- and Whitelisting", "Publisher Exclusion")."""

    def __init__(self, options, publisher=None):
        get = options.get
        self.publisher = publisher
        self.exclude = read_set('exclude', get('exclude'), int)
        self.exclude_authid = read_set('exclude_authid', get('exclude_authid'), str)
        self.exclude_authrole = read_set('exclude_authrole', get('exclude_authrole'), str)
        self.eligible = read_set('eligible', get('eligible'), int)
        self.eligible_authid = read_set('eligible_authid', get('eligible_authid'), str)
        self.eligible_authrole = read_set('eligible_authrole', get('eligible_authrole'), str)
        self.by_name = not (
            self.exclude_authid is None and self.exclude_authrole is None
            and self.eligible_authid is None and self.eligible_authrole is None
        )
        self.is_restricted = self.by_name or self.exclude is not None or self.eligible is not None

    cdef bint admits(self, SessionCore session) except -1:
        """Return whether the session gets the event if it is subscribed."""
        if self.publisher is not None and session.id == self.publisher:
            return False
        if not self.is_restricted:
            return True
        if self.exclude is not None and session.id in self.exclude:
            return False
        if self.eligible is not None and session.id not in self.eligible:
            return False
        if not self.by_name:
            return True
        authid, authrole = session.announced_identity()
        return not (
            self.exclude_authid is not None and authid in self.exclude_authid
            or self.exclude_authrole is not None and authrole in self.exclude_authrole
            or self.eligible_authid is not None and authid not in self.eligible_authid
            or self.eligible_authrole is not None and authrole not in self.eligible_authrole
        )


cdef class Publication:
    """An event that was published once, with one id for all its receivers.

    Its payload is read once, whatever it is made of. Raises SerializationError where it is none.
    """

    def __cinit__(self, str topic not None, args, kwargs, dict details not None, Audience audience not None):
        self.number = next_global_id()
        self.topic = topic
        self.args = as_arguments(args)
        self.kwargs = as_keywords(kwargs)
        self.details = details
        self.audience = audience

    def note_failure(self, error):
        """Keep the first SerializationError; what comes after the publisher has been told goes to the broker's log."""
        self.failure = self.failure or error
        if self.broker is not None:
            self.broker.note_incomplete(self)

    cdef dict details_for(self, Topic topic):
        """Return the event's details; a pattern's subscriber is told the topic (WAMP AP, "Pattern-based
        Subscription").
        """
        return self.details if topic.match == 'exact' else {**self.details, 'topic': self.topic}

    cdef list deliver(self, TopicTable topics):
        """Send the event to all who should get it; return the sessions whose outbox has to be emptied.

        What can't be serialized for some of them is kept in `failure`.
        """
        cdef list waiting = []
        self.written = {}
        for topic in topics.find_matching(self.topic):
            self.deliver_to(<Topic> topic, waiting)
        self.written = None
        return waiting

    cdef int deliver_to(self, Topic topic, list waiting) except -1:
        cdef Subscription subscription
        cdef SessionCore session
        cdef Codec codec, last = None
        cdef dict details = self.details_for(topic), payloads = {}
        cdef bytes payload = None
        cdef tuple message = None
        cdef bint is_direct
        # A copy: what a receiver's end leads to must not disturb the others.
        for subscription in topic.subscribers.copy():
            session = <SessionCore> subscription.session
            if subscription.place == NO_PLACE or session.state >= STATE_CLOSING or not self.audience.admits(session):
                continue
            is_direct = session.outlet is not None and session.plain_sends and session.outbox is None
            if subscription.held is None and (is_direct or takes_payloads(session)):
                codec = session.outlet.codec if is_direct else session.connection.codec
                if codec is not last:
                    last = codec
                    if codec not in payloads:
                        payloads[codec] = self.encode(codec, topic, details)
                    payload = payloads[codec]
                if payload is None:
                    continue
                if is_direct:
                    put_event(session, payload)
                elif session.post(subscription, payload, None):
                    waiting.append(session)
                continue
            if subscription.held is not None and not self.has_form_for(session):
                continue
            if message is None:
                message = self.build_message(topic.number, details)
            if message is not None and subscription.held is not None:
                subscription.held.append(message)
            elif message is not None and session.post(subscription, message, self):
                waiting.append(session)
        return 0

    cdef bint has_form_for(self, SessionCore session) except -1:
        """Return whether the session's serializer can write the payload, where that is known before it is sent."""
        cdef Codec codec = codec_of(session)
        if codec is None:
            return True
        if self.written is not None:
            return self.write_payload(codec) is not None
        kind = type(codec)
        if self.forms is None:
            self.forms = {}
        if kind not in self.forms:
            # Not again for every subscriber.
            self.written = {}
            self.forms[kind] = self.write_payload(codec) is not None
            self.written = None
        return self.forms[kind]

    cdef tuple write_payload(self, Codec codec):
        """Return (args, kwargs) as bytes for the codecs of a class, which all write values in the same way; None where
        they can't be written.
        """
        kind = type(codec)
        if kind not in self.written:
            # Not again where it fails.
            self.written[kind] = None
            try:
                self.written[kind] = (
                    codec.write_arguments(self.args, self.kwargs), codec.write_keywords(self.kwargs))
            except SerializationError as error:
                self.note_failure(error)
        return self.written[kind]

    cdef bytes encode(self, Codec codec, Topic topic, dict details):
        """Return the EVENT as a codec writes it, or None where it can't be serialized."""
        cdef tuple payload = self.write_payload(codec)
        if payload is None:
            return None
        try:
            return codec.join_event(topic.number, self.number, details if details else None, payload[0], payload[1])
        except SerializationError as error:
            self.note_failure(error)
            return None

    cdef tuple build_message(self, unsigned long long subscription, dict details):
        """Return the EVENT, or None if its payload is of no use in any serializer."""
        try:
            return with_payload((EVENT, subscription, self.number, details), self.args, self.kwargs)
        except SerializationError as error:
            self.note_failure(error)
            return None

    cdef tuple build_retained(self, Topic topic):
        """Return the EVENT for somebody who subscribed later (WAMP AP, "Event Retention")."""
        return self.build_message(topic.number, {**self.details_for(topic), 'retained': True})


cdef bint takes_payloads(SessionCore session) except -1:
    """Return whether a connection that is no Outlet takes what was encoded here: nobody wants to see the message."""
    return (
        session.plain_sends and session.outlet is None
        and getattr(session.connection, 'takes_payloads', False) is True
    )


cdef Codec codec_of(SessionCore session):
    """Return what a session's messages are written with; None where that is the connection's own or a subclass's."""
    if session.outlet is not None:
        return session.outlet.codec if session.plain_sends else None
    return session.connection.codec if takes_payloads(session) else None


cdef int put_event(SessionCore session, bytes payload) except -1:
    """Put a payload into a connection's output. A receiver that is gone is no concern of the others."""
    try:
        session.outlet.put_payload(payload)
    except ConnectionClosed:
        pass
    except Exception:
        logger.exception('An event could not be sent to %s.', session_name(session))
    return 0
