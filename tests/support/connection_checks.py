"""What connections have to do on every server, whether on asyncio or on trio.

A test module subclasses `ServerChecks` and gives it a fixture `on`, which is an `OnAsyncio` or an `OnTrio`. The
clients are those of the websockets library.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed as ClientClosed

from support.echo_servers import (
    JSON,
    JSON_BATCHED,
    MESSAGES,
    MSGPACK,
    SUBPROTOCOLS,
    Echo,
    Serve,
    Wire,
    assert_closed,
)

Server = Callable[[Serve], contextlib.AbstractAsyncContextManager[str]]


class OnAsyncio:
    """What the checks need of the library that the server and its client run on."""

    lingers = False
    is_asyncio = True

    def __init__(
        self, server: Server, run: Any, code_for_invalid_text: int | None = 1007
    ) -> None:
        self.server = server
        self.run = run
        self.code_for_invalid_text = code_for_invalid_text

    def make_event(self) -> Any:
        return asyncio.Event()

    def connect(self, url: str, **options: Any) -> Any:
        from websockets.asyncio.client import connect

        return connect(f'ws://{url}', max_size=None, close_timeout=1, **options)

    def connect_tls(self, url: str, context: Any, **options: Any) -> Any:
        from websockets.asyncio.client import connect

        return connect(f'wss://{url}', ssl=context, close_timeout=1, **options)

    def vanish(self, ws: Any) -> None:
        ws.transport.abort()

    async def close(self, ws: Any, *reason: Any) -> None:
        await ws.close(*reason)

    async def request(self, url: str, request: bytes) -> bytes:
        """The answer to a request on a connection of its own."""
        host, port = url.rstrip('/').split(':')
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        response = await reader.read()
        writer.close()
        await writer.wait_closed()
        return response


class OnTrio:
    """The same on trio."""

    lingers = False
    is_asyncio = False

    def __init__(self, server: Server, code_for_invalid_text: int | None = 1007) -> None:
        self.server = server
        self.code_for_invalid_text = code_for_invalid_text

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        import trio

        async def bounded() -> None:
            with trio.fail_after(60):
                await main

        trio.run(bounded)

    def make_event(self) -> Any:
        import trio

        return trio.Event()

    def connect(self, url: str, **options: Any) -> Any:
        from websockets.trio.client import connect

        return connect(f'ws://{url}', max_size=None, close_timeout=1, **options)

    def connect_tls(self, url: str, context: Any, **options: Any) -> Any:
        from websockets.trio.client import connect

        return connect(f'wss://{url}', ssl=context, close_timeout=1, **options)

    def vanish(self, ws: Any) -> None:
        ws.stream.socket.close()

    async def close(self, ws: Any, *reason: Any) -> None:
        await ws.aclose(*reason)

    async def request(self, url: str, request: bytes) -> bytes:
        import trio

        host, port = url.rstrip('/').split(':')
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(request)
            return b''.join([bytes(chunk) async for chunk in stream])


class Observed:
    """Serves as `serve` does, and tells what became of it: servers keep exceptions to themselves."""

    def __init__(self, on: Any, serve: Serve) -> None:
        self.serve = serve
        self.ended = on.make_event()
        self.error: BaseException | None = None

    async def __call__(self, connection: Any) -> None:
        try:
            await self.serve(connection)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()

    async def wait(self) -> None:
        await self.ended.wait()
        if self.error:
            raise self.error


@contextlib.asynccontextmanager
async def connected(on: Any, serve: Serve, *offer: str, **options: Any) -> AsyncIterator[Any]:
    path = options.pop('path', '')
    options.setdefault('compression', None)
    async with on.server(serve) as url, on.connect(
            url + path, subprotocols=offer or None, **options
        ) as ws:
        yield ws


async def receive_close(ws: Any) -> int | None:
    """The code of the Close that the server sends next, None if it goes without one."""
    try:
        message = await ws.recv()
    except ClientClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
    raise AssertionError(f'{message[:100]!r} came, and no Close')


class ServerChecks:
    @pytest.mark.parametrize('compression', [None, 'deflate'])
    @pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
    def test_messages_pass_both_ways(self, on, subprotocol: str, compression: str | None) -> None:
        wire = Wire(subprotocol)
        echo = Echo()

        async def main() -> None:
            async with connected(on, echo, subprotocol, compression=compression) as ws:
                assert ws.subprotocol == subprotocol
                for message in MESSAGES:
                    await ws.send(wire.encode(message))
                    assert wire.decode(await ws.recv()) == [message]

        on.run(main())
        (connection,) = echo.connections
        assert connection.codec.subprotocol == subprotocol
        assert connection.takes_payloads
        assert not echo.aborts

    @pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
    def test_messages_are_sent_together(self, on, subprotocol: str) -> None:
        wire = Wire(subprotocol)

        async def main() -> None:
            async with connected(on, Echo(together=len(MESSAGES)), subprotocol) as ws:
                if wire.is_batched:
                    await ws.send(wire.encode(*MESSAGES))
                    assert wire.decode(await ws.recv()) == MESSAGES
                else:
                    for message in MESSAGES:
                        await ws.send(wire.encode(message))
                    for message in MESSAGES:
                        assert wire.decode(await ws.recv()) == [message]

        on.run(main())

    def test_the_clients_separator_is_answered_with(self, on) -> None:
        wire = Wire(JSON_BATCHED, '\x18')

        async def main() -> None:
            async with connected(on, Echo(), JSON_BATCHED) as ws:
                await ws.send(wire.encode(*MESSAGES[:2]))
                assert wire.decode(await ws.recv()) == [MESSAGES[0]]

        on.run(main())

    def test_the_servers_order_decides(self, on) -> None:
        async def main() -> None:
            async with connected(on, Echo(), JSON, JSON_BATCHED, MSGPACK, 'chat') as ws:
                assert ws.subprotocol == MSGPACK

        on.run(main())

    def test_transport_info_tells_of_the_request(self, on) -> None:
        echo = Echo()
        headers = {'Cookie': 'a=1; b="two"', 'X-Odd': 'value'}

        async def main() -> None:
            async with connected(
                on, echo, JSON, path='some%20path?q=%20&r=1', additional_headers=headers
            ) as ws:
                await ws.send('[1]')
                assert await ws.recv() == '[1]'

        on.run(main())
        info = dict(echo.connections[0].transport_info)
        pairs = [(name.lower(), value) for name, value in info.pop('http_headers_raw')]
        assert (b'x-odd', b'value') in pairs
        assert info == {
            'http_cookies': {'a': '1', 'b': 'two'},
            'http_path': '/some path',
            'http_path_raw': '/some%20path?q=%20&r=1',
            'http_query_string': 'q= &r=1',
            'peer_address': '127.0.0.1',
            'peer_certificate': None,
            'peer_certificate_raw': None,
        }

    @pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
    def test_the_wrong_type_of_frame_is_an_error(self, on, subprotocol: str) -> None:
        wire = Wire(subprotocol)
        echo = Echo()

        async def main() -> None:
            async with connected(on, echo, subprotocol) as ws:
                payload = wire.encode(MESSAGES[0])
                await ws.send('text' if isinstance(payload, bytes) else payload.encode())
                ((code, details, uri),) = wire.decode(await ws.recv())
                assert (code, uri) == (3, 'wamp.error.protocol_violation')
                assert details == {'message': echo.aborts[0]}
                assert await receive_close(ws) == 1000

        on.run(main())

    @pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
    def test_malformed_payloads_are_an_error(self, on, subprotocol: str) -> None:
        wire = Wire(subprotocol)

        async def main() -> None:
            async with connected(on, Echo(), subprotocol) as ws:
                await ws.send(b'\xc1' if wire.is_binary else '[1,')
                ((code, _, uri),) = wire.decode(await ws.recv())
                assert (code, uri) == (3, 'wamp.error.protocol_violation')
                assert await receive_close(ws) == 1000

        on.run(main())

    def test_text_that_is_not_utf8_is_refused(self, on) -> None:
        async def main() -> None:
            observed = Observed(on, Echo(ended=assert_closed))
            async with connected(on, observed, JSON) as ws:
                await ws.send(b'["\xff"]', text=True)
                assert await receive_close(ws) == on.code_for_invalid_text
                await observed.wait()

        on.run(main())

    def test_messages_have_a_limit(self, on) -> None:
        if on.lingers:
            pytest.skip('the server refuses the message, but is 10 seconds over it')

        async def main() -> None:
            observed = Observed(on, Echo(ended=assert_closed))
            async with connected(on, observed, JSON) as ws:
                message = '["' + 'x' * (2**20 - 4) + '"]'
                await ws.send(message)
                assert await ws.recv() == message
                await ws.send('["' + 'x' * (2**20 - 3) + '"]')
                assert await receive_close(ws) == 1009
                await observed.wait()

        on.run(main())

    @pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
    def test_a_client_that_closed_can_not_be_sent_to(self, on, subprotocol: str) -> None:
        async def main() -> None:
            observed = Observed(on, Echo(ended=assert_closed))
            async with connected(on, observed, subprotocol) as ws:
                await on.close(ws)
                await observed.wait()

        on.run(main())

    def test_a_client_that_vanished_can_not_be_sent_to(self, on) -> None:
        async def main() -> None:
            observed = Observed(on, Echo(ended=assert_closed))
            async with connected(on, observed, JSON) as ws:
                await ws.send('[1]')
                assert await ws.recv() == '[1]'
                on.vanish(ws)
                await observed.wait()

        on.run(main())

    @pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
    def test_a_connection_that_was_closed_here_is_at_its_end(self, on, subprotocol: str) -> None:
        async def close(connection: Any) -> None:
            await connection.close()
            await assert_closed(connection)
            for _ in range(10):
                assert [msg async for msg in connection.iterate_msgs()] == []

        async def main() -> None:
            observed = Observed(on, close)
            async with connected(on, observed, subprotocol) as ws:
                assert await receive_close(ws) == 1000
                await observed.wait()

        on.run(main())
