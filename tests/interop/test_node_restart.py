"""Reconnecting clients from npm after a restart of the server: with goodbye=False they come back."""

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from interop.node_clients import PACKAGES, find_obstacle

OBSTACLE = find_obstacle()
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))

SCRIPT = pathlib.Path(__file__).with_name('node') / 'restart.mjs'
SERVERS = {
    'native': """
import serverwamp_fast as wamp
wamp.Application().run(host='127.0.0.1', port={port}, goodbye={goodbye})
""",
    'aiohttp': """
from aiohttp import web
import serverwamp_fast as wamp
app = wamp.Application()
web_app = web.Application()
web_app.router.add_get('/', app.aiohttp_websocket_handler())
async def close_sessions(_):
    await app.close_sessions(goodbye={goodbye})
web_app.on_shutdown.append(close_sessions)
web.run_app(web_app, host='127.0.0.1', port={port}, print=None, shutdown_timeout=1)
""",
    'uvicorn': """
import asyncio, signal, uvicorn
import serverwamp_fast as wamp
app = wamp.Application()
server = uvicorn.Server(uvicorn.Config(app.asgi_application(), port={port}, log_level='error', lifespan='off'))
async def main():
    ending = asyncio.Event()
    serving = asyncio.create_task(server._serve())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    await ending.wait()
    await app.close_sessions(goodbye={goodbye})
    server.should_exit = True
    await serving
asyncio.run(main())
""",
}
# Seconds: for a client to come back, and for one that is not to.
PATIENCE = 20
ABSENCE = 3


def find_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def running_server(code: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, '-c', code)
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection('127.0.0.1', port)
                    writer.close()
                    break
                assert process.returncode is None, 'The server did not start.'
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def wait_for_line(client: asyncio.subprocess.Process, start: bytes) -> bytes:
    assert client.stdout is not None
    while not (line := await client.stdout.readline()).startswith(start):
        assert line, 'The client has ended.'
    return line


async def restart(library: str, server: str, goodbye: bool) -> bool:
    """Restart a server under a client; return whether the client comes back."""
    port = find_port()
    code = SERVERS[server].format(port=port, goodbye=goodbye)
    async with running_server(code, port) as process:
        client = await asyncio.create_subprocess_exec(
            'node', str(SCRIPT), library, f'ws://127.0.0.1:{port}/',
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, 'WAMP_NODE': str(PACKAGES)},
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE):
                await wait_for_line(client, b'OPEN')
                process.send_signal(signal.SIGTERM)
                await process.wait()
            async with running_server(code, port):
                try:
                    async with asyncio.timeout(ABSENCE if goodbye else PATIENCE):
                        await wait_for_line(client, b'OPEN')
                except TimeoutError:
                    return False
                return True
        finally:
            with contextlib.suppress(ProcessLookupError):
                client.kill()
            await client.wait()


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize('library', ['autobahn', 'wampy'])
def test_clients_come_back_without_goodbye(library: str, server: str) -> None:
    assert asyncio.run(restart(library, server, goodbye=False))


@pytest.mark.parametrize('library', ['autobahn', 'wampy'])
def test_clients_take_goodbye_as_final(library: str) -> None:
    assert not asyncio.run(restart(library, 'native', goodbye=True))
