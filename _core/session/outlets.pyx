"""Where a session's messages leave the core when no event loop is needed for it: the native transport's side.

A connection that is not an Outlet (aiohttp, ASGI, a user's own) is written to through its `send_msg` coroutine.
"""


cdef class Outlet(Timed):
    """Base of connections that take a payload at once and write it later, coalesced with others."""

    cdef int put_payload(self, bytes payload) except -1:
        """Append one WebSocket message to the output. Raises ConnectionClosed when the transport is closed."""
        raise NotImplementedError(f'{type(self).__name__} does not take payloads.')

    cdef int flush_output(self) except -1:
        """Hand the output to the event loop's transport."""
        return 0

    cdef int take_turn(self) except -1:
        """Go on with messages that had to wait for the hub's turn to come round."""
        return 0

    cdef object wait_drained(self):
        """Return None while the output flows, else an awaitable that ends when it flows again."""
        return None

    cdef object run_apart(self, object function, tuple args):
        """Call a function that gives something to the loop, in a context that no user's task has set anything in."""
        return function(*args)

    cdef object own_context(self):
        """Return a new context that no user's task has set anything in, or None."""
        return None

    cdef object run_in_session(self, object session, object function, tuple args):
        """Call a function of the application, outside of a task, in a session's own context."""
        return function(*args)

    cdef bint is_connected(self) noexcept:
        """Whether the peer has not gone away."""
        return True

    cdef object session_tasks(self, object session):
        """Return the AsyncTaskGroup of a session that was given none."""
        return None

    cdef int session_opened(self) except -1:
        """WELCOME is out: the time for opening a session ends."""
        return 0

    cdef int session_closing(self) except -1:
        """The server has said GOODBYE: expect the peer's within the grace time, then close."""
        return 0
