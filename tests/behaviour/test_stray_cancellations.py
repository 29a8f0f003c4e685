"""Handlers that raise the cancellation of another task, as `task.cancel(); await task` does: an error like any other.

The same on the native server and on a connection of the user's own, which hands over messages one by one.
"""

import asyncio
from typing import Any

import pytest
from support.explained import Explained
from support.raw_client import CLIENT_GOODBYE, HELLO, make_app
from support.session_clients import Clients, Pair

import serverwamp_fast as wamp
from serverwamp_fast.protocol import WAMPSubscribeRequest


@pytest.fixture(params=['native', 'own connection'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


async def await_a_cancelled_task() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


def errors_in(caplog: Any) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == 'ERROR']


def add_topics(app: Any, journal: list[str]) -> None:
    topics = wamp.TopicRouteSet()

    @topics.topic('never')
    async def never() -> Any:
        await await_a_cancelled_task()
        yield

    @topics.topic('begins')
    async def begins() -> Any:
        yield
        journal.append('begins left')
        await await_a_cancelled_task()

    @topics.topic('twice')
    async def twice() -> Any:
        yield
        try:
            yield
        finally:
            await await_a_cancelled_task()

    @topics.topic('sound')
    async def sound() -> Any:
        yield
        journal.append('sound left')

    app.add_topic_routes(topics)


def test_from_a_subscription_handler(run, clients: Clients, caplog) -> None:
    async def main() -> None:
        app = make_app()
        add_topics(app, [])
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert await client.ask(32, 1, {}, 'never') == Explained(32, 1, 'wamp.error.runtime_error')
            (session,) = app._active_sessions
            assert not session.has_subscriptions
            assert await client.call(2, 'echo', 'x') == ['x']

    run(main())
    (error,) = errors_in(caplog)
    assert 'never' in error


@pytest.mark.parametrize('topic', ['begins', 'twice'])
def test_from_the_rest_of_a_subscription_handler(
    run, clients: Clients, caplog, topic: str
) -> None:
    async def main() -> None:
        app = make_app()
        add_topics(app, [])
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            _, _, number = await client.ask(32, 1, {}, topic)
            assert await client.ask(34, 2, number) == [35, 2]
            assert app._default_realm.topics.peek(topic) is None
            assert await client.call(3, 'echo', 'x') == ['x']

    run(main())
    assert len(errors_in(caplog)) == (1 if topic == 'begins' else 2)


@pytest.mark.parametrize('by_goodbye', [False, True])
def test_from_teardowns(run, clients: Clients, caplog, by_goodbye: bool) -> None:
    """Each of the others is run all the same, and no subscription stays."""
    journal: list[str] = []

    async def breaks() -> Any:
        yield
        await await_a_cancelled_task()

    async def keeps() -> Any:
        yield
        journal.append('lifespan ended')

    async def main() -> None:
        app = make_app()
        add_topics(app, journal)
        app.add_session_lifespan_handler(keeps)
        app.add_session_lifespan_handler(breaks)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert (await client.ask(32, 1, {}, 'begins'))[0] == 33
            assert (await client.ask(32, 2, {}, 'sound'))[0] == 33
            if by_goodbye:
                assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
                await client.hello()
            await client.vanish()
        for topic in 'begins', 'sound':
            assert app._default_realm.topics.peek(topic) is None

    run(main())
    assert journal == ['begins left', 'sound left'] + ['lifespan ended'] * (1 + by_goodbye)
    # A lifespan handler for each session, and the subscription's.
    assert len(errors_in(caplog)) == 2 + by_goodbye


def test_from_an_authenticator(run, clients: Clients, caplog) -> None:
    async def main() -> None:
        app = make_app()

        async def authenticate(session: Any) -> None:
            await await_a_cancelled_task()

        app.set_authentication_handler(authenticate)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO)
            await client.expect_abort('wamp.error.authentication_failed')

    run(main())
    assert len(errors_in(caplog)) == 1


@pytest.mark.parametrize('authenticated_only', [False, True])
def test_from_a_lifespan_handler(
    run, clients: Clients, caplog, authenticated_only: bool
) -> None:
    async def lifespan() -> Any:
        await await_a_cancelled_task()
        yield

    async def main() -> None:
        app = make_app()
        app.add_session_lifespan_handler(lifespan, authenticated_only)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO)
            if authenticated_only:
                assert (await client.hear())[0] == 2
                assert await client.hear() == [6, {}, 'wamp.error.runtime_error']
            else:
                await client.expect_abort('wamp.error.runtime_error')

    run(main())
    assert len(errors_in(caplog)) == 1


def raise_a_cancellation() -> None:
    """As a plain function may, that asks for the result of a task that was cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    future.result()


@pytest.mark.parametrize('rule', [await_a_cancelled_task, raise_a_cancellation])
def test_from_a_rule(run, clients: Clients, caplog, rule: Any) -> None:
    async def main() -> None:
        app = make_app()
        app.allow_publish('t', rule=rule)
        app.allow_subscribe('t', rule=rule)
        failed = 'wamp.error.authorization_failed'
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert await client.ask(16, 1, {'acknowledge': True}, 't') == Explained(16, 1, failed)
            assert await client.ask(32, 2, {}, 't') == Explained(32, 2, failed)
            (session,) = app._active_sessions
            assert not session.has_subscriptions
            assert await client.call(3, 'echo', 'x') == ['x']

    run(main())
    assert len(errors_in(caplog)) == 2


@pytest.mark.parametrize('purpose', ['publish', 'subscribe'])
def test_a_rule_whose_own_task_is_cancelled(run, purpose: str) -> None:
    """It is the end of who asks, and no error of the rule's."""

    async def main() -> None:
        app = make_app()
        getattr(app, f'allow_{purpose}')('t', rule=lambda: asyncio.sleep(60))
        pair = Pair()
        pair.serving = asyncio.create_task(app.handle_connection(pair))
        await pair.hello()
        await pair.say([16 if purpose == 'publish' else 32, 1, {'acknowledge': True}, 't'])
        for _ in range(5):
            await asyncio.sleep(0)
        pair.serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pair.serving
        assert pair.outgoing.empty()
        assert len(app._default_realm.topics) == 0

    run(main())


def test_from_a_connection_that_takes_events(run, caplog) -> None:
    class Stumbling(Pair):
        async def send_msg(self, msg: Any) -> None:
            if msg[0] == 36 and msg[4] == ('lost',):
                await await_a_cancelled_task()
            await super().send_msg(msg)

    async def main() -> None:
        app = make_app()
        app.allow_subscribe('t')
        pair = Stumbling()
        pair.serving = asyncio.create_task(app.handle_connection(pair))
        await pair.hello()
        assert (await pair.ask(32, 1, {}, 't'))[0] == 33
        await app.publish('t', ('lost',))
        while not errors_in(caplog):
            await asyncio.sleep(0)
        await app.publish('t', ('found',))
        assert (await pair.hear())[4] == ('found',)
        await pair.vanish()

    run(main())


def test_from_a_request_handler_of_the_users_own(run, clients: Clients, caplog) -> None:
    async def subscribe(request: Any, session: Any) -> None:
        await await_a_cancelled_task()

    async def main() -> None:
        app = make_app(protocol_request_handlers={WAMPSubscribeRequest: subscribe})
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            await client.say([32, 1, {}, 't'])
            assert await client.call(2, 'echo', 'x') == ['x']

    run(main())
    assert len(errors_in(caplog)) == 1


def test_a_subscription_whose_own_task_is_cancelled_leaves_nothing(run) -> None:
    """On the native server, where nobody else waits for it."""

    async def main() -> None:
        app = make_app()
        topics = wamp.TopicRouteSet()

        @topics.topic('t')
        async def give_up() -> Any:
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
            yield

        app.add_topic_routes(topics)
        async with Clients('native').of(app) as connect:
            client = await connect()
            await client.hello()
            await client.say([32, 1, {}, 't'])
            assert await client.call(2, 'echo', 'x') == ['x']
            assert app._default_realm.topics.peek('t') is None

    run(main())
