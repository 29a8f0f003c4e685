"""The native server: where it listens, what it tells of its clients, and what its connections offer to handlers."""

import asyncio
import socket
import sys
import weakref
from typing import Any

import pytest
from support.client_frames import CLOSE, close_payload, frame
from support.echo_servers import JSON, JSON_BATCHED, SUBPROTOCOLS, aiohttp_server
from support.raw_client import (
    CLIENT_GOODBYE,
    HELLO,
    RawClient,
    Served,
    make_app,
    serving,
    warnings_in,
)

import serverwamp_fast as wamp
from serverwamp_fast.adapters.native import NativeConnection, Server, serve
from serverwamp_fast.adapters.native_run import run
from serverwamp_fast.connection import Connection, ConnectionClosed

unix_only = pytest.mark.skipif(
    not hasattr(socket, 'AF_UNIX'), reason='there are no Unix sockets for asyncio on Windows'
)


async def connect_unix(path: str) -> RawClient:
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, path)
    return RawClient(sock)


# Where to listen


def test_port_0_takes_a_free_port(run) -> None:
    async def main() -> None:
        app = make_app()
        async with serving(app) as one, serving(app) as two:
            assert one.port and two.port and one.port != two.port
            for server in one, two:
                assert isinstance(server.server, Server)
                client = await server.join()
                assert await client.call(1, 'echo', 1) == [1]
                await client.leave()

    run(main())


def test_a_host_with_several_addresses(run) -> None:
    async def main() -> None:
        async with await make_app().serve(['127.0.0.1', '127.0.0.2'], 0) as server:
            hosts = {sock.getsockname()[0] for sock in server.sockets}
            assert hosts == {'127.0.0.1', '127.0.0.2'}

    if sys.platform != 'linux':
        pytest.skip('the loopback interface has only one address here')
    run(main())


def test_sock(run) -> None:
    async def main() -> None:
        sock = socket.create_server(('127.0.0.1', 0))
        async with await make_app().serve(sock=sock) as server:
            client = await Served(server).join()
            await client.leave()

    run(main())


@unix_only
def test_unix_path(run, tmp_path) -> None:
    async def main() -> None:
        path = str(tmp_path / 'wamp')
        async with await make_app().serve(unix_path=path) as server:
            assert server.sockets[0].getsockname() == path
            client = await connect_unix(path)
            await client.open(JSON)
            await client.hello()
            (connection,) = server._hub.connections
            # aiohttp says the same of clients of a Unix socket.
            assert connection.transport_info['peer_address'] == ''
            await client.leave()

    run(main())


@pytest.mark.skipif(not hasattr(socket, 'SO_REUSEPORT'), reason='there is no SO_REUSEPORT here')
def test_reuse_port(run) -> None:
    async def main() -> None:
        app = make_app()
        async with await app.serve('127.0.0.1', 0, reuse_port=True) as one:
            port = one.sockets[0].getsockname()[1]
            async with await app.serve('127.0.0.1', port, reuse_port=True) as two:
                assert two.sockets[0].getsockname()[1] == port
                with pytest.raises(OSError):
                    await app.serve('127.0.0.1', port)

    run(main())


def test_a_port_that_is_taken(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            with pytest.raises(OSError):
                await make_app().serve('127.0.0.1', server.port)

    run(main())


@pytest.mark.parametrize(
    'arguments',
    [
        {},
        {'host': '127.0.0.1'},
        {'port': 0, 'unix_path': '/nowhere/wamp'},
        {'port': 0, 'sock': object()},
        {'sock': object(), 'unix_path': '/nowhere/wamp'},
        {'host': '127.0.0.1', 'unix_path': '/nowhere/wamp'},
        {'host': '127.0.0.1', 'sock': object()},
    ],
)
def test_one_place_to_listen_has_to_be_named(run, arguments: dict[str, Any]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match='host and port'):
            await make_app().serve(**arguments)

    run(main())


def test_arguments_that_can_not_be_meant(run) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match='SSLContext'):
            await make_app().serve('127.0.0.1', 0, ssl=5)
        for none in [], ():
            with pytest.raises(ValueError, match='No path'):
                await make_app().serve('127.0.0.1', 0, path=none)

    run(main())


def test_serve_is_the_application_method(run) -> None:
    async def main() -> None:
        app = make_app()
        async with await serve(app, '127.0.0.1', 0) as server:
            client = await Served(server).join()
            await client.leave()

    run(main())


def test_an_application_on_trio_is_refused(run) -> None:
    pytest.importorskip('trio', reason='trio is not installed')
    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    class Derived(TrioAsyncSupport):
        pass

    async def main() -> None:
        for support in TrioAsyncSupport, Derived:
            with pytest.raises(RuntimeError, match='hypercorn.*websockets') as refusal:
                await wamp.Application(async_support=support).serve('127.0.0.1', 0)
            assert '\n' not in str(refusal.value)

    run(main())


def test_run_needs_a_place_too() -> None:
    with pytest.raises(ValueError, match='host and port'):
        run(make_app(), None, None)


# What is known of a client

REQUEST: dict[str, Any] = {
    'target': '/a%20path/%C3%BC?token=a%2Bb&x=%C3%BC&x=1+2',
    'headers': {
        'Cookie': 'session=abc; name="quoted value"; empty=',
        'X-Custom': 'grün'.encode().decode('latin-1'),
        'User-Agent': 'raw',
    },
}


def test_transport_info_is_what_aiohttp_would_tell(run) -> None:
    pytest.importorskip('aiohttp', reason='aiohttp is not installed')
    infos: list[dict[str, Any]] = []

    async def main() -> None:
        app = make_app()

        async def authenticate(session: Any) -> None:
            infos.append(dict(session.connection.transport_info))
            await session.mark_authenticated()

        app.set_authentication_handler(authenticate)
        request = RawClient.request(JSON, **REQUEST)
        async with serving(app) as server, aiohttp_server(app.aiohttp_websocket_handler()) as url:
            for port in server.port, int(url.rstrip('/').rpartition(':')[2]):
                server.port = port
                client = await server.connect_tcp()
                await client.send(request[0])
                await client.expect_open(request[1])
                await client.hello()
                await client.leave()

    run(main())
    native, aiohttp = infos
    assert native.keys() == aiohttp.keys()
    assert dict(native.pop('http_cookies')) == dict(aiohttp.pop('http_cookies'))
    assert tuple(native.pop('http_headers_raw')) == tuple(aiohttp.pop('http_headers_raw'))
    assert native == aiohttp
    assert native['peer_address'] == '127.0.0.1'
    assert native['http_query_string'] == 'token=a%2Bb&x=ü&x=1 2'


def test_transport_info_is_there_when_the_client_has_left(run) -> None:
    addresses = []

    async def main() -> None:
        app = make_app()

        async def lifespan(session: Any) -> Any:
            yield
            # Nobody has asked before.
            addresses.append(session.connection.transport_info['peer_address'])

        app.add_session_lifespan_handler(lifespan)
        async with serving(app) as server:
            client = await server.join()
            client.reset()
            await server.all_gone()
            client = await server.join()
            await client.leave()

    run(main())
    assert addresses == ['127.0.0.1', '127.0.0.1']


def test_transport_info_can_be_written_to(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            await server.join()
            (connection,) = server.connections
            connection.transport_info['tenant'] = 'a'
            assert connection.transport_info['tenant'] == 'a'

    run(main())


# Connections


def test_a_native_connection_is_a_connection(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            await server.join()
            (connection,) = server.connections
            assert isinstance(connection, NativeConnection)
            assert isinstance(connection, Connection)
            assert isinstance(connection, asyncio.BufferedProtocol)
            # As on the other transports, handlers may keep things on it, or refer to it weakly.
            connection.user = 'anna'
            assert weakref.ref(connection)().user == 'anna'

    run(main())


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_messages_sent_together(run, subprotocol: str) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join(subprotocol)
            (connection,) = server.connections
            messages = [[36, 1, number, {}, ['ü']] for number in range(1, 4)]
            await connection.send_msgs(iter(messages))
            # A batch without a message would be an error.
            await connection.send_msgs([])
            await connection.send_msg(messages[0])
            if client.wire.is_batched:
                _, payload = await client.read_frame()
                assert client.wire.decode(
                    payload if client.wire.is_binary else payload.decode()
                ) == messages
            else:
                assert [await client.hear() for _ in messages] == messages
            assert await client.hear() == messages[0]

    run(main())


def test_what_cannot_be_serialized_is_not_sent(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            (connection,) = server.connections
            with pytest.raises(TypeError):
                await connection.send_msg([36, 1, 1, {}, [object()]])
            assert await client.call(1, 'echo', 'fine') == ['fine']

    run(main())


def test_closing_twice_and_sending_afterwards(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            (connection,) = server.connections
            assert not connection.is_closed
            await connection.close()
            assert connection.is_closed
            await connection.close()
            await connection.abort('com.example.late')
            for late in connection.send_msg([36, 1, 1, {}]), connection.send_msgs([[36, 1, 1, {}]]):
                with pytest.raises(ConnectionClosed):
                    await late
            await client.expect_close(1000)
            # What it still sends is not handled.
            await client.say([48, 1, {}, 'echo'], CLIENT_GOODBYE)
            await client.send(frame(CLOSE, close_payload(1000)))
            await client.expect_end()

    run(main())


def test_the_clients_separator_is_answered_with(run) -> None:
    """Autobahn and Crossbar separate batched JSON by 0x18 instead of 0x1e."""

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect(JSON_BATCHED)
            client.use(JSON_BATCHED, '\x18')
            await client.hello()
            await client.say([48, 1, {}, 'echo', [1]], [48, 2, {}, 'echo', [2]])
            assert await client.hear() == [50, 1, {}, [1]]
            assert await client.hear() == [50, 2, {}, [2]]
            other = await server.join(JSON_BATCHED)
            assert await other.call(1, 'echo', 1) == [1]

    run(main())


def test_a_smaller_limit_of_messages(run, caplog) -> None:
    async def main() -> None:
        async with serving(make_app(max_message_size=100)) as server:
            client = await server.join()
            assert await client.call(1, 'echo', 'x' * 70) == ['x' * 70]
            await client.say([48, 2, {}, 'echo', ['x' * 100]])
            await client.expect_close(1009)

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_realms_of_one_server(run) -> None:
    async def main() -> None:
        app = wamp.Application(allow_default_realm=False)
        for name in 'one', 'two':
            routes = wamp.RPCRouteSet()
            realm = wamp.Realm(name)
            realm.set_default_arg('realm_name', name)

            @routes.route('name')
            async def tell(realm_name: str) -> str:
                return realm_name

            realm.add_rpc_routes(routes)
            app.add_realm(realm)
        async with serving(app) as server:
            client = await server.connect()
            for name in 'one', 'two', 'one':
                assert (await client.ask(1, name, {'roles': {}}))[0] == 2
                assert await client.call(1, 'name') == [name]
                assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            await client.say(HELLO)
            await client.expect_abort('wamp.error.no_such_realm')

    run(main())
