"""authentication: clients that are known by their connection, through every kind of server."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.certificates import make_contexts
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

REFUSED = 'wamp.error.authentication_failed'
# By what a client shows: headers of its request, and whom it is known as in which realm.
CLIENTS: list[tuple[dict[str, str], dict[str, str | None]]] = [
    ({}, {'cookies': None, 'headers': None, 'local': 'neighbour', 'elsewhere': None}),
    ({'Cookie': 'theme=dark; badge="e-5"'}, {'cookies': 'Grace', 'headers': None, 'local': 'neighbour'}),
    ({'Cookie': 'badge=e-6'}, {'cookies': None, 'either': None}),
    ({'Authorization': 'Bearer sesame'}, {'cookies': None, 'headers': 'admin', 'either': 'admin'}),
    ({'X-Authorization': 'Bearer sesame'}, {'headers': None}),
    ({'Authorization': 'Bearer sesame', 'Cookie': 'badge=e-5'}, {'headers': 'admin', 'either': 'Grace'}),
]


async def know_cookie(session: Any) -> Any:
    cookies = session.connection.transport_info['http_cookies']
    return {'e-5': 'Grace'}.get(cookies.get('badge'))


async def know_header(session: Any) -> Any:
    headers = session.connection.transport_info['http_headers_raw']
    values = [bytes(value) for name, value in headers if bytes(name).lower() == b'authorization']
    return wamp.AuthenticatedAs('admin', auth_role='boss') if values == [b'Bearer sesame'] else None


async def know_address(session: Any) -> Any:
    return 'neighbour' if session.connection.transport_info['peer_address'] == '127.0.0.1' else None


async def know_other_address(session: Any) -> Any:
    return 'stranger' if session.connection.transport_info['peer_address'] != '127.0.0.1' else None


def make_app(certificate: bytes = b'', **options: Any) -> wamp.Application:
    """Realms with an authenticator each, and one with two."""
    app = wamp.Application(allow_default_realm=False, **options)
    routes = wamp.RPCRouteSet()

    @routes.route('whoami')
    async def whoami(session: Any) -> Any:
        return session.identity

    async def know_certificate(session: Any) -> Any:
        raw = session.connection.transport_info['peer_certificate_raw']
        return 'machine' if raw is not None and bytes(raw) == certificate else None

    for uri, authenticators in (
        ('cookies', [know_cookie]),
        ('headers', [know_header]),
        ('local', [know_address]),
        ('elsewhere', [know_other_address]),
        ('either', [know_cookie, know_header]),
        ('certificates', [know_certificate]),
    ):
        realm = wamp.Realm(uri)
        realm.add_rpc_routes(routes)
        for authenticator in authenticators:
            realm.add_transport_authenticator(authenticator)
        app.add_realm(realm)
    return app


async def knock(ws: Any, realm: str) -> Any:
    """Return whom a client is taken for in a realm, None if it is refused; and the session's details."""
    wire = Wire(JSON)

    async def ask(*message: Any) -> Any:
        await ws.send(wire.encode(list(message)))
        return wire.decode(await ws.recv())[0]

    # What HELLO says of the user is no more than that.
    code, first, second = await ask(1, realm, {'roles': {'caller': {}}, 'authid': 'root'})
    if code == 3:
        assert (first, second) == ({'message': 'Authentication failed.'}, REFUSED)
        return None
    assert (code, second['authmethod']) == (2, 'transport')
    code, _, _, (identity,) = await ask(48, 1, {}, 'whoami')
    assert code == 50
    assert second['authid'] == identity
    assert second['authrole'] == ('boss' if identity == 'admin' else 'authenticated')
    return identity


async def check_all(connect: Any, url: str) -> None:
    for headers, expected in CLIENTS:
        for realm, identity in expected.items():
            async with connect(f'ws://{url}', subprotocols=[JSON], additional_headers=headers) as ws:
                assert await knock(ws, realm) == identity, (headers, realm)
    # Without TLS there is no certificate.
    async with connect(f'ws://{url}', subprotocols=[JSON]) as ws:
        assert await knock(ws, 'certificates') is None


@contextlib.asynccontextmanager
async def native_server(app: wamp.Application, **options: Any) -> AsyncIterator[str]:
    async with await app.serve('127.0.0.1', 0, **options) as server:
        yield f'127.0.0.1:{server.sockets[0].getsockname()[1]}'


SERVERS = {
    'native': native_server,
    'aiohttp': lambda app: aiohttp_server(app.aiohttp_websocket_handler()),
    'uvicorn-wsproto': lambda app: uvicorn_server(app.asgi_application(), 'wsproto'),
    'uvicorn-websockets': lambda app: uvicorn_server(app.asgi_application(), 'websockets-sansio'),
    'hypercorn': lambda app: hypercorn_server(app.asgi_application()),
    'websockets': lambda app: websockets_server(app.websockets_handler(), subprotocols=[JSON]),
}
NEEDED = {'aiohttp', 'uvicorn', 'hypercorn'}


def require(server: str) -> None:
    name = server.partition('-')[0]
    if name in NEEDED:
        pytest.importorskip(name, reason=f'{name} is not installed')


@pytest.mark.parametrize('server', SERVERS)
def test_on_asyncio(run: Any, server: str) -> None:
    from websockets.asyncio.client import connect

    require(server)
    app = make_app()

    async def main() -> None:
        async with SERVERS[server](app) as url:
            await check_all(connect, url)

    run(main())


@pytest.mark.parametrize('server', ['hypercorn', 'websockets'])
def test_on_trio(server: str) -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    from websockets.trio.client import connect

    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    require(server)
    app = make_app(async_support=TrioAsyncSupport)

    async def main() -> None:
        serving = (
            hypercorn_trio_server(app.asgi_application())
            if server == 'hypercorn'
            else websockets_trio_server(app.websockets_handler(), subprotocols=[JSON])
        )
        with trio.fail_after(60):
            async with serving as url:
                await check_all(connect, url)

    trio.run(main)


SERVERS_WITH_TLS = {
    'native': lambda app, context: native_server(app, ssl=context),
    'aiohttp': lambda app, context: aiohttp_server(app.aiohttp_websocket_handler(), ssl_context=context),
    'websockets': lambda app, context: websockets_server(app.websockets_handler(), subprotocols=[JSON], ssl=context),
}


@pytest.mark.parametrize('server', SERVERS_WITH_TLS)
def test_by_certificate(run: Any, server: str) -> None:
    """The client's is known, another one isn't."""
    from websockets.asyncio.client import connect

    require(server)
    server_context, client_context, certificate = make_contexts()

    async def main() -> None:
        for known, identity in ((certificate, 'machine'), (b'another', None)):
            async with SERVERS_WITH_TLS[server](make_app(known), server_context) as url:
                async with connect(f'wss://{url}', subprotocols=[JSON], ssl=client_context) as ws:
                    assert await knock(ws, 'certificates') == identity

    run(main())


def test_by_a_certificate_that_an_asgi_server_tells(run: Any) -> None:
    """As the TLS extension of ASGI has it, which hardly any server knows."""
    from websockets.asyncio.client import connect

    require('uvicorn')
    _, _, certificate = make_contexts()
    told: dict[str, Any] = {'client_cert_chain': [ssl.DER_cert_to_PEM_cert(certificate)]}
    serve = make_app(certificate).asgi_application()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope['type'] == 'websocket':
            scope = scope | {'extensions': {**(scope.get('extensions') or {}), 'tls': told}}
        await serve(scope, receive, send)

    async def main() -> None:
        async with uvicorn_server(application, 'wsproto') as url:
            async with connect(f'ws://{url}', subprotocols=[JSON]) as ws:
                assert await knock(ws, 'certificates') == 'machine'
            told.clear()
            async with connect(f'ws://{url}', subprotocols=[JSON]) as ws:
                assert await knock(ws, 'certificates') is None

    run(main())
