from .frames cimport FrameReader
from .outlets cimport Outlet

cdef class Hub:
    cdef readonly object loop
    cdef readonly set connections
    cdef readonly dict tasks        # by task, the session that it belongs to, or None
    cdef readonly double open_timeout
    cdef readonly double close_timeout
    cdef readonly size_t max_size
    cdef public bint is_closing     # whether new connections are turned away
    cdef object negotiate
    cdef object emptied             # a future, once somebody waits for the last connection to go
    cdef object view                # the one memoryview that get_buffer() hands out
    cdef bytearray memory
    cdef unsigned char *buffer
    cdef FrameReader spare_reader   # of the connections, which rarely need one of their own between reads
    cdef list dirty
    cdef bint flush_scheduled
    cdef dict task_options          # what every task is made with
    cdef object forget_task
    cdef bint started_later         # whether the last task that was started has its first step on the next turn

    cdef FrameReader take_reader(self)
    cdef object start_task(self, object coroutine, object context, object owner)
    cdef int note_lost(self) except -1
    cdef int add_dirty(self, Outlet connection) except -1
