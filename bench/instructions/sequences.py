"""Fixed sequences of messages through the native server's protocol object, without sockets.

    python sequences.py MARKS     MARKS: marks.c as a shared library; under callgrind

Each sequence runs twice uncounted, so that caches are full and the interpreter has specialized its code, and then
counted. What the server answers is checked.
"""

import asyncio
import ctypes
import gc
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

import serverwamp_fast as serverwamp
from serverwamp_fast.adapters.native import Server

MASK = b'\x37\xfa\x21\x3d'
PAYLOAD = 'abcdefgh' * 8
REQUEST = (
    b'GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
    b'Sec-WebSocket-Protocol: %s\r\n\r\n'
)
HELLO = [1, 'bench', {'roles': {'caller': {'features': {'progressive_call_results': True}}, 'subscriber': {}}}]


class NullTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Client:
    """A connection of the server, and what is sent on it."""

    def __init__(self, server: Server, serializer: str, agent: str = '') -> None:
        self.is_json = serializer == 'json'
        self.transport = NullTransport()
        self.peer = server._connect()
        self.next_id = 1
        self.head = REQUEST % f'wamp.2.{serializer}'.encode()
        if agent:
            self.head = self.head[:-2] + f'User-Agent: {agent}\r\n\r\n'.encode()

    def open(self) -> None:
        self.peer.connection_made(self.transport)
        self.feed(self.head)
        self.feed(self.frame(HELLO))

    def feed(self, data: bytes) -> None:
        self.peer.get_buffer(-1)[: len(data)] = data
        self.peer.buffer_updated(len(data))

    def frame(self, message: list[Any]) -> bytes:
        payload = json.dumps(message, separators=(',', ':')).encode() if self.is_json else msgpack.packb(message)
        size = len(payload)
        head = bytes([0x81 if self.is_json else 0x82])
        head += bytes([0x80 | size]) if size < 126 else b'\xfe' + size.to_bytes(2, 'big')
        key = MASK * (size // 4 + 1)
        return head + MASK + bytes(byte ^ key[at] for at, byte in enumerate(payload))

    def build_calls(self, procedure: str, count: int, options: dict[str, Any] | None = None) -> bytes:
        """Return the frames of `count` calls."""
        frames = []
        for _ in range(count):
            frames.append(self.frame([48, self.next_id, options or {}, procedure, [PAYLOAD]]))
            self.next_id += 1
        return b''.join(frames)

    def leave(self) -> None:
        """Lose the connection; once is enough."""
        if not self.peer.is_closed:
            self.peer.connection_lost(None)


def build_app() -> serverwamp.Application:
    """Return the application that is called."""
    calls = serverwamp.RPCRouteSet()
    topics = serverwamp.TopicRouteSet()

    @calls.route('echo')
    async def echo(value):
        return value

    @calls.route('wait')
    async def wait(value):
        await asyncio.sleep(0)
        return value

    @calls.route('progress')
    async def progress(value):
        for _ in range(10):
            yield serverwamp.RPCProgressReport(args=(value,))
        yield value

    @calls.route('spread')
    async def spread(value, subscribers):
        for subscriber in list(subscribers):
            await subscriber.send_event('topic', args=(value,))

    @calls.route('publish')
    async def publish(value, session):
        await session.realm.publish('topic', args=(value,))

    @topics.route('topic')
    async def listen(session, subscribers):
        subscribers.add(session)
        yield
        subscribers.discard(session)

    app = serverwamp.Application()
    app.add_rpc_routes(calls)
    app.add_topic_routes(topics)
    app.set_default_arg('subscribers', set())
    return app


def split_messages(data: bytes) -> list[bytes]:
    """Return the payloads of a server's frames, which may follow the response to a handshake."""
    if data.startswith(b'HTTP/'):
        data = data.partition(b'\r\n\r\n')[2]
    messages = []
    while data:
        extra = {126: 2, 127: 8}.get(data[1], 0)
        start = 2 + extra
        end = start + (int.from_bytes(data[2:start]) if extra else data[1])
        messages.append(data[start:end])
        data = data[end:]
    return messages


@dataclass
class Sequence:
    """Reads that come one after the other; each of `clients` has to be sent so many answers with `answer` in them."""

    reads: list[tuple[Client, bytes]]
    operations: int
    clients: list[Client]
    answers: int
    answer: bytes = PAYLOAD.encode()
    # The end of what the first client is sent.
    last: bytes = b''
    # How often the loop turns after each read.
    turns: int = 0
    # The clients still have to connect.
    connects: bool = False

    async def run(self) -> None:
        if self.connects:
            for client in self.clients:
                client.peer.connection_made(client.transport)
        for client, data in self.reads:
            client.feed(data)
            for _ in range(self.turns):
                await asyncio.sleep(0)

    def check(self) -> None:
        for client in self.clients:
            messages = split_messages(b''.join(client.transport.written))
            assert len(messages) == self.answers, (len(messages), self.answers)
            assert all(self.answer in message for message in messages), messages
            if client is self.clients[0]:
                assert self.last in messages[-1], (self.last, messages[-1])


def prepare_calls(
    server: Server, serializer: str, procedure: str, reads: int, depth: int, options: dict[str, Any] | None = None
) -> Sequence:
    client = Client(server, serializer)
    client.open()
    data = [client.build_calls(procedure, depth, options) for _ in range(reads)]
    # Python 3.11 has no eager tasks.
    turns = 0 if procedure == 'echo' and sys.version_info >= (3, 12) else 3
    last = [50, client.next_id - 1]
    ending = b'[%d,%d,' % tuple(last) if client.is_json else msgpack.packb(last)[1:]
    answers = reads * depth * (11 if procedure == 'progress' else 1)
    return Sequence(
        [(client, chunk) for chunk in data], reads * depth, [client], answers, last=ending, turns=turns
    )


def prepare_sessions(server: Server, count: int, *, own_agents: bool) -> Sequence:
    clients = [Client(server, 'json', f'{number}' if own_agents else '') for number in range(count)]
    reads = [(client, data) for client in clients for data in (client.head, client.frame(HELLO))]
    return Sequence(reads, count, clients, 1, b'[2,', connects=True)


def prepare_events(server: Server, procedure: str, subscribers: int, publications: int) -> Sequence:
    clients = [Client(server, 'json') for _ in range(subscribers)]
    for client in clients:
        client.open()
        client.feed(client.frame([32, 1, {}, 'topic']))
    caller = Client(server, 'json')
    caller.open()
    reads = [(caller, caller.build_calls(procedure, 1)) for _ in range(publications)]
    return Sequence(reads, subscribers * publications, clients, publications, turns=3)


SEQUENCES: dict[str, Callable[[Server], Sequence]] = {
    'session opened': lambda server: prepare_sessions(server, 100, own_agents=True),
    'session opened, requests alike': lambda server: prepare_sessions(server, 100, own_agents=False),
    'call, JSON, one in a read': lambda server: prepare_calls(server, 'json', 'echo', 200, 1),
    'call, JSON, 16 in a read': lambda server: prepare_calls(server, 'json', 'echo', 25, 16),
    'call, MessagePack, 16 in a read': lambda server: prepare_calls(server, 'msgpack', 'echo', 25, 16),
    'call that awaits, JSON, 16 in a read': lambda server: prepare_calls(server, 'json', 'wait', 15, 16),
    'call with ten progress reports': lambda server: prepare_calls(
        server, 'json', 'progress', 30, 1, {'receive_progress': True}
    ),
    'event by send_event() in a loop, 100 subscribers': lambda server: prepare_events(server, 'spread', 100, 5),
    'event by realm.publish(), 100 subscribers': lambda server: prepare_events(server, 'publish', 100, 5),
}


async def count_sequence(name: str, begin: Callable[[], None], end: Callable[[str], None]) -> None:
    """Run a sequence three times, each time on a server of its own; count the last time."""
    for is_counted in (False, False, True):
        server = Server(build_app(), None)
        sequence = SEQUENCES[name](server)
        # Subscriptions may still have something to do.
        for _ in range(5):
            await asyncio.sleep(0)
        for client in sequence.clients:
            client.transport.written.clear()
        gc.collect()
        gc.disable()
        if is_counted:
            begin()
        await sequence.run()
        if is_counted:
            end(f'{sequence.operations} {name}')
        gc.enable()
        # What hasn't been answered by now would not have been counted.
        sequence.check()
        for client in (*sequence.clients, *(client for client, _ in sequence.reads)):
            client.leave()
        await asyncio.sleep(0)


async def main(marks: str | None) -> None:
    def begin() -> None:
        if library is not None:
            library.begin()

    def end(label: str) -> None:
        if library is not None:
            library.end(label.encode())
        else:
            print(label)

    library = ctypes.CDLL(marks) if marks else None
    for name in SEQUENCES:
        await count_sequence(name, begin, end)


if __name__ == '__main__':
    # asyncio's own loop: uvloop reads from sockets, and there are none.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
