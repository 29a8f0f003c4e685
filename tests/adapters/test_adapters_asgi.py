"""Connections on ASGI servers, and on a script in place of a server for what servers rarely do."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.certificates import make_contexts
from support.connection_checks import OnAsyncio, OnTrio, ServerChecks
from support.echo_servers import (
    CBOR,
    CBOR_BATCHED,
    JSON,
    JSON_BATCHED,
    MSGPACK,
    MSGPACK_BATCHED,
    SUBPROTOCOLS,
    Echo,
    Serve,
    Wire,
    assert_closed,
    hypercorn_server,
    hypercorn_trio_server,
    uvicorn_server,
)
from websockets.exceptions import InvalidStatus

from serverwamp_fast.adapters import asgi as adapter
from serverwamp_fast.application import Application
from serverwamp_fast.connection import ConnectionClosed
from serverwamp_fast.errors import WAMPMsgParseError

SCOPE: dict[str, Any] = {
    'type': 'websocket',
    'asgi': {'version': '3.0', 'spec_version': '2.3'},
    'http_version': '1.1',
    'scheme': 'ws',
    'path': '/some path',
    'raw_path': b'/some%20path',
    'query_string': b'q=%20&r=1',
    'root_path': '',
    'headers': [(b'host', b'localhost'), (b'cookie', b'a=1; b="two"')],
    'client': ('127.0.0.1', 4711),
    'server': ('127.0.0.1', 80),
    'subprotocols': [JSON],
    'extensions': {},
}


class Script:
    """A server: gives the application these events and no more, and notes what it sends."""

    def __init__(self, *events: Mapping[str, Any], error: Exception | None = None) -> None:
        self.events = list(events)
        self.sent: list[Mapping[str, Any]] = []
        self.error = error

    async def receive(self) -> Mapping[str, Any]:
        return self.events.pop(0)

    async def send(self, event: Mapping[str, Any]) -> None:
        if self.error:
            raise self.error
        self.sent.append(event)

    async def connect(self, **changes: Any) -> Any:
        return await adapter.connection_for_asgi_invocation(
            SCOPE | changes, self.receive, self.send
        )


def application_for(serve: Serve) -> Callable[..., Any]:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope['type'] == 'lifespan':
            await adapter.handle_asgi_lifespan(receive, send)
        elif scope['path'] == '/nowhere':
            await adapter.handle_asgi_path_not_found(scope, receive, send)
        else:
            connection = await adapter.connection_for_asgi_invocation(scope, receive, send)
            if connection is not None:
                await serve(connection)

    return application


# Requests


@pytest.mark.parametrize(
    ('offer', 'chosen'),
    [
        ([JSON], JSON),
        ([JSON, MSGPACK], MSGPACK),
        ([JSON, JSON_BATCHED], JSON_BATCHED),
        (list(SUBPROTOCOLS), MSGPACK_BATCHED),
        ([CBOR_BATCHED, 'chat', JSON], JSON),
        ([CBOR, CBOR_BATCHED], CBOR_BATCHED),
        ((name for name in ['chat']), None),
        ([], None),
        (None, None),
    ],
)
def test_the_servers_order_decides(offer: Any, chosen: str | None) -> None:
    offer = list(offer) if offer is not None else None
    scope = {key: value for key, value in SCOPE.items() if key != 'subprotocols'}
    if offer is not None:
        scope['subprotocols'] = offer
    script = Script()
    connection = asyncio.run(
        adapter.connection_for_asgi_invocation(scope, script.receive, script.send)
    )
    if chosen is None:
        assert connection is None
        assert script.sent == [{'type': 'websocket.close'}]
    else:
        assert type(connection) is adapter.ws_protocol_connection_classes[chosen]
        assert script.sent == [{'type': 'websocket.accept', 'subprotocol': chosen}]


def test_the_supported_subprotocols_have_their_classes() -> None:
    assert adapter.SUPPORTED_WS_PROTOCOLS == (
        MSGPACK_BATCHED,
        MSGPACK,
        JSON_BATCHED,
        JSON,
        CBOR_BATCHED,
        CBOR,
    )
    assert dict(adapter.ws_protocol_connection_classes) == {
        JSON: adapter.ASGIJSONWebSocketConnection,
        JSON_BATCHED: adapter.ASGIBatchedJSONWebSocketConnection,
        MSGPACK: adapter.ASGIMsgPackWebSocketConnection,
        MSGPACK_BATCHED: adapter.ASGIBatchedMsgPackWebSocketConnection,
        CBOR: adapter.ASGICBORWebSocketConnection,
        CBOR_BATCHED: adapter.ASGIBatchedCBORWebSocketConnection,
    }


@pytest.mark.parametrize('offer', [[JSON], []])
def test_a_client_that_left_before_the_answer_makes_no_connection(offer: list[str]) -> None:
    script = Script(error=ConnectionResetError())
    assert asyncio.run(script.connect(subprotocols=offer)) is None


@pytest.mark.parametrize(
    ('version', 'has_upgrade'), [('1.1', True), ('1.0', True), ('2', False), ('3', False)]
)
def test_plain_http_is_told_to_upgrade(version: str, has_upgrade: bool) -> None:
    script = Script()
    assert asyncio.run(script.connect(type='http', http_version=version)) is None
    start, body = script.sent
    assert start['type'] == 'http.response.start'
    assert start['status'] == 426
    assert ((b'upgrade', b'websocket') in start['headers']) is has_upgrade
    assert body == {'type': 'http.response.body', 'body': b'WebSocket upgrade required.'}


def test_paths_that_are_not_served() -> None:
    script = Script()
    asyncio.run(adapter.handle_asgi_path_not_found(SCOPE, script.receive, script.send))
    assert script.sent == [{'type': 'websocket.close'}]

    script = Script()
    scope = SCOPE | {'type': 'http'}
    asyncio.run(adapter.handle_asgi_path_not_found(scope, script.receive, script.send))
    start, body = script.sent
    assert (start['type'], start['status']) == ('http.response.start', 404)
    assert body['type'] == 'http.response.body'


def test_lifespan_is_agreed_to() -> None:
    script = Script(
        {'type': 'lifespan.startup'}, {'type': 'lifespan.unheard-of'}, {'type': 'lifespan.shutdown'}
    )
    asyncio.run(adapter.handle_asgi_lifespan(script.receive, script.send))
    assert [event['type'] for event in script.sent] == [
        'lifespan.startup.complete',
        'lifespan.shutdown.complete',
    ]


# transport_info


def transport_info(**changes: Any) -> dict[str, Any]:
    connection = asyncio.run(Script().connect(**changes))
    return connection.transport_info


def test_transport_info_tells_of_the_request() -> None:
    assert transport_info() == {
        'http_cookies': {'a': '1', 'b': 'two'},
        'http_headers_raw': SCOPE['headers'],
        'http_path': '/some path',
        'http_path_raw': '/some%20path?q=%20&r=1',
        'http_query_string': 'q= &r=1',
        'peer_address': '127.0.0.1',
        'peer_certificate': None,
        'peer_certificate_raw': None,
    }


def test_transport_info_does_without_what_servers_may_leave_out() -> None:
    info = transport_info(raw_path=None, query_string=b'', client=None, extensions=None)
    assert info['http_path_raw'] == '/some%20path'
    assert info['http_query_string'] == ''
    assert info['peer_address'] is None

    bare = {key: SCOPE[key] for key in ('type', 'path', 'subprotocols')}
    script = Script()
    connection = asyncio.run(
        adapter.connection_for_asgi_invocation(bare, script.receive, script.send)
    )
    assert connection.transport_info['http_cookies'] == {}
    assert list(connection.transport_info['http_headers_raw']) == []


def test_transport_info_has_the_clients_certificate() -> None:
    *_, der = make_contexts()
    pem = ssl.DER_cert_to_PEM_cert(der)
    info = transport_info(extensions={'tls': {'client_cert_chain': [pem, 'of an authority']}})
    assert info['peer_certificate_raw'] == der
    info = transport_info(extensions={'tls': {'client_cert_chain': []}})
    assert info['peer_certificate_raw'] is None


def test_cookies_of_a_scope() -> None:
    assert adapter.scope_cookies(SCOPE) == {'a': '1', 'b': 'two'}
    assert adapter.scope_cookies({'headers': [(b'host', b'localhost')]}) == {}
    assert adapter.scope_cookies({}) == {}


def test_cookies_are_what_the_constructor_was_given() -> None:
    script = Script()
    connection = adapter.ASGIJSONWebSocketConnection(SCOPE, script.receive, script.send, {'c': '3'})
    assert connection.transport_info['http_cookies'] == {'c': '3'}


# Events


def receive_all(connection: Any) -> list[Any]:
    async def receive() -> list[Any]:
        return [msg async for msg in connection.iterate_msgs()]

    return asyncio.run(receive())


DISCONNECT = {'type': 'websocket.disconnect', 'code': 1001}


@pytest.mark.parametrize('extra', [{}, {'bytes': None}])
def test_text_is_received_whatever_else_is_in_the_event(extra: dict[str, Any]) -> None:
    script = Script(
        {'type': 'websocket.connect'},
        {'type': 'websocket.receive', 'text': '[1]'} | extra,
        {'type': 'websocket.unheard-of'},
        {'type': 'websocket.receive', 'text': '[2]'} | extra,
        DISCONNECT,
    )
    assert receive_all(asyncio.run(script.connect())) == [[1], [2]]
    assert len(script.sent) == 1


@pytest.mark.parametrize('extra', [{}, {'text': None}])
def test_bytes_are_received_whatever_else_is_in_the_event(extra: dict[str, Any]) -> None:
    script = Script({'type': 'websocket.receive', 'bytes': b'\x91\x01'} | extra, DISCONNECT)
    assert receive_all(asyncio.run(script.connect(subprotocols=[MSGPACK]))) == [(1,)]


@pytest.mark.parametrize(
    ('subprotocol', 'data'),
    [
        (JSON, {'bytes': b'[1]'}),
        (JSON, {'bytes': b'[1]', 'text': None}),
        (JSON_BATCHED, {'bytes': b'[1]\x1e'}),
        (MSGPACK, {'text': '[1]'}),
        (MSGPACK, {'text': '[1]', 'bytes': None}),
        (MSGPACK_BATCHED, {'text': ''}),
        (JSON, {}),
    ],
)
def test_the_wrong_type_of_message_is_an_error(subprotocol: str, data: dict[str, Any]) -> None:
    script = Script({'type': 'websocket.receive'} | data, DISCONNECT)
    connection = asyncio.run(script.connect(subprotocols=[subprotocol]))
    with pytest.raises(WAMPMsgParseError):
        receive_all(connection)


def test_empty_messages_are_of_the_right_type_and_malformed() -> None:
    script = Script({'type': 'websocket.receive', 'text': ''})
    with pytest.raises(WAMPMsgParseError):
        receive_all(asyncio.run(script.connect()))


def test_messages_of_one_type_can_be_had_undecoded() -> None:
    script = Script(
        {'type': 'websocket.receive', 'text': 'no message'},
        {'type': 'websocket.receive', 'bytes': b'\0'},
    )
    connection = asyncio.run(script.connect())
    seen = []

    async def receive() -> None:
        async for data in connection.iterate_ws_msgs('text'):
            seen.append(data)

    with pytest.raises(WAMPMsgParseError):
        asyncio.run(receive())
    assert seen == ['no message']
    script.events.append(DISCONNECT)
    asyncio.run(receive())


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_messages_are_sent_as_the_subprotocol_wants(subprotocol: str) -> None:
    script = Script()
    connection = asyncio.run(script.connect(subprotocols=[subprotocol]))
    asyncio.run(connection.send_msg([1]))
    wire = Wire(subprotocol)
    key = 'bytes' if wire.is_binary else 'text'
    assert script.sent[1:] == [{'type': 'websocket.send', key: wire.encode([1])}]


@pytest.mark.parametrize(
    'error',
    [OSError(), ConnectionResetError(), RuntimeError("after sending 'websocket.close'")],
)
def test_a_server_that_takes_no_message_has_closed(error: Exception) -> None:
    script = Script(DISCONNECT)
    connection = asyncio.run(script.connect())
    script.error = error
    with pytest.raises(ConnectionClosed):
        asyncio.run(connection.send_msg([1]))
    script.error = None
    asyncio.run(assert_closed(connection))
    assert receive_all(connection) == []
    assert len(script.sent) == 1


def test_after_a_disconnect_nothing_is_sent() -> None:
    script = Script(DISCONNECT)
    connection = asyncio.run(script.connect())
    assert receive_all(connection) == []
    assert receive_all(connection) == []
    asyncio.run(assert_closed(connection))
    assert len(script.sent) == 1


def test_closing_is_sent_once() -> None:
    script = Script({'type': 'websocket.receive', 'text': '[1]'})
    connection = asyncio.run(script.connect())
    asyncio.run(connection.close())
    asyncio.run(assert_closed(connection))
    assert receive_all(connection) == []
    assert script.sent[1:] == [{'type': 'websocket.close'}]


@pytest.mark.parametrize('error', [OSError(), RuntimeError()])
def test_closing_where_nobody_is_left_is_no_error(error: Exception) -> None:
    script = Script()
    connection = asyncio.run(script.connect())
    script.error = error
    asyncio.run(connection.close())
    asyncio.run(assert_closed(connection))


def test_on_trio_a_send_is_not_cut_short() -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    script = Script()
    begun = []

    async def send(event: Mapping[str, Any]) -> None:
        begun.append(event)
        await trio.sleep(0.01)
        await script.send(event)

    async def main() -> None:
        connection = await adapter.connection_for_asgi_invocation(SCOPE, script.receive, send)
        with trio.move_on_after(0.001) as scope:
            await connection.send_msg([1])
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert script.sent == begun
        assert len(begun) == 2

    trio.run(main)


# Servers


class ASGIServerChecks(ServerChecks):
    """The checks, and what is said to requests that don't lead to a connection."""

    @pytest.mark.parametrize(
        ('path', 'offer'), [('', []), ('', ['wamp.2.flatbuffers', 'chat']), ('nowhere', [JSON])]
    )
    def test_other_handshakes_are_refused(self, on, path: str, offer: list[str]) -> None:
        echo = Echo()

        async def main() -> None:
            async with on.server(echo) as url:
                with pytest.raises(InvalidStatus) as refused:
                    async with on.connect(url + path, subprotocols=offer or None):
                        pass
                assert refused.value.response.status_code == 403

        on.run(main())
        assert not echo.connections

    @pytest.mark.parametrize(
        ('path', 'status', 'text'),
        [('/', b'426 ', b'WebSocket upgrade required.'), ('/nowhere', b'404 ', b'Not found.')],
    )
    def test_plain_http_is_answered(self, on, path: str, status: bytes, text: bytes) -> None:
        echo = Echo()

        async def main() -> None:
            async with on.server(echo) as url:
                response = await on.request(
                    url,
                    f'GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode(),
                )
            assert response.startswith(b'HTTP/1.1 ' + status)
            assert response.endswith(b'\r\n\r\n' + text)
            assert (b'\r\nupgrade: websocket\r\n' in response.lower()) is (status == b'426 ')

        on.run(main())
        assert not echo.connections


# Servers on wsproto drop the connection without a Close.
WSPROTO_CODE_FOR_INVALID_TEXT = None

SERVERS = {
    'uvicorn-websockets': lambda serve: uvicorn_server(application_for(serve), 'websockets'),
    'uvicorn-websockets-sansio': lambda serve: uvicorn_server(
        application_for(serve), 'websockets-sansio'
    ),
    'uvicorn-wsproto': lambda serve: uvicorn_server(application_for(serve), 'wsproto'),
    'hypercorn': lambda serve: hypercorn_server(application_for(serve)),
}


@pytest.mark.filterwarnings(
    # uvicorn's oldest implementation, and what it uses of the websockets library.
    'ignore:The `websockets` implementation is deprecated',
    'ignore:remove second argument of ws_handler:DeprecationWarning',
    'ignore:websockets.(legacy|server):DeprecationWarning',
)
class TestOnAsyncio(ASGIServerChecks):
    @pytest.fixture(params=SERVERS)
    def on(self, request: pytest.FixtureRequest, run: Any) -> OnAsyncio:
        package = request.param.partition('-')[0]
        pytest.importorskip(package, reason=f'{package} is not installed')
        if request.param == 'uvicorn-wsproto':
            pytest.importorskip('wsproto', reason='wsproto is not installed')
        if request.param == 'uvicorn-websockets-sansio':
            from uvicorn.config import WS_PROTOCOLS

            if 'websockets-sansio' not in WS_PROTOCOLS:
                pytest.skip('this uvicorn has no such implementation')
        code = 1007 if 'websockets' in request.param else WSPROTO_CODE_FOR_INVALID_TEXT
        on = OnAsyncio(SERVERS[request.param], run, code)
        on.lingers = request.param == 'uvicorn-websockets'
        return on


class TestOnTrio(ASGIServerChecks):
    @pytest.fixture
    def on(self) -> OnTrio:
        pytest.importorskip('trio', reason='trio is not installed')
        pytest.importorskip('hypercorn', reason='hypercorn is not installed')
        pytest.importorskip('websockets.trio', reason='this websockets has no client on trio')
        return OnTrio(
            lambda serve: hypercorn_trio_server(application_for(serve)),
            WSPROTO_CODE_FOR_INVALID_TEXT,
        )


# Classes of an application's own


class SeesPayloads(adapter.ASGIJSONWebSocketConnection):
    async def iterate_ws_msgs(self, data_type: str) -> Any:
        yield f'["{data_type}"]'
        async for data in super().iterate_ws_msgs(data_type):
            yield data


class SeesBinaryPayloads(adapter.ASGIMsgPackWebSocketConnection):
    async def iterate_ws_msgs(self, data_type: str) -> Any:
        async for data in super().iterate_ws_msgs(data_type):
            yield data.replace(b'\x01', b'\x02')


def test_messages_are_read_through_iterate_ws_msgs() -> None:
    """As serverwamp 2.0.0's own classes read them."""
    script = Script({'type': 'websocket.receive', 'text': '[1]'}, DISCONNECT)
    connection = SeesPayloads(SCOPE, script.receive, script.send, {})
    assert receive_all(connection) == [['text'], [1]]
    assert receive_all(connection) == []
    script = Script({'type': 'websocket.receive', 'bytes': b'\x91\x01'}, DISCONNECT)
    assert receive_all(SeesBinaryPayloads(SCOPE, script.receive, script.send, {})) == [(2,)]
    script = Script({'type': 'websocket.receive', 'bytes': b'[1]'})
    with pytest.raises(WAMPMsgParseError):
        receive_all(SeesPayloads(SCOPE, script.receive, script.send, {}))


# The limit of messages


@pytest.mark.parametrize(
    ('subprotocol', 'fits', 'too_large'),
    [
        (JSON, {'text': '["' + 'x' * 16 + '"]'}, {'text': '["' + 'x' * 17 + '"]'}),
        # Characters of two and of four bytes.
        (JSON, {'text': '["' + 'ä' * 8 + '"]'}, {'text': '["' + 'ä' * 8 + 'x"]'}),
        (JSON, {'text': '["' + '😀' * 4 + '"]'}, {'text': '["' + '😀' * 4 + 'x"]'}),
        (MSGPACK, {'bytes': b'\x91\xb2' + b'x' * 18}, {'bytes': b'\x91\xb3' + b'x' * 19}),
    ],
)
def test_messages_have_the_limit_of_the_application(
    subprotocol: str, fits: dict[str, Any], too_large: dict[str, Any], caplog
) -> None:
    async def main() -> None:
        script = Script(
            {'type': 'websocket.receive'} | fits, {'type': 'websocket.receive'} | too_large
        )
        connection = await adapter.connection_for_asgi_invocation(
            SCOPE | {'subprotocols': [subprotocol]}, script.receive, script.send, max_size=20
        )
        assert connection is not None
        assert len([msg async for msg in connection.iterate_msgs()]) == 1
        assert script.sent[1:] == [
            {'type': 'websocket.close', 'code': 1009, 'reason': 'Message too large'}
        ]
        await assert_closed(connection)

    asyncio.run(main())
    (record,) = caplog.records
    assert '127.0.0.1' in record.getMessage() and '1009' in record.getMessage()


# The end of serving


class ClosesByItself(adapter.ASGIJSONWebSocketConnection):
    async def close(self) -> None:
        await self._asgi_send({'type': 'websocket.close'})


def test_a_connection_that_was_served_is_closed() -> None:
    script = Script()
    connection = asyncio.run(script.connect())
    for _ in range(2):
        asyncio.run(adapter.close_served(connection))
    assert script.sent[1:] == [{'type': 'websocket.close'}]
    # uvicorn's answer to what is sent after a Close.
    script = Script(error=RuntimeError())
    asyncio.run(adapter.close_served(ClosesByItself(SCOPE, script.receive, script.send, {})))


def test_a_session_that_an_authenticator_closes_has_its_connection_closed() -> None:
    app = Application()

    async def authenticate(session: Any) -> None:
        await session.close()

    app.set_authentication_handler(authenticate)
    script = Script({'type': 'websocket.receive', 'text': '[1,"realm1",{"roles":{}}]'}, DISCONNECT)
    asyncio.run(app.asgi_application()(SCOPE, script.receive, script.send))
    assert [event['type'] for event in script.sent] == ['websocket.accept', 'websocket.close']


def test_an_application_says_how_large_messages_may_be() -> None:
    script = Script({'type': 'websocket.receive', 'text': '[1,"realm1",{"roles":{}}]'})
    asyncio.run(
        Application(max_message_size=20).asgi_application()(SCOPE, script.receive, script.send)
    )
    assert script.sent[1:] == [
        {'type': 'websocket.close', 'code': 1009, 'reason': 'Message too large'}
    ]


@pytest.mark.parametrize(
    ('path', 'root', 'served'),
    [
        ('/ws', '', True), ('/ws', '/api', True), ('/api/ws', '/api', True), ('/api/ws', '', False),
        ('/other/ws', '/api', False), ('/apis/ws', '/api', False), ('/api/ws/', '/api', False), ('/api', '/api', False),
    ],
)  # fmt: skip
@pytest.mark.parametrize('legacy', [False, True])
def test_paths_below_a_prefix(path: str, root: str, served: bool, legacy: bool) -> None:
    script = Script({'type': 'websocket.connect'}, {'type': 'websocket.disconnect'})
    scope = SCOPE | {'path': path, 'root_path': root}
    app = Application()
    if legacy:
        asyncio.run(app.legacy_asgi_application(['/ws'])(scope)(script.receive, script.send))
    else:
        asyncio.run(app.asgi_application(['/ws'])(scope, script.receive, script.send))
    assert (script.sent[0]['type'] == 'websocket.accept') is served
