"""What the adapters for aiohttp and ASGI have by default: serverwamp's names, and how large a message may be."""

import asyncio
import contextlib
import json

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import serverwamp_fast as wamp
from serverwamp_fast.adapters import aiohttp as aiohttp_adapter
from serverwamp_fast.adapters import asgi as asgi_adapter

MIB = 1024 * 1024


def test_batch_splitter() -> None:
    assert aiohttp_adapter.JSON_BATCH_SPLITTER == asgi_adapter.JSON_BATCH_SPLITTER == '\x1e'


@pytest.mark.parametrize(
    ('options', 'size', 'is_taken'),
    [
        ({}, 4 * MIB - 100, True),
        ({}, 4 * MIB + 100, False),
        ({'max_message_size': MIB}, MIB + 100, False),
    ],
)
def test_message_size_on_aiohttp(options: dict[str, int], size: int, is_taken: bool) -> None:
    async def main() -> None:
        routes = wamp.RPCRouteSet()

        @routes.route('length')
        async def length(text: str) -> int:
            return len(text)

        app = wamp.Application(**options)
        app.add_rpc_routes(routes)
        site = web.Application()
        site.router.add_get('/', app.aiohttp_websocket_handler())
        async with TestClient(TestServer(site)) as client:
            ws = await client.ws_connect('/', protocols=['wamp.2.json'])
            await ws.send_str(json.dumps([1, 'r', {'roles': {'caller': {}}}]))
            await ws.receive()
            # The server may close before it has read all of it.
            with contextlib.suppress(ConnectionError):
                await ws.send_str(json.dumps([48, 1, {}, 'length', ['x' * size]]))
            answer = await ws.receive(10)
            if is_taken:
                assert json.loads(answer.data) == [50, 1, {}, [size]]
            else:
                assert answer.type is not aiohttp.WSMsgType.TEXT
                assert ws.close_code in (1009, 1006)
            await ws.close()

    asyncio.run(main())
