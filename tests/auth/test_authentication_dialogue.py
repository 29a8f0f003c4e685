"""CHALLENGE and AUTHENTICATE: who answers what and when, on the native server and on a connection of one's own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.client_frames import TEXT, close_payload, frame
from support.raw_client import HELLO, make_app, serving, warnings_in
from support.session_clients import Clients

from serverwamp_fast.connection import ConnectionClosed
from serverwamp_fast.session import WAMPSession

Handler = Callable[[Any], Awaitable[Any]]


@pytest.fixture(params=['native', 'own'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


def app_with(handler: Handler, **options: Any) -> Any:
    app = make_app(**options)
    app.set_authentication_handler(handler)
    return app


async def want_ticket(session: Any) -> None:
    await session.mark_authenticated(await session.request_ticket_authentication())


def test_an_answer_with_details(run: Any, clients: Clients) -> None:
    async def authenticate(session: Any) -> None:
        answer = await session.request_authentication('riddle', {'question': 6})
        await session.mark_authenticated((answer.signature, answer.extra))
        heard.append(session.identity)

    heard: list[Any] = []

    async def main() -> None:
        async with clients.of(app_with(authenticate)) as connect:
            client = await connect()
            assert await client.ask(*HELLO) == [4, 'riddle', {'question': 6}]
            assert (await client.ask(5, '42', {'by': 'heart'}))[0] == 2
            assert heard == [('42', {'by': 'heart'})]
            await client.call(1, 'echo')

    run(main())


def test_two_factors(run: Any, clients: Clients) -> None:
    """WAMP AP, "Authentication Methods", speaks of two rounds. Answers may lie in wait."""

    async def authenticate(session: Any) -> None:
        first = await session.request_ticket_auth()
        await asyncio.sleep(0.001)
        second = await session.request_authentication('totp')
        await session.mark_authenticated(first + second.signature)
        heard.append(session.identity)

    heard: list[Any] = []

    async def main() -> None:
        async with clients.of(app_with(authenticate)) as connect:
            client = await connect()
            assert await client.ask(*HELLO) == [4, 'ticket', {}]
            assert await client.ask(5, 'one', {}) == [4, 'totp', {}]
            assert (await client.ask(5, 'two', {}))[0] == 2
            hasty = await connect()
            await hasty.say(HELLO, [5, 'three', {}], [5, 'four', {}], [48, 1, {}, 'echo', [7]])
            assert [(await hasty.hear())[0] for _ in range(4)] == [4, 4, 2, 50]

    run(main())
    assert heard == ['onetwo', 'threefour']


@pytest.mark.parametrize(
    'message',
    [[48, 1, {}, 'echo'], [1, 'realm1', {'roles': {}}], [6, {}, 'bye'], [32, 1, {}, 'topic'], [4, 'ticket', {}],
     [5], [5, 7, {}], [5, 'ticket'], [5, 'ticket', 7], [99], 'text'],
)  # fmt: skip
@pytest.mark.parametrize('early', [False, True])
def test_something_else_than_an_answer(
    run: Any, clients: Clients, message: Any, early: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where it has been sent before the challenge came."""

    async def main() -> None:
        async with clients.of(app_with(want_ticket)) as connect:
            client, other = await connect(), await connect()
            await other.ask(*HELLO)
            if early:
                await client.say(HELLO, message)
                assert await client.hear() == [4, 'ticket', {}]
            else:
                await client.ask(*HELLO)
                await client.say(message)
            assert (await client.expect_abort('wamp.error.protocol_violation'))['message']
            assert (await other.ask(5, 'x', {}))[0] == 2

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_an_answer_that_nobody_has_asked_for(run: Any, clients: Clients) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            await client.hello()
            await client.say([5, 'x', {}])
            await client.expect_abort('wamp.error.protocol_violation')

    run(main())


def test_a_second_answer(run: Any, clients: Clients) -> None:
    async def main() -> None:
        async with clients.of(app_with(want_ticket)) as connect:
            client = await connect()
            await client.ask(*HELLO)
            await client.say([5, 'one', {}], [5, 'two', {}])
            assert (await client.hear())[0] == 2
            await client.expect_abort('wamp.error.protocol_violation')

    run(main())


def test_a_client_that_aborts(
    run: Any, clients: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    """As autobahn does with a challenge that it can't answer."""
    caught: list[Any] = []

    async def authenticate(session: Any) -> None:
        try:
            await session.request_ticket_authentication()
        except ConnectionClosed as error:
            caught.append(session.has_ended)
            raise error

    async def main() -> None:
        async with clients.of(app_with(authenticate)) as connect:
            client = await connect()
            await client.ask(*HELLO)
            await client.say([3, {}, 'wamp.error.cannot_authenticate\n'])
            await client.expect_over()

    caplog.set_level(logging.INFO, 'serverwamp_fast')
    run(main())
    assert caught == [True]
    assert warnings_in(caplog) == []
    assert r"wamp.error.cannot_authenticate\n'" in caplog.text


def test_a_client_that_leaves(run: Any, clients: Clients, caplog: pytest.LogCaptureFixture) -> None:
    caught: list[Any] = []

    async def authenticate(session: Any) -> None:
        try:
            await session.request_ticket_authentication()
        except asyncio.CancelledError:
            caught.append(session.is_open)
            raise

    async def main() -> None:
        async with clients.of(app_with(authenticate)) as connect:
            client = await connect()
            await client.ask(*HELLO)
            await client.vanish()

    run(main())
    assert caught == [False]
    assert warnings_in(caplog) == []


def test_a_client_that_closes(run: Any) -> None:
    async def main() -> None:
        async with serving(app_with(want_ticket)) as server:
            client = await server.connect()
            await client.ask(*HELLO)
            await client.leave(1001)
            await server.all_gone()

    run(main())


def test_what_is_no_message(run: Any) -> None:
    async def main() -> None:
        async with serving(app_with(want_ticket)) as server:
            for data in (frame(TEXT, b'{'), frame(2, b'[5,"x",{}]')):
                client = await server.connect()
                await client.ask(*HELLO)
                await client.send(data)
                await client.expect_abort('wamp.error.protocol_violation')

    run(main())


def test_a_client_that_is_late(run: Any, clients: Clients) -> None:
    """One deadline, that of opening a session, is for the answer too."""

    async def main() -> None:
        async with clients.of(app_with(want_ticket, open_timeout=0.2)) as connect:
            client = await connect()
            await client.ask(*HELLO)
            await client.expect_abort('wamp.error.timeout')

    run(main())


def test_a_server_that_closes(run: Any) -> None:
    async def main() -> None:
        async with serving(app_with(want_ticket)) as server:
            client = await server.connect()
            await client.ask(*HELLO)
            server.server.close()
            assert (await client.hear())[2] == 'wamp.close.system_shutdown'
            await client.expect_close(1000)
            # Too late.
            await client.send(client.pack([5, 'x', {}]) + frame(8, close_payload(1000)))
            await client.expect_end()

    run(main())


def test_an_authenticator_that_fails_after_the_answer(
    run: Any, clients: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    async def authenticate(session: Any) -> None:
        await session.request_ticket_authentication()
        raise LookupError('a secret of the server')

    async def main() -> None:
        async with clients.of(app_with(authenticate)) as connect:
            client = await connect()
            await client.ask(*HELLO)
            await client.say([5, 'x', {}])
            details = await client.expect_abort('wamp.error.authentication_failed')
            assert details == {'message': 'Authentication failed.'}

    run(main())
    assert 'a secret of the server' in caplog.text


def test_asking_at_the_wrong_time(run: Any, clients: Clients) -> None:
    """One question at a time, and none of a session that is open."""
    errors: list[str] = []

    async def try_to_ask(session: Any) -> None:
        try:
            await session.request_ticket_authentication()
        except RuntimeError as error:
            errors.append(str(error))

    async def authenticate(session: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(want_ticket(session))
            tasks.create_task(try_to_ask(session))
        await try_to_ask(session)

    app = app_with(authenticate)

    async def lifespan(session: Any) -> Any:
        await try_to_ask(session)
        yield

    app.add_session_lifespan_handler(lifespan)

    async def main() -> None:
        async with clients.of(app) as connect:
            client = await connect()
            assert await client.ask(*HELLO) == [4, 'ticket', {}]
            assert (await client.ask(5, 'x', {}))[0] == 2
            await client.call(1, 'echo')

    run(main())
    assert errors == [
        'A client can be asked to authenticate only while its session is being opened.'
    ] * 3


def test_a_session_that_nobody_reads_for(run: Any) -> None:
    async def main() -> None:
        session = WAMPSession(None, None)
        with pytest.raises(RuntimeError, match='only while its session is being opened'):
            await session.request_cra_auth('role', 'provider')

    run(main())


def test_calls_that_come_with_the_answer_wait_for_welcome(run: Any, clients: Clients) -> None:
    async def authenticate(session: Any) -> None:
        ticket = await session.request_ticket_authentication()
        await asyncio.sleep(0.001)
        await session.mark_authenticated(ticket)

    async def main() -> None:
        async with clients.of(app_with(authenticate)) as connect:
            client = await connect()
            await client.ask(*HELLO)
            await client.say([5, 'x', {}], [48, 1, {}, 'echo', ['waited']])
            assert (await client.hear())[0] == 2
            code, request, _, args = await client.hear()
            assert (code, request, list(args)) == (50, 1, ['waited'])

    run(main())


def test_an_application_that_handles_connections_itself(run: Any) -> None:
    """There the native server's connections are read like all others."""
    import serverwamp_fast as wamp

    class Own(wamp.Application):
        async def handle_connection(self, connection: Any) -> None:
            await super().handle_connection(connection)

    async def main() -> None:
        app = Own()
        app.set_authentication_handler(want_ticket)
        async with serving(app) as server:
            client = await server.connect()
            assert await client.ask(*HELLO) == [4, 'ticket', {}]
            assert (await client.ask(5, 'x', {}))[0] == 2
            await client.leave()

    run(main())
