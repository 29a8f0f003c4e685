"""An in-memory transport: a Connection of the package's own base class, as an application would write it.

It runs on whatever anyio runs on, so that asyncio and trio are driven alike. Messages pass as they are; nothing
is serialized.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
from anyio.abc import TaskGroup

from compat.apps import App
from compat.packages import Package


def connection_class(package: Package) -> type:
    class MemoryConnection(package.connection.Connection):
        def __init__(self) -> None:
            super().__init__()
            self.inbox_sender, self.inbox = anyio.create_memory_object_stream(1000)
            self.outbox, self.outbox_receiver = anyio.create_memory_object_stream(10000)
            self.closed = False

        async def iterate_msgs(self) -> AsyncIterator[Any]:
            async for message in self.inbox:
                yield message

        async def send_msg(self, msg: Any) -> None:
            await anyio.lowlevel.checkpoint()
            if self.closed:
                raise package.connection.ConnectionClosed
            self.outbox.send_nowait(msg)

        async def close(self) -> None:
            self.hang_up()

        def hang_up(self) -> None:
            self.closed = True
            for stream in (self.inbox_sender, self.outbox):
                stream.close()

    return MemoryConnection


class MemoryClient:
    """The other end of a MemoryConnection."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.escaped: BaseException | None = None

    async def send(self, messages: Any) -> None:
        for message in messages:
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                await self.connection.inbox_sender.send(message)

    async def receive(self) -> Any:
        """The next message; EOFError when the server has closed the connection."""
        try:
            return await self.connection.outbox_receiver.receive()
        except anyio.EndOfStream:
            raise EOFError(type(self.escaped).__name__ if self.escaped else 1000) from None

    async def close(self) -> None:
        self.connection.hang_up()


class MemoryServer:
    """Runs an application's connections as tasks."""

    def __init__(self, app: App, tasks: TaskGroup) -> None:
        self.app = app
        self.tasks = tasks
        self.running = 0
        self.connection_class = connection_class(app.package)

    async def connect(self) -> MemoryClient:
        client = MemoryClient(self.connection_class())
        self.running += 1
        self.tasks.start_soon(self.handle, client)
        return client

    async def handle(self, client: MemoryClient) -> None:
        try:
            await self.app.application.handle_connection(client.connection)
        except Exception as error:
            client.escaped = error
        finally:
            self.running -= 1
            client.connection.hang_up()

    async def finished(self) -> None:
        """Returns when no connection is being handled any more."""
        while self.running:
            await anyio.sleep(0.001)


@contextlib.asynccontextmanager
async def serve_memory(app: App) -> AsyncIterator[MemoryServer]:
    async with anyio.create_task_group() as tasks:
        yield MemoryServer(app, tasks)
        tasks.cancel_scope.cancel()
