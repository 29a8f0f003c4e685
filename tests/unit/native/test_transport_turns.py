"""What connections that pipeline handle in one turn of the loop, while others wait for each of their answers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.client_frames import TEXT, frame
from ws_echo_server import Echo, negotiate

from serverwamp_fast._core.native.hubs import Hub

LIMIT = 1024 * 1024
HEAD = (
    b'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
)
SHORT_VISIT = 16
VISIT = 64
SHORT_TURNS = 64


class Transport(asyncio.Transport):
    """Keeps what is written, and whether it is being read from."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_reading = True

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.writes.append(data)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True


class Client:
    """An open connection to an echo server."""

    def __init__(self, hub: Hub) -> None:
        self.transport = Transport()
        self.peer = Echo(hub)
        self.peer.connection_made(self.transport)
        self.feed(HEAD)
        self.transport.writes.clear()

    def feed(self, data: bytes) -> None:
        self.peer.get_buffer(-1)[: len(data)] = data
        self.peer.buffer_updated(len(data))

    def send(self, *texts: str) -> None:
        self.feed(b''.join(frame(TEXT, text.encode()) for text in texts))

    @property
    def answers(self) -> list[str]:
        data, texts = b''.join(self.transport.writes), []
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], 'big'), 4
            texts.append(data[start : start + size].decode())
            data = data[start + size :]
        return texts


def number(count: int, first: int = 0) -> list[str]:
    return [f'{value:03}' for value in range(first, first + count)]


@pytest.fixture
def serving(run) -> Callable[[Callable[[Hub], Awaitable[None]]], None]:
    def serve(scenario: Callable[[Hub], Awaitable[None]]) -> None:
        async def main() -> None:
            hub = Hub(asyncio.get_running_loop(), negotiate, 10, 10, LIMIT)
            await scenario(hub)
            for connection in tuple(hub.connections):
                connection.connection_lost(None)
            await asyncio.wait_for(hub.wait_empty(), 10)

        run(main())

    return serve


async def turn(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_those_that_pipeline_get_all_at_once_among_themselves(serving) -> None:
    async def scenario(hub: Hub) -> None:
        clients = [Client(hub) for _ in range(20)]
        for client in clients:
            client.send(*number(VISIT))
            assert client.answers == number(VISIT)
            assert len(client.transport.writes) == 1

    serving(scenario)


def test_beside_a_client_that_waits_they_take_turns(serving) -> None:
    async def scenario(hub: Hub) -> None:
        polite, *others = (Client(hub) for _ in range(5))
        polite.send('now')
        for other in others:
            other.send(*number(SHORT_VISIT))
        # The first one uses the turn up.
        assert [len(other.answers) for other in others] == [SHORT_VISIT, 0, 0, 0]
        polite.send('soon')
        assert polite.answers == ['now', 'soon']
        for done in range(2, 5):
            await turn()
            assert [len(other.answers) for other in others] == [SHORT_VISIT] * done + [0] * (4 - done)
        for other in others:
            assert other.answers == number(SHORT_VISIT)
            # The answer to the first message has waited for the rest.
            assert len(other.transport.writes) == 1

    serving(scenario)


def test_long_queues_come_round_again(serving) -> None:
    async def scenario(hub: Hub) -> None:
        polite, first, second = (Client(hub) for _ in range(3))
        polite.send('now')
        first.send(*number(3 * SHORT_VISIT))
        second.send(*number(2 * SHORT_VISIT))
        counts = []
        for _ in range(5):
            counts.append((len(first.answers), len(second.answers)))
            await turn()
        assert counts == [(16, 0), (32, 0), (32, 17), (48, 17), (48, 32)]
        assert first.answers == number(3 * SHORT_VISIT)
        assert second.answers == number(2 * SHORT_VISIT)

    serving(scenario)


def test_what_comes_while_a_client_awaits_its_turn_is_put_behind(serving) -> None:
    async def scenario(hub: Hub) -> None:
        polite, first, second = (Client(hub) for _ in range(3))
        polite.send('now')
        first.send(*number(SHORT_VISIT))
        second.send(*number(5))
        assert second.transport.is_reading
        whole = b''.join(frame(TEXT, text.encode()) for text in number(5, first=5))
        second.feed(whole[:11])
        # There is no telling how much more would come.
        assert not second.transport.is_reading
        second.feed(whole[11:])
        await turn()
        assert second.answers == number(10)
        assert second.transport.is_reading

    serving(scenario)


def test_reading_pauses_at_once_behind_much(serving) -> None:
    async def scenario(hub: Hub) -> None:
        polite, first, second = (Client(hub) for _ in range(3))
        texts = [text * 1000 for text in number(10)]
        polite.send('now')
        first.send(*number(SHORT_VISIT))
        second.send(*texts)
        assert not second.transport.is_reading
        # Should the loop read all the same, there is room for it.
        left = sum(len(frame(TEXT, text.encode())) for text in texts[1:])
        assert 0 < len(second.peer.get_buffer(-1)) <= 256 * 1024 - left
        await turn()
        assert second.answers == texts
        assert second.transport.is_reading

    serving(scenario)


def test_a_client_that_is_lost_while_it_awaits_its_turn(serving) -> None:
    async def scenario(hub: Hub) -> None:
        polite, first, second = (Client(hub) for _ in range(3))
        polite.send('now')
        first.send(*number(SHORT_VISIT))
        second.send(*number(SHORT_VISIT))
        second.peer.connection_lost(None)
        await turn(3)
        assert second.peer not in hub.connections
        assert second.answers == []

    serving(scenario)


def test_turns_are_long_again_when_nobody_waits_any_more(serving) -> None:
    async def scenario(hub: Hub) -> None:
        polite, first, second = (Client(hub) for _ in range(3))
        polite.send('now')
        for _ in range(SHORT_TURNS + 1):
            first.send(*number(2))
            await turn()
        first.transport.writes.clear()
        for client in first, second:
            client.send(*number(VISIT))
            assert client.answers == number(VISIT)

    serving(scenario)


def test_a_client_alone_has_nobody_to_make_room_for(serving) -> None:
    async def scenario(hub: Hub) -> None:
        client = Client(hub)
        client.send('now')
        client.send(*number(VISIT))
        assert client.answers == ['now', *number(VISIT)]
        assert len(client.transport.writes) == 2

    serving(scenario)
