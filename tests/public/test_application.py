"""An application: its realms and their settings, and the sessions that it runs on any connection.

The same on the native server and on a connection of the user's own, which hands over messages one by one.
"""

import asyncio
import gc
import logging
import sys
import weakref
from typing import Any

import pytest
from support.raw_client import CLIENT_GOODBYE, HELLO, make_app, warnings_in
from support.session_clients import Clients, Pair

import serverwamp_fast as wamp
from serverwamp_fast import application as application_module
from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.connection import PayloadConnection
from serverwamp_fast.errors import WAMPMsgParseError


@pytest.fixture(params=['native', 'own connection'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


# Realms


def test_the_default_realm_takes_every_name(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()
        special = wamp.Realm('special')
        app.add_realm(special)
        async with clients.of(app) as connect:
            client = await connect()
            assert (await client.ask(1, 'any.name', {'roles': {}}))[0] == 2
            assert await client.call(1, 'echo', 'x') == ['x']
            assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            # The other realm doesn't have the default one's procedures.
            assert (await client.ask(1, 'special', {'roles': {}}))[0] == 2
            assert (await client.ask(48, 1, {}, 'echo'))[4] == 'wamp.error.no_such_procedure'

    run(main())


def test_without_a_default_realm_names_have_to_be_known(run, clients: Clients, caplog) -> None:
    async def main() -> None:
        app = wamp.Application(allow_default_realm=False)
        app.add_realm(wamp.Realm('known'))
        async with clients.of(app) as connect:
            client = await connect()
            await client.say([1, 'unknown', {'roles': {}}])
            details = await client.expect_abort('wamp.error.no_such_realm')
            assert 'unknown' in details['message']
            client = await connect()
            assert (await client.ask(1, 'known', {'roles': {}}))[0] == 2

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_a_realm_replaces_the_one_of_its_name(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()
        app.add_realm(wamp.Realm('r'))
        realm = wamp.Realm('r')
        routes = wamp.RPCRouteSet()

        @routes.route('x')
        async def x() -> str:
            return 'the second one'

        realm.add_rpc_routes(routes)
        app.add_realm(realm)
        async with clients.of(app) as connect:
            client = await connect()
            assert (await client.ask(1, 'r', {'roles': {}}))[0] == 2
            assert await client.call(1, 'x') == ['the second one']

    run(main())


class Foreign:
    """A realm of another package, in its outline."""

    uri = 'realm'


@pytest.mark.parametrize('realm', [Foreign(), 'realm', None, wamp.Realm])
def test_what_is_no_realm(realm: Any) -> None:
    with pytest.raises(TypeError, match=r'takes a Realm of serverwamp_fast\. .* of the type \w+ of [\w.]+\.$'):
        wamp.Application().add_realm(realm)


@pytest.mark.parametrize(
    ('settings', 'error', 'said'),
    [
        ({'open_timeout': 'x'}, TypeError, "open_timeout is a number, which 'x' is not."),
        ({'close_timeout': None}, TypeError, 'close_timeout is a number, which None is not.'),
        ({'open_timeout': -1}, ValueError, 'open_timeout is a number from 0 on, not -1.'),
        ({'close_timeout': float('nan')}, ValueError, 'close_timeout is a number from 0 on, not nan.'),
        ({'max_message_size': 0}, ValueError, 'max_message_size is a number from 1 on, not 0.'),
        ({'max_message_size': 1e6}, TypeError, 'max_message_size is a number, which 1000000.0 is not.'),
        ({'max_message_size': True}, TypeError, 'max_message_size is a number, which True is not.'),
        ({'async_support': 'trio'}, TypeError, "'trio' is none."),
        ({'async_support': object}, TypeError, "<class 'object'> is none."),
    ],
)
def test_settings_that_are_none(settings: dict[str, Any], error: type, said: str) -> None:
    with pytest.raises(error) as refusal:
        wamp.Application(**settings)
    assert str(refusal.value).endswith(said)


def test_settings_at_their_limits() -> None:
    app = wamp.Application(open_timeout=0, close_timeout=float('inf'), max_message_size=1)
    assert (app.open_timeout, app.close_timeout, app.max_message_size) == (0, float('inf'), 1)


def test_settings_of_the_default_realm_need_one() -> None:
    app = wamp.Application(allow_default_realm=False)
    for setting in (
        lambda: app.add_rpc_routes([]),
        lambda: app.add_topic_routes([]),
        lambda: app.add_routes([]),
        lambda: app.set_default_arg('x', 1),
        lambda: app.set_rpc_handler(print),
        lambda: app.set_subscription_handler(print),
        lambda: app.set_authentication_handler(print),
        lambda: app.add_transport_authenticator(print),
        lambda: app.set_ticket_authenticator(print),
        lambda: app.set_cra_handlers(print, print),
        lambda: app.add_session_lifespan_handler(print),
    ):
        with pytest.raises(RuntimeError, match='add_realm'):
            setting()


def test_routes_and_arguments_of_the_default_realm(run, clients: Clients) -> None:
    async def main() -> None:
        app = wamp.Application()
        both = [*wamp.RPCRouteSet(), *wamp.TopicRouteSet()]
        routes, topics = wamp.RPCRouteSet(), wamp.TopicRouteSet()

        @routes.route('sum')
        async def add(number: int, fixed: int, made: list[int]) -> int:
            made.append(number)
            return number + fixed + len(made)

        @topics.topic('t')
        async def subscribed(fixed: int, session: Any) -> Any:
            session['fixed'] = fixed
            yield

        both += [*routes, *topics]
        app.add_routes(both)
        app.set_default_arg('fixed', 10)
        app.set_default_arg('made', factory=list)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            # A caller can't give what the server provides; and the factory is called each time.
            for _ in range(2):
                answer = await client.ask(48, 1, {}, 'sum', ['5'], {'fixed': 99, 'made': [1, 2]})
                assert answer[3] == [16] or answer[3] == (16,)
            assert (await client.ask(32, 2, {}, 't'))[0] == 33
            (session,) = app._active_sessions
            assert session['fixed'] == 10

    run(main())


def test_a_realm_that_was_replaced_is_forgotten(run) -> None:
    async def main() -> None:
        app = make_app()
        realm = wamp.Realm('r')
        app.add_realm(realm)
        async with Clients('own connection').of(app) as connect:
            client = await connect()
            assert (await client.ask(1, 'r', {'roles': {}}))[0] == 2
        forgotten = weakref.ref(realm)
        app.add_realm(wamp.Realm('r'))
        del realm, client
        gc.collect()
        assert forgotten() is None

    run(main())


# Connections of one's own


def test_what_is_not_a_message_is_a_violation(run, caplog) -> None:
    async def main() -> None:
        async with Clients('own connection').of(make_app()) as connect:
            for beginning in [], [HELLO]:
                client = await connect()
                await client.say(*beginning, WAMPMsgParseError('Not a message.'))
                if beginning:
                    assert (await client.hear())[0] == 2
                details = await client.expect_abort('wamp.error.protocol_violation')
                assert details == {'message': 'Not a message.'}

    run(main())
    assert len(warnings_in(caplog)) == 2


def test_handle_session_runs_a_session_that_is_there(run) -> None:
    async def main() -> None:
        app = make_app()
        pair = Pair()
        async with app._async_support.launch_task_group() as tasks:
            session = app.new_session(pair, 'realm1', {}, tasks)
            running = asyncio.create_task(app.handle_session(session))
            assert (await pair.hear())[:2] == [2, session.id]
            assert await pair.call(1, 'echo', 'x') == ['x']
            assert (await pair.ask(*CLIENT_GOODBYE))[0] == 6
            assert await running is True
            if app.end_session(session):
                await app.clean_up(session)

    run(main())


class SeesSessions(wamp.Application):
    """Sees the messages of each session, as an override for serverwamp 2.0.0 can."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    async def handle_session(self, session: Any, msgs: Any = None) -> bool:
        async def watch() -> Any:
            async for message in msgs:
                self.seen.append(message[0])
                yield message

        self.seen.append(session.is_open)
        self.seen.append(await super().handle_session(session, watch()))
        return self.seen[-1]


def test_handle_session_can_be_overridden(run, clients: Clients) -> None:
    async def main() -> None:
        app = SeesSessions()
        routes = wamp.RPCRouteSet()

        @routes.route('echo')
        async def echo(*args: Any) -> Any:
            return args

        app.add_rpc_routes(routes)
        async with clients.of(app) as connect:
            client = await connect()
            for _ in range(2):
                await client.hello()
                assert await client.call(1, 'echo', 'x') == ['x']
                assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            await client.hello()
            await client.vanish()
        assert app.seen == [*(False, 48, 6, True) * 2, False, False]
        assert not app._active_sessions

    run(main())


class Batches(PayloadConnection):
    """Brings batches, as aiohttp, ASGI and websockets do."""

    codec = codec_for('wamp.2.json.batched')

    def __init__(self, *batches: Any) -> None:
        super().__init__()
        self.batches = [b''.join(self.codec.encode(message) for message in batch) for batch in batches]
        self.sent: list[Any] = []

    async def receive_payload(self) -> bytes | None:
        return self.batches.pop(0) if self.batches else None

    async def send_payload(self, payload: bytes) -> None:
        self.sent += self.codec.decode(payload)

    async def close(self) -> None:
        pass


def test_handle_session_gets_all_that_batches_bring(run) -> None:
    app = SeesSessions()
    call = [48, 1, {}, 'nothing']
    connection = Batches([HELLO, call, CLIENT_GOODBYE, HELLO], [call])
    run(app.handle_connection(connection))
    assert app.seen == [False, 48, 6, True, False, 48, False]
    answers = sorted(message[0] for message in connection.sent)
    # Where tasks start later, the connection has ended before the last call can answer.
    assert answers == ([2, 2, 6, 8, 8] if sys.version_info >= (3, 12) else [2, 2, 6, 8])


def test_handle_session_can_be_overridden_for_one_application(run, clients: Clients, caplog) -> None:
    async def main() -> None:
        app = make_app()

        async def handle_session(session: Any, msgs: Any) -> bool:
            await session.mark_authenticated('somebody')
            async for message in msgs:
                if message[0] == 6:
                    await session.close()
                    return True
                await session.send_raw([50, message[1], {}, [session.identity]])
            return False

        app.handle_session = handle_session  # type: ignore[method-assign]
        async with clients.of(app) as connect:
            client = await connect()
            for _ in range(2):
                await client.hello()
                assert await client.call(1, 'anything') == ['somebody']
                assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            await client.say([])
            await client.expect_abort('wamp.error.protocol_violation')

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_what_is_not_a_message_where_handle_session_reads(run, caplog) -> None:
    async def main() -> None:
        app = make_app()

        async def handle_session(session: Any, msgs: Any) -> bool:
            await session.mark_authenticated()
            return [message async for message in msgs] == []

        app.handle_session = handle_session  # type: ignore[method-assign]
        async with Clients('own connection').of(app) as connect:
            client = await connect()
            await client.hello()
            await client.say(WAMPMsgParseError('Not a message.'))
            await client.expect_abort('wamp.error.protocol_violation')

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_a_client_that_aborts_at_once_is_a_line_in_the_log(run, clients: Clients, caplog) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            await client.say([3, {}, 'com.example.changed_my_mind'])
            await client.expect_over()

    run(main())
    assert [line for line in caplog.messages if 'abort' in line] == [
        "Ended the connection of 127.0.0.1, which aborted before a session was open: 'com.example.changed_my_mind'"
    ]
    assert not warnings_in(caplog)


def test_close_sessions_tells_everyone(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()
        async with clients.of(app) as connect:
            some = [await connect() for _ in range(3)]
            for client in some:
                await client.hello()
            await app.close_sessions()
            for client in some:
                assert await client.hear() == [6, {}, 'wamp.close.system_shutdown']

    run(main())


# Old names


def test_old_names() -> None:
    app = wamp.Application()
    with pytest.warns(DeprecationWarning):
        assert application_module.SessionStateHandler is application_module.SessionLifespanHandler

    async def lifespan() -> Any:
        yield

    with pytest.warns(DeprecationWarning):
        app.add_session_state_handler(lifespan)
    with pytest.raises(AttributeError, match='nothing'):
        application_module.nothing  # noqa: B018
    assert app.add_topics == app.add_topic_routes
    assert app.add_default_arg == app.set_default_arg
    for name in application_module.__all__:
        assert hasattr(application_module, name)
