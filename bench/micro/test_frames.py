"""Read and write WebSocket frames. serverwamp leaves them to aiohttp, or under uvicorn to websockets."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol, State

from serverwamp_fast._core.framing.websocket import FrameReader, build_frame

PAYLOAD = b'[48,123,{},"com.example.echo",["' + b'abcdefgh' * 8 + b'"]]'


@pytest.mark.parametrize('count', [1, 16])
class TestRead:
    """A connection that is open gets masked text frames in one read. Each gives them out as its servers take them."""

    @pytest.fixture(autouse=True)
    def group(self, benchmark, count):
        benchmark.group = f'read {count} masked frame{"s" * (count > 1)} on an open connection'

    @pytest.fixture
    def data(self, count) -> bytes:
        frame = Frame(Opcode.TEXT, PAYLOAD).serialize(mask=True)
        return frame * count

    def test_fast(self, benchmark, data, count):
        reader = FrameReader(max_size=1 << 20)
        assert benchmark(reader.receive, data) == [(1, PAYLOAD)] * count

    def test_websockets(self, benchmark, data, count):
        protocol = ServerProtocol(state=State.OPEN)

        def read() -> list[Frame]:
            protocol.receive_data(data)
            return protocol.events_received()

        assert [frame.data for frame in benchmark(read)] == [PAYLOAD] * count

    def test_aiohttp(self, benchmark, data, count):
        module = pytest.importorskip('aiohttp._websocket.reader')
        base = pytest.importorskip('aiohttp.base_protocol')
        loop = asyncio.new_event_loop()
        queue = module.WebSocketDataQueue(base.BaseProtocol(loop), 2**16, loop=loop)
        reader = module.WebSocketReader(queue, 1 << 20, False, True)

        def read() -> list[str]:
            reader.feed_data(data)
            return [finish(queue.read()).data for _ in range(count)]

        try:
            assert benchmark(read) == [PAYLOAD.decode()] * count
        finally:
            loop.close()


class NullTransport(asyncio.Transport):
    """Keeps what is written last."""

    def write(self, data: bytes) -> None:
        self.last = data

    def writelines(self, parts: list[bytes]) -> None:
        self.last = b''.join(parts)

    def is_closing(self) -> bool:
        return False


@pytest.mark.benchmark(group='write a frame')
class TestWrite:
    def test_fast(self, benchmark):
        assert benchmark(build_frame, 1, PAYLOAD).endswith(PAYLOAD)

    def test_websockets(self, benchmark):
        assert benchmark(lambda: Frame(Opcode.TEXT, PAYLOAD).serialize(mask=False)).endswith(PAYLOAD)

    def test_aiohttp(self, benchmark):
        """It hands the frame to a transport in the same step."""
        module = pytest.importorskip('aiohttp._websocket.writer')
        base = pytest.importorskip('aiohttp.base_protocol')
        loop, transport = asyncio.new_event_loop(), NullTransport()
        protocol = base.BaseProtocol(loop)
        protocol.transport = transport
        writer = module.WebSocketWriter(protocol, transport)

        def write() -> bytes:
            # It waits for the transport after so many bytes; there is nothing to wait for.
            writer._output_size = 0
            finish(writer.send_frame(PAYLOAD, 1))
            return transport.last

        try:
            assert benchmark(write).endswith(PAYLOAD)
        finally:
            loop.close()


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError('It waits.')
