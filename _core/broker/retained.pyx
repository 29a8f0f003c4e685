"""Retained events: the last ones of each topic, for those who subscribe later (WAMP AP, "Event Retention")."""

from .publications cimport Publication
from ..session.sessions cimport SessionCore
from ..session.topics cimport Topic

cdef enum:
    RESTRICTED_LIMIT = 8    # events of one topic that not everybody may get


cdef class RetainedEvents:
    """The retained events of a realm, of a limited number of topics.

    For each subscriber the newest one counts that it would have got. Of each topic the last event for all is kept. A
    publisher doesn't get its own, so that for this one the last event for all by somebody else is kept as well. Of
    those with restricted receivers only a few newer ones are.
    """

    def __init__(self, size_t limit):
        self.limit = limit
        self.events = {}

    cdef bint keep(self, Publication publication) except -1:
        """Keep a publication; return whether there was room for its topic."""
        cdef list known = self.events.get(publication.topic), restricted
        if known is None:
            if <size_t> len(self.events) >= self.limit:
                return False
            known = []
        elif not publication.audience.is_restricted:
            known = still_wanted(known, publication.audience.publisher)
        known.append(publication)
        self.events[publication.topic] = known
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
                    # An older one in its place would be out of date.
                    message = publication.build_retained(topic) if publication.has_form_for(session) else None
                    if message is not None:
                        messages.append(message)
                    break
        return messages

    cdef Publication find_number(self, object number):
        """Return the retained publication with an id, or None."""
        cdef Publication publication
        for known in self.events.values():
            for publication in known:
                if publication.number == number:
                    return publication
        return None

    def forget(self, topic):
        return self.events.pop(topic, None) is not None

    def __len__(self):
        return len(self.events)


cdef list still_wanted(list known, object publisher):
    """Return the events that a newer one for all but its publisher leaves of use: those that this one may get."""
    cdef list wanted = []
    cdef Publication earlier
    if publisher is None:
        return wanted
    for earlier in reversed(known):
        if earlier.audience.publisher == publisher:
            continue
        wanted.append(earlier)
        if not earlier.audience.is_restricted:
            break
    return wanted[::-1]


cdef bint is_restricted(object publication) except -1:
    return (<Publication> publication).audience.is_restricted
