"""Each line of the log about a client names its address and, where there is one, its session: on every server."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.echo_servers import aiohttp_server, hypercorn_server, uvicorn_server, websockets_server
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

import serverwamp_fast as wamp
from serverwamp_fast.errors import ConnectionClosed as Closed

JSON = ['wamp.2.json']


@contextlib.asynccontextmanager
async def native(app: wamp.Application) -> AsyncIterator[str]:
    async with await app.serve('127.0.0.1', 0) as server:
        yield f'127.0.0.1:{server.sockets[0].getsockname()[1]}'


SERVERS: dict[str, Callable[[wamp.Application], Any]] = {
    'native': native,
    'aiohttp': lambda app: aiohttp_server(app.aiohttp_websocket_handler()),
    'uvicorn': lambda app: uvicorn_server(app.asgi_application(), 'websockets-sansio'),
    'hypercorn': lambda app: hypercorn_server(app.asgi_application()),
    'websockets': lambda app: websockets_server(app.websockets_handler(), subprotocols=JSON),
}


def make_app() -> wamp.Application:
    app = wamp.Application(allow_default_realm=True, open_timeout=0.3)
    calls, topics = wamp.RPCRouteSet(), wamp.TopicRouteSet()

    @calls.route('raise')
    async def raise_error() -> None:
        raise ValueError('on purpose')

    @calls.route('raise_late')
    async def raise_late() -> Any:
        yield wamp.RPCProgressReport(args=(1,))
        raise ValueError('on purpose')

    @calls.route('no_result')
    async def no_result() -> Any:
        yield wamp.RPCProgressReport(args=(1,))

    @calls.route('unsendable')
    async def unsendable() -> Any:
        return wamp.RPCResult(args=(object(),))

    @calls.route('no_uri')
    async def no_uri() -> Any:
        return wamp.RPCErrorResult(5)  # type: ignore[arg-type]

    @calls.route('spawn')
    async def spawn(session: Any) -> None:
        async def fail() -> None:
            raise ValueError('on purpose')

        await session.spawn_task(fail)

    @topics.route('raise')
    async def raise_on_subscribe() -> Any:
        raise ValueError('on purpose')
        yield

    @topics.route('gives_up')
    async def gives_up() -> Any:
        raise Closed('another client is gone')
        yield

    @topics.route('raise_at_the_end')
    async def raise_at_the_end() -> Any:
        yield
        raise ValueError('on purpose')

    @topics.route('yields_twice')
    async def yields_twice() -> Any:
        yield
        yield

    app.add_rpc_routes(calls)
    app.add_topic_routes(topics)

    async def refuse(session: Any) -> None:
        return None

    async def break_down(session: Any) -> None:
        raise ValueError('on purpose')

    async def take_too_long(session: Any) -> None:
        await asyncio.sleep(60)

    async def check_ticket(session: Any, ticket: str) -> None:
        return None

    async def lifespan_that_fails(session: Any) -> Any:
        raise ValueError('on purpose')
        yield

    async def lifespan_that_fails_at_the_end(session: Any) -> Any:
        yield
        raise ValueError('on purpose')

    for name, authenticator in [('refuse', refuse), ('break', break_down), ('slow', take_too_long)]:
        realm = wamp.Realm(name)
        realm.add_transport_authenticator(authenticator)
        app.add_realm(realm)
    realm = wamp.Realm('ticket')
    realm.set_ticket_authenticator(check_ticket)
    app.add_realm(realm)
    for name, handler in [
        ('lifespan', lifespan_that_fails),
        ('lifespan_end', lifespan_that_fails_at_the_end),
    ]:
        realm = wamp.Realm(name)
        realm.add_session_lifespan_handler(handler)
        app.add_realm(realm)
    return app


def hello(realm: str = 'realm1', **details: Any) -> list[Any]:
    return [1, realm, {'roles': {'caller': {}}, **details}]


def call(procedure: str) -> list[Any]:
    return [48, 1, {'receive_progress': True}, procedure]


# What a client sends, after which it reads to the end or to a GOODBYE; whether it has a session when the line is
# written; and a part of the line.
CONVERSATIONS: dict[str, tuple[list[Any], bool, str]] = {
    'no HELLO first': ([call('raise')], False, 'A session starts with HELLO'),
    'not a message': (['{}'], False, 'Aborted'),
    'HELLO that is none': ([[1, 5, {}]], False, 'Aborted'),
    'ABORT first': ([[3, {}, 'wamp.error.abort']], False, 'aborted before a session was open'),
    'no HELLO at all': ([], False, 'No session was opened'),
    'a violation': ([hello(), [48, 'x', {}, 'raise']], True, 'Aborted'),
    'second HELLO': ([hello(), hello()], True, 'Aborted'),
    'ABORT': ([hello(), [3, {}, 'wamp.error.abort']], True, 'Ended'),
    'refused by the transport': ([hello('refuse')], True, 'Refused'),
    'no such method': ([hello('ticket', authmethods=['other'])], True, 'Refused'),
    'wrong ticket': ([hello('ticket', authmethods=['ticket'], authid='joe'), [5, 'x', {}]], True, 'Refused'),
    'authenticator raises': ([hello('break')], True, 'Exception from an authenticator'),
    'authenticator takes too long': ([hello('slow')], True, 'No session was opened'),
    'lifespan handler raises': ([hello('lifespan')], True, 'Exception from session lifespan handler'),
    'lifespan handler raises at the end': ([hello('lifespan_end')], True, 'Exception from the rest of'),
    'procedure raises': ([hello(), call('raise')], True, 'Exception from call handler'),
    'generator raises': ([hello(), call('raise_late')], True, 'Exception from call handler'),
    'generator without a result': ([hello(), call('no_result')], True, 'without a result'),
    'result that can not be sent': ([hello(), call('unsendable')], True, 'could not be sent'),
    'error without a URI': ([hello(), call('no_uri')], True, 'not a string'),
    'spawned task raises': ([hello(), call('spawn')], True, 'Unhandled exception'),
    'subscription handler raises': ([hello(), [32, 1, {}, 'raise']], True, 'Exception from subscription handler'),
    'subscription handler gives up': ([hello(), [32, 1, {}, 'gives_up']], True, 'gave up'),
    'subscription handler raises at the end': (
        [hello(), [32, 1, {}, 'raise_at_the_end']], True, 'Exception from the rest of',
    ),
    'subscription handler yields twice': ([hello(), [32, 1, {}, 'yields_twice']], True, 'yielded more than once'),
    'refused SUBSCRIBE': ([hello(), [32, 1, {}, 'nothing']], True, 'SUBSCRIBE of'),
    'refused UNSUBSCRIBE': ([hello(), [34, 1, 77]], True, 'UNSUBSCRIBE of'),
    'refused PUBLISH': ([hello(), [16, 1, {'acknowledge': True}, 'nothing']], True, 'PUBLISH of'),
    'refused REGISTER': ([hello(), [64, 1, {}, 'nothing']], True, 'REGISTER of'),
    'no such procedure': ([hello(), call('nothing')], True, 'CALL of'),
}  # fmt: skip


def client_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith('serverwamp_fast')
        # What is about the application.
        and record.name != 'serverwamp_fast.mistakes'
        and not record.name.startswith('serverwamp_fast.handshake.library')
    ]


@pytest.mark.parametrize('run', ['asyncio'], indirect=True)
@pytest.mark.parametrize('conversation', CONVERSATIONS)
@pytest.mark.parametrize('server', SERVERS)
def test_each_line(
    run: Any, server: str, conversation: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, 'serverwamp_fast')
    messages, has_session, part = CONVERSATIONS[conversation]
    app = make_app()
    numbers: list[int] = []
    original = app.new_session

    def note_session(*args: Any) -> Any:
        session = original(*args)
        numbers.append(session.id)
        return session

    app.new_session = note_session  # type: ignore[method-assign]

    async def main() -> None:
        async with SERVERS[server](app) as url:
            async with connect(f'ws://{url}', subprotocols=JSON) as ws:  # type: ignore[arg-type]
                with contextlib.suppress(ConnectionClosed):
                    for message in messages:
                        await ws.send(message if isinstance(message, str) else json.dumps(message))
                        answer = json.loads(await ws.recv())
                        while answer[0] == 50 and answer[2].get('progress'):
                            answer = json.loads(await ws.recv())
                    if has_session and answer[0] != 3:
                        await ws.send('[6,{},"wamp.close.close_realm"]')
                    while json.loads(await ws.recv())[0] != 6:
                        pass
            while app._active_sessions:
                await asyncio.sleep(0.001)

    run(main())
    lines = client_lines(caplog)
    assert any(part in line for line in lines), lines
    for line in lines:
        assert '127.0.0.1' in line, line
        assert not has_session or f'session {numbers[0]} of 127.0.0.1' in line, line


# The server, what the client offers, and whether the line is the package's: some libraries refuse by themselves.
HANDSHAKES: dict[str, tuple[Callable[[wamp.Application], Any], list[str] | None, str]] = {
    **{name: (server, ['chat'], 'subprotocol') for name, server in SERVERS.items() if name != 'websockets'},
    'uvicorn, another path': (
        lambda app: uvicorn_server(app.asgi_application(['/ws']), 'websockets-sansio'), JSON, 'not served',
    ),
    'hypercorn, another path': (lambda app: hypercorn_server(app.asgi_application(['/ws'])), JSON, 'not served'),
    'websockets without subprotocols': (lambda app: websockets_server(app.websockets_handler()), None, 'subprotocol'),
    'websockets with another subprotocol': (
        lambda app: websockets_server(app.websockets_handler(), subprotocols=['chat']), ['chat'], 'chat',
    ),
}  # fmt: skip


@pytest.mark.parametrize('run', ['asyncio'], indirect=True)
@pytest.mark.parametrize('server', HANDSHAKES)
def test_refused_handshakes(run: Any, server: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, 'serverwamp_fast')
    serve, offer, part = HANDSHAKES[server]

    async def main() -> None:
        async with serve(make_app()) as url:
            with pytest.raises((InvalidHandshake, ConnectionClosed)):
                async with connect(f'ws://{url}', subprotocols=offer) as ws:  # type: ignore[arg-type]
                    await ws.recv()

    run(main())
    (line,) = client_lines(caplog)
    assert ' of 127.0.0.1' in line
    assert part in line


@pytest.mark.parametrize('run', ['asyncio'], indirect=True)
@pytest.mark.parametrize('server', [name for name in SERVERS if name != 'websockets'])
def test_requests_that_are_for_no_websocket(
    run: Any, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, 'serverwamp_fast')

    async def main() -> None:
        async with SERVERS[server](make_app()) as url:
            host, port = url.rstrip('/').split(':')
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            assert (await reader.readline()).split()[1] in (b'400', b'426')
            await reader.read()
            writer.close()

    run(main())
    (line,) = client_lines(caplog)
    assert line.startswith('Refused a request of 127.0.0.1')
