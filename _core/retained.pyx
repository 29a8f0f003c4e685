"""Retained events: the last one of each topic, for those who subscribe later (WAMP AP, "Event Retention")."""

from .publications cimport Publication
from .sessions cimport SessionCore
from .topics cimport Topic

cdef enum:
    RESTRICTED_LIMIT = 8    # events of one topic that not everybody may get, newer than the last one for all


cdef class RetainedEvents:
    """The retained events of a realm, of a limited number of topics.

    The last event that all subscribers would get is kept, and a few newer ones with restricted receivers: for each
    subscriber the newest counts that it would have got.
    """

    def __init__(self, size_t limit):
        self.limit = limit
        self.events = {}

    cdef bint keep(self, Publication publication) except -1:
        """Keep a publication; return whether there was room for its topic."""
        cdef list known = self.events.get(publication.topic), restricted
        if known is None and <size_t> len(self.events) >= self.limit:
            return False
        if known is None or not publication.audience.is_restricted:
            self.events[publication.topic] = [publication]
            return True
        known.append(publication)
        restricted = [earlier for earlier in known if is_restricted(earlier)]
        if len(restricted) > RESTRICTED_LIMIT:
            known.remove(restricted[0])
        return True

    cdef list find(self, SessionCore session, Topic topic):
        """Return the EVENTs for a session that has subscribed, one for each topic."""
        cdef list messages = []
        cdef Publication publication
        if topic.match == 'exact':
            candidates = [self.events.get(topic.uri, ())]
        else:
            candidates = [known for uri, known in self.events.items() if topic.covers(uri)]
        for known in candidates:
            for publication in reversed(known):
                if publication.audience.admits(session):
                    message = publication.build_retained(topic)
                    if message is not None:
                        messages.append(message)
                    break
        return messages

    def forget(self, topic):
        return self.events.pop(topic, None) is not None

    def __len__(self):
        return len(self.events)


cdef bint is_restricted(object publication) except -1:
    return (<Publication> publication).audience.is_restricted
