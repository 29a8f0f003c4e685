"""Taking clients in: never more than there is room for, and without spinning or flooding the log."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from typing import Any

import pytest
from support.certificates import make_contexts
from support.isolated import run_isolated
from support.raw_client import RawClient, Served

import serverwamp_fast as wamp
from serverwamp_fast.adapters import accepting

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='loops on Windows accept by themselves')
LOGGER = 'serverwamp_fast.adapters.native'


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


async def join(server: Any) -> RawClient:
    client = await Served(server).connect()
    await client.hello()
    return client


async def is_served(joining: asyncio.Future[RawClient], seconds: float = 0.3) -> bool:
    done, _ = await asyncio.wait([joining], timeout=seconds)
    return bool(done)


@pytest.mark.parametrize('backlog', [2048, 2], ids=['near the bound', 'far from the bound at first'])
def test_the_bound_is_kept_and_those_who_wait_are_served(run, caplog: pytest.LogCaptureFixture, backlog: int) -> None:
    app = wamp.Application(limits=wamp.Limits(connections=8))

    async def main() -> None:
        async with await app.serve('127.0.0.1', 0, backlog=backlog) as server:
            inside = [await join(server) for _ in range(8)]
            waiting = [asyncio.ensure_future(join(server)) for _ in range(2)]
            assert not await is_served(waiting[0]) and not waiting[1].done()
            assert len(server._hub.connections) == 8
            inside.pop().reset()
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.1)
            assert sum(each.done() for each in waiting) == 1
            # The others don't notice.
            assert (await inside[0].ask(48, 1, {}, 'none'))[:3] == [8, 48, 1]
            inside.pop().reset()
            inside += await asyncio.gather(*waiting)
            assert len(server._hub.connections) == 8
            for client in inside:
                client.close()

    run(main())
    (line,) = lines_of(caplog)
    assert line.startswith('8 connections are open, as many as Limits.connections allows. Further clients wait')


def test_a_burst_does_not_get_past_the_bound(run) -> None:
    app = wamp.Application(limits=wamp.Limits(connections=20))

    async def main() -> None:
        async with await app.serve('127.0.0.1', 0, backlog=8) as server, contextlib.AsyncExitStack() as stack:
            address = server.sockets[0].getsockname()
            for _ in range(60):
                # The system's queue is short: whoever doesn't get into it has to try again.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        _, writer = await asyncio.open_connection(*address)
                        stack.callback(writer.close)
            await asyncio.sleep(0.2)
            assert len(server._hub.connections) == 20

    run(main())


def test_a_client_that_does_not_begin_tls_has_a_place(run) -> None:
    app = wamp.Application(limits=wamp.Limits(connections=1), open_timeout=0.4)

    async def main() -> None:
        async with await app.serve('127.0.0.1', 0, ssl=make_contexts()[0]) as server:
            (acceptor,) = server._acceptors
            address = server.sockets[0].getsockname()
            _, writer = await asyncio.open_connection(*address)
            while not acceptor.starting:
                await asyncio.sleep(0.001)
            assert acceptor._room() == 0
            # It has its time, and then the place is free.
            while acceptor.starting:
                await asyncio.sleep(0.01)
            assert acceptor._room() == 1
            writer.close()

    run(main())


def test_a_client_in_the_midst_of_tls_does_not_outlive_the_server(run) -> None:
    app = wamp.Application(close_timeout=0.2)

    async def main() -> None:
        server = await app.serve('127.0.0.1', 0, ssl=make_contexts()[0])
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        (acceptor,) = server._acceptors
        while not acceptor.starting:
            await asyncio.sleep(0.001)
        server.close()
        await server.wait_closed()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b''
        assert not acceptor.starting
        writer.close()

    run(main())


def test_a_line_is_written_once_a_minute(run, caplog, monkeypatch: pytest.MonkeyPatch) -> None:
    app = wamp.Application(limits=wamp.Limits(connections=1))

    async def main() -> None:
        async with await app.serve('127.0.0.1', 0) as server:
            client = await join(server)
            for silence in (60, 60, 0):
                monkeypatch.setattr(accepting, 'SILENCE', silence)
                waiting = asyncio.ensure_future(join(server))
                assert not await is_served(waiting, 0.1)
                assert len(lines_of(caplog)) == 1
                client.reset()
                client = await waiting
            # The server is full again, and the minute is over.
            assert len(lines_of(caplog)) == 2
            client.close()

    caplog.set_level(logging.INFO)
    run(main())


def test_a_socket_that_listens_no_more_does_not_keep_the_loop_busy(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the loop it can always be read."""
    rounds = []
    accept = accepting.Acceptor._accept
    monkeypatch.setattr(accepting.Acceptor, '_accept', lambda self: rounds.append(accept(self)))
    app = wamp.Application(limits=wamp.Limits(connections=1))

    async def main() -> None:
        sock = socket.create_server(('127.0.0.1', 0))
        async with await app.serve(sock=sock):
            sock.shutdown(socket.SHUT_RDWR)
            for _ in range(200):
                await asyncio.sleep(0.001)

    run(main())
    assert 1 <= len(rounds) < 20


CLIENTS = """
import socket, sys
socks = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(30)]
print('connected', flush=True)
for sock in socks:
    sock.sendall(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
sys.stdin.readline()
for sock in socks:
    sock.settimeout(20)
    assert sock.recv(12) == b'HTTP/1.1 426', 'not served'
print('served', flush=True)
"""
EXHAUSTED = """
import asyncio, logging, os, resource, subprocess, sys, time
import {loop} as library
import serverwamp_fast as wamp

LIMIT = 120
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
records = []

class Handler(logging.Handler):
    def emit(self, record):
        records.append(record)

logging.getLogger().addHandler(Handler())

async def main():
    app = wamp.Application(limits=wamp.Limits(connections=LIMIT))
    async with await app.serve('127.0.0.1', 0) as server:
        port = server.sockets[0].getsockname()[1]
        program = await asyncio.create_subprocess_exec(
            sys.executable, '-c', {clients!r}, str(port), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        files = []
        while True:
            try:
                files.append(open(os.devnull))
            except OSError:
                break
        assert await program.stdout.readline() == b'connected\\n'
        used = time.process_time()
        await asyncio.sleep(2.5)
        used = time.process_time() - used
        assert not server._hub.connections
        # Of 2.5 seconds; a loop that spins takes all of them.
        assert used < 0.5, used
        assert len(records) == 1, [record.getMessage() for record in records]
        assert records[0].getMessage().startswith('No client can be accepted: Too many open files'), records[0]
        for file in files:
            file.close()
        program.stdin.write(b'go on\\n')
        assert await program.stdout.readline() == b'served\\n'
        assert await program.wait() == 0
        assert [record.getMessage() for record in records[1:] if record.levelno > logging.INFO] == []

library.run(main())
"""


@pytest.mark.parametrize('loop', ['asyncio', 'uvloop'])
@pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='tried on Linux alone, where descriptors can be limited')
def test_a_program_without_descriptors_left(loop: str) -> None:
    """What else the program has open takes the place of clients: they wait, at no cost, until there is room."""
    if loop == 'uvloop':
        pytest.importorskip('uvloop', reason='uvloop is not installed')
    run_isolated(EXHAUSTED.format(loop=loop, clients=CLIENTS))
