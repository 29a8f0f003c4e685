"""One WAMP client on the native transport: how its sessions begin and end, and what becomes of bad input."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest
from support.client_frames import CLOSE, close_payload, frame
from support.echo_servers import JSON, MSGPACK_BATCHED
from support.raw_client import (
    CLIENT_GOODBYE,
    HELLO,
    RawClient,
    Served,
    make_app,
    serving,
    warnings_in,
)

import serverwamp_fast as wamp
from serverwamp_fast.connection import ConnectionClosed

VIOLATION = 'wamp.error.protocol_violation'


def own_session(server: Served) -> Any:
    """The session of the one client there is."""
    (connection,) = server.connections
    return connection.current_session


# GOODBYE and ABORT


def test_goodbye_is_answered_and_another_hello_starts_over(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            first = client.session_id
            for _ in range(3):
                answer = await client.ask(*CLIENT_GOODBYE)
                assert answer[0] == 6
                assert answer[2] == 'wamp.close.goodbye_and_out'
                assert own_session(server) is None
                await client.hello()
                assert client.session_id != first
                assert own_session(server).id == client.session_id
                assert await client.call(1, 'echo', 'x') == ['x']
            await client.leave()

    run(main())


def test_all_of_several_sessions_in_one_segment(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect()
            # This request is answered before the next message is looked at, which a call need not be.
            session = [HELLO, [34, 1, 999], CLIENT_GOODBYE]
            await client.say(*session * 50)
            ids = set()
            for _ in range(50):
                code, session_id, _ = await client.hear()
                assert code == 2
                ids.add(session_id)
                assert (await client.hear())[:3] == [8, 34, 1]
                assert (await client.hear())[0] == 6
            assert len(ids) == 50
            await client.leave()

    run(main())


def test_messages_between_goodbye_and_hello_are_violations(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            await client.say(CLIENT_GOODBYE, [48, 1, {}, 'echo'])
            assert (await client.hear())[0] == 6
            await client.expect_abort(VIOLATION)

    run(main())


def test_the_servers_goodbye_is_answered_and_the_connection_closed(run) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            session = own_session(server)
            await session.close('wamp.close.killed', 'Enough.')
            assert not session.is_open
            assert await client.hear() == [6, {'message': 'Enough.'}, 'wamp.close.killed']
            with pytest.raises(ConnectionClosed):
                await session.send_raw((50, 1, {}))
            # Only GOODBYE counts from here on.
            await client.say([48, 1, {}, 'echo'], [32, 2, {}, 't'], [49, 1, {}], CLIENT_GOODBYE)
            await client.expect_close(1000)
            await client.send(frame(CLOSE, close_payload(1000)))
            await client.expect_end()
            await server.all_gone()

    run(main())


def test_nothing_follows_the_servers_goodbye(run, caplog) -> None:
    """Not even ABORT, for a client that breaks the protocol afterwards."""

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            await own_session(server).close()
            assert (await client.hear())[0] == 6
            await client.say([999])
            await client.expect_close(1000)
            await client.send(frame(CLOSE, close_payload(1000)))
            await client.expect_end()

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_goodbyes_that_cross_end_the_session_once(run) -> None:
    ends = []

    async def lifespan(session: Any) -> Any:
        yield
        ends.append(session.id)

    async def main() -> None:
        app = make_app()
        app.add_session_lifespan_handler(lifespan)
        async with serving(app) as server:
            client = await server.join()
            # The client's is on its way before the server's is sent.
            client.send_now(client.pack(CLIENT_GOODBYE))
            await own_session(server).close()
            assert (await client.hear())[0] == 6
            await client.expect_close(1000)
            client.close()
            await server.all_gone()
            assert ends == [client.session_id]

    run(main())


def test_a_client_that_does_not_answer_goodbye_is_closed(run) -> None:
    async def main() -> None:
        async with serving(make_app(close_timeout=0.05)) as server:
            client = await server.join()
            await own_session(server).close()
            assert (await client.hear())[0] == 6
            await client.expect_close(1000)
            # Nor Close.
            assert await client.read_rest() == b''
            await server.all_gone()

    run(main())


@pytest.mark.parametrize('opened', [False, True])
def test_a_clients_abort_ends_the_connection_without_an_answer(run, caplog, opened: bool) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await (server.join() if opened else server.connect())
            await client.say([3, {'message': 'No.'}, 'wamp.error.no_such_realm'], [48, 1, {}, 'echo'])
            await client.expect_close(1000)
            await client.send(frame(CLOSE, close_payload(1000)))
            await client.expect_end()

    run(main())
    assert not warnings_in(caplog)


def test_abort_and_close_from_handlers(run) -> None:
    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        closed = []

        @routes.route('abort')
        async def abort(session: Any) -> str:
            await session.abort('com.example.no', 'No more.')
            return 'not sent'

        @routes.route('goodbye')
        async def goodbye(session: Any) -> str:
            await session.close('com.example.bye')
            return 'not sent'

        @routes.route('close')
        async def close(session: Any) -> str:
            await session.connection.close()
            await session.connection.close()
            return 'not sent'

        @routes.route('abort_connection')
        async def abort_connection(session: Any) -> str:
            await session.connection.abort('com.example.off')
            with pytest.raises(ConnectionClosed):
                await session.connection.send_msg((50, 1, {}))
            closed.append(session.connection.is_closed)
            return 'not sent'

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            # What comes behind is not handled any more.
            await client.say([48, 1, {}, 'abort'], [48, 2, {}, 'echo'])
            assert await client.expect_abort('com.example.no') == {'message': 'No more.'}

            client = await server.join()
            await client.say([48, 1, {}, 'goodbye'], [48, 2, {}, 'echo'])
            assert await client.hear() == [6, {}, 'com.example.bye']
            await client.say(CLIENT_GOODBYE)
            await client.expect_close(1000)

            client = await server.join()
            await client.say([48, 1, {}, 'close'], [48, 2, {}, 'echo'])
            await client.expect_close(1000)

            client = await server.join()
            await client.say([48, 1, {}, 'abort_connection'], [48, 2, {}, 'echo'])
            await client.expect_abort('com.example.off')
            assert closed == [True]

    run(main())


def test_a_connection_that_is_closed_while_a_subscription_starts_stays_limited(run) -> None:
    """The time for Close runs on when the handler has ended, though the session is open then."""

    async def main() -> None:
        app = make_app(close_timeout=0.05)
        topics = wamp.TopicRouteSet()

        @topics.topic('t')
        async def subscribed(session: Any) -> Any:
            await session.connection.close()
            await asyncio.sleep(0)
            yield

        app.add_topic_routes(topics)
        async with serving(app) as server:
            client = await server.join()
            await client.say([32, 1, {}, 't'])
            await client.expect_close(1000)
            # The client doesn't answer Close.
            await server.all_gone()

    run(main())


def test_a_task_that_outlives_its_session_cannot_send_in_the_next_one(run) -> None:
    outcome: list[BaseException] = []

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        go, done = asyncio.Event(), asyncio.Event()

        @routes.route('late')
        async def late(session: Any) -> str:
            await go.wait()
            try:
                await session.send_raw((36, 1, 1, {}, ['late']))
            except ConnectionClosed as error:
                outcome.append(error)
            done.set()
            return 'late'

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            await client.say([48, 1, {}, 'late'], CLIENT_GOODBYE)
            assert (await client.hear())[0] == 6
            await client.hello()
            go.set()
            await done.wait()
            # Its result is not sent either: the next thing is this call's.
            assert await client.call(1, 'echo', 'mine') == ['mine']
            await client.leave()

    run(main())
    assert len(outcome) == 1


# Deadlines


def test_without_hello_the_connection_is_aborted(run, caplog) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(make_app(open_timeout=0.05)) as server:
            client = await server.connect()
            details = await client.expect_abort('wamp.error.timeout')
            assert '0.05 seconds' in details['message']
            await server.all_gone()

    run(main())
    # A client that says nothing is no reason for a warning.
    assert not warnings_in(caplog)
    (line,) = [line for line in caplog.messages if 'wamp.error.timeout' in line]
    assert '0.05 seconds' in line


def test_without_another_hello_the_connection_is_aborted(run) -> None:
    async def main() -> None:
        async with serving(make_app(open_timeout=0.05)) as server:
            client = await server.join()
            assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            await client.expect_abort('wamp.error.timeout')

    run(main())


def test_an_open_session_has_no_deadline(run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(make_app(open_timeout=0.05)) as server:
            client = await server.join()
            # Far beyond the deadline, which the loop has had to look at by then.
            passed = loop.create_future()
            loop.call_later(0.2, passed.set_result, None)
            await passed
            assert await client.call(1, 'echo', 'still') == ['still']
            await client.leave()

    run(main())


@pytest.mark.parametrize('stubborn', [False, True])
def test_an_authenticator_that_takes_too_long(run, stubborn: bool) -> None:
    ends: list[str] = []

    async def lifespan() -> Any:
        yield
        ends.append('lifespan')

    async def main() -> None:
        app = make_app(open_timeout=0.05)

        async def authenticate(session: Any) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ends.append('authenticator')
                if not stubborn:
                    raise
            with pytest.raises(ConnectionClosed):
                await session.mark_authenticated('me')
            ends.append('stubborn authenticator')

        app.set_authentication_handler(authenticate)
        app.add_session_lifespan_handler(lifespan, authenticated_only=False)
        async with serving(app) as server:
            client = await server.connect()
            # It doesn't help the client to send more.
            await client.say(HELLO, [48, 1, {}, 'echo'], [32, 2, {}, 't'])
            await client.expect_abort('wamp.error.timeout')
            await server.all_gone()
        expected = ['authenticator', 'lifespan']
        assert ends == (expected[:1] + ['stubborn authenticator'] + expected[1:] if stubborn else expected)

    run(main())


# The same on one connection, in every split


@pytest.mark.parametrize('size', [1, 2, 5])
@pytest.mark.parametrize('subprotocol', [JSON, MSGPACK_BATCHED])
def test_a_whole_session_in_pieces(run, subprotocol: str, size: int) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect(subprotocol)
            messages = [HELLO, [48, 1, {}, 'echo', ['ü']], [48, 2, {}, 'a.b'], CLIENT_GOODBYE]
            stream = b''.join(client.pack(message) for message in messages)
            await client.send_in_pieces(stream + frame(CLOSE, close_payload(1000)), size)
            assert (await client.hear())[0] == 2
            assert await client.hear() == [50, 1, {}, ['ü']]
            assert (await client.hear())[:3] == [8, 48, 2]
            assert (await client.hear())[0] == 6
            await client.expect_close(1000)
            await client.expect_end()

    run(main())


Ending = Callable[[RawClient], None]


@pytest.mark.parametrize('ending', [RawClient.reset, RawClient.end_output, RawClient.close])
@pytest.mark.parametrize('sent', [[], [HELLO], [HELLO, CLIENT_GOODBYE], [HELLO, [48, 1, {}, 'echo']]])
def test_a_client_may_vanish_in_any_state(run, caplog, ending: Ending, sent: list[Any]) -> None:
    async def main() -> None:
        app = make_app()
        ended = []

        async def lifespan(session: Any) -> Any:
            yield
            ended.append(session.id)

        app.add_session_lifespan_handler(lifespan)
        async with serving(app) as server:
            client = await server.connect()
            await client.say(*sent)
            ending(client)
            await server.all_gone()
            if ending is RawClient.end_output:
                assert len(ended) == (HELLO in sent)
                with contextlib.suppress(ConnectionResetError):
                    assert b'\x88' not in await client.read_rest()

    run(main())
    assert not warnings_in(caplog)
