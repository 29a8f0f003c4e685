"""The server that the real clients talk to, as a program of its own.

    python site.py native|aiohttp|uvicorn [--unix PATH] [--tls PEM]

It writes one line of JSON when it accepts connections, and ends on SIGTERM.
"""

import argparse
import asyncio
import collections
import json
import logging
import socket
import ssl
from collections.abc import Callable

import serverwamp_fast as serverwamp

rpc = serverwamp.RPCRouteSet()
topics = serverwamp.TopicRouteSet()


@rpc.route('interop.add')
async def add(a: int, b: int = 100):
    return a + b


@rpc.route('interop.echo')
async def echo(value):
    return value


@rpc.route('interop.everything')
async def everything(*args, **kwargs):
    return serverwamp.RPCResult(args=args, kwargs=kwargs)


@rpc.route('interop.hexadecimal')
async def show_bytes(data):
    """Tells what arrived; text, which has no hex(), is refused."""
    return data.hex()


@rpc.route('interop.nothing')
async def nothing():
    return None


@rpc.route('interop.refuse')
async def refuse(reason):
    return serverwamp.RPCErrorResult('interop.error.refused', args=(reason,), kwargs={'code': 7})


@rpc.route('interop.crash')
async def crash():
    raise ValueError('a secret of the server')


@rpc.route('interop.count')
async def count(to: int):
    for number in range(to):
        yield serverwamp.RPCProgressReport(args=(number,))
    yield to


cancelled = []


@rpc.route('interop.sleep')
async def sleep(name):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        cancelled.append(name)
        raise


@rpc.route('interop.sleep_reporting')
async def sleep_reporting(name):
    try:
        yield serverwamp.RPCProgressReport(args=(name,))
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        cancelled.append(name)
        raise


@rpc.route('interop.cancelled')
async def was_cancelled(name):
    """Returns when a call of interop.sleep has been cancelled."""
    while name not in cancelled:
        await asyncio.sleep(0.001)
    return True


gates = collections.defaultdict(asyncio.Event)
finished = []


@rpc.route('interop.linger')
async def linger(name):
    """Goes on until it is told to finish."""
    yield serverwamp.RPCProgressReport(args=(name,))
    await gates[name].wait()
    finished.append(name)
    yield name


@rpc.route('interop.finish')
async def finish(name):
    """Tells a call of interop.linger to finish; returns when it has."""
    gates[name].set()
    while name not in finished:
        await asyncio.sleep(0.001)
    return name not in cancelled


@rpc.route('interop.whoami')
async def whoami(session):
    return {'id': session.id, 'realm': session.realm.uri, 'methods': list(session.auth_methods)}


@rpc.route('interop.caller')
async def caller(request):
    return {'id': request.caller, 'authid': request.caller_authid, 'authrole': request.caller_authrole}


@rpc.route('interop.sum')
async def add_up(number, request):
    return sum([part.args[0] async for part in request.inputs])


@rpc.route('interop.transport')
async def transport(session):
    info = session.connection.transport_info
    return {
        'keys': sorted(info),
        'address': str(info.get('peer_address')),
        'path': info.get('http_path'),
    }


@rpc.route('interop.publish')
async def publish(session, topic, times: int = 1):
    for number in range(times):
        await session.send_event(topic, args=(number, 'news'), kwargs={'topic': topic})
    return times


@topics.prefix_route('interop.news.')
async def news(topic_uri, session):
    await session.send_event(topic_uri, args=('welcome',))
    yield


@topics.route('interop.closed')
async def closed():
    raise serverwamp.SubscribeError('interop.error.closed')
    yield


def build() -> serverwamp.Application:
    app = serverwamp.Application()
    app.add_routes([*rpc, *topics])
    app.allow_publish('interop.open.', 'prefix')
    app.allow_subscribe('interop.open.', 'prefix')
    app.allow_subscribe('interop..news', 'wildcard')
    app.allow_publisher_disclosure()
    return app


def serve_native(
    app: serverwamp.Application, sock: socket.socket, context: ssl.SSLContext | None
) -> None:
    app.run(sock=sock, ssl=context)


def serve_aiohttp(
    app: serverwamp.Application, sock: socket.socket, context: ssl.SSLContext | None
) -> None:
    from aiohttp import web

    site = web.Application()
    site.router.add_get('/', app.aiohttp_websocket_handler())

    async def close_sessions(_: web.Application) -> None:
        await app.close_sessions()

    site.on_shutdown.append(close_sessions)
    web.run_app(site, sock=sock, ssl_context=context, print=None, shutdown_timeout=1)


def serve_uvicorn(
    app: serverwamp.Application, sock: socket.socket, context: ssl.SSLContext | None
) -> None:
    import uvicorn

    config = uvicorn.Config(
        app.asgi_application(), log_level='warning', timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[sock])


SERVERS = {'native': serve_native, 'aiohttp': serve_aiohttp, 'uvicorn': serve_uvicorn}


def main(build: Callable[[], serverwamp.Application] = build) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('server', choices=SERVERS)
    parser.add_argument('--unix')
    parser.add_argument('--tls')
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    context = None
    if options.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.tls)
    if options.unix:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(options.unix)
    else:
        sock = socket.create_server(('127.0.0.1', 0))
    # Who connects from now on is accepted as soon as the server is ready.
    sock.listen()
    print(json.dumps({'port': None if options.unix else sock.getsockname()[1]}), flush=True)
    SERVERS[options.server](build(), sock, context)


if __name__ == '__main__':
    main()
