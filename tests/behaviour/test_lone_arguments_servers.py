"""Lone texts as args on each kind of server: what arrives there, in the serializer's own form, and the warning."""

import asyncio
import contextlib
from typing import Any

import pytest
from behaviour.test_publishing_servers import HELLO, SERVERS, Client
from support.echo_servers import CBOR_BATCHED, JSON, JSON_BATCHED, MSGPACK, MSGPACK_BATCHED

import serverwamp_fast as wamp
from serverwamp_fast import lone_arguments
from serverwamp_fast.rpc import RPCErrorResult, RPCProgressReport, RPCResult

SUBPROTOCOLS = [JSON, JSON_BATCHED, MSGPACK, MSGPACK_BATCHED, CBOR_BATCHED]
VALUES = {'text': 'äé', 'empty text': '', 'bytes': b'\x00\xff'}
PROGRESS = {'receive_progress': True}


@pytest.fixture(autouse=True)
def nothing_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lone_arguments, '_warned', set())


def make_app(value: Any) -> wamp.Application:
    app = wamp.Application()
    calls, topics = wamp.RPCRouteSet(), wamp.TopicRouteSet()

    @calls.route('returns')
    async def returns() -> Any:
        return RPCResult(args=value)

    @calls.route('fails')
    async def fails() -> Any:
        return RPCErrorResult('com.example.error', args=value)

    @calls.route('reports')
    async def reports() -> Any:
        yield RPCProgressReport(args=value)
        yield RPCResult(args=value)

    @calls.route('sends')
    async def sends(session: Any) -> None:
        await session.send_event('news', args=value)

    @calls.route('publishes')
    async def publishes() -> None:
        await app.publish('news', value)

    @topics.route('news')
    async def news() -> Any:
        yield

    app.add_rpc_routes(calls)
    app.add_topic_routes(topics)
    return app


async def converse(client: Client, value: Any) -> None:
    assert (await client.ask(*HELLO))[0] == 2
    for _ in range(2):
        assert await client.ask(48, 1, {}, 'returns') == [50, 1, {}, [value]]
        assert await client.ask(48, 2, {}, 'fails') == [8, 48, 2, {}, 'com.example.error', [value]]
        assert await client.ask(48, 3, PROGRESS, 'reports') == [50, 3, {'progress': True}, [value]]
        assert await client.hear() == [50, 3, {}, [value]]
    subscribed = await client.ask(32, 4, {}, 'news')
    assert subscribed[:2] == [33, 4]
    for procedure in ('sends', 'publishes', 'sends', 'publishes'):
        event = await client.ask(48, 5, {}, procedure)
        assert event[:2] == [36, subscribed[2]]
        assert event[4:] == [[value]]
        assert await client.hear() == [50, 5, {}]


@pytest.mark.parametrize('kind', VALUES)
@pytest.mark.parametrize('server', SERVERS)
def test_it(run: Any, server: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    from websockets.asyncio.client import connect

    value = VALUES[kind]
    app = make_app(value)

    async def main() -> None:
        async with SERVERS[server](app) as url, contextlib.AsyncExitStack() as stack:
            for subprotocol in SUBPROTOCOLS:
                ws = await stack.enter_async_context(
                    connect(f'ws://{url}', subprotocols=[subprotocol])
                )
                await converse(Client(ws), value)
                await ws.close()
            while app._active_sessions:
                await asyncio.sleep(0.001)

    run(main())
    lines = [
        record.getMessage()
        for record in caplog.records
        if record.name == lone_arguments.logger.name
    ]
    assert all(
        record.levelname == 'WARNING'
        for record in caplog.records
        if record.name == lone_arguments.logger.name
    )
    # Once for each handler, whatever the number of its calls, of clients and of serializers.
    for name in ('returns', 'fails', 'reports', 'sends', 'publishes'):
        (line,) = [line for line in lines if f'make_app.<locals>.{name} ' in line]
        assert f'a lone {type(value).__name__}: ' in line
    assert len(lines) == 5
