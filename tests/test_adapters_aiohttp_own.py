"""Connections of aiohttp's that an application puts together itself: on its own response, or with its own class."""

from typing import Any

import pytest

aiohttp = pytest.importorskip('aiohttp', reason='aiohttp is not installed')
from aiohttp import web  # noqa: E402
from echo_servers import JSON, MESSAGES, Echo, Wire, aiohttp_server  # noqa: E402

from serverwamp_fast.adapters import aiohttp as adapter  # noqa: E402


@pytest.mark.parametrize('compress', [False, 15])
def test_a_response_of_the_applications_own_works(run, compress: Any) -> None:
    """As in applications that prepare the response themselves, whatever its options."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=['wamp.2.json'], autoping=False)
        await ws.prepare(request)
        connection = adapter.AiohttpJSONWebSocketConnection(ws, request, compress_outbound=compress)
        await Echo()(connection)
        assert connection.ws_response is ws
        return connection.ws_response

    async def main() -> None:
        async with (
            aiohttp_server(handle) as url,
            aiohttp.ClientSession() as http,
            http.ws_connect(f'ws://{url}', protocols=[JSON], compress=15) as ws,
        ):
            wire = Wire(JSON)
            await ws.ping()
            for message in MESSAGES:
                await ws.send_str(wire.encode(message))
                assert wire.decode(await ws.receive_str()) == [message]

    run(main())


def test_own_serializers_can_be_put_on_the_base_class(run) -> None:
    class Words(adapter.AiohttpWebSocketConnection):
        async def iterate_msgs(self):
            async for frame in self._ws:
                yield frame.data.split()

        async def send_msg(self, msg):
            await self._ws.send_str(' '.join(msg))

    connections = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        connections.append(Words(ws, request))
        await Echo()(connections[0])
        return ws

    async def main() -> None:
        async with (
            aiohttp_server(handle) as url,
            aiohttp.ClientSession() as http,
            http.ws_connect(f'ws://{url}') as ws,
        ):
            await ws.send_str('some  words')
            assert await ws.receive_str() == 'some words'

    run(main())
    assert not connections[0].takes_payloads
