"""Events that a call, or a PUBLISH before it, has published leave before the call's answer: on every transport."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from support.doubles import open_session
from support.echo_servers import (
    JSON,
    aiohttp_server,
    hypercorn_server,
    hypercorn_trio_server,
    uvicorn_server,
    websockets_server,
    websockets_trio_server,
)
from support.session_clients import Pair

import serverwamp_fast as wamp
from serverwamp_fast._core.dialogue.dispatch import Dispatch, attach
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport

HELLO = [1, 'realm1', {'roles': {'caller': {}, 'publisher': {}, 'subscriber': {}}}]
# Some are more than what is written without waiting for the client.
SIZES = (1, 40_000, 100, 150_000, 5_000)
OPTIONS: Any = {'subprotocols': [JSON], 'compression': None, 'max_size': None, 'max_queue': 2}


def make_app(**options: Any) -> wamp.Application:
    """Procedures that publish numbered events, and answer with the next number."""
    app = wamp.Application(**options)
    app.allow_publish('', 'prefix')
    app.allow_subscribe('', 'prefix')
    routes = wamp.RPCRouteSet()
    number = 0

    async def publish_all(session: Any) -> int:
        nonlocal number
        for size in SIZES:
            number += 2
            await app.publish('t', (number, 'x' * size))
            await session.send_event('t', (number + 1, 'x' * size))
        number += 2
        return number

    @routes.route('answer')
    async def answer(session: Any) -> Any:
        return [await publish_all(session)]

    @routes.route('refuse')
    async def refuse(session: Any) -> Any:
        return wamp.RPCErrorResult('a.b', args=(await publish_all(session),))

    @routes.route('progress')
    async def progress(session: Any) -> AsyncIterator[Any]:
        yield wamp.RPCProgressReport(args=(await publish_all(session),))
        yield wamp.RPCResult(args=(await publish_all(session),))

    app.add_rpc_routes(routes)
    return app


def number_in(message: list[Any]) -> int:
    """The number in the payload of EVENT, RESULT or ERROR."""
    return int(message[{36: 4, 50: 3, 8: 5}[message[0]]][0])


async def converse(ws: Any) -> None:
    """A client that asks for everything, and reads only then."""

    async def hear() -> Any:
        return json.loads(await ws.recv())

    async def ask(*message: Any) -> Any:
        await ws.send(json.dumps(message))
        return await hear()

    assert (await ask(*HELLO))[0] == 2
    assert (await ask(32, 1, {}, 't'))[0] == 33
    calls = [
        (2 + index, procedure)
        for index, procedure in enumerate(('answer', 'refuse', 'progress') * 3)
    ]
    for request, procedure in calls:
        await ws.send(json.dumps([48, request, {'receive_progress': True}, procedure]))
    answers = 0
    last_event = last_answer = 0
    while answers < 12:
        message = await hear()
        number = number_in(message)
        if message[0] == 36:
            assert number > max(last_event, last_answer), (
                f'The event came behind {last_event}, {last_answer}.'
            )
            last_event = number
        else:
            last_answer = max(last_answer, number)
            answers += 1

    # A client's own PUBLISH, in front of a CALL; and one that is acknowledged.
    event = [{'exclude_me': False}, 't', [last_answer + 1, 'x' * 150_000]]
    await ws.send(json.dumps([16, 20, *event]))
    await ws.send(json.dumps([16, 21, {**event[0], 'acknowledge': True}, *event[1:]]))
    await ws.send(json.dumps([48, 22, {}, 'nothing']))
    assert [(await hear())[0] for _ in range(4)] == [36, 36, 17, 8]

    # A call right in front of GOODBYE: neither its events nor its answer are lost.
    await ws.send(json.dumps([48, 23, {}, 'answer']))
    await ws.send(json.dumps([6, {}, 'wamp.close.normal']))
    assert [(await hear())[0] for _ in range(2 * len(SIZES) + 2)] == [36] * 2 * len(SIZES) + [50, 6]


@contextlib.asynccontextmanager
async def native_server(app: wamp.Application) -> AsyncIterator[str]:
    async with await app.serve('127.0.0.1', 0) as server:
        yield f'127.0.0.1:{server.sockets[0].getsockname()[1]}'


SERVERS: dict[str, Callable[[wamp.Application], Any]] = {
    'native': native_server,
    'aiohttp': lambda app: aiohttp_server(app.aiohttp_websocket_handler()),
    'uvicorn, websockets': lambda app: uvicorn_server(app.asgi_application(), 'websockets'),
    'uvicorn, wsproto': lambda app: uvicorn_server(app.asgi_application(), 'wsproto'),
    'hypercorn': lambda app: hypercorn_server(app.asgi_application()),
    'websockets': lambda app: websockets_server(
        app.websockets_handler(), subprotocols=[JSON], compression=None
    ),
}
TRIO_SERVERS: dict[str, Callable[[wamp.Application], Any]] = {
    'hypercorn': lambda app: hypercorn_trio_server(app.asgi_application()),
    'websockets': lambda app: websockets_trio_server(
        app.websockets_handler(), subprotocols=[JSON], compression=None
    ),
}


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('server', SERVERS)
def test_on_asyncio(run: Any, server: str) -> None:
    from websockets.asyncio.client import connect

    async def main() -> None:
        async with asyncio.timeout(60), SERVERS[server](make_app()) as url:
            async with connect(f'ws://{url}/', **OPTIONS) as ws:
                await converse(ws)

    run(main())


@pytest.mark.parametrize('server', TRIO_SERVERS)
def test_on_trio(server: str) -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    from websockets.trio.client import connect

    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    async def main() -> None:
        with trio.fail_after(60):
            async with TRIO_SERVERS[server](make_app(async_support=TrioAsyncSupport)) as url:
                async with connect(f'ws://{url}/', **OPTIONS) as ws:
                    await converse(ws)

    trio.run(main)


# Connections of an application's own


class Slow(Pair):
    """Takes events while `gate` is set. After `vanish()` it takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def send_msg(self, msg: Any) -> None:
        if msg[0] == 36:
            await self.gate.wait()
        await super().send_msg(msg)


async def join(app: Any, pair: Pair) -> Any:
    """Connect and subscribe; return the session."""
    pair.serving = asyncio.create_task(app.handle_connection(pair))
    await pair.hello()
    assert (await pair.ask(32, 1, {}, 't'))[0] == 33
    return next(session for session in app._active_sessions if session.id == pair.session_id)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def with_slow_client(
    run: Any, test: Callable[[Any, Any, Any], Awaitable[None]], **options: Any
) -> None:
    """Run `test(app, client, session)` with one client, whose answer is behind an event that it doesn't take yet."""

    async def main() -> None:
        app = make_app(**options)
        client = Slow()
        session = await join(app, client)
        await client.say([48, 1, {}, 'answer'])
        await settle()
        await test(app, client, session)

    run(main())


def test_an_answer_waits_for_a_connection_that_takes_its_time(run: Any) -> None:
    async def test(app: Any, client: Any, session: Any) -> None:
        assert client.outgoing.empty()
        client.gate.set()
        numbers = [number_in(await client.hear()) for _ in range(2 * len(SIZES) + 1)]
        assert numbers == sorted(numbers)
        # It counts no longer among what the client doesn't read, and nothing is kept for what was sent.
        assert session.start_posting() is None
        await client.vanish()

    with_slow_client(run, test)


def test_answers_that_wait_keep_the_client_from_asking_for_more(run: Any) -> None:
    async def test(app: Any, client: Any, session: Any) -> None:
        assert not session.is_congested
        for request in range(2, 100):
            await client.say([48, request, {}, 'answer'])
        await settle()
        assert session.is_congested and not client.incoming.empty()
        client.gate.set()
        answers = 0
        while answers < 99:
            answers += (await client.hear())[0] == 50
        assert not session.is_congested and client.incoming.empty()
        await client.vanish()

    with_slow_client(run, test)


def test_a_client_that_leaves_in_between(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def test(app: Any, client: Any, session: Any) -> None:
        await client.close()
        client.gate.set()
        await client.serving
        assert client.outgoing.get_nowait() is None and client.outgoing.empty()
        assert session.start_posting() is None

    with_slow_client(run, test)
    assert [record for record in caplog.records if record.levelname in ('WARNING', 'ERROR')] == []


def test_a_session_that_the_server_ends_in_between(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(app: Any, client: Any, session: Any) -> None:
        await session.close()
        assert (await client.hear())[0] == 6
        await client.say([6, {}, 'wamp.close.goodbye_and_out'])
        client.gate.set()
        await client.vanish()

    with_slow_client(run, test)
    assert [record for record in caplog.records if record.levelname in ('WARNING', 'ERROR')] == []


def test_a_server_that_is_cancelled_in_between(run: Any) -> None:
    async def test(app: Any, client: Any, session: Any) -> None:
        client.serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(10):
                await client.serving
        assert client.serving.done() and not app._active_sessions

    with_slow_client(run, test)


def test_a_call_that_is_given_up_in_between_is_answered_once(run: Any) -> None:
    async def test(app: Any, client: Any, session: Any) -> None:
        # Its answer is decided upon, so that CANCEL comes too late.
        await client.say([49, 1, {'mode': 'killnowait'}])
        client.gate.set()
        codes = [(await client.hear())[0] for _ in range(2 * len(SIZES) + 1)]
        assert codes == [36] * 2 * len(SIZES) + [50]
        await client.vanish()
        assert client.outgoing.get_nowait() is None

    with_slow_client(run, test)


def test_nobody_waits_for_the_client_of_another_session(run: Any) -> None:
    async def main() -> None:
        app = make_app()
        stuck, client = Slow(), Slow()
        await join(app, stuck)
        await join(app, client)
        client.gate.set()
        await client.say([48, 1, {}, 'answer'])
        codes = [(await client.hear())[0] for _ in range(2 * len(SIZES) + 1)]
        assert codes == [36] * 2 * len(SIZES) + [50]
        assert stuck.outgoing.empty()
        stuck.gate.set()
        await client.vanish()
        await stuck.vanish()

    run(main())


def test_events_that_cannot_be_sent_leave_the_answer(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever empties the outbox ends with the first error of a connection, and the answer is tried all the same."""

    class Broken(Slow):
        async def send_msg(self, msg: Any) -> None:
            if msg[0] == 36:
                await self.gate.wait()
                raise RuntimeError('on purpose')
            await super().send_msg(msg)

    async def main() -> None:
        app = make_app()
        client = Broken()
        await join(app, client)
        await client.say([16, 1, {'exclude_me': False}, 't'], [48, 1, {}, 'nothing'])
        await settle()
        client.gate.set()
        assert (await client.hear())[0] == 8
        await client.vanish()

    run(main())
    assert 'Events could not be sent' in caplog.text


def test_async_support_without_events(run: Any) -> None:
    """Nobody can wait, so the answer doesn't."""

    class Support(AsyncioAsyncSupport):
        @classmethod
        def new_event(cls) -> None:
            return None

    async def main() -> None:
        app = make_app(async_support=Support)
        client = Slow()
        await join(app, client)
        await client.say([16, 1, {'exclude_me': False}, 't'], [48, 1, {}, 'nothing'])
        assert (await client.hear())[0] == 8
        client.gate.set()
        assert (await client.hear())[0] == 36
        await client.vanish()

    run(main())


def test_who_waits_for_an_answer_to_be_sent_may_be_cancelled(run: Any) -> None:
    """What was posted in front of it, and what is behind it, goes its way."""

    async def main() -> None:
        app = make_app()
        client = Slow()
        session = await join(app, client)
        await app.publish('t', (1,))
        sending = asyncio.create_task(session.send_raw([50, 1, {}]))
        await settle()
        await app.publish('t', (2,))
        sending.cancel()
        await settle()
        assert sending.cancelled()
        client.gate.set()
        assert [(await client.hear())[4] for _ in range(2)] == [(1,), (2,)]
        await session.send_raw([50, 2, {}])
        assert await client.hear() == [50, 2, {}]
        await client.vanish()

    run(main())


@pytest.mark.parametrize('ends', ['is cancelled', 'is refused'])
def test_a_group_that_starts_nothing_leaves_nobody_waiting(run: Any, ends: str) -> None:
    class Group:
        async def spawn(self, start: Any) -> None:
            if ends == 'is refused':
                raise RuntimeError('The group has ended.')
            await asyncio.Event().wait()

    async def main() -> None:
        session = open_session()
        session.tasks = Group()
        dispatch = Dispatch(None, lambda session, message: None, [6], False, AsyncioAsyncSupport)
        attach(session, None, dispatch)
        session.take_held_events(session.subscribe('t'))
        publishing = asyncio.create_task(session.realm.publish('t', (1,)))
        sending = asyncio.create_task(session.send_raw([50, 1, {}]))
        await settle()
        publishing.cancel()
        async with asyncio.timeout(10):
            await sending
        assert [50, 1, {}] in session.connection.sent
        await asyncio.wait([publishing])

    run(main())
