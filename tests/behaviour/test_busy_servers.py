"""Through each kind of server: clients of sessions that are busy get their pongs, and are missed when they leave."""

import asyncio
import contextlib
from typing import Any

import pytest
from support.echo_servers import (
    JSON,
    Wire,
    aiohttp_server,
    hypercorn_server,
    hypercorn_trio_server,
    uvicorn_server,
    websockets_server,
    websockets_trio_server,
)

import serverwamp_fast as wamp

HELLO = [1, 'realm1', {'roles': {'caller': {}, 'subscriber': {}}}]


@contextlib.asynccontextmanager
async def native_server(app: wamp.Application) -> Any:
    async with await app.serve('127.0.0.1', 0) as server:
        yield f'127.0.0.1:{server.sockets[0].getsockname()[1]}'


SERVERS = {
    'native': native_server,
    'aiohttp': lambda app: aiohttp_server(app.aiohttp_websocket_handler()),
    'uvicorn wsproto': lambda app: uvicorn_server(app.asgi_application(), 'wsproto'),
    'uvicorn websockets': lambda app: uvicorn_server(app.asgi_application(), 'websockets'),
    'hypercorn': lambda app: hypercorn_server(app.asgi_application()),
    'websockets': lambda app: websockets_server(app.websockets_handler(), subprotocols=[JSON]),
}
MESSAGES = {
    'SUBSCRIBE': ([32, 1, {}, 'slow'], False),
    'call': ([48, 1, {}, 'follow'], False),
    'synchronized call': ([48, 1, {}, 'follow'], True),
}


class Site:
    """A topic and a procedure that wait for ever, on asyncio or trio."""

    def __init__(self, library: Any, **options: Any) -> None:
        self.begun, self.ended = library.Event(), library.Event()
        self.app = app = wamp.Application(**options)
        calls, topics = wamp.RPCRouteSet(), wamp.TopicRouteSet()

        @calls.route('follow')
        async def follow() -> Any:
            self.begun.set()
            try:
                await library.Event().wait()
                yield None
            finally:
                self.ended.set()

        @topics.topic('slow')
        async def slow(session: Any) -> Any:
            self.begun.set()
            while session.is_open:
                await library.sleep(0.001)
            self.ended.set()
            yield

        app.add_rpc_routes(calls)
        app.add_topic_routes(topics)

    async def talk(self, ws: Any, message: Any) -> None:
        """Have the session busy, and hear of a ping meanwhile."""
        wire = Wire(JSON)
        await ws.send(wire.encode(HELLO))
        assert wire.decode(await ws.recv())[0][0] == 2
        await ws.send(wire.encode(message))
        await self.begun.wait()
        pong = await ws.ping()
        await (pong.wait() if hasattr(pong, 'wait') else pong)
        assert not self.ended.is_set()


@pytest.mark.parametrize('vanishes', [False, True])
@pytest.mark.parametrize('what', MESSAGES)
@pytest.mark.parametrize('server', SERVERS)
def test_on_asyncio(run: Any, server: str, what: str, vanishes: bool, caplog: pytest.LogCaptureFixture) -> None:
    from websockets.asyncio.client import connect

    message, synchronize = MESSAGES[what]

    async def main() -> None:
        site = Site(asyncio, synchronize_requests=synchronize)
        async with asyncio.timeout(30), SERVERS[server](site.app) as url:
            async with connect(f'ws://{url}', subprotocols=[JSON], compression=None) as ws:
                await site.talk(ws, message)
                if vanishes:
                    ws.transport.abort()
                else:
                    await ws.close()
                await site.ended.wait()
            while site.app._active_sessions:
                await asyncio.sleep(0.001)

    run(main())
    assert not [line for line in caplog.records if line.levelname == 'ERROR' and 'serverwamp' in line.name]


@pytest.mark.parametrize('what', MESSAGES)
@pytest.mark.parametrize('server', ['hypercorn', 'websockets'])
def test_on_trio(server: str, what: str) -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    pytest.importorskip('hypercorn', reason='hypercorn is not installed')
    from websockets.trio.client import connect

    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    message, synchronize = MESSAGES[what]

    async def main() -> None:
        site = Site(trio, async_support=TrioAsyncSupport, synchronize_requests=synchronize)
        serving = (
            hypercorn_trio_server(site.app.asgi_application())
            if server == 'hypercorn'
            else websockets_trio_server(site.app.websockets_handler(), subprotocols=[JSON])
        )
        with trio.fail_after(30):
            async with serving as url:
                async with connect(f'ws://{url}', subprotocols=[JSON], compression=None) as ws:
                    await site.talk(ws, message)
                await site.ended.wait()
                while site.app._active_sessions:
                    await trio.sleep(0.001)

    trio.run(main)
