"""_core.framing.websocket: what the frame reader refuses, with which close code, and when (RFC 6455)."""

import pytest
from support.client_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_payload,
    cut,
    drain,
    frame,
    read,
    read_every_way,
)

from serverwamp_fast._core.framing.websocket import FrameReader
from serverwamp_fast.errors import FrameError

UNKNOWN = 'opcode is unknown'
LONG_FORM = 'length is not in its shortest form'

REFUSED = [
    *(
        pytest.param(frame(opcode), 1002, UNKNOWN, id=f'opcode {opcode}')
        for opcode in [*range(3, 8), *range(11, 16)]
    ),
    *(
        pytest.param(
            frame(opcode, reserved=bits), 1002, 'reserved bits are set', id=f'{opcode}, RSV {bits}'
        )
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        for bits in (1, 2, 4, 7)
    ),
    *(
        pytest.param(
            frame(opcode, payload, mask=None), 1002, 'frame is not masked', id=f'{opcode}, no mask'
        )
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        for payload in (b'', b'\x03\xe8')
    ),
    *(
        pytest.param(
            frame(opcode, final=False), 1002, 'control frame is fragmented', id=f'{opcode}, no FIN'
        )
        for opcode in (CLOSE, PING, PONG)
    ),
    *(
        pytest.param(
            frame(opcode, b'x' * size),
            1002,
            'control frame is too long',
            id=f'{opcode} with {size}',
        )
        for opcode in (CLOSE, PING, PONG)
        for size in (126, 65536)
    ),
    pytest.param(frame(PING, form=3), 1002, 'control frame is too long', id='ping, long form'),
    pytest.param(
        frame(CONTINUATION), 1002, 'continuation without a message', id='empty continuation'
    ),
    pytest.param(
        frame(CONTINUATION, b'x', final=False), 1002, 'continuation without a message', id='middle'
    ),
    *(
        pytest.param(
            frame(first, b'a', final=False) + frame(second, b'b', final=final),
            1002,
            'new message inside a fragmented one',
            id=f'{second} inside {first}, FIN {final}',
        )
        for first in (TEXT, BINARY)
        for second in (TEXT, BINARY)
        for final in (True, False)
    ),
    *(
        pytest.param(
            frame(opcode, b'x' * size, form=form), 1002, LONG_FORM, id=f'{size} in {form} bytes'
        )
        for opcode in (TEXT, BINARY)
        for size, form in [(0, 3), (125, 3), (0, 9), (125, 9), (126, 9), (0xFFFF, 9)]
    ),
    *(
        pytest.param(
            frame(BINARY, claimed=size), 1002, 'length has its highest bit set', id=hex(size)
        )
        for size in (1 << 63, (1 << 64) - 1)
    ),
    *(
        pytest.param(frame(BINARY, claimed=size), 1009, 'message is too big', id=hex(size))
        for size in ((1 << 20) + 1, 1 << 32, (1 << 63) - 1)
    ),
    *(
        pytest.param(frame(TEXT, text), 1007, 'text is not UTF-8', id=f'text {text.hex()}')
        for text in (b'\xff', b'text \x80', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xc3(')
    ),
    *(
        pytest.param(frame(TEXT, text), 1007, 'text ends inside a character', id=text.hex())
        for text in (b'\xc3', b'text \xe2\x82', b'\xf0\x9d\x84')
    ),
    pytest.param(
        frame(TEXT, b'\xe2\x82', final=False) + frame(CONTINUATION),
        1007,
        'text ends inside a character',
        id='fragments end inside a character',
    ),
    pytest.param(
        frame(TEXT, b'\xe2', final=False) + frame(PING, b'\x82\xac') + frame(CONTINUATION, b'x'),
        1007,
        'text is not UTF-8',
        id='fragments break a character',
    ),
    pytest.param(frame(CLOSE, b'\x03'), 1002, 'close code is cut off', id='half a close code'),
    *(
        pytest.param(
            frame(CLOSE, close_payload(code)), 1002, 'close code is not allowed', id=f'code {code}'
        )
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ),
    *(
        pytest.param(
            frame(CLOSE, close_payload(1000, reason)),
            1007,
            'close reason is not UTF-8',
            id=f'reason {reason.hex()}',
        )
        for reason in (b'\xff', b'why \xc3', b'\xed\xa0\x80')
    ),
]


@pytest.mark.parametrize(('data', 'code', 'text'), REFUSED)
def test_refused(data: bytes, code: int, text: str) -> None:
    outcomes = [drain(FrameReader(), data)]
    if len(data) < 300:
        outcomes.append(read_every_way(data))
    outcomes.append(read([data + frame(TEXT, b'trailing data')]))
    for events, failure in outcomes:
        assert failure == (code, text)
        assert all(opcode == PING for opcode, _ in events)


@pytest.mark.parametrize(('data', 'code', 'text'), REFUSED)
def test_what_comes_before_a_fault_counts(data: bytes, code: int, text: str) -> None:
    before = frame(TEXT, b'before') + frame(BINARY, b'fragm', final=False)
    before += frame(CONTINUATION, b'ented')
    events, failure = read([before + data])
    assert events[:2] == [(TEXT, b'before'), (BINARY, b'fragmented')]
    assert failure == (code, text)


def test_continuation_after_the_last() -> None:
    data = frame(TEXT, b'a', final=False) + frame(CONTINUATION) + frame(CONTINUATION)
    failure = (1002, 'continuation without a message')
    assert read_every_way(data) == ([(TEXT, b'a')], failure)
    data = frame(TEXT, b'a') + frame(CONTINUATION)
    assert read_every_way(data) == ([(TEXT, b'a')], failure)


def test_a_failure_is_final() -> None:
    reader = FrameReader()
    assert reader.receive(frame(TEXT, b'fine') + frame(TEXT, b'\xff')) == [(TEXT, b'fine')]
    for data in b'', frame(TEXT, b'later'), frame(CLOSE), b'\x81':
        with pytest.raises(FrameError, match=r'^text is not UTF-8$') as caught:
            reader.receive(data)
        assert caught.value.code == 1007


@pytest.mark.parametrize(
    'header',
    [
        frame(TEXT, reserved=4),
        frame(3),
        frame(TEXT, mask=None),
        frame(PING, final=False),
        frame(PING, claimed=126),
        frame(CONTINUATION),
    ],
    ids=bytes.hex,
)
def test_two_bytes_tell(header: bytes) -> None:
    # An unmasked frame above all: there is no mask that could be waited for.
    assert read([header[:1]]) == ([], None)
    assert read([header[:2]])[1] is not None


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        (b'\xff', 1),
        (b'text \xc0\xaf', 6),
        (b'0123456789\xed\xa0\x80 and more', 12),
        ('κόσμε'.encode() + b'\xf4\x90\x80\x80', 12),
    ],
)
@pytest.mark.parametrize('fragmented', [False, True])
def test_bad_text_fails_at_once(text: bytes, fault: int, fragmented: bool) -> None:
    if fragmented:
        data = b''.join(
            frame(CONTINUATION if at else TEXT, bytes([byte]), final=False)
            for at, byte in enumerate(text)
        )
        fault_at = 7 * fault
    else:
        # The header promises more than ever comes.
        data = frame(TEXT, text + b'x' * (1000 - len(text)))
        fault_at = 8 + fault
    assert read([data[: fault_at - 1]]) == ([], None)
    assert read([data[:fault_at]]) == ([], (1007, 'text is not UTF-8'))
    assert read(cut(data[:fault_at], 1)) == ([], (1007, 'text is not UTF-8'))
