"""The native transport for servers of plain WebSocket messages, without WAMP."""

from ..framing.websocket cimport FRAME_BINARY, FRAME_TEXT
from .transport cimport WebSocketTransport


cdef class MessageTransport(WebSocketTransport):
    """A connection whose messages are handled in Python: what the conformance suite's echo server stands on."""

    cdef int on_open(self, object subprotocol) except -1:
        # The deadline is for opening a WAMP session.
        return self.disarm_timer()

    cdef int on_message(self, bint is_text, unsigned char *data, size_t size) except -1:
        self.budget -= 1
        self.message_received(data[:size], is_text)
        return 0

    def message_received(self, data, is_text):
        """A whole message has come; for subclasses."""

    def send(self, bytes data not None, bint is_text):
        """Append a message to the output. Raises ConnectionClosed."""
        self.put_data(FRAME_TEXT if is_text else FRAME_BINARY, data)
