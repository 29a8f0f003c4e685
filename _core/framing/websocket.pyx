"""WebSocket frames, the server's side (RFC 6455, section 5): bytes in, events out.

Sans-I/O: the reader is fed windows of received bytes and hands out messages and control frames as
(pointer, length). The rules of the room:

* A message that is one frame and lies whole in the window is unmasked where it is and handed out
  from there. Everything else is collected in the reader's buffer, which grows with the bytes that
  came, never with the length that a header claims, and is freed when its message has been used. An
  idle reader holds no memory.
* Every length stays unsigned, and is compared with the limit before a byte of the payload is read.
* Text is checked as it arrives, so that bad text fails at once and not at the end of its message.
* A failure is final. So is a close frame: whatever follows it is discarded (section 1.4).
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from ..base.utf8 cimport utf8_check

from serverwamp_fast.errors import FrameError

cdef enum:
    # Opcodes that are no event of their own.
    OPCODE_CONTINUATION = 0
    OPCODE_CONTROL = 8  # the bit that control frames have in common (section 5.5)

    CONTROL_MAX = 125   # section 5.5
    BUFFER_START = 128  # the smallest buffer: most messages that a read cuts in two fit in

    # Close codes, section 7.4.1.
    PROTOCOL_ERROR = 1002
    NO_STATUS_RECEIVED = 1005
    INVALID_PAYLOAD = 1007
    TOO_BIG = 1009

    # _phase
    IN_HEADER = 0
    IN_PAYLOAD = 1      # of a frame that is collected in the buffer
    CLOSED = 2
    FAILED = 3

    GO_ON = 32          # what a step returns that neither completes an event nor runs out of bytes

    DEFAULT_MAX_SIZE = 1048576

MESSAGE_LIMIT = DEFAULT_MAX_SIZE


cdef inline int unmask(
    unsigned char *target, const unsigned char *source, size_t size, const unsigned char *mask
) noexcept nogil:
    """Section 5.3, eight bytes at a time; memcpy because neither side need be aligned.

    `target` may be `source`.
    """
    cdef size_t position = 0
    cdef uint64_t wide_mask, word
    memcpy(&wide_mask, mask, 4)
    memcpy(<unsigned char *>&wide_mask + 4, mask, 4)
    while size - position >= sizeof(word):
        memcpy(&word, source + position, sizeof(word))
        word ^= wide_mask
        memcpy(target + position, &word, sizeof(word))
        position += sizeof(word)
    while position < size:
        target[position] = source[position] ^ mask[position & 3]
        position += 1
    return 0


cdef inline int turn_mask(unsigned char *mask, size_t size) noexcept nogil:
    """Make `mask` fit what comes after `size` bytes."""
    cdef unsigned char twice[8]
    memcpy(twice, mask, 4)
    memcpy(twice + 4, mask, 4)
    memcpy(mask, twice + (size & 3), 4)
    return 0


cdef inline uint64_t load_big_endian(const unsigned char *data, size_t size) noexcept nogil:
    cdef uint64_t value = 0
    cdef size_t position
    for position in range(size):
        value = value << 8 | data[position]
    return value


cdef bint frame_is_close_code(unsigned int code) noexcept nogil:
    # 1004 is reserved; 1005, 1006 and 1015 exist to be reported, never to be sent; 1012 to 1014
    # were registered later. 3000 to 3999 is for libraries, 4000 to 4999 for applications.
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


cdef size_t frame_write_header(unsigned char *out, int opcode, size_t size) noexcept nogil:
    cdef size_t position
    out[0] = <unsigned char>(0x80 | opcode)
    if size <= 125:
        out[1] = <unsigned char>size
        return 2
    if size <= 0xFFFF:
        out[1] = 126
        out[2] = <unsigned char>(size >> 8)
        out[3] = <unsigned char>(size & 0xFF)
        return 4
    out[1] = 127
    for position in range(8):
        out[2 + position] = <unsigned char>((<uint64_t>size >> (56 - 8 * position)) & 0xFF)
    return 10


cdef class FrameReader:
    """Reads what a client sends on one connection. The public description is in the stub."""

    def __cinit__(self, *, size_t max_size=DEFAULT_MAX_SIZE):
        self.max_size = max_size

    def __dealloc__(self):
        PyMem_Free(self._buffer)

    cdef int feed(self, unsigned char *data, size_t size) except -1:
        self._cursor = data
        self._end = data + size
        return 0

    cdef size_t unread(self) noexcept:
        return <size_t>(self._end - self._cursor)

    cdef unsigned char *unread_start(self) noexcept:
        return self._cursor

    cdef int release(self) noexcept:
        if self._buffer != NULL and self._phase != IN_PAYLOAD and self._message_opcode == 0:
            self._free_buffer()
        return 0

    cdef bint is_idle(self) noexcept:
        return (
            self._phase == IN_HEADER and self._header_size == 0 and self._message_opcode == 0 and self._buffer == NULL
        )

    cdef int next_event(self) except -1:
        cdef int step
        cdef unsigned char *start
        cdef size_t size

        self.release()
        while True:
            if self._phase == IN_HEADER:
                step = self._read_header()
                if step != GO_ON:
                    return step
                # The hot path: a whole frame that needs nothing from an earlier one.
                if self._frame_left <= self.unread() and (
                    self._opcode & OPCODE_CONTROL
                    or (self._is_final and self._opcode != OPCODE_CONTINUATION)
                ):
                    start = self._cursor
                    size = <size_t>self._frame_left
                    if not self._take_payload(start, size):
                        return FRAME_FAILED
                    return self._finish_frame(start, size)
                self._phase = IN_PAYLOAD
            elif self._phase == IN_PAYLOAD:
                step = self._read_payload()
                if step != GO_ON:
                    return step
            else:
                self._cursor = self._end
                return FRAME_FAILED if self._phase == FAILED else FRAME_NEED_DATA

    cdef int _read_header(self) noexcept:
        """GO_ON when the header is complete and allowed, else FRAME_NEED_DATA or FRAME_FAILED."""
        cdef size_t kept = self._header_size
        cdef size_t size = self.unread()
        cdef int length

        if size == 0:
            return FRAME_NEED_DATA
        if kept == 0:
            length = self._parse_header(self._cursor, size)
        else:
            size = min(size, sizeof(self._header) - kept)
            memcpy(self._header + kept, self._cursor, size)
            length = self._parse_header(self._header, kept + size)

        if length > 0:
            self._cursor += <size_t>length - kept
            self._header_size = 0
            return GO_ON
        if length < 0:
            return FRAME_FAILED
        if kept == 0:
            memcpy(self._header, self._cursor, size)
        self._header_size = <unsigned char>(kept + size)
        self._cursor = self._end
        return FRAME_NEED_DATA

    cdef int _parse_header(self, const unsigned char *header, size_t size) noexcept:
        """The length of a complete and allowed header; 0 when bytes are missing; -1 on failure.

        Nothing is committed before the header is complete: it is parsed again with more bytes.
        """
        cdef unsigned int opcode
        cdef bint is_final
        cdef uint64_t length
        cdef size_t mask_at = 2

        if size < 2:
            return 0
        opcode = header[0] & 0x0F
        is_final = header[0] & 0x80 != 0
        length = header[1] & 0x7F
        # Section 5.2; no extension is ever negotiated that would give these bits a meaning.
        if header[0] & 0x70:
            self._fail(PROTOCOL_ERROR, b'reserved bits are set')
            return -1
        # Section 5.1.
        if not header[1] & 0x80:
            self._fail(PROTOCOL_ERROR, b'frame is not masked')
            return -1
        if not self._check_opcode(opcode, is_final, length):
            return -1

        # Section 5.2: a length has its shortest form, and the highest bit of the longest is 0.
        if length == 126:
            mask_at = 4
            if size < mask_at:
                return 0
            length = load_big_endian(header + 2, 2)
            if length <= 125:
                self._fail(PROTOCOL_ERROR, b'length is not in its shortest form')
                return -1
        elif length == 127:
            mask_at = 10
            if size < mask_at:
                return 0
            length = load_big_endian(header + 2, 8)
            if length <= 0xFFFF:
                self._fail(PROTOCOL_ERROR, b'length is not in its shortest form')
                return -1
            if length >> 63:
                self._fail(PROTOCOL_ERROR, b'length has its highest bit set')
                return -1

        if not opcode & OPCODE_CONTROL and (
            length > self.max_size or self._buffer_size > self.max_size - length
        ):
            self._fail(TOO_BIG, b'message is too big')
            return -1
        if size < mask_at + 4:
            return 0

        memcpy(self._mask, header + mask_at, 4)
        self._opcode = <unsigned char>opcode
        self._is_final = is_final
        self._frame_left = length
        if opcode & OPCODE_CONTROL:
            self._control_size = <unsigned char>length
        elif opcode != OPCODE_CONTINUATION:
            self._message_opcode = <unsigned char>opcode
        return <int>(mask_at + 4)

    cdef bint _check_opcode(self, unsigned int opcode, bint is_final, uint64_t size) noexcept:
        """Whether a frame of this kind may come now. False after a failure."""
        if opcode & OPCODE_CONTROL:
            # Section 5.5. The 7-bit length tells: 126 and 127 announce a longer one.
            if opcode > FRAME_PONG:
                self._fail(PROTOCOL_ERROR, b'opcode is unknown')
            elif not is_final:
                self._fail(PROTOCOL_ERROR, b'control frame is fragmented')
            elif size > CONTROL_MAX:
                self._fail(PROTOCOL_ERROR, b'control frame is too long')
        elif opcode > FRAME_BINARY:
            self._fail(PROTOCOL_ERROR, b'opcode is unknown')
        # Section 5.4: only control frames come between the fragments of a message.
        elif opcode == OPCODE_CONTINUATION:
            if self._message_opcode == 0:
                self._fail(PROTOCOL_ERROR, b'continuation without a message')
        elif self._message_opcode != 0:
            self._fail(PROTOCOL_ERROR, b'new message inside a fragmented one')
        return self._phase != FAILED

    cdef int _read_payload(self) except -1:
        """Collect what came of the frame. GO_ON after a fragment, unless it is the last one."""
        cdef size_t size = self.unread()
        if size > self._frame_left:
            size = <size_t>self._frame_left
        if size > 0:
            self._reserve(size)
            if not self._take_payload(self._buffer + self._buffer_size, size):
                return FRAME_FAILED
            self._buffer_size += size
        if self._frame_left > 0:
            return FRAME_NEED_DATA

        if self._opcode & OPCODE_CONTROL:
            # It lay behind the message that it interrupted, whose next fragment will overwrite it.
            self._buffer_size -= self._control_size
            return self._finish_frame(self._buffer + self._buffer_size, self._control_size)
        if self._is_final:
            return self._finish_frame(self._buffer, self._buffer_size)
        self._phase = IN_HEADER
        return GO_ON

    cdef bint _take_payload(self, unsigned char *target, size_t size) noexcept:
        """Unmask the next `size` bytes of the window into `target`. False after a failure."""
        unmask(target, self._cursor, size, self._mask)
        self._cursor += size
        self._frame_left -= size
        if self._frame_left > 0:
            turn_mask(self._mask, size)
        if self._message_opcode == FRAME_TEXT and not self._opcode & OPCODE_CONTROL:
            if not utf8_check(&self._text, target, size):
                self._fail(INVALID_PAYLOAD, b'text is not UTF-8')
                return False
        return True

    cdef int _finish_frame(self, unsigned char *payload, size_t size) noexcept:
        """Hand out a control frame, or the message that the frame completes."""
        cdef int event
        self._phase = IN_HEADER
        # A message of nothing but empty fragments never needed the buffer.
        self.payload = payload if payload != NULL else self._header
        self.payload_size = size
        if self._opcode == FRAME_CLOSE:
            return self._finish_close()
        if self._opcode & OPCODE_CONTROL:
            return self._opcode
        if self._text.pending:
            return self._fail(INVALID_PAYLOAD, b'text ends inside a character')
        event = self._message_opcode
        self._message_opcode = 0
        return event

    cdef int _finish_close(self) noexcept:
        """Take the close code off the payload (section 5.5.1)."""
        cdef Utf8State reason
        if self.payload_size == 0:
            self.close_code = NO_STATUS_RECEIVED
        elif self.payload_size == 1:
            return self._fail(PROTOCOL_ERROR, b'close code is cut off')
        else:
            self.close_code = <unsigned int>load_big_endian(self.payload, 2)
            if not frame_is_close_code(self.close_code):
                return self._fail(PROTOCOL_ERROR, b'close code is not allowed')
            self.payload += 2
            self.payload_size -= 2
            reason.pending = 0
            if not utf8_check(&reason, self.payload, self.payload_size) or reason.pending:
                return self._fail(INVALID_PAYLOAD, b'close reason is not UTF-8')
        self._message_opcode = 0  # an unfinished message is given up, and its buffer freed
        self._phase = CLOSED
        return FRAME_CLOSE

    cdef int _reserve(self, size_t size) except -1:
        """Make room for `size` more bytes, by doubling: that keeps the copying linear."""
        cdef size_t needed = self._buffer_size + size
        cdef size_t room
        cdef unsigned char *buffer
        if needed <= self._buffer_room:
            return 0
        room = max(needed, 2 * self._buffer_room, <size_t>BUFFER_START)
        buffer = <unsigned char *>PyMem_Realloc(self._buffer, room)
        if buffer == NULL:
            raise MemoryError
        self._buffer = buffer
        self._buffer_room = room
        return 0

    cdef int _free_buffer(self) noexcept:
        PyMem_Free(self._buffer)
        self._buffer = NULL
        self._buffer_size = 0
        self._buffer_room = 0
        return 0

    cdef int _fail(self, unsigned int close_code, const char *failure) noexcept:
        self._phase = FAILED
        self._free_buffer()
        self._cursor = self._end
        self.payload = self._header
        self.payload_size = 0
        self.close_code = close_code
        self.failure = failure
        return FRAME_FAILED

    def receive(self, bytes data not None):
        cdef bytearray window = bytearray(data)
        cdef list events = []
        cdef int event
        self.feed(<unsigned char *>PyByteArray_AS_STRING(window), len(window))
        try:
            while True:
                event = self.next_event()
                if event == FRAME_NEED_DATA:
                    break
                if event == FRAME_FAILED:
                    # What came before the fault still counts; the failure waits for the next call.
                    if events:
                        break
                    raise FrameError(self.close_code, self.failure.decode('ascii'))
                if event == FRAME_CLOSE and self.close_code != NO_STATUS_RECEIVED:
                    self.payload -= 2
                    self.payload_size += 2
                events.append((event, self.payload[:self.payload_size]))
        finally:
            self.feed(self._header, 0)  # the window ends with this call
        return events


def build_frame(int opcode, bytes payload not None):
    cdef size_t size = len(payload)
    cdef unsigned char header[FRAME_HEADER_MAX]
    cdef size_t header_size
    cdef bytes frame
    cdef char *out
    if opcode not in (FRAME_TEXT, FRAME_BINARY, FRAME_CLOSE, FRAME_PING, FRAME_PONG):
        raise ValueError(f'not the opcode of an unfragmented frame: {opcode}')
    if opcode & OPCODE_CONTROL and size > CONTROL_MAX:
        raise ValueError(f'control frames carry at most {CONTROL_MAX} bytes, not {size}')
    header_size = frame_write_header(header, opcode, size)
    frame = PyBytes_FromStringAndSize(NULL, header_size + size)
    out = PyBytes_AS_STRING(frame)
    memcpy(out, header, header_size)
    memcpy(out + header_size, PyBytes_AS_STRING(payload), size)
    return frame
