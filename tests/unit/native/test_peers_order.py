"""The order of messages on the native transport: what waits for what, for how long, and what a loss leaves undone."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest
from support.client_frames import CLOSE, PING, PONG, close_payload, frame
from support.echo_servers import JSON, JSON_BATCHED, MSGPACK_BATCHED, SUBPROTOCOLS
from support.explained import Explained
from support.raw_client import CLIENT_GOODBYE, HELLO, RawClient, make_app, serving, warnings_in

import serverwamp_fast as wamp
from serverwamp_fast.connection import ConnectionClosed


class Stage:
    """An application whose subscription handler for `slow` waits for `go`, and what it has seen happen."""

    def __init__(self, **options: Any) -> None:
        self.app = make_app(**options)
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.events: list[Any] = []
        routes = wamp.RPCRouteSet()
        topics = wamp.TopicRouteSet()

        @routes.route('note')
        async def note(*args: Any) -> Any:
            self.events.append(('call', *args))
            return args

        @topics.topic('slow')
        async def slow(session: Any) -> Any:
            self.events.append('subscribing')
            self.started.set()
            await session.send_event('slow', ['held'])
            await self.go.wait()
            yield
            self.events.append('unsubscribed')

        @topics.topic('quick')
        async def quick() -> Any:
            self.events.append('quick')
            yield
            self.events.append('quick end')

        async def lifespan() -> Any:
            yield
            self.events.append('session end')

        self.app.add_rpc_routes(routes)
        self.app.add_topic_routes(topics)
        self.app.add_session_lifespan_handler(lifespan)


# Order


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_messages_wait_for_a_subscription(run, subprotocol: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.app) as server:
            client = await server.join(subprotocol)
            await client.say(
                [48, 1, {}, 'note', ['before']],
                [32, 2, {}, 'slow'],
                [48, 3, {}, 'note', ['behind']],
                [32, 4, {}, 'quick'],
                [48, 5, {}, 'nothing'],
                [48, 6, {}, 'note', ['last']],
            )
            await stage.started.wait()
            # Control frames don't wait.
            assert await client.hear() == [50, 1, {}, ['before']]
            await client.send(frame(PING, b'?'))
            assert await client.read_frame() == (PONG, b'?')
            assert stage.events == [('call', 'before'), 'subscribing']

            stage.go.set()
            code, request, subscription = await client.hear()
            assert (code, request) == (33, 2)
            # Events of the subscription's beginning come when it has been confirmed.
            event = await client.hear()
            assert event[:2] == [36, subscription]
            assert event[4] == ['held']
            assert await client.hear() == [50, 3, {}, ['behind']]
            assert (await client.hear())[:2] == [33, 4]
            assert (await client.hear())[:3] == [8, 48, 5]
            assert await client.hear() == [50, 6, {}, ['last']]
            await client.leave()

    run(main())


def test_an_unsubscription_is_waited_for(run) -> None:
    async def main() -> None:
        app = make_app()
        topics = wamp.TopicRouteSet()
        ending, go = asyncio.Event(), asyncio.Event()

        @topics.topic('t')
        async def subscribed() -> Any:
            yield
            ending.set()
            await go.wait()

        app.add_topic_routes(topics)
        async with serving(app) as server:
            client = await server.join()
            subscription = (await client.ask(32, 1, {}, 't'))[2]
            await client.say([34, 2, subscription], [48, 3, {}, 'echo'], [34, 4, subscription])
            await ending.wait()
            go.set()
            assert await client.hear() == [35, 2]
            assert await client.hear() == [50, 3, {}]
            assert (await client.hear())[:3] == [8, 34, 4]

    run(main())


def test_calls_do_not_wait_for_each_other(run) -> None:
    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        go = asyncio.Event()

        @routes.route('wait')
        async def wait() -> str:
            await go.wait()
            return 'waited'

        @routes.route('release')
        async def release() -> None:
            go.set()

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            await client.say([48, 1, {}, 'wait'], [48, 2, {}, 'echo'], [48, 3, {}, 'release'])
            assert await client.hear() == [50, 2, {}]
            assert await client.hear() == [50, 3, {}]
            assert await client.hear() == [50, 1, {}, ['waited']]

    run(main())


def test_synchronized_requests_do_wait_for_each_other(run) -> None:
    async def main() -> None:
        app = make_app(synchronize_requests=True)
        routes = wamp.RPCRouteSet()
        order = []

        @routes.route('work')
        async def work(number: int) -> int:
            order.append(number)
            for _ in range(number % 3):
                await asyncio.sleep(0)
            order.append(-number)
            return number

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            await client.say(*([48, number, {}, 'work', [number]] for number in range(1, 301)))
            for number in range(1, 301):
                assert await client.hear() == [50, number, {}, [number]]
        assert order == [sign * number for number in range(1, 301) for sign in (1, -1)]

    run(main())


def test_messages_wait_for_an_authenticator(run) -> None:
    async def main() -> None:
        app = make_app()
        started, go = asyncio.Event(), asyncio.Event()

        async def authenticate(session: Any) -> None:
            started.set()
            await go.wait()
            await session.mark_authenticated('me')

        app.set_authentication_handler(authenticate)
        async with serving(app) as server:
            client = await server.connect()
            await client.say(HELLO, [48, 1, {}, 'echo', [1]], [32, 2, {}, 'a.b'], CLIENT_GOODBYE, HELLO)
            await started.wait()
            await client.send(frame(PING))
            assert await client.read_frame() == (PONG, b'')
            go.set()
            assert (await client.hear())[0] == 2
            assert await client.hear() == [50, 1, {}, [1]]
            assert (await client.hear())[:3] == [8, 32, 2]
            assert (await client.hear())[0] == 6
            assert (await client.hear())[0] == 2

    run(main())


def test_context_variables_of_an_authenticator_reach_the_handlers(run) -> None:
    user = contextvars.ContextVar('user', default='nobody')

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        async def authenticate(session: Any) -> None:
            user.set(session.auth_id)
            await session.mark_authenticated(session.auth_id)

        @routes.route('who')
        async def who() -> str:
            name = user.get()
            # What a call sets is its own.
            user.set('changed')
            return name

        app.set_authentication_handler(authenticate)
        app.add_rpc_routes(routes)
        async with serving(app) as server:
            for name in 'ann', 'bob':
                client = await server.connect()
                await client.say([1, 'realm1', {'roles': {}, 'authid': name}])
                assert (await client.hear())[0] == 2
                for number in range(1, 4):
                    assert await client.call(number, 'who') == [name]
        assert user.get() == 'nobody'

    run(main())


# Limits


@pytest.mark.parametrize('subprotocol', [JSON, JSON_BATCHED, MSGPACK_BATCHED])
def test_a_client_is_not_read_while_much_of_it_is_held(run, subprotocol: str) -> None:
    """However it is sent, all of it is handled in the end, in order."""
    count = 2000

    async def main() -> None:
        stage = Stage()
        async with serving(stage.app) as server:
            other = await server.join()
            client = await server.join(subprotocol)
            (connection,) = (
                one for one in server.connections if one.current_session.id == client.session_id
            )
            await client.say([32, 1, {}, 'slow'])
            await stage.started.wait()
            padding = 'x' * 1000
            sending = asyncio.create_task(
                client.say(*([48, n, {}, 'note', [n, padding]] for n in range(2, count)))
                if subprotocol == JSON
                # Payloads have to stay below the limit.
                else say_in_batches(client, padding, count)
            )
            while connection.transport.is_reading():
                await other.call(1, 'echo')
            stage.go.set()
            assert (await client.hear())[0] == 33
            assert (await client.hear())[0] == 36
            for number in range(2, count):
                assert await client.hear() == [50, number, {}, [number, padding]]
            await sending
            assert connection.transport.is_reading()
            assert stage.events == ['subscribing', *(('call', n, padding) for n in range(2, count))]

    async def say_in_batches(client: RawClient, padding: str, end: int) -> None:
        for start in range(2, end, 300):
            stop = min(start + 300, end)
            await client.say(*([48, n, {}, 'note', [n, padding]] for n in range(start, stop)))

    run(main())


def test_held_messages_are_handled_in_turns(run) -> None:
    """When a long wait ends, another client is served in between."""
    count = 5000

    async def main() -> None:
        stage = Stage()
        async with serving(stage.app) as server:
            other = await server.join()
            client = await server.join(JSON_BATCHED)
            await client.say(
                [32, 1, {}, 'slow'], *([48, n, {}, 'note', [n]] for n in range(2, count))
            )
            await stage.started.wait()
            stage.go.set()
            other.send_now(other.pack([48, 1, {}, 'note', ['other']]))
            assert await other.hear() == [50, 1, {}, ['other']]
            assert len(stage.events) < count / 2
            while (await client.hear())[:2] != [50, count - 1]:
                pass
        calls = [event for event in stage.events if event[0] == 'call']
        assert [call for call in calls if call[1] != 'other'] == [('call', n) for n in range(2, count)]

    run(main())


# Losses


Loss = Callable[[RawClient], None]
LOSSES = [RawClient.reset, RawClient.close, RawClient.end_output]


@pytest.mark.parametrize('loss', LOSSES)
def test_held_messages_are_handled_after_a_loss(run, caplog, loss: Loss) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.app) as server:
            client = await server.join()
            (connection,) = server.connections
            await client.say(
                [32, 1, {}, 'slow'],
                [48, 2, {}, 'note', ['held']],
                # These would be answered with an ERROR.
                [64, 3, {}, 'a.b'],
                [48, 4, {}, 'not a uri'],
                [48, 5, {}, 'nothing'],
                [32, 6, {}, 'quick'],
                [34, 7, 999],
                [48, 8, {}, 'note', ['last']],
            )
            await stage.started.wait()
            loss(client)
            while not connection.is_closed:
                await asyncio.sleep(0.001)
            stage.go.set()
            await server.all_gone()
        assert stage.events == [
            'subscribing',
            ('call', 'held'),
            'quick',
            ('call', 'last'),
            'unsubscribed',
            'quick end',
            'session end',
        ]

    run(main())
    assert not warnings_in(caplog)


def test_many_held_messages_after_a_loss_are_handled_in_turns(run) -> None:
    count = 5000

    async def main() -> None:
        stage = Stage()
        async with serving(stage.app) as server:
            other = await server.join()
            client = await server.join(JSON_BATCHED)
            (connection,) = (
                one for one in server.connections if one.current_session.id == client.session_id
            )
            await client.say([32, 1, {}, 'slow'], *([48, n, {}, 'note', [n]] for n in range(2, count)))
            await stage.started.wait()
            # Nothing is read any more: that the client is gone is found out by sending to it.
            client.reset()
            with pytest.raises(ConnectionClosed):
                while True:
                    await connection.send_msg((36, 1, 1, {}))
                    await asyncio.sleep(0.001)
            stage.go.set()
            assert await other.call(1, 'note', 'other') == ['other']
            assert len(stage.events) < count / 2
            await other.leave()
            await server.all_gone()
        calls = [event[1] for event in stage.events if event[0] == 'call' and event[1] != 'other']
        assert calls == list(range(2, count))

    run(main())


@pytest.mark.parametrize('held', ['malformed', 'hello', 'goodbye and hello', 'abort', 'close'])
def test_what_cannot_be_done_after_a_loss_is_left(run, caplog, held: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.app) as server:
            client = await server.join()
            (connection,) = server.connections
            behind = {
                'malformed': client.pack([999]),
                'hello': client.pack(HELLO),
                'goodbye and hello': client.pack(CLIENT_GOODBYE, HELLO),
                'abort': client.pack([3, {}, 'wamp.error.canceled']),
                'close': frame(CLOSE, close_payload(1000)),
            }[held]
            await client.send(
                client.pack([32, 1, {}, 'slow'], [48, 2, {}, 'note', ['held']])
                + behind
                + client.pack([48, 3, {}, 'note', ['behind']])
            )
            await stage.started.wait()
            client.reset()
            while not connection.is_closed:
                await asyncio.sleep(0.001)
            stage.go.set()
            await server.all_gone()
        assert stage.events == ['subscribing', ('call', 'held'), 'unsubscribed', 'session end']

    run(main())
    assert not warnings_in(caplog)


def test_close_waits_for_what_came_before(run) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.app) as server:
            client = await server.join()
            await client.send(
                client.pack([32, 1, {}, 'slow'], [32, 2, {}, 'quick'], [34, 3, 999])
                + frame(CLOSE, close_payload(1001))
            )
            await stage.started.wait()
            stage.go.set()
            assert (await client.hear())[:2] == [33, 1]
            assert (await client.hear())[0] == 36
            assert (await client.hear())[:2] == [33, 2]
            assert (await client.hear())[:3] == [8, 34, 3]
            await client.expect_close(1001)
            await client.expect_end()

    run(main())


def test_calls_outlive_the_client(run) -> None:
    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        started, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @routes.route('work')
        async def work(session: Any) -> str:
            started.set()
            await go.wait()
            assert not session.is_open
            done.set()
            return 'for nobody'

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            await client.say([48, 1, {}, 'work'])
            await started.wait()
            client.reset()
            while server.connections:
                await asyncio.sleep(0.001)
            assert server.tasks
            go.set()
            await done.wait()

    run(main())


def test_a_client_that_leaves_an_authenticator_waiting(run, caplog) -> None:
    async def main() -> None:
        app = make_app()
        started = asyncio.Event()
        events = []

        async def authenticate(session: Any) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                # Nobody is left to be let in.
                with pytest.raises(ConnectionClosed):
                    await session.mark_authenticated('me')
                events.append('refused')
                raise

        async def lifespan() -> Any:
            events.append('start')
            yield
            events.append('end')

        app.set_authentication_handler(authenticate)
        app.add_session_lifespan_handler(lifespan, authenticated_only=False)
        async with serving(app) as server:
            client = await server.connect()
            await client.say(HELLO, [48, 1, {}, 'echo'])
            await started.wait()
            (connection,) = server.connections
            client.reset()
            while not connection.is_closed:
                await asyncio.sleep(0.001)
            await server.all_gone()
        assert events == ['start', 'refused', 'end']

    run(main())
    assert not warnings_in(caplog)


def test_a_client_that_leaves_a_subscription_handler_sending(run, caplog) -> None:
    """That is no error of the handler's. One whose client is there is answered, whoever it was that left."""

    async def main() -> None:
        app = make_app()
        topics = wamp.TopicRouteSet()
        started, go = asyncio.Event(), asyncio.Event()

        @topics.topic('t')
        async def subscribed(session: Any) -> Any:
            started.set()
            await go.wait()
            await session.send_raw([36, 1, 1, {}])
            yield

        @topics.topic('other')
        async def other_left() -> Any:
            raise ConnectionClosed('of another client')
            yield

        app.add_topic_routes(topics)
        async with serving(app) as server:
            client = await server.join()
            answer = await client.ask(32, 1, {}, 'other')
            assert answer == Explained(32, 1, 'wamp.error.runtime_error')
            await client.say([32, 2, {}, 't'])
            await started.wait()
            (connection,) = server.connections
            client.reset()
            while not connection.is_closed:
                await asyncio.sleep(0.001)
            go.set()
            await server.all_gone()

    run(main())
    assert not warnings_in(caplog)
