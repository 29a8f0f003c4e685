"""The session as handlers get it: what it sends, what it holds, and in which order it ends."""

import asyncio
import weakref
from typing import Any
from unittest import mock

import pytest
from support.doubles import RecordingConnection, RecordingTasks, open_session
from support.raw_client import CLIENT_GOODBYE, make_app, serving

import serverwamp_fast as wamp
from serverwamp_fast import session as session_module
from serverwamp_fast.auth import AuthenticatedAs
from serverwamp_fast.connection import Connection, ConnectionClosed
from serverwamp_fast.protocol import WAMPSubscribeRequest, WAMPUnsubscribeRequest
from serverwamp_fast.realm import Realm
from serverwamp_fast.session import (
    NO_IDENTITY,
    NO_MORE_EVENTS,
    AbstractAsyncQueue,
    NoSuchSubscription,
    WAMPSession,
)

CLOSED = ConnectionClosed('on purpose')


def new_session(connection: Any = None, **details: Any) -> WAMPSession:
    """A session before its WELCOME."""
    return WAMPSession(
        connection or RecordingConnection(),
        wamp.Realm(),
        RecordingTasks(),
        details.get('auth_id'),
        details.get('auth_methods', ()),
    )


# What it is


def test_a_new_session() -> None:
    connection = RecordingConnection()
    session = new_session(connection, auth_id='joe', auth_methods=['ticket'])
    assert 1 <= session.id <= 2**53
    assert session.connection is connection
    assert session.identity is NO_IDENTITY
    assert repr(NO_IDENTITY) == 'NO_IDENTITY'
    assert (session.auth_id, session.auth_methods) == ('joe', ['ticket'])
    assert not session.is_open
    assert session


def test_session_ids_are_random() -> None:
    ids = {new_session().id for _ in range(1000)}
    assert len(ids) == 1000
    assert max(ids) > 2**52 and min(ids) < 2**51


def test_data_attributes_and_references() -> None:
    session = new_session()
    session['customer'] = 345
    session[1, 2] = 'tuple'
    assert session['customer'] == 345
    assert sorted(map(str, session)) == ['(1, 2)', 'customer']
    assert len(session) == 2
    del session['customer']
    for missing in 'customer', 'other':
        with pytest.raises(KeyError):
            session[missing]
        with pytest.raises(KeyError):
            del session[missing]
    session.anything = 'an attribute'
    assert session.anything == 'an attribute'
    assert weakref.ref(session)() is session
    # It can be kept in sets and dictionaries, whatever is stored in it.
    assert {session: 1}[session] == 1
    assert session != new_session()


def test_an_empty_session_has_no_data() -> None:
    session = new_session()
    assert (len(session), list(session), bool(session)) == (0, [], True)
    with pytest.raises(KeyError):
        del session['x']


def test_a_subclass() -> None:
    class Session(WAMPSession):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.extra = 'more'

    assert open_session(kind=Session).extra == 'more'


# Authentication


async def welcome_of(session: WAMPSession, identity: Any = None) -> dict[str, Any]:
    await session.mark_authenticated(identity)
    ((code, session_id, details),) = session.connection.sent
    assert (code, session_id) == (2, session.id)
    assert details.pop('agent').startswith('serverwamp_fast ')
    assert details.pop('roles').keys() == {'broker', 'dealer'}
    return details


def test_welcome_of_somebody(run) -> None:
    async def main() -> None:
        session = new_session(auth_id='joe')
        session.auth_role = 'admin'
        assert await welcome_of(session, 'identity') == {
            'authid': 'joe',
            'authrole': 'admin',
            'authmethod': 'custom',
            'authprovider': 'serverwamp_fast',
        }
        assert session.identity == 'identity'
        assert session.is_open

    run(main())


def test_welcome_of_nobody(run) -> None:
    """The authid that a client claims is not confirmed to it if nobody has asked for a proof."""

    async def main() -> None:
        session = new_session(auth_id='admin')
        assert await welcome_of(session) == {
            'authid': str(session.id),
            'authrole': 'anonymous',
            'authmethod': 'anonymous',
            'authprovider': 'serverwamp_fast',
        }

    run(main())


def test_a_claimed_authid_of_another_type_is_not_repeated(run) -> None:
    async def main() -> None:
        session = new_session(auth_id=['x'])
        assert (await welcome_of(session, 'somebody'))['authid'] == str(session.id)

    run(main())


def test_welcome_is_sent_once(run) -> None:
    async def main() -> None:
        session = new_session()
        await session.mark_authenticated('first')
        await session.mark_authenticated('second')
        assert session.identity == 'second'
        assert len(session.connection.sent) == 1

    run(main())


def test_a_session_whose_welcome_is_not_sent_is_not_open(run) -> None:
    async def main() -> None:
        session = new_session(RecordingConnection(CLOSED))
        with pytest.raises(ConnectionClosed):
            await session.mark_authenticated('me')
        assert not session.is_open

    run(main())


def answering(session: WAMPSession, *answers: Any) -> None:
    """Have the client's next messages be these."""
    rest = list(answers)

    async def receive() -> Any:
        return rest.pop(0)

    session.receive_message = receive


def test_challenges(run) -> None:
    async def main() -> None:
        session = new_session(auth_id='joe')
        answering(session, [5, 'the ticket', {}], (5, 'signature', {}), [5, 'key', {'x': 1}])
        assert await session.request_ticket_authentication() == 'the ticket'
        response = await session.request_cra_auth('admin', 'provider')
        assert response.signature == 'signature'
        other = await session.request_authentication('other', {'a': 2})
        assert (other.signature, other.extra) == ('key', {'x': 1})
        ticket, cra, custom = session.connection.sent
        assert ticket == [4, 'ticket', {}]
        assert cra == [4, 'wampcra', {'challenge': response.challenge}]
        assert custom == [4, 'other', {'a': 2}]
        for part in 'joe', 'admin', 'provider', str(session.id):
            assert part in response.challenge

    run(main())


def test_a_challenge_with_salt(run) -> None:
    async def main() -> None:
        session = new_session(auth_id='joe')
        answering(session, [5, 'signature', {}])
        await session.request_cra_auth('r', 'p', {'salt': 's', 'iterations': 5, 'keylen': 16})
        ((_, _, details),) = session.connection.sent
        del details['challenge']
        assert details == {'salt': 's', 'iterations': 5, 'keylen': 16}

    run(main())


def test_a_challenge_that_cannot_be_sent(run) -> None:
    async def main() -> None:
        session = new_session(RecordingConnection(CLOSED))
        answering(session, [5, 'never read', {}])
        with pytest.raises(ConnectionClosed):
            await session.request_ticket_authentication()

    run(main())


def test_welcome_of_who_is_known_by_another_name(run) -> None:
    async def main() -> None:
        session = new_session(auth_id='claimed')
        session.confirmed_auth_id = 'joe'
        details = await welcome_of(session, AuthenticatedAs(5, 'role', 'provider', {'a': 1}))
        assert details == {
            'authid': 'joe', 'authrole': 'role', 'authmethod': 'custom', 'authprovider': 'provider',
            'authextra': {'a': 1},
        }  # fmt: skip
        assert (session.identity, session.auth_id) == (5, 'claimed')
        assert session.announced_identity() == ('joe', 'role')

    run(main())


def test_what_was_set_before_is_not_lost(run) -> None:
    async def main() -> None:
        session = new_session(auth_id='joe')
        session.auth_role, session.auth_method, session.welcome_extra = 'role', 'magic', {'a': 1, 'b': 2}
        details = await welcome_of(session, AuthenticatedAs(None, auth_extra={'b': 3}, auth_id='ann'))
        assert details == {
            'authid': 'ann', 'authrole': 'role', 'authmethod': 'magic', 'authprovider': 'serverwamp_fast',
            'authextra': {'a': 1, 'b': 3},
        }  # fmt: skip

    run(main())


# Subscriptions


def test_subscriptions(run) -> None:
    async def main() -> None:
        session = open_session()
        number = await session.register_subscription('a.b')
        assert await session.register_subscription('a.b') == number
        other = await session.register_subscription('a.c')
        assert other != number
        await session.send_event('a.b', ('held', 1))
        await session.send_event('a.b', ('held', 2))
        await session.send_event('nothing', ('dropped',))
        assert session.connection.sent == []
        await session.mark_subscribed(WAMPSubscribeRequest(7, {}, 'a.b'), number)
        await session.send_event('a.b', ('live',), {'key': 1})
        confirmation, *events = session.connection.sent
        assert confirmation == [33, 7, number]
        assert [event[:2] for event in events] == [[36, number]] * 3
        assert [tuple(event[4]) for event in events] == [('held', 1), ('held', 2), ('live',)]
        assert events[2][5] == {'key': 1}
        publications = {event[2] for event in events}
        assert len(publications) == 3

        await session.unregister_subscription(number)
        with pytest.raises(NoSuchSubscription):
            await session.unregister_subscription(number)
        await session.mark_unsubscribed(WAMPUnsubscribeRequest(8, number))
        assert session.connection.sent[-1] == [35, 8]
        await session.send_event('a.b', ('late',))
        assert session.connection.sent[-1] == [35, 8]

    run(main())


@pytest.mark.parametrize('realm', [None, object(), mock.Mock(), mock.Mock(spec=Realm), mock.AsyncMock()])
def test_subscriptions_without_a_realm(run, realm: Any) -> None:
    """As tests of an application make sessions, for their handlers."""

    async def main() -> None:
        session = WAMPSession(RecordingConnection(), realm, None)
        await session.mark_authenticated()
        assert session.subscription_id_for_topic('a.b') is None
        number = await session.register_subscription('a.b')
        other = await session.register_subscription('a.c')
        assert number == session.subscription_id_for_topic('a.b') != other
        await session.mark_subscribed(WAMPSubscribeRequest(7, {}, 'a.b'), number)
        await session.send_event('a.b', (1,))
        assert [message[0] for message in session.connection.sent] == [2, 33, 36]
        await session.unregister_subscription(number)
        with pytest.raises(NoSuchSubscription):
            await session.unregister_subscription(number)
        assert session.subscription_id_for_topic('a.c') == other
        another = WAMPSession(RecordingConnection(), realm, None)
        assert another.subscription_id_for_topic('a.c') is None

    run(main())


@pytest.mark.parametrize('spec', [None, Connection])
def test_a_connection_that_is_a_mock(run, spec: Any) -> None:
    """As tests of an application make sessions, to look at what its handlers send."""

    async def main() -> None:
        connection = mock.AsyncMock(spec=spec)
        session = WAMPSession(connection, Realm(), None)
        await session.mark_authenticated()
        number = await session.register_subscription('a.b')
        await session.mark_subscribed(WAMPSubscribeRequest(7, {}, 'a.b'), number)
        await session.send_event('a.b', (1,), {'a': 2})
        await session.send_raw([50, 1, {}])
        await session.close()
        assert [call.args[0][0] for call in connection.send_msg.call_args_list] == [2, 33, 36, 50, 6]

    run(main())


def test_events_that_come_while_held_ones_are_sent_stay_behind_them(run) -> None:
    async def main() -> None:
        async def send_another() -> None:
            await session.send_event('a.b', (len(session.connection.sent),))

        connection = RecordingConnection(None, send_another, send_another)
        session = open_session(connection)
        number = await session.register_subscription('a.b')
        await session.send_event('a.b', ('first',))
        await session.mark_subscribed(WAMPSubscribeRequest(1, {}, 'a.b'), number)
        assert [tuple(event[4]) for event in connection.sent[1:]] == [('first',), (1,), (2,)]

    run(main())


# Tasks


def test_spawned_tasks(run, caplog) -> None:
    seen: list[Any] = []

    async def work(*args: Any, **options: Any) -> None:
        seen.append((args, options))

    async def fail() -> None:
        raise RuntimeError('on purpose')

    async def lose() -> None:
        raise CLOSED

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('spawn')
        async def spawn(session: Any) -> None:
            await session.spawn_task(work, 1, 2, key='value')
            await session.spawn_task(fail)
            await session.spawn_task(lose)

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            assert await client.call(1, 'spawn') == []
            assert await client.call(2, 'echo', 'still') == ['still']
            await client.leave()
            await server.all_gone()

    run(main())
    assert seen == [((1, 2), {'key': 'value'})]
    (record,) = [record for record in caplog.records if record.exc_info]
    assert 'fail' in record.getMessage()


# Ends


def test_goodbye(run) -> None:
    async def main() -> None:
        session = open_session()
        await session.close('com.example.bye', 'Text.')
        assert session.connection.sent == [[6, {'message': 'Text.'}, 'com.example.bye']]
        assert not session.is_open
        # Once is enough, and ABORT would be too much.
        await session.close()
        await session.abort()
        assert len(session.connection.sent) == 1
        assert not session.connection.closed
        with pytest.raises(ConnectionClosed):
            await session.send_raw([50, 1, {}])

    run(main())


def test_goodbye_without_a_reason(run) -> None:
    async def main() -> None:
        session = open_session()
        await session.close()
        assert session.connection.sent == [[6, {}, 'wamp.close.goodbye_and_out']]

    run(main())


def test_abort(run) -> None:
    async def main() -> None:
        session = open_session()
        await session.abort('com.example.no', 'Text.')
        assert session.connection.sent == [[3, {'message': 'Text.'}, 'com.example.no']]
        assert session.connection.closed
        assert not session.is_open
        await session.abort()
        await session.close()
        assert len(session.connection.sent) == 1

    run(main())


def test_abort_without_a_reason(run) -> None:
    async def main() -> None:
        session = new_session()
        await session.abort()
        assert session.connection.sent == [[3, {}, 'wamp.error.runtime_error']]

    run(main())


def test_closing_a_session_that_is_not_open_yet_prevents_it(run) -> None:
    """Nothing is sent: GOODBYE has no meaning yet, and ABORT is there to be called."""

    async def main() -> None:
        session = new_session()
        await session.close('wamp.close.system_shutdown', 'Later.')
        assert session.connection.sent == []
        with pytest.raises(ConnectionClosed):
            await session.mark_authenticated('me')
        assert not session.is_open

    run(main())


@pytest.mark.parametrize('end', [WAMPSession.close, WAMPSession.abort])
def test_a_client_that_has_left_is_no_error_of_an_end(run, end: Any) -> None:
    async def main() -> None:
        session = open_session(RecordingConnection(CLOSED))
        await end(session)
        assert not session.is_open

    run(main())


def test_a_session_ends_in_order(run) -> None:
    """Subscriptions in the order of subscribing, then lifespan handlers, the last to start first."""
    events = []

    async def main() -> None:
        app = make_app()
        topics = wamp.TopicRouteSet()

        @topics.topic('one')
        async def one() -> Any:
            yield
            events.append('one')

        @topics.topic('two')
        async def two(session: Any) -> Any:
            yield
            # Others are there still.
            events.append(f'two {session.has_subscriptions}')

        async def early() -> Any:
            yield
            events.append('early')

        async def late() -> Any:
            yield
            events.append('late')

        app.add_topic_routes(topics)
        app.add_session_lifespan_handler(late)
        app.add_session_lifespan_handler(early, authenticated_only=False)
        async with serving(app) as server:
            client = await server.join()
            await client.ask(32, 1, {}, 'one')
            await client.ask(32, 2, {}, 'two')
            assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            await client.leave()
            await server.all_gone()

    run(main())
    assert events == ['one', 'two True', 'late', 'early']


# The module


def test_names() -> None:
    for name in session_module.__all__:
        assert hasattr(session_module, name)
    assert NO_MORE_EVENTS is not NO_IDENTITY
    with pytest.raises(TypeError):
        AbstractAsyncQueue()


def test_a_queue_of_another_library(run) -> None:
    class Queue(AbstractAsyncQueue):
        def __init__(self) -> None:
            self.queue: asyncio.Queue[Any] = asyncio.Queue()

        async def get(self) -> Any:
            return await self.queue.get()

        async def task_done(self) -> None:
            self.queue.task_done()

    async def main() -> None:
        queue = Queue()
        # Not every queue is one that something is put into.
        queue.put_nowait('x')
        queue.queue.put_nowait('y')
        assert await queue.get() == 'y'
        await queue.task_done()

    run(main())
