"""Application(strict_ids=True) and Application(strict_uris=True), on the native server and on other connections."""

from typing import Any

import pytest
from support.raw_client import HELLO, make_app, warnings_in
from support.session_clients import Clients

import serverwamp_fast as wamp

VIOLATION = 'wamp.error.protocol_violation'


@pytest.fixture(params=['native', 'own'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


def make_strict_app(**options: Any) -> Any:
    app = make_app(**options)
    topics = wamp.TopicRouteSet()

    @topics.prefix_route('news')
    async def news() -> Any:
        yield

    app.add_topic_routes(topics)
    return app


def test_both_are_off_by_default() -> None:
    app = wamp.Application()
    assert (app.strict_ids, app.strict_uris) == (False, False)


# ---- Ids ---------------------------------------------------------------------------------------


def test_requests_in_sequence(run, clients: Clients) -> None:
    async def main() -> None:
        async with clients.of(make_strict_app(strict_ids=True)) as connect:
            client = await connect()
            await client.hello()
            assert await client.call(1, 'echo', 'a') == ['a']
            subscribed = await client.ask(32, 2, {}, 'news.sport')
            assert subscribed[:2] == [33, 2]
            # CANCEL speaks of an old request, and is none of its own.
            await client.say([49, 1, {}])
            assert await client.ask(34, 3, subscribed[2]) == [35, 3]
            # Refused for its URI, and counted.
            assert (await client.ask(48, 4, {}, 'no uri'))[:3] == [8, 48, 4]
            assert (await client.ask(64, 5, {}, 'com.example'))[:3] == [8, 64, 5]
            await client.say([16, 6, {}, 'news.sport'])
            assert await client.call(7, 'echo') == []

    run(main())


@pytest.mark.parametrize(
    'message',
    [
        [48, 3, {}, 'echo'],
        [48, 1, {}, 'echo'],
        [48, 2**53, {}, 'echo'],
        [32, 1, {}, 'news.sport'],
        [34, 3, 1],
        [16, 1, {}, 'news.sport'],
        [64, 7, {}, 'com.example'],
        [66, 7, 1],
        [48, 3, {}, 'no uri'],
        [32, 1, {'match': 'best'}, 'news.sport'],
    ],
    ids=str,
)
def test_requests_out_of_sequence(run, clients: Clients, message: list[Any], caplog: Any) -> None:
    async def main() -> None:
        async with clients.of(make_strict_app(strict_ids=True)) as connect:
            client, other = await connect(), await connect()
            for joining in client, other:
                await joining.hello()
            assert await client.call(1, 'echo', 'a') == ['a']
            await client.say(message)
            details = await client.expect_abort(VIOLATION)
            assert details['message'] == (
                f'The request id {message[1]} is out of sequence, 2 would be the next.'
            )
            assert await other.call(1, 'echo', 'b') == ['b']

    run(main())
    (line,) = warnings_in(caplog)
    assert 'out of sequence' in line


def test_each_session_has_its_own_sequence(run, clients: Clients) -> None:
    """Also one that follows another on the same connection."""

    async def main() -> None:
        async with clients.of(make_strict_app(strict_ids=True)) as connect:
            client = await connect()
            for _ in range(2):
                await client.hello()
                assert await client.call(1, 'echo', 'a') == ['a']
                assert await client.call(2, 'echo', 'b') == ['b']
                assert (await client.ask(6, {}, 'wamp.close.close_realm'))[0] == 6

    run(main())


def test_a_progressive_call_is_answered_once(run, clients: Clients) -> None:
    """What the client still sends for it is dropped, whatever that is (WAMP AP, "Continuations on Completed Calls")."""
    app = make_strict_app(strict_ids=True)
    app.add_rpc_routes(uploads())

    async def main() -> None:
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            await client.say([48, 1, {'progress': True}, 'count'])
            assert await client.call(2, 'echo', 'between') == ['between']
            assert await client.call(1, 'count') == [2]
            await client.say(
                [48, 1, {}, 'count'], [48, 1, {'progress': True}, 'count'], [48, 1, {}, 'echo'], [48, 1, {}, 'no uri']
            )
            assert await client.call(3, 'echo', 'after') == ['after']

    run(main())


def test_any_ids_where_nobody_is_strict(run, clients: Clients) -> None:
    async def main() -> None:
        async with clients.of(make_strict_app()) as connect:
            client = await connect()
            await client.hello()
            for number in 7, 3, 2**53, 1:
                assert await client.call(number, 'echo', number) == [number]

    run(main())


# ---- URIs --------------------------------------------------------------------------------------

LOOSE_ONLY = ['Echo', 'com.exämple', 'com.exam-ple', 'com.example!']


@pytest.mark.parametrize('uri', LOOSE_ONLY)
@pytest.mark.parametrize(('code', 'strict'), [(48, True), (32, True), (48, False), (32, False)])
def test_uris(run, clients: Clients, code: int, strict: bool, uri: str) -> None:
    async def main() -> None:
        async with clients.of(make_strict_app(strict_uris=strict)) as connect:
            client = await connect()
            await client.hello()
            answer = await client.ask(code, 1, {}, uri)
            assert answer[:4] == [8, code, 1, {}]
            if strict:
                assert answer[4] == 'wamp.error.invalid_uri'
                assert answer[6]['message'].endswith('is not a URI')
            elif code == 48:
                assert answer[4] == 'wamp.error.no_such_procedure'
            assert await client.call(2, 'echo', 1) == [1]

    run(main())


@pytest.mark.parametrize(
    ('hello', 'reason'),
    [
        ([1, 'Realm-1', {'roles': {'caller': {}}}], 'wamp.error.invalid_uri'),
        ([1, 'realm1', {}], VIOLATION),
        ([1, 'realm1', {'roles': {}}], VIOLATION),
        ([1, 'realm1', {'roles': ['caller']}], VIOLATION),
        ([1, 'realm1', {'roles': {'caller': {}}}, 'more'], VIOLATION),
    ],
    ids=str,
)
def test_hello(run, clients: Clients, hello: list[Any], reason: str) -> None:
    async def main() -> None:
        async with clients.of(make_strict_app(strict_uris=True)) as connect:
            client = await connect()
            await client.say(hello)
            await client.expect_abort(reason)
        async with clients.of(make_strict_app()) as connect:
            client = await connect()
            assert (await client.ask(*hello))[0] == 2

    run(main())


def uploads() -> wamp.RPCRouteSet:
    routes = wamp.RPCRouteSet()

    @routes.route('count')
    async def count(request: Any) -> list[int]:
        return [len([part async for part in request.inputs])]

    return routes


@pytest.mark.parametrize(
    'roles',
    [
        {'caller': {}},
        {'caller': {'features': {}}},
        {'caller': {'features': {'progressive_call_invocations': False}}},
        {'caller': {'features': {'progressive_call_invocations': 1}}},
        {'caller': {'features': ['progressive_call_invocations']}},
        {'caller': None},
        {'callee': {'features': {'progressive_call_invocations': True}}},
    ],
    ids=str,
)
def test_progressive_calls_that_were_not_announced(run, clients: Clients, roles: Any) -> None:
    async def main() -> None:
        for strict in False, True:
            app = make_strict_app(strict_uris=strict)
            app.add_rpc_routes(uploads())
            async with clients.of(app) as connect:
                client = await connect()
                assert (await client.ask(1, 'realm1', {'roles': roles}))[0] == 2
                heard = await client.ask(48, 1, {'progress': False}, 'echo')
                assert heard[:3] == [50, 1, {}]
                await client.say([48, 2, {'progress': True}, 'count'])
                if strict:
                    details = await client.expect_abort(VIOLATION)
                    assert 'progressive_call_invocations' in details['message']
                else:
                    assert await client.call(2, 'count') == [2]

    run(main())


def test_progressive_calls_that_were_announced(run, clients: Clients) -> None:
    roles = {'caller': {'features': {'progressive_call_invocations': True}}}

    async def main() -> None:
        app = make_strict_app(strict_uris=True)
        app.add_rpc_routes(uploads())
        async with clients.of(app) as connect:
            client = await connect()
            assert (await client.ask(1, 'realm1', {'roles': roles}))[0] == 2
            await client.say([48, 1, {'progress': True}, 'count'])
            assert await client.call(1, 'count') == [2]

    run(main())


def test_elements_too_many(run, clients: Clients) -> None:
    call = [48, 1, {}, 'echo', [1], {}, 'more']

    async def main() -> None:
        async with clients.of(make_strict_app(strict_uris=True)) as connect:
            client = await connect()
            await client.hello()
            await client.say(call)
            assert 'too many elements' in (await client.expect_abort(VIOLATION))['message']
        async with clients.of(make_strict_app()) as connect:
            client = await connect()
            await client.hello()
            assert (await client.ask(*call))[:3] == [50, 1, {}]

    run(main())


def test_elements_too_many_in_authenticate(run, clients: Clients) -> None:
    async def check_ticket(session: Any, ticket: str) -> str:
        return ticket

    async def authenticate(strict: bool, *authenticate: Any) -> Any:
        app = make_strict_app(strict_uris=strict)
        app.set_ticket_authenticator(check_ticket)
        async with clients.of(app) as connect:
            client = await connect()
            hello = [1, 'realm1', {'roles': {'caller': {}}, 'authmethods': ['ticket'], 'authid': 'ada'}]
            assert await client.ask(*hello) == [4, 'ticket', {}]
            await client.say(list(authenticate))
            if strict and len(authenticate) > 3:
                assert 'too many elements' in (await client.expect_abort(VIOLATION))['message']
            else:
                assert (await client.hear())[0] == 2

    async def main() -> None:
        await authenticate(True, 5, 'ticket', {}, 'more')
        await authenticate(True, 5, 'ticket', {})
        await authenticate(False, 5, 'ticket', {}, 'more')

    run(main())


def test_a_well_behaved_client_notices_nothing(run, clients: Clients) -> None:
    async def main() -> None:
        async with clients.of(make_strict_app(strict_ids=True, strict_uris=True)) as connect:
            client = await connect()
            assert (await client.ask(*HELLO))[0] == 2
            assert await client.call(1, 'echo', 1) == [1]
            assert (await client.ask(32, 2, {}, 'news.sport_2'))[:2] == [33, 2]
            assert (await client.ask(6, {}, 'wamp.close.close_realm'))[0] == 6

    run(main())
