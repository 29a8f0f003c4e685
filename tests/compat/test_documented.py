"""What the documentation of serverwamp shows, done as it says. serverwamp 2.0.0 itself can't do all of it.

The examples are followed, not copied: evident slips of syntax and of names (an assignment in an `if`, a realm's
misspelt variable, a missing import) are put right. A tuple without its comma is valid Python and stays. What the pages
themselves have, word for word, is run by test_documented_pages.
"""

import asyncio
import base64
import contextlib
import functools
import hmac
import inspect
from typing import Any

import anyio
import pytest

from compat.apps import App
from compat.memory import serve_memory
from compat.packages import SUBJECT
from compat.steps import GOODBYE, call, hello
from compat.transcripts import Labels

pytestmark = pytest.mark.skipif(
    SUBJECT.is_oracle, reason='serverwamp 2.0.0 has not all that its documentation names'
)
serverwamp = SUBJECT.root


async def talk(
    application: Any, *messages: Any, realm: str = 'realm1', **details: Any
) -> list[Any]:
    """Joins, sends the messages one after the other and leaves; returns what was received after WELCOME.

    A message may be a function, which makes it from what was received last.
    """
    labels = Labels()
    async with serve_memory(App(SUBJECT, application)) as server:
        client = await server.connect()
        received = []
        with anyio.fail_after(10):
            for message in (hello(realm, **details), *messages):
                await client.send([message(received[-1]) if callable(message) else message])
                with contextlib.suppress(EOFError):
                    received.append(labels.normalize(await client.receive()))
                    while received[-1][0] == 50 and received[-1][2].get('progress'):
                        received.append(labels.normalize(await client.receive()))
            await client.send([GOODBYE])
            with contextlib.suppress(EOFError):
                while (last := await client.receive())[0] != 6:
                    received.append(labels.normalize(last))
            await client.close()
            await server.finished()
    return received[1:] if received[0][0] == 2 else received


def run(application: Any, *messages: Any, **options: Any) -> list[Any]:
    return asyncio.run(talk(application, *messages, **options))


def make_api(**procedures: Any) -> Any:
    routes = serverwamp.RPCRouteSet()
    for name, value in procedures.items():

        async def answer(answer_value=value):
            return answer_value

        routes.route(name)(answer)
    return routes


class TestRealms:
    """Both documents: "Breaking an Application into Realms", once by add_rpc_routes and once by add_routes."""

    @pytest.fixture(params=['add_rpc_routes', 'add_routes'])
    def application(self, request: pytest.FixtureRequest) -> Any:
        async def customer_cookie_auth(session):
            cookies = session.connection.transport_info.get('http_cookies', {})
            return cookies.get('customer')

        async def admin_token_auth(session, ticket):
            return 'admin' if ticket == 'the token' else None

        app = serverwamp.Application()

        guests_realm = serverwamp.Realm('guests')
        getattr(guests_realm, request.param)(make_api(register='welcome'))

        customers_realm = serverwamp.Realm('customers')
        customers_realm.add_transport_authenticator(customer_cookie_auth)
        getattr(customers_realm, request.param)(make_api(balance=100))

        admins_realm = serverwamp.Realm('admins')
        admins_realm.set_ticket_authenticator(admin_token_auth)
        getattr(admins_realm, request.param)(make_api(delete='deleted'))

        app.add_realm(guests_realm)
        app.add_realm(customers_realm)
        app.add_realm(admins_realm)
        return app

    def test_guests(self, application: Any) -> None:
        assert run(application, call('register'), realm='guests') == [[50, 1, {}, ['welcome']]]

    def test_customers_without_cookie(self, application: Any) -> None:
        assert run(application, realm='customers')[:1] == [
            [3, {}, 'wamp.error.authentication_failed']
        ]

    def test_customers_with_cookie(self, application: Any) -> None:
        async def main() -> Any:
            async with serve_memory(App(SUBJECT, application)) as server:
                connection = server.connection_class()
                connection.transport_info['http_cookies'] = {'customer': 'Joe'}
                client = type(await server.connect())(connection)
                server.running += 1
                server.tasks.start_soon(server.handle, client)
                await client.send([hello('customers'), call('balance')])
                return [Labels().normalize(await client.receive()) for _ in range(2)]

        assert asyncio.run(main())[1] == [50, 1, {}, [100]]

    def test_admins_without_ticket(self, application: Any) -> None:
        """Nobody gets in who has no ticket to offer."""
        for details in ({}, {'authmethods': []}, {'authmethods': ['wampcra']}):
            answers = run(application, call('delete'), realm='admins', **details)
            assert answers[:1] == [[3, {}, 'wamp.error.no_matching_auth_method']]

    def test_admins_with_ticket(self, application: Any) -> None:
        for ticket, expected in ('the token', 2), ('another', 3):
            answers = run(
                application, [5, ticket, {}], realm='admins', authid='joe', authmethods=['ticket']
            )
            assert [answer[0] for answer in answers[:2]] == [4, expected]

    def test_other_realms_get_the_default(self, application: Any) -> None:
        assert (
            run(application, call('register'), realm='elsewhere')[0][4]
            == 'wamp.error.no_such_procedure'
        )


def test_admins_by_wampcra() -> None:
    """Advanced Usage, "Authentication", refers to the regular handlers: WAMP-CRA beside tickets."""

    async def find_secret(session):
        known = session.auth_id == 'joe'
        return serverwamp.CRAAuthRequirement('secret', 'admin', 'staff') if known else None

    async def find_admin(session):
        return {'name': session.auth_id}

    def sign(secret):
        def answer(challenge):
            assert challenge[:2] == [4, 'wampcra']
            digest = hmac.digest(secret, challenge[2]['challenge'].encode(), 'sha256')
            return [5, base64.b64encode(digest).decode(), {}]

        return answer

    app = serverwamp.Application(allow_default_realm=False)
    admins_realm = serverwamp.Realm('admins')
    admins_realm.set_cra_handlers(find_secret, find_admin)
    admins_realm.add_rpc_routes(make_api(delete='deleted'))
    app.add_realm(admins_realm)
    joining = {'realm': 'admins', 'authmethods': ['wampcra']}
    answers = run(app, sign(b'secret'), call('delete'), authid='joe', **joining)
    assert [answers[1][0], answers[2]] == [2, [50, 1, {}, ['deleted']]]
    for secret, authid in ((b'wrong', 'joe'), (b'secret', 'eve')):
        answers = run(app, sign(secret), authid=authid, **joining)
        assert answers[1:] == [[3, {}, 'wamp.error.authentication_failed']]


def test_default_realm_disabled() -> None:
    app = serverwamp.Application(allow_default_realm=False)
    assert run(app, realm='unheard.of') == [[3, {}, 'wamp.error.no_such_realm']]


def test_session_open_and_close() -> None:
    """A session state handler counts sessions in a default argument of the application."""

    async def count_session(session, app_metrics):
        app_metrics['activeSessions'] += 1
        yield
        app_metrics['activeSessions'] -= 1

    app = serverwamp.Application()
    app.set_default_arg('app_metrics', {'activeSessions': 0})
    with pytest.warns(DeprecationWarning, match='add_session_lifespan_handler'):
        app.add_session_state_handler(count_session)
    routes = serverwamp.RPCRouteSet()
    metrics = []

    @routes.route('count')
    async def count(app_metrics):
        metrics.append(app_metrics)
        return app_metrics['activeSessions']

    app.add_rpc_routes(routes)
    assert run(app, call('count')) == [[50, 1, {}, [1]]]
    assert metrics == [{'activeSessions': 0}]


def test_session_data() -> None:
    rpc_api = serverwamp.RPCRouteSet()

    @rpc_api.route('set_my_name')
    async def set_my_name(name, session):
        session['name'] = name

    @rpc_api.route('get_my_name')
    async def get_my_name(session):
        return session['name']

    app = serverwamp.Application()
    app.add_rpc_routes(rpc_api)
    answers = run(app, call('set_my_name', 'Joe'), call('get_my_name', id=2))
    assert answers == [[50, 1, {}], [50, 2, {}, ['Joe']]]


class TestDefaultArgs:
    """Advanced Usage, "Session Lifecycle": handlers of each kind get the default args, and the session."""

    def test_each_kind_of_handler(self) -> None:
        app = serverwamp.Application()
        calls, topics = serverwamp.RPCRouteSet(), serverwamp.TopicRouteSet()
        seen = []

        async def lifespan(session, database):
            session['database'] = database
            yield
            seen.append('closed')

        @calls.route('look_up')
        async def look_up(key, database, session):
            return [database[key], session['database'] is database]

        @topics.route('news')
        async def news(database, session):
            await session.send_event('news', args=(database['a'],))
            yield

        app.add_session_lifespan_handler(lifespan)
        app.set_default_arg('database', {'a': 1})
        app.add_rpc_routes(calls)
        app.add_topic_routes(topics)
        answers = run(app, call('look_up', 'a'), [32, 2, {}, 'news'])
        assert answers == [
            [50, 1, {}, [1, True]],
            [33, 2, 'sub 1'],
            [36, 'sub 1', 'publication 1', {}, [1]],
        ]
        assert seen == ['closed']

    def test_of_realms(self) -> None:
        app = serverwamp.Application()
        for name in ('one', 'other'):
            realm = serverwamp.Realm(name)
            routes = serverwamp.RPCRouteSet()

            @routes.route('where')
            async def where(place):
                return place

            realm.set_default_arg('place', name)
            realm.add_rpc_routes(routes)
            app.add_realm(realm)
        for name in ('one', 'other'):
            assert run(app, call('where'), realm=name) == [[50, 1, {}, [name]]]


class TestTopicParameter:
    """The handler's parameter `topic` is the topic that was subscribed to, as `topic_uri` is."""

    async def plain(topic):
        return topic

    async def beside_the_other_name(topic_uri, session, topic: str):
        assert topic_uri == topic and session.is_open
        return topic

    async def keyword_only(*, topic):
        return topic

    async def with_default(topic=None):
        return topic

    @pytest.mark.parametrize('function', [plain, beside_the_other_name, keyword_only, with_default])
    @pytest.mark.parametrize('method', ['route', 'prefix_route', 'regex_route'])
    def test_it(self, function: Any, method: str) -> None:
        app = serverwamp.Application()
        topics = serverwamp.TopicRouteSet()
        seen = []

        @getattr(topics, method)('news')
        @functools.wraps(function)
        async def handler(**arguments):
            seen.append(await function(**arguments))
            yield

        app.add_topic_routes(topics)
        assert run(app, [32, 1, {}, 'news']) == [[33, 1, 'sub 1']]
        assert seen == ['news']


def test_publication_loop() -> None:
    """The README's: subscribers in a set that is a default arg, to which a task sends while some leave."""
    app = serverwamp.Application()
    topics = serverwamp.TopicRouteSet()
    subscribers: set[Any] = set()

    @topics.route('docs.changes')
    async def subscribe_to_changes(session, changes_subscribers):
        changes_subscribers.add(session)
        yield
        changes_subscribers.remove(session)

    app.add_topic_routes(topics)
    app.set_default_arg('changes_subscribers', subscribers)

    async def watch(changes: Any) -> None:
        async for change in changes:
            # A copy, as sessions can unsubscribe while events are sent.
            for session in list(subscribers):
                await session.send_event('docs.changes', args=(f'Document changed: {change}',))

    async def main() -> None:
        changes, watched = anyio.create_memory_object_stream(10)
        async with serve_memory(App(SUBJECT, app)) as server:
            watching = asyncio.create_task(watch(watched))
            clients = [await server.connect() for _ in range(2)]
            for client in clients:
                await client.send([hello('realm1'), [32, 1, {}, 'docs.changes']])
                assert [(await client.receive())[0] for _ in range(2)] == [2, 33]
            stays, leaves = clients
            await changes.send('a')
            events = [await client.receive() for client in clients]
            assert [list(event[4]) for event in events] == [['Document changed: a']] * 2
            await leaves.send([[34, 2, events[1][1]]])
            assert (await leaves.receive())[0] == 35
            await changes.send('b')
            assert list((await stays.receive())[4]) == ['Document changed: b']
            await leaves.send([GOODBYE])
            assert (await leaves.receive())[0] == 6
            changes.close()
            await watching
            for client in clients:
                await client.close()
            await server.finished()
        assert not subscribers

    asyncio.run(main())


@pytest.mark.parametrize(
    ('name', 'backend'),
    [('anyio', 'asyncio'), ('anyio', 'trio'), ('asyncio', 'asyncio'), ('trio', 'trio')],
)
def test_async_support(name: str, backend: str) -> None:
    """The three libraries by the names under which they are documented."""
    support = SUBJECT.async_support(name)
    assert (
        support.__name__
        == {'anyio': 'Anyio', 'asyncio': 'Asyncio', 'trio': 'Trio'}[name] + 'AsyncSupport'
    )
    app = serverwamp.Application(async_support=support)
    routes = serverwamp.RPCRouteSet()

    @routes.route('slow')
    async def slow():
        await anyio.sleep(0.001)
        return 'done'

    app.add_rpc_routes(routes)
    assert anyio.run(talk, app, call('slow'), backend=backend) == [[50, 1, {}, ['done']]]


class TestAuthenticationHandler:
    """ "Customizing Core WAMP Operations": one of two things is done with a brand new session."""

    @pytest.fixture
    def application(self) -> Any:
        app = serverwamp.Application()

        async def authenticate(session):
            if session.auth_id == 'joe':
                await session.mark_authenticated({'name': 'Joe'})
            elif session.auth_id == 'eve':
                await session.abort('wamp.error.authentication_failed', message='Not you.')
            else:
                await session.abort('wamp.error.authentication_failed')

        app.set_authentication_handler(authenticate)
        routes = serverwamp.RPCRouteSet()

        @routes.route('whoami')
        async def whoami(session):
            return session.identity

        app.add_rpc_routes(routes)
        return app

    def test_authenticated(self, application: Any) -> None:
        assert run(application, call('whoami'), authid='joe') == [[50, 1, {}, [], {'name': 'Joe'}]]

    @pytest.mark.parametrize('authid', ['eve', 'mallory'])
    def test_refused(self, application: Any, authid: str) -> None:
        answers = run(application, call('whoami'), authid=authid)
        assert answers == [[3, {}, 'wamp.error.authentication_failed']]

    def test_the_message_reaches_the_client(self, application: Any) -> None:
        async def main() -> Any:
            async with serve_memory(App(SUBJECT, application)) as server:
                client = await server.connect()
                await client.send([hello('realm1', authid='eve')])
                return await client.receive()

        abort = asyncio.run(main())
        assert abort[1]['message'] == 'Not you.'


class TestRPCHandler:
    """ "RPC Calls": a handler in place of the routes, which returns, or yields with progress."""

    @pytest.fixture(params=['application', 'realm'])
    def owner(self, request: pytest.FixtureRequest) -> Any:
        app = serverwamp.Application()
        if request.param == 'application':
            return app, app
        realm = serverwamp.Realm('realm1')
        app.add_realm(realm)
        return app, realm

    def test_basic(self, owner: Any) -> None:
        from serverwamp_fast.rpc import RPCErrorResult, RPCRequest, RPCResult

        async def rpc_handler(rpc_request: RPCRequest) -> Any:
            if rpc_request.uri == 'add_stuff':
                if not all(isinstance(arg, int | float) for arg in rpc_request.args):
                    return RPCErrorResult(args=('Numbers only!',))
                return RPCResult(args=(sum(rpc_request.args),))
            return RPCErrorResult('myapp.custom_error')

        app, realm = owner
        realm.add_routes(make_api(add_stuff='never used'))
        realm.set_rpc_handler(rpc_handler)
        answers = run(
            app, call('add_stuff', 1, 2.5), call('add_stuff', 'x', id=2), call('other', id=3)
        )
        assert answers == [
            [50, 1, {}, [3.5]],
            [8, 48, 2, {}, 'wamp.error.runtime_error', ['Numbers only!']],
            [8, 48, 3, {}, 'myapp.custom_error'],
        ]

    def test_rpc_error_is_a_name_for_it_too(self, owner: Any) -> None:
        from serverwamp_fast.rpc import RPCError

        async def rpc_handler(rpc_request):
            return RPCError('myapp.custom_error', kwargs={'why': rpc_request.uri})

        app, realm = owner
        realm.set_rpc_handler(rpc_handler)
        assert run(app, call('x')) == [[8, 48, 1, {}, 'myapp.custom_error', [], {'why': 'x'}]]

    def test_progressive(
        self, owner: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from serverwamp_fast import lone_arguments
        from serverwamp_fast.rpc import RPCErrorResult, RPCProgressReport, RPCRequest, RPCResult

        async def rpc_handler(rpc_request: RPCRequest) -> Any:
            if rpc_request.uri != 'add_stuff':
                yield RPCErrorResult('myapp.custom_error')

            total = 0
            for num in rpc_request.args:
                if not isinstance(num, float | int):
                    yield RPCErrorResult(args=('Numbers only!',))
                    return
                total += num
                # Without a comma, as on the page: a str where a sequence is meant.
                yield RPCProgressReport(args=(f'Added {num}'))

            yield RPCResult(args=(total,))

        monkeypatch.setattr(lone_arguments, '_warned', set())
        app, realm = owner
        realm.set_rpc_handler(rpc_handler)
        progress = {'receive_progress': True}
        answers = run(
            app,
            call('add_stuff', 1, 2, options=progress),
            call('add_stuff', 1, 'x', id=2, options=progress),
            call('other', id=3, options=progress),
            call('add_stuff', 3, 4, id=4),
        )
        assert answers == [
            [50, 1, {'progress': True}, ['Added 1']],
            [50, 1, {'progress': True}, ['Added 2']],
            [50, 1, {}, [3]],
            [50, 2, {'progress': True}, ['Added 1']],
            [8, 48, 2, {}, 'wamp.error.runtime_error', ['Numbers only!']],
            [8, 48, 3, {}, 'myapp.custom_error'],
            [50, 4, {}, [7]],
        ]
        lines = [record.getMessage() for record in caplog.records if 'lone' in record.getMessage()]
        assert len(lines) == 1
        assert 'TestRPCHandler.test_progressive.<locals>.rpc_handler' in lines[0]


def test_names_that_only_the_documentation_has() -> None:
    """Row 22 of the differences: add_topics, add_default_arg, TopicRouteSet.topic, CRAAuthRequirement."""
    app = serverwamp.Application()
    topics = serverwamp.TopicRouteSet()
    left = []

    @topics.topic('news')
    async def news(session, database):
        await session.send_event('news', args=(database,))
        yield
        left.append('news')

    app.add_default_arg('database', 'the database')
    app.add_topics(topics)
    answers = run(app, [32, 1, {}, 'news'])
    assert answers == [[33, 1, 'sub 1'], [36, 'sub 1', 'publication 1', {}, ['the database']]]
    assert left == ['news']
    requirement = serverwamp.CRAAuthRequirement(b'secret', 'role', 'provider')
    assert (requirement.secret, requirement.auth_role, requirement.auth_provider) == (
        b'secret',
        'role',
        'provider',
    )


def test_routes_of_both_kinds_by_one_name() -> None:
    app = serverwamp.Application()
    topics = serverwamp.TopicRouteSet()

    @topics.route('news')
    async def news():
        yield

    app.add_routes([*make_api(get='got'), *topics])
    assert run(app, call('get'), [32, 2, {}, 'news']) == [[50, 1, {}, ['got']], [33, 2, 'sub 1']]


def test_annotations_of_the_examples() -> None:
    """The example's names can be imported from where it imports them."""
    from serverwamp_fast.adapters.trio import TrioAsyncSupport
    from serverwamp_fast.rpc import RPCErrorResult, RPCProgressReport, RPCRequest, RPCResult

    assert all(
        map(
            inspect.isclass,
            (TrioAsyncSupport, RPCErrorResult, RPCProgressReport, RPCRequest, RPCResult),
        )
    )
