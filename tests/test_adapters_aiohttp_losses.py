"""What aiohttp's connections do when their client vanishes in the middle of things."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

aiohttp = pytest.importorskip('aiohttp', reason='aiohttp is not installed')
from echo_servers import JSON  # noqa: E402
from test_adapters_aiohttp import connected, server_task  # noqa: E402

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
