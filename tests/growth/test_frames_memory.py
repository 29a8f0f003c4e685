"""_core.framing.websocket: what memory the frame reader takes, and that it gives it back."""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator

import pytest
from support.client_frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, drain, frame

from serverwamp_fast._core.framing.websocket import FrameReader


@pytest.fixture
def traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def held() -> int:
    return tracemalloc.get_traced_memory()[0]


# Bytes: what a reader and the interpreter's own small change may take.
CHANGE = 8192


@pytest.mark.usefixtures('traced')
def test_no_memory_for_a_claim() -> None:
    before = held()
    readers = [FrameReader() for _ in range(100)]
    for reader in readers:
        reader.receive(frame(BINARY, b'x', claimed=1 << 20))
    assert held() - before < 100 * 1024


@pytest.mark.usefixtures('traced')
def test_memory_grows_with_what_came() -> None:
    reader = FrameReader()
    piece = bytes(1 << 14)
    reader.receive(frame(BINARY, claimed=1 << 20))
    before = last = held()
    growths = 0
    for count in range(1, 64):
        reader.receive(piece)
        assert held() - before < 2 * count * len(piece) + CHANGE
        growths += held() - last > CHANGE
        last = held()
    # It doubles: growing piece by piece, it would copy a large message again and again.
    assert growths <= 8
    assert len(reader.receive(piece)) == 1


END = frame(CONTINUATION, b'end')


@pytest.mark.usefixtures('traced')
@pytest.mark.parametrize(
    ('last', 'fails'),
    [
        (END, False),
        (END + frame(PING, b'x') + frame(TEXT, b'x'), False),
        (END + frame(TEXT, b'x')[:-1], False),
        (frame(CLOSE), False),
        (frame(CLOSE) + END, False),
        (frame(TEXT), True),
        (frame(CONTINUATION, b'\xff'), True),
        (frame(CONTINUATION, claimed=1 << 20), True),
    ],
    ids=['end', 'more', 'next message', 'close', 'more after close', '1002', '1007', '1009'],
)
def test_memory_is_not_retained(last: bytes, fails: bool) -> None:
    reader = FrameReader()
    before = held()
    large = frame(TEXT, b'x' * 500_000, final=False, mask=b'\0\0\0\0')
    reader.receive(large)
    del large
    assert held() - before > 500_000
    assert (drain(reader, last)[1] is not None) == fails
    assert held() - before < CHANGE


@pytest.mark.usefixtures('traced')
def test_memory_of_a_split_ping() -> None:
    reader = FrameReader()
    ping = frame(PING, b'p' * 125)
    reader.receive(ping[:50])
    before = held()
    for _ in range(3):
        assert reader.receive(ping[50:] + ping[:50]) == [(PING, b'p' * 125)]
    assert held() - before < CHANGE


@pytest.mark.usefixtures('traced')
def test_memory_of_a_reader_that_is_dropped() -> None:
    before = held()
    for _ in range(50):
        FrameReader().receive(frame(BINARY, bytes(10_000), final=False))
    assert held() - before < CHANGE


def test_memory_runs_out() -> None:
    """Every allocation fails once: MemoryError, and the reader can go on or be dropped."""
    pytest.importorskip('_testcapi', reason='this Python has no set_nomemory() to fail allocations')
    script = """if True:
        import sys
        from _testcapi import remove_mem_hooks, set_nomemory
        from serverwamp_fast._core.framing.websocket import FrameReader

        def count_failures(size):
            # Of a binary frame of 1000 bytes, 10 have come when the allocations fail.
            more, rest = bytes(size), bytes(990 - size)
            for failures in range(100):
                reader = FrameReader()
                reader.receive(b'\\x82\\xfe\\x03\\xe8' + bytes(14))
                set_nomemory(failures + 1, failures + 2)
                try:
                    reader.receive(more)
                except MemoryError:
                    remove_mem_hooks()
                    assert reader.receive(more) == []
                else:
                    remove_mem_hooks()
                    return failures
                finally:
                    assert reader.receive(rest) == [(2, bytes(1000))]
            sys.exit('never ends')

        print(count_failures(20), count_failures(300))
    """
    child = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=60, check=False
    )
    assert child.stderr == ''
    # The larger piece is the one that the reader's buffer has to grow for.
    failures, failures_of_growth = map(int, child.stdout.split())
    assert failures_of_growth == failures + 1
