"""Call an installed serverwamp_fast with nothing but its own requirements around, for ci/wheels."""

import asyncio
import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from websockets.asyncio.client import connect

import serverwamp_fast

HELLO, WELCOME, CALL, RESULT = 1, 2, 48, 50

calls = serverwamp_fast.RPCRouteSet()


@calls.route('smoke.add')
async def add(x, y):
    return x + y


async def main():
    app = serverwamp_fast.Application()
    app.add_rpc_routes(calls)
    async with await app.serve('127.0.0.1', 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f'ws://127.0.0.1:{port}/'
        async with connect(url, subprotocols=['wamp.2.json'], proxy=None) as websocket:
            await websocket.send(json.dumps([HELLO, 'smoke', {'roles': {'caller': {}}}]))
            assert json.loads(await websocket.recv())[0] == WELCOME
            await websocket.send(json.dumps([CALL, 1, {}, 'smoke.add', [2, 3]]))
            assert json.loads(await websocket.recv()) == [RESULT, 1, {}, [5]]


package = Path(serverwamp_fast.__file__).parent
assert 'site-packages' in package.parts, f'{package} is not the installed package.'
assert files('serverwamp_fast').joinpath('py.typed').is_file()
asyncio.run(asyncio.wait_for(main(), 60))
print(f'serverwamp_fast {version("serverwamp-fast")} in {package} has answered a call.')
