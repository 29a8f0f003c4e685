"""Applications in every setting that calls can run in, and a client that talks to them in WAMP messages.

A setting is a transport with an async library: the native server, or Application.handle_connection() on a
connection in memory. Procedures use anyio, which works in all of them.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import uvloop

import serverwamp_fast as wamp
from serverwamp_fast.adapters.anyio import AnyioAsyncSupport
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
from serverwamp_fast.adapters.trio import TrioAsyncSupport
from serverwamp_fast.connection import Connection
from serverwamp_fast.handlers import default_protocol_rpc_handler
from serverwamp_fast.protocol import WAMPRPCRequest
from support.raw_client import Served

HELLO = [1, 'realm1', {'roles': {'caller': {}}}]


class MemoryConnection(Connection):
    """Messages come from one stream of anyio and go into another."""

    def __init__(self) -> None:
        super().__init__()
        self.to_server, self.incoming = anyio.create_memory_object_stream[Any](100)
        self.outgoing, self.from_server = anyio.create_memory_object_stream[Any](100)

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        async with self.incoming:
            async for message in self.incoming:
                yield message

    async def send_msg(self, msg: Any) -> None:
        await self.outgoing.send(list(msg))

    async def close(self) -> None:
        self.outgoing.close()

    # The client's end

    async def tell(self, *message: Any) -> None:
        await self.to_server.send(list(message))

    async def hear(self) -> list[Any]:
        message: list[Any] = await self.from_server.receive()
        return message

    async def leave(self) -> None:
        self.to_server.close()


class NativeTalk:
    def __init__(self, client: Any) -> None:
        self.client = client

    async def tell(self, *message: Any) -> None:
        await self.client.say(list(message))

    async def hear(self) -> list[Any]:
        message: list[Any] = await self.client.hear()
        return message

    async def leave(self) -> None:
        self.client.close()


class OwnSupport(AsyncioAsyncSupport):
    """Not the class that the native server knows, so that the application reads the connections itself."""


@dataclass(frozen=True)
class Setting:
    name: str
    support: Any
    is_native: bool = False
    backend: str = 'asyncio'
    loop_factory: Any = None

    def run(self, main: Callable[..., Awaitable[Any]]) -> None:
        """Run `main(setting)`, within half a minute."""
        options: dict[str, Any] = {}
        if self.loop_factory is not None:
            options['loop_factory'] = self.loop_factory

        async def bounded() -> None:
            with anyio.fail_after(30):
                await main(self)

        anyio.run(bounded, backend=self.backend, backend_options=options)

    @contextlib.asynccontextmanager
    async def join(self, routes: Any, path: Callable[[Any], Any], **options: Any) -> AsyncIterator[Any]:
        """A session with an application of these routes; WELCOME has been heard."""
        app = path({'async_support': self.support, **options})
        app.add_rpc_routes(routes)
        if path is use_a_function_for_all_calls:
            router = app._default_realm._rpc_router
            app.set_rpc_handler(lambda request: router.handle_rpc_call(request))
        async with self.connect(app) as talk:
            yield talk

    @contextlib.asynccontextmanager
    async def connect(self, app: Any) -> AsyncIterator[Any]:
        if self.is_native:
            async with await app.serve('127.0.0.1', 0) as server:
                talk = NativeTalk(await Served(server).join('wamp.2.json'))
                yield talk
                await talk.leave()
            return
        connection = MemoryConnection()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.handle_connection, connection)
            await connection.tell(*HELLO)
            assert (await connection.hear())[0] == 2
            yield connection
            await connection.leave()


SETTINGS = [
    Setting('native', AsyncioAsyncSupport, is_native=True),
    Setting('native uvloop', AsyncioAsyncSupport, is_native=True, loop_factory=uvloop.new_event_loop),
    Setting('native anyio', AnyioAsyncSupport, is_native=True),
    Setting('native own', OwnSupport, is_native=True, loop_factory=uvloop.new_event_loop),
    Setting('asyncio', AsyncioAsyncSupport),
    Setting('anyio on asyncio', AnyioAsyncSupport),
    Setting('anyio on trio', AnyioAsyncSupport, backend='trio'),
    Setting('trio', TrioAsyncSupport, backend='trio'),
]
in_every_setting = pytest.mark.parametrize('setting', SETTINGS, ids=lambda setting: setting.name)


def use_routes(options: dict[str, Any]) -> Any:
    return wamp.Application(**options)


def use_a_function_for_all_calls(options: dict[str, Any]) -> Any:
    return wamp.Application(**options)


def use_a_protocol_handler(options: dict[str, Any]) -> Any:
    async def handle(request: Any, session: Any) -> None:
        await default_protocol_rpc_handler(request, session)

    return wamp.Application(protocol_request_handlers={WAMPRPCRequest: handle}, **options)


on_every_path = pytest.mark.parametrize(
    'path', [use_routes, use_a_function_for_all_calls, use_a_protocol_handler]
)


async def say(talk: Any, *message: Any) -> list[Any]:
    """Send a message and return the next one that comes."""
    await talk.tell(*message)
    heard: list[Any] = await talk.hear()
    return plain(heard)


async def hear(talk: Any) -> list[Any]:
    return plain(await talk.hear())


def plain(value: Any) -> Any:
    """Tuples as lists, as a serializer would have it."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


async def hear_nothing_more(talk: Any) -> None:
    """The next that comes is the answer to a call made now."""
    assert await say(talk, 48, 99, {}, 'echo', ['next']) == [50, 99, {}, ['next']]


