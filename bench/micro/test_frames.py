"""Read and write WebSocket frames. serverwamp leaves them to aiohttp, or under uvicorn to websockets."""

import asyncio

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol, State

from serverwamp_fast._core.frames import FrameReader, build_frame

PAYLOAD = b'[48,123,{},"com.example.echo",["' + b'abcdefgh' * 8 + b'"]]'


def read_with_websockets(data: bytes, count: int) -> int:
    protocol = ServerProtocol(state=State.OPEN)
    protocol.receive_data(data)
    assert len(protocol.events_received()) == count
    return count


def read_with_fast(data: bytes, count: int) -> int:
    reader = FrameReader(max_size=1 << 20)
    assert len(reader.receive(data)) == count
    return count


@pytest.mark.parametrize('count', [1, 16])
class TestRead:
    """A new reader takes masked text frames that come in one read."""

    @pytest.fixture(autouse=True)
    def group(self, benchmark, count):
        benchmark.group = f'read {count} masked frame{"s" * (count > 1)}'

    @pytest.fixture
    def data(self, count) -> bytes:
        frame = Frame(Opcode.TEXT, PAYLOAD).serialize(mask=True)
        return frame * count

    def test_fast(self, benchmark, data, count):
        assert benchmark(read_with_fast, data, count) == count

    def test_websockets(self, benchmark, data, count):
        assert benchmark(read_with_websockets, data, count) == count

    def test_aiohttp(self, benchmark, data, count):
        reader = pytest.importorskip('aiohttp._websocket.reader')
        base = pytest.importorskip('aiohttp.base_protocol')
        loop = asyncio.new_event_loop()

        def read() -> int:
            queue = reader.WebSocketDataQueue(base.BaseProtocol(loop), 2**16, loop=loop)
            reader.WebSocketReader(queue, 1 << 20, False, True).feed_data(data)
            assert len(queue._buffer) == count
            return count

        try:
            assert benchmark(read) == count
        finally:
            loop.close()


@pytest.mark.benchmark(group='write a frame')
class TestWrite:
    def test_fast(self, benchmark):
        assert benchmark(build_frame, 1, PAYLOAD).endswith(PAYLOAD)

    def test_websockets(self, benchmark):
        assert benchmark(lambda: Frame(Opcode.TEXT, PAYLOAD).serialize(mask=False)).endswith(PAYLOAD)
