"""Connections on aiohttp's web server, with clients on the other side of a loopback port."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

aiohttp = pytest.importorskip('aiohttp', reason='aiohttp is not installed')
from aiohttp import WSMsgType, web  # noqa: E402
from support.certificates import make_contexts  # noqa: E402
from support.echo_servers import (  # noqa: E402
    CBOR,
    CBOR_BATCHED,
    JSON,
    JSON_BATCHED,
    MESSAGES,
    MSGPACK,
    MSGPACK_BATCHED,
    SUBPROTOCOLS,
    Echo,
    Serve,
    Wire,
    aiohttp_server,
    assert_closed,
    client_that_does_not_read,
    fill,
    wait_until_stuck,
)

from serverwamp_fast.adapters import aiohttp as adapter  # noqa: E402
from serverwamp_fast.connection import ConnectionClosed  # noqa: E402


@pytest.fixture(params=['current', 'first'])
def features(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What aiohttp is taken to be able to do: all that it can, or what it always could."""
    if request.param == 'first':
        monkeypatch.setattr(adapter, '_response_options', {})
        monkeypatch.setattr(adapter, '_sends_encoded_text', False)
    return request.param


def handle_with(serve: Serve, **options: Any) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.StreamResponse:
        connection = await adapter.connection_for_aiohttp_request(request, **options)
        await serve(connection)
        return connection.ws_response

    return handle


@contextlib.asynccontextmanager
async def connected(
    serve: Serve, *offer: str, headers: Any = None, path: str = '', **options: Any
) -> AsyncIterator[Any]:
    """A client's WebSocket, connected to a server that serves with `serve`."""
    async with (
        aiohttp_server(handle_with(serve, **options)) as url,
        aiohttp.ClientSession() as http,
        http.ws_connect(
            f'ws://{url}{path}', protocols=offer, headers=headers, max_msg_size=0
        ) as ws,
    ):
        yield ws


async def send_frames(ws: Any, opcode: int, payload: bytes, pieces: int = 1) -> None:
    """Sends what aiohttp's client has no way to send; masked with zeros."""
    size = -(-len(payload) // pieces)
    for start in range(0, len(payload), size):
        piece = payload[start : start + size]
        head = bytes([(start + size >= len(payload)) << 7 | (0 if start else opcode), 0xFF])
        write(ws, head + len(piece).to_bytes(8) + bytes(4) + piece)


def write(ws: Any, data: bytes) -> None:
    ws._writer.transport.write(data)


def server_task(serve: Serve) -> tuple[Serve, 'asyncio.Future[None]']:
    """`serve`, and a future of what becomes of it."""
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def observed(connection: Any) -> None:
        try:
            await serve(connection)
        except BaseException as error:
            outcome.set_exception(error)
            raise
        outcome.set_result(None)

    return observed, outcome


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_messages_pass_both_ways(run, features: str, subprotocol: str) -> None:
    wire = Wire(subprotocol)
    echo = Echo()

    async def main() -> None:
        async with connected(echo, subprotocol) as ws:
            assert ws.protocol == subprotocol
            for message in MESSAGES:
                send = ws.send_bytes if wire.is_binary else ws.send_str
                await send(wire.encode(message))
                reply = await ws.receive()
                assert reply.type is (WSMsgType.BINARY if wire.is_binary else WSMsgType.TEXT)
                assert wire.decode(reply.data) == [message]

    run(main())
    (connection,) = echo.connections
    assert type(connection) is adapter.ws_protocol_connection_classes[subprotocol]
    assert connection.codec.subprotocol == subprotocol
    assert connection.takes_payloads
    assert not echo.aborts


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_messages_are_sent_together(run, features: str, subprotocol: str) -> None:
    wire = Wire(subprotocol)

    async def main() -> None:
        async with connected(Echo(together=len(MESSAGES)), subprotocol) as ws:
            send = ws.send_bytes if wire.is_binary else ws.send_str
            if wire.is_batched:
                await send(wire.encode(*MESSAGES))
                replies = [await ws.receive()]
            else:
                for message in MESSAGES:
                    await send(wire.encode(message))
                replies = [await ws.receive() for _ in MESSAGES]
            assert [item for reply in replies for item in wire.decode(reply.data)] == MESSAGES

    run(main())


@pytest.mark.skipif(adapter.TCP_CORK is None, reason='TCP_CORK is of Linux')
def test_answers_to_a_client_that_pipelines_leave_together(run, features: str) -> None:
    corks: list[list[int]] = []

    async def main() -> None:
        are_there = asyncio.Event()

        async def serve(connection: Any) -> None:
            sock = connection._transport.get_extra_info('socket')
            await are_there.wait()
            # The loop reads them.
            for _ in range(10):
                await asyncio.sleep(0)
            async for message in connection.iterate_msgs():
                await connection.send_msg(message)
                seen = [sock.getsockopt(socket.IPPROTO_TCP, adapter.TCP_CORK)]
                if message[1] != 1:
                    # The next turn of the loop takes the cork out.
                    await asyncio.sleep(0)
                    seen.append(sock.getsockopt(socket.IPPROTO_TCP, adapter.TCP_CORK))
                corks.append(seen)

        async with connected(serve, 'wamp.2.json') as ws:
            for number in (1, 2):
                await ws.send_str(f'[50,{number},{{}}]')
            are_there.set()
            for number in (1, 2):
                assert (await ws.receive()).json()[1] == number
            # There was nothing behind it when it was waited for.
            await ws.send_str('[50,3,{}]')
            assert (await ws.receive()).json()[1] == 3

    run(main())
    assert corks == [[1], [1, 0], [0, 0]]


def test_the_clients_separator_is_answered_with(run) -> None:
    wire = Wire(JSON_BATCHED, '\x18')

    async def main() -> None:
        async with connected(Echo(), JSON_BATCHED) as ws:
            await ws.send_str(wire.encode(*MESSAGES[:2]))
            assert wire.decode((await ws.receive()).data) == [MESSAGES[0]]

    run(main())


@pytest.mark.parametrize(
    ('offer', 'chosen'),
    [
        ((JSON, MSGPACK_BATCHED), JSON),
        (('chat', MSGPACK, JSON), MSGPACK),
        ((JSON_BATCHED, JSON, MSGPACK), JSON_BATCHED),
        # CBOR stands back where there is another choice.
        ((CBOR, CBOR_BATCHED, MSGPACK, JSON), MSGPACK),
        ((CBOR, 'chat', JSON), JSON),
        ((CBOR, CBOR_BATCHED), CBOR),
    ],
)
def test_the_clients_order_decides(run, offer: tuple[str, ...], chosen: str) -> None:
    async def main() -> None:
        async with connected(Echo(), *offer) as ws:
            assert ws.protocol == chosen

    run(main())


def test_the_supported_subprotocols_have_their_classes() -> None:
    assert set(adapter.SUPPORTED_WS_PROTOCOLS) == set(SUBPROTOCOLS)
    assert dict(adapter.ws_protocol_connection_classes) == {
        JSON: adapter.AiohttpJSONWebSocketConnection,
        JSON_BATCHED: adapter.AiohttpBatchedJSONWebSocketConnection,
        MSGPACK: adapter.AiohttpMsgPackWebSocketConnection,
        MSGPACK_BATCHED: adapter.AiohttpBatchedMsgPackWebSocketConnection,
        CBOR: adapter.AiohttpCBORWebSocketConnection,
        CBOR_BATCHED: adapter.AiohttpBatchedCBORWebSocketConnection,
    }


@pytest.mark.parametrize(
    'headers',
    [
        {},
        {'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Version': '13'},
        {
            'Upgrade': 'websocket',
            'Connection': 'Upgrade',
            'Sec-WebSocket-Version': '13',
            'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
            'Sec-WebSocket-Protocol': 'wamp.2.flatbuffers, chat',
        },
    ],
    ids=['no WebSocket', 'no handshake', 'no common subprotocol'],
)
def test_other_requests_are_refused(run, headers: dict[str, str]) -> None:
    echo = Echo()

    async def main() -> None:
        async with (
            aiohttp_server(handle_with(echo)) as url,
            aiohttp.ClientSession() as http,
            http.get(f'http://{url}', headers=headers) as response,
        ):
            assert response.status == 400
            assert 'WAMP WebSocket subprotocol' in await response.text()

    run(main())
    assert not echo.connections


def test_transport_info_tells_of_the_request(run) -> None:
    echo = Echo()

    async def main() -> None:
        headers = {'Cookie': 'a=1; b="two"', 'X-Odd': 'value'}
        async with connected(echo, JSON, headers=headers, path='some%20path?q=%20&r=1'):
            pass

    run(main())
    info = dict(echo.connections[0].transport_info)
    raw = info.pop('http_headers_raw')
    assert (b'X-Odd', b'value') in [tuple(pair) for pair in raw]
    assert dict(info.pop('http_cookies')) == {'a': '1', 'b': 'two'}
    assert info == {
        'http_path': '/some path',
        'http_path_raw': '/some%20path?q=%20&r=1',
        'http_query_string': 'q= &r=1',
        'peer_address': '127.0.0.1',
        'peer_certificate': None,
        'peer_certificate_raw': None,
    }


def test_transport_info_has_the_clients_certificate(run) -> None:
    server_context, client_context, der = make_contexts()
    echo = Echo()

    async def main() -> None:
        async with (
            aiohttp_server(handle_with(echo), ssl_context=server_context) as url,
            aiohttp.ClientSession() as http,
            http.ws_connect(f'wss://{url}', protocols=[JSON], ssl=client_context) as ws,
        ):
            await ws.send_str('[1]')
            assert await ws.receive_str() == '[1]'

    run(main())
    info = echo.connections[0].transport_info
    assert info['peer_certificate']['subject'] == ((('commonName', 'loopback'),),)
    assert info['peer_certificate_raw'] == der


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_the_wrong_type_of_frame_is_an_error(run, features: str, subprotocol: str) -> None:
    wire = Wire(subprotocol)
    echo = Echo()

    async def main() -> None:
        async with connected(echo, subprotocol) as ws:
            payload = wire.encode(MESSAGES[0])
            if isinstance(payload, str):
                await ws.send_bytes(payload.encode())
            else:
                await ws.send_str('text')
            ((code, details, uri),) = wire.decode((await ws.receive()).data)
            assert (code, uri) == (3, 'wamp.error.protocol_violation')
            assert details['message'] == echo.aborts[0]
            assert (await ws.receive()).type is WSMsgType.CLOSE
            assert ws.close_code == 1000

    run(main())


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_malformed_payloads_are_an_error(run, features: str, subprotocol: str) -> None:
    wire = Wire(subprotocol)
    echo = Echo()

    async def main() -> None:
        async with connected(echo, subprotocol) as ws:
            await (ws.send_bytes(b'\xc1') if wire.is_binary else ws.send_str('[1,'))
            ((code, _, uri),) = wire.decode((await ws.receive()).data)
            assert (code, uri) == (3, 'wamp.error.protocol_violation')

    run(main())
    assert len(echo.aborts) == 1


@pytest.mark.parametrize('text', [b'["\xff"]', b'\xc3', b'"\xed\xa0\x80"'])
def test_text_that_is_not_utf8_is_refused(run, features: str, text: bytes, caplog) -> None:
    echo = Echo()

    async def main() -> None:
        async with connected(echo, JSON) as ws:
            await send_frames(ws, WSMsgType.TEXT, text)
            assert (await ws.receive()).type is WSMsgType.CLOSE
            assert ws.close_code == 1007

    run(main())
    assert not echo.aborts
    assert_one_line(caplog, '127.0.0.1')


def assert_one_line(caplog, *parts: str) -> None:
    records = [record for record in caplog.records if record.name.startswith('serverwamp_fast')]
    assert len(records) == 1
    assert records[0].exc_info is None
    message = records[0].getMessage()
    assert '\n' not in message
    assert all(part in message for part in parts), message


@pytest.mark.parametrize('pieces', [1, 3])
@pytest.mark.parametrize('subprotocol', [JSON, MSGPACK])
def test_messages_have_a_limit(run, features: str, subprotocol: str, pieces: int, caplog) -> None:
    limit = 2**22
    wire = Wire(subprotocol)
    overhead = len(wire.encode(['x' * (limit - 100)])) - (limit - 100)
    opcode = WSMsgType.BINARY if wire.is_binary else WSMsgType.TEXT

    async def send(ws: Any, size: int) -> None:
        payload = wire.encode(['x' * (size - overhead)])
        payload = payload if isinstance(payload, bytes) else payload.encode()
        assert len(payload) == size
        await send_frames(ws, opcode, payload, pieces)

    async def main() -> None:
        async with connected(Echo(), subprotocol) as ws:
            await send(ws, limit)
            assert len((await ws.receive()).data) == limit
            assert not caplog.records
            await send(ws, limit + 1)
            assert (await ws.receive()).type is WSMsgType.CLOSE
            assert ws.close_code == 1009

    run(main())
    assert_one_line(caplog, '127.0.0.1', '1009')


def test_the_limit_can_be_chosen(run) -> None:
    async def main() -> None:
        async with connected(Echo(), JSON, max_size=10) as ws:
            await ws.send_str('["567890"]')
            assert await ws.receive_str() == '["567890"]'
            await ws.send_str('["5678901"]')
            await ws.receive()
            assert ws.close_code == 1009

    run(main())


def test_frames_against_the_protocol_close(run, caplog) -> None:
    async def main() -> None:
        async with connected(Echo(), JSON) as ws:
            write(ws, b'\x83\x80\0\0\0\0')  # Opcode 3 is reserved.
            await ws.receive()
            assert ws.close_code == 1002

    run(main())
    assert_one_line(caplog, '127.0.0.1', '1002')


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_a_client_that_closed_can_not_be_sent_to(run, features: str, subprotocol: str) -> None:
    async def main() -> None:
        serve, outcome = server_task(Echo(ended=assert_closed))
        async with connected(serve, subprotocol) as ws:
            await ws.close()
            await outcome

    run(main())


def test_a_client_that_vanished_can_not_be_sent_to(run, features: str, caplog) -> None:
    async def main() -> None:
        serve, outcome = server_task(Echo(ended=assert_closed))
        async with connected(serve, JSON) as ws:
            ws._writer.transport.abort()
            await outcome

    run(main())
    assert not [record for record in caplog.records if record.name.startswith('serverwamp_fast')]


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_a_connection_that_was_closed_here_is_at_its_end(run, subprotocol: str) -> None:
    async def close(connection: Any) -> None:
        await connection.close()
        await assert_closed(connection)
        for _ in range(10):
            assert [msg async for msg in connection.iterate_msgs()] == []

    async def main() -> None:
        serve, outcome = server_task(close)
        async with connected(serve, subprotocol) as ws:
            assert (await ws.receive()).type is WSMsgType.CLOSE
            assert ws.close_code == 1000
            await outcome

    run(main())


def test_closing_ends_who_is_receiving(run) -> None:
    async def main() -> None:
        receiving = asyncio.Event()

        async def serve(connection: Any) -> None:
            async def receive() -> None:
                async for _ in connection.iterate_msgs():
                    receiving.set()

            async with asyncio.timeout(30):
                task = asyncio.create_task(receive())
                await receiving.wait()
                await connection.close()
                await task

        observed, outcome = server_task(serve)
        async with connected(observed, JSON) as ws:
            await ws.send_str('[1]')
            assert (await ws.receive()).type is WSMsgType.CLOSE
            await outcome

    run(main())


def test_a_client_that_does_not_read_can_be_closed(run, features: str, monkeypatch) -> None:
    monkeypatch.setattr(adapter, 'CLOSE_LIMIT', 0.1)

    async def fill_and_close(connection: Any) -> None:
        sending = asyncio.create_task(fill(connection))
        await wait_until_stuck(connection._transport)
        await connection.close()
        with pytest.raises(ConnectionClosed):
            await sending
        await assert_closed(connection)

    async def main() -> None:
        serve, outcome = server_task(fill_and_close)
        async with (
            aiohttp_server(handle_with(serve)) as url,
            client_that_does_not_read(url),
        ):
            await outcome

    run(main())


def test_cancelling_one_who_sends_leaves_the_others(run, features: str) -> None:
    async def fill_and_cancel(connection: Any) -> None:
        tasks = [asyncio.create_task(fill(connection, number)) for number in range(3)]
        await wait_until_stuck(connection._transport)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert tasks[1].cancelled()
        await asyncio.sleep(0)
        assert not tasks[0].done()
        assert not tasks[2].done()
        connection._transport.abort()
        for task in (tasks[0], tasks[2]):
            with pytest.raises(ConnectionClosed):
                await task

    async def main() -> None:
        serve, outcome = server_task(fill_and_cancel)
        async with (
            aiohttp_server(handle_with(serve)) as url,
            client_that_does_not_read(url),
        ):
            await outcome

    run(main())


@pytest.mark.parametrize('sizes', [(100_000, 1, 1), (1, 100_000, 1), (70_000, 70_000, 10, 20_000)])
def test_tasks_send_in_the_order_they_were_started(run, features: str, sizes: Any) -> None:
    async def send_all(connection: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, size in enumerate(sizes):
                tasks.create_task(connection.send_msg([number, 'x' * size]))
            for number, size in enumerate(sizes, len(sizes)):
                tasks.create_task(connection.send_msg([number, 'x' * size]))

    async def main() -> None:
        async with connected(send_all, JSON) as ws:
            for number in range(2 * len(sizes)):
                assert (await ws.receive_json())[0] == number

    run(main())
