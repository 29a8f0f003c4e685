"""The native server against clients that do anything.

Each client sends a stream of right and wrong messages, cut and spoilt at random, and leaves in some way. Whatever it
does, it is closed or served, no error reaches the event loop, nothing is left of it, the log has no traceback, and
another client notices nothing. `FUZZ_SEED` and `FUZZ_CLIENTS` in the environment choose other clients, and more.
"""

import asyncio
import os
import random
from typing import Any

import pytest
from support.client_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_payload,
    frame,
)
from support.echo_servers import SUBPROTOCOLS
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
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport

SEED = int(os.environ.get('FUZZ_SEED', '2119'))
CLIENTS = int(os.environ.get('FUZZ_CLIENTS', '400'))
AT_A_TIME = 20

MESSAGES: list[Any] = [
    HELLO,
    HELLO,
    HELLO,
    CLIENT_GOODBYE,
    [48, 1, {}, 'echo', ['x']],
    [48, 2, {}, 'later', ['x' * 1000]],
    [48, 3, {'receive_progress': True}, 'progress'],
    [48, 4, {}, 'fails_not'],
    [48, 5, {}, 'large'],
    [48, 6, {}, 'goodbye'],
    [48, 7, {}, 'abort'],
    [48, 8, {}, 'not a uri'],
    [32, 9, {}, 't'],
    [32, 10, {}, 'slow'],
    [32, 11, {'match': 'prefix'}, 'a.b'],
    [34, 12, 1],
    [34, 13, 2],
    [16, 14, {'acknowledge': True}, 'a.b'],
    [64, 15, {}, 'a.b'],
    [49, 16, {}],
    [70, 17, {}],
    [8, 68, 18, {}, 'a.b'],
    [5, 'signature', {}],
    [3, {}, 'wamp.error.canceled'],
]
WRONG: list[Any] = [[], [999], [48], [48, 0, {}, 'echo'], 'text', 5, None, {}, [2, 1, {}], [[]], [48, 1, {}, 5]]


class OwnSupport(AsyncioAsyncSupport):
    """Makes the application read the messages itself."""


def make_busy_app(support: Any) -> Any:
    app = make_app(async_support=support, open_timeout=5, close_timeout=0.2)
    routes = wamp.RPCRouteSet()
    topics = wamp.TopicRouteSet()

    @routes.route('later')
    async def later(value: str) -> str:
        for _ in range(3):
            await asyncio.sleep(0)
        return value

    @routes.route('progress')
    async def progress() -> Any:
        for number in range(5):
            yield wamp.RPCProgressReport(args=(number,))
            await asyncio.sleep(0)
        yield 'end'

    @routes.route('large')
    async def large() -> str:
        return 'x' * 100_000

    @routes.route('goodbye')
    async def goodbye(session: Any) -> None:
        await session.close()

    @routes.route('abort')
    async def abort(session: Any) -> None:
        await session.abort('com.example.no')

    @topics.topic('t')
    async def subscribed(session: Any) -> Any:
        await session.send_event('t', ['first'])
        yield

    @topics.topic('slow')
    async def slow() -> Any:
        for _ in range(20):
            await asyncio.sleep(0)
        yield

    async def lifespan() -> Any:
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0)

    app.add_rpc_routes(routes)
    app.add_topic_routes(topics)
    app.add_session_lifespan_handler(lifespan)
    return app


def make_stream(rng: random.Random, client: RawClient) -> bytes:
    """Frames of a client, most of them right."""
    parts = [client.pack(HELLO)] if rng.random() < 0.8 else []
    for _ in range(rng.choice([1, 3, 10, 100])):
        kind = rng.random()
        if kind < 0.85:
            messages = [rng.choice(MESSAGES)]
            if client.wire.is_batched and rng.random() < 0.5:
                messages *= rng.choice([1, 2, 200])
            parts.append(client.pack(*messages))
        elif kind < 0.88:
            parts.append(client.pack(rng.choice(WRONG)))
        elif kind < 0.96:
            parts.append(frame(rng.choice([PING, PONG]), rng.randbytes(rng.randrange(126))))
        elif kind < 0.98:
            opcode = rng.choice([TEXT, BINARY, CONTINUATION, CLOSE, 3])
            parts.append(frame(opcode, rng.randbytes(rng.randrange(50)), final=rng.random() < 0.5))
        else:
            parts.append(frame(CLOSE, close_payload(rng.choice([1000, 1001, 1005, 4000]))))
    stream = bytearray(b''.join(parts))
    if rng.random() < 0.2:
        for _ in range(rng.choice([1, 5])):
            stream[rng.randrange(len(stream))] = rng.randrange(256)
    if rng.random() < 0.2:
        del stream[rng.randrange(len(stream)) :]
    return bytes(stream)


async def misbehave(server: Served, rng: random.Random) -> None:
    receive_buffer = 4096 if rng.random() < 0.1 else None
    client = await server.connect(rng.choice(SUBPROTOCOLS), receive_buffer)
    reading = asyncio.create_task(read_on(client)) if rng.random() < 0.7 else None
    try:
        stream = make_stream(rng, client)
        # A client that doesn't read may not get rid of what it has to say.
        async with asyncio.timeout(None if reading else 0.2):
            if rng.random() < 0.5:
                await client.send(stream)
            else:
                await client.send_in_pieces(stream, rng.choice([7, 100, 1000, 5000]))
        for _ in range(rng.choice([0, 5, 50])):
            await asyncio.sleep(0)
        if rng.random() < 0.3:
            client.end_output()
            if reading is not None:
                await reading
    except (OSError, TimeoutError):
        # The server has closed the connection.
        pass
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        if rng.random() < 0.5:
            client.reset()
        else:
            client.close()


async def read_on(client: RawClient) -> None:
    try:
        while await client.receive():
            pass
    except OSError:
        pass


@pytest.mark.parametrize('support', [AsyncioAsyncSupport, OwnSupport])
def test_clients_that_do_anything(run, caplog, support: Any) -> None:
    async def main() -> None:
        rng = random.Random(SEED)
        app = make_busy_app(support)
        async with serving(app) as server:
            other = await server.join()
            for number in range(1, CLIENTS // AT_A_TIME + 1):
                caplog.clear()
                await asyncio.gather(*(misbehave(server, rng) for _ in range(AT_A_TIME)))
                assert await other.call(number, 'echo', number) == [number]
                while len(server.connections) > 1 or server.tasks:
                    await asyncio.sleep(0.001)
                    if support is OwnSupport and len(server.tasks) == 1:
                        # The other client's.
                        break
                assert len(app._active_sessions) == 1
                # Lines, and no tracebacks.
                assert warnings_in(caplog)
            await other.leave()

    run(main(), deadline=300)
