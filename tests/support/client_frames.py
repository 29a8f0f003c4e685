"""Frames as a WebSocket client sends them, right and wrong, and ways to cut a stream of them."""

import struct
from collections.abc import Iterable

from serverwamp_fast._core.framing.websocket import FrameReader
from serverwamp_fast.errors import FrameError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

MASK = b'\x37\xfa\x21\x3d'

Event = tuple[int, bytes]
# The events of a stream, and the close code and text of its failure.
Outcome = tuple[list[Event], tuple[int, str] | None]


def frame(
    opcode: int,
    payload: bytes = b'',
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = MASK,
    form: int | None = None,
    claimed: int | None = None,
) -> bytes:
    """A client's frame.

    `form` is the number of bytes for the length (1, 3, 9) where it is not to be the least;
    `claimed` the length that the header tells where it is not the payload's.
    """
    size = len(payload) if claimed is None else claimed
    masked = 0 if mask is None else 0x80
    header = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    if form == 9 or (form is None and size > 0xFFFF):
        header += struct.pack('!BQ', masked | 127, size)
    elif form == 3 or (form is None and size > 125):
        header += struct.pack('!BH', masked | 126, size)
    else:
        header += bytes([masked | size])
    if mask is None:
        return header + payload
    key = mask * (len(payload) // 4 + 1)
    return header + mask + bytes(byte ^ key[at] for at, byte in enumerate(payload))


def close_payload(code: int, reason: bytes = b'') -> bytes:
    return struct.pack('!H', code) + reason


def drain(reader: FrameReader, data: bytes) -> Outcome:
    """Everything that `data` leads to, the failure that waits behind events included."""
    events: list[Event] = []
    try:
        completed = reader.receive(data)
        while completed:
            events += completed
            completed = reader.receive(b'')
    except FrameError as error:
        return events, (error.code, str(error))
    return events, None


def read(pieces: Iterable[bytes], max_size: int = 1 << 20) -> Outcome:
    """What a fresh reader makes of a stream that arrives in these pieces."""
    reader = FrameReader(max_size=max_size)
    events: list[Event] = []
    for piece in pieces:
        more, failure = drain(reader, piece)
        events += more
        if failure is not None:
            # A failure is for good.
            assert drain(reader, frame(TEXT, b'later')) == ([], failure)
            return events, failure
    return events, None


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def cut_at(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def read_every_way(data: bytes, max_size: int = 1 << 20) -> Outcome:
    """Read a stream whole, byte by byte, in larger pieces, and cut in two near its start.

    However it arrives, it has to mean the same.
    """
    outcome = read([data], max_size)
    for size in 1, 2, 3, 7, 64:
        assert read(cut(data, size), max_size) == outcome, f'in pieces of {size}'
    for place in range(min(len(data), 200)):
        assert read(cut_at(data, [place]), max_size) == outcome, f'cut at {place}'
    return outcome
