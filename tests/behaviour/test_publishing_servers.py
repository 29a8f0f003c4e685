"""Publishing through each kind of server: what one client publishes and the server itself reaches the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from support.echo_servers import (
    CBOR,
    CBOR_BATCHED,
    JSON,
    JSON_BATCHED,
    MSGPACK,
    MSGPACK_BATCHED,
    Wire,
    aiohttp_server,
    hypercorn_trio_server,
    uvicorn_server,
    websockets_server,
    websockets_trio_server,
)
from support.explained import Explained

import serverwamp_fast as wamp

HELLO = [1, 'realm1', {'roles': {'publisher': {}, 'subscriber': {}}}]
EVENTS = 20
PATTERNS = [('news.server', 'exact'), ('news.', 'prefix'), ('.server', 'wildcard')]


class Client:
    """A client of the websockets library, on asyncio or trio."""

    def __init__(self, ws: Any) -> None:
        self.ws = ws
        self.wire = Wire(ws.subprotocol)
        self.waiting: list[Any] = []

    async def ask(self, *message: Any) -> Any:
        await self.ws.send(self.wire.encode(list(message)))
        return await self.hear()

    async def hear(self) -> Any:
        while not self.waiting:
            self.waiting = self.wire.decode(await self.ws.recv())
        return self.waiting.pop(0)


def make_app(**options: Any) -> wamp.Application:
    app = wamp.Application(**options)
    routes = wamp.RPCRouteSet()
    app.allow_publish('news.', 'prefix')
    app.allow_subscribe('', 'prefix')

    @routes.route('announce')
    async def announce() -> list[int]:
        return [await app.publish('news.server', (number,)) for number in range(EVENTS)]

    app.add_rpc_routes(routes)
    return app


async def converse(app: wamp.Application, clients: list[Client]) -> None:
    for client in clients:
        welcome = await client.ask(*HELLO)
        assert welcome[0] == 2
    publisher, *subscribers = clients
    numbers = []
    for topic, match in PATTERNS:
        answers = [await client.ask(32, 1, {'match': match}, topic) for client in subscribers]
        assert [answer[:2] for answer in answers] == [[33, 1]] * len(subscribers)
        numbers += {answer[2] for answer in answers}
    assert len(numbers) == 3
    answer = await publisher.ask(48, 1, {}, 'announce')
    assert answer[:2] == [50, 1]
    publications = list(answer[3])
    for client in subscribers:
        events = [await client.hear() for _ in range(3 * EVENTS)]
        for index, number in enumerate(numbers):
            details = {'topic': 'news.server'} if index else {}
            assert [event for event in events if event[1] == number] == [
                [36, number, publication, details, [value]] for value, publication in enumerate(publications)
            ]
    answer = await publisher.ask(16, 2, {'acknowledge': True}, 'news.client', ['hello'], {'key': b'\x00\xff'})
    assert answer[:2] == [17, 2]
    for client in subscribers:
        event = await client.hear()
        assert event == [36, numbers[1], answer[2], {'topic': 'news.client'}, ['hello'], {'key': b'\x00\xff'}]
    refused = await publisher.ask(16, 3, {'acknowledge': True}, 'other')
    assert refused == Explained(16, 3, 'wamp.error.not_authorized')
    for client in clients:
        assert (await client.ask(6, {}, 'wamp.close.close_realm'))[0] == 6


SUBPROTOCOLS = [JSON, JSON, JSON_BATCHED, MSGPACK, MSGPACK_BATCHED, CBOR, CBOR_BATCHED]


@contextlib.asynccontextmanager
async def native_server(app: wamp.Application) -> AsyncIterator[str]:
    async with await app.serve('127.0.0.1', 0) as server:
        yield f'127.0.0.1:{server.sockets[0].getsockname()[1]}'


SERVERS = {
    'native': native_server,
    'aiohttp': lambda app: aiohttp_server(app.aiohttp_websocket_handler()),
    'uvicorn': lambda app: uvicorn_server(app.asgi_application(), 'wsproto'),
    'websockets': lambda app: websockets_server(app.websockets_handler(), subprotocols=list(SUBPROTOCOLS)),
}


@pytest.mark.parametrize('server', SERVERS)
def test_on_asyncio(run: Any, server: str) -> None:
    from websockets.asyncio.client import connect

    app = make_app()

    async def main() -> None:
        async with SERVERS[server](app) as url, contextlib.AsyncExitStack() as stack:
            clients = [
                Client(await stack.enter_async_context(connect(f'ws://{url}', subprotocols=[subprotocol])))
                for subprotocol in SUBPROTOCOLS
            ]
            await converse(app, clients)
            while app._active_sessions:
                await asyncio.sleep(0.001)
        assert len(app._default_realm.topics) == 0

    run(main())


@pytest.mark.parametrize('server', ['hypercorn', 'websockets'])
def test_on_trio(server: str) -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    pytest.importorskip('hypercorn', reason='hypercorn is not installed')
    from websockets.trio.client import connect

    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    app = make_app(async_support=TrioAsyncSupport)

    async def main() -> None:
        serving = (
            hypercorn_trio_server(app.asgi_application())
            if server == 'hypercorn'
            else websockets_trio_server(app.websockets_handler(), subprotocols=list(SUBPROTOCOLS))
        )
        with trio.fail_after(60):
            async with serving as url, contextlib.AsyncExitStack() as stack:
                clients = [
                    Client(await stack.enter_async_context(connect(f'ws://{url}', subprotocols=[subprotocol])))
                    for subprotocol in SUBPROTOCOLS
                ]
                await converse(app, clients)
                while app._active_sessions:
                    await trio.sleep(0.001)
        assert len(app._default_realm.topics) == 0

    trio.run(main)


class Counting(Sequence[str]):
    """A value that counts how often it is written for the wire."""

    def __init__(self) -> None:
        self.count = 0

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        return ['news'][index]

    def __iter__(self) -> Iterator[str]:
        self.count += 1
        return iter(['news'])


@pytest.mark.parametrize('server', SERVERS)
def test_an_event_is_encoded_once_for_each_serializer(run: Any, server: str) -> None:
    """Whatever the number of subscribers, of their subscriptions, and of the subprotocols with that serializer."""
    from websockets.asyncio.client import connect

    app = make_app()

    async def main() -> None:
        async with SERVERS[server](app) as url, contextlib.AsyncExitStack() as stack:
            clients = [
                Client(await stack.enter_async_context(connect(f'ws://{url}', subprotocols=[subprotocol])))
                for subprotocol in SUBPROTOCOLS * 2
            ]
            for client in clients:
                assert (await client.ask(*HELLO))[0] == 2
                for topic, match in PATTERNS:
                    assert (await client.ask(32, 1, {'match': match}, topic))[0] == 33
            args, kwargs = Counting(), Counting()
            await app.publish('news.server', ['new', args], {'more': kwargs})
            for client in clients:
                for _ in PATTERNS:
                    assert (await client.hear())[4:] == [['new', ['news']], {'more': ['news']}]
            assert (args.count, kwargs.count) == (3, 3)

    run(main())
