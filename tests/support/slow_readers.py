"""Clients that read when they are told to, on sockets that hold little, and a server for them.

Loopback takes megabytes before a write has to wait. With the buffers that connections of a real network begin with,
a few hundred kilobytes do.
"""

import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from typing import Any

from support.client_frames import TEXT, frame
from support.raw_client import CLIENT_GOODBYE, HELLO, RawClient

SEND_BUFFER = 43_520
RECEIVE_BUFFER = 16_384
BIG = 'x' * 400_000


@contextlib.asynccontextmanager
async def serving_slowly(app: Any, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Any, int]]:
    """A native server whose connections have small buffers, and its port."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listening.bind(('127.0.0.1', 0))
    async with await app.serve(sock=listening, ssl=context) as server:
        yield server, listening.getsockname()[1]


class SlowReader:
    """A client for a thread that the server doesn't run in. It reads nothing but what it waits for."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.settimeout(20)
        sock.connect(('127.0.0.1', port))
        self.sock = sock if context is None else context.wrap_socket(sock, server_hostname='127.0.0.1')
        request, _ = RawClient.request('wamp.2.json')
        self.sock.sendall(request)
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self._read(1)
        self.number = 0
        self.hello()

    def hello(self) -> None:
        self.send(HELLO)
        assert self.receive()[0] == 2

    def goodbye(self) -> None:
        self.send(CLIENT_GOODBYE)
        assert self.receive()[0] == 6

    def send(self, *messages: Any) -> None:
        """Send messages in one go."""
        self.sock.sendall(b''.join(frame(TEXT, json.dumps(message).encode()) for message in messages))

    def receive(self) -> Any:
        """The next message. Raises EOFError at the end, and where the server closes."""
        first, size = self._read(2)
        if size >= 126:
            size = struct.unpack('!H' if size == 126 else '!Q', self._read(2 if size == 126 else 8))[0]
        payload = self._read(size)
        if first != 0x80 | TEXT:
            raise EOFError(f'The server sent {payload!r}.')
        return json.loads(payload)

    def request(self, code: int, *rest: Any) -> Any:
        """A message with a request id."""
        self.number += 1
        return [code, self.number, {}, *rest]

    def ask(self, code: int, *rest: Any) -> Any:
        """Send a request, and return the next message that comes."""
        self.send(self.request(code, *rest))
        return self.receive()

    def call(self, procedure: str, *args: Any) -> Any:
        """Return the first value of a call's result."""
        answer = self.ask(48, procedure, list(args))
        assert answer[0] == 50, answer
        return answer[3][0] if len(answer) > 3 else None

    def close(self) -> None:
        self.sock.close()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise EOFError('The server has ended the stream.')
            data += piece
        return bytes(data)
