"""A client that goes away: what is given up at once, and what is still handled."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from support.client_frames import CLOSE, TEXT, close_payload, frame
from support.raw_client import CLIENT_GOODBYE, HELLO, RawClient, make_app, serving, warnings_in

import serverwamp_fast as wamp
from serverwamp_fast.rpc import RPCInputs

Loss = Callable[[RawClient], None]

losses = pytest.mark.parametrize('loss', [RawClient.reset, RawClient.close, RawClient.end_output])


def say_close(client: RawClient) -> None:
    client.send_now(frame(CLOSE, close_payload(1000)))


class Hanging:
    """An authenticator that lets nobody in, and nobody go."""

    def __init__(self) -> None:
        self.sessions: list[Any] = []
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, session: Any) -> None:
        self.sessions.append(session)
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@pytest.mark.parametrize(
    'loss', [RawClient.reset, RawClient.close, RawClient.end_output, say_close]
)
@pytest.mark.parametrize('held', [0, 1, 50])
def test_nobody_waits_for_the_authentication_of_a_client_that_has_left(
    run, caplog, loss: Loss, held: int
) -> None:
    async def main() -> None:
        app = make_app(open_timeout=3600)
        authenticator = Hanging()
        app.set_authentication_handler(authenticator)
        async with serving(app) as server:
            client = await server.connect()
            await client.say(HELLO, *([48, number, {}, 'echo'] for number in range(1, 1 + held)))
            await authenticator.started.wait()
            loss(client)
            await authenticator.cancelled.wait()
            assert not authenticator.sessions[0].is_open
            if loss is say_close:
                await client.expect_close(1000)
                await client.expect_end()
            await server.all_gone()
            assert not app._active_sessions

    run(main())
    assert not warnings_in(caplog)


def test_the_time_for_opening_ends_with_welcome(run, caplog) -> None:
    async def main() -> None:
        app = make_app(open_timeout=0.05)
        go = asyncio.Event()

        async def lifespan() -> Any:
            await go.wait()
            yield

        app.add_session_lifespan_handler(lifespan)
        async with serving(app) as server:
            client = await server.join()
            # Longer than the time for opening, for which the loop has a timer.
            await asyncio.sleep(0.1)
            go.set()
            assert await client.call(1, 'echo', 'a') == ['a']

    run(main())
    assert not warnings_in(caplog)


@losses
def test_a_session_whose_client_has_left_during_a_job_is_not_open(run, caplog, loss: Loss) -> None:
    async def main() -> None:
        app = make_app()
        topics = wamp.TopicRouteSet()
        sessions: list[Any] = []
        go, gone = asyncio.Event(), asyncio.Event()

        @topics.topic('t')
        async def subscribed(session: Any) -> Any:
            sessions.append(session)
            await go.wait()
            yield

        app.add_topic_routes(topics)
        async with serving(app) as server:
            client = await server.join()
            await client.say([32, 1, {}, 't'])
            while not sessions:
                await asyncio.sleep(0)
            assert sessions[0].is_open
            loss(client)
            while sessions[0].is_open:
                await asyncio.sleep(0.001)
            assert not gone.is_set()
            go.set()
            await server.all_gone()

    run(main())
    assert not warnings_in(caplog)


@losses
@pytest.mark.parametrize('size', [1, 20_000])
def test_what_a_read_has_left_over_is_handled_after_a_loss(
    run, caplog, loss: Loss, size: int
) -> None:
    """Many messages in one read, more than a turn's share, and then the client is gone."""
    noted: list[int] = []
    count = 1000 if size == 1 else 12

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        topics = wamp.TopicRouteSet()
        go = asyncio.Event()

        @routes.route('note')
        async def note(number: int, payload: str) -> None:
            noted.append(number)

        @topics.topic('t')
        async def subscribed() -> Any:
            await go.wait()
            yield

        app.add_rpc_routes(routes)
        app.add_topic_routes(topics)
        async with serving(app) as server:
            client = await server.join()
            (connection,) = server.connections
            calls = [[48, 1 + number, {}, 'note', [number, 'x' * size]] for number in range(count)]
            # One read takes it all in; it's held behind the subscription as far as that may be.
            data = client.pack([32, 1, {}, 't'], *calls)
            memory = connection.get_buffer(-1)
            memory[: len(data)] = data
            connection.buffer_updated(len(data))
            connection.transport.abort()
            loss(client)
            while connection.transport is not None and not connection.is_closed:
                await asyncio.sleep(0.001)
            go.set()
            await server.all_gone()
            assert not app._active_sessions

    run(main())
    assert noted == list(range(count))
    assert not warnings_in(caplog)


@pytest.mark.parametrize('end', [frame(CLOSE, close_payload(1000)), frame(TEXT, b'\xff'), b'\x81\xff'])
def test_what_follows_the_messages_of_a_lost_client_ends_them(run, end: bytes) -> None:
    noted: list[int] = []

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('note')
        async def note(number: int) -> None:
            noted.append(number)

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            (connection,) = server.connections
            calls = [[48, 1 + number, {}, 'note', [number]] for number in range(200)]
            data = client.pack(*calls) + end + client.pack([48, 201, {}, 'note', [200]])
            memory = connection.get_buffer(-1)
            memory[: len(data)] = data
            connection.buffer_updated(len(data))
            connection.transport.abort()
            await server.all_gone()
            assert not app._active_sessions

    run(main())
    assert noted == list(range(200))


def test_an_error_behind_a_job_ends_the_connection_and_nobody_hangs(run, caplog) -> None:
    async def main() -> None:
        app = make_app()

        def fail(session: Any) -> bool:
            app._active_sessions.discard(session)
            raise RuntimeError('on purpose')

        app.end_session = fail
        # As before Python 3.12: no task has its first step before the next turn.
        run.loop.set_task_factory(lambda loop, work, **options: asyncio.Task(work, loop=loop, **options))
        async with serving(app) as server:
            client = await server.join()
            await client.say(CLIENT_GOODBYE, HELLO, [48, 1, {}, 'echo'])
            assert (await client.hear())[0] == 6
            await client.expect_close(1011)
            await client.send(frame(TEXT, b'more') * 1000)
            client.reset()
            await server.all_gone()

    run(main())
    assert sum('on purpose' in record.exc_text for record in caplog.records if record.exc_text) == 1


@pytest.mark.parametrize('eager', [True, False])
@pytest.mark.parametrize('end', ['GOODBYE', 'Close'])
@pytest.mark.parametrize('count', [1, 200])
def test_calls_in_the_read_of_the_end_are_answered(run, eager: bool, end: str, count: int) -> None:
    """With tasks whose first step comes later too, as before Python 3.12."""

    async def main() -> None:
        if not eager:
            run.loop.set_task_factory(lambda loop, work, **options: asyncio.Task(work, loop=loop, **options))
        async with serving(make_app()) as server:
            client = await server.join()
            calls = client.pack(*([48, number, {}, 'echo'] for number in range(1, count + 1)))
            last = client.pack(CLIENT_GOODBYE) if end == 'GOODBYE' else frame(CLOSE, close_payload(1000))
            await client.send(calls + last)
            for number in range(1, count + 1):
                assert (await client.hear())[:2] == [50, number]
            if end == 'GOODBYE':
                assert (await client.hear())[0] == 6
            else:
                await client.expect_close(1000)

    run(main())


@pytest.mark.parametrize(
    'loss', [RawClient.reset, RawClient.close, RawClient.end_output, say_close]
)
def test_inputs_of_a_client_that_has_left_wait_for_the_procedure_alone(
    run, caplog, loss: Loss
) -> None:
    """More of them than are read while the procedure takes none. Nobody reads more, so the session ends at once."""
    count = RPCInputs.LIMIT + 20
    taken: list[int] = []

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        has_begun, go, has_ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @routes.route('slow')
        async def slow(request: Any) -> None:
            has_begun.set()
            await go.wait()
            async for item in request.inputs:
                taken.append(item.args[0])
            has_ended.set()

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            await client.say(
                *([48, 1, {'progress': True}, 'slow', [number]] for number in range(count)),
                [48, 1, {}, 'slow', [count]],
            )
            await has_begun.wait()
            loss(client)
            while server.connections or app._active_sessions:
                await asyncio.sleep(0.001)
            go.set()
            await has_ended.wait()

    run(main())
    assert taken == [*range(count + 1)]
    assert not warnings_in(caplog)
