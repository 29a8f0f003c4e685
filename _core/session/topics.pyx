"""Who is subscribed to what in a realm, and which subscriptions a topic reaches.

A topic together with its match policy has one id for all subscribers (WAMP BP, "Subscribing"). Ids count
from 1 and stay below 2**32, because a JavaScript MessagePack library writes larger integers as floats. They
live as long as somebody is subscribed, so that topics that come and go leave nothing behind.

Patterns are looked up by what distinguishes them from a topic's text: prefixes by their length, wildcards by
which of their components are empty. Ten thousand patterns of the same shape cost what one costs.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.unicode cimport PyUnicode_GET_LENGTH, PyUnicode_Substring

cdef enum:
    ID_LIMIT = 4294967296  # 2**32, written out: a shift would be done in a C int


cdef class Topic:
    """What sessions subscribe to: a topic, or a pattern of topics."""

    def __cinit__(self, str uri, str match, unsigned long long number):
        self.uri = uri
        self.match = match
        self.number = number
        self.dots = uri.count('.') if match == 'wildcard' else 0
        self.subscribers = []

    cdef bint covers(self, str uri) except -1:
        """Return whether a publication to `uri` is for the subscribers."""
        if self.match == 'prefix':
            return uri.startswith(self.uri)
        if self.match == 'wildcard':
            # Clients choose the pattern: a long one must not be taken apart for each topic.
            return uri.count('.') == self.dots and is_like(uri.split('.'), self.uri.split('.'))
        return uri == self.uri


cdef bint is_like(list parts, list pattern) except -1:
    """Return whether a topic's components are those of a wildcard pattern with as many; empty ones stand for any."""
    for wanted, part in zip(pattern, parts):
        if wanted and wanted != part:
            return False
    return True


cdef class Subscription:
    """One subscription of one session."""

    def __cinit__(self, object session, Topic topic):
        self.session = session
        self.topic = topic
        # Clients reject events for a subscription whose SUBSCRIBED they have not seen.
        self.held = []
        self.exit = None
        self.place = NO_PLACE

    cdef bint has_key(self, object key) except -1:
        """Return whether it is the subscription for a topic (str), a pattern (topic, match) or an id (int)."""
        if isinstance(key, str):
            return self.topic.match == 'exact' and key == self.topic.uri
        if isinstance(key, tuple):
            return key == (self.topic.uri, self.topic.match)
        return key == self.topic.number


cdef tuple wildcard_shape(str pattern):
    """Return (number of components, for each of them a byte that says whether it is empty)."""
    cdef list parts = pattern.split('.')
    return len(parts), bytes([not part for part in parts])


cdef class TopicTable:
    """The realm's subscriptions, by topic and match policy."""

    def __cinit__(self):
        self.exact = {}
        self.prefixes = {}
        self.wildcards = {}
        self.lengths = {}
        self.shapes = {}
        self.numbers = {}
        self.last_id = 0

    cdef dict find_table(self, str match):
        if match == 'exact':
            return self.exact
        if match == 'prefix':
            return self.prefixes
        if match == 'wildcard':
            return self.wildcards
        raise ValueError(f'A topic is matched exact, prefix or wildcard, not {match!r}.')

    cdef Subscription add(self, object session, str uri, str match):
        """Return a new subscription of the session."""
        cdef dict table = self.find_table(match)
        cdef Topic topic = <Topic> table.get(uri)
        if uri is None:
            raise TypeError('A topic is a str, not None.')
        if topic is None:
            topic = Topic(uri, match, self.next_id())
            table[uri] = topic
            self.numbers[topic.number] = topic
            self.note_shape(topic, 1)
        subscription = Subscription(session, topic)
        subscription.place = len(topic.subscribers)
        topic.subscribers.append(subscription)
        return subscription

    cdef int remove(self, Subscription subscription) except -1:
        """Take a subscription out; the last one takes its topic with it. Once more has no effect."""
        cdef Topic topic = subscription.topic
        cdef Subscription last
        if subscription.place == NO_PLACE:
            return 0
        # The order of subscribers means nothing, so the last one fills the gap.
        last = <Subscription> topic.subscribers.pop()
        if last is not subscription:
            topic.subscribers[subscription.place] = last
            last.place = subscription.place
        subscription.place = NO_PLACE
        if not topic.subscribers:
            del self.find_table(topic.match)[topic.uri]
            del self.numbers[topic.number]
            self.note_shape(topic, -1)
        return 0

    cdef unsigned long long next_id(self) except 0:
        cdef unsigned long long number = self.last_id
        while True:
            number = number + 1 if number + 1 < ID_LIMIT else 1
            if number not in self.numbers:
                break
        self.last_id = number
        return number

    cdef int note_shape(self, Topic topic, int step) except -1:
        """Count one pattern more or less of its shape."""
        cdef dict counts
        if topic.match == 'exact':
            return 0
        if topic.match == 'prefix':
            counts = self.lengths
            shape = len(topic.uri)
        else:
            size, shape = wildcard_shape(topic.uri)
            counts = self.shapes.setdefault(size, {})
        counts[shape] = counts.get(shape, 0) + step
        if counts[shape] == 0:
            del counts[shape]
            if topic.match == 'wildcard' and not counts:
                del self.shapes[size]
        return 0

    cdef list find_matching(self, str uri):
        """Return all Topics that a publication to `uri` is for."""
        cdef list found = [], parts, masked
        cdef Py_ssize_t size, index
        cdef const char *is_empty
        topic = self.exact.get(uri)
        if topic is not None:
            found.append(topic)
        if self.prefixes:
            size = PyUnicode_GET_LENGTH(uri)
            for length in self.lengths:
                if <Py_ssize_t> length <= size:
                    topic = self.prefixes.get(PyUnicode_Substring(uri, 0, length))
                    if topic is not None:
                        found.append(topic)
        if self.wildcards:
            parts = uri.split('.')
            size = len(parts)
            for shape in self.shapes.get(size, ()):
                is_empty = PyBytes_AS_STRING(shape)
                masked = parts.copy()
                for index in range(size):
                    if is_empty[index]:
                        masked[index] = ''
                topic = self.wildcards.get('.'.join(masked))
                if topic is not None:
                    found.append(topic)
        return found

    def unsubscribe(self, Subscription subscription not None):
        self.remove(subscription)

    def peek(self, topic, match='exact'):
        cdef Topic found = <Topic> self.find_table(match).get(topic)
        return None if found is None else found.number

    def matching(self, str uri not None):
        cdef Topic topic
        return [topic.number for topic in self.find_matching(uri)]

    def __len__(self):
        return len(self.numbers)
