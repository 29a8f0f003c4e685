"""What ends the opening of a session before anybody has decided about it: time, the client, or the server.

The same on the native server and on a connection of the user's own, which hands over messages one by one.
"""

import asyncio
import logging
from typing import Any

import pytest
from support.raw_client import HELLO, make_app, warnings_in
from support.session_clients import Clients, Pair

from serverwamp_fast.connection import ConnectionClosed


@pytest.fixture(params=['native', 'own connection'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


class Hanging:
    """Something that an authenticator or a lifespan handler waits for in vain."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.was_cancelled = asyncio.Event()

    async def wait(self) -> None:
        self.has_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled.set()
            raise


def hang_in(app: Any, place: str) -> Hanging:
    hanging = Hanging()

    async def authenticate(session: Any) -> None:
        await hanging.wait()

    async def lifespan() -> Any:
        await hanging.wait()
        yield

    if place == 'authenticator':
        app.set_authentication_handler(authenticate)
    else:
        app.add_session_lifespan_handler(lifespan, authenticated_only=False)
    return hanging


PLACES = pytest.mark.parametrize('place', ['authenticator', 'lifespan handler'])


@PLACES
def test_the_deadline_cancels(run, clients: Clients, caplog, place: str) -> None:
    async def main() -> None:
        app = make_app(open_timeout=0.05)
        hanging = hang_in(app, place)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO, [48, 1, {}, 'echo'])
            await client.expect_abort('wamp.error.timeout')
            await hanging.was_cancelled.wait()
            if isinstance(client, Pair):
                await client.serving
            else:
                await client.vanish()
            assert not app._active_sessions

    run(main())
    assert len(warnings_in(caplog)) == 1


@PLACES
def test_a_client_that_leaves_cancels(run, clients: Clients, caplog, place: str) -> None:
    async def main() -> None:
        app = make_app()
        hanging = hang_in(app, place)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO)
            await hanging.has_begun.wait()
            await client.vanish()
            assert hanging.was_cancelled.is_set()

    run(main())
    assert not warnings_in(caplog)


@PLACES
@pytest.mark.parametrize('details', [{}, {'message': 'Changed my mind.'}])
def test_abort_cancels(run, clients: Clients, caplog, place: str, details: Any) -> None:
    """It ends everything in any state, and is not answered."""

    async def main() -> None:
        app = make_app()
        hanging = hang_in(app, place)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO)
            await hanging.has_begun.wait()
            await client.say([3, details, 'com.example.reason'])
            await client.expect_over()
            await hanging.was_cancelled.wait()

    caplog.set_level(logging.INFO, 'serverwamp_fast')
    run(main())
    assert not warnings_in(caplog)
    assert 'The client aborted the session: com.example.reason' in caplog.text


def test_abort_does_not_wait_for_what_came_before(run, caplog) -> None:
    """That is held until WELCOME, which will not come."""

    async def main() -> None:
        app = make_app()
        hanging = hang_in(app, 'authenticator')
        async with Clients('native').of(app) as connect:
            client = await connect()
            await client.say(HELLO, *([48, n, {}, 'echo'] for n in range(1, 6)), [3, {}, 'a.b'])
            await client.expect_over()
            # Where tasks start later, it has not begun.
            if hanging.has_begun.is_set():
                await hanging.was_cancelled.wait()

    run(main())
    assert not warnings_in(caplog)


def test_what_is_no_abort_waits_for_its_turn(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()
        go = asyncio.Event()

        async def authenticate(session: Any) -> None:
            await go.wait()
            await session.mark_authenticated('me')

        app.set_authentication_handler(authenticate)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO, [3])
            await asyncio.sleep(0.01)
            go.set()
            assert (await client.hear())[0] == 2
            await client.expect_abort('wamp.error.protocol_violation')

    run(main())


def test_a_transport_that_raises_when_the_client_leaves(run) -> None:
    async def main() -> None:
        app = make_app()
        hanging = hang_in(app, 'authenticator')
        async with Clients('own connection').of(app) as connect:
            client = await connect()
            await client.say(HELLO)
            await hanging.has_begun.wait()
            await client.say(ConnectionClosed('The client is gone.'))
            await client.serving
            assert hanging.was_cancelled.is_set()

    run(main())


def test_who_has_decided_is_not_cancelled(run, clients: Clients) -> None:
    journal = []

    async def main() -> None:
        app = make_app()
        has_ended = asyncio.Event()

        async def authenticate(session: Any) -> None:
            await session.abort('wamp.error.not_authorized')
            for _ in range(10):
                await asyncio.sleep(0)
            journal.append('noted')
            has_ended.set()

        app.set_authentication_handler(authenticate)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO)
            await client.expect_abort('wamp.error.not_authorized')
            await has_ended.wait()

    run(main())
    assert journal == ['noted']


@pytest.mark.parametrize('place', ['authenticator', 'lifespan handler'])
def test_the_deadline_is_over_with_welcome(run, clients: Clients, caplog, place: str) -> None:
    """Whatever runs after it: it doesn't lead to ABORT in a session that is open."""

    async def main() -> None:
        app = make_app(open_timeout=0.03)

        async def authenticate(session: Any) -> None:
            await session.mark_authenticated('me')
            await asyncio.sleep(0.1)

        async def lifespan() -> Any:
            await asyncio.sleep(0.1)
            yield

        if place == 'authenticator':
            app.set_authentication_handler(authenticate)
        else:
            app.add_session_lifespan_handler(lifespan)
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            assert await client.call(1, 'echo', 'x') == ['x']

    run(main())
    assert not warnings_in(caplog)


def test_what_was_said_meanwhile_is_not_lost(run, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()
        go = asyncio.Event()

        async def authenticate(session: Any) -> None:
            await go.wait()
            await session.mark_authenticated('me')

        app.set_authentication_handler(authenticate)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO, *([48, n, {}, 'one'] for n in range(1, 6)))
            await client.say([6, {}, 'wamp.close.close_realm'], HELLO)
            await asyncio.sleep(0.01)
            go.set()
            assert (await client.hear())[0] == 2
            for n in range(1, 6):
                assert (await client.hear())[:3] == [8, 48, n]
            assert (await client.hear())[0] == 6
            assert (await client.hear())[0] == 2

    run(main())


@PLACES
def test_close_sessions_tells_those_who_wait_for_welcome(run, clients: Clients, place: str) -> None:
    """What the native server does when it closes is in test_native_shutdown."""

    async def main() -> None:
        app = make_app()
        hanging = hang_in(app, place)
        async with clients.of(app) as connect:
            client = await connect()
            await client.say(HELLO)
            await hanging.has_begun.wait()
            await app.close_sessions()
            await client.expect_abort('wamp.close.system_shutdown')
            await hanging.was_cancelled.wait()

    run(main())
