"""Clients that are asked something, on every async support: asyncio, anyio, trio, and one without the new methods."""

import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from support.raw_client import HELLO, make_app

from serverwamp_fast.adapters.async_base import AsyncSupport
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
from serverwamp_fast.connection import Connection, ConnectionClosed

anyio = pytest.importorskip('anyio', reason='anyio is not installed')
trio = pytest.importorskip('trio', reason='trio is not installed')

from serverwamp_fast.adapters.anyio import AnyioAsyncSupport  # noqa: E402
from serverwamp_fast.adapters.trio import TrioAsyncSupport  # noqa: E402


class Plain(AsyncioAsyncSupport):
    """As written for serverwamp: nothing can be cancelled from elsewhere, and there are no events."""

    cancellable = AsyncSupport.cancellable
    new_event = AsyncSupport.new_event


class WithoutEvents(AsyncioAsyncSupport):
    new_event = AsyncSupport.new_event


class Streams(Connection):
    """A connection over streams of anyio, which run on asyncio and on trio."""

    def __init__(self) -> None:
        super().__init__()
        self.sender, self.inbox = anyio.create_memory_object_stream(math.inf)
        self.outbox, self.receiver = anyio.create_memory_object_stream(math.inf)

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        async for message in self.inbox:
            yield message

    async def send_msg(self, msg: Sequence[Any]) -> None:
        try:
            await self.outbox.send(list(msg))
        except anyio.ClosedResourceError:
            raise ConnectionClosed('The connection is closed.') from None

    async def close(self) -> None:
        self.sender.close()
        self.outbox.close()


SUPPORTS = [
    ('asyncio', AsyncioAsyncSupport), ('asyncio', Plain), ('asyncio', WithoutEvents), ('asyncio', AnyioAsyncSupport),
    ('trio', AnyioAsyncSupport), ('trio', TrioAsyncSupport),
]  # fmt: skip


@pytest.mark.parametrize(
    ('backend', 'support'), SUPPORTS, ids=[f'{backend}-{kind.__name__}' for backend, kind in SUPPORTS]
)
@pytest.mark.parametrize('hasty', [False, True])
@pytest.mark.parametrize(
    ('answers', 'heard', 'seen'),
    [
        ([[5, 'one', {}], [5, 'two', {}]], [4, 4, 2, 50], ['one', 'two']),
        ([[5, 'one', {}], [48, 1, {}, 'echo']], [4, 4, 3], ['one', ConnectionClosed]),
        ([[3, {}, 'wamp.error.cannot_authenticate']], [4], [ConnectionClosed]),
    ],
)
def test_asking_twice(
    backend: str, support: Any, hasty: bool, answers: list[Any], heard: list[int], seen: list[Any]
) -> None:
    """Whether the answers come one by one or at once with HELLO."""
    log: list[Any] = []

    async def authenticate(session: Any) -> None:
        try:
            log.append(await session.request_ticket_authentication())
            log.append(await session.request_ticket_authentication())
        except ConnectionClosed as error:
            log.append(type(error))
            raise
        await session.mark_authenticated('known')

    app = make_app(async_support=support)
    app.set_authentication_handler(authenticate)

    async def main() -> None:
        connection = Streams()
        codes = []
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app.handle_connection, connection)
                for message in [HELLO, *answers]:
                    await connection.sender.send(message)
                    if not hasty and len(codes) < len(heard):
                        codes.append((await connection.receiver.receive())[0])
                if heard[-1] == 50:
                    await connection.sender.send([48, 1, {}, 'echo'])
                while len(codes) < len(heard):
                    codes.append((await connection.receiver.receive())[0])
                await connection.close()
        assert codes == heard

    anyio.run(main, backend=backend)
    assert log == seen
    assert not app._active_sessions
