"""How long close_sessions(goodbye=False) takes where clients leave Close unanswered: close_timeout, on each server."""

import asyncio
import socket
from typing import Any

import pytest
from behaviour.test_goodbye import SERVERS as ANSWERED_SERVERS
from support.echo_servers import uvicorn_server
from support.raw_client import RawClient

import serverwamp_fast as wamp

CLOSE_TIMEOUT = 0.2
# Far below what the servers take by themselves, 10 or 20 seconds, and far above what is due.
BOUND = 5

SERVERS = {
    **ANSWERED_SERVERS,
    'uvicorn websockets-sansio': lambda app: uvicorn_server(
        app.asgi_application(), 'websockets-sansio'
    ),
}


async def join(url: str, **options: Any) -> RawClient:
    host, port = url.rstrip('/').split(':')
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    client = RawClient(sock)
    await client.open('wamp.2.json')
    await client.hello()
    return client


@pytest.mark.parametrize('server', SERVERS)
def test_a_client_that_does_not_answer_close(run: Any, server: str) -> None:
    app = wamp.Application(close_timeout=CLOSE_TIMEOUT)

    async def main() -> None:
        async with SERVERS[server](app) as url:
            clients = [await join(url) for _ in range(2)]
            async with asyncio.timeout(BOUND):
                await app.close_sessions(goodbye=False)
            for client in clients:
                await client.expect_close(1012)
                client.close()

    run(main())


@pytest.mark.parametrize('server', SERVERS)
def test_a_client_that_does_not_read(run: Any, server: str) -> None:
    """Close stands behind what it has not read."""
    app = wamp.Application(close_timeout=CLOSE_TIMEOUT)
    topics = wamp.TopicRouteSet()
    flooding: list[asyncio.Task[None]] = []

    @topics.route('flood')
    async def flood(session: Any) -> Any:
        async def send() -> None:
            while True:
                await session.send_event('flood', args=('x' * 1_000_000,))

        flooding.append(asyncio.create_task(send()))
        yield

    app.add_topic_routes(topics)

    async def main() -> None:
        async with SERVERS[server](app) as url:
            client = await join(url)
            assert (await client.ask(32, 1, {}, 'flood'))[0] == 33
            await asyncio.sleep(0.3)
            async with asyncio.timeout(BOUND):
                await app.close_sessions(goodbye=False)
            client.reset()
            for task in flooding:
                task.cancel()
            await asyncio.gather(*flooding, return_exceptions=True)

    run(main())
