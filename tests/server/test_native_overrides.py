"""Applications that do things in a way of their own, on the native server.

Some only replace a handler. Others read the messages themselves: with an async support of their own, or by
overriding handle_connection() or handle_session(). What a client sees has to be the same.
"""

import asyncio
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest
from support.client_frames import CLOSE, PING, PONG, close_payload, frame
from support.echo_servers import JSON, JSON_BATCHED, MSGPACK_BATCHED, SUBPROTOCOLS
from support.raw_client import CLIENT_GOODBYE, HELLO, RawClient, serving, warnings_in

import serverwamp_fast as wamp
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
from serverwamp_fast.application import default_protocol_rpc_handler
from serverwamp_fast.protocol import (
    WAMPGoodbyeRequest,
    WAMPRPCRequest,
    WAMPSubscribeRequest,
    call_result_response_msg,
)


class OwnSupport(AsyncioAsyncSupport):
    """Not the class that the native server knows."""


class OwnConnections(wamp.Application):
    """Looks at each connection first."""

    async def handle_connection(self, connection: Any) -> None:
        handled.append(connection)
        assert connection.transport_info['peer_address'] == '127.0.0.1'
        await super().handle_connection(connection)


class OwnSessions(wamp.Application):
    async def handle_session(self, session: Any, *args: Any) -> Any:
        handled.append(session)
        return await super().handle_session(session, *args)


def wrap_handle_connection(**options: Any) -> wamp.Application:
    """As code does it that has not made the application itself."""
    app = wamp.Application(**options)
    original = app.handle_connection

    async def handle_connection(connection: Any) -> None:
        handled.append(connection)
        await original(connection)

    app.handle_connection = handle_connection  # type: ignore[method-assign]
    return app


# What has been through a method that was overridden.
handled: list[Any] = []


def add_echo(app: Any) -> Any:
    routes = wamp.RPCRouteSet()
    topics = wamp.TopicRouteSet()

    @routes.route('echo')
    async def echo(*args: Any) -> Any:
        return args

    @routes.route('abort')
    async def abort(session: Any) -> None:
        await session.abort('com.example.no')

    @routes.route('goodbye')
    async def goodbye(session: Any) -> None:
        await session.close('com.example.bye')

    @topics.topic('t')
    async def subscribed(session: Any) -> Any:
        await session.send_event('t', ['first'])
        yield

    app.add_rpc_routes(routes)
    app.add_topic_routes(topics)
    return app


KINDS = {
    'async support': lambda **options: wamp.Application(async_support=OwnSupport, **options),
    'handle_connection': OwnConnections,
    'handle_session': OwnSessions,
    'handle_connection of the object': wrap_handle_connection,
    'nothing': wamp.Application,
}
if importlib.util.find_spec('anyio') is not None:
    from serverwamp_fast.adapters.anyio import AnyioAsyncSupport

    class OwnAnyioSupport(AnyioAsyncSupport):
        pass

    KINDS['anyio'] = lambda **options: wamp.Application(async_support=AnyioAsyncSupport, **options)
    KINDS['from anyio'] = lambda **options: wamp.Application(async_support=OwnAnyioSupport, **options)


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Any]:
    handled.clear()
    yield lambda **options: add_echo(KINDS[request.param](**options))
    handled.clear()


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_a_conversation(run, make, request, subprotocol: str) -> None:
    async def main() -> None:
        async with serving(make()) as server:
            client = await server.join(subprotocol)
            assert await client.call(1, 'echo', 'x', b'\x00') == ['x', b'\x00']
            code, request, subscription = await client.ask(32, 2, {}, 't')
            assert (code, request) == (33, 2)
            assert (await client.hear())[1] == subscription
            assert await client.ask(34, 3, subscription) == [35, 3]
            assert (await client.ask(48, 4, {}, 'nothing'))[4] == 'wamp.error.no_such_procedure'
            await client.send(frame(PING, b'?'))
            assert await client.read_frame() == (PONG, b'?')
            assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            await client.hello()
            assert await client.call(1, 'echo') == []
            await client.leave()
            await server.all_gone()

    run(main())
    kind = request.node.callspec.params['make']
    # Two sessions on one connection.
    assert len(handled) == (2 if kind == 'handle_session' else 1 if 'handle_' in kind else 0)


@pytest.mark.parametrize('subprotocol', [JSON, JSON_BATCHED, MSGPACK_BATCHED])
def test_thousands_of_calls_at_once(run, make, subprotocol: str) -> None:
    count = 3000

    async def main() -> None:
        async with serving(make()) as server:
            client = await server.join(subprotocol)
            calls = [[48, number, {}, 'echo', [number]] for number in range(1, count + 1)]
            sending = asyncio.create_task(client.say(*calls))
            answers = {}
            while len(answers) < count:
                code, request, _, args = await client.hear()
                assert code == 50
                answers[request] = args
            assert answers == {number: [number] for number in range(1, count + 1)}
            await sending
            await client.say(CLIENT_GOODBYE, HELLO)
            assert (await client.hear())[0] == 6
            assert (await client.hear())[0] == 2

    run(main())


@pytest.mark.parametrize(
    ('sent', 'uri'),
    [
        ([[999]], 'wamp.error.protocol_violation'),
        ([HELLO], 'wamp.error.protocol_violation'),
        ([[48, 1, {}, 'abort']], 'com.example.no'),
    ],
)
def test_aborts(run, make, sent: list[Any], uri: str) -> None:
    async def main() -> None:
        async with serving(make()) as server:
            client = await server.join()
            await client.say(*sent)
            await client.expect_abort(uri)
            await server.all_gone()

    run(main())


@pytest.mark.parametrize(
    ('sent', 'uri'),
    [
        ([48, 1, {}, 'echo'], 'wamp.error.protocol_violation'),
        ([1, 'a b', {'roles': {}}], 'wamp.error.invalid_uri'),
        ([1, 'other', {'roles': {}}], 'wamp.error.no_such_realm'),
    ],
)
def test_wrong_beginnings(run, make, caplog, sent: list[Any], uri: str) -> None:
    async def main() -> None:
        app = make()
        app._default_realm = None
        async with serving(app) as server:
            client = await server.connect()
            await client.say(sent)
            await client.expect_abort(uri)
            await server.all_gone()

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_the_servers_goodbye(run, make) -> None:
    async def main() -> None:
        async with serving(make()) as server:
            client = await server.join()
            await client.say([48, 1, {}, 'goodbye'])
            assert await client.hear() == [6, {}, 'com.example.bye']
            await client.say(CLIENT_GOODBYE)
            await client.expect_close(1000)
            await client.send(frame(CLOSE, close_payload(1000)))
            await client.expect_end()

    run(main())


def test_nothing_follows_the_servers_goodbye(run, make, caplog) -> None:
    async def main() -> None:
        async with serving(make()) as server:
            client = await server.join()
            await client.say([48, 1, {}, 'goodbye'])
            assert (await client.hear())[0] == 6
            await client.say([48, 2, {}, 'echo'], [999])
            await client.expect_close(1000)

    run(main())
    assert len(warnings_in(caplog)) == 1


def test_deadlines(run, make) -> None:
    async def main() -> None:
        async with serving(make(open_timeout=0.05, close_timeout=0.05)) as server:
            client = await server.connect()
            await client.expect_abort('wamp.error.timeout')
            client = await server.join()
            await client.say([48, 1, {}, 'goodbye'])
            assert (await client.hear())[0] == 6
            # Neither GOODBYE nor Close is answered.
            await client.expect_close(1000)
            await server.all_gone()

    run(main())


@pytest.mark.parametrize('loss', [RawClient.reset, RawClient.close, RawClient.end_output])
def test_losses(run, make, caplog, loss: Any) -> None:
    async def main() -> None:
        app = make()
        events = []

        async def lifespan(session: Any) -> Any:
            events.append('start')
            yield
            events.append('end')

        app.add_session_lifespan_handler(lifespan)
        async with serving(app) as server:
            for _ in range(3):
                client = await server.join()
                await client.say([48, 1, {}, 'echo'], [32, 2, {}, 't'])
                loss(client)
            await server.all_gone()
        assert events.count('start') == events.count('end') == 3

    run(main())
    assert not warnings_in(caplog)


# Handlers replaced


def test_protocol_request_handlers(run) -> None:
    requests: list[Any] = []

    async def main() -> None:
        async def answer_call(request: Any, session: Any) -> None:
            requests.append(request)
            if request.uri == 'echo':
                await default_protocol_rpc_handler(request, session)
                return
            await session.send_raw(call_result_response_msg(request, ('by hand',)))

        async def answer_goodbye(request: Any, session: Any) -> None:
            requests.append(request)
            await session.close('com.example.farewell')

        async def fail(request: Any, session: Any) -> None:
            requests.append(request)
            await session.send_raw([33, request.request_id, 77])

        app = add_echo(
            wamp.Application(
                protocol_request_handlers={
                    WAMPRPCRequest: answer_call,
                    WAMPGoodbyeRequest: answer_goodbye,
                    WAMPSubscribeRequest: fail,
                }
            )
        )
        async with serving(app) as server:
            client = await server.join()
            assert await client.call(1, 'anything') == ['by hand']
            assert await client.call(2, 'echo', 1) == [1]
            assert await client.ask(32, 3, {}, 't') == [33, 3, 77]
            assert await client.ask(*CLIENT_GOODBYE) == [6, {}, 'com.example.farewell']

    run(main())
    assert [type(request) for request in requests] == [
        WAMPRPCRequest,
        WAMPRPCRequest,
        WAMPSubscribeRequest,
        WAMPGoodbyeRequest,
    ]


def test_a_protocol_request_handler_that_sets_is_open(run) -> None:
    """As with 2.0.0: it decides what is taken from the client, not what is sent."""

    async def main() -> None:
        async def set_aside(request: Any, session: Any) -> None:
            session.is_open = False
            await session.send_raw(call_result_response_msg(request, ('the last',)))

        app = add_echo(wamp.Application(protocol_request_handlers={WAMPRPCRequest: set_aside}))
        async with serving(app) as server:
            client = await server.join()
            assert await client.call(1, 'anything') == ['the last']
            await client.say([48, 2, {}, 'echo'], CLIENT_GOODBYE)
            await client.expect_close(1000)

    run(main())


def test_a_protocol_request_handler_that_fails(run, caplog) -> None:
    async def main() -> None:
        async def fail(request: Any, session: Any) -> None:
            raise RuntimeError('on purpose')

        app = add_echo(wamp.Application(protocol_request_handlers={WAMPSubscribeRequest: fail}))
        async with serving(app) as server:
            client = await server.join()
            await client.say([32, 1, {}, 't'])
            # It has to answer by itself. The session goes on.
            assert await client.call(2, 'echo', 'still') == ['still']

    run(main())
    (record,) = [record for record in caplog.records if record.exc_info]
    assert str(record.exc_info[1]) == 'on purpose'


def test_set_rpc_handler_and_set_subscription_handler(run) -> None:
    async def main() -> None:
        app = add_echo(wamp.Application())

        async def handle_call(request: wamp.RPCRequest) -> wamp.RPCResult:
            return wamp.RPCResult(args=(request.uri, *request.args), kwargs=dict(request.kwargs))

        async def handle_subscription(topic: str, session: Any) -> Any:
            await session.send_event(topic, ['by hand'])
            yield

        app.set_rpc_handler(handle_call)
        app.set_subscription_handler(handle_subscription)
        async with serving(app) as server:
            client = await server.join()
            answer = await client.ask(48, 1, {}, 'what.ever', ['a'], {'b': 'c'})
            assert answer == [50, 1, {}, ['what.ever', 'a'], {'b': 'c'}]
            assert (await client.ask(32, 2, {}, 'some.topic'))[0] == 33
            assert (await client.hear())[4] == ['by hand']

    run(main())


def test_a_task_factory_of_the_loop(run) -> None:
    made = 0

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        nonlocal made
        made += 1
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main() -> None:
        app = add_echo(wamp.Application())
        async with serving(app) as server:
            client = await server.join()
            asyncio.get_running_loop().set_task_factory(factory)
            try:
                before = made
                for number in range(1, 11):
                    assert await client.call(number, 'echo', number) == [number]
                assert made >= before + 10
                assert (await client.ask(32, 11, {}, 't'))[0] == 33
            finally:
                asyncio.get_running_loop().set_task_factory(None)

    run(main())


@pytest.mark.skipif(not hasattr(asyncio, 'eager_task_factory'), reason='eager tasks are new in 3.12')
@pytest.mark.parametrize('run', ['asyncio'], indirect=True)
def test_the_eager_task_factory(run) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        app = add_echo(wamp.Application())
        async with serving(app) as server:
            client = await server.join()
            for number in range(1, 11):
                assert await client.call(number, 'echo', number) == [number]
            await client.leave()

    run(main())


def test_what_handlers_may_use_of_their_libraries(run) -> None:
    """A call's handler is run by a task of its own, from its first step on."""
    anyio = pytest.importorskip('anyio', reason='anyio is not installed')
    tasks = set()

    async def main() -> None:
        app = add_echo(wamp.Application())
        routes = wamp.RPCRouteSet()

        @routes.route('asyncio')
        async def use_asyncio() -> list[Any]:
            tasks.add(asyncio.current_task())
            seen = []
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            except TimeoutError:
                seen.append('timeout')
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(asyncio.sleep(0, number)) for number in range(3)]
            return seen + [part.result() for part in parts]

        @routes.route('anyio')
        async def use_anyio() -> list[Any]:
            tasks.add(asyncio.current_task())
            seen = []
            with anyio.move_on_after(0.01) as scope:
                await anyio.sleep_forever()
            seen.append(scope.cancelled_caught)
            send, receive = anyio.create_memory_object_stream[int](3)
            async with anyio.create_task_group() as group:
                for number in range(3):
                    group.start_soon(send.send, number)
            send.close()
            async with receive:
                return seen + sorted([number async for number in receive])

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            await client.say([48, 1, {}, 'asyncio'], [48, 2, {}, 'anyio'], [48, 3, {}, 'asyncio'])
            answers = {}
            for _ in range(3):
                code, request, _, args = await client.hear()
                assert code == 50
                answers[request] = args
            assert answers == {
                1: ['timeout', 0, 1, 2],
                2: [True, 0, 1, 2],
                3: ['timeout', 0, 1, 2],
            }

    run(main())
    assert len(tasks) == 3 and None not in tasks
