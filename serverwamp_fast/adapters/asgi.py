"""WAMP over WebSocket on an ASGI 3 server, which may run on asyncio or on trio."""

import asyncio
import logging
import math
import ssl
from abc import ABCMeta
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from .._core.framing.websocket import MESSAGE_LIMIT
from .._core.wire.binary_codecs import CBOR_CODECS
from .._core.wire.subprotocols import SUBPROTOCOLS, codec_for
from ..async_support import Event, runs_on_trio
from ..connection import (
    SERVICE_RESTART,
    TOO_LARGE,
    ConnectionClosed,
    PayloadConnection,
    finite,
    is_larger,
    log_refused_request,
    log_too_large,
)
from ..errors import WAMPMsgParseError
from ..json import JSON_BATCH_SPLITTER as JSON_BATCH_SPLITTER
from .http_info import decode_query, find_peer_address, parse_cookies

# In the server's order of preference, which decides: the scope's order need not be the client's.
SUPPORTED_WS_PROTOCOLS = SUBPROTOCOLS

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[Any]]

# How an ASGI server answers messages that the connection can't take any more. The specification
# wants an OSError for a client that is gone. For a WebSocket that the server has closed by itself,
# over a message that is too large or an unanswered ping, uvicorn raises RuntimeError.
SEND_ERRORS = (OSError, RuntimeError)


logger = logging.getLogger(__name__)


def scope_cookies(scope: Scope) -> dict[str, str]:
    """The cookies of the request that a scope describes, by name."""
    return parse_cookies(scope.get('headers', ()))


def serves_path(scope: Scope, paths: Collection[str]) -> bool:
    """Whether a scope's path is one of `paths`, as it stands or without the `root_path` that it begins with.

    By the ASGI specification `path` includes `root_path`, as Starlette's Mount() and most servers have it. Some
    servers leave it out, behind proxies that take a prefix off.
    """
    path, root = scope['path'], scope.get('root_path') or ''
    return path in paths or (bool(root) and path.startswith(root) and path[len(root) :] in paths)


async def handle_asgi_path_not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request for a path that is not served: HTTP 404, or a refused handshake."""
    status = 403 if scope['type'] == 'websocket' else 404
    log_refused_request(logger, scope.get('client'), status, f'{scope["path"]} is not served.')
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.close'})
    else:
        await send_http_response(send, 404, b'Not found.')


async def handle_asgi_lifespan(receive: Receive, send: Send) -> None:
    """Agrees to the server's start and to its shutdown. There is nothing to be done for either."""
    while True:
        kind = (await receive())['type']
        if kind == 'lifespan.startup':
            await send({'type': 'lifespan.startup.complete'})
        elif kind == 'lifespan.shutdown':
            await send({'type': 'lifespan.shutdown.complete'})
            return


async def connection_for_asgi_invocation(
    scope: Scope, receive: Receive, send: Send, *, max_size: int = MESSAGE_LIMIT
) -> 'ASGIWebSocketConnection | None':
    """Accepts a WebSocket, and returns the connection on it.

    Messages of more than `max_size` bytes end it with code 1009. The server has a limit of its own.

    Returns None for a request that was turned away: with HTTP 426 if it isn't for a WebSocket, by
    refusing the handshake if it offers none of the subprotocols in SUPPORTED_WS_PROTOCOLS.
    """
    if scope['type'] != 'websocket':
        # RFC 9110, 15.5.22. HTTP/2 knows no Upgrade header.
        upgrade = [(b'upgrade', b'websocket')] if scope.get('http_version', '1.1') < '2' else []
        log_refused_request(logger, scope.get('client'), 426, 'WebSocket upgrade required.')
        await send_http_response(send, 426, b'WebSocket upgrade required.', upgrade)
        return None

    offered = scope.get('subprotocols', ())
    subprotocol = next((name for name in SUPPORTED_WS_PROTOCOLS if name in offered), None)
    try:
        if subprotocol is None:
            # A client that names no serializer can't be understood.
            reason = 'A supported WAMP WebSocket subprotocol is required.'
            log_refused_request(logger, scope.get('client'), 403, reason)
            await send({'type': 'websocket.close'})
            return None
        await send({'type': 'websocket.accept', 'subprotocol': subprotocol})
    except SEND_ERRORS:
        # The client left before it got an answer.
        return None
    construct = ws_protocol_connection_classes[subprotocol]
    connection = construct(scope, receive, send, scope_cookies(scope))
    connection.max_size = max_size
    return connection


async def close_served(connection: 'ASGIWebSocketConnection') -> None:
    """Closes a connection that nobody serves any more. Servers drop it without a Close frame otherwise."""
    try:
        await connection.close()
    except SEND_ERRORS:
        # It was closed before, by a class with a close() of its own.
        pass


async def send_http_response(
    send: Send, status: int, text: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    await send(
        {
            'type': 'http.response.start',
            'status': status,
            'headers': [
                (b'content-type', b'text/plain; charset=utf-8'),
                (b'content-length', b'%d' % len(text)),
                *(headers or ()),
            ],
        }
    )
    await send({'type': 'http.response.body', 'body': text})


class ASGIWebSocketConnection(PayloadConnection, metaclass=ABCMeta):
    """A connection on a WebSocket that has been accepted. Subclasses name their `codec`.

    Messages of more than `max_size` bytes close it. The server's configuration may say less.
    """

    # One task at a time is in the server's `send`; the others have events here, and wait for their turn. One
    # implementation of uvicorn fails when several wait in there for the client to read, with the message sent.
    _is_sending = False
    _turns: deque[Event] | None = None
    max_size: int = MESSAGE_LIMIT
    # Seconds that the server may take to close, until the connection counts as closed.
    close_timeout: float = math.inf
    # Sends Close. Nobody else refers to it.
    _closing: asyncio.Future[None] | None = None
    # What iterate_ws_msgs() returned, where a subclass has its own.
    _payloads: AsyncIterator[bytes | str] | None = None

    def __init__(
        self,
        asgi_scope: Scope,
        asgi_receiver: Receive,
        asgi_sender: Send,
        cookies: Mapping[str, str] | None,
    ) -> None:
        super().__init__()
        self._asgi_scope = asgi_scope
        self._asgi_receive = asgi_receiver
        self._asgi_send = shield_if_trio(asgi_sender)
        self._closed = False
        self.transport_info.update(read_scope(asgi_scope), http_cookies=cookies)
        if type(self).iterate_ws_msgs is not ASGIWebSocketConnection.iterate_ws_msgs:
            self.receive_payload = self._receive_iterated  # type: ignore[method-assign]

    async def receive_payload(self) -> bytes | str | None:
        return await self._receive_data('bytes' if self.codec.is_binary else 'text')

    async def _receive_data(self, data_type: str) -> bytes | str | None:
        while not self._closed:
            event = await self._asgi_receive()
            kind = event['type']
            if kind == 'websocket.receive':
                # Servers may send both keys, with None for the one that is not meant.
                data: bytes | str | None = event.get(data_type)
                if data is None:
                    raise WAMPMsgParseError(f'A message without {data_type}.')
                if 4 * len(data) > self.max_size and is_larger(data, self.max_size):
                    await self._refuse_size()
                    return None
                return data
            if kind == 'websocket.disconnect':
                self._closed = True
            # Nothing else is of interest: 'websocket.connect' was answered before it was read.
        return None

    async def iterate_ws_msgs(self, data_type: str) -> AsyncIterator[bytes | str]:
        """Yields the payloads of WebSocket messages, which must be of this type: text or bytes.

        Raises WAMPMsgParseError for a message of the other type.
        """
        while (data := await self._receive_data(data_type)) is not None:
            yield data

    async def _receive_iterated(self) -> bytes | str | None:
        if self._payloads is None:
            self._payloads = self.iterate_ws_msgs('bytes' if self.codec.is_binary else 'text')
        return await anext(self._payloads, None)

    async def _refuse_size(self) -> None:
        log_too_large(logger, self, self.max_size)
        await self._close_ws(code=TOO_LARGE, reason='Message too large')

    async def send_payload(self, payload: bytes) -> None:
        if self._closed:
            raise ConnectionClosed('The WebSocket is closed.')
        event: dict[str, Any] = {'type': 'websocket.send'}
        if self.codec.is_binary:
            event['bytes'] = payload
        else:
            event['text'] = payload.decode()
        if self._is_sending:
            await self._wait_for_turn()
            if self._closed:
                self._pass_turn()
                raise ConnectionClosed('The WebSocket is closed.')
        self._is_sending = True
        try:
            await self._asgi_send(event)
        except SEND_ERRORS as error:
            self._closed = True
            raise ConnectionClosed('The WebSocket is closed.') from error
        finally:
            self._pass_turn()

    async def close(self) -> None:
        await self._close_ws()

    async def close_for_restart(self) -> None:
        await self._close_ws(code=SERVICE_RESTART)

    async def _close_ws(self, **reason: Any) -> None:
        if self._closed:
            return
        self._closed = True
        event = {'type': 'websocket.close', **reason}
        if runs_on_trio():
            # Its one server, Hypercorn, waits for no answer.
            await self._send_close(event)
            return
        # One implementation of uvicorn returns when the client has answered, or after 20 seconds, and takes no
        # cancellation for an end; and before it there may be messages that the client doesn't read.
        self._closing = asyncio.ensure_future(self._send_close(event))
        await asyncio.wait([self._closing], timeout=finite(self.close_timeout))
        if self._closing.done():
            self._closing.result()

    async def _send_close(self, event: Mapping[str, Any]) -> None:
        if self._is_sending:
            await self._wait_for_turn()
        self._is_sending = True
        try:
            await self._asgi_send(event)
        except SEND_ERRORS:
            pass
        finally:
            self._pass_turn()

    async def _wait_for_turn(self) -> None:
        if self._turns is None:
            self._turns = deque()
        turns, turn = self._turns, new_event()
        turns.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn in turns:
                turns.remove(turn)
            else:
                # It has come, and the task is cancelled all the same.
                self._pass_turn()
            raise

    def _pass_turn(self) -> None:
        # To the next one directly, so that nobody who comes now gets ahead.
        if self._turns:
            self._turns.popleft().set()
        else:
            self._is_sending = False
            self._turns = None


def new_event() -> Event:
    if runs_on_trio():
        import trio

        return trio.Event()
    return asyncio.Event()


def shield_if_trio(send: Send) -> Send:
    """The server's `send`, so that a task that is cancelled leaves no part of a frame behind."""
    if runs_on_trio():
        from .trio import shield_sends

        return shield_sends(send)
    return send


def read_scope(scope: Scope) -> dict[str, Any]:
    """A connection's `transport_info`, cookies excepted; see http_info for the keys."""
    raw_path = scope.get('raw_path')
    target = quote(scope['path']) if raw_path is None else raw_path.decode('latin-1')
    query = scope.get('query_string', b'').decode('latin-1')
    certificates = (scope.get('extensions') or {}).get('tls', {}).get('client_cert_chain')
    return {
        'http_headers_raw': scope.get('headers', ()),
        'http_path': scope['path'],
        'http_path_raw': f'{target}?{query}' if query else target,
        'http_query_string': decode_query(query),
        'peer_address': find_peer_address(scope.get('client')),
        # The TLS extension has no form for the parts of a certificate.
        'peer_certificate': None,
        # PEM texts, the client's own certificate first.
        'peer_certificate_raw': ssl.PEM_cert_to_DER_cert(certificates[0]) if certificates else None,
    }


class ASGIJSONWebSocketConnection(ASGIWebSocketConnection):
    codec = codec_for('wamp.2.json')


class ASGIBatchedJSONWebSocketConnection(ASGIWebSocketConnection):
    codec = codec_for('wamp.2.json.batched')


class ASGIMsgPackWebSocketConnection(ASGIWebSocketConnection):
    codec = codec_for('wamp.2.msgpack')


class ASGIBatchedMsgPackWebSocketConnection(ASGIWebSocketConnection):
    codec = codec_for('wamp.2.msgpack.batched')


class ASGICBORWebSocketConnection(ASGIWebSocketConnection):
    codec = CBOR_CODECS[1]


class ASGIBatchedCBORWebSocketConnection(ASGIWebSocketConnection):
    codec = CBOR_CODECS[0]


ws_protocol_connection_classes: Mapping[str, type[ASGIWebSocketConnection]] = {
    kind.codec.subprotocol: kind
    for kind in (
        ASGIJSONWebSocketConnection,
        ASGIBatchedJSONWebSocketConnection,
        ASGIMsgPackWebSocketConnection,
        ASGIBatchedMsgPackWebSocketConnection,
        ASGICBORWebSocketConnection,
        ASGIBatchedCBORWebSocketConnection,
    )
    if kind.codec.subprotocol in SUPPORTED_WS_PROTOCOLS
}
