from ..base.deadlines cimport DeadlineQueue
from ..framing.websocket cimport FrameReader
from ..session.outlets cimport Outlet

cdef class Hub:
    cdef readonly object loop
    cdef readonly object context    # the server's; only ever copied, so that nobody changes it
    cdef readonly set connections
    cdef readonly dict tasks        # by task, the session that it belongs to, or None
    cdef readonly double open_timeout
    cdef readonly double close_timeout
    cdef readonly size_t max_size
    cdef DeadlineQueue openings     # open_timeout and close_timeout from now
    cdef DeadlineQueue closings
    cdef public bint is_closing     # whether new connections are turned away
    cdef object negotiate
    cdef object emptied             # a future, once somebody waits for the last connection to go
    cdef object view                # the one memoryview that get_buffer() hands out
    cdef bytearray memory
    cdef unsigned char *buffer
    cdef FrameReader spare_reader   # of the connections, which rarely need one of their own between reads
    cdef list dirty
    cdef object waiting             # connections whose messages wait for a turn, in the order of their turns
    cdef int turn_left              # of a short turn's budget
    cdef int short_turns            # how many turns still are short
    cdef bint turn_scheduled
    cdef bint flush_scheduled
    cdef dict task_options          # what every task is made with
    cdef object forget_task
    cdef bint started_later         # whether the last task that was started has its first step on the next turn

    cdef FrameReader take_reader(self)
    cdef object own_context(self)
    cdef object run_apart(self, object function, tuple args)
    cdef object start_task(self, object coroutine, object context, object owner)
    cdef int note_lost(self) except -1
    cdef unsigned int visit_budget(self) noexcept
    cdef int spend(self, int count) except -1
    cdef int note_waiting_client(self) noexcept
    cdef int wait_for_turn(self, Outlet connection) except -1
    cdef int schedule_turn(self) except -1
    cdef int add_dirty(self, Outlet connection) except -1
