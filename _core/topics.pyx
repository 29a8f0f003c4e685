"""Subscription ids of a realm.

A topic together with its match policy has one id for all subscribers (WAMP BP, "Subscribing"). Ids count
from 1 and stay below 2**32, because a JavaScript MessagePack library writes larger integers as floats. They
live as long as somebody is subscribed, so that topics that come and go leave nothing behind.
"""

cdef enum:
    ID_LIMIT = 4294967296  # 2**32, written out: a shift would be done in a C int


cdef class TopicTable:
    """The realm's map from (topic, match policy) to subscription id, with a count of subscribers."""

    def __cinit__(self):
        self.ids = {}
        self.entries = {}
        self.last_id = 0

    cdef unsigned long long acquire_id(self, str topic, str match) except 0:
        """Return the id of the topic and count one more subscriber."""
        cdef tuple key = (topic, match)
        found = self.ids.get(key)
        if found is not None:
            entry = <list> self.entries[found]
            entry[1] = entry[1] + 1
            return found
        cdef unsigned long long number = self.last_id
        while True:
            number = number + 1 if number + 1 < ID_LIMIT else 1
            if number not in self.entries:
                break
        self.last_id = number
        self.ids[key] = number
        self.entries[number] = [key, 1]
        return number

    cdef int release_id(self, unsigned long long number) except -1:
        """Count one subscriber less; the last one takes the id with it. Unknown ids are none of our business."""
        entry = self.entries.get(number)
        if entry is None:
            return 0
        entry[1] = entry[1] - 1
        if entry[1] == 0:
            del self.entries[number]
            del self.ids[entry[0]]
        return 0

    def acquire(self, str topic not None, str match not None='exact'):
        return self.acquire_id(topic, match)

    def release(self, unsigned long long number):
        self.release_id(number)

    def peek(self, topic, match='exact'):
        return self.ids.get((topic, match))

    def __len__(self):
        return len(self.entries)
