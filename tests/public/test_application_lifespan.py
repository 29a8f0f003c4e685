"""The life of an application's sessions: who is let in, what runs at the beginning, and what at the end.

The same on the native server and on a connection of the user's own, which hands over messages one by one.
"""

import asyncio
import contextvars
from typing import Any

import pytest
from support.raw_client import CLIENT_GOODBYE, HELLO, make_app, serving
from support.session_clients import Clients, Pair

import serverwamp_fast as wamp
from serverwamp_fast.connection import ConnectionClosed


@pytest.fixture(params=['native', 'own connection'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


# Authentication


def test_an_authenticator_lets_in(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()

        async def authenticate(session: Any) -> None:
            assert session.connection.transport_info['peer_address'] == '127.0.0.1'
            assert session.auth_id == 'joe'
            assert list(session.auth_methods) == ['own']
            session.auth_role = 'admin'
            await session.mark_authenticated({'name': 'Joe'})

        app.set_authentication_handler(authenticate)
        async with clients.of(app) as connect:
            client = await connect()
            hello = [1, 'realm1', {'roles': {}, 'authid': 'joe', 'authmethods': ['own']}]
            code, _, details = await client.ask(*hello)
            assert code == 2
            assert (details['authid'], details['authrole']) == ('joe', 'admin')
            (session,) = app._active_sessions
            assert session.identity == {'name': 'Joe'}

    run(main())


async def refuse_with_abort(session: Any) -> None:
    await session.abort('wamp.error.not_authorized', 'Not you.')


async def decide_nothing(session: Any) -> None:
    pass


async def fail(session: Any) -> None:
    raise RuntimeError('on purpose')


async def lose_another(session: Any) -> None:
    """As one does that tells other clients of a new one, while one of these leaves."""
    raise ConnectionClosed('of another client')


async def give_up(session: Any) -> None:
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ('authenticator', 'uri'),
    [
        (refuse_with_abort, 'wamp.error.not_authorized'),
        (decide_nothing, 'wamp.error.authentication_failed'),
        (fail, 'wamp.error.authentication_failed'),
        (lose_another, 'wamp.error.authentication_failed'),
    ],
)
def test_authenticators_that_do_not_let_in(
    run, clients: Clients, caplog, authenticator: Any, uri: str
) -> None:
    subscribed = []

    async def main() -> None:
        app = make_app()
        topics = wamp.TopicRouteSet()

        @topics.topic('t')
        async def subscribe() -> Any:
            subscribed.append('t')
            yield

        app.add_topic_routes(topics)
        app.set_authentication_handler(authenticator)
        async with clients.of(app) as connect:
            client = await connect()
            # What the client asks for meanwhile is not looked at.
            await client.say(HELLO, [32, 1, {}, 't'], [48, 2, {}, 'echo'])
            details = await client.expect_abort(uri)
            if uri == 'wamp.error.not_authorized':
                assert details == {'message': 'Not you.'}
            assert 'on purpose' not in str(details)

    run(main())
    assert not subscribed
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == (authenticator is fail)


@pytest.mark.parametrize('asks', [True, False])
def test_a_transport_that_fails_at_welcome(run, caplog, asks: bool) -> None:
    class Broken(Pair):
        async def send_msg(self, msg: Any) -> None:
            if msg[0] == 2:
                raise OSError('no room')
            await super().send_msg(msg)

    async def let_in(session: Any) -> None:
        await session.mark_authenticated()

    async def main() -> None:
        app, pair = make_app(), Broken()
        if asks:
            app.set_authentication_handler(let_in)
        pair.serving = asyncio.create_task(app.handle_connection(pair))
        await pair.say(HELLO)
        await pair.expect_abort('wamp.error.authentication_failed')
        await pair.serving

    run(main())
    (record,) = [record for record in caplog.records if record.exc_info]
    place = 'an authenticator for' if asks else 'opening'
    assert record.getMessage().startswith(f'Exception from {place} session ')


def test_an_authenticator_that_closes(run) -> None:
    """The client is not told why, and the native server closes the connection."""

    async def main() -> None:
        app = make_app()

        async def authenticate(session: Any) -> None:
            await session.close('wamp.error.not_authorized')

        app.set_authentication_handler(authenticate)
        async with serving(app) as server:
            client = await server.connect()
            await client.say(HELLO, [32, 1, {}, 't'])
            await client.expect_close(1000)

    run(main())


def test_an_authenticator_that_cancels_itself(run) -> None:
    """On the native server, where nobody else waits for it."""

    async def main() -> None:
        app = make_app()
        app.set_authentication_handler(give_up)
        async with serving(app) as server:
            client = await server.connect()
            await client.say(HELLO, [32, 1, {}, 't'])
            await client.expect_abort('wamp.error.authentication_failed')

    run(main())


def test_an_authenticator_that_lets_in_and_closes_at_once(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()

        async def authenticate(session: Any) -> None:
            await session.mark_authenticated('me')
            await session.close('com.example.full')

        app.set_authentication_handler(authenticate)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert await client.hear() == [6, {}, 'com.example.full']
            await client.say(CLIENT_GOODBYE)
            await client.expect_over()

    run(main())


def test_transport_authenticators(run, clients: Clients) -> None:
    asked: list[Any] = []

    async def main() -> None:
        app = make_app()

        async def by_address(session: Any) -> Any:
            asked.append('address')
            return session.connection.transport_info['peer_address'] == session.auth_id

        async def by_name(session: Any) -> Any:
            asked.append('name')
            return session.auth_id if session.auth_id == 'joe' else None

        app.add_transport_authenticator(by_address)
        app.add_transport_authenticator(by_name)
        # Only once, however often it is added.
        app.add_transport_authenticator(by_address)
        async with clients.of(app) as connect:
            for name, expected in ('127.0.0.1', ['address']), ('joe', ['address', 'name']):
                asked.clear()
                client = await connect()
                answer = await client.ask(1, 'r', {'roles': {}, 'authid': name})
                assert answer[0] == 2
                # What the client claims is not told back to it unless an authenticator has said so.
                assert answer[2]['authid'] == (name if name == 'joe' else str(answer[1]))
                assert asked == expected
            client = await connect()
            await client.say([1, 'r', {'roles': {}, 'authid': 'nobody'}])
            await client.expect_abort('wamp.error.authentication_failed')

    run(main())


def test_a_challenge_that_nobody_takes_the_answer_of(run, clients: Clients) -> None:
    """AUTHENTICATE after WELCOME is a violation like any other."""

    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            await client.hello()
            await client.say([5, 'signature', {}])
            await client.expect_abort('wamp.error.protocol_violation')

    run(main())


# Lifespan handlers


def test_lifespan_handlers(run, clients: Clients) -> None:
    events: list[str] = []

    async def main() -> None:
        app = make_app()
        app.set_default_arg('log', events)

        async def early(session: Any, log: list[str]) -> Any:
            assert not session.is_open
            log.append('early start')
            yield
            assert not session.is_open
            log.append('early end')

        async def late(session: Any, log: list[str]) -> Any:
            assert session.is_open
            log.append(f'late start {session.identity}')
            yield
            with pytest.raises(ConnectionClosed):
                await session.send_raw([36, 1, 1, {}])
            log.append('late end')

        async def authenticate(session: Any) -> None:
            events.append('authentication')
            await session.mark_authenticated('joe')

        app.set_authentication_handler(authenticate)
        app.add_session_lifespan_handler(late)
        app.add_session_lifespan_handler(early, authenticated_only=False)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert await client.call(1, 'echo') == []
            assert events == ['early start', 'authentication', 'late start joe']
            assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            # It is over before another session begins.
            await client.hello()
            assert events[3:5] == ['late end', 'early end']
            await client.vanish()
        assert events[5:] == ['early start', 'authentication', 'late start joe', 'late end', 'early end']

    run(main())


def test_lifespan_handlers_start_side_by_side(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()
        meeting = asyncio.Barrier(3)

        async def meet() -> Any:
            # Each of them needs the others to get past this.
            await meeting.wait()
            yield

        async def meet_too() -> Any:
            await meeting.wait()
            yield

        async def meet_as_well() -> Any:
            await meeting.wait()
            yield

        for handler in meet, meet_too, meet_as_well:
            app.add_session_lifespan_handler(handler)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert await client.call(1, 'echo') == []

    run(main())


async def fail_at_once() -> Any:
    raise RuntimeError('on purpose')
    yield


async def end_without_a_yield() -> Any:
    if False:
        yield


async def want_too_much(session: Any, unknown: Any) -> Any:
    yield


@pytest.mark.parametrize('handler', [fail_at_once, end_without_a_yield, want_too_much])
@pytest.mark.parametrize('authenticated_only', [False, True])
def test_a_lifespan_handler_that_does_not_start(
    run, clients: Clients, caplog, handler: Any, authenticated_only: bool
) -> None:
    events: list[str] = []

    async def other() -> Any:
        events.append('start')
        yield
        events.append('end')

    async def main() -> None:
        app = make_app()
        app.add_session_lifespan_handler(other, authenticated_only)
        app.add_session_lifespan_handler(handler, authenticated_only)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO, [48, 1, {}, 'echo'])
            if authenticated_only:
                assert (await client.hear())[0] == 2
                assert await client.hear() == [6, {}, 'wamp.error.runtime_error']
                await client.say(CLIENT_GOODBYE)
                await client.expect_over()
            else:
                await client.expect_abort('wamp.error.runtime_error')

    run(main())
    # Those that did start are ended.
    assert events == ['start', 'end']
    errors = [record for record in caplog.records if record.levelname == 'ERROR']
    assert len(errors) == 1 and handler.__name__ in errors[0].getMessage()


async def fail_later() -> Any:
    yield
    raise RuntimeError('on purpose')


async def yield_twice() -> Any:
    yield
    yield


@pytest.mark.parametrize('handler', [fail_later, yield_twice])
def test_a_lifespan_handler_that_does_not_end(run, clients: Clients, caplog, handler: Any) -> None:
    ended = []

    async def other() -> Any:
        yield
        ended.append('other')

    async def main() -> None:
        app = make_app()
        app.add_session_lifespan_handler(other)
        app.add_session_lifespan_handler(handler)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            await client.vanish()

    run(main())
    assert ended == ['other']
    (error,) = [record for record in caplog.records if record.levelname == 'ERROR']
    assert handler.__name__ in error.getMessage()


def test_context_variables_of_a_subscription_reach_its_end(run, clients: Clients) -> None:
    variable = contextvars.ContextVar('variable', default='unset')
    seen = []

    async def main() -> None:
        app = make_app()
        topics = wamp.TopicRouteSet()

        @topics.topic('t')
        async def subscribed() -> Any:
            variable.set('set')
            yield
            seen.append(variable.get())

        app.add_topic_routes(topics)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert (await client.ask(32, 1, {}, 't'))[0] == 33
            await client.vanish()

    run(main())
    assert seen == ['set']
