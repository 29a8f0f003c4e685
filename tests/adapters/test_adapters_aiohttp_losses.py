"""What aiohttp's connections do when their client vanishes in the middle of things."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

aiohttp = pytest.importorskip('aiohttp', reason='aiohttp is not installed')
from adapters.test_adapters_aiohttp import connected, server_task  # noqa: E402
from support.echo_servers import JSON, aiohttp_server, assert_closed  # noqa: E402

import serverwamp_fast as wamp  # noqa: E402
from serverwamp_fast.adapters import aiohttp as adapter  # noqa: E402
from serverwamp_fast.connection import ConnectionClosed  # noqa: E402


def test_a_client_that_vanished_behind_its_pings_is_at_its_end(run) -> None:
    """aiohttp answers pings when they are read, which is here after the loss."""

    async def read_late(connection: Any) -> None:
        while not connection._transport.is_closing():
            await asyncio.sleep(0.001)
        assert [msg async for msg in connection.iterate_msgs()] == []

    async def main() -> None:
        serve, outcome = server_task(read_late)
        async with connected(serve, JSON) as ws:
            for _ in range(3):
                await ws.ping()
            ws._writer.transport.abort()
            await outcome

    run(main())


def test_what_could_not_be_sent_is_not_left_to_the_garbage_collector(run, monkeypatch) -> None:
    tasks: list[weakref.ref[Any]] = []
    send = adapter.AiohttpWebSocketConnection._send

    async def observed_send(self: Any, payload: bytes) -> None:
        tasks.append(weakref.ref(asyncio.current_task()))
        await send(self, payload)

    async def lose_and_send(connection: Any) -> None:
        connection._transport.abort()
        gc.disable()
        try:
            try:
                await connection.send_msg(['x' * 100_000])
            except ConnectionClosed:
                pass
            # The loop's own references go with its next turns.
            for _ in range(3):
                await asyncio.sleep(0)
            assert [task() for task in tasks] == [None]
        finally:
            gc.enable()

    async def main() -> None:
        serve, outcome = server_task(lose_and_send)
        async with connected(serve, JSON):
            await outcome

    monkeypatch.setattr(adapter.AiohttpWebSocketConnection, '_send', observed_send)
    run(main())


@pytest.mark.skipif(adapter.TCP_CORK is None, reason='TCP_CORK is of Linux')
@pytest.mark.parametrize(
    'is_lost_first', [True, False], ids=['before the answers', 'among the answers']
)
def test_answers_to_a_client_that_pipelined_and_vanished_can_not_be_sent(
    run, is_lost_first: bool
) -> None:
    """What the answers are held back with for a moment is an option of a socket that is closed by then."""

    async def main() -> None:
        are_there = asyncio.Event()

        async def answer(connection: Any) -> None:
            await are_there.wait()
            # The loop reads them.
            for _ in range(10):
                await asyncio.sleep(0)
            msgs = connection.iterate_msgs()
            await anext(msgs)
            if not is_lost_first:
                await connection.send_msg(await anext(msgs))
            connection._transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)
            connection._is_pipelined = True
            await assert_closed(connection)

        serve, outcome = server_task(answer)
        async with connected(serve, JSON) as ws:
            for number in (1, 2):
                await ws.send_str(f'[50,{number},{{}}]')
            are_there.set()
            await outcome

    run(main())


def test_the_sessions_of_clients_that_vanished_are_let_go(run) -> None:
    """They pipelined requests, and their answers meet a connection that is lost."""
    app = wamp.Application()
    app.allow_subscribe('', match='prefix')
    topics = app._default_realm.topics

    async def main() -> None:
        async with (
            aiohttp_server(app.aiohttp_websocket_handler()) as url,
            aiohttp.ClientSession() as http,
        ):
            for _ in range(5):
                ws = await http.ws_connect(f'ws://{url}', protocols=[JSON])
                await ws.send_str('[1,"realm1",{"roles":{}}]')
                for number in range(1, 301):
                    await ws.send_str(f'[32,{number},{{}},"topic"]')
                await ws.receive()
                ws._writer.transport.abort()
                # What a session leaves behind is cleaned up after it has ended.
                while app._active_sessions or len(topics):
                    await asyncio.sleep(0.001)

    run(main())
