"""Clients of an application, by the native server or by a connection of one's own, with the same face."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from typing import Any

from serverwamp_fast.connection import Connection, ConnectionClosed
from support.raw_client import HELLO, serving


class Pair(Connection):
    """A connection that is two queues. It is its own client: `ask` and the like are the other side."""

    def __init__(self) -> None:
        super().__init__()
        self.transport_info['peer_address'] = '127.0.0.1'
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self.is_closed = False
        self.serving: asyncio.Task[None]

    # The server's side

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        while (message := await self.incoming.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message

    async def send_msg(self, msg: Sequence[Any]) -> None:
        if self.is_closed:
            raise ConnectionClosed('The connection is closed.')
        self.outgoing.put_nowait(list(msg))

    async def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.incoming.put_nowait(None)
            self.outgoing.put_nowait(None)

    # The client's side

    async def say(self, *messages: Any) -> None:
        for message in messages:
            self.incoming.put_nowait(message)

    async def hear(self) -> Any:
        return await self.outgoing.get()

    async def ask(self, *message: Any) -> Any:
        await self.say(list(message))
        return await self.hear()

    async def hello(self) -> Any:
        code, self.session_id, details = await self.ask(*HELLO)
        assert code == 2
        return details

    async def call(self, request: int, procedure: str, *args: Any) -> Any:
        answer = await self.ask(48, request, {}, procedure, list(args))
        assert answer[:3] == [50, request, {}], answer
        return list(answer[3]) if len(answer) > 3 else []

    async def expect_abort(self, uri: str) -> Any:
        answer = await self.hear()
        assert answer[0] == 3 and answer[2] == uri, answer
        assert await self.hear() is None
        return answer[1]

    async def expect_over(self) -> None:
        assert await self.hear() is None

    async def vanish(self) -> None:
        """The client is gone: what is sent to it can't be sent. Waits until the server has noticed."""
        await self.close()
        await self.serving


class Clients:
    """Connects clients to an application, by the native server or by connections of one's own."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @contextlib.asynccontextmanager
    async def of(self, app: Any) -> AsyncIterator[Any]:
        if self.kind == 'native':
            async with serving(app) as server:

                async def connect() -> Any:
                    client = await server.connect()

                    async def vanish() -> None:
                        client.reset()
                        await server.all_gone()

                    client.vanish = vanish
                    client.expect_over = functools.partial(client.expect_close, 1000)
                    return client

                yield connect
            return
        served: list[Pair] = []

        async def connect_pair() -> Any:
            pair = Pair()
            pair.serving = asyncio.create_task(app.handle_connection(pair))
            served.append(pair)
            return pair

        yield connect_pair
        for pair in served:
            await pair.vanish()
        assert not app._active_sessions
