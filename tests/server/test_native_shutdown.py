"""How the native server ends: GOODBYE for every session, time for clients and handlers, and nothing left behind."""

import asyncio
import contextlib
from typing import Any

import pytest
from support.client_frames import CLOSE, close_payload, frame
from support.echo_servers import JSON
from support.raw_client import CLIENT_GOODBYE, HELLO, RawClient, Served, make_app, warnings_in

import serverwamp_fast as wamp
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport


class OwnSupport(AsyncioAsyncSupport):
    """Makes the application read the messages itself."""


async def start(app: Any, **options: Any) -> tuple[Any, Served]:
    server = await app.serve('127.0.0.1', 0, **options)
    return server, Served(server)


async def answer_goodbye(client: RawClient) -> None:
    assert await client.hear() == [6, {}, 'wamp.close.system_shutdown']
    await client.say(CLIENT_GOODBYE)
    await client.expect_close(1000)
    await client.send(frame(CLOSE, close_payload(1000)))
    await client.expect_end()


@pytest.mark.parametrize('support', [AsyncioAsyncSupport, OwnSupport])
def test_every_session_is_told(run, caplog, support: Any) -> None:
    async def main() -> None:
        app = make_app(async_support=support)
        server, served = await start(app)
        clients = [await served.join() for _ in range(20)]
        server.close()
        await asyncio.gather(*(answer_goodbye(client) for client in clients))
        await server.wait_closed()
        assert not served.connections and not served.tasks and not app._active_sessions

    run(main())
    assert not warnings_in(caplog)


@pytest.mark.parametrize('support', [AsyncioAsyncSupport, OwnSupport])
def test_connections_without_a_session_are_closed(run, support: Any) -> None:
    async def main() -> None:
        # Long enough that these would be noticed.
        app = make_app(async_support=support, open_timeout=3600, close_timeout=3600)
        server, served = await start(app)
        silent = await served.connect_tcp()
        asking = await served.connect_tcp()
        await asking.send(b'GET / HTTP/1.1\r\n')
        # Two turns of the loop for each: the server has accepted and read.
        while len(served.connections) < 2:
            await asyncio.sleep(0.001)
        opened = await served.connect()
        if support is OwnSupport:
            # There the application holds it. It would be closed by its deadline.
            opened.close()
        server.close()
        for client in silent, asking:
            with contextlib.suppress(ConnectionResetError):
                assert await client.read_rest() == b''
        if support is AsyncioAsyncSupport:
            await opened.expect_close(1001)
            opened.close()
        await server.wait_closed()

    run(main())


def test_nobody_gets_in_any_more(run) -> None:
    async def main() -> None:
        server, served = await start(make_app())
        client = await served.join()
        server.close()
        assert not server.sockets
        with pytest.raises(OSError):
            await served.connect_tcp()
        await answer_goodbye(client)
        await server.wait_closed()

    run(main())


def test_closing_twice_and_waiting_twice(run) -> None:
    async def main() -> None:
        server, served = await start(make_app())
        # Not closed yet: there is nothing to wait for.
        await server.wait_closed()
        client = await served.join()
        server.close()
        server.close()
        waits = [asyncio.create_task(server.wait_closed()) for _ in range(2)]
        await asyncio.sleep(0)
        # Who gives up waiting doesn't stop it.
        waits[0].cancel()
        await answer_goodbye(client)
        await waits[1]
        await server.wait_closed()
        server.close()

    run(main())


def test_the_context_manager_closes_also_after_an_error(run) -> None:
    async def main() -> None:
        told = []
        with pytest.raises(RuntimeError, match='on purpose'):
            async with await make_app().serve('127.0.0.1', 0) as server:
                client = await Served(server).join()
                told.append(asyncio.create_task(answer_goodbye(client)))
                raise RuntimeError('on purpose')
        await told[0]
        assert not server.sockets

    run(main())


def test_serve_forever_ends_when_it_is_cancelled(run) -> None:
    async def main() -> None:
        server, served = await start(make_app())
        serving = asyncio.create_task(server.serve_forever())
        client = await served.join()
        serving.cancel()
        await answer_goodbye(client)
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not served.connections

    run(main())


@pytest.mark.parametrize('support', [AsyncioAsyncSupport, OwnSupport])
def test_clients_that_do_not_read_keep_nobody_waiting(run, support: Any) -> None:
    async def main() -> None:
        app = make_app(async_support=support, close_timeout=3600)
        routes = wamp.RPCRouteSet()

        @routes.route('large')
        async def large() -> str:
            return 'x' * 200_000

        app.add_rpc_routes(routes)
        server, served = await start(app)
        deaf = [await served.join(receive_buffer=4096) for _ in range(5)]
        for client in deaf:
            await client.say(*([48, number, {}, 'large'] for number in range(1, 101)))
        clients = [await served.join() for _ in range(5)]
        while sum(not one.transport.is_reading() for one in served.connections) < len(deaf):
            await asyncio.sleep(0.001)
        server.close()
        await asyncio.gather(*(answer_goodbye(client) for client in clients))
        for client in deaf:
            client.reset()
        await server.wait_closed()

    run(main())


@pytest.mark.parametrize('support', [AsyncioAsyncSupport, OwnSupport])
@pytest.mark.parametrize('reads', [False, True])
def test_clients_that_do_not_answer_are_cut_off(run, support: Any, reads: bool) -> None:
    async def main() -> None:
        app = make_app(async_support=support, close_timeout=0.05)
        routes = wamp.RPCRouteSet()

        @routes.route('large')
        async def large() -> str:
            return 'x' * 200_000

        app.add_rpc_routes(routes)
        server, served = await start(app)
        client = await served.join(receive_buffer=None if reads else 4096)
        if not reads:
            await client.say(*([48, number, {}, 'large'] for number in range(1, 101)))
            (connection,) = served.connections
            while connection.transport.is_reading():
                await asyncio.sleep(0.001)
        server.close()
        if reads:
            assert (await client.hear())[0] == 6
            await client.expect_close(1000)
        await server.wait_closed()
        assert not served.connections and not served.tasks and not app._active_sessions
        client.close()

    run(main())


# Handlers


def test_running_calls_may_end(run) -> None:
    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        started, go = asyncio.Event(), asyncio.Event()
        done = []

        @routes.route('work')
        async def work() -> None:
            started.set()
            await go.wait()
            done.append('work')

        app.add_rpc_routes(routes)
        server, served = await start(app)
        client = await served.join()
        await client.say([48, 1, {}, 'work'])
        await started.wait()
        server.close()
        await answer_goodbye(client)
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
        go.set()
        await waiting
        assert done == ['work']

    run(main())


def test_handlers_that_do_not_end_are_cancelled_and_sessions_cleaned_up(run, caplog) -> None:
    events: list[str] = []

    async def main() -> None:
        app = make_app(close_timeout=0.05)
        routes = wamp.RPCRouteSet()
        topics = wamp.TopicRouteSet()
        started = asyncio.Event()

        async def wait_for_ever(name: str) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                events.append(f'{name} cancelled')
                raise

        @routes.route('work')
        async def work() -> None:
            await wait_for_ever('call')

        @topics.topic('done')
        async def done() -> Any:
            yield
            events.append('unsubscribed')

        @topics.topic('t')
        async def subscribed() -> Any:
            started.set()
            await wait_for_ever('subscription')
            yield

        async def lifespan() -> Any:
            yield
            # A clean-up that takes a moment is let to end.
            await asyncio.sleep(0)
            events.append('session end')

        async def task() -> None:
            await wait_for_ever('task')

        @routes.route('spawn')
        async def spawn(session: Any) -> None:
            await session.spawn_task(task)

        app.add_rpc_routes(routes)
        app.add_topic_routes(topics)
        app.add_session_lifespan_handler(lifespan)
        server, served = await start(app)
        client = await served.join()
        await client.ask(48, 1, {}, 'spawn')
        await client.ask(32, 2, {}, 'done')
        await client.say([48, 3, {}, 'work'], [32, 4, {}, 't'], [48, 5, {}, 'work'])
        await started.wait()
        server.close()
        await server.wait_closed()
        assert not served.connections and not served.tasks and not app._active_sessions
        client.close()

    run(main())
    # The call that was held behind the subscription was started by its end, and ended in its turn.
    assert events.count('call cancelled') >= 1
    assert events[-2:] == ['unsubscribed', 'session end']
    assert {'task cancelled', 'subscription cancelled'} <= set(events)
    assert not warnings_in(caplog)


def test_an_authenticator_that_does_not_end_is_cancelled(run) -> None:
    async def main() -> None:
        app = make_app(close_timeout=0.05)
        started = asyncio.Event()

        async def authenticate(session: Any) -> None:
            started.set()
            await asyncio.Event().wait()

        app.set_authentication_handler(authenticate)
        server, served = await start(app)
        client = await served.connect()
        await client.say(HELLO)
        await started.wait()
        server.close()
        await client.expect_abort('wamp.close.system_shutdown')
        await server.wait_closed()
        assert not served.tasks and not app._active_sessions

    run(main())


def test_a_handler_may_close_the_server(run) -> None:
    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('stop')
        async def stop() -> None:
            server.close()

        app.add_rpc_routes(routes)
        server, served = await start(app)
        client = await served.join()
        await client.say([48, 1, {}, 'stop'])
        heard = [await client.hear() for _ in range(2)]
        assert sorted(message[0] for message in heard) == [6, 50]
        await client.say(CLIENT_GOODBYE)
        await client.leave()
        await server.wait_closed()

    run(main())


def test_a_session_that_is_closing_already_is_not_told_twice(run) -> None:
    async def main() -> None:
        server, served = await start(make_app())
        client = await served.join(JSON)
        (connection,) = served.connections
        await connection.current_session.close('com.example.bye')
        server.close()
        assert await client.hear() == [6, {}, 'com.example.bye']
        await client.expect_close(1001)
        client.close()
        await server.wait_closed()

    run(main())


def test_handlers_that_go_on_when_they_are_cancelled_are_named_and_left(run, caplog) -> None:
    async def main() -> None:
        app = make_app(close_timeout=0.05)
        routes = wamp.RPCRouteSet()
        topics = wamp.TopicRouteSet()
        go = asyncio.Event()

        async def go_on() -> None:
            while not go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await go.wait()

        @routes.route('stubborn')
        async def stubborn() -> None:
            await go_on()

        @routes.route('spawn')
        async def spawn(session: Any) -> None:
            await session.spawn_task(go_on)

        @topics.topic('t')
        async def subscribed() -> Any:
            await go_on()
            yield

        app.add_rpc_routes(routes)
        app.add_topic_routes(topics)
        server, served = await start(app)
        client = await served.join()
        await client.ask(48, 1, {}, 'spawn')
        await client.say([48, 2, {}, 'stubborn'], [32, 3, {}, 't'], [48, 4, {}, 'echo'])
        while len(served.tasks) < 3:
            await asyncio.sleep(0.001)
        server.close()
        await server.wait_closed()
        go.set()
        client.close()
        await served.all_gone()

    run(main())
    (line,) = warnings_in(caplog)
    assert 'call of stubborn' in line
    for name in 'go_on > Event.wait', '> subscribe':
        assert name in line


def test_a_connection_accepted_in_the_turn_of_the_end_is_closed_at_once(run) -> None:
    async def main() -> None:
        server, served = await start(make_app(open_timeout=3600, close_timeout=3600))
        client = await served.connect_tcp()
        # Accepted, but the loop has not told the server: asyncio does that a turn later.
        connection = server._connect()
        server.close()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, client.sock.dup())
        assert connection.transport.is_closing()
        client.close()
        await server.wait_closed()

    run(main())
