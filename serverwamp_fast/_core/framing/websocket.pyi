from typing import final

MESSAGE_LIMIT: int
"""What a message may have if nobody says otherwise, in bytes."""

@final
class FrameReader:
    """Reads the WebSocket frames that a client sends on one connection (RFC 6455, section 5).

    `max_size` is what a message may have at most, in bytes, all its fragments together.
    """

    def __new__(cls, *, max_size: int = ...) -> FrameReader: ...
    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        """Add received bytes; return what they complete as (opcode, payload), in order.

        The opcode is 1 for a text message (valid UTF-8), 2 for a binary one, 8 for a close frame
        (its payload is the code in two bytes and the reason, or empty), 9 for a ping, 10 for a
        pong. Fragments are joined. What follows a close frame is discarded (section 1.4).

        Raises FrameError, whose `code` is the close code to answer with: 1002 for a breach of the
        framing rules, 1007 for text that is not UTF-8, 1009 for a message above the limit. Events
        before the fault are returned first; the next call raises, even `receive(b'')`, and so
        does every later one.
        """

def build_frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame as a server sends it: final and not masked.

    Raises ValueError for an opcode other than 1, 2, 8, 9 and 10, and for a control frame of more
    than 125 bytes.
    """
