"""How sessions are ended with goodbye=False: by Close 1012 alone, on every transport."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.echo_servers import (
    aiohttp_server,
    hypercorn_server,
    hypercorn_trio_server,
    uvicorn_server,
    websockets_server,
    websockets_trio_server,
)
from support.session_clients import Clients, Pair
from websockets.exceptions import ConnectionClosed

import serverwamp_fast as wamp

JSON = ['wamp.2.json']
HELLO = '[1,"realm1",{"roles":{"caller":{}}}]'
SERVERS = {
    'aiohttp': lambda app: aiohttp_server(app.aiohttp_websocket_handler()),
    'uvicorn websockets': lambda app: uvicorn_server(app.asgi_application(), 'websockets'),
    'uvicorn wsproto': lambda app: uvicorn_server(app.asgi_application(), 'wsproto'),
    'hypercorn': lambda app: hypercorn_server(app.asgi_application()),
    'websockets': lambda app: websockets_server(app.websockets_handler(), subprotocols=JSON),
}


@contextlib.asynccontextmanager
async def native(app: wamp.Application, **options: Any) -> AsyncIterator[tuple[str, Any]]:
    async with await app.serve('127.0.0.1', 0, **options) as server:
        yield f'127.0.0.1:{server.sockets[0].getsockname()[1]}', server


def keep_waiting(app: wamp.Application, *, realm: str) -> None:
    """Add a realm whose authenticator decides nothing."""
    never = wamp.Realm(realm)

    async def decide(session: Any) -> Any:
        await asyncio.sleep(60)

    never.add_transport_authenticator(decide)
    app.add_realm(never)


async def close_code(ws: Any) -> int | None:
    """Return the code of the server's Close, which has to be all that is left to be read."""
    with pytest.raises(ConnectionClosed) as closed:
        await ws.recv()
    return closed.value.rcvd.code if closed.value.rcvd else None


@pytest.mark.parametrize('server', SERVERS)
def test_close_sessions_on_asyncio(run: Any, server: str) -> None:
    from websockets.asyncio.client import connect

    app = wamp.Application()
    keep_waiting(app, realm='slow')

    async def main() -> None:
        async with SERVERS[server](app) as url, contextlib.AsyncExitStack() as stack:
            one, other, slow = [
                await stack.enter_async_context(connect(f'ws://{url}', subprotocols=JSON)) for _ in range(3)
            ]
            for ws in (one, other):
                await ws.send(HELLO)
                assert json.loads(await ws.recv())[0] == 2
            await slow.send(HELLO.replace('realm1', 'slow'))
            while len(app._active_sessions) < 3:
                await asyncio.sleep(0.001)
            sessions = list(app._active_sessions)
            await app.close_sessions(goodbye=False)
            assert [await close_code(ws) for ws in (one, other, slow)] == [1012] * 3
            while app._active_sessions:
                await asyncio.sleep(0.001)
            assert not any(session.is_open for session in sessions)

    run(main())


@pytest.mark.parametrize('server', ['hypercorn', 'websockets'])
def test_close_sessions_on_trio(server: str) -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    pytest.importorskip('hypercorn', reason='hypercorn is not installed')
    from websockets.trio.client import connect

    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    app = wamp.Application(async_support=TrioAsyncSupport)
    servers = {
        'hypercorn': lambda: hypercorn_trio_server(app.asgi_application()),
        'websockets': lambda: websockets_trio_server(app.websockets_handler(), subprotocols=JSON),
    }

    async def main() -> None:
        async with servers[server]() as url, connect(f'ws://{url}', subprotocols=JSON) as ws:
            await ws.send(HELLO)
            assert json.loads(await ws.recv())[0] == 2
            await app.close_sessions(goodbye=False)
            assert await close_code(ws) == 1012

    async def bounded() -> None:
        with trio.fail_after(30):
            await main()

    trio.run(bounded)


@pytest.mark.parametrize('reads_itself', [False, True], ids=['core', 'handle_session overridden'])
def test_the_native_server(run: Any, reads_itself: bool) -> None:
    from websockets.asyncio.client import connect

    class Own(wamp.Application):
        async def handle_session(self, session: Any, msgs: Any = None) -> bool:
            return await super().handle_session(session, msgs)

    app = Own() if reads_itself else wamp.Application()
    keep_waiting(app, realm='slow')

    async def main() -> None:
        async with native(app, goodbye=False) as (url, server), contextlib.AsyncExitStack() as stack:
            joined, slow, silent = [
                await stack.enter_async_context(connect(f'ws://{url}', subprotocols=JSON)) for _ in range(3)
            ]
            await joined.send(HELLO)
            assert json.loads(await joined.recv())[0] == 2
            await slow.send(HELLO.replace('realm1', 'slow'))
            while len(app._active_sessions) < 2:
                await asyncio.sleep(0.001)
            server.close()
            assert [await close_code(ws) for ws in (joined, slow, silent)] == [1012] * 3
            await server.wait_closed()
        assert not app._active_sessions

    run(main())


def test_goodbye_is_said_by_default(run: Any) -> None:
    from websockets.asyncio.client import connect

    app = wamp.Application()

    async def main() -> None:
        async with native(app) as (url, server), connect(f'ws://{url}', subprotocols=JSON) as ws:
            await ws.send(HELLO)
            await ws.recv()
            server.close()
            assert json.loads(await ws.recv()) == [6, {}, 'wamp.close.system_shutdown']
            await ws.send('[6,{},"wamp.close.goodbye_and_out"]')
            assert await close_code(ws) == 1000

    run(main())


def test_who_has_heard_goodbye_gets_no_other_code(run: Any) -> None:
    from websockets.asyncio.client import connect

    app = wamp.Application()

    async def main() -> None:
        async with native(app, goodbye=False) as (url, server), connect(f'ws://{url}', subprotocols=JSON) as ws:
            await ws.send(HELLO)
            await ws.recv()
            (session,) = app._active_sessions
            await session.close('wamp.close.killed')
            server.close()
            assert json.loads(await ws.recv()) == [6, {}, 'wamp.close.killed']
            await ws.send('[6,{},"wamp.close.goodbye_and_out"]')
            assert await close_code(ws) == 1000

    run(main())


def test_connections_of_other_classes_are_closed(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = wamp.Application()

    async def main() -> None:
        async with Clients('connection').of(app) as connect:
            client = await connect()
            assert isinstance(client, Pair)
            await client.hello()
            await app.close_sessions(goodbye=False)
            # No message, and the end.
            assert await client.hear() is None

    run(main())
    assert not caplog.records
