"""The first events of a subscription: behind SUBSCRIBED, in a later turn of the loop and in a write of their own."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from behaviour.test_event_order import HELLO, SERVERS, TRIO_SERVERS, settle
from support.client_frames import TEXT, frame
from support.echo_servers import JSON
from support.raw_client import serving, warnings_in
from support.session_clients import Pair

import serverwamp_fast as wamp
from serverwamp_fast.adapters import native
from serverwamp_fast.adapters.aiohttp import AiohttpWebSocketConnection
from serverwamp_fast.adapters.asgi import ASGIWebSocketConnection
from serverwamp_fast.adapters.async_base import runs_on_trio
from serverwamp_fast.adapters.websockets import WebsocketsConnection

SUBSCRIBE = [32, 1, {'get_retained': True}, 't']


class Site:
    """An application whose handler for the topic `t` sends two events, and one for `plain` that sends none."""

    def __init__(self, waits: bool = False, **options: Any) -> None:
        self.app = wamp.Application(**options)
        self.in_between: Any = None
        self.ended: list[str] = []
        topics = wamp.TopicRouteSet()

        @topics.route('t')
        async def handle(session: Any) -> AsyncIterator[None]:
            await session.send_event('t', ('first',))
            if waits:
                await asyncio.sleep(0.01)
            await session.send_event('t', ('second',))
            if self.in_between is not None:
                asyncio.get_running_loop().call_soon(self.start, session)
            yield
            self.ended.append('t')

        @topics.route('plain')
        async def handle_plain() -> AsyncIterator[None]:
            yield

        self.app.add_topic_routes(topics)

    def start(self, session: Any) -> None:
        """Do something between SUBSCRIBED and the events."""
        self.task = asyncio.create_task(self.in_between(session))

    async def publish(self, session: Any) -> None:
        await self.app.publish('t', ('between',))

    async def close(self, session: Any) -> None:
        await session.close()


def payloads(messages: list[Any]) -> list[Any]:
    return [message[4][0] for message in messages]


# On the native server, by what is written


class Recording:
    """A loop's transport that keeps each write, as messages."""

    def __init__(self, transport: Any, writes: list[list[Any]]) -> None:
        self.transport = transport
        self.writes = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: Any) -> None:
        if data.startswith(b'\x81'):
            self.writes.append(read_frames(bytes(data)))
        self.transport.write(data)


def read_frames(data: bytes) -> list[Any]:
    """The messages in unmasked frames of text."""
    messages = []
    while data.startswith(b'\x81'):
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4]), 4
        messages.append(json.loads(data[start : start + size]))
        data = data[start + size :]
    return messages


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """What the native server writes, a list of messages for each write."""
    recorded: list[list[Any]] = []
    connection_made = native.NativeConnection.connection_made

    def record(self: Any, transport: Any) -> None:
        connection_made(self, Recording(transport, recorded))

    monkeypatch.setattr(native.NativeConnection, 'connection_made', record)
    return recorded


@pytest.mark.parametrize('waits', [False, True])
def test_native_writes(run: Any, writes: list[list[Any]], waits: bool) -> None:
    async def main() -> None:
        site = Site(waits)
        site.in_between = site.publish
        await site.app.publish('t', ('retained',), retain=True)
        async with serving(site.app) as server:
            client = await server.join()
            writes.clear()
            await client.say(SUBSCRIBE)
            heard = [await client.hear() for _ in range(5)]
            assert writes[0] == [[33, 1, heard[0][2]]]
            assert payloads(heard[1:]) == ['retained', 'first', 'second', 'between']
            assert [message for write in writes[1:] for message in write] == heard[1:]
            # From now on nothing is held.
            await site.app.publish('t', ('later',))
            assert payloads([await client.hear()]) == ['later']
            await client.leave()

    run(main())


def test_native_writes_while_others_have_their_turns(run: Any, writes: list[list[Any]]) -> None:
    """A client whose turn is a long way off has its output kept until then, but not SUBSCRIBED."""

    def frames(*messages: Any) -> bytes:
        return b''.join(frame(TEXT, json.dumps(message).encode()) for message in messages)

    async def main() -> None:
        async with serving(Site().app) as server:
            client, *others = [await server.join() for _ in range(8)]
            for one in (client, *others):
                # Clients that wait for their answers make the turns short.
                await one.ask(34, 1, 7)
            writes.clear()
            for other in others:
                other.send_now(frames(*([34, number, 7] for number in range(2, 80))))
            client.send_now(frames([32, 2, {}, 't'], *([34, number, 7] for number in range(3, 10))))
            heard = [await client.hear() for _ in range(10)]
            assert [message[0] for message in heard] == [33, 36, 36] + [8] * 7
            (with_subscribed,) = [write for write in writes if heard[0] in write]
            assert with_subscribed == heard[:1]
            for one in (client, *others):
                one.reset()

    run(main())


def test_subscriptions_without_first_events_are_written_at_once(
    run: Any, writes: list[list[Any]]
) -> None:
    async def main() -> None:
        async with serving(Site().app) as server:
            client = await server.join()
            writes.clear()
            await client.say(
                [32, 1, {}, 'plain'], [32, 2, {'get_retained': True}, 'plain'], [34, 3, 7]
            )
            for _ in range(3):
                await client.hear()
            codes = [[message[0] for message in write] for write in writes]
            # Before Python 3.12 the work of each SUBSCRIBE begins in a turn of its own.
            assert codes == ([[33, 33, 8]] if sys.version_info >= (3, 12) else [[33], [33], [8]])
            await client.leave()

    run(main())


def test_subscribing_again_to_see_what_is_retained(run: Any, writes: list[list[Any]]) -> None:
    async def main() -> None:
        site = Site()
        await site.app.publish('plain', ('retained',), retain=True)
        async with serving(site.app) as server:
            client = await server.join()
            await client.ask(32, 1, {}, 'plain')
            writes.clear()
            await client.say([32, 2, {'get_retained': True}, 'plain'])
            heard = [await client.hear() for _ in range(2)]
            assert writes == [[heard[0]], [heard[1]]]
            assert payloads(heard[1:]) == ['retained']
            await client.leave()

    run(main())


# On connections that hand over messages, by the turns of the loop


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is sent, message by message, and 'turn' where the loop has come round behind SUBSCRIBED."""
    recorded: list[Any] = []

    def mark() -> None:
        recorded.append('turn')

    async def mark_later() -> None:
        mark()

    def watch(kind: Any) -> None:
        send_payload = kind.send_payload

        async def record_and_send(self: Any, payload: bytes) -> None:
            message = json.loads(payload)
            recorded.append(message)
            if message[0] == 33 and runs_on_trio():
                import trio

                trio.lowlevel.spawn_system_task(mark_later)
            elif message[0] == 33:
                asyncio.get_running_loop().call_soon(mark)
            await send_payload(self, payload)

        monkeypatch.setattr(kind, 'send_payload', record_and_send)

    for kind in (AiohttpWebSocketConnection, ASGIWebSocketConnection, WebsocketsConnection):
        watch(kind)
    return recorded


async def converse(ws: Any) -> None:
    async def hear() -> Any:
        return json.loads(await ws.recv())

    await ws.send(json.dumps(HELLO))
    assert (await hear())[0] == 2
    await ws.send(json.dumps(SUBSCRIBE))
    code, request, number = await hear()
    assert (code, request) == (33, 1)
    assert payloads([await hear() for _ in range(3)]) == ['retained', 'first', 'second']
    for message in (SUBSCRIBE, [34, 2, number], [6, {}, 'wamp.close.normal']):
        await ws.send(json.dumps(message))
    assert [(await hear())[0] for _ in range(4)] == [33, 36, 35, 6]


def check_record(recorded: list[Any]) -> None:
    kinds = [item if item == 'turn' else item[0] for item in recorded]
    # A server that waits for its own tasks sees the turn while it sends.
    assert kinds.index('turn') < kinds.index(36)
    assert [kind for kind in kinds if kind in (33, 36)] == [33, 36, 36, 36, 33, 36]


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('server', [name for name in SERVERS if name != 'native'])
def test_turns_on_asyncio(run: Any, record: list[Any], server: str) -> None:
    from websockets.asyncio.client import connect

    async def main() -> None:
        site = Site()
        await site.app.publish('t', ('retained',), retain=True)
        async with asyncio.timeout(60), SERVERS[server](site.app) as url:
            async with connect(f'ws://{url}/', subprotocols=[JSON]) as ws:
                await converse(ws)

    run(main())
    check_record(record)


@pytest.mark.parametrize('server', TRIO_SERVERS)
def test_turns_on_trio(record: list[Any], server: str) -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    from websockets.trio.client import connect

    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    async def main() -> None:
        site = Site(async_support=TrioAsyncSupport)
        await site.app.publish('t', ('retained',), retain=True)
        with trio.fail_after(60):
            async with TRIO_SERVERS[server](site.app) as url:
                async with connect(f'ws://{url}/', subprotocols=[JSON]) as ws:
                    await converse(ws)

    trio.run(main)
    check_record(record)


def test_turns_on_a_connection_of_its_own(run: Any) -> None:
    async def main() -> None:
        site = Site()
        site.in_between = site.publish
        client = Pair()
        client.serving = asyncio.create_task(site.app.handle_connection(client))
        await client.hello()
        await client.say([32, 1, {}, 't'])
        # The event is there a turn after SUBSCRIBED, and not before.
        assert (await client.hear())[0] == 33
        assert client.outgoing.empty()
        assert payloads([await client.hear() for _ in range(3)]) == ['first', 'second', 'between']
        await client.vanish()

    run(main())


# What ends the subscription in between


@pytest.mark.parametrize('own', [False, True])
def test_nothing_comes_behind_unsubscribed_and_goodbye(run: Any, own: bool) -> None:
    async def main() -> None:
        site = Site()
        site.in_between = site.publish
        requests = [[32, 1, {}, 't'], [34, 2, 1], [6, {}, 'wamp.close.normal']]
        if own:
            client: Any = Pair()
            client.serving = asyncio.create_task(site.app.handle_connection(client))
            await client.hello()
            await client.say(*requests)
            heard = [await client.hear() for _ in range(6)]
            await settle()
            assert client.outgoing.empty()
            await client.vanish()
        else:
            async with serving(site.app) as server:
                client = await server.join()
                await client.say(*requests)
                heard = [await client.hear() for _ in range(6)]
                client.reset()
        assert [message[0] for message in heard] == [33, 36, 36, 36, 35, 6]
        assert site.ended == ['t']

    run(main())


@pytest.mark.parametrize('ends', ['goodbye', 'loss'])
@pytest.mark.parametrize('own', [False, True])
def test_a_session_that_ends_in_between_leaves_nothing(
    run: Any, own: bool, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        site = Site()

        async def lose(session: Any) -> None:
            await client.close() if own else client.reset()

        site.in_between = site.close if ends == 'goodbye' else lose
        if own:
            client: Any = Pair()
            client.serving = asyncio.create_task(site.app.handle_connection(client))
            await client.hello()
            await client.say([32, 1, {}, 't'])
            assert (await client.hear())[0] == 33
            if ends == 'goodbye':
                assert (await client.hear())[0] == 6
                await client.say([6, {}, 'wamp.close.goodbye_and_out'])
            await client.vanish()
            assert client.outgoing.get_nowait() is None
        else:
            async with serving(site.app) as server:
                client = await server.join()
                await client.say([32, 1, {}, 't'])
                if ends == 'goodbye':
                    assert (await client.hear())[0] == 33
                    assert (await client.hear())[0] == 6
                    await client.say([6, {}, 'wamp.close.goodbye_and_out'])
                while site.app._active_sessions:
                    await asyncio.sleep(0.001)
        assert site.ended == ['t']
        assert not site.app._active_sessions and len(site.app._default_realm.topics) == 0

    run(main())
    assert warnings_in(caplog) == []
