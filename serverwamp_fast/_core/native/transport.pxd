from cpython.object cimport PyObject

from ..base.deadlines cimport Deadline, DeadlineQueue
from ..framing.websocket cimport FrameReader
from .hubs cimport Hub
from ..session.outlets cimport Outlet

cdef enum SocketState:
    SOCKET_HANDSHAKE = 0    # the HTTP request is being read
    SOCKET_OPEN = 1
    SOCKET_CLOSING = 2      # our Close frame is out, the peer's is awaited
    SOCKET_FAILED = 3       # the peer broke the protocol: what it sends is thrown away until it leaves
    SOCKET_CLOSED = 4

cdef class WebSocketTransport(Outlet):
    cdef readonly Hub hub
    cdef readonly object transport
    cdef bytes own_head             # the HTTP request, or what others don't have in it
    cdef tuple shared_head          # the rest, and the offset that its own part belongs at; None for no rest
    cdef FrameReader reader         # while a message is under way, and once nothing more is read
    cdef bytes backlog              # what a read brought and the budget left over
    cdef Deadline deadline
    cdef list drain_waiters
    cdef PyObject *out              # a bytes object under construction, seen by nobody else
    cdef size_t out_used
    # Of connections there are very many, so these are bytes where they can be.
    cdef unsigned short budget
    cdef unsigned short full_budget     # what it started with
    cdef unsigned char state            # a SocketState
    cdef unsigned char corked
    cdef unsigned char writing_paused
    cdef unsigned char reading_paused
    cdef unsigned char resume_scheduled
    cdef unsigned char awaits_turn      # whether the hub has it down for take_turn()
    cdef unsigned char awaits_steps     # whether tasks were started that have not had their first step
    cdef unsigned char is_disconnected

    cdef int on_open(self, object subprotocol) except -1
    cdef int on_message(self, bint is_text, unsigned char *data, size_t size) except -1
    cdef int on_peer_close(self, unsigned int code) except -1
    cdef int on_deadline(self) except -1
    cdef int on_lost(self) except -1
    cdef int on_all_read(self) except -1
    cdef bint is_busy(self) noexcept
    cdef bint is_unfinished(self) noexcept
    cdef int on_resume(self) except -1
    cdef int on_turn(self) except -1

    cdef int lose(self) except -1
    cdef object name_client(self)
    cdef int leave(self) except -1
    cdef int wake_waiters(self, object error) except -1
    cdef int process(self, unsigned char *data, size_t size) except -1
    cdef int read_head(self, unsigned char *data, size_t size) except -1
    cdef int share_head(self, tuple shared) except -1
    cdef int read_frames(self, unsigned char *data, size_t size) except -1
    cdef int pump(self) except -1
    cdef int handle_event(self, int event) except -1
    cdef int set_aside(self) except -1
    cdef bint is_stopped(self) noexcept
    cdef int schedule_resume(self) except -1
    cdef int go_on(self) except -1
    cdef int start_budget(self) except -1
    cdef int settle_budget(self) except -1
    cdef int update_reading(self) except -1
    cdef int reserve(self, size_t size) except -1
    cdef int put_data(self, int opcode, bytes payload) except -1
    cdef int put_frame(self, int opcode, const unsigned char *data, size_t size) except -1
    cdef int flush_apart(self) except -1
    cdef bytes take_output(self)
    cdef int begin_close(self, unsigned int code, bytes reason) except -1
    cdef int close_transport(self) except -1
    cdef int abort_transport(self) except -1
    cdef int answer_close(self, unsigned int code) except -1
    cdef int fail(self, unsigned int code, bytes reason) except -1
    cdef int end_output(self) except -1
    cdef int arm_timer(self, DeadlineQueue deadlines) except -1
    cdef int disarm_timer(self) except -1
