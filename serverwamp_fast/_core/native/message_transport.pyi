from .transport import WebSocketTransport

class MessageTransport(WebSocketTransport):
    """A connection whose messages are handled in Python: what the conformance suite's echo server stands on."""

    def message_received(self, data: bytes, is_text: bool) -> None:
        """A whole message has come; for subclasses."""

    def send(self, data: bytes, is_text: bool) -> None:
        """Append a message to the output. Raises ConnectionClosed."""
