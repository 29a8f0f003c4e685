"""A client that writes its frames by hand, well-behaved or not, and native servers for it to talk to."""

import asyncio
import base64
import contextlib
import gc
import hashlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import serverwamp_fast as wamp
from support.client_frames import BINARY, CLOSE, PING, TEXT, close_payload, frame
from support.echo_servers import JSON, Wire

HELLO = [1, 'realm1', {'roles': {'caller': {}, 'subscriber': {}}}]
CLIENT_GOODBYE = [6, {}, 'wamp.close.close_realm']

# Frames that a server sends have no mask, and one of these opcodes.
SERVER_OPCODES = {TEXT, BINARY, CLOSE, PING, 10}


class Served:
    """A native server on a loopback port, and ways to connect to it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.port: int = server.sockets[0].getsockname()[1]
        self.clients: list[RawClient] = []

    @property
    def connections(self) -> set[Any]:
        return self.server._hub.connections

    @property
    def tasks(self) -> set[Any]:
        return self.server._hub.tasks

    async def connect_tcp(self, receive_buffer: int | None = None) -> 'RawClient':
        """A TCP connection without a byte sent. A small buffer makes a client that is soon full."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, ('127.0.0.1', self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients.append(RawClient(sock))
        return self.clients[-1]

    async def connect(
        self, subprotocol: str = JSON, receive_buffer: int | None = None
    ) -> 'RawClient':
        """A WebSocket connection."""
        client = await self.connect_tcp(receive_buffer)
        await client.open(subprotocol)
        return client

    async def join(
        self, subprotocol: str = JSON, receive_buffer: int | None = None
    ) -> 'RawClient':
        """A WebSocket connection with a session on it."""
        client = await self.connect(subprotocol, receive_buffer)
        await client.hello()
        return client

    async def all_gone(self) -> None:
        """Wait until the server has no connection and runs no handler."""
        while self.connections or self.tasks:
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Served]:
    """A server for the application. Clients that are still there at the end leave without a word."""
    server = await app.serve('127.0.0.1', 0, **options)
    async with server:
        served = Served(server)
        try:
            yield served
        finally:
            for client in served.clients:
                client.close()
    assert not served.connections
    assert not served.tasks
    assert not app._active_sessions
    # Tasks and futures with an error that nobody has seen say so when they are collected.
    gc.collect()


def make_app(**options: Any) -> Any:
    """An application with a procedure `echo` that returns its arguments."""
    app = wamp.Application(**options)
    routes = wamp.RPCRouteSet()

    @routes.route('echo')
    async def echo(*args: Any) -> Any:
        return args

    app.add_rpc_routes(routes)
    return app


class RawClient:
    """One connection. What it reads is always whole: a frame, a response, a message."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unread = bytearray()
        self.response = b''
        self.session_id = 0
        self.use(JSON)

    def use(self, subprotocol: str, separator: str = '\x1e') -> None:
        self.subprotocol = subprotocol
        self.wire = Wire(subprotocol, separator)
        self.messages: list[Any] = []

    # Bytes

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    def send_now(self, data: bytes) -> None:
        """For handlers that have a client do something while they run: no turn of the loop passes."""
        assert self.sock.send(data) == len(data)

    async def send_in_pieces(self, data: bytes, size: int = 1) -> None:
        for start in range(0, len(data), size):
            await self.send(data[start : start + size])
            # The server is on the same loop: let it come to read this piece by itself.
            for _ in range(3):
                await asyncio.sleep(0)

    async def receive(self) -> bytes:
        """The next bytes; nothing at the end."""
        return await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)

    async def read(self, size: int) -> bytes:
        """Exactly this many bytes. Raises EOFError at the end."""
        while len(self.unread) < size:
            data = await self.receive()
            if not data:
                raise EOFError(f'The server ended the stream behind {bytes(self.unread)!r}.')
            self.unread += data
        taken = bytes(self.unread[:size])
        del self.unread[:size]
        return taken

    async def read_rest(self) -> bytes:
        """All bytes up to the end of the stream."""
        while data := await self.receive():
            self.unread += data
        rest = bytes(self.unread)
        self.unread.clear()
        return rest

    def close(self) -> None:
        self.sock.close()

    def end_output(self) -> None:
        """Half-close: nothing more is sent, but read."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection, with a RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()

    # The opening handshake

    @staticmethod
    def request(
        *offer: str, target: str = '/', headers: dict[str, str | None] | None = None
    ) -> tuple[bytes, str]:
        """A request, and the Sec-WebSocket-Accept that answers it. `headers` replace the usual ones."""
        key = base64.b64encode(os.urandom(16)).decode()
        fields: dict[str, str | None] = {
            'Host': '127.0.0.1',
            'Upgrade': 'websocket',
            'Connection': 'Upgrade',
            'Sec-WebSocket-Key': key,
            'Sec-WebSocket-Version': '13',
            'Sec-WebSocket-Protocol': ', '.join(offer) or None,
        }
        fields.update(headers or {})
        lines = [f'{name}: {value}' for name, value in fields.items() if value is not None]
        text = '\r\n'.join([f'GET {target} HTTP/1.1', *lines, '', ''])
        accept = hashlib.sha1(f'{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11'.encode()).digest()
        return text.encode('latin-1'), base64.b64encode(accept).decode()

    async def read_head(self) -> tuple[int, dict[str, str]]:
        """The head of a response: status and headers, by their names in lower case."""
        head = bytearray()
        while not head.endswith(b'\r\n\r\n'):
            head += await self.read(1)
        self.response = bytes(head)
        status_line, *lines = head.decode().rstrip().split('\r\n')
        fields = dict(line.split(': ', 1) for line in lines)
        return int(status_line.split()[1]), {name.lower(): fields[name] for name in fields}

    async def open(self, *offer: str, **options: Any) -> dict[str, str]:
        """Make it a WebSocket; returns the headers of the response."""
        request, accept = self.request(*offer, **options)
        await self.send(request)
        return await self.expect_open(accept)

    async def expect_open(self, accept: str) -> dict[str, str]:
        status, headers = await self.read_head()
        assert status == 101
        assert headers['sec-websocket-accept'] == accept
        self.use(headers['sec-websocket-protocol'])
        return headers

    async def expect_refused(self, status: int) -> str:
        """The text of a response of this status, behind which the connection ends."""
        received, headers = await self.read_head()
        assert received == status
        body = await self.read_rest()
        assert len(body) == int(headers['content-length'])
        return body.decode()

    # Frames and messages

    def pack(self, *messages: Any) -> bytes:
        """Messages in frames: one for each, or one for all of them where the subprotocol is batched."""
        if self.wire.is_batched:
            payloads = [self.wire.encode(*messages)]
        else:
            payloads = [self.wire.encode(message) for message in messages]
        return b''.join(
            frame(BINARY, payload) if isinstance(payload, bytes) else frame(TEXT, payload.encode())
            for payload in payloads
        )

    async def say(self, *messages: Any) -> None:
        """Send messages, in one go."""
        await self.send(self.pack(*messages))

    async def read_frame(self) -> tuple[int, bytes]:
        """The server's next frame, as (opcode, payload)."""
        first, size = await self.read(2)
        assert first & 0xF0 == 0x80, 'servers of this kind send whole messages in one frame'
        assert size < 0x80, 'servers do not mask'
        if size == 126:
            (size,) = struct.unpack('!H', await self.read(2))
        elif size == 127:
            (size,) = struct.unpack('!Q', await self.read(8))
        assert first & 0x0F in SERVER_OPCODES
        return first & 0x0F, await self.read(size)

    async def hear(self) -> Any:
        """The server's next message."""
        while not self.messages:
            opcode, payload = await self.read_frame()
            assert opcode == (BINARY if self.wire.is_binary else TEXT), (opcode, payload)
            self.messages = self.wire.decode(payload if self.wire.is_binary else payload.decode())
        return self.messages.pop(0)

    async def ask(self, *message: Any) -> Any:
        """Send a message and return the next that comes."""
        await self.say(list(message))
        return await self.hear()

    async def call(self, request: int, procedure: str, *args: Any) -> Any:
        """Call a procedure that returns positional values, and return these."""
        answer = await self.ask(48, request, {}, procedure, list(args))
        assert answer[:3] == [50, request, {}], answer
        return answer[3] if len(answer) > 3 else []

    async def hello(self) -> Any:
        """Open a session; returns WELCOME's details."""
        code, self.session_id, details = await self.ask(*HELLO)
        assert code == 2
        return details

    async def expect_close(self, code: int) -> bytes:
        """Read Close with this code; returns its reason."""
        opcode, payload = await self.read_frame()
        assert opcode == CLOSE, (opcode, payload)
        assert payload[:2] == struct.pack('!H', code), payload
        return payload[2:]

    async def expect_end(self) -> None:
        """The stream ends here, in an orderly way."""
        assert await self.read_rest() == b''

    async def expect_abort(self, uri: str, close_code: int = 1000) -> Any:
        """ABORT comes, then Close and, when that has been answered, the end; returns ABORT's details."""
        answer = await self.hear()
        assert answer[0] == 3, answer
        assert answer[2] == uri, answer
        await self.expect_close(close_code)
        await self.send(frame(CLOSE, close_payload(close_code)))
        await self.expect_end()
        return answer[1]

    async def leave(self, code: int = 1000) -> None:
        """Close the connection as a client should."""
        await self.send(frame(CLOSE, close_payload(code)))
        await self.expect_close(code)
        await self.expect_end()
        self.close()


def warnings_in(caplog: Any) -> list[str]:
    """What the package has logged as a warning or worse, which may be no tracebacks: one line for each."""
    lines = []
    for record in caplog.records:
        if record.name == 'serverwamp_fast.mistakes':
            # Plain functions as handlers, as tests like to have them.
            continue
        if record.name.startswith('serverwamp_fast') and record.levelno >= logging.WARNING:
            assert record.exc_info is None, record.exc_info
            line = record.getMessage()
            assert '\n' not in line and '\r' not in line, line
            assert len(line) < 1000, f'{line[:100]}...'
            lines.append(line)
    return lines
