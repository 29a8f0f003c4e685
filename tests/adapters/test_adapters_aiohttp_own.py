"""Connections of aiohttp's that an application puts together itself: on its own response, or with its own class."""

from json import dumps, loads
from typing import Any

import pytest

aiohttp = pytest.importorskip('aiohttp', reason='aiohttp is not installed')
from aiohttp import web  # noqa: E402
from support.echo_servers import JSON, MESSAGES, Echo, Wire, aiohttp_server  # noqa: E402

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


class ReadsFrames(adapter.AiohttpJSONWebSocketConnection):
    """As classes for serverwamp 2.0.0 are written."""

    async def iterate_msgs(self):
        async for frame in self._ws:
            assert type(frame.data) is str
            for part in frame.data.split('\x1e'):
                yield loads(part)

    async def send_msg(self, msg):
        await self._ws.send_str(dumps(msg))


class LooksAtMessages(adapter.AiohttpJSONWebSocketConnection):
    async def iterate_msgs(self):
        async for msg in super().iterate_msgs():
            yield [*msg, 'seen']


class LooksAtPayloads(adapter.AiohttpJSONWebSocketConnection):
    async def receive_payload(self):
        payload = await super().receive_payload()
        return payload and payload.replace('1', '2')


@pytest.mark.parametrize(
    ('kind', 'answer'),
    [
        (adapter.AiohttpJSONWebSocketConnection, [1, 'ä']),
        (ReadsFrames, [1, 'ä']),
        (LooksAtMessages, [1, 'ä', 'seen']),
        (LooksAtPayloads, [2, 'ä']),
    ],
)
def test_classes_that_read_by_themselves_get_text(run, monkeypatch, kind: Any, answer: Any) -> None:
    monkeypatch.setitem(adapter.ws_protocol_connection_classes, JSON, kind)
    connections = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        connections.append(await adapter.connection_for_aiohttp_request(request))
        await Echo()(connections[0])
        return connections[0].ws_response

    async def main() -> None:
        async with (
            aiohttp_server(handle) as url,
            aiohttp.ClientSession() as http,
            http.ws_connect(f'ws://{url}', protocols=[JSON]) as ws,
        ):
            await ws.send_str('[1,"ä"]')
            assert loads(await ws.receive_str()) == answer

    run(main())
    assert type(connections[0]) is kind


def test_all_cookie_headers_are_read(run) -> None:
    """aiohttp itself reads the first one only."""
    connections: list[Any] = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        connections.append(await adapter.connection_for_aiohttp_request(request))
        return connections[-1].ws_response

    async def main() -> None:
        async with aiohttp_server(handle) as url, aiohttp.ClientSession() as http:
            for headers in ([('Cookie', 'a=1')], [('Cookie', 'a=1'), ('Cookie', 'b=2')]):
                async with http.ws_connect(f'ws://{url}', protocols=[JSON], headers=headers) as ws:
                    await ws.receive()

    run(main())
    cookies = [dict(connection.transport_info['http_cookies']) for connection in connections]
    assert cookies == [{'a': '1'}, {'a': '1', 'b': '2'}]
