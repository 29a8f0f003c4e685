"""Tasks that send on one ASGI connection at a time: the server gets one message after the other."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from adapters.test_adapters_asgi import SCOPE

from serverwamp_fast.adapters import asgi as adapter
from serverwamp_fast.connection import ConnectionClosed

BACKENDS = ['asyncio', 'trio']


class SlowServer:
    """Takes a message when `read` is called, as if it waited for the client; fails if a second one waits."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.waiting: list[anyio.Event] = []
        self.error: Exception | None = None

    async def receive(self) -> Mapping[str, Any]:
        raise AssertionError('nothing is to be received')

    async def send(self, event: Mapping[str, Any]) -> None:
        if event['type'] == 'websocket.accept':
            return
        self.sent.append(event.get('text', event['type']))
        assert not self.waiting
        self.waiting.append(anyio.Event())
        try:
            await self.waiting[0].wait()
        finally:
            self.waiting.clear()
        if self.error is not None:
            raise self.error

    async def read(self) -> None:
        self.waiting[0].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


async def connect(server: SlowServer) -> Any:
    return await adapter.connection_for_asgi_invocation(SCOPE, server.receive, server.send)


@pytest.fixture(params=BACKENDS)
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    pytest.importorskip(request.param)

    def run_bounded(main: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            with anyio.fail_after(60):
                await main()

        anyio.run(bounded, backend=request.param)

    return run_bounded


async def start(tasks: Any, connection: Any, *numbers: int) -> None:
    """Start a task for each message, in this order."""
    for number in numbers:
        tasks.start_soon(connection.send_msg, [number])
        # Tasks of trio begin in any order.
        await settle()


def test_messages_go_to_the_server_one_by_one_in_order(run: Any) -> None:
    async def main() -> None:
        server = SlowServer()
        connection = await connect(server)
        async with anyio.create_task_group() as tasks:
            await start(tasks, connection, 1, 2, 3)
            assert server.sent == ['[1]']
            await server.read()
            assert server.sent == ['[1]', '[2]']
            # Nobody gets ahead of who waits.
            await start(tasks, connection, 4)
            for _ in range(3):
                await server.read()
        assert server.sent == ['[1]', '[2]', '[3]', '[4]']
        # Nothing is left behind, and nothing waits.
        assert connection._turns is None
        assert connection.unsent_size == 0
        async with anyio.create_task_group() as tasks:
            await start(tasks, connection, 5)
            assert server.sent[-1] == '[5]'
            await server.read()

    run(main)


def test_who_is_cancelled_while_it_waits_sends_nothing(run: Any) -> None:
    async def main() -> None:
        server = SlowServer()
        connection = await connect(server)
        async with anyio.create_task_group() as tasks:
            await start(tasks, connection, 1)
            async with anyio.create_task_group() as cancelled:
                await start(cancelled, connection, 2)
                await start(tasks, connection, 3)
                cancelled.cancel_scope.cancel()
            await server.read()
            await server.read()
        assert server.sent == ['[1]', '[3]']
        assert connection.unsent_size == 0

    run(main)


def test_who_is_cancelled_when_its_turn_has_come_passes_it_on(run: Any) -> None:
    async def main() -> None:
        server = SlowServer()
        connection = await connect(server)
        async with anyio.create_task_group() as tasks:
            await start(tasks, connection, 1)
            async with anyio.create_task_group() as cancelled:
                await start(cancelled, connection, 2)
                await start(tasks, connection, 3)
                # It is told of its turn in the turn of the loop in which it is cancelled.
                connection._turns[0] = Canceller(connection._turns[0], cancelled.cancel_scope)
                server.waiting[0].set()
            await settle()
            await server.read()
        assert server.sent[-1] == '[3]'
        assert connection._turns is None

    run(main)


class Canceller:
    """In place of the event that somebody waits for: cancels him first."""

    def __init__(self, event: Any, scope: Any) -> None:
        self.event = event
        self.scope = scope

    def set(self) -> None:
        self.scope.cancel()
        self.event.set()


def test_an_error_of_the_server_ends_all_that_waits(run: Any) -> None:
    closed = []

    async def main() -> None:
        server = SlowServer()
        connection = await connect(server)

        async def send(number: int) -> None:
            try:
                await connection.send_msg([number])
            except ConnectionClosed:
                closed.append(number)

        async with anyio.create_task_group() as tasks:
            for number in (1, 2, 3):
                tasks.start_soon(send, number)
                await settle()
            server.error = OSError()
            await server.read()
        assert server.sent == ['[1]']
        assert connection._turns is None

    run(main)
    assert closed == [1, 2, 3]


def test_closing_waits_for_its_turn_and_is_the_last(run: Any) -> None:
    closed = []

    async def main() -> None:
        server = SlowServer()
        connection = await connect(server)

        async def send(number: int) -> None:
            try:
                await connection.send_msg([number])
            except ConnectionClosed:
                closed.append(number)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, 1)
            await settle()
            tasks.start_soon(send, 2)
            await settle()
            tasks.start_soon(connection.close)
            await settle()
            tasks.start_soon(send, 3)
            await settle()
            assert server.sent == ['[1]']
            await server.read()
            assert server.sent == ['[1]', 'websocket.close']
            await server.read()

    run(main)
    assert closed == [3, 2]
