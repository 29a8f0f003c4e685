"""The frame reader on streams that went wrong.

Streams of frames are spoilt in every way that comes to mind. Whatever comes out has to be one of
the documented outcomes, the same however the stream is cut, and in agreement with the websockets
library's server. `FUZZ_SEED` and `FUZZ_STREAMS` in the environment choose other streams, and more.
"""

import os
import random

import pytest
from support.client_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Event,
    close_payload,
    cut_at,
    frame,
    read,
)
from websockets.frames import Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

SEED = int(os.environ.get('FUZZ_SEED', '6455'))
STREAMS = int(os.environ.get('FUZZ_STREAMS', '4000'))
BATCHES = 20

MAX_SIZE = 300

FAILURES = {
    1002: {
        'reserved bits are set',
        'frame is not masked',
        'opcode is unknown',
        'control frame is fragmented',
        'control frame is too long',
        'continuation without a message',
        'new message inside a fragmented one',
        'length is not in its shortest form',
        'length has its highest bit set',
        'close code is cut off',
        'close code is not allowed',
    },
    1007: {'text is not UTF-8', 'text ends inside a character', 'close reason is not UTF-8'},
    1009: {'message is too big'},
}

# The websockets library fails in these cases too. In the others it may still wait for the frame's
# end, or not look: it takes long forms of lengths, and leaves UTF-8 to the layer above.
BOTH_FAIL = {'close code is cut off', 'close code is not allowed', 'close reason is not UTF-8'}


class Fuzzer:
    """Makes spoilt streams; the same ones for the same seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def make_text(self) -> bytes:
        alphabet = self.random.choice(['text', 'aé', '\0€\ud7ff\ue000', 'x𝄞\U0010ffff'])
        return ''.join(self.random.choices(alphabet, k=self.make_size() // 3)).encode()

    def make_size(self) -> int:
        sizes = [0, 1, 7, 8, 9, 124, 125, 126, 127, self.random.randrange(200)]
        if self.random.random() < 0.05:
            sizes = [MAX_SIZE, MAX_SIZE + 1]
        return self.random.choice(sizes)

    def make_mask(self) -> bytes:
        return self.random.choice([b'\0\0\0\0', self.random.randbytes(4)])

    def make_message(self) -> list[bytes]:
        """The frames of a message, perhaps in fragments, perhaps with control frames between."""
        opcode = self.random.choice([TEXT, BINARY])
        if opcode == TEXT:
            payload = self.make_text()
        else:
            payload = self.random.randbytes(self.make_size())
        places = self.random.choices(range(len(payload) + 1), k=self.random.choice([0, 0, 1, 3]))
        pieces = cut_at(payload, places)
        frames = []
        for at, piece in enumerate(pieces):
            final = at == len(pieces) - 1
            kind = CONTINUATION if at else opcode
            frames.append(frame(kind, piece, final=final, mask=self.make_mask()))
            if self.random.random() < 0.2:
                frames.append(self.make_control())
        return frames

    def make_control(self) -> bytes:
        opcode = self.random.choice([PING, PONG])
        return frame(opcode, self.random.randbytes(self.make_size() % 126), mask=self.make_mask())

    def make_close(self) -> bytes:
        code = self.random.choice([1000, 1001, 1004, 1005, 1014, 2999, 3000, 4999, 5000])
        payload = close_payload(code, self.make_text()[:123])
        return frame(CLOSE, payload[: self.random.choice([0, 1, 2, 3, 125])])

    def make_frames(self) -> list[bytes]:
        frames = []
        for _ in range(self.random.randrange(1, 6)):
            frames += self.make_message()
        if self.random.random() < 0.3:
            frames.insert(self.random.randrange(len(frames) + 1), self.make_close())
        return frames

    def spoil_frames(self, frames: list[bytes]) -> None:
        """Lose, double, move, or break the header of a frame."""
        at = self.random.randrange(len(frames))
        victim = bytearray(frames[at])
        what = self.random.randrange(6)
        if what == 0:
            del frames[at]
        elif what == 1:
            frames.insert(at, frames[at])
        elif what == 2:
            frames.insert(self.random.randrange(len(frames)), frames.pop(at))
        elif what == 3:
            victim[0] ^= 1 << self.random.randrange(8)
            frames[at] = bytes(victim)
        elif what == 4:
            victim[1] ^= 1 << self.random.randrange(8)
            frames[at] = bytes(victim)
        else:
            payload = self.random.randbytes(self.make_size())
            frames[at] = frame(
                self.random.randrange(16),
                payload,
                final=self.random.random() < 0.5,
                form=9 if self.random.random() < 0.2 else None,
                claimed=self.random.choice([None, None, 1 << 63, (1 << 63) - 1, 0xFFFF, 0x10000]),
            )

    def spoil_bytes(self, data: bytearray) -> None:
        """Flip, lose or add bytes."""
        if not data:
            return
        at = self.random.randrange(len(data))
        what = self.random.randrange(4)
        if what == 0:
            data[at] ^= 1 << self.random.randrange(8)
        elif what == 1:
            data[at] = self.random.choice([0, 0x7F, 0x80, 0xFE, 0xFF])
        elif what == 2:
            del data[at : at + self.random.randrange(1, 10)]
        else:
            data[at:at] = self.random.randbytes(self.random.randrange(1, 10))

    def make_stream(self) -> bytes:
        if self.random.random() < 0.05:
            return self.random.randbytes(self.random.randrange(100))
        frames = self.make_frames()
        for _ in range(self.random.choice([0, 1, 1, 2])):
            if frames:
                self.spoil_frames(frames)
        data = bytearray(b''.join(frames))
        for _ in range(self.random.choice([0, 0, 1, 3])):
            self.spoil_bytes(data)
        return bytes(data)

    def cut_stream(self, data: bytes) -> list[bytes]:
        count = self.random.randrange(1, 20)
        return cut_at(data, self.random.choices(range(len(data) + 1), k=count))


def is_text(payload: bytes) -> bool:
    try:
        payload.decode('utf-8')
    except UnicodeDecodeError:
        return False
    return True


def check_event(opcode: int, payload: bytes) -> None:
    assert opcode in (TEXT, BINARY, CLOSE, PING, PONG)
    assert len(payload) <= (MAX_SIZE if opcode in (TEXT, BINARY) else 125)
    if opcode == TEXT:
        assert is_text(payload)
    elif opcode == CLOSE and payload:
        code = int.from_bytes(payload[:2], 'big')
        assert code in {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
        assert is_text(payload[2:])


def read_by_websockets(data: bytes) -> tuple[list[Event], Exception | None]:
    """The events that the websockets library's server sees, fragments joined, and its failure."""
    # No limit: it would count control frames towards that of the message that they interrupt.
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(data)
    events: list[Event] = []
    message = b''
    opcode = 0
    for received in server.events_received():
        assert isinstance(received, Frame)
        payload = bytes(received.data)
        if received.opcode in (CLOSE, PING, PONG):
            events.append((int(received.opcode), payload))
            continue
        if received.opcode != CONTINUATION:
            opcode, message = int(received.opcode), b''
        message += payload
        if received.fin:
            events.append((opcode, message))
    return events, server.parser_exc


@pytest.mark.parametrize('batch', range(BATCHES))
def test_spoilt_streams(batch: int) -> None:
    for number in range(STREAMS // BATCHES):
        seed = f'{SEED}-{batch}-{number}'
        fuzzer = Fuzzer(seed)
        data = fuzzer.make_stream()
        try:
            check_stream(fuzzer, data)
        except BaseException as error:
            error.add_note(f'seed {seed}, stream {data.hex()}')
            raise


def check_stream(fuzzer: Fuzzer, data: bytes) -> None:
    events, failure = read([data], MAX_SIZE)
    for opcode, payload in events:
        check_event(opcode, payload)
    if failure is not None:
        code, text = failure
        assert text in FAILURES[code]
    assert [opcode for opcode, _ in events[:-1]].count(CLOSE) == 0

    for _ in range(3):
        assert read(fuzzer.cut_stream(data), MAX_SIZE) == (events, failure)
    assert read([data[at : at + 1] for at in range(len(data))], MAX_SIZE) == (events, failure)

    others, other_failure = read_by_websockets(data)
    if failure is None:
        if other_failure is None:
            assert others == events
        else:
            # It takes no close frame inside a fragmented message, which section 5.5 allows.
            assert events[-1][0] == CLOSE
            assert str(other_failure) == 'incomplete fragmented message'
            assert others == events[:-1]
    else:
        assert others[: len(events)] == events
        assert other_failure is not None or failure[1] not in BOTH_FAIL


def test_the_fuzzer_reaches_every_outcome() -> None:
    """Otherwise the test above would be worth less than it looks."""
    seen = set()
    opcodes = set()
    for number in range(2000):
        fuzzer = Fuzzer(f'{SEED}-{number}')
        events, failure = read([fuzzer.make_stream()], MAX_SIZE)
        opcodes |= {opcode for opcode, _ in events}
        seen.add(failure[1] if failure is not None else None)
    assert opcodes == {TEXT, BINARY, CLOSE, PING, PONG}
    assert seen == {None}.union(*FAILURES.values())
