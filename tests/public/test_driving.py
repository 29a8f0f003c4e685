"""The sessions of connections that hand over messages one by one: turns, one session after another, slow readers."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from support.explained import Explained
from support.raw_client import CLIENT_GOODBYE, HELLO, make_app
from support.session_clients import Clients, Pair

import serverwamp_fast as wamp
from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.connection import PayloadConnection


class Batch(Pair):
    """Hands over all that a batch brings without a turn of the loop in between."""

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        while (messages := await self.incoming.get()) is not None:
            for message in messages:
                yield message


class Unread(Pair):
    """Has a client that doesn't read what it gets in the session, until it `reads`."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = asyncio.Event()
        self.taken = 0

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        async for message in super().iterate_msgs():
            self.taken += 1
            yield message

    async def send_msg(self, msg: Sequence[Any]) -> None:
        if msg[0] in (50, 8):
            await self.reads.wait()
        await super().send_msg(msg)


class Payloads(PayloadConnection):
    """Has a client that doesn't read results until it `reads`."""

    codec = codec_for('wamp.2.json')

    def __init__(self) -> None:
        super().__init__()
        self.transport_info['peer_address'] = '127.0.0.1'
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.serving: asyncio.Task[None]

    async def receive_payload(self) -> str | None:
        payload: str | None = await self.incoming.get()
        return payload

    async def send_payload(self, payload: bytes) -> None:
        message = json.loads(payload)
        if message[0] == 50:
            await self.reads.wait()
        self.outgoing.put_nowait(message)

    async def close(self) -> None:
        self.incoming.put_nowait(None)

    def say(self, *messages: Any) -> None:
        for message in messages:
            self.incoming.put_nowait(json.dumps(message))


def serve(app: Any, pair: Any) -> Any:
    pair.serving = asyncio.create_task(app.handle_connection(pair))
    return pair


async def turns() -> None:
    """As many turns of the loop as anything here may take."""
    for _ in range(2000):
        await asyncio.sleep(0)


def test_a_batch_leaves_turns_to_others(run) -> None:
    async def main() -> None:
        handled: list[int] = []
        others: list[int] = []
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('note')
        async def note(n: int) -> None:
            handled.append(n)

        app.add_rpc_routes(routes)
        pair = serve(app, Batch())
        pair.incoming.put_nowait([HELLO])
        assert (await pair.hear())[0] == 2

        async def take_turns() -> None:
            while len(handled) < 1000:
                others.append(len(handled))
                await asyncio.sleep(0)

        taking = asyncio.create_task(take_turns())
        pair.incoming.put_nowait([[48, n, {}, 'note', [n]] for n in range(1, 1001)])
        await taking
        steps = [after - before for before, after in zip(others, others[1:], strict=False)]
        assert 0 < max(steps) <= 128
        await pair.vanish()

    run(main())


def test_a_session_does_not_wait_for_the_calls_of_the_one_before(run) -> None:
    journal: list[str] = []

    async def main() -> None:
        app = make_app()
        go = asyncio.Event()
        routes = wamp.RPCRouteSet()

        @routes.route('slow')
        async def slow(session: Any) -> str:
            journal.append('slow began')
            await go.wait()
            journal.append('slow ended')
            return 'late'

        async def lifespan() -> Any:
            journal.append('session began')
            yield
            journal.append('session ended')

        app.add_rpc_routes(routes)
        app.add_session_lifespan_handler(lifespan)
        async with Clients('own connection').of(app) as connect:
            client = await connect()
            await client.hello()
            await client.say([48, 1, {}, 'slow'])
            assert await client.call(2, 'echo', 'x') == ['x']
            assert (await client.ask(*CLIENT_GOODBYE))[0] == 6
            await client.hello()
            assert await client.call(1, 'echo', 'y') == ['y']
            assert journal == ['session began', 'slow began', 'session ended', 'session began']
            go.set()
            # Its answer would belong to another session.
            assert await client.call(2, 'echo', 'z') == ['z']
            await client.vanish()
        assert journal[4:] == ['slow ended', 'session ended']
        assert await client.hear() is None
        assert client.outgoing.empty()

    run(main())


def test_a_connection_ends_with_the_calls_of_all_its_sessions(run) -> None:
    async def main() -> None:
        app = make_app()
        go = asyncio.Event()
        routes = wamp.RPCRouteSet()

        @routes.route('slow')
        async def slow() -> None:
            await go.wait()

        app.add_rpc_routes(routes)
        pair = serve(app, Pair())
        for _ in range(2):
            await pair.hello()
            await pair.say([48, 1, {}, 'slow'])
            assert (await pair.ask(*CLIENT_GOODBYE))[0] == 6
        await pair.close()
        await turns()
        assert not pair.serving.done()
        go.set()
        await pair.serving

    run(main())


@pytest.mark.parametrize('procedure', ['echo', 'unknown'])
def test_nothing_is_read_from_a_client_that_does_not_read(run, procedure: str) -> None:
    async def main() -> None:
        app = make_app()
        pair = serve(app, Unread())
        await pair.hello()
        await pair.say(*([48, n, {}, procedure, [n]] for n in range(1, 1001)))
        await turns()
        assert pair.taken < 200
        pair.reads.set()
        answered = {(await pair.hear())[1 if procedure == 'echo' else 2] for _ in range(1000)}
        assert answered == set(range(1, 1001))
        await pair.vanish()

    run(main())


@pytest.mark.parametrize('tasks', ['of Python', 'not eager'])
def test_large_results_wait_in_small_number(run, tasks: str) -> None:
    size = 100_000
    started: list[int] = []

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('large')
        async def large(number: int) -> str:
            started.append(number)
            return 'x' * size

        app.add_rpc_routes(routes)
        pair = serve(app, Payloads())
        pair.say(HELLO)
        assert (await pair.outgoing.get())[0] == 2
        pair.say(*([48, n, {}, 'large', [n]] for n in range(1, 201)))
        await turns()
        # What is on its way may go beyond 256 KiB by one message.
        assert started == [1, 2, 3]
        assert pair.unsent_size < 4 * size
        pair.reads.set()
        for number in range(1, 201):
            assert (await pair.outgoing.get())[:2] == [50, number]
        assert started == list(range(1, 201))
        assert pair.unsent_size == 0
        await pair.close()
        await pair.serving

    if tasks == 'not eager':
        run.loop.set_task_factory(lambda loop, work, **options: asyncio.Task(work, loop=loop, **options))
    run(main())


def test_what_others_send_over_a_connection_does_not_stop_reading(run) -> None:
    async def main() -> None:
        pair = serve(make_app(), Payloads())
        pair.say(HELLO)
        assert (await pair.outgoing.get())[0] == 2
        other = asyncio.create_task(pair.send_msg((50, 1, {}, ['x' * 1_000_000])))
        pair.say(*([48, n, {}, 'unknown'] for n in range(1, 100)))
        for _ in range(99):
            assert (await pair.outgoing.get())[0] == 8
        assert pair.unsent_size > 1_000_000
        pair.reads.set()
        await other
        await pair.close()
        await pair.serving

    run(main())


def test_calls_that_wait_for_a_client_to_read_can_be_cancelled(run) -> None:
    started: list[int] = []

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('large')
        async def large(number: int) -> str:
            started.append(number)
            return 'x' * 1_000_000

        app.add_rpc_routes(routes)
        pair = serve(app, Payloads())
        pair.say(HELLO)
        assert (await pair.outgoing.get())[0] == 2
        # All of them are read before the first one begins.
        pair.say(*([48, n, {}, 'large', [n]] for n in (1, 2, 3)), [49, 2, {'mode': 'kill'}])
        assert await pair.outgoing.get() == Explained(48, 2, 'wamp.error.canceled')
        pair.reads.set()
        assert [(await pair.outgoing.get())[1] for _ in range(2)] == [1, 3]
        assert started == [1, 3]
        await pair.close()
        await pair.serving

    run.loop.set_task_factory(lambda loop, work, **options: asyncio.Task(work, loop=loop, **options))
    run(main())


def test_calls_that_take_their_time_do_not_stop_reading(run) -> None:
    async def main() -> None:
        app = make_app()
        go = asyncio.Event()
        routes = wamp.RPCRouteSet()

        @routes.route('wait')
        async def wait() -> None:
            await go.wait()

        app.add_rpc_routes(routes)
        pair = serve(app, Pair())
        await pair.hello()
        await pair.say(*([48, n, {}, 'wait'] for n in range(1, 1001)))
        assert await pair.call(1001, 'echo', 'x') == ['x']
        go.set()
        for _ in range(1000):
            assert (await pair.hear())[0] == 50
        await pair.vanish()

    run(main())


def test_a_client_that_leaves_without_reading(run) -> None:
    async def main() -> None:
        app = make_app()
        pair = serve(app, Unread())
        await pair.hello()
        await pair.say(*([48, n, {}, 'echo', [n]] for n in range(1, 301)))
        await turns()
        await pair.close()
        pair.reads.set()
        await pair.serving
        assert not app._active_sessions

    run(main())


def test_a_fault_in_opening_is_not_the_lack_of_a_realm(run) -> None:
    async def main() -> None:
        app = make_app()
        app.new_session = lambda *args: {}['the fault']
        pair = serve(app, Pair())
        await pair.say(HELLO)
        with pytest.raises(ExceptionGroup) as raised:
            await pair.serving
        assert raised.value.subgroup(KeyError) is not None
        assert pair.outgoing.empty()

    run(main())


def test_invalid_requests_after_the_servers_goodbye(run) -> None:
    """They are passed over as valid ones are; the client may still answer GOODBYE."""

    async def main() -> None:
        for kind in 'native', 'own connection':
            app = make_app()
            async with Clients(kind).of(app) as connect:
                client = await connect()
                await client.hello()
                (session,) = app._active_sessions
                await session.close()
                assert (await client.hear())[0] == 6
                await client.say([48, 1, {}, 'not a URI'], [48, 0, {}, 'x'], [48], [32, 2, {}, 't'])
                await client.say([8, 68, 1, {}, 'not a URI'], CLIENT_GOODBYE)
                await client.expect_over()

    run(main())


def test_what_a_client_may_not_send_ends_a_session_that_closes(run) -> None:
    async def main() -> None:
        for message in [2, 1, {}], [6], ['x'], []:
            for kind in 'native', 'own connection':
                app = make_app()
                async with Clients(kind).of(app) as connect:
                    client = await connect()
                    await client.hello()
                    (session,) = app._active_sessions
                    await session.close()
                    assert (await client.hear())[0] == 6
                    await client.say(message)
                    await client.expect_over()

    run(main())


def test_an_error_of_the_client_with_a_bad_uri(run) -> None:
    async def main() -> None:
        for kind in 'native', 'own connection':
            async with Clients(kind).of(make_app()) as connect:
                client = await connect()
                await client.hello()
                answer = await client.ask(8, 68, 5.0, {}, 'not a URI')
                assert answer == Explained(68, 5, 'wamp.error.invalid_argument')
                assert await client.call(1, 'echo', 'x') == ['x']

    run(main())
