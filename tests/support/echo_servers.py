"""Servers of every kind on a loopback port, to try connections on, and what their clients need.

A server is a context manager that yields its URL without the scheme. It is given `serve`, an async function
that gets each connection and whose end is the connection's; `Echo` is one that sends back what comes in.
"""

import asyncio
import base64
import contextlib
import functools
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import cbor2
import msgpack

from serverwamp_fast.connection import Connection
from serverwamp_fast.errors import ConnectionClosed, WAMPMsgParseError

Serve = Callable[[Any], Awaitable[None]]

JSON = 'wamp.2.json'
JSON_BATCHED = 'wamp.2.json.batched'
MSGPACK = 'wamp.2.msgpack'
MSGPACK_BATCHED = 'wamp.2.msgpack.batched'
CBOR = 'wamp.2.cbor'
CBOR_BATCHED = 'wamp.2.cbor.batched'
SUBPROTOCOLS = (JSON, JSON_BATCHED, MSGPACK, MSGPACK_BATCHED, CBOR, CBOR_BATCHED)

MESSAGES: list[Any] = [
    [1, 'realm1', {'roles': {'caller': {}}}],
    [48, 1, {}, 'com.example.text', ['plain', 'äé€😀', '', 'line\nbreak'], {'key': 'wörd'}],
    [48, 2, {}, 'com.example.numbers', [0, -1, 2**53, 2**63 - 1, 1.5, True, False, None]],
    [48, 3, {}, 'com.example.binary', [b'', b'\x00\xff\x1e\x18', bytes(range(256))]],
    [48, 4, {}, 'com.example.nested', [[[]], {}, {'a': [{'b': []}]}], {}],
    [48, 5, {}, 'com.example.long', ['x' * 70_000]],
]


class Wire:
    """A client's side of a subprotocol, in the plainest way there is."""

    def __init__(self, subprotocol: str, separator: str = '\x1e') -> None:
        self.is_binary = 'json' not in subprotocol
        self.dumps, self.loads = (
            (cbor2.dumps, cbor2.loads)
            if 'cbor' in subprotocol
            else (msgpack.packb, msgpack.unpackb)
        )
        self.is_batched = subprotocol.endswith('.batched')
        self.separator = separator

    def encode(self, *messages: Any) -> str | bytes:
        """A payload: one message, or with a batched subprotocol any number of them."""
        assert self.is_batched or len(messages) == 1
        if self.is_binary:
            parts = [self.dumps(message) for message in messages]
            if self.is_batched:
                parts = [struct.pack('>I', len(part)) + part for part in parts]
            return b''.join(parts)
        ends = self.separator if self.is_batched else ''
        return ''.join(json.dumps(pack_binary(message)) + ends for message in messages)

    def decode(self, payload: str | bytes) -> list[Any]:
        assert isinstance(payload, bytes) is self.is_binary, 'the wrong type of frame'
        if not self.is_batched:
            parts = [payload]
        elif isinstance(payload, str):
            assert payload.endswith(self.separator)
            parts = payload[:-1].split(self.separator)
        else:
            parts = []
            while payload:
                (size,) = struct.unpack_from('>I', payload)
                parts.append(payload[4 : 4 + size])
                assert len(parts[-1]) == size
                payload = payload[4 + size :]
        return [
            self.loads(part) if self.is_binary else unpack_binary(json.loads(part))
            for part in parts
        ]


def pack_binary(value: Any) -> Any:
    if isinstance(value, bytes):
        return '\0' + base64.b64encode(value).decode()
    if isinstance(value, list):
        return [pack_binary(item) for item in value]
    if isinstance(value, dict):
        return {key: pack_binary(item) for key, item in value.items()}
    return value


def unpack_binary(value: Any) -> Any:
    if isinstance(value, str) and value.startswith('\0'):
        return base64.b64decode(value[1:])
    if isinstance(value, list):
        return [unpack_binary(item) for item in value]
    if isinstance(value, dict):
        return {key: unpack_binary(item) for key, item in value.items()}
    return value


class Echo:
    """Serves connections: sends every message back, and ABORT for what is not one.

    With `together`, that many messages are collected and sent in one go. `ended` is called with the connection
    when it has no more messages.
    """

    def __init__(self, together: int = 1, ended: Serve | None = None) -> None:
        self.connections: list[Any] = []
        self.aborts: list[str] = []
        self.together = together
        self.ended = ended

    async def __call__(self, connection: Connection) -> None:
        self.connections.append(connection)
        waiting = []
        try:
            async for message in connection.iterate_msgs():
                if self.together == 1:
                    await connection.send_msg(message)
                    continue
                waiting.append(message)
                if len(waiting) == self.together:
                    await connection.send_msgs(waiting)
                    waiting = []
        except WAMPMsgParseError as error:
            self.aborts.append(str(error))
            await connection.abort('wamp.error.protocol_violation', str(error))
        if self.ended:
            await self.ended(connection)


async def assert_closed(connection: Connection) -> None:
    """The connection refuses to send, and may be closed over and over."""
    for _ in range(2):
        try:
            await connection.send_msg([8, 48, 1, {}, 'com.example.late'])
        except ConnectionClosed:
            pass
        else:
            raise AssertionError('a message was sent on a closed connection')
        await connection.close()
    await connection.abort('com.example.late')


def listen() -> socket.socket:
    # Listening, so that a client may connect before the server has come to accept.
    return socket.create_server(('127.0.0.1', 0))


def address(sock: socket.socket) -> str:
    return f'127.0.0.1:{sock.getsockname()[1]}/'


# The request of an opening handshake, from a client that is no more than a socket.
HANDSHAKE = (
    b'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
    b'Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n'
)


async def fill(connection: Connection, number: int = 0) -> None:
    while True:
        await connection.send_msg([number, 'x' * 100_000])


# What follows runs on asyncio.


async def wait_until_stuck(transport: Any) -> None:
    """Until a transport has more output than it takes before it pauses those who write."""
    _, high = transport.get_write_buffer_limits()
    while transport.get_write_buffer_size() <= high:
        # Transports tell of it to nobody but their protocol.
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def client_that_does_not_read(url: str) -> AsyncIterator[None]:
    host, port = url.rstrip('/').split(':')
    with socket.create_connection((host, int(port))) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.send(HANDSHAKE)
        yield


@contextlib.asynccontextmanager
async def aiohttp_server(
    handler: Callable[[Any], Awaitable[Any]], **options: Any
) -> AsyncIterator[str]:
    """`handler` is one of aiohttp's, from a request to a response."""
    from aiohttp import web

    app = web.Application()
    app.router.add_get('/{path:.*}', handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    sock = listen()
    try:
        await web.SockSite(runner, sock, **options).start()
        yield address(sock)
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def uvicorn_server(
    application: Any, implementation: str, root_path: str = ''
) -> AsyncIterator[str]:
    import uvicorn

    with listen() as sock:
        config = uvicorn.Config(
            application,
            ws=implementation,  # type: ignore[arg-type]
            log_config=None,
            lifespan='on',
            ws_max_size=2**20,
            timeout_graceful_shutdown=1,
            root_path=root_path,
        )
        server = uvicorn.Server(config)
        # Signals stay with the test run.
        server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[sock]))
            try:
                yield address(sock)
            finally:
                server.should_exit = True


def configure_hypercorn(sock: socket.socket) -> Any:
    from hypercorn.config import Config

    config = Config()
    config.bind = [f'fd://{sock.detach()}']
    config.errorlog = None
    config.graceful_timeout = 1
    config.websocket_max_message_size = 2**20
    return config


@contextlib.asynccontextmanager
async def hypercorn_server(application: Any, root_path: str = '') -> AsyncIterator[str]:
    from hypercorn.asyncio import serve

    sock = listen()
    url = address(sock)
    config = configure_hypercorn(sock)
    config.root_path = root_path
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(application, config, shutdown_trigger=stop.wait, mode='asgi'))
        try:
            yield url
        finally:
            stop.set()


@contextlib.asynccontextmanager
async def websockets_server(
    handler: Callable[[Any], Awaitable[None]], **options: Any
) -> AsyncIterator[str]:
    from websockets.asyncio.server import serve

    sock = listen()
    async with serve(handler, sock=sock, **options):
        yield address(sock)


# What follows runs on trio. Cancelling the servers is a last resort: they end by themselves.


@contextlib.asynccontextmanager
async def hypercorn_trio_server(application: Any) -> AsyncIterator[str]:
    import trio
    from hypercorn.trio import serve

    sock = listen()
    url = address(sock)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        start = functools.partial(
            serve,
            application,
            configure_hypercorn(sock),
            shutdown_trigger=stop.wait,
            mode='asgi',
        )
        await nursery.start(start)
        try:
            yield url
        finally:
            stop.set()


@contextlib.asynccontextmanager
async def websockets_trio_server(
    handler: Callable[[Any], Awaitable[None]], **options: Any
) -> AsyncIterator[str]:
    import trio
    from websockets.trio.server import serve

    sock = trio.socket.from_stdlib_socket(listen())
    async with trio.open_nursery() as nursery:
        start = functools.partial(serve, handler, listeners=[trio.SocketListener(sock)], **options)
        server = await nursery.start(start)
        async with server:
            yield address(sock)
