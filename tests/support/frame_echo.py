"""An echo server on the native transport, without WAMP, for clients that write their frames by hand."""

import asyncio
import contextlib
import functools
import gc
from collections.abc import AsyncIterator
from typing import Any

from ws_echo_server import Echo, negotiate

from serverwamp_fast._core.native.hubs import Hub
from support.raw_client import RawClient, Served

LIMIT = 200_000


class EchoServer(Served):
    def __init__(self, server: Any, hub: Hub) -> None:
        self.hub = hub
        super().__init__(server)

    @property
    def connections(self) -> set[Any]:
        return self.hub.connections

    @property
    def tasks(self) -> set[Any]:
        return self.hub.tasks

    async def connect(self, *args: Any, **options: Any) -> RawClient:
        client = await self.connect_tcp(*args, **options)
        await client.send(client.request('echo')[0])
        assert (await client.read_head())[0] == 101
        return client


@contextlib.asynccontextmanager
async def echoing(
    kind: type = Echo, open_timeout: float = 30, close_timeout: float = 30, max_size: int = LIMIT
) -> AsyncIterator[EchoServer]:
    loop = asyncio.get_running_loop()
    hub = Hub(loop, negotiate, open_timeout, close_timeout, max_size)
    server = await loop.create_server(functools.partial(kind, hub), '127.0.0.1', 0)
    try:
        yield EchoServer(server, hub)
    finally:
        server.close()
        for connection in tuple(hub.connections):
            connection.transport.abort()
        await hub.wait_empty()
        gc.collect()
