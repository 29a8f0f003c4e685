from typing import Any

from ..session.outlets import Outlet
from .hubs import Hub

class WebSocketTransport(Outlet):
    """A server's side of one WebSocket connection (RFC 6455); subclasses say what a message means."""

    def __init__(self, hub: Hub) -> None: ...
    @property
    def hub(self) -> Hub: ...
    @property
    def transport(self) -> Any:
        """The loop's transport, None before connection_made()."""

    @property
    def head(self) -> bytes:
        """The HTTP request of the opening handshake, as received."""

    # The methods of asyncio.BufferedProtocol, for the loop to call.

    def connection_made(self, transport: Any) -> None:
        """The socket is accepted: the time for opening starts to count."""

    def get_buffer(self, size_hint: int) -> memoryview:
        """Return the read buffer, which all connections of a hub share."""

    def buffer_updated(self, size: int) -> None:
        """Deal with `size` bytes that were read, and write what they led to."""

    def eof_received(self) -> bool | None:
        """The client has ended its half of the connection, and counts as gone."""

    def connection_lost(self, error: BaseException | None) -> None:
        """The socket is closed."""

    def pause_writing(self) -> None:
        """The client doesn't read: nothing more is read from it until resume_writing()."""

    def resume_writing(self) -> None:
        """The client has read what was waiting for it."""

    def resume(self) -> None:
        """Go on with messages that were set aside; called in a later turn of the loop."""

    def stop_timer(self) -> None:
        """Wait no longer for what an open connection has to do in time."""

