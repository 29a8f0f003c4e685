"""WAMP over WebSocket on the servers of the websockets library, on asyncio and on trio.

    websockets.asyncio.server.serve(handler, host, port, subprotocols=SUPPORTED_WS_PROTOCOLS)
    websockets.trio.server.serve(handler, port, subprotocols=SUPPORTED_WS_PROTOCOLS)

The library negotiates the subprotocol by the server's order of preference, and refuses handshakes
that offer none. Its `max_size` limits messages, 1 MiB if nothing else is said; for an application
whose max_message_size is larger, it has to be raised as well.
"""

import asyncio
import logging
import math
import sys
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed as WebSocketClosed
from websockets.exceptions import ConnectionClosedError
from websockets.protocol import State
from websockets.typing import Subprotocol

from .._core.framing.websocket import MESSAGE_LIMIT
from .._core.wire.codec import Codec
from .._core.wire.subprotocols import SUBPROTOCOLS, codec_for
from ..clients import address_name, client_name
from ..connection import (
    SERVICE_RESTART,
    TOO_LARGE,
    ConnectionClosed,
    PayloadConnection,
    finite,
    is_larger,
    log_too_large,
)
from ..errors import WAMPMsgParseError
from .http_info import TLSObject, build_transport_info, encode_headers, read_tls_unique

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection as AsyncioServerConnection
    from websockets.trio.server import ServerConnection as TrioServerConnection
else:
    # For typing.get_type_hints(); the one needs trio.
    AsyncioServerConnection = TrioServerConnection = Any

# In the server's order of preference, for the library's `subprotocols` argument, whose type it has.
SUPPORTED_WS_PROTOCOLS = tuple(map(Subprotocol, SUBPROTOCOLS))

PROTOCOL_ERROR = 1002
# Protocol error, text that is not UTF-8, message too big.
FAILURES = (1002, 1007, 1009)

logger = logging.getLogger(__name__)


async def connection_for_websocket(
    ws: 'AsyncioServerConnection | TrioServerConnection', *, max_size: int = MESSAGE_LIMIT
) -> 'WebsocketsConnection | None':
    """The connection on a WebSocket as the library's servers give them to their handler.

    Messages of more than `max_size` bytes end it with code 1009. The server has a limit of its own.

    Returns None after closing a WebSocket that none of SUPPORTED_WS_PROTOCOLS was negotiated for.
    """
    kind: type[WebsocketsConnection] = (
        TrioWebsocketsConnection if is_trio(ws) else WebsocketsConnection
    )
    if ws.subprotocol not in SUPPORTED_WS_PROTOCOLS:
        address = address_name(kind.find_peername(ws))
        if ws.subprotocol is None:
            # Where the server has subprotocols, the library refuses clients that offer none of them.
            logger.warning(
                'Closed the WebSocket of %s, which has no subprotocol. Start the server with subprotocols='
                'SUPPORTED_WS_PROTOCOLS, which is in %s.',
                address,
                __name__,
            )
        else:
            logger.info(
                'Closed the WebSocket of %s: its subprotocol %.200r is none of WAMP.',
                address,
                ws.subprotocol,
            )
        # A client that names no serializer can't be understood.
        await kind.close_websocket(ws, PROTOCOL_ERROR, 'A supported WAMP subprotocol is required.')
        return None
    connection = kind(ws)
    connection.max_size = max_size
    return connection


def is_trio(ws: object) -> bool:
    # Nobody has a connection of a module that isn't loaded.
    module = sys.modules.get('websockets.trio.connection')
    return module is not None and isinstance(ws, module.Connection)


def find_close_limit(ws: Any, seconds: float = math.inf) -> float | None:
    """Seconds that closing may take, `seconds` at most, None for no limit.

    The library's own limit begins when the close frame is out, which is never while the client
    doesn't read what was sent before. That is given the same time once more.
    """
    own = math.inf if ws.close_timeout is None else 2 * ws.close_timeout
    return finite(min(own, seconds))


class WebsocketsConnection(PayloadConnection):
    """A connection on a `websockets.asyncio.server.ServerConnection`.

    Messages of more than `max_size` bytes close it. The server's `max_size` may say less. Closing takes
    `close_timeout` seconds at most, and no more than the server's configuration gives it.
    """

    max_size: int = MESSAGE_LIMIT
    close_timeout: float = math.inf

    def __init__(self, ws: Any, codec: Codec | None = None) -> None:
        super().__init__()
        self._ws = ws
        self._send = ws.send
        self.codec = codec or codec_for(ws.subprotocol)
        self.transport_info.update(
            build_transport_info(
                headers=encode_headers(ws.request.headers.raw_items()),
                target=ws.request.path,
                peername=self.find_peername(self._ws),
                tls=self._find_tls(),
            )
        )

    async def receive_payload(self) -> bytes | str | None:
        try:
            # Text has to be received as str: nothing else tells it from binary data.
            payload: bytes | str = await self._ws.recv()
        except WebSocketClosed as closed:
            self._log_failure(closed)
            return None
        if isinstance(payload, str) is self.codec.is_binary:
            raise WAMPMsgParseError('Text for binary data, or binary data for text.')
        if 4 * len(payload) > self.max_size and is_larger(payload, self.max_size):
            await self._refuse_size()
            return None
        return payload

    async def send_payload(self, payload: bytes) -> None:
        # The library would first wait until a WebSocket that is being closed is closed.
        if self._ws.state is not State.OPEN:
            raise ConnectionClosed('The WebSocket is closed.')
        try:
            await self._send(payload, text=not self.codec.is_binary)
        except (WebSocketClosed, OSError) as error:
            raise ConnectionClosed('The WebSocket is closed.') from error

    def tls_unique(self) -> bytes | None:
        return read_tls_unique(self._find_tls())

    async def close(self) -> None:
        await self.close_websocket(self._ws, seconds=self.close_timeout)

    async def close_for_restart(self) -> None:
        await self.close_websocket(self._ws, SERVICE_RESTART, seconds=self.close_timeout)

    @staticmethod
    async def close_websocket(ws: Any, *reason: Any, seconds: float = math.inf) -> None:
        try:
            async with asyncio.timeout(find_close_limit(ws, seconds)):
                await ws.close(*reason)
        except TimeoutError:
            ws.transport.abort()
        except OSError:
            pass

    @staticmethod
    def find_peername(ws: Any) -> object:
        return ws.remote_address

    def _find_tls(self) -> TLSObject | None:
        tls: TLSObject | None = self._ws.transport.get_extra_info('ssl_object')
        return tls

    async def _refuse_size(self) -> None:
        log_too_large(logger, self, self.max_size)
        await self.close_websocket(
            self._ws, TOO_LARGE, 'Message too large', seconds=self.close_timeout
        )

    def _log_failure(self, closed: WebSocketClosed) -> None:
        # Where the server closed first, with an error, the client broke RFC 6455 or the size
        # limit. The library leaves it to its users to tell of that.
        if (
            isinstance(closed, ConnectionClosedError)
            and closed.sent is not None
            and closed.sent.code in FAILURES
            and not closed.rcvd_then_sent
        ):
            logger.warning(
                'Closed the WebSocket of %s with code %d: %s',
                client_name(self),
                closed.sent.code,
                closed.sent.reason or 'no reason given',
            )


class TrioWebsocketsConnection(WebsocketsConnection):
    """A connection on a `websockets.trio.server.ServerConnection`."""

    def __init__(self, ws: Any, codec: Codec | None = None) -> None:
        super().__init__(ws, codec)
        from .trio import shield_sends

        self._send = shield_sends(ws.send)

    @staticmethod
    async def close_websocket(ws: Any, *reason: Any, seconds: float = math.inf) -> None:
        import trio

        limit = find_close_limit(ws, seconds)
        # What is cancelled closes by force, as trio wants it of all that has an aclose().
        with trio.move_on_after(math.inf if limit is None else limit):
            await ws.aclose(*reason)

    @staticmethod
    def find_peername(ws: Any) -> object:
        import trio

        stream = ws.stream
        if isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        try:
            return stream.socket.getpeername() if isinstance(stream, trio.SocketStream) else None
        except OSError:
            # The client is gone.
            return None

    def _find_tls(self) -> TLSObject | None:
        import trio

        stream = self._ws.stream
        return stream if isinstance(stream, trio.SSLStream) else None
