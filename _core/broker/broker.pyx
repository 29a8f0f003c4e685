"""The broker of a realm: what happens with a PUBLISH, of a client or of the server itself.

Who may publish is decided by rules of the public layer; see serverwamp_fast.publishing.Broker, a Python subclass.
"""

import logging

from ..wire.messages cimport PUBLISH, PUBLISHED
from .publications cimport Audience, Publication
from .retained cimport RetainedEvents
from ..session.sessions cimport SessionCore
from ..session.topics cimport Subscription, TopicTable
from ..base.uris cimport is_reserved_uri
from serverwamp_fast.clients import log_refusal, session_name, shorten

logger = logging.getLogger('serverwamp_fast.broker')


cdef class BrokerCore:
    """What the core knows of a broker. A subclass has these methods:

    - find_publish_refusal(session, message) -> (the URI of an error, a sentence), None if it may be published, or an
      awaitable of either
    - decide_later(session, message, awaitable) -> a coroutine that goes on with decide()
    - finish(sessions, publisher, message, publication) -> a coroutine that empties the sessions' outboxes, and then
      calls conclude()
    """

    def __cinit__(self, *args, **kwargs):
        # A subclass may forget __init__(), and nothing asks afterwards.
        self.topics = TopicTable()
        self.retained = RetainedEvents(0)

    def __init__(self, TopicTable topics not None, size_t retained_limit):
        self.topics = topics
        self.retained = RetainedEvents(retained_limit)
        self.discloses_publishers = False
        self.incomplete = 0

    cdef object receive(self, SessionCore session, object message):
        """Handle a PUBLISH that was checked: return None, or an awaitable that has to end before the next message."""
        if is_reserved_uri(message[3]):
            return self.refuse(session, message, (
                'wamp.error.invalid_uri',
                f'{shorten(message[3])} can not be published to: topics that begin with wamp. are reserved.'))
        refusal = self.find_publish_refusal(session, message)
        if refusal is not None and not isinstance(refusal, tuple):
            return self.decide_later(session, message, refusal)
        return self.go_on(session, message, refusal)

    cdef object go_on(self, SessionCore session, object message, tuple refusal):
        """Publish, or refuse to; see receive()."""
        cdef object options = message[2]
        cdef Publication publication
        cdef dict details = {}
        cdef Py_ssize_t size = len(message)
        if refusal is not None:
            return self.refuse(session, message, refusal)
        if options.get('disclose_me') is True:
            if not self.discloses_publishers:
                return self.refuse(session, message, (
                    'wamp.error.option_disallowed.disclose_me',
                    'This realm discloses no publishers, because allow_publisher_disclosure() has not been called.'))
            authid, authrole = session.announced_identity()
            details = {'publisher': session.id, 'publisher_authid': authid, 'publisher_authrole': authrole}
        topic = message[3]
        publication = Publication(
            # A user's own connection may hand over members of an enumeration of strings.
            topic if type(topic) is str else str.__str__(topic),
            message[4] if size > 4 else None,
            message[5] if size > 5 else None,
            details,
            Audience(options, None if options.get('exclude_me') is False else session.id),
        )
        waiting = self.deliver(publication, options.get('retain') is True)
        if waiting:
            # The receivers come first: they must not depend on a publisher that has left or doesn't read.
            return self.finish(waiting, session, message, publication)
        return self.tell(session, message, publication)

    cdef object tell(self, SessionCore session, object message, Publication publication):
        """Answer a PUBLISH after its delivery, if the client waits for an answer. What not everybody could be sent is
        an error all the same, or goes to the log.
        """
        cdef str sentence
        failure = publication.failure
        # From now on it is too late for an answer.
        publication.broker = self
        if message[2].get('acknowledge') is not True:
            if failure is not None:
                self.log_incomplete(publication, f' (Published by {session_name(session)}.)')
            return None
        if failure is None:
            return session.emit_through((PUBLISHED, message[1], publication.number))
        self.count(publication)
        sentence = f'Not every subscriber got the event: {failure}'
        return session.emit_refusal(PUBLISH, message[1], 'wamp.error.invalid_argument', sentence)

    cdef int count(self, Publication publication) except -1:
        """Count, once, a publication that not every subscriber could be sent."""
        if not publication.is_counted:
            publication.is_counted = True
            self.incomplete += 1
        return 0

    cdef object refuse(self, SessionCore session, object message, tuple refusal):
        """Answer with ERROR, if the client waits for an answer (WAMP BP, "Publish ERROR")."""
        error_uri, sentence = refusal
        if message[2].get('acknowledge') is not True:
            # The log is the only place to learn of it.
            log_refusal(session, 'PUBLISH without acknowledge', error_uri, sentence)
            return None
        return session.emit_refusal(PUBLISH, message[1], error_uri, sentence)

    cdef list deliver(self, Publication publication, bint is_retained):
        if is_retained and not self.retained.keep(publication):
            logger.debug('An event for %.500r was not retained: there are as many as may be.', publication.topic)
        return publication.deliver(self.topics)

    def decide(self, SessionCore session not None, message, tuple refusal):
        """Go on with a PUBLISH when the rules have been asked; returns None or an awaitable."""
        return self.go_on(session, message, refusal)

    def conclude(self, SessionCore publisher not None, message, Publication publication not None):
        """Answer a PUBLISH after its delivery; returns None or an awaitable. Raises ConnectionClosed."""
        return self.tell(publisher, message, publication)

    def note_incomplete(self, Publication publication not None):
        """Count and log, once, what some subscriber could not be sent when it was too late to tell the publisher."""
        self.log_incomplete(publication, '')

    cdef int log_incomplete(self, Publication publication, str source) except -1:
        self.count(publication)
        if not publication.is_logged:
            publication.is_logged = True
            logger.warning('An event for %.500r did not reach everybody: %s%s',
                           publication.topic, publication.failure, source)
        return 0

    def send(self, Publication publication not None, bint is_retained):
        """Publish for the server; returns the sessions whose outbox has to be emptied before conclude_own()."""
        return self.deliver(publication, is_retained)

    def conclude_own(self, Publication publication not None):
        """Raise the SerializationError of what the server has published, if there is one."""
        publication.broker = self
        if publication.failure is not None:
            self.count(publication)
            raise publication.failure

    def find_retained(self, SessionCore session not None, number):
        """Return the EVENTs that a new subscriber gets, as messages."""
        cdef Subscription subscription = session.find_subscription(number)
        return [] if subscription is None else self.retained.find(session, subscription.topic)

    def note_unsent(self, event, error):
        """Count and log, once, that an EVENT of find_retained() has no form; returns whether it is one of those."""
        cdef Publication publication = self.retained.find_number(event[2])
        if publication is None:
            return False
        publication.note_failure(error)
        return True
