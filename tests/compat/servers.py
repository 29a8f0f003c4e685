"""The real transports (aiohttp, ASGI under uvicorn, websockets, the native server), and a WebSocket client for them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn
import websockets
from aiohttp import web
from websockets.asyncio.client import connect

from compat.apps import App
from compat.serializers import decode_payload, encode_payloads

# Seconds until a client drops a connection that the server doesn't answer a close frame on. serverwamp 2.0.0 reads
# nothing while a session that has ended waits for its tasks.
CLOSE_TIMEOUT = 1


class WebSocketClient:
    """A WAMP client that knows nothing but its subprotocol."""

    def __init__(self, websocket: Any, subprotocol: str) -> None:
        self.websocket = websocket
        self.subprotocol = subprotocol
        self.pending: list[Any] = []

    async def send(self, messages: Any) -> None:
        for payload in encode_payloads(self.subprotocol, messages):
            await self.send_payload(payload)

    async def send_payload(self, payload: str | bytes) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.websocket.send(payload)

    async def receive(self) -> Any:
        while not self.pending:
            try:
                payload = await self.websocket.recv()
            except websockets.ConnectionClosed as error:
                raise EOFError(error.rcvd.code if error.rcvd else 1006) from None
            self.pending = decode_payload(self.subprotocol, payload)
        return self.pending.pop(0)

    async def close(self) -> None:
        await self.websocket.close()


class SocketServer:
    """A server on a loopback port. `running` counts the connections that a handler is busy with."""

    def __init__(self, subprotocol: str) -> None:
        self.subprotocol = subprotocol
        self.port = 0
        self.running = 0
        self.counts_connections = True

    async def connect(self, target: str = '/', **options: Any) -> WebSocketClient:
        websocket = await connect(
            f'ws://127.0.0.1:{self.port}{target}',
            subprotocols=[websockets.Subprotocol(self.subprotocol)],
            compression=None,
            proxy=None,
            close_timeout=CLOSE_TIMEOUT,
            max_size=2**24,
            **options,
        )
        assert websocket.subprotocol == self.subprotocol
        return WebSocketClient(websocket, self.subprotocol)

    def counted(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(first: Any, *rest: Any) -> Any:
            self.running += 1
            try:
                return await handler(first, *rest)
            finally:
                self.running -= 1

        return handle

    async def finished(self) -> None:
        while self.counts_connections and self.running:
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def serve_aiohttp(app: App, subprotocol: str) -> AsyncIterator[SocketServer]:
    server = SocketServer(subprotocol)
    site = web.Application()
    site.router.add_get('/{path:.*}', server.counted(app.application.aiohttp_websocket_handler()))
    runner = web.AppRunner(site, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, '127.0.0.1', 0).start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()


class QuietServer(uvicorn.Server):
    """A uvicorn server as one task among others: the process's signals are not its business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopped = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield

    async def main_loop(self) -> None:
        await self.stopped.wait()

    async def shutdown(self, sockets: Any = None) -> None:
        """As uvicorn's own, without its pauses of a tenth of a second."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


@contextlib.asynccontextmanager
async def serve_asgi(app: App, subprotocol: str) -> AsyncIterator[SocketServer]:
    server = SocketServer(subprotocol)
    config = uvicorn.Config(
        server.counted(app.application.asgi_application()), host='127.0.0.1', port=0, lifespan='off',
        log_config=None, log_level='critical', timeout_graceful_shutdown=1, ws_per_message_deflate=False,
    )  # fmt: skip
    asgi_server = QuietServer(config)
    serving = asyncio.create_task(asgi_server.serve())
    try:
        while not asgi_server.started:
            await asyncio.sleep(0.001)
        server.port = asgi_server.servers[0].sockets[0].getsockname()[1]
        yield server
    finally:
        asgi_server.stopped.set()
        await serving


@contextlib.asynccontextmanager
async def serve_native(app: App, subprotocol: str) -> AsyncIterator[SocketServer]:
    server = SocketServer(subprotocol)
    server.counts_connections = False
    native = await app.application.serve('127.0.0.1', 0)
    async with native:
        server.port = native.sockets[0].getsockname()[1]
        yield server


@contextlib.asynccontextmanager
async def serve_reading(app: App, subprotocol: str) -> AsyncIterator[SocketServer]:
    """The native server under an application that reads its connections itself, in a subclass."""

    class Reading(type(app.application)):  # type: ignore[misc]
        async def handle_connection(self, connection: Any) -> None:
            assert isinstance(connection, app.package.connection.Connection)
            await super().handle_connection(connection)

    app.application.__class__ = Reading
    async with serve_native(app, subprotocol) as server:
        yield server


@contextlib.asynccontextmanager
async def serve_websockets(app: App, subprotocol: str) -> AsyncIterator[SocketServer]:
    from websockets.asyncio.server import serve

    server = SocketServer(subprotocol)
    handler = server.counted(app.application.websockets_handler())
    async with serve(
        handler, '127.0.0.1', 0, subprotocols=[websockets.Subprotocol(subprotocol)]
    ) as site:
        server.port = site.sockets[0].getsockname()[1]
        yield server


SERVERS = {
    'aiohttp': serve_aiohttp,
    'asgi': serve_asgi,
    'native': serve_native,
    'reading': serve_reading,
    'websockets': serve_websockets,
}
