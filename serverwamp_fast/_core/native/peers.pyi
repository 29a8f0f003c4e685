from collections.abc import Awaitable, Sequence
from typing import Any, Self

from ..session.sessions import SessionCore
from .hubs import Hub
from .transport import WebSocketTransport

class PeerClose:
    """Stands among the held messages for the peer's Close."""

    def __new__(cls, code: int) -> Self: ...

class WAMPPeer(WebSocketTransport):
    """A WAMP client on the native transport. `server` has these methods:

    - open_session(peer, message) -> (session, coroutine | None): takes HELLO; the coroutine, if any, must end
      before the session is used. Raises NoSuchRealmError.
    - end_session(session): the session is over; runs what is left to run
    - consume(peer): returns whether the application reads the messages itself, by next_item()
    - session_tasks(session) -> the session's task group
    """

    def __init__(self, hub: Hub, server: Any) -> None: ...
    @property
    def server(self) -> Any:
        """The object with the methods above."""

    def put(self, message: Sequence[Any]) -> Awaitable[None] | None:
        """Append a message to the output; return None, or an awaitable while the client doesn't read.

        Raises ConnectionClosed or SerializationError.
        """

    def put_all(self, messages: Sequence[Sequence[Any]]) -> Awaitable[None] | None:
        """Append messages, in one payload where the subprotocol is batched; see put()."""

    def start_close(self, code: int = 1000, reason: str = '') -> None:
        """Close the connection (RFC 6455, 7.1.2); what was sent before goes out first.

        Of the reason 123 bytes of UTF-8 are sent. Raises ValueError for a code that may not be sent (RFC 6455, 7.4).
        """

    @property
    def is_closed(self) -> bool:
        """Whether the WebSocket is not open: closed, or on its way there."""

    @property
    def current_session(self) -> SessionCore | None:
        """The session that HELLO has begun and that is not over yet."""

    def finish_job(self, task: Any) -> None:
        """A coroutine that held up the client's messages has ended; its task calls this."""

    def next_while_opening(self) -> Awaitable[Any]:
        """Return a future of the next message, for the job that opens the session.

        It raises WAMPMsgParseError for what is not a message, and ConnectionClosed at the end.
        """

    def next_item(self) -> tuple[bool, Any] | None:
        """For a consumer: (True, message), (False, awaitable) to wait for one, or None at the end.

        Raises WAMPMsgParseError for what is not a message.
        """

    def stop_consuming(self) -> None:
        """The consumer has come to its end: what it has not taken is dropped."""
