"""_core.native.message_transport: WebSocket messages without WAMP. What it stands on is tested in test_transport.py."""

import asyncio
from typing import Any

import pytest
from support.client_frames import BINARY, CONTINUATION, TEXT, frame
from support.frame_echo import LIMIT, echoing
from ws_echo_server import Echo, negotiate

from serverwamp_fast._core.native.hubs import Hub
from serverwamp_fast._core.native.message_transport import MessageTransport
from serverwamp_fast.errors import ConnectionClosed


class Recorder(MessageTransport, asyncio.BufferedProtocol):
    received: list[Any] = []

    def message_received(self, data: bytes, is_text: bool) -> None:
        self.received.append((data, is_text))
        self.send(b'%d' % len(data), not is_text)


class Deaf(MessageTransport, asyncio.BufferedProtocol):
    pass


def test_whole_messages_are_received_and_sent(run) -> None:
    Recorder.received = []

    async def main() -> None:
        async with echoing(Recorder) as server:
            client = await server.connect()
            await client.send(frame(TEXT, 'ä'.encode()) + frame(BINARY, b''))
            await client.send(frame(BINARY, b'\xff', final=False) + frame(CONTINUATION, b'\xfe'))
            assert [await client.read_frame() for _ in range(3)] == [
                (BINARY, b'2'),
                (TEXT, b'0'),
                (TEXT, b'2'),
            ]
            await client.leave()

    run(main())
    assert Recorder.received == [('ä'.encode(), True), (b'', False), (b'\xff\xfe', False)]
    assert {type(data) for data, _ in Recorder.received} == {bytes}


def test_without_an_override_messages_are_passed_over(run) -> None:
    async def main() -> None:
        async with echoing(Deaf) as server:
            client = await server.connect()
            await client.send(frame(TEXT, b'heard by nobody'))
            await client.leave()

    run(main())


def test_sending_over_a_closed_connection(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            (connection,) = server.connections
            with pytest.raises(TypeError):
                connection.send(None, True)
            await client.leave()
            with pytest.raises(ConnectionClosed):
                connection.send(b'late', False)
        with pytest.raises(ConnectionClosed):
            Echo(Hub(asyncio.get_running_loop(), negotiate, 1, 1, LIMIT)).send(b'early', False)

    run(main())
