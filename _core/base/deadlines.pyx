"""The deadlines of connections, nearly none of which is ever reached.

A timer of the loop for each costs more than what it waits for. All deadlines of one length come in the order in which
they were set, so that one timer serves them all: it waits for the first one.
"""

import logging
from collections import deque

from cpython.contextvars cimport PyContext_Copy

from serverwamp_fast.clients import client_name

logger = logging.getLogger('serverwamp_fast.transport')


cdef class Timed:
    """Base of what deadlines are set for: a connection, as a rule."""

    cdef int time_is_up(self) except -1:
        """A deadline that was set for it has come."""
        return 0


cdef class Deadline:
    """The end of the time that a connection has for something."""

    cdef int cancel(self) except -1:
        """The time doesn't matter any more."""
        if self.connection is not None:
            self.connection = None
            self.queue.note_cancelled()
        return 0


cdef class DeadlineQueue:
    """The deadlines that are `length` seconds away when they are set.

    Whoever sets the first one starts the timer for all, and may be the task of a user: the timer runs in a copy of
    `context`.
    """

    def __init__(self, loop, double length, context):
        self.loop = loop
        self.context = context
        self.length = length
        self.deadlines = deque()

    cdef Deadline set_for(self, Timed connection):
        """Have time_is_up() of the connection called, unless the deadline is cancelled before."""
        cdef Deadline deadline = Deadline.__new__(Deadline)
        deadline.queue = self
        deadline.connection = connection
        deadline.when = self.loop.time() + self.length
        self.drop_cancelled()
        self.deadlines.append(deadline)
        self.count += 1
        if self.timer is None:
            self.start_timer(self.length)
        return deadline

    cdef int start_timer(self, double delay) except -1:
        self.timer = self.loop.call_later(delay, self.expire, context=PyContext_Copy(self.context))
        return 0

    cdef int note_cancelled(self) except -1:
        self.count -= 1
        if self.count == 0:
            # Nothing of a server that has ended stays with the loop.
            self.deadlines.clear()
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None
        return 0

    cdef int drop_cancelled(self) except -1:
        """Forget the cancelled ones that are first."""
        while self.deadlines and (<Deadline> self.deadlines[0]).connection is None:
            self.deadlines.popleft()
        return 0

    def expire(self):
        """Tell the connections whose time is up, and wait for the next one's."""
        cdef Deadline first
        cdef Timed connection
        self.timer = None
        now = self.loop.time()
        try:
            while True:
                self.drop_cancelled()
                if not self.deadlines:
                    return
                first = <Deadline> self.deadlines[0]
                if first.when > now:
                    return
                self.deadlines.popleft()
                connection = first.connection
                first.connection = None
                self.count -= 1
                try:
                    connection.time_is_up()
                except Exception:
                    logger.exception('The end of the time of %s was not handled.', client_name(connection))
        finally:
            if self.deadlines and self.timer is None:
                self.start_timer((<Deadline> self.deadlines[0]).when - now)
