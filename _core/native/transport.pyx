"""The native transport: WebSocket over asyncio's and uvloop's BufferedProtocol (RFC 6455).

What a read leads to is written at its end in one go; what is sent at other times is written once per turn of
the loop. An idle connection holds neither a task nor a buffer.

The loop's transport remembers the context in which it is told something. Wherever that may happen in a user's task, it
is told by Hub.run_apart(), in the hub's own context. At the end of a read or turn no task runs: there it is told
directly.
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.string cimport memcpy

from ..base.deadlines cimport DeadlineQueue
from ..framing.websocket cimport (
    FRAME_BINARY, FRAME_CLOSE, FRAME_FAILED, FRAME_HEADER_MAX, FRAME_NEED_DATA, FRAME_PING, FRAME_PONG, FRAME_TEXT,
    FrameReader, frame_write_header,
)
from .hubs cimport Hub
from ..session.outlets cimport Outlet
from serverwamp_fast.clients import address_name, client_name
from serverwamp_fast.errors import ConnectionClosed

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **object, Py_ssize_t size) except -1
    PyObject *allocate_bytes "PyBytes_FromStringAndSize" (const char *data, Py_ssize_t size) except NULL
    char *bytes_data "PyBytes_AS_STRING" (PyObject *object) noexcept
    Py_ssize_t bytes_capacity "PyBytes_GET_SIZE" (PyObject *object) noexcept

logger = logging.getLogger('serverwamp_fast.transport')
handshake_logger = logging.getLogger('serverwamp_fast.handshake')

cdef enum:
    HEAD_LIMIT = 16 * 1024      # an HTTP request of a browser with many cookies is below this
    FIRST_ROOM = 256
    LARGE_PAYLOAD = 32 * 1024   # handed to the transport as it is instead of being copied
    UNPAUSED_BACKLOG = 16 * 1024    # what may be set aside without reading being paused
    FLUSH_SIZE = 64 * 1024      # output that is not kept for the end of the read or turn


cdef size_t cut_text(bytes text, size_t limit) noexcept:
    """Return how many bytes of UTF-8 text fit below the limit without a character being cut."""
    cdef const unsigned char *data = <const unsigned char *> PyBytes_AS_STRING(text)
    cdef size_t size = <size_t> PyBytes_GET_SIZE(text)
    if size <= limit:
        return size
    size = limit
    while size > 0 and data[size] & 0xC0 == 0x80:
        size -= 1
    return size


cdef object reason_of(bytes response):
    """Return what an HTTP response says in its body, which HEAD doesn't get."""
    return response.partition(b'\r\n\r\n')[2].decode(errors='replace').strip()


def _raise_in_loop(error):
    raise error


cdef class WebSocketTransport(Outlet):
    """A server's side of one WebSocket connection; subclasses say what a message means.

    A Python subclass adds asyncio.BufferedProtocol as a second base, for the loop to recognize it.
    """

    def __cinit__(self, Hub hub not None, *args, **kwargs):
        self.hub = hub
        self.out = NULL
        self.state = SOCKET_HANDSHAKE

    def __dealloc__(self):
        Py_XDECREF(self.out)

    def __init__(self, Hub hub not None):
        self.own_head = b''

    # What subclasses decide

    cdef int on_open(self, object subprotocol) except -1:
        """The opening handshake is done."""
        return 0

    cdef int on_message(self, bint is_text, unsigned char *data, size_t size) except -1:
        """One whole message; the memory is only valid during the call. Takes what it costs off the budget."""
        return 0

    cdef int on_peer_close(self, unsigned int code) except -1:
        """The peer sent Close in an open connection; answer it now or later, by answer_close()."""
        return self.answer_close(code)

    cdef int on_deadline(self) except -1:
        """The time for opening is over, in an open WebSocket connection."""
        return 0

    cdef int on_lost(self) except -1:
        """The connection is gone. Messages may be left in the backlog."""
        return 0

    cdef int on_all_read(self) except -1:
        """The connection is gone, and the backlog has been dealt with."""
        return 0

    cdef bint is_busy(self) noexcept:
        """Whether messages are waiting, so that nothing more should be read."""
        return False

    cdef bint is_unfinished(self) noexcept:
        """Whether messages are left to be handled although the connection is lost; leave() is called after them."""
        return False

    cdef int on_resume(self) except -1:
        """A new turn of the loop: what was scheduled before has run."""
        return 0

    cdef int on_turn(self) except -1:
        """Deal with messages that wait, before more is read."""
        return 0

    # Called by the event loop

    def connection_made(self, transport):
        self.transport = transport
        self.hub.connections.add(self)
        self.arm_timer(self.hub.openings)
        if self.hub.is_closing:
            # Accepted in the turn in which the server was closed.
            self.begin_close(1001, b'')

    def get_buffer(self, Py_ssize_t size_hint):
        if self.backlog is None:
            return self.hub.view
        # What is read is put behind it, and both have to fit when it is its turn.
        return self.hub.view[:len(self.hub.view) - len(self.backlog)]

    def buffer_updated(self, Py_ssize_t size):
        cdef Py_ssize_t room = len(self.hub.view)
        if self.backlog is not None:
            room -= PyBytes_GET_SIZE(self.backlog)
        if self.corked or not 0 <= size <= room:
            # No loop does that, but everybody can call this. Memory that is being read from would be read again.
            raise RuntimeError(f'get_buffer() comes first, for {size} bytes, and not while messages are handled.')
        try:
            self.process(self.hub.buffer, <size_t> size)
        except (KeyboardInterrupt, SystemExit) as error:
            # A handler ends the program in its first step. asyncio would let that through, but uvloop would take it
            # for a failure of this connection and go on.
            self.hub.loop.call_soon(_raise_in_loop, error, context=self.hub.own_context())

    def eof_received(self):
        # A peer that ends its half is gone. The loop closes the transport once what was written before is out, which
        # a peer that doesn't read either can't put off for ever.
        self.flush_output()
        self.lose()
        self.arm_timer(self.hub.closings)

    def connection_lost(self, error):
        self.is_disconnected = True
        self.disarm_timer()
        self.lose()
        self.leave()

    cdef int lose(self) except -1:
        """Take it that the peer is gone; once."""
        if self.state == SOCKET_CLOSED:
            return 0
        if self.state != SOCKET_OPEN:
            # Nothing counted any more.
            self.backlog = None
        self.state = SOCKET_CLOSED
        Py_XDECREF(self.out)
        self.out = NULL
        self.out_used = 0
        self.writing_paused = False
        self.wake_waiters(ConnectionClosed('The connection was lost.'))
        try:
            self.on_lost()
        except Exception:
            logger.exception('The end of the connection of %s was not handled.', self.name_client())
        if self.backlog is not None:
            # It came before the loss.
            self.schedule_resume()
        return 0

    cdef object name_client(self):
        """Return what the log calls the client: by its session, or where it is none of the application's yet, by its
        socket alone.
        """
        if self.codec is not None or self.transport is None:
            return client_name(self)
        return address_name(self.transport.get_extra_info('peername'))

    cdef bint is_connected(self) noexcept:
        return self.state != SOCKET_CLOSED

    cdef int leave(self) except -1:
        """Leave the hub, when the socket is closed and nothing is left to do."""
        if self.is_disconnected and self.backlog is None and not self.is_unfinished():
            self.hub.connections.discard(self)
            self.hub.note_lost()
        return 0

    def pause_writing(self):
        # A peer that doesn't read its answers doesn't get to ask for more.
        self.writing_paused = True
        self.update_reading()

    def resume_writing(self):
        self.writing_paused = False
        self.wake_waiters(None)
        # Messages may have been set aside meanwhile; they come before what is read next.
        self.schedule_resume()

    cdef int wake_waiters(self, object error) except -1:
        cdef list waiters = self.drain_waiters
        self.drain_waiters = None
        for waiter in waiters or ():
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
                # Now it counts as seen: not everybody who sends waits.
                waiter.exception()
        return 0

    # Reading

    cdef int process(self, unsigned char *data, size_t size) except -1:
        """Deal with the bytes of one read; write what they led to. Never raises into the loop."""
        if self.backlog is not None:
            self.backlog += data[:size]
            return self.update_reading()
        self.corked = True
        self.start_budget()
        try:
            if self.state == SOCKET_HANDSHAKE:
                self.read_head(data, size)
            elif self.state == SOCKET_OPEN or self.state == SOCKET_CLOSING:
                self.read_frames(data, size)
        except Exception:
            logger.exception('The connection of %s ends because of an error in the server.', self.name_client())
            self.fail(1011, b'internal error')
        finally:
            self.corked = False
            self.settle_budget()
            if self.backlog is None and self.full_budget - self.budget == 1:
                self.hub.note_waiting_client()
            if self.full_budget > 1 or not self.awaits_turn:
                self.flush_output()
            # Else the first answer goes out with those to the rest of what the client has sent.
        return 0

    cdef int start_budget(self) except -1:
        self.budget = self.full_budget = self.hub.visit_budget()
        return 0

    cdef int settle_budget(self) except -1:
        cdef unsigned int used = self.full_budget - self.budget
        return self.hub.spend(<int> used - 1) if used > 1 else 0

    cdef int read_head(self, unsigned char *data, size_t size) except -1:
        """Read the HTTP request; answer it when it is complete."""
        cdef Py_ssize_t known = len(self.own_head), end
        cdef size_t rest
        cdef tuple answer
        self.own_head += data[:size]
        end = self.own_head.find(b'\r\n\r\n', max(known - 3, 0))
        if end < 0 and len(self.own_head) <= HEAD_LIMIT:
            return 0
        if end < 0 or end > HEAD_LIMIT:
            # Without its end it is refused, however the bytes were split.
            end = HEAD_LIMIT - 4
        rest = <size_t> (len(self.own_head) - end - 4)
        if rest:
            self.own_head = self.own_head[:end + 4]
        answer = self.hub.negotiate(self.own_head)
        response, subprotocol = answer[:2]
        if len(answer) > 2:
            self.share_head(answer[2])
        self.transport.write(response)
        if subprotocol is None:
            handshake_logger.info('Refused a request of %s with %.3s, %.200r: %.500r',
                                  self.name_client(), response[9:12].decode(), reason_of(response),
                                  self.own_head.partition(b'\r\n')[0][:500])
            return self.end_output()
        self.state = SOCKET_OPEN
        self.on_open(subprotocol)
        if rest:
            # The head ended inside this read, so what follows it is the read's tail.
            self.read_frames(data + size - rest, rest)
        return 0

    cdef int share_head(self, tuple shared) except -1:
        """Keep no more of the HTTP request than its own part; see Hub."""
        cdef Py_ssize_t start = shared[1], size = len(self.own_head) - len(shared[0])
        self.shared_head = shared
        self.own_head = self.own_head[start:start + size]
        return 0

    @property
    def head(self):
        if self.shared_head is None:
            return self.own_head
        rest, start = self.shared_head
        return rest[:start] + self.own_head + rest[start:]

    cdef int read_frames(self, unsigned char *data, size_t size) except -1:
        """Handle the frames of a window. Between reads, only connections with an unfinished message have a reader."""
        if self.reader is None:
            self.reader = self.hub.take_reader()
        self.reader.feed(data, size)
        self.pump()
        if self.reader.is_idle():
            self.hub.spare_reader = self.reader
            self.reader = None
        return 0

    cdef int pump(self) except -1:
        """Handle the frames of the window, as far as the budget goes."""
        cdef int event
        # After a loss these are the frames that came before it.
        while self.state != SOCKET_FAILED:
            if self.budget == 0 or self.is_stopped():
                return self.set_aside()
            event = self.reader.next_event()
            if event == FRAME_NEED_DATA or (event == FRAME_FAILED and self.state == SOCKET_CLOSED):
                return 0
            self.handle_event(event)
        return 0

    cdef int handle_event(self, int event) except -1:
        cdef FrameReader reader = self.reader
        if event == FRAME_TEXT or event == FRAME_BINARY:
            if self.state == SOCKET_OPEN or self.state == SOCKET_CLOSED:
                self.on_message(event == FRAME_TEXT, reader.payload, reader.payload_size)
        elif event == FRAME_PING:
            # Control frames count too: a flood of pings is a flood.
            self.budget -= 1
            if self.state == SOCKET_OPEN:
                self.put_frame(FRAME_PONG, reader.payload, reader.payload_size)
        elif event == FRAME_PONG:
            self.budget -= 1
        elif event == FRAME_CLOSE:
            if self.state == SOCKET_CLOSING:
                self.flush_output()
                self.close_transport()
            elif self.state == SOCKET_OPEN:
                self.on_peer_close(reader.close_code)
        elif event == FRAME_FAILED:
            if self.state == SOCKET_OPEN:
                logger.warning('The connection of %s is closed with code %d: %s', self.name_client(), reader.close_code,
                               (<bytes> reader.failure).decode())
            self.fail(reader.close_code, <bytes> reader.failure)
        return 0

    cdef int set_aside(self) except -1:
        """Keep the rest of the window for the next turn of the loop and read no more until then."""
        cdef size_t rest = self.reader.unread()
        # The message just handled may have been collected in the reader's buffer.
        self.reader.release()
        if rest:
            self.backlog = self.reader.unread_start()[:rest]
        if rest and not self.is_stopped() and not self.resume_scheduled:
            self.resume_scheduled = self.awaits_turn = True
            self.hub.wait_for_turn(self)
            if rest <= UNPAUSED_BACKLOG:
                # Most clients that pipeline wait for answers now, so that there is nothing to be read.
                return 0
        return self.update_reading()

    cdef bint is_stopped(self) noexcept:
        """Whether handling more has to wait: for output to be read, or for messages that came before."""
        return self.writing_paused or self.is_busy()

    cdef int schedule_resume(self) except -1:
        if not self.resume_scheduled:
            self.resume_scheduled = True
            self.hub.loop.call_soon(self.resume, context=self.hub.own_context())
        return 0

    def resume(self):
        """Go on with what was set aside."""
        self.on_resume()
        self.go_on()

    cdef int take_turn(self) except -1:
        return self.go_on()

    cdef int go_on(self) except -1:
        cdef bytes backlog
        self.resume_scheduled = self.awaits_turn = False
        self.corked = True
        self.start_budget()
        try:
            self.on_turn()
            if self.backlog is not None and self.budget > 0 and not self.is_stopped():
                backlog = self.backlog
                self.backlog = None
                # It came out of the read buffer, so it fits; and frames are unmasked in place.
                memcpy(self.hub.buffer, PyBytes_AS_STRING(backlog), PyBytes_GET_SIZE(backlog))
                self.read_frames(self.hub.buffer, PyBytes_GET_SIZE(backlog))
            elif self.backlog is not None and not self.is_stopped():
                self.schedule_resume()
        except Exception:
            logger.exception('The connection of %s ends because of an error in the server.', self.name_client())
            if self.state == SOCKET_CLOSED:
                # One message less is left.
                self.schedule_resume()
            self.fail(1011, b'internal error')
        finally:
            self.corked = False
            self.settle_budget()
            self.flush_output()
            self.update_reading()
            if self.state == SOCKET_CLOSED and self.backlog is None:
                self.on_all_read()
                self.leave()
        return 0

    cdef int update_reading(self) except -1:
        """Read from the socket only while there is somewhere to go with it."""
        cdef bint wanted = self.backlog is None and not self.is_stopped()
        if self.state == SOCKET_CLOSED or self.transport is None or self.transport.is_closing():
            return 0
        if wanted and self.reading_paused:
            self.reading_paused = False
            self.hub.run_apart(self.transport.resume_reading, ())
        elif not wanted and not self.reading_paused:
            self.reading_paused = True
            self.hub.run_apart(self.transport.pause_reading, ())
        return 0

    # Writing

    cdef int reserve(self, size_t size) except -1:
        """Make room for `size` more bytes of output."""
        cdef size_t wanted, capacity
        if self.out is NULL:
            self.out = allocate_bytes(NULL, <Py_ssize_t> max(size, <size_t> FIRST_ROOM))
            self.out_used = 0
            return 0
        capacity = <size_t> bytes_capacity(self.out)
        wanted = self.out_used + size
        if wanted > capacity:
            _PyBytes_Resize(&self.out, <Py_ssize_t> max(wanted, 2 * capacity))
        return 0

    cdef int put_frame(self, int opcode, const unsigned char *data, size_t size) except -1:
        """Append a frame to the output."""
        cdef unsigned char *start
        self.reserve(size + FRAME_HEADER_MAX)
        start = <unsigned char *> bytes_data(self.out)
        self.out_used += frame_write_header(start + self.out_used, opcode, size)
        memcpy(start + self.out_used, data, size)
        self.out_used += size
        if self.out_used >= FLUSH_SIZE:
            # The transport has to have it to notice that the peer doesn't read.
            return self.flush_apart()
        if not self.corked and not self.is_dirty:
            self.hub.add_dirty(self)
        return 0

    cdef int put_payload(self, bytes payload) except -1:
        return self.put_data(FRAME_BINARY if self.codec.is_binary else FRAME_TEXT, payload)

    cdef int put_data(self, int opcode, bytes payload) except -1:
        """Append a data frame. Raises ConnectionClosed once a Close frame is out or the connection is lost."""
        cdef size_t size = <size_t> PyBytes_GET_SIZE(payload)
        if self.state != SOCKET_OPEN:
            raise ConnectionClosed('The WebSocket connection is closed.')
        if size < LARGE_PAYLOAD:
            return self.put_frame(opcode, <const unsigned char *> PyBytes_AS_STRING(payload), size)
        self.reserve(FRAME_HEADER_MAX)
        self.out_used += frame_write_header(<unsigned char *> bytes_data(self.out) + self.out_used, opcode, size)
        self.flush_apart()
        self.hub.run_apart(self.transport.write, (payload,))
        return 0

    cdef int flush_output(self) except -1:
        """Hand the output to the transport, where no user's task runs."""
        cdef bytes data = self.take_output()
        if data is not None:
            self.transport.write(data)
        return 0

    cdef int flush_apart(self) except -1:
        """The same, where one may run."""
        cdef bytes data = self.take_output()
        if data is not None:
            self.hub.run_apart(self.transport.write, (data,))
        return 0

    cdef bytes take_output(self):
        """Return the output to be written, or None."""
        cdef PyObject *out = self.out
        cdef bytes data
        if out is NULL:
            return None
        self.out = NULL
        # The object is complete from here on; its memory is never written to again.
        if self.out_used != <size_t> bytes_capacity(out):
            _PyBytes_Resize(&out, <Py_ssize_t> self.out_used)
        data = <bytes> <object> out
        Py_XDECREF(out)
        self.out_used = 0
        return None if self.state == SOCKET_CLOSED else data

    cdef object run_apart(self, object function, tuple args):
        return self.hub.run_apart(function, args)

    cdef object own_context(self):
        return self.hub.own_context()

    cdef object wait_drained(self):
        if not self.writing_paused or self.state == SOCKET_CLOSED:
            return None
        waiter = self.hub.loop.create_future()
        if self.drain_waiters is None:
            self.drain_waiters = []
        self.drain_waiters.append(waiter)
        return waiter

    # Closing

    cdef int begin_close(self, unsigned int code, bytes reason) except -1:
        """Send Close, once, and wait for the peer's (RFC 6455, 7.1.2)."""
        cdef unsigned char payload[125]
        cdef size_t size = 0
        if self.state == SOCKET_HANDSHAKE:
            self.state = SOCKET_FAILED
            return self.close_transport()
        if self.state != SOCKET_OPEN:
            return 0
        if code != 1005:
            # 1005 stands for a Close without a code, and is answered with one without a code.
            payload[0] = <unsigned char> (code >> 8)
            payload[1] = <unsigned char> (code & 0xFF)
            size = cut_text(reason, 123)
            memcpy(payload + 2, PyBytes_AS_STRING(reason), size)
            size += 2
        self.put_frame(FRAME_CLOSE, payload, size)
        self.flush_apart()
        self.state = SOCKET_CLOSING
        self.arm_timer(self.hub.closings)
        self.update_reading()
        return 0

    cdef int answer_close(self, unsigned int code) except -1:
        """Answer the peer's Close with its own code; the server then closes first (RFC 6455, 7.1.1)."""
        self.begin_close(code, b'')
        return self.close_transport()

    cdef int close_transport(self) except -1:
        """Have the loop close the connection when what was written is out."""
        self.hub.run_apart(self.transport.close, ())
        return 0

    cdef int fail(self, unsigned int code, bytes reason) except -1:
        """Fail the connection (RFC 6455, 7.1.7): Close, then end our half; the rest is not read any more."""
        if self.state == SOCKET_CLOSED or self.state == SOCKET_FAILED:
            return 0
        if self.state == SOCKET_HANDSHAKE:
            return self.begin_close(code, reason)
        self.begin_close(code, reason)
        return self.end_output()

    cdef int end_output(self) except -1:
        """Send nothing more, and throw away what comes until the peer leaves, or its time is up."""
        self.state = SOCKET_FAILED
        self.backlog = None
        self.update_reading()
        # Closing at once would make the kernel drop what was written last if bytes of the peer are still unread.
        if self.transport.can_write_eof():
            try:
                self.hub.run_apart(self.transport.write_eof, ())
            except OSError:
                # It has reset the connection, and asyncio does not know it yet.
                self.abort_transport()
        else:
            self.close_transport()
        return self.arm_timer(self.hub.closings)

    cdef int arm_timer(self, DeadlineQueue deadlines) except -1:
        self.disarm_timer()
        self.deadline = deadlines.set_for(self)
        return 0

    def stop_timer(self):
        """Wait no longer for what an open connection has to do in time."""
        # In any other state the timer is for closing.
        if self.state == SOCKET_OPEN:
            self.disarm_timer()

    cdef int disarm_timer(self) except -1:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
        return 0

    cdef int time_is_up(self) except -1:
        self.deadline = None
        if self.state == SOCKET_OPEN:
            self.on_deadline()
            return self.flush_output()
        if self.state == SOCKET_HANDSHAKE:
            handshake_logger.info('No WebSocket was opened by %s within %g seconds: %.500r',
                                  self.name_client(), self.hub.open_timeout, self.own_head[:500])
        return self.abort_transport()

    cdef int abort_transport(self) except -1:
        """Have the loop close the connection at once."""
        self.hub.run_apart(self.transport.abort, ())
        return 0
