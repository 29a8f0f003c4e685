"""_core.session.sessions: how messages leave a session through a native connection, which takes payloads."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from conftest import LoopRunner
from support.doubles import NativeClient, hear_goodbye, open_session

from serverwamp_fast.errors import ConnectionClosed, SerializationError

GLOBAL = 'an id of the global scope'
EVENTS = [
    ((), {}, []),
    (((1, 2),), {}, [[1, 2]]),
    (([],), {'kwargs': {}}, []),
    ((None,), {'kwargs': None}, []),
    (((1,),), {'kwargs': {'a': 2}}, [[1], {'a': 2}]),
    ((), {'kwargs': {'a': 2}}, [[], {'a': 2}]),
    ((None, {'a': 2}), {}, [[], {'a': 2}]),
]


def masked(messages: list[Any]) -> list[Any]:
    """Messages with a word in place of the random publication ids."""
    for message in messages:
        if message[0] == 36:
            assert 1 <= message[2] <= 2**53
            message[2] = GLOBAL
    return messages


def with_native_client(
    run: LoopRunner, check: Callable[[NativeClient], Any], subprotocol: str = 'wamp.2.json'
) -> None:
    async def main() -> None:
        await check(NativeClient(open_session, subprotocol))

    run(main())


def test_native_send_raw(run: LoopRunner) -> None:
    async def check(client: NativeClient) -> None:
        await client.session.send_raw((2, 1, {'ü': b'\x01'}))
        await client.session.send_raw([50, 1, {}])
        assert await client.receive() == [[2, 1, {'ü': '\0AQ=='}], [50, 1, {}]]

    with_native_client(run, check)


def test_native_sessions_are_never_congested(run: LoopRunner) -> None:
    """Their connections keep account themselves."""

    async def check(client: NativeClient) -> None:
        called = asyncio.Event()
        client.session.call_on_relief(called.set)
        assert called.is_set()
        assert not client.session.is_congested

    with_native_client(run, check)


@pytest.mark.parametrize(('args', 'kwargs', 'payload'), EVENTS)
def test_native_send_event(run: LoopRunner, args: tuple, kwargs: dict, payload: list) -> None:
    async def check(client: NativeClient) -> None:
        session = client.session
        number = session.subscribe('topic')
        await session.send_event('topic', *args, **kwargs)
        assert await client.receive() == []
        for event in session.take_held_events(number):
            await session.send_raw(event)
        session.take_held_events(number)
        await session.send_event('topic', *args, **kwargs, trust_level=2)
        first, second = masked(await client.receive())
        assert first == [36, number, GLOBAL, {}, *payload]
        assert second == [36, number, GLOBAL, {'trustlevel': 2}, *payload]

    with_native_client(run, check)


def test_native_errors(run: LoopRunner) -> None:
    async def check(client: NativeClient) -> None:
        session = client.session
        session.take_held_events(session.subscribe('topic'))
        for sending in (
            session.send_raw((50, 1, {}, [object()])),
            session.send_event('topic', (object(),)),
        ):
            with pytest.raises(SerializationError):
                await sending
        assert await client.receive() == []
        client.leave()
        assert client.ended == [session]
        for sending in session.send_raw((50, 1, {})), session.send_event('topic'):
            with pytest.raises(ConnectionClosed):
                await sending

    with_native_client(run, check)


@pytest.mark.parametrize('what', ['send_raw', 'send_event'])
def test_native_sending_waits_for_a_client_that_does_not_read(run: LoopRunner, what: str) -> None:
    async def check(client: NativeClient) -> None:
        session = client.session
        session.take_held_events(session.subscribe('topic'))
        client.peer.pause_writing()
        argument = ((50, 1, {}),) if what == 'send_raw' else ('topic',)
        tasks = [
            run.loop.create_task(getattr(session, what)(*argument)) for _ in range(2)
        ]
        assert len(await client.receive()) == 2
        assert not any(task.done() for task in tasks)
        client.peer.resume_writing()
        await asyncio.gather(*tasks)

        client.peer.pause_writing()
        task = run.loop.create_task(getattr(session, what)(*argument))
        await asyncio.sleep(0)
        client.leave()
        with pytest.raises(ConnectionClosed):
            await task

    with_native_client(run, check)


@pytest.mark.parametrize('has_peer_left', [False, True])
def test_native_grace_for_the_answer_to_goodbye(run: LoopRunner, has_peer_left: bool) -> None:
    async def check(client: NativeClient) -> None:
        session = client.session
        if has_peer_left:
            hear_goodbye(session)
        session.mark_closing()
        # The connection itself keeps the time.
        assert (session.close_timer is not None) is not has_peer_left
        client.leave()

    with_native_client(run, check)
