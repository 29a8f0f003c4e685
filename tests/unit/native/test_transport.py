"""The native transport by itself: an echo server on it, and clients that write their frames by hand."""

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from support.client_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_payload,
    frame,
)
from support.frame_echo import LIMIT, EchoServer, echoing
from support.raw_client import warnings_in
from ws_echo_server import Echo

from serverwamp_fast._core.native.hubs import Hub
from serverwamp_fast._core.native.message_transport import MessageTransport
from serverwamp_fast.errors import ConnectionClosed

# Messages


@pytest.mark.parametrize('opcode', [TEXT, BINARY])
@pytest.mark.parametrize('size', [0, 1, 125, 126, 65535, 65536, LIMIT])
def test_messages_of_every_size_pass(run, opcode: int, size: int) -> None:
    payload = b'a' * size

    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            await client.send(frame(opcode, payload))
            assert await client.read_frame() == (opcode, payload)
            await client.leave()

    run(main())


@pytest.mark.parametrize('size', [1, 3, 1000])
def test_a_stream_in_pieces_is_the_same_stream(run, size: int) -> None:
    messages = [(TEXT, 'grün'.encode()), (BINARY, bytes(300)), (TEXT, b''), (BINARY, b'\xff')]

    async def main() -> None:
        async with echoing() as server:
            client = await server.connect_tcp()
            request = client.request('echo')[0]
            stream = request + b''.join(frame(*message) for message in messages)
            await client.send_in_pieces(stream, size)
            assert (await client.read_head())[0] == 101
            for message in messages:
                assert await client.read_frame() == message
            await client.leave()

    run(main())


def test_clients_in_the_midst_of_messages_do_not_meet(run) -> None:
    """Between reads, connections share a reader unless a message of theirs is unfinished."""
    text = 'grün'.encode()
    stream = frame(TEXT, text[:3], final=False) + frame(PING, b'p') + frame(CONTINUATION, text[3:])

    async def main() -> None:
        async with echoing() as server:
            clients = [await server.connect() for _ in range(len(stream) + 1)]
            whole = clients.pop()
            # Each is interrupted at a place of its own.
            for at, client in enumerate(clients):
                await client.send(stream[:at])
                await whole.send(frame(BINARY, b'whole'))
                assert await whole.read_frame() == (BINARY, b'whole')
            for at, client in enumerate(clients):
                await client.send(stream[at:])
                assert await client.read_frame() == (PONG, b'p')
                assert await client.read_frame() == (TEXT, text)

    run(main())


def test_frames_in_the_segment_of_the_request_are_read(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect_tcp()
            # The last one is cut off.
            frames = [frame(TEXT, b'one'), frame(BINARY, b'two'), frame(TEXT, b'three')]
            await client.send(client.request('echo')[0] + b''.join(frames)[:-2])
            assert (await client.read_head())[0] == 101
            assert await client.read_frame() == (TEXT, b'one')
            assert await client.read_frame() == (BINARY, b'two')
            await client.send(frames[-1][-2:])
            assert await client.read_frame() == (TEXT, b'three')

    run(main())


def test_fragments_are_joined_and_control_frames_between_them_answered_first(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            await client.send(
                frame(TEXT, b'g' + 'ü'.encode()[:1], final=False)
                + frame(PING, b'between')
                + frame(CONTINUATION, 'ü'.encode()[1:], final=False)
                + frame(CONTINUATION, b'', final=False)
                + frame(CONTINUATION, b'n')
            )
            assert await client.read_frame() == (PONG, b'between')
            assert await client.read_frame() == (TEXT, 'gün'.encode())

    run(main())


def test_answers_of_all_sizes_keep_their_order(run) -> None:
    """Small answers are collected, large ones are not copied, and many together do not wait for the end."""
    sizes = [1, 32 * 1024, 2, 40_000, 3, *([20_000] * 9), 4, 64 * 1024, 64 * 1024, 5]
    payloads = [b'%06d' % number + bytes(size) for number, size in enumerate(sizes)]

    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            sending = asyncio.create_task(
                client.send(b''.join(frame(BINARY, payload) for payload in payloads))
            )
            for payload in payloads:
                assert await client.read_frame() == (BINARY, payload)
            await sending

    run(main())


@pytest.mark.parametrize('payload', [b'', b'ping', bytes(125)])
def test_ping_is_answered_and_pong_is_not(run, payload: bytes) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            await client.send(frame(PONG, b'nobody asked') + frame(PING, payload))
            assert await client.read_frame() == (PONG, payload)

    run(main())


# Ends


@pytest.mark.parametrize(
    ('payload', 'answer'),
    [
        (b'', b''),
        (close_payload(1000), close_payload(1000)),
        (close_payload(1001, b'going away'), close_payload(1001)),
        (close_payload(4999, 'grün'.encode()), close_payload(4999)),
    ],
)
def test_close_is_answered_with_its_own_code(run, payload: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            # What comes behind Close is not looked at.
            await client.send(frame(TEXT, b'last') + frame(CLOSE, payload) + b'\xff\xff\xff')
            assert await client.read_frame() == (TEXT, b'last')
            assert await client.read_frame() == (CLOSE, answer)
            await client.expect_end()
            await server.all_gone()

    run(main())


WRONG_FRAMES = {
    'unmasked': (1002, frame(TEXT, b'x', mask=None)),
    'reserved bit': (1002, frame(TEXT, b'x', reserved=4)),
    'unknown opcode': (1002, frame(3)),
    'unknown control opcode': (1002, frame(11)),
    'fragmented ping': (1002, frame(PING, final=False)),
    'long ping': (1002, frame(PING, bytes(126))),
    'continuation of nothing': (1002, frame(CONTINUATION, b'x')),
    'message in a message': (1002, frame(TEXT, b'x', final=False) + frame(TEXT, b'y')),
    'long form of a length': (1002, frame(TEXT, b'x', form=3)),
    'longer form of a length': (1002, frame(TEXT, b'x', form=9)),
    'length with the highest bit': (1002, frame(TEXT, claimed=1 << 63)),
    'half a close code': (1002, frame(CLOSE, b'\x03')),
    'reserved close code': (1002, frame(CLOSE, close_payload(1005))),
    'close code of nobody': (1002, frame(CLOSE, close_payload(2999))),
    'no UTF-8': (1007, frame(TEXT, b'\xc0\x80')),
    'no UTF-8 so far': (1007, frame(TEXT, b'\xed\xa0', claimed=1000)),
    'a cut character': (1007, frame(TEXT, b'\xc3')),
    'no UTF-8 in the second fragment': (
        1007,
        frame(TEXT, b'\xe2\x82', final=False) + frame(CONTINUATION, b'\xff', final=False),
    ),
    'no UTF-8 in a reason': (1007, frame(CLOSE, close_payload(1000, b'\xff'))),
    'too long by its header': (1009, frame(BINARY, claimed=LIMIT + 1)),
    'too long by far': (1009, frame(BINARY, claimed=(1 << 63) - 1)),
    'too long together': (
        1009,
        frame(BINARY, bytes(LIMIT), final=False) + frame(CONTINUATION, b'x'),
    ),
}


@pytest.mark.parametrize('name', WRONG_FRAMES)
def test_wrong_frames_end_the_connection(run, caplog, name: str) -> None:
    code, wrong = WRONG_FRAMES[name]

    async def main() -> None:
        async with echoing() as server:
            other = await server.connect()
            client = await server.connect()
            await client.send(frame(TEXT, b'right') + wrong + frame(TEXT, b'not looked at'))
            assert await client.read_frame() == (TEXT, b'right')
            reason = await client.expect_close(code)
            assert reason
            await client.expect_end()
            # It may still be sending, which must not cost it the Close frame.
            await client.send(frame(TEXT, b'not looked at') * 1000)
            client.close()
            await other.send(frame(TEXT, b'unharmed'))
            assert await other.read_frame() == (TEXT, b'unharmed')
            other.close()
            await server.all_gone()
            (line,) = warnings_in(caplog)
            assert str(code) in line
            assert reason.decode() in line

    run(main())


def test_a_message_at_the_limit_is_taken_in_fragments_too(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            half = bytes(LIMIT // 2)
            await client.send(frame(BINARY, half, final=False) + frame(CONTINUATION, half))
            assert await client.read_frame() == (BINARY, half + half)

    run(main())


def test_a_client_that_stays_after_its_failure_is_cut_off(run) -> None:
    async def main() -> None:
        async with echoing(close_timeout=0.05) as server:
            client = await server.connect()
            await client.send(frame(3))
            await client.expect_close(1002)
            # The client's own half stays open.
            await client.expect_end()
            await server.all_gone()

    run(main())


@pytest.mark.parametrize('start', [b'', b'GET / HTTP/1.1\r\nHost'])
def test_a_client_that_does_not_finish_its_request_is_cut_off(run, start: bytes) -> None:
    async def main() -> None:
        async with echoing(open_timeout=0.05) as server:
            client = await server.connect_tcp()
            await client.send(start)
            with contextlib.suppress(ConnectionResetError):
                assert await client.receive() == b''
            await server.all_gone()

    run(main())


def test_a_client_that_ends_its_half_gets_what_it_asked_for_before(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            await client.send(frame(TEXT, b'one') + frame(BINARY, bytes(100_000)))
            client.end_output()
            assert await client.read_frame() == (TEXT, b'one')
            assert await client.read_frame() == (BINARY, bytes(100_000))
            await client.expect_end()
            await server.all_gone()

    run(main())


def test_a_client_that_ends_its_half_and_does_not_read_is_cut_off(run) -> None:
    async def main() -> None:
        async with echoing(close_timeout=0.05) as server:
            client = await server.connect(4096)
            (connection,) = server.connections
            while not connection.transport.get_write_buffer_size():
                await client.send(frame(BINARY, bytes(30_000)))
                await asyncio.sleep(0)
            client.end_output()
            await server.all_gone()

    run(main())


@pytest.mark.parametrize(
    'start', [b'', b'GET', frame(TEXT, b'whole'), frame(TEXT, b'cut')[:-1], frame(TEXT)[:1]]
)
def test_a_client_may_vanish_at_any_point(run, caplog, start: bytes) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await (server.connect_tcp() if start == b'GET' else server.connect())
            await client.send(start)
            client.reset()
            await server.all_gone()
        assert not warnings_in(caplog)

    run(main())


# The server's own code


def test_an_error_in_the_server_ends_one_connection(run, caplog) -> None:
    class Failing(Echo):
        def message_received(self, data: bytes, is_text: bool) -> None:
            if data == b'fail':
                raise RuntimeError('on purpose')
            super().message_received(data, is_text)

    async def main() -> None:
        async with echoing(Failing) as server:
            other = await server.connect()
            client = await server.connect()
            await client.send(frame(TEXT, b'one') + frame(TEXT, b'fail') + frame(TEXT, b'two'))
            assert await client.read_frame() == (TEXT, b'one')
            await client.expect_close(1011)
            await client.expect_end()
            await other.send(frame(TEXT, b'unharmed'))
            assert await other.read_frame() == (TEXT, b'unharmed')

    run(main())
    (record,) = caplog.records
    assert record.exc_info and str(record.exc_info[1]) == 'on purpose'


def test_an_error_while_the_request_is_answered_ends_the_connection(run, caplog) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def fail(head: bytes) -> Any:
            raise RuntimeError('on purpose')

        hub = Hub(loop, fail, 30, 30, LIMIT)
        server = await loop.create_server(lambda: Echo(hub), '127.0.0.1', 0)
        client = await EchoServer(server, hub).connect_tcp()
        await client.send(client.request('echo')[0])
        await client.expect_end()
        server.close()
        await hub.wait_empty()

    run(main())
    (record,) = caplog.records
    assert record.exc_info and str(record.exc_info[1]) == 'on purpose'


def test_nothing_is_sent_on_a_closed_connection(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            (connection,) = server.connections
            await client.leave()
            await server.all_gone()
            with pytest.raises(ConnectionClosed):
                connection.send(b'late', True)
            with pytest.raises(TypeError):
                connection.send(None, True)

    run(main())


def test_a_transport_needs_a_hub() -> None:
    with pytest.raises(TypeError):
        MessageTransport(None)


def test_what_no_loop_does_is_refused(run) -> None:
    """All connections read into the same memory, so nobody may say that there is more in it, or read it again."""

    class Reentrant(Echo):
        def message_received(self, data: bytes, is_text: bool) -> None:
            with pytest.raises(RuntimeError, match='not while messages are handled'):
                self.buffer_updated(1)
            super().message_received(data, is_text)

    async def main() -> None:
        async with echoing(Reentrant) as server:
            client = await server.connect()
            await client.send(frame(TEXT, b'again'))
            assert await client.read_frame() == (TEXT, b'again')
            (connection,) = server.connections
            for wrong in (-1, len(connection.get_buffer(-1)) + 1, 1 << 40):
                with pytest.raises(RuntimeError, match='get_buffer'):
                    connection.buffer_updated(wrong)
            await client.leave()
            await server.all_gone()

    run(main())


def test_what_is_sent_outside_of_a_read_is_sent_together(run) -> None:
    """One write for each connection and turn of the loop."""
    writes = []

    class Watched(Echo):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(Watching(transport))

    class Watching:
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

        def write(self, data: bytes) -> None:
            writes.append(data)
            self._transport.write(data)

    async def main() -> None:
        async with echoing(Watched) as server:
            client = await server.connect()
            (connection,) = server.connections
            writes.clear()
            for number in range(100):
                connection.send(b'%d' % number, True)
            assert not writes
            for number in range(100):
                assert await client.read_frame() == (TEXT, b'%d' % number)
            assert len(writes) == 1
            # And one for each read.
            await client.send(frame(TEXT, b'a') + frame(PING) + frame(TEXT, b'b'))
            assert await client.read_frame() == (TEXT, b'a')
            assert await client.read_frame() == (PONG, b'')
            assert await client.read_frame() == (TEXT, b'b')
            assert len(writes) == 2

    run(main())


def test_an_output_that_can_not_be_written_holds_up_no_other(run, caplog) -> None:
    class Failing:
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

        def write(self, data: bytes) -> None:
            if data.endswith(b'lost'):
                raise RuntimeError('on purpose')
            self._transport.write(data)

    class Watched(Echo):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(Failing(transport))

    async def main() -> None:
        async with echoing(Watched) as server:
            clients = [await server.connect() for _ in range(3)]
            for connection in server.connections:
                connection.send(b'lost', True)
            await asyncio.sleep(0)
            for connection in server.connections:
                connection.send(b'kept', True)
            for client in clients:
                assert await client.read_frame() == (TEXT, b'kept')

    run(main())
    assert [str(record.exc_info[1]) for record in caplog.records] == ['on purpose'] * 3


def test_the_log_says_nothing_of_ordinary_connections(run, caplog) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with echoing() as server:
            client = await server.connect()
            await client.send(frame(TEXT, b'hello'))
            await client.read_frame()
            await client.leave()
            await server.all_gone()

    run(main())
    assert not [record for record in caplog.records if record.name.startswith('serverwamp_fast')]
