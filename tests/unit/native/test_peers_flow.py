"""How much the native transport takes from one client at a time, and what it does when a client does not read."""

import asyncio
import sys
from typing import Any

import pytest
from support.client_frames import CLOSE, PING, PONG, TEXT, close_payload, frame
from support.echo_servers import JSON, JSON_BATCHED, MSGPACK_BATCHED, SUBPROTOCOLS
from support.raw_client import Served, make_app, serving

import serverwamp_fast as wamp
from serverwamp_fast.connection import ConnectionClosed

# More than a socket and the buffers on both of its ends ever hold.
ENDLESS = 100_000
LARGE = 'x' * 100_000
EAGER = sys.version_info >= (3, 12)


async def until_stuck(server: Served) -> Any:
    """Wait until output to a client has piled up; returns the server's side of it."""
    while True:
        for connection in server.connections:
            if connection.transport.get_write_buffer_size() > 64 * 1024:
                return connection
        await asyncio.sleep(0.001)


async def settle(server: Served) -> None:
    """Let the server's loop go round for long enough that all is done that can be done."""
    other = await server.join()
    for number in range(1, 200):
        await other.call(number, 'echo')
    await other.leave()


# A client that asks for much


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_calls_in_one_segment_are_started_in_order_and_none_is_lost(run, subprotocol: str) -> None:
    started = []
    count = 3000

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('note')
        async def note(number: int) -> int:
            started.append(number)
            if number % 7 == 0:
                await asyncio.sleep(0)
            return -number

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join(subprotocol)
            calls = [[48, number, {}, 'note', [number]] for number in range(1, count + 1)]
            # With a separator and a length for every one, and in a single payload where that's possible.
            await client.say(*calls)
            answers = {}
            for _ in calls:
                code, request, details, args = await client.hear()
                assert (code, details) == (50, {})
                answers[request] = args
            assert answers == {number: [-number] for number in range(1, count + 1)}
            await client.leave()

    run(main())
    assert started == list(range(1, count + 1))


@pytest.mark.parametrize('subprotocol', [JSON, JSON_BATCHED, MSGPACK_BATCHED])
def test_a_client_with_thousands_of_calls_does_not_keep_another_one_waiting(
    run, subprotocol: str
) -> None:
    count = 5000 if subprotocol == JSON else 20_000
    started = 0
    seen_by_the_other = None

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('count')
        async def count_calls() -> None:
            nonlocal started
            started += 1
            if started == 1:
                # This is in the other's socket before the rest of this client's calls is looked at.
                other.send_now(other.pack([48, 1, {}, 'look']))

        @routes.route('look')
        async def look() -> None:
            nonlocal seen_by_the_other
            seen_by_the_other = started

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            other = await server.join()
            client = await server.join(subprotocol)
            calls = [[48, number, {}, 'count'] for number in range(1, count + 1)]
            sending = asyncio.create_task(client.say(*calls))
            assert await other.hear() == [50, 1, {}]
            assert seen_by_the_other is not None
            assert 0 < seen_by_the_other < count / 10
            for number in range(1, count + 1):
                assert await client.hear() == [50, number, {}]
            await sending

    run(main())
    assert started == count


def test_a_flood_of_pings_does_not_keep_another_client_waiting(run) -> None:
    count = 20_000

    async def main() -> None:
        async with serving(make_app()) as server:
            other = await server.join()
            client = await server.join()
            flooding = asyncio.create_task(client.send(frame(PING) * count))
            reading = asyncio.create_task(read_pongs(client, count))
            for number in range(1, 20):
                await other.call(number, 'echo')
            assert not reading.done()
            await reading
            await flooding

    async def read_pongs(client: Any, expected: int) -> None:
        for _ in range(expected):
            assert await client.read_frame() == (PONG, b'')

    run(main())


def test_a_payload_that_is_the_limit_in_calls(run) -> None:
    """20,000 calls and more in one message, from a client that also sends on behind them."""
    started = 0

    async def main() -> None:
        app = make_app(max_message_size=1024 * 1024)
        routes = wamp.RPCRouteSet()

        @routes.route('n')
        async def note() -> None:
            nonlocal started
            started += 1

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join(JSON_BATCHED)
            calls = [[48, number, {}, 'n'] for number in range(1, 40_001)]
            payload = client.wire.encode(*calls).replace(' ', '').encode()
            assert 20_000 * 16 < len(payload) <= 1024 * 1024
            sending = asyncio.create_task(
                client.send(frame(TEXT, payload) + client.pack([48, 40_001, {}, 'echo', ['end']]))
            )
            for number in range(1, 40_001):
                assert await client.hear() == [50, number, {}]
            assert await client.hear() == [50, 40_001, {}, ['end']]
            await sending

    run(main())
    assert started == 40_000


# A client that does not read


def make_flooding_app() -> tuple[Any, dict[str, Any]]:
    """An application whose handlers send without end, and what is known of them."""
    app = make_app()
    routes = wamp.RPCRouteSet()
    topics = wamp.TopicRouteSet()
    seen: dict[str, Any] = {'sent': 0, 'started': 0, 'end': asyncio.Event(), 'error': None}

    async def send_all(send: Any) -> None:
        try:
            while seen['sent'] < ENDLESS:
                await send()
                seen['sent'] += 1
        except ConnectionClosed as error:
            seen['error'] = error
        finally:
            seen['end'].set()

    @topics.topic('t')
    async def subscribed() -> Any:
        yield

    @routes.route('events')
    async def events(session: Any) -> None:
        await send_all(lambda: session.send_event('t', (seen['sent'], 'x' * 1000)))

    @routes.route('raw')
    async def raw(session: Any) -> None:
        await send_all(lambda: session.send_raw((36, 1, 1, {}, (seen['sent'], 'x' * 1000))))

    @routes.route('messages')
    async def messages(session: Any) -> None:
        await send_all(
            lambda: session.connection.send_msg((36, 1, 1, {}, (seen['sent'], 'x' * 1000)))
        )

    @routes.route('progress')
    async def progress() -> Any:
        try:
            while seen['sent'] < ENDLESS:
                yield wamp.RPCProgressReport(args=(seen['sent'], 'x' * 1000))
                seen['sent'] += 1
            yield 'end'
        finally:
            seen['end'].set()

    @routes.route('large')
    async def large() -> str:
        seen['started'] += 1
        return LARGE

    app.add_rpc_routes(routes)
    app.add_topic_routes(topics)
    return app, seen


SENDERS = ['events', 'raw', 'messages', 'progress']


@pytest.mark.parametrize('sender', SENDERS)
def test_who_sends_waits_for_a_client_that_does_not_read(run, sender: str) -> None:
    async def main() -> None:
        app, seen = make_flooding_app()
        async with serving(app) as server:
            client = await server.join(receive_buffer=4096)
            assert (await client.ask(32, 1, {}, 't'))[0] == 33
            await client.say([48, 2, {'receive_progress': True}, sender])
            connection = await until_stuck(server)
            await settle(server)
            sent = seen['sent']
            assert sent < ENDLESS
            await settle(server)
            assert seen['sent'] == sent, 'it goes on sending'
            # A moderate amount is kept for the client, beside what the socket holds.
            assert connection.transport.get_write_buffer_size() < 512 * 1024

            # As soon as it reads, it goes on, without a gap.
            for number in range(sent + 100):
                message = await client.hear()
                assert message[4 if sender != 'progress' else 3][0] == number
            assert seen['sent'] > sent
            client.reset()
            await seen['end'].wait()

    run(main())


@pytest.mark.parametrize('sender', SENDERS)
def test_who_waits_learns_that_the_client_has_left(run, sender: str) -> None:
    async def main() -> None:
        app, seen = make_flooding_app()
        async with serving(app) as server:
            client = await server.join(receive_buffer=4096)
            assert (await client.ask(32, 1, {}, 't'))[0] == 33
            await client.say([48, 2, {'receive_progress': True}, sender])
            await until_stuck(server)
            client.reset()
            await seen['end'].wait()
            await server.all_gone()
        if sender != 'progress':
            assert isinstance(seen['error'], ConnectionClosed)
        assert seen['sent'] < ENDLESS

    run(main())


@pytest.mark.parametrize('subprotocol', [JSON, JSON_BATCHED])
def test_a_client_that_does_not_read_its_answers_gets_no_more_of_them(
    run, subprotocol: str
) -> None:
    """Whatever it has sent already: little is asked for much, and the answers would be kept for it."""
    count = 1000

    async def main() -> None:
        app, seen = make_flooding_app()
        async with serving(app) as server:
            client = await server.join(subprotocol, receive_buffer=4096)
            sending = asyncio.create_task(
                client.say(*[[48, number, {}, 'large'] for number in range(1, count + 1)])
            )
            connection = await until_stuck(server)
            await settle(server)
            started = seen['started']
            assert started < count / 4
            assert not connection.transport.is_reading()

            for number in range(1, count + 1):
                assert await client.hear() == [50, number, {}, [LARGE]]
            await sending
            assert seen['started'] == count
            assert connection.transport.is_reading()
            assert await client.call(count + 1, 'echo', 'still there') == ['still there']
            await client.leave()

    run(main(), deadline=120)


@pytest.mark.parametrize('ending', ['reads', 'leaves'])
def test_large_answers_wait_in_small_number_where_tasks_are_not_eager(run, ending: str) -> None:
    """All calls of a read are tasks before the first one begins."""
    started: list[int] = []
    text = 'x' * 1_000_000

    async def main() -> None:
        app = make_app(max_message_size=2_000_000)
        routes = wamp.RPCRouteSet()

        @routes.route('large')
        async def large(number: int) -> str:
            started.append(number)
            return text

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join(receive_buffer=4096)
            await client.say(*[[48, number, {}, 'large', [number]] for number in range(1, 61)])
            connection = await until_stuck(server)
            await settle(server)
            # The sockets of both sides hold some of them.
            assert len(started) < 30
            assert connection.transport.get_write_buffer_size() < 2 * len(text)
            if ending == 'reads':
                for number in range(1, 61):
                    assert await client.hear() == [50, number, {}, [text]]
                await client.leave()
            else:
                client.reset()
                await server.all_gone()

    run.loop.set_task_factory(lambda loop, work, **options: asyncio.Task(work, loop=loop, **options))
    run(main())
    # What came before a loss is handled.
    assert started == list(range(1, 61))


def test_close_behind_unread_answers_is_answered(run) -> None:
    async def main() -> None:
        app, seen = make_flooding_app()
        async with serving(app) as server:
            client = await server.join(receive_buffer=4096)
            await client.say(*[[48, number, {}, 'large'] for number in range(1, 201)])
            closing = asyncio.create_task(client.send(frame(CLOSE, close_payload(1000))))
            await until_stuck(server)
            answers = 0
            while (received := await client.read_frame())[0] == TEXT:
                answers += 1
            await closing
            assert received == (CLOSE, close_payload(1000))
            assert seen['started'] == 200
            # Without eager tasks, the last calls have only begun when Close is looked at.
            assert answers == 200 if EAGER else answers > 200 - 64
            await client.expect_end()
            await server.all_gone()

    run(main())


def test_a_client_that_does_not_read_can_be_closed(run) -> None:
    async def main() -> None:
        app, seen = make_flooding_app()
        app.close_timeout = 0.05
        async with serving(app) as server:
            client = await server.join(receive_buffer=4096)
            assert (await client.ask(32, 1, {}, 't'))[0] == 33
            await client.say([48, 2, {}, 'events'])
            connection = await until_stuck(server)
            await connection.close()
            # Close can't reach the client. It is given its time, and then cut off.
            await seen['end'].wait()
            assert isinstance(seen['error'], ConnectionClosed)
            await server.all_gone()
            client.close()

    run(main())


def test_unread_output_nobody_waits_for_is_no_error_when_the_client_leaves(run) -> None:
    """WELCOME is not waited for; a client can have it sent while it does not read."""

    async def main() -> None:
        app, seen = make_flooding_app()
        async with serving(app) as server:
            client = await server.join(receive_buffer=4096)
            (connection,) = server.connections
            while not connection.transport.get_write_buffer_size():
                connection.put((36, 1, 1, {}, (LARGE,)))
                await asyncio.sleep(0)
            await until_stuck(server)
            assert connection.put((36, 1, 1, {}, (LARGE,))) is not None
            client.reset()
            await server.all_gone()

    run(main())
