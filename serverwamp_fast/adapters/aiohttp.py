"""WAMP over WebSocket on aiohttp's web server."""

import asyncio
import inspect
import logging
import socket
from abc import ABCMeta
from collections.abc import Mapping, Sequence
from typing import Any

try:
    from aiohttp import WebSocketError, WSMsgType, web
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "The adapter for aiohttp needs the package aiohttp. Install it with: pip install 'aiohttp>=3.10,<4'",
        name=error.name,
    ) from error

from .._core.wire.binary_codecs import CBOR_CODECS
from .._core.wire.subprotocols import SUBPROTOCOLS, codec_for
from ..clients import client_name
from ..connection import (
    SERVICE_RESTART,
    ConnectionClosed,
    PayloadConnection,
    finite,
    log_refused_request,
)
from ..errors import WAMPMsgParseError
from ..json import JSON_BATCH_SPLITTER as JSON_BATCH_SPLITTER
from .http_info import parse_cookies, read_tls_unique

# All of them. Which one is used is the client's choice, by the order of its offer, but for CBOR.
SUPPORTED_WS_PROTOCOLS = SUBPROTOCOLS
LAST_CHOICES = frozenset(codec.subprotocol for codec in CBOR_CODECS)

# Bytes of a message where nobody says anything else: what aiohttp takes by default, and so serverwamp.
MESSAGE_LIMIT = 4 * 1024 * 1024

# Seconds that closing may take where no application says it by its close_timeout. Of these
# aiohttp waits 10 for the client's answer; but before that it waits, without a limit of its own, for
# a client that doesn't read what was sent to it.
CLOSE_LIMIT = 20

# Bytes of output, below which asyncio's transports never pause their protocol: the low-water mark.
UNPAUSED_SIZE = 16 * 1024

INVALID_TEXT = 1007

# With it, Linux's kernel collects what is written until it is taken back, 0.2 seconds at most.
TCP_CORK: int | None = getattr(socket, 'TCP_CORK', None)

# What setting an option raises where it can't be. The ValueError is that of uvloop's sockets when they are closed.
SOCKET_ERRORS = (AttributeError, OSError, ValueError)

# Text can be had undecoded from version 3.14 on, and sent so from 3.11 on. JSON is decoded from
# bytes and encoded to bytes, so that saves a copy each way.
_response_options: dict[str, Any] = (
    {'decode_text': False}
    if 'decode_text' in inspect.signature(web.WebSocketResponse).parameters
    else {}
)
_sends_encoded_text = hasattr(web.WebSocketResponse, 'send_frame')

logger = logging.getLogger(__name__)


async def connection_for_aiohttp_request(
    request: web.Request, *, max_size: int = MESSAGE_LIMIT
) -> 'AiohttpWebSocketConnection':
    """Completes the opening handshake of a WebSocket, and returns the connection on it.

    Messages of more than `max_size` bytes, fragments included and decompressed, make aiohttp close with code 1009.

    Raises aiohttp's HTTPBadRequest for a request that doesn't ask for a WebSocket, or offers none
    of the subprotocols in SUPPORTED_WS_PROTOCOLS.
    """
    options: dict[str, Any] = {
        'protocols': acceptable_subprotocols(request),
        # aiohttp refuses what reaches its limit.
        'max_msg_size': max_size + 1,
    }
    ws = web.WebSocketResponse(**options, **_response_options)
    subprotocol = ws.can_prepare(request).protocol
    if subprotocol is None:
        # A client that names no serializer can't be understood.
        reason = 'A supported WAMP WebSocket subprotocol is required.'
        log_refused_request(logger, request.remote, 400, reason)
        raise web.HTTPBadRequest(text=reason)
    kind = ws_protocol_connection_classes[subprotocol]
    if not reads_undecoded_text(kind):
        ws = web.WebSocketResponse(**options)
    await ws.prepare(request)
    return kind(ws, request)


def acceptable_subprotocols(request: web.Request) -> Sequence[str]:
    """The subprotocols that aiohttp may choose from: CBOR where the client offers no other.

    Whether cbor2 is installed must not change what a client speaks that has another choice.
    """
    offered = request.headers.get('Sec-WebSocket-Protocol', '').split(',')
    first_choices = [name for name in SUPPORTED_WS_PROTOCOLS if name not in LAST_CHOICES]
    if any(name.strip() in first_choices for name in offered):
        return first_choices
    return SUPPORTED_WS_PROTOCOLS


def reads_undecoded_text(kind: type) -> bool:
    """Whether connections of a class leave reading to this module. Others expect aiohttp's frames to have str."""
    return (
        getattr(kind, 'receive_payload', None) is AiohttpWebSocketConnection.receive_payload
        and getattr(kind, 'iterate_msgs', None) is PayloadConnection.iterate_msgs
    )


class AiohttpWebSocketConnection(PayloadConnection, metaclass=ABCMeta):
    """A connection on a WebSocketResponse that has been prepared. Subclasses name their `codec`.

    Closing takes `close_timeout` seconds at most, 20 where it is None. Then the connection is broken.
    """

    close_timeout: float | None = None

    def __init__(
        self,
        ws: web.WebSocketResponse,
        request: web.Request,
        compress_outbound: bool = False,
    ) -> None:
        super().__init__()
        self._ws = ws
        self._sends: set[asyncio.Future[Any]] = set()
        self._compress_outbound = compress_outbound
        # Whether the client's last message was there already, behind another one.
        self._is_pipelined = False
        self._is_corked = False

        self._transport = transport = request.transport
        tls = transport.get_extra_info('ssl_object') if transport else None
        self.transport_info.update(
            http_cookies=read_cookies(request),
            http_headers_raw=request.raw_headers,
            http_path=request.path,
            http_path_raw=request.raw_path,
            http_query_string=request.query_string,
            peer_address=request.remote,
            peer_certificate=transport.get_extra_info('peercert') if transport else None,
            peer_certificate_raw=tls.getpeercert(binary_form=True) if tls else None,
        )

    def tls_unique(self) -> bytes | None:
        transport = self._transport
        return read_tls_unique(transport.get_extra_info('ssl_object') if transport else None)

    @property
    def ws_response(self) -> web.WebSocketResponse:
        """The response, which aiohttp wants the request's handler to return."""
        return self._ws

    async def receive_payload(self) -> bytes | str | None:
        ws = self._ws
        # aiohttp raises RuntimeError when a closed WebSocket is read again and again.
        while not ws.closed:
            try:
                frame = await Receiving(self)
            except OSError:
                # A ping was to be answered, and the client is gone.
                return None
            kind = frame.type
            if kind is WSMsgType.TEXT:
                if self.codec.is_binary:
                    raise WAMPMsgParseError('Text, where the subprotocol is a binary one.')
                text: bytes | str = frame.data
                if isinstance(text, bytes) and not text.isascii() and not is_utf8(text):
                    await self._refuse_text()
                    return None
                return text
            if kind is WSMsgType.BINARY:
                if not self.codec.is_binary:
                    raise WAMPMsgParseError('Binary data, where the subprotocol is a text one.')
                payload: bytes = frame.data
                return payload
            if kind is WSMsgType.ERROR:
                self._log_error(frame.data)
                return None
            if kind in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                return None
            # Pings and pongs, which a response made with autoping=False hands out.
        return None

    async def send_payload(self, payload: bytes) -> None:
        transport = self._transport
        try:
            if self._sends or (
                transport and transport.get_write_buffer_size() + len(payload) > UNPAUSED_SIZE
            ):
                await self._send_in_task(payload)
            else:
                await self._send(payload)
        except OSError as error:
            # ConnectionResetError, for a client that is gone as for a WebSocket that is closed
            # here.
            raise ConnectionClosed('The WebSocket is closed.') from error

    def _cork(self) -> None:
        """Have the answers to a client that pipelines leave together at the end of the loop's turn.

        aiohttp writes each message to the socket by itself. Sending them is what costs the most.
        """
        sock = self._transport.get_extra_info('socket') if self._transport else None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 1)  # type: ignore[union-attr]
        except SOCKET_ERRORS:
            # There is no such thing where this isn't TCP. Sending will tell of a socket that has been closed.
            self._is_pipelined = False
            return
        self._is_corked = True
        asyncio.get_running_loop().call_soon(self._uncork, sock)

    def _uncork(self, sock: Any) -> None:
        self._is_corked = False
        try:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 0)
        except SOCKET_ERRORS:
            # It has been closed meanwhile, which sends all there is.
            pass

    async def _send(self, payload: bytes) -> None:
        ws = self._ws
        if self._is_pipelined and not self._is_corked and TCP_CORK is not None:
            self._cork()
        compress = self._compress_outbound
        if self.codec.is_binary:
            await ws.send_bytes(payload, compress=compress)
        elif _sends_encoded_text:
            await ws.send_frame(payload, WSMsgType.TEXT, compress)
        else:
            await ws.send_str(payload.decode(), compress=compress)

    async def _send_in_task(self, payload: bytes) -> None:
        """Sends where it may have to wait for the client to read.

        The tasks that wait for that have a future of aiohttp's in common, and since version 3.13.4
        the first one to be cancelled cancels them all. A task that nobody cancels waits in place of
        the caller. While there is one, it is followed by others, which keeps the order of messages.
        """
        task = asyncio.ensure_future(self._send(payload))
        self._sends.add(task)
        task.add_done_callback(self._forget_send)
        await asyncio.wait([task])
        try:
            task.result()
        finally:
            # Its error refers to this frame. The payload would wait for the garbage collector.
            del task

    def _forget_send(self, task: asyncio.Future[Any]) -> None:
        self._sends.discard(task)
        if not task.cancelled():
            # Who wanted to know may have been cancelled.
            task.exception()

    async def close(self) -> None:
        await self._close_ws()

    async def close_for_restart(self) -> None:
        await self._close_ws(code=SERVICE_RESTART)

    async def _close_ws(self, **reason: Any) -> None:
        # In a task for the same reason as above.
        closing = asyncio.ensure_future(self._ws.close(**reason))
        self._sends.add(closing)
        closing.add_done_callback(self._forget_send)
        limit = CLOSE_LIMIT if self.close_timeout is None else finite(self.close_timeout)
        await asyncio.wait([closing], timeout=limit)
        if not closing.done() and self._transport:
            self._transport.abort()
            await asyncio.wait([closing])
        try:
            closing.result()
        except OSError:
            pass
        finally:
            del closing

    async def _refuse_text(self) -> None:
        # RFC 6455, 8.1. aiohttp itself looks at text only where it decodes it.
        logger.warning(
            'Closed the WebSocket of %s: a text message is not UTF-8.',
            client_name(self),
        )
        await self._close_ws(code=INVALID_TEXT, message=b'Invalid UTF-8')

    def _log_error(self, error: object) -> None:
        # Anything but a WebSocketError is the loss of the client, which is nothing to tell of.
        if isinstance(error, WebSocketError):
            logger.warning(
                'Closed the WebSocket of %s with code %s: %s',
                client_name(self),
                int(error.code),
                error,
            )


class Receiving:
    """Awaits a connection's next frame, and notes on the connection whether it had to be waited for."""

    def __init__(self, connection: AiohttpWebSocketConnection) -> None:
        self._connection = connection
        self._coroutine: Any = connection._ws.receive()
        connection._is_pipelined = True

    def __await__(self) -> 'Receiving':
        return self

    def __iter__(self) -> 'Receiving':
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        # At the end this raises StopIteration, as it should.
        waited_for = self._coroutine.send(value)
        self._connection._is_pipelined = False
        return waited_for

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()


def read_cookies(request: web.Request) -> Mapping[str, str]:
    # aiohttp looks at the first of several headers only.
    if len(request.headers.getall('Cookie', ())) > 1:
        return parse_cookies(request.raw_headers)
    return request.cookies


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class AiohttpJSONWebSocketConnection(AiohttpWebSocketConnection):
    codec = codec_for('wamp.2.json')


class AiohttpBatchedJSONWebSocketConnection(AiohttpWebSocketConnection):
    codec = codec_for('wamp.2.json.batched')


class AiohttpMsgPackWebSocketConnection(AiohttpWebSocketConnection):
    codec = codec_for('wamp.2.msgpack')


class AiohttpBatchedMsgPackWebSocketConnection(AiohttpWebSocketConnection):
    codec = codec_for('wamp.2.msgpack.batched')


class AiohttpCBORWebSocketConnection(AiohttpWebSocketConnection):
    codec = CBOR_CODECS[1]


class AiohttpBatchedCBORWebSocketConnection(AiohttpWebSocketConnection):
    codec = CBOR_CODECS[0]


ws_protocol_connection_classes: Mapping[str, type[AiohttpWebSocketConnection]] = {
    kind.codec.subprotocol: kind
    for kind in (
        AiohttpJSONWebSocketConnection,
        AiohttpBatchedJSONWebSocketConnection,
        AiohttpMsgPackWebSocketConnection,
        AiohttpBatchedMsgPackWebSocketConnection,
        AiohttpCBORWebSocketConnection,
        AiohttpBatchedCBORWebSocketConnection,
    )
    if kind.codec.subprotocol in SUPPORTED_WS_PROTOCOLS
}
