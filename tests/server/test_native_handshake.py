"""The opening handshake of the native server (RFC 6455, 4.2), asked for in right and wrong ways."""

import asyncio
import contextlib
import gc
import itertools
import logging
import socket
from typing import Any

import pytest
from support.client_frames import BINARY, PING, PONG, frame
from support.echo_servers import (
    CBOR,
    CBOR_BATCHED,
    JSON,
    JSON_BATCHED,
    MSGPACK,
    MSGPACK_BATCHED,
    SUBPROTOCOLS,
)
from support.explained import Explained
from support.raw_client import HELLO, RawClient, make_app, serving, warnings_in
from websockets.asyncio.client import connect

from serverwamp_fast.adapters.native_handshake import Handshake


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_every_subprotocol_is_spoken(run, subprotocol: str) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            headers = await client.open(subprotocol)
            assert headers['sec-websocket-protocol'] == subprotocol
            assert headers['upgrade'].lower() == 'websocket'
            assert headers['connection'].lower() == 'upgrade'
            assert 'sec-websocket-extensions' not in headers
            await client.hello()
            values = ['grün', 2**53, 1.5, None, True, b'\x00\xff', {'a': [{}]}]
            assert await client.call(1, 'echo', *values) == values
            await client.leave()

    run(main())


@pytest.mark.parametrize('offer', list(itertools.permutations(SUBPROTOCOLS, 2)))
def test_the_servers_order_decides(run, offer: tuple[str, str]) -> None:
    order = [MSGPACK_BATCHED, MSGPACK, JSON_BATCHED, JSON, CBOR_BATCHED, CBOR]

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            headers = await client.open('wamp.2.flatbuffers', *offer)
            assert headers['sec-websocket-protocol'] == min(offer, key=order.index)

    run(main())


def test_an_offer_in_several_header_lines(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            request, accept = client.request('wamp.2.flatbuffers')
            line = b'Sec-WebSocket-Protocol: wamp.2.flatbuffers\r\n'
            assert line in request
            await client.send(
                request.replace(line, line + b'Sec-WebSocket-Protocol: chat,wamp.2.json\r\n')
            )
            await client.expect_open(accept)
            assert client.subprotocol == JSON

    run(main())


def test_the_websockets_library_gets_in(run) -> None:
    async def main() -> None:
        async with (
            serving(make_app()) as server,
            # It offers compression, which is not taken up.
            connect(f'ws://127.0.0.1:{server.port}/any/path', subprotocols=[JSON]) as ws,
        ):
            assert ws.subprotocol == JSON
            assert not ws.protocol.extensions
            await (await ws.ping())
            await ws.send('[1, "realm1", {"roles": {}}]')
            assert (await ws.recv()).startswith('[2,')

    run(main())


@pytest.mark.parametrize('size', [1, 7])
def test_a_request_in_pieces(run, size: int) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            request, accept = client.request(JSON)
            await client.send_in_pieces(request, size)
            await client.expect_open(accept)
            await client.send_in_pieces(client.pack(HELLO), size)
            assert (await client.hear())[0] == 2

    run(main())


@pytest.mark.parametrize('cut', [0, 1, 2, 3, 4, 5, 30])
def test_messages_in_the_segment_of_the_request(run, cut: int) -> None:
    """Whichever byte the segment ends with."""

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            request, accept = client.request(JSON)
            stream = (
                request
                + client.pack(HELLO, [48, 1, {}, 'a..' + 'x' * 200])
                + frame(PING, b'ping')
                + client.pack([48, 2, {}, 'echo', [2]])
            )
            await client.send(stream[: len(stream) - cut])
            await client.expect_open(accept)
            assert (await client.hear())[0] == 2
            assert await client.hear() == Explained(48, 1, 'wamp.error.invalid_uri')
            await client.send(stream[len(stream) - cut :])
            assert await client.read_frame() == (PONG, b'ping')
            assert await client.hear() == [50, 2, {}, [2]]

    run(main())


# Requests that are refused


REFUSED: dict[str, tuple[int, str, bytes]] = {
    'plain GET': (426, 'WAMP client', b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    'another upgrade': (426, 'WAMP client', b'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n'),
    'HTTP/1.0': (426, 'WAMP client', b'GET / HTTP/1.0\r\n\r\n'),
    'TLS': (400, '', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'),
    'another protocol': (400, '', b'EHLO example.com\r\n\r\n'),
    'no line': (400, '', b'\r\n\r\n'),
    'a header without a colon': (400, '', b'GET / HTTP/1.1\r\nHost\r\n\r\n'),
    'a header with a control character': (400, '', b'GET / HTTP/1.1\r\nHost: \x00\r\n\r\n'),
    'POST': (426, 'WAMP client', b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'),
    'no Host': (400, 'Host', b'GET / HTTP/1.1\r\n\r\n'),
    'two Hosts': (400, 'Host', b'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_other_requests_are_refused(run, caplog, name: str) -> None:
    status, text, request = REFUSED[name]

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            await client.send(request)
            # Later versions of the websockets library know better what is wrong with some of them.
            body = await client.expect_refused(status)
            assert text in body
            assert body.endswith('\n')
            client.close()
            await server.all_gone()

    run(main())
    assert not warnings_in(caplog)


WRONG_HEADERS: dict[str, tuple[int, dict[str, str | None]]] = {
    'no host': (400, {'Host': None}),
    'two hosts': (400, {'Host': 'a\r\nHost: b'}),
    'no key': (400, {'Sec-WebSocket-Key': None}),
    'a short key': (400, {'Sec-WebSocket-Key': 'AAAA'}),
    'no base64': (400, {'Sec-WebSocket-Key': '*'}),
    'no version': (400, {'Sec-WebSocket-Version': None}),
    'an old version': (400, {'Sec-WebSocket-Version': '8'}),
    'another upgrade': (426, {'Upgrade': 'h2c'}),
    'no Connection': (426, {'Connection': None}),
    'keep-alive': (426, {'Connection': 'keep-alive'}),
    'no upgrade': (426, {'Upgrade': None}),
    'no subprotocol': (400, {'Sec-WebSocket-Protocol': None}),
    'an unknown subprotocol': (400, {'Sec-WebSocket-Protocol': 'wamp.2.flatbuffers, chat'}),
    'nearly a subprotocol': (400, {'Sec-WebSocket-Protocol': 'wamp.2.json2, WAMP.2.JSON'}),
    'a subprotocol and nonsense': (400, {'Sec-WebSocket-Protocol': 'wamp.2.json, "'}),
}


@pytest.mark.parametrize('name', WRONG_HEADERS)
def test_wrong_handshakes_are_refused(run, caplog, name: str) -> None:
    status, headers = WRONG_HEADERS[name]

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            await client.send(client.request(JSON, headers=headers)[0])
            body = await client.expect_refused(status)
            if 'Sec-WebSocket-Protocol' in headers and '"' not in str(headers):
                # It says what could be offered.
                assert all(subprotocol in body for subprotocol in SUBPROTOCOLS)
            client.close()
            await server.all_gone()

    run(main())
    assert not warnings_in(caplog)


OVERSIZED: dict[str, bytes] = {
    'a request without a line end': b'G' * 40_000,
    'a long target': b'GET /' + b'a' * 40_000,
    'a header without an end': b'GET / HTTP/1.1\r\nA: ' + b'a' * 40_000,
    'a hundred thousand headers': b'GET / HTTP/1.1\r\n' + b'A: a\r\n' * 100_000,
    # Each of its lines is within bounds, and its end is there.
    'a whole head': b'GET / HTTP/1.1\r\n' + b'A: %s\r\n' % (b'a' * 2000) * 20 + b'\r\n',
}


@pytest.mark.parametrize('in_pieces', [False, True], ids=['at once', 'in pieces'])
@pytest.mark.parametrize('name', OVERSIZED)
def test_a_head_that_is_too_large_is_refused(run, name: str, in_pieces: bool) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            head = OVERSIZED[name]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if in_pieces:
                    await client.send_in_pieces(head, 1500)
                else:
                    await client.send(head)
            # The response is not lost to a client that is still sending.
            status, _ = await client.read_head()
            assert status in (400, 414, 431)
            assert await client.read_rest()
            client.close()
            await server.all_gone()

    run(main())


def test_a_large_head_within_the_limit_is_accepted(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            headers: dict[str, str | None] = {'Cookie': 'a=' + 'b' * 6000, 'X-Other': 'c' * 7000}
            await client.open(JSON, headers=headers)
            await client.hello()
            (session,) = (connection.current_session for connection in server.connections)
            assert session.connection.transport_info['http_cookies'] == {'a': 'b' * 6000}

    run(main())


def test_a_refused_client_that_stays_is_cut_off(run) -> None:
    async def main() -> None:
        async with serving(make_app(close_timeout=0.05)) as server:
            client = await server.connect_tcp()
            await client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
            await client.expect_refused(426)
            await server.all_gone()

    run(main())


def test_a_second_request_behind_a_refused_one_is_not_answered(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            await client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n' + client.request(JSON)[0])
            await client.expect_refused(426)

    run(main())


@pytest.mark.parametrize('request_line', ['HEAD / HTTP/1.1', 'HEAD /other HTTP/1.0'])
def test_head_is_answered_without_a_body(run, request_line: str) -> None:
    """RFC 9110, 9.3.2."""

    async def main() -> None:
        async with serving(make_app(), path='/') as server:
            client = await server.connect_tcp()
            await client.send(f'{request_line}\r\nHost: a\r\n\r\n'.encode())
            status, headers = await client.read_head()
            if status == 400:
                pytest.skip('this version of websockets knows no method but GET')
            assert status == (404 if 'other' in request_line else 426)
            assert int(headers['content-length']) > 0
            assert await client.read_rest() == b''

    run(main())


@pytest.mark.parametrize('upgrade', ['WebSocket', 'h2c, websocket'])
def test_websocket_may_be_one_of_several_upgrades(run, upgrade: str) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            await client.send(client.request(JSON, headers={'Upgrade': upgrade})[0])
            # The handshake library may want it alone, and then knows what to say.
            assert (await client.read_head())[0] in (101, 426)

    run(main())


LOGGED: dict[str, tuple[bytes, str, str]] = {
    'not a WebSocket': (b'GET /a HTTP/1.1\r\nHost: a\r\n\r\n', '426', "b'GET /a HTTP/1.1'"),
    'not HTTP': (b'\x16\x03\n\x1b[31m\r\n\r\n', '400', "b'\\x16\\x03\\n\\x1b[31m'"),
    'too long': (b'GET /' + b'\xff' * 20_000 + b' HTTP/1.1\r\n\r\n', '414', "b'GET /\\xff\\xff"),
}


@pytest.mark.parametrize('name', LOGGED)
def test_what_is_refused_is_one_line_in_the_log(run, caplog, name: str) -> None:
    request, status, shown = LOGGED[name]
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            address = client.sock.getsockname()
            await client.send(request)
            await client.read_rest()
            client.close()
            await server.all_gone()
            line = handshake_line(caplog)
            assert f' {address[0]}:{address[1]} ' in line
            assert status in line
            assert shown in line

    run(main())


@pytest.mark.skipif(not hasattr(socket, 'AF_UNIX'), reason='there are no Unix sockets for asyncio on Windows')
def test_a_client_of_a_unix_socket_has_no_address_for_the_log(run, caplog, tmp_path) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with await make_app().serve(unix_path=str(tmp_path / 'wamp')):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / 'wamp'))
            writer.write(LOGGED['not a WebSocket'][0])
            await reader.read()
            writer.close()
        assert handshake_line(caplog).startswith('Refused a request of a client without an address with 426, ')

    run(main())


@pytest.mark.parametrize('sent', [b'', b'\x16\x03\x01\n', b'GET /' + b'a' * 10_000])
def test_a_handshake_that_takes_too_long_is_one_line_in_the_log(run, caplog, sent: bytes) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(make_app(open_timeout=0.05)) as server:
            client = await server.connect_tcp()
            address = client.sock.getsockname()
            await client.send(sent)
            with contextlib.suppress(ConnectionResetError):
                assert await client.receive() == b''
            await server.all_gone()
            line = handshake_line(caplog)
            assert f' {address[0]}:{address[1]} ' in line
            assert '0.05 seconds' in line
            assert repr(sent)[:400] in line

    run(main())


def handshake_line(caplog: Any) -> str:
    """The one line that the handshake's logger has written."""
    (record,) = [record for record in caplog.records if record.name == 'serverwamp_fast.handshake']
    assert record.levelno == logging.INFO
    line: str = record.getMessage()
    assert line.isprintable()
    assert len(line) < 700
    return line


def test_the_library_of_the_handshake_does_not_log_each_connection(run, caplog) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            await client.leave()

    run(main())
    assert not [line for line in caplog.messages if 'connection' in line.lower()]


# Paths


@pytest.mark.parametrize(
    ('path', 'target', 'status'),
    [
        (None, '/', 101),
        (None, '/anything?a=b', 101),
        ('/ws', '/ws', 101),
        ('/ws', '/ws?token=x', 101),
        ('/ws', '/', 404),
        ('/ws', '/ws/', 404),
        ('/ws', '/WS', 404),
        ('/ws', '/w', 404),
        (['/ws', '/wamp'], '/ws', 101),
        (['/ws', '/wamp'], '/wamp', 101),
        (['/ws', '/wamp'], '/', 404),
        ({'/ws'}, '/ws', 101),
        # As it is written in a URL, and decoded.
        ('/ws', '/%77s', 101),
        ('/a b', '/a%20b?x', 101),
        ('/a%20b', '/a%20b', 101),
        ('/ä', '/%c3%A4', 101),
        ('/ws', '/%2Fws', 404),
        # Clients of proxies write the whole URL (RFC 9112, 3.2.2).
        ('/ws', 'http://example.com/ws?token=x', 101),
        ('/', 'HTTPS://example.com:8080', 101),
        ('/ws', 'http://example.com/', 404),
        ('/ws', 'example.com/ws', 404),
    ],
)
def test_paths(run, path: Any, target: str, status: int) -> None:
    async def main() -> None:
        async with serving(make_app(), path=path) as server:
            client = await server.connect_tcp()
            await client.send(client.request(JSON, target=target)[0])
            if status == 404:
                assert 'path' in await client.expect_refused(404)
            else:
                assert (await client.read_head())[0] == status

    run(main())


def test_a_plain_request_for_another_path_is_not_found(run) -> None:
    async def main() -> None:
        async with serving(make_app(), path='/ws') as server:
            client = await server.connect_tcp()
            await client.send(b'GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n')
            await client.expect_refused(404)

    run(main())


# By itself


def test_negotiate_answers_whatever_bytes_it_is_given() -> None:
    handshake = Handshake(None)
    request = b'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
    for place in range(len(request)):
        for byte in b'\x00\r\n :\xff':
            head = request[:place] + bytes([byte]) + request[place + 1 :]
            response, subprotocol = handshake.negotiate(head)
            assert subprotocol is None
            assert response.startswith(b'HTTP/1.1 4'), head
    for cut in range(len(request)):
        response, subprotocol = handshake.negotiate(request[:cut])
        assert response.startswith(b'HTTP/1.1 4') and subprotocol is None


def test_frames_before_the_handshake_are_no_handshake(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            await client.send(frame(BINARY, b'\r\n\r\n', mask=bytes(4)))
            await client.expect_refused(400)

    run(main())


def test_open_timeout_covers_the_handshake(run) -> None:
    async def main() -> None:
        async with serving(make_app(open_timeout=0.05)) as server:
            silent = await server.connect_tcp()
            slow = await server.connect_tcp()
            await slow.send(slow.request(JSON)[0][:-1])
            await server.all_gone()
            for client in silent, slow:
                with contextlib.suppress(ConnectionResetError):
                    assert await client.receive() == b''

    run(main())


def test_many_handshakes_at_a_time(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            clients = await asyncio.gather(*(server.connect() for _ in range(100)))
            assert len(server.connections) == 100
            details = await asyncio.gather(*(client.hello() for client in clients))
            assert len({detail['authid'] for detail in details}) == 100

    run(main())


@pytest.mark.parametrize(
    ('fields', 'status'),
    [
        ({'Content-Length': '5'}, 426),
        ({'content-length': '5', 'Content-Type': 'text/plain'}, 426),
        ({'Transfer-Encoding': 'chunked'}, 426),
        ({'Content-Length': '0'}, 426),
        # What asks for WebSocket has to do it right.
        ({'Content-Length': '5', 'Upgrade': 'websocket'}, 400),
        ({'Content-Length': '5', 'broken header': 'x'}, 400),
    ],
)
def test_a_plain_request_with_a_body_is_answered_as_one_without(
    run, fields: dict[str, str], status: int
) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect_tcp()
            lines = [f'{name}: {value}' for name, value in fields.items()]
            await client.send('\r\n'.join(['POST / HTTP/1.1', 'Host: a', *lines, '', 'hello']).encode())
            await client.expect_refused(status)

    run(main())


@pytest.mark.parametrize(
    'head',
    [
        RawClient.request(JSON)[0],
        RawClient.request('nothing')[0],
        RawClient.request(JSON, headers={'Large': 'x' * 9000})[0],
        b'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
        b'POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n',
        b'POST / HTTP/1.1\r\nContent-Length: 5\r\nUpgrade: x\r\n\r\n',
        b'GET /' + b'x' * 9000 + b' HTTP/1.1\r\n\r\n',
        b'hello\r\n\r\n',
        b'\x16\x03\x01' * 100,
    ],
)
def test_a_handshake_leaves_nothing_to_the_garbage_collector(head: bytes) -> None:
    negotiate = Handshake(None).negotiate
    # What is made once, for all.
    negotiate(head)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            negotiate(head)
        assert gc.collect() == 0
    finally:
        gc.enable()
