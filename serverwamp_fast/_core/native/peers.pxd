from ..session.sessions cimport SessionCore
from .transport cimport WebSocketTransport

cdef class WAMPPeer(WebSocketTransport):
    cdef readonly object server     # what opens and ends sessions; see adapters/native.py
    cdef SessionCore session
    cdef object job                 # the task whose end the next message waits for
    cdef object held                # a deque of (item, size) that wait: messages, errors, a PeerClose
    cdef object opener              # the future that the job waits for, if it wants the next message itself
    cdef object inbox               # where the application reads for itself: the deque that next_item() empties
    cdef object inbox_waiter
    cdef size_t held_size

    cdef bint is_early(self, object item) noexcept
    cdef bint is_over(self) noexcept
    cdef bint give_up_opening(self) except -1
    cdef bint is_abort_of_opening(self, object item) except -1
    cdef int note_leaving(self) except -1
    cdef int take(self, object item, size_t size) except -1
    cdef int handle(self, object item) except -1
    cdef int handle_hello(self, object message) except -1
    cdef int run_in_order(self, object coroutine) except -1
    cdef int job_ended(self, object task) except -1
    cdef int drop_plain_context(self, SessionCore session) except -1
    cdef int give_to_opener(self, object item) except -1
    cdef int drain_held(self) except -1
    cdef int end_session(self) except -1
    cdef int refuse(self, object uri, str text, int level=*, object failure=*) except -1
    cdef int wake_consumer(self) except -1
    cdef int put_message(self, object message) except -1
