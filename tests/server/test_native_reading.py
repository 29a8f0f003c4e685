"""Applications that read a native connection's messages themselves, in a handle_connection() of their own."""

import asyncio
from typing import Any

import pytest
from support.client_frames import CLOSE, close_payload, frame
from support.raw_client import RawClient, serving, warnings_in

import serverwamp_fast as wamp
from serverwamp_fast.connection import ConnectionClosed


class Choosing(wamp.Application):
    """What it does with a connection is told by `way`."""

    way: Any

    async def handle_connection(self, connection: Any) -> None:
        await self.way(connection)


async def use(app: Any, check: Any) -> None:
    async with serving(app) as server:
        client = await server.connect()
        await check(client)
        await server.all_gone()


def test_a_connection_is_closed_when_its_handler_returns(run) -> None:
    app = Choosing()

    async def main() -> None:
        async def way(connection: Any) -> None:
            await connection.send_msg([999, 'hello'])

        async def check(client: RawClient) -> None:
            assert await client.hear() == [999, 'hello']
            await client.leave()

        app.way = way
        await use(app, check)

    run(main())


def test_a_connection_is_closed_when_its_handler_fails(run, caplog) -> None:
    app = Choosing()

    async def main() -> None:
        async def way(connection: Any) -> None:
            raise RuntimeError('on purpose')

        async def check(client: RawClient) -> None:
            await client.expect_close(1011)
            client.close()

        app.way = way
        await use(app, check)

    run(main())
    (record,) = caplog.records
    assert record.exc_info and str(record.exc_info[1]) == 'on purpose'


def test_a_client_that_leaves_is_no_error_of_its_handler(run, caplog) -> None:
    app = Choosing()

    async def main() -> None:
        async def way(connection: Any) -> None:
            async for _ in connection.iterate_msgs():
                pass
            assert connection.is_closed
            with pytest.raises(ConnectionClosed):
                await connection.send_msg([1])
            await connection.send_msg([2])

        async def check(client: RawClient) -> None:
            await client.say([1], [2])
            client.reset()

        app.way = way
        await use(app, check)

    run(main())
    assert not warnings_in(caplog)


def test_a_handler_that_is_slower_than_its_client(run) -> None:
    """Reading stops, and goes on when the handler has caught up; Close comes last."""
    app = Choosing()
    count = 5000
    seen: list[Any] = []

    async def main() -> None:
        go = asyncio.Event()

        async def way(connection: Any) -> None:
            async for message in connection.iterate_msgs():
                if not seen:
                    await go.wait()
                seen.append(message[0])
            seen.append('end')

        app.way = way
        async with serving(app) as server:
            client = await server.connect()
            stream = client.pack(*([number, 'x' * 200] for number in range(count)))
            sending = asyncio.create_task(
                client.send(stream + frame(CLOSE, close_payload(1000)))
            )
            while not server.connections:
                await asyncio.sleep(0.001)
            (connection,) = server.connections
            while connection.transport.is_reading():
                await asyncio.sleep(0.001)
            go.set()
            await sending
            await client.expect_close(1000)
            await client.expect_end()
            await server.all_gone()

    run(main())
    assert seen == [*range(count), 'end']


def test_messages_are_read_after_a_loss(run) -> None:
    app = Choosing()
    seen: list[Any] = []

    async def main() -> None:
        started, go = asyncio.Event(), asyncio.Event()

        async def way(connection: Any) -> None:
            async for message in connection.iterate_msgs():
                started.set()
                await go.wait()
                seen.append(message)

        app.way = way
        async with serving(app) as server:
            client = await server.connect()
            await client.say([1], [2], [3])
            await started.wait()
            (connection,) = server.connections
            client.close()
            while not connection.is_closed:
                await asyncio.sleep(0.001)
            go.set()
            await server.all_gone()

    run(main())
    assert seen == [[1], [2], [3]]
