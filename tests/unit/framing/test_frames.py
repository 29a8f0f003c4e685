"""_core.framing.websocket: the frame reader and writer (RFC 6455, section 5)."""

import struct
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.client_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Event,
    Outcome,
    close_payload,
    cut,
    cut_at,
    drain,
    frame,
    read,
    read_every_way,
)
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from serverwamp_fast._core.framing.websocket import FrameReader, build_frame

# Around every length at which the header changes its form, or the unmasking its step.
SIZES = [*range(40), 124, 125, 126, 127, 128, 129, 255, 256, 1000, 65535, 65536, 65537, 70001]

HELLO = '€ µ 𝄞'.encode()


def some_bytes(size: int) -> bytes:
    return bytes(at * 7 & 0xFF for at in range(size))


def some_text(size: int) -> bytes:
    """Text of `size` bytes in which characters of every length occur."""
    text = ('aé€𝄞' * (size // 10)).encode()
    return text + b'x' * (size - len(text))


def start_client() -> ClientProtocol:
    """The websockets library's client, past its opening handshake."""
    return ClientProtocol(parse_uri('ws://localhost/'), state=State.OPEN, max_size=None)


# ---- What is accepted --------------------------------------------------------------------------


@pytest.mark.parametrize('size', [size for size in SIZES if size < 300])
def test_one_frame_every_way(size: int) -> None:
    for opcode, payload in (TEXT, some_text(size)), (BINARY, some_bytes(size)):
        assert read_every_way(frame(opcode, payload)) == ([(opcode, payload)], None)


@pytest.mark.parametrize('size', SIZES)
def test_one_frame(size: int) -> None:
    for opcode, payload in (TEXT, some_text(size)), (BINARY, some_bytes(size)):
        data = frame(opcode, payload)
        assert read([data]) == ([(opcode, payload)], None)
        assert read(cut(data, 1000)) == ([(opcode, payload)], None)
        # The next frames, the last of them incomplete, in the same window.
        trailing = frame(PING, b'next') + frame(BINARY, b'last')[:-1]
        assert read([data + trailing]) == ([(opcode, payload), (PING, b'next')], None)


@pytest.mark.parametrize('opcode', [PING, PONG])
@pytest.mark.parametrize('size', [0, 1, 7, 8, 9, 124, 125])
def test_ping_and_pong(opcode: int, size: int) -> None:
    payload = some_bytes(size)
    assert read_every_way(frame(opcode, payload)) == ([(opcode, payload)], None)


@pytest.mark.parametrize('mask', [b'\0\0\0\0', b'\1\2\3\4', b'\xff\xff\xff\xff', b'\0\xff\0\x80'])
def test_every_mask_and_every_start(mask: bytes) -> None:
    # A first frame of growing size moves the second through all alignments; the cut moves the
    # payload through all offsets of the mask.
    payload = some_bytes(43)
    for size in range(9):
        first, second = frame(BINARY, b'x' * size), frame(BINARY, payload, mask=mask)
        expected = [(BINARY, b'x' * size), (BINARY, payload)]
        assert read([first + second]) == (expected, None)
        for place in range(len(second)):
            assert read(cut_at(first + second, [len(first) + place])) == (expected, None)


@pytest.mark.parametrize('place', range(1, 14))
def test_long_headers_cut_everywhere(place: int) -> None:
    # One message in two fragments, one whole, with headers of 14 bytes. The limit is met exactly, and
    # a length that was put together with bytes of the header before would exceed it.
    limit = 0x10100
    start = frame(BINARY, b'x', final=False)
    middle = frame(CONTINUATION, bytes(0x100FF))
    whole = frame(BINARY, bytes(limit))
    expected = [(BINARY, b'x' + bytes(0x100FF)), (BINARY, bytes(limit))]
    pieces = [start + middle[:place], middle[place:] + whole[:place], whole[place:]]
    assert read(pieces, limit) == (expected, None)
    pieces = [start, middle[:1], middle[1:place], middle[place:], whole[:1], whole[1:place]]
    assert read([*pieces, whole[place:]], limit) == (expected, None)


def test_several_frames_in_one_window() -> None:
    data = (
        frame(TEXT, b'one')
        + frame(PING, b'two')
        + frame(BINARY)
        + frame(TEXT, HELLO)
        + frame(PONG)
        + frame(CLOSE, close_payload(1000, b'done'))
    )
    assert read_every_way(data) == (
        [
            (TEXT, b'one'),
            (PING, b'two'),
            (BINARY, b''),
            (TEXT, HELLO),
            (PONG, b''),
            (CLOSE, close_payload(1000, b'done')),
        ],
        None,
    )


def test_nothing() -> None:
    reader = FrameReader()
    assert reader.receive(b'') == []
    assert reader.receive(frame(TEXT, b'x')) == [(TEXT, b'x')]
    assert reader.receive(b'') == []


def test_readers_are_independent() -> None:
    one, other = FrameReader(), FrameReader()
    data = frame(TEXT, b'text')
    assert one.receive(data[:7]) == []
    assert other.receive(frame(BINARY, b'binary')) == [(BINARY, b'binary')]
    assert one.receive(data[7:]) == [(TEXT, b'text')]


@pytest.mark.parametrize('opcode', [TEXT, BINARY])
def test_fragments(opcode: int) -> None:
    data = (
        frame(opcode, b'frag', final=False)
        + frame(CONTINUATION, b'men', final=False)
        + frame(CONTINUATION, b'ted')
        + frame(opcode, b'whole')
    )
    assert read_every_way(data) == ([(opcode, b'fragmented'), (opcode, b'whole')], None)


@pytest.mark.parametrize('opcode', [TEXT, BINARY])
def test_empty_fragments(opcode: int) -> None:
    start = frame(opcode, final=False)
    middle = frame(CONTINUATION, final=False)
    end = frame(CONTINUATION)
    assert read_every_way(start + end) == ([(opcode, b'')], None)
    assert read_every_way(start + middle * 3 + end) == ([(opcode, b'')], None)
    data = start + middle + frame(CONTINUATION, b'x', final=False) + middle + end
    assert read_every_way(data) == ([(opcode, b'x')], None)
    assert read_every_way(frame(opcode, b'x', final=False) + end) == ([(opcode, b'x')], None)


def test_control_frames_between_fragments() -> None:
    data = (
        frame(TEXT, b'a' * 100, final=False)
        + frame(PING, b'p' * 125)
        + frame(CONTINUATION, b'b' * 100, final=False)
        + frame(PONG)
        + frame(PING, b'\xff')
        + frame(CONTINUATION, b'c' * 100)
    )
    expected = [
        (PING, b'p' * 125),
        (PONG, b''),
        (PING, b'\xff'),
        (TEXT, b'a' * 100 + b'b' * 100 + b'c' * 100),
    ]
    assert read_every_way(data) == (expected, None)


def test_characters_across_fragments() -> None:
    fragments = [frame(TEXT, HELLO[:1], final=False)]
    for byte in HELLO[1:]:
        # What a ping carries is no part of the text.
        fragments += [frame(PING, b'\x80'), frame(CONTINUATION, bytes([byte]), final=False)]
    pings = [(PING, b'\x80')] * (len(HELLO) - 1)
    data = b''.join(fragments) + frame(CONTINUATION)
    assert read_every_way(data) == ([*pings, (TEXT, HELLO)], None)


def test_binary_is_no_text() -> None:
    data = frame(BINARY, b'\xff\xfe', final=False) + frame(CONTINUATION, b'\xc3')
    assert read_every_way(data) == ([(BINARY, b'\xff\xfe\xc3')], None)
    # Neither message leaves anything of its checks to the next.
    data += frame(TEXT, HELLO) + frame(BINARY, b'\xc3') + frame(TEXT, HELLO)
    expected = [(BINARY, b'\xff\xfe\xc3'), (TEXT, HELLO), (BINARY, b'\xc3'), (TEXT, HELLO)]
    assert read_every_way(data) == (expected, None)


# ---- Close -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'payload',
    [
        b'',
        close_payload(1000),
        close_payload(4999, HELLO),
        close_payload(1001, b'x' * 123),
    ],
)
def test_close(payload: bytes) -> None:
    assert read_every_way(frame(CLOSE, payload)) == ([(CLOSE, payload)], None)


def test_close_codes() -> None:
    # Section 7.4.1 with the later registrations, and the ranges of 7.4.2.
    allowed = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
    for code in range(1 << 16):
        payload = close_payload(code)
        expected: Outcome = ([(CLOSE, payload)], None)
        if code not in allowed:
            expected = ([], (1002, 'close code is not allowed'))
        assert drain(FrameReader(), frame(CLOSE, payload)) == expected, code


def test_nothing_counts_after_close() -> None:
    close = frame(CLOSE, close_payload(1000))
    expected = ([(CLOSE, close_payload(1000))], None)
    assert read_every_way(close + frame(TEXT, b'late') + frame(PING)) == expected
    assert read_every_way(close + b'\xff' * 40) == expected
    assert read([close, b'\xff' * 40, frame(CLOSE)]) == expected


def test_close_inside_a_message() -> None:
    data = frame(TEXT, b'unfinished', final=False) + frame(CLOSE, close_payload(1001, b'bye'))
    expected = ([(CLOSE, close_payload(1001, b'bye'))], None)
    assert read_every_way(data + frame(CONTINUATION)) == expected


# ---- The limit ---------------------------------------------------------------------------------


@pytest.mark.parametrize('max_size', [0, 1, 10, 125, 126, 200, 65535, 65536])
def test_limit(max_size: int) -> None:
    too_big: Outcome = ([], (1009, 'message is too big'))
    payload = some_bytes(max_size)
    data = frame(BINARY, payload)
    assert read([data], max_size) == ([(BINARY, payload)], None)
    assert read(cut(data, 1000), max_size) == ([(BINARY, payload)], None)
    assert read([frame(BINARY, payload + b'x')], max_size) == too_big
    # The length in the header tells; neither mask nor payload is waited for.
    header = frame(BINARY, claimed=max_size + 1)[:-4]
    assert read([header], max_size) == too_big
    assert read_every_way(header, max_size) == too_big


@pytest.mark.parametrize('max_size', [1, 10, 300])
def test_limit_of_fragments(max_size: int) -> None:
    too_big: Outcome = ([], (1009, 'message is too big'))
    fragments = frame(TEXT, final=False) + frame(CONTINUATION, b'x', final=False) * max_size
    end = frame(CONTINUATION)
    message = (TEXT, b'x' * max_size)
    assert read([fragments + end], max_size) == ([message], None)
    # It is a limit of one message, not of a connection.
    assert read([(fragments + end) * 3], max_size) == ([message] * 3, None)
    assert read(cut((fragments + end) * 3, 5), max_size) == ([message] * 3, None)
    assert read([fragments + frame(CONTINUATION, b'x')], max_size) == too_big
    assert read_every_way(fragments + frame(CONTINUATION, b'x')[:2], max_size) == too_big


def test_control_frames_have_their_own_limit() -> None:
    ping = frame(PING, b'p' * 125)
    assert read_every_way(ping, 3) == ([(PING, b'p' * 125)], None)
    data = frame(TEXT, b'ab', final=False) + ping + frame(CONTINUATION, b'c')
    assert read_every_way(data, 3) == ([(PING, b'p' * 125), (TEXT, b'abc')], None)


def test_default_limit() -> None:
    assert read([frame(BINARY, claimed=(1 << 20) + 1)]) == ([], (1009, 'message is too big'))
    payload = bytes(1 << 20)
    assert FrameReader().receive(frame(BINARY, payload)) == [(BINARY, payload)]


def test_limit_beyond_all_memory() -> None:
    reader = FrameReader(max_size=sys.maxsize * 2 + 1)
    assert reader.receive(frame(BINARY, b'x' * 10, final=False)) == []
    assert reader.receive(frame(CONTINUATION, b'x', claimed=(1 << 63) - 1)) == []
    assert reader.receive(b'x' * 1000) == []


# ---- Against the websockets library ------------------------------------------------------------

text_messages = st.text(max_size=200).map(lambda text: (TEXT, text.encode()))
binary_messages = st.tuples(st.just(BINARY), st.binary(max_size=300))
pings = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


@st.composite
def client_streams(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """What websockets' client writes for some messages, and the events that it has to lead to."""
    client = start_client()
    events: list[Event] = []

    def send_pings() -> None:
        for opcode, payload in draw(st.lists(pings, max_size=2)):
            (client.send_ping if opcode == PING else client.send_pong)(payload)
            events.append((opcode, payload))

    for opcode, payload in draw(st.lists(text_messages | binary_messages, max_size=6)):
        send_pings()
        send = client.send_text if opcode == TEXT else client.send_binary
        cuts = draw(st.lists(st.integers(0, len(payload)), max_size=3))
        first, *rest = cut_at(payload, cuts)
        send(first, fin=not rest)
        while rest:
            send_pings()
            piece = rest.pop(0)
            client.send_continuation(piece, fin=not rest)
        events.append((opcode, payload))
    send_pings()
    if draw(st.booleans()):
        code = draw(st.sampled_from([None, 1000, 1001, 1011, 3000, 4999]))
        reason = '' if code is None else draw(st.text(max_size=30))
        client.send_close(code, reason)
        payload = b'' if code is None else close_payload(code, reason.encode())
        events.append((CLOSE, payload))
    return b''.join(client.data_to_send()), events


@settings(deadline=None)
@given(client_streams(), st.data())
def test_stream_of_a_client(stream: tuple[bytes, list[Event]], data: st.DataObject) -> None:
    received, events = stream
    assert read([received]) == (events, None)
    assert read(cut(received, 1)) == (events, None)
    places = data.draw(st.lists(st.integers(0, len(received)), max_size=10))
    assert read(cut_at(received, places)) == (events, None)


@settings(deadline=None)
@given(client_streams(), st.data())
def test_stream_that_ends_early(stream: tuple[bytes, list[Event]], data: st.DataObject) -> None:
    received, events = stream
    end = data.draw(st.integers(0, len(received)))
    got, failure = read([received[:end]])
    assert failure is None
    assert got == events[: len(got)]
    assert read([received[:end], received[end:]]) == (events, None)


@settings(deadline=None)
@given(
    st.sampled_from([TEXT, BINARY, PING, PONG]),
    st.binary(max_size=125),
    st.binary(min_size=4, max_size=4),
)
def test_every_mask(opcode: int, payload: bytes, mask: bytes) -> None:
    if opcode == TEXT:
        payload = payload.hex()[:125].encode()
    assert read([frame(opcode, payload, mask=mask)]) == ([(opcode, payload)], None)


# ---- The writer --------------------------------------------------------------------------------


def test_written_frames() -> None:
    client = start_client()
    expected = []
    for size in SIZES:
        for opcode in TEXT, BINARY:
            payload = some_text(size)
            client.receive_data(build_frame(opcode, payload))
            expected.append((opcode, payload))
    for opcode in PING, PONG:
        for size in 0, 1, 125:
            client.receive_data(build_frame(opcode, some_bytes(size)))
            expected.append((opcode, some_bytes(size)))
    client.receive_data(build_frame(CLOSE, close_payload(1000, b'bye')))
    expected.append((CLOSE, close_payload(1000, b'bye')))

    received = client.events_received()
    assert client.parser_exc is None
    frames = [event for event in received if isinstance(event, Frame) and event.fin]
    assert frames == received
    assert [(event.opcode, bytes(event.data)) for event in frames] == expected


@pytest.mark.parametrize(
    ('size', 'header'),
    [
        (0, b'\x82\x00'),
        (1, b'\x82\x01'),
        (125, b'\x82\x7d'),
        (126, b'\x82\x7e\x00\x7e'),
        (256, b'\x82\x7e\x01\x00'),
        (65535, b'\x82\x7e\xff\xff'),
        (65536, b'\x82\x7f' + struct.pack('!Q', 65536)),
        (0x0102030, b'\x82\x7f' + struct.pack('!Q', 0x0102030)),
    ],
)
def test_written_header(size: int, header: bytes) -> None:
    payload = bytes(size)
    assert build_frame(BINARY, payload) == header + payload


def test_written_opcodes() -> None:
    for opcode in TEXT, BINARY, CLOSE, PING, PONG:
        assert build_frame(opcode, b'') == bytes([0x80 | opcode, 0])
    for opcode in -1, 0, 3, 7, 11, 16, 0x81, 257:
        with pytest.raises(ValueError, match='not the opcode'):
            build_frame(opcode, b'')


@pytest.mark.parametrize('opcode', [CLOSE, PING, PONG])
def test_written_control_frames_are_short(opcode: int) -> None:
    assert len(build_frame(opcode, bytes(125))) == 127
    with pytest.raises(ValueError, match='at most 125 bytes, not 126'):
        build_frame(opcode, bytes(126))


# ---- Arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize('wrong', [None, 'text', bytearray(b'x'), 1, []])
def test_only_bytes(wrong: Any) -> None:
    with pytest.raises(TypeError):
        FrameReader().receive(wrong)
    with pytest.raises(TypeError):
        build_frame(TEXT, wrong)


def test_reader_arguments() -> None:
    with pytest.raises(OverflowError):
        FrameReader(max_size=-1)
    with pytest.raises(TypeError):
        FrameReader(10)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        FrameReader(max_size='10')  # type: ignore[arg-type]
