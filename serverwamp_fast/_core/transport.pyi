import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from .outlets import Outlet

class Hub:
    """What the connections of one server share: the loop, the read buffer, and who has output to write.

    - negotiate(head: bytes) -> (response: bytes, subprotocol: str | None): answers an HTTP request; with None the
      connection is closed after the response
    - open_timeout: seconds from the connection's start to an open session
    - close_timeout: seconds that a closing connection is given
    - max_size: the limit of one message in bytes, fragments included
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        negotiate: Callable[[bytes], tuple[bytes, str | None]],
        open_timeout: float,
        close_timeout: float,
        max_size: int,
    ) -> None: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def connections(self) -> set[Any]: ...
    @property
    def tasks(self) -> set[asyncio.Task[Any]]: ...
    @property
    def open_timeout(self) -> float: ...
    @property
    def close_timeout(self) -> float: ...
    @property
    def max_size(self) -> int: ...
    def wait_empty(self) -> asyncio.Future[None]:
        """Return a future that ends when there is no connection left."""

    def spawn(self, coroutine: Coroutine[Any, Any, Any], context: Context | None = None) -> asyncio.Task[Any]:
        """Run a coroutine in a task of its own; on Python 3.12+ its first step runs at once."""

    def flush_dirty(self) -> None: ...

class WebSocketTransport(Outlet):
    """A server's side of one WebSocket connection (RFC 6455); subclasses say what a message means."""

    def __init__(self, hub: Hub) -> None: ...
    @property
    def hub(self) -> Hub: ...
    @property
    def transport(self) -> Any: ...
    @property
    def head(self) -> bytes:
        """The HTTP request of the opening handshake, as received."""

    def connection_made(self, transport: Any) -> None: ...
    def get_buffer(self, size_hint: int) -> memoryview: ...
    def buffer_updated(self, size: int) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, error: BaseException | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def resume(self) -> None: ...
    def time_is_up(self) -> None: ...

class MessageTransport(WebSocketTransport):
    """A connection whose messages are handled in Python: what the conformance suite's echo server stands on."""

    def message_received(self, data: bytes, is_text: bool) -> None:
        """A whole message has come; for subclasses."""

    def send(self, data: bytes, is_text: bool) -> None:
        """Append a message to the output. Raises ConnectionClosed."""
