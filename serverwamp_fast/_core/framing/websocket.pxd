cimport cython
from libc.stdint cimport uint64_t

from ..base.utf8 cimport Utf8State


cdef enum FrameEvent:
    # What FrameReader.next_event() returns. Messages and control frames have the number of their
    # opcode (RFC 6455, section 5.2).
    FRAME_NEED_DATA = 0
    FRAME_TEXT = 1
    FRAME_BINARY = 2
    FRAME_CLOSE = 8
    FRAME_PING = 9
    FRAME_PONG = 10
    FRAME_FAILED = 16

cdef enum:
    FRAME_HEADER_MAX = 10  # room that frame_write_header() may need: a server's frames have no mask

# Whether a close frame may carry `code` (RFC 6455, section 7.4, and the IANA registry it founded).
cdef bint frame_is_close_code(unsigned int code) noexcept nogil

# Writes the header of an unfragmented server frame with a payload of `size` bytes, and returns its
# length: 2, 4 or 10. `opcode` is not checked.
cdef size_t frame_write_header(unsigned char *out, int opcode, size_t size) noexcept nogil


@cython.final
cdef class FrameReader:
    # The event that next_event() returned last. `payload` is never NULL then. It points into the
    # window or the reader's own buffer: it is valid, and may be written to, until the next call of
    # feed(), next_event() or release(). For FRAME_CLOSE it is the reason alone, without the code.
    cdef unsigned char *payload
    cdef size_t payload_size
    cdef const char *failure        # FRAME_FAILED: what is wrong, a static ASCII text
    cdef size_t max_size            # of a message with all its fragments, in bytes; may be changed
    cdef unsigned int close_code    # FRAME_CLOSE: the peer's, 1005 for none; FRAME_FAILED: to send

    # The window: what feed() was given and no event has used.
    cdef unsigned char *_cursor
    cdef unsigned char *_end

    # The frame under way. Its header is kept while incomplete; `_mask` is turned to fit the next
    # payload byte.
    cdef uint64_t _frame_left       # payload bytes that are still to be read
    cdef unsigned char _header[14]
    cdef unsigned char _mask[4]
    cdef unsigned char _header_size
    cdef unsigned char _opcode
    cdef unsigned char _is_final

    # The message under way, or one that was handed out from the buffer, which the next call frees.
    cdef unsigned char *_buffer
    cdef size_t _buffer_size        # bytes held, the frame under way included
    cdef size_t _buffer_room
    cdef unsigned char _message_opcode  # 0 outside a message
    cdef unsigned char _control_size
    cdef unsigned char _phase
    cdef Utf8State _text

    # Sets the window. It must be writable, because payloads are unmasked in place, and stay where
    # it is while its events are used. It replaces the one before, whose unread bytes have to come
    # again, in front.
    cdef int feed(self, unsigned char *data, size_t size) except -1
    cdef int next_event(self) except -1  # a FrameEvent; MemoryError when the buffer can't grow
    # Frees what the last event took, as next_event() does too. For a caller that stops before
    # FRAME_NEED_DATA.
    cdef int release(self) noexcept
    # Whether it is as new, apart from the window: no frame, message or end is known of.
    cdef bint is_idle(self) noexcept
    cdef size_t unread(self) noexcept
    cdef unsigned char *unread_start(self) noexcept

    cdef int _read_header(self) noexcept
    cdef int _parse_header(self, const unsigned char *header, size_t size) noexcept
    cdef bint _check_opcode(self, unsigned int opcode, bint is_final, uint64_t size) noexcept
    cdef int _read_payload(self) except -1
    cdef bint _take_payload(self, unsigned char *target, size_t size) noexcept
    cdef int _finish_frame(self, unsigned char *payload, size_t size) noexcept
    cdef int _finish_close(self) noexcept
    cdef int _reserve(self, size_t size) except -1
    cdef int _free_buffer(self) noexcept
    cdef int _fail(self, unsigned int close_code, const char *failure) noexcept
