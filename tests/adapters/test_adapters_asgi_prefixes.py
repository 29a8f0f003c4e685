"""asgi_application(paths=[...]) below a prefix: root_path of the servers, Mount() of Starlette, and proxies."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.echo_servers import hypercorn_server, uvicorn_server
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import serverwamp_fast as wamp

HELLO = json.dumps([1, 'realm1', {'roles': {'caller': {}}}])
SERVERS = {
    'uvicorn websockets': lambda app, root: uvicorn_server(app, 'websockets', root),
    'uvicorn websockets-sansio': lambda app, root: uvicorn_server(app, 'websockets-sansio', root),
    'uvicorn wsproto': lambda app, root: uvicorn_server(app, 'wsproto', root),
    'hypercorn': hypercorn_server,
}


@contextlib.asynccontextmanager
async def proxy(url: str, prefix: str) -> AsyncIterator[str]:
    """A proxy that takes a prefix off the path of each connection's first request, and passes all the rest."""
    host, port = url.rstrip('/').split(':')
    pumps = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            while data := await reader.read(1 << 16):
                writer.write(data)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, rest = (await reader.readline()).split(b' ', 2)
        upstream, to_upstream = await asyncio.open_connection(host, int(port))
        to_upstream.write(b' '.join((method, path.removeprefix(prefix.encode()), rest)))
        for one, other in ((reader, to_upstream), (upstream, writer)):
            pumps.add(asyncio.create_task(pump(one, other)))

    async with await asyncio.start_server(accept, '127.0.0.1', 0) as server:
        yield f'127.0.0.1:{server.sockets[0].getsockname()[1]}/'
        await asyncio.wait(pumps)


async def attempt(url: str, path: str) -> int | str:
    """What a client meets: the path that the application tells it of, or the status of the refusal."""
    try:
        async with connect(f'ws://{url.rstrip("/")}{path}', subprotocols=['wamp.2.json']) as ws:
            await ws.send(HELLO)
            assert json.loads(await ws.recv())[0] == 2
            await ws.send('[48,1,{},"where"]')
            return str(json.loads(await ws.recv())[3][0])
    except InvalidStatus as refusal:
        return refusal.response.status_code


def make_asgi(*paths: str) -> Any:
    app = wamp.Application()
    routes = wamp.RPCRouteSet()

    @routes.route('where')
    async def where(session: Any) -> str:
        return str(session.connection.transport_info['http_path'])

    app.add_rpc_routes(routes)
    return app.asgi_application(paths=paths or None)


@pytest.mark.parametrize('server', SERVERS)
def test_no_prefix(run: Any, server: str) -> None:
    async def main() -> None:
        async with SERVERS[server](make_asgi('/ws', '/api/other'), '') as url:
            paths = '/ws', '/api/other', '/api/ws', '/other', '/ws/', '/'
            found = [await attempt(url, path) for path in paths]
            assert found == ['/ws', '/api/other', 403, 403, 403, 403]

    run(main())


@pytest.mark.parametrize('server', SERVERS)
def test_root_path_behind_a_proxy_that_strips(run: Any, server: str) -> None:
    is_added = server.startswith('uvicorn')

    async def main() -> None:
        async with (
            SERVERS[server](make_asgi('/ws'), '/api') as url,
            proxy(url, '/api') as outside,
        ):
            assert await attempt(outside, '/api/ws') == ('/api/ws' if is_added else '/ws')
            assert await attempt(outside, '/api/other') == 403
            assert await attempt(outside, '/api/wss') == 403

    run(main())


@pytest.mark.parametrize('server', SERVERS)
def test_a_proxy_that_strips_without_root_path(run: Any, server: str) -> None:
    async def main() -> None:
        async with SERVERS[server](make_asgi('/ws'), '') as url, proxy(url, '/api') as outside:
            assert await attempt(outside, '/api/ws') == '/ws'
            assert await attempt(outside, '/api/other') == 403

    run(main())


def test_root_path_of_hypercorn_behind_a_proxy_that_does_not_strip(run: Any) -> None:
    async def main() -> None:
        async with hypercorn_server(make_asgi('/ws'), '/api') as url, proxy(url, '') as outside:
            assert await attempt(outside, '/api/ws') == '/api/ws'
            for path in '/apis/ws', '/api/other', '/api', '/other/ws':
                assert await attempt(outside, path) == 403

    run(main())


@pytest.mark.parametrize('server', SERVERS)
def test_a_proxy_that_does_not_strip_without_root_path(run: Any, server: str) -> None:
    """Then the prefix is a part of the path."""

    async def main() -> None:
        async with SERVERS[server](make_asgi('/api/ws'), '') as url, proxy(url, '') as outside:
            assert await attempt(outside, '/api/ws') == '/api/ws'
            assert await attempt(outside, '/ws') == 403

    run(main())


@pytest.mark.parametrize('root', ['', '/outer'])
@pytest.mark.parametrize('server', SERVERS)
def test_mounted_in_starlette(run: Any, server: str, root: str) -> None:
    applications = pytest.importorskip(
        'starlette.applications', reason='starlette is not installed'
    )
    from starlette.routing import Mount

    app = applications.Starlette(
        routes=[
            Mount('/api', make_asgi('/ws')),
            Mount('/a', routes=[Mount('/b', make_asgi('/ws'))]),
            Mount('/all', make_asgi()),
        ]
    )

    async def main() -> None:
        async with SERVERS[server](app, root) as url:
            # Uvicorn adds its root path. With that of Hypercorn, Starlette itself wants it in the path.
            sent = '' if server.startswith('uvicorn') else root
            for path in '/api/ws', '/a/b/ws', '/all/ws', '/all/any/thing':
                assert await attempt(url, sent + path) == root + path
            for path in '/api/other', '/api/ws/ws', '/a/ws', '/a/b/other', '/ws', '/apiws':
                assert await attempt(url, sent + path) == 403
            assert await status_of(url, f'{sent}/api/ws') == 426
            assert await status_of(url, f'{sent}/api/other') == 404

    run(main())


async def status_of(url: str, path: str) -> int:
    """The status of an answer to a request that is not for a WebSocket."""
    host, port = url.rstrip('/').split(':')
    reader, writer = await asyncio.open_connection(host, int(port))
    with contextlib.closing(writer):
        writer.write(f'GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n'.encode())
        status = int((await reader.readline()).split()[1])
        await reader.read()
    return status
