"""publishing: in which order events come, and receivers and publishers that are slow, cancelled or gone."""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.doubles import RecordingConnection, RecordingTasks, open_session
from support.publishing_clients import ACKNOWLEDGE, is_quiet, leave, plain, play_with, subscribe
from support.session_clients import Pair

import serverwamp_fast as wamp
from serverwamp_fast.connection import ConnectionClosed


@pytest.fixture(params=['native', 'own'])
def play(run: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """See play_with(); on the native server, and on connections of an application's own."""
    return functools.partial(play_with, run, request.param)



def test_events_are_held_until_subscribed_is_out(play: Any) -> None:
    app = wamp.Application()
    topics = wamp.TopicRouteSet()

    @topics.route('a')
    async def handler(session: Any) -> AsyncIterator[None]:
        await app.publish('a', (1,))
        await session.send_event('a', (2,))
        await app.publish('a', (3,))
        yield

    app.add_topic_routes(topics)

    async def test(app: Any, client: Any) -> None:
        await app.publish('a', (0,), retain=True)
        await client.say([32, 1, {'get_retained': True}, 'a'])
        assert (await client.hear())[:2] == [33, 1]
        assert [(await client.hear())[4][0] for _ in range(4)] == [0, 1, 2, 3]

    play(test, members=1, app=app)


def test_nothing_is_sent_after_unsubscribing_or_goodbye(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        number = await subscribe(first, 'a')
        await subscribe(second, 'a')
        await first.say([34, 1, number], [16, 1, {'exclude_me': False}, 'a'])
        assert await first.hear() == [35, 1]
        assert (await second.hear())[0] == 36
        await is_quiet(first)
        session = next(one for one in app._active_sessions if one.id == second.session_id)
        await session.close()
        await app.publish('a')
        assert (await second.hear())[0] == 6

    play(test)


def test_a_receiver_that_is_gone_holds_nobody_up(play: Any) -> None:
    async def test(app: Any, *members: Any) -> None:
        for member in members:
            await subscribe(member, 'a')
        await leave(members[1])
        await app.publish('a', (1,))
        for member in members[::2]:
            assert plain(await member.hear())[4] == [1]

    play(test, members=3)


def test_a_slow_connection_keeps_its_order_and_holds_nobody_up(run: Any) -> None:
    """A connection of one's own whose send_msg() waits."""
    app = wamp.Application()
    app.allow_subscribe('a')
    gate = asyncio.Event()

    class Slow(Pair):
        async def send_msg(self, msg: Any) -> None:
            if msg[0] == 36:
                await gate.wait()
            await super().send_msg(msg)

    async def main() -> None:
        slow, fast = Slow(), Pair()
        for pair in (slow, fast):
            pair.serving = asyncio.create_task(app.handle_connection(pair))
            await pair.hello()
            await subscribe(pair, 'a')
        session = next(one for one in app._active_sessions if one.id == slow.session_id)
        for number in range(5):
            await app.publish('a', (number,))
        await session.send_event('a', (5,))
        assert [(await fast.hear())[4][0] for _ in range(5)] == list(range(5))
        assert slow.outgoing.empty()
        gate.set()
        assert [(await slow.hear())[4][0] for _ in range(6)] == list(range(6))
        gate.clear()
        # What waits for a client that unsubscribes is dropped.
        for number in range(3):
            await app.publish('a', (number,))
        await slow.say([34, 1, session.own_subscription_id('a')])
        assert await slow.hear() == [35, 1]
        gate.set()
        assert (await slow.hear())[4] == (0,)
        for pair in (slow, fast):
            await pair.vanish()
        assert slow.outgoing.get_nowait() is None
        assert len(app._default_realm.topics) == 0

    run(main())


def test_sessions_that_send_in_their_own_way(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What a subclass of WAMPSession does in send_raw() is done for published events too."""
    realm = wamp.Realm()

    class Counting(wamp.session.WAMPSession):
        sent = 0

        async def send_raw(self, msg: Any) -> None:
            self.sent += 1
            await super().send_raw(msg)

    async def main() -> None:
        from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport

        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            session = Counting(RecordingConnection(), realm, tasks)
            session.mark_open()
            number = session.subscribe('a')
            session.take_held_events(number)
            await realm.publish('a', (1,))
            while not session.sent:
                await asyncio.sleep(0)
            assert session.connection.sent[0][4] == (1,)
            # Without a group of tasks there is nobody to send: the session has ended.
            session.tasks = None
            await realm.publish('a', (2,))
            assert session.sent == 1
            session.release_subscriptions()
        assert len(realm.topics) == 0

    with caplog.at_level(logging.DEBUG):
        run(main())
    assert 'gets no more events' in caplog.text


def subscribed_session(realm: Any, tasks: Any, topic: str = 'a') -> Any:
    session = open_session(realm=realm)
    session.tasks = tasks
    session.take_held_events(session.subscribe(topic))
    return session


# ---- Publishers that are slow or gone ------------------------------------------------------------


class Unheard(Pair):
    """The connection of a publisher that PUBLISHED doesn't get to."""

    def __init__(self, is_gone: bool) -> None:
        super().__init__()
        self.is_gone = is_gone

    async def send_msg(self, msg: Any) -> None:
        if msg[0] == 17:
            if self.is_gone:
                raise ConnectionClosed
            await asyncio.Event().wait()
        await super().send_msg(msg)


def open_all() -> Any:
    app = wamp.Application()
    app.allow_publish('', 'prefix')
    app.allow_subscribe('', 'prefix')
    return app


def play_with_publisher(run: Any, app: Any, publisher: Any) -> None:
    """Whatever becomes of PUBLISHED, the receiver gets the event, and what is sent to it later."""

    async def main() -> None:
        receiver = Pair()
        for pair in (publisher, receiver):
            pair.serving = asyncio.create_task(app.handle_connection(pair))
            await pair.hello()
        await subscribe(receiver, 'a')
        session = next(one for one in app._active_sessions if one.id == receiver.session_id)
        await publisher.say([16, 1, ACKNOWLEDGE, 'a', [1]])
        assert (await receiver.hear())[4] == [1]
        await session.send_event('a', (2,))
        assert (await receiver.hear())[4] == (2,)
        publisher.serving.cancel()
        await asyncio.wait([publisher.serving])
        await receiver.vanish()
        assert not app._active_sessions

    run(main())


@pytest.mark.parametrize('is_gone', [False, True])
def test_receivers_do_not_depend_on_the_publishers_connection(run: Any, is_gone: bool) -> None:
    play_with_publisher(run, open_all(), Unheard(is_gone))


def test_receivers_do_not_depend_on_the_publishers_session(run: Any) -> None:
    app = wamp.Application()
    app.allow_subscribe('a')

    async def part(session: Any) -> bool:
        await session.close()
        return True

    app.allow_publish('a', rule=part)
    play_with_publisher(run, app, Pair())


class CancelledTasks(RecordingTasks):
    """Starts its first task so slowly that who asks for it is cancelled meanwhile."""

    is_slow = True

    async def spawn(self, callback: Any, *callback_args: Any, **callback_kwargs: Any) -> None:
        if self.is_slow:
            self.is_slow = False
            raise asyncio.CancelledError
        await super().spawn(callback, *callback_args, **callback_kwargs)


class ClosedTasks(RecordingTasks):
    """Takes tasks on and lets none of them begin, as groups do that are being cancelled."""

    async def spawn(self, callback: Any, *callback_args: Any, **callback_kwargs: Any) -> None:
        callback(*callback_args, **callback_kwargs).close()


class PlainTasks:
    """What serverwamp has of a group."""

    def __init__(self, tasks: Any) -> None:
        self.spawn = tasks.spawn


@pytest.mark.parametrize('kind', [lambda tasks: tasks, PlainTasks], ids=['own', 'plain'])
def test_a_publisher_that_is_cancelled_leaves_no_session_without_events(run: Any, kind: Any) -> None:
    realm = wamp.Realm()
    slow, fast = CancelledTasks(), RecordingTasks()

    async def main() -> None:
        sessions = [subscribed_session(realm, kind(tasks)) for tasks in (slow, fast)]
        with pytest.raises(asyncio.CancelledError):
            await realm.publish('a', (1,))
        # The others have theirs all the same.
        assert len(fast.spawned) == 1
        assert slow.spawned == []
        # What was published before goes first.
        await sessions[0].send_event('a', (2,))
        for coroutine in [*slow.spawned, *fast.spawned]:
            await coroutine
        sent = [[event[4] for event in session.connection.sent] for session in sessions]
        assert sent == [[(1,), (2,)], [(1,)]]

    run(main())


def test_a_task_that_never_begins_leaves_no_session_without_events(run: Any) -> None:
    realm = wamp.Realm()

    async def main() -> None:
        session = subscribed_session(realm, ClosedTasks())
        await realm.publish('a', (1,))
        await session.send_event('a', (2,))
        session.tasks = tasks = RecordingTasks()
        await realm.publish('a', (3,))
        for coroutine in tasks.spawned:
            await coroutine
        assert [event[4] for event in session.connection.sent] == [(2,), (3,)]

    run(main())
