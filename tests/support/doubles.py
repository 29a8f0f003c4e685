"""Stand-ins for what is around a session: connections that record, a native one included, and loops' tasks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from serverwamp_fast._core.dialogue.dispatch import Dispatch, attach, receive
from serverwamp_fast._core.native.hubs import Hub
from serverwamp_fast._core.native.peers import WAMPPeer
from serverwamp_fast.adapters.async_base import AsyncTaskGroup
from serverwamp_fast.connection import Connection
from serverwamp_fast.realm import Realm
from serverwamp_fast.session import WAMPSession
from support.client_frames import TEXT, frame


class RecordingConnection(Connection):
    """Keeps what is sent in `sent`. Each send first raises, or awaits, the next of `obstacles` that isn't None."""

    def __init__(
        self, *obstacles: BaseException | Callable[[], Awaitable[None]] | None
    ) -> None:
        super().__init__()
        self.obstacles = list(obstacles)
        self.sent: list[list[Any]] = []
        self.closed = False

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        for msg in ():
            yield msg

    async def send_msg(self, msg: Sequence[Any]) -> None:
        obstacle = self.obstacles.pop(0) if self.obstacles else None
        if isinstance(obstacle, BaseException):
            raise obstacle
        if obstacle is not None:
            await obstacle()
        self.sent.append(list(msg))

    async def close(self) -> None:
        self.closed = True


def open_session(
    connection: Any = None, realm: Realm | None = None, kind: type[WAMPSession] = WAMPSession
) -> WAMPSession:
    """A session past its WELCOME."""
    session = kind(connection or RecordingConnection(), realm or Realm(), RecordingTasks())
    session.mark_open()
    return session


def hear_goodbye(session: WAMPSession) -> None:
    """The client says GOODBYE, and nobody has answered yet."""
    attach(session, None, Dispatch(None, lambda session, message: None, [6], False))
    receive(session, [6, {}, 'wamp.close.normal'])


class RecordingTasks(AsyncTaskGroup):
    """Keeps what is to run instead of running it."""

    def __init__(self) -> None:
        self.spawned: list[Coroutine[Any, Any, None]] = []

    async def spawn(self, callback: Any, *callback_args: Any, **callback_kwargs: Any) -> None:
        self.spawned.append(callback(*callback_args, **callback_kwargs))

    async def cancel(self) -> None:
        for coroutine in self.spawned:
            coroutine.close()


class RecordingTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class NativeClient:
    """A client of a native connection that has no socket: `send` messages, `receive` what was answered.

    Needs a running loop. `make_session(peer)` returns the session for HELLO, which is opened without asking.
    """

    def __init__(
        self, make_session: Callable[[Any], WAMPSession], subprotocol: str = 'wamp.2.json'
    ) -> None:
        self.make_session = make_session
        self.ended: list[WAMPSession] = []
        self.hub = Hub(
            asyncio.get_running_loop(), lambda head: (b'', subprotocol), 60.0, 60.0, 1 << 20
        )
        self.peer = WAMPPeer(self.hub, self)
        self.transport = RecordingTransport()
        self.protocol = ClientProtocol(
            parse_uri('ws://localhost/'), state=State.OPEN, max_size=None
        )
        self.peer.connection_made(self.transport)
        self._feed(b'GET / HTTP/1.1\r\n\r\n')
        self.send([1, 'realm', {'roles': {}}])

    # What the peer asks of its server

    def consume(self, peer: Any) -> bool:
        return False

    def open_session(self, peer: Any, message: Any) -> tuple[WAMPSession, None]:
        self.session = self.make_session(peer)
        self.session.mark_open()
        return self.session, None

    def end_session(self, session: WAMPSession) -> None:
        self.ended.append(session)

    # The client

    def _feed(self, data: bytes) -> None:
        buffer = self.peer.get_buffer(-1)
        buffer[: len(data)] = data
        self.peer.buffer_updated(len(data))

    def send(self, *messages: Any) -> None:
        self._feed(b''.join(frame(TEXT, json.dumps(message).encode()) for message in messages))

    async def receive(self) -> list[Any]:
        """What the server has sent since the last time, when the loop has nothing more to do."""
        for _ in range(5):
            await asyncio.sleep(0)
        self.protocol.receive_data(bytes(self.transport.written))
        self.transport.written.clear()
        return [
            json.loads(event.data)
            for event in self.protocol.events_received()
            if event.opcode == TEXT
        ]

    def leave(self) -> None:
        self.peer.connection_lost(None)
