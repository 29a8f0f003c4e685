"""What a connection that is not an Outlet is taking: its `send_msg` coroutines, and how much is in them.

Such a connection (aiohttp, ASGI, a user's own) keeps its senders waiting while the client doesn't read. A client
that lets too much wait isn't read from, so that it doesn't get to ask for more.
"""

from cpython.bytes cimport PyBytes_GET_SIZE

from ..base.steps cimport Steps

cdef enum:
    COUNT_LIMIT = 64            # messages that may wait for the client to read
    SIZE_LIMIT = 256 * 1024     # their bytes, as far as the connection tells of them


cdef class Deliveries:
    """The messages of one session that its connection is taking."""

    def __cinit__(self, connection):
        self.connection = connection
        self.reliefs = []
        # Not what a mock says, which tests of an application may have for a connection.
        if getattr(connection, 'takes_payloads', False) is True:
            self.send_payload = connection.send_payload

    cdef bint are_too_many(self) except -1:
        return self.reach(COUNT_LIMIT, SIZE_LIMIT)

    cdef bint reach(self, int count, int size) except -1:
        """Whether there are so many messages, or bytes."""
        if self.count == 0:
            # What others send over the connection is theirs to wait for: nothing here would tell of its end.
            return False
        return self.count >= count or self.size + getattr(self.connection, 'unsent_size', 0) >= <size_t> size

    cdef int end_one(self, size_t size) except -1:
        """A message has been taken, or could not be sent."""
        self.count -= 1
        self.size -= size
        if self.reliefs and not self.reach(COUNT_LIMIT // 2 + 1, SIZE_LIMIT // 2 + 1):
            reliefs = self.reliefs
            self.reliefs = []
            for relief in reliefs:
                relief()
        return 0


cdef class Delivery(Steps):
    """One message that a connection takes: counts while the connection keeps the sender waiting."""

    def __cinit__(self, Deliveries deliveries not None, awaitable):
        self.deliveries = deliveries
        self.awaitable = awaitable

    cdef object begin(self):
        awaitable = self.awaitable
        self.awaitable = None
        self.deliveries.count += 1
        return awaitable

    cdef object returned(self, object value):
        self.deliveries.end_one(0)
        return None

    cdef object raised(self, object error):
        self.deliveries.end_one(0)
        raise error

    def close(self):
        # What has not begun still has what it was given.
        close = getattr(self.awaitable, 'close', None)
        self.awaitable = None
        if close is not None:
            close()
        Steps.close(self)


cdef class PayloadDelivery(Steps):
    """One payload that a connection takes; counts in the same way, and its bytes too."""

    cdef object begin(self):
        if self.deliveries is None:
            raise TypeError('What sends is made by send_event() and send_raw() of a session.')
        self.deliveries.count += 1
        self.deliveries.size += <size_t> PyBytes_GET_SIZE(self.payload)
        return self.deliveries.send_payload(self.payload)

    cdef object returned(self, object value):
        self.deliveries.end_one(<size_t> PyBytes_GET_SIZE(self.payload))
        return None

    cdef object raised(self, object error):
        self.deliveries.end_one(<size_t> PyBytes_GET_SIZE(self.payload))
        raise error


cdef PayloadDelivery new_payload_delivery(Deliveries deliveries, bytes payload):
    cdef PayloadDelivery delivery = PayloadDelivery.__new__(PayloadDelivery)
    delivery.deliveries = deliveries
    delivery.payload = payload
    return delivery


cdef class InTurn(Steps):
    """Awaits several awaitables, one after the other."""

    def __cinit__(self, list work):
        self.work = work[::-1]

    cdef object begin(self):
        return self.work.pop() if self.work else None

    cdef object returned(self, object value):
        return self.work.pop() if self.work else None

    cdef object raised(self, object error):
        for awaitable in self.work:
            if hasattr(awaitable, 'close'):
                awaitable.close()
        raise error
