"""_core.base.ids: random ids of the global scope (WAMP BP, "IDs")."""

import json
import os
from collections.abc import Iterator

import pytest

from serverwamp_fast._core.base.ids import forget_block, global_id

MAX_ID = 2**53
BLOCK_IDS = 2048 // 8


@pytest.fixture(autouse=True)
def fresh_block() -> Iterator[None]:
    """Ids of a test come from bytes that were asked for in it, and none of them are left to others."""
    forget_block()
    yield
    forget_block()


def test_in_range_and_different() -> None:
    ids = [global_id() for _ in range(10_000)]
    assert all(type(number) is int and 1 <= number <= MAX_ID for number in ids)
    # Two equal ones among so many: about once in 200 million runs.
    assert len(set(ids)) == len(ids)


def test_every_bit_is_random() -> None:
    count = 20_000
    ids = [global_id() - 1 for _ in range(count)]
    for bit in range(53):
        ones = sum(number >> bit & 1 for number in ids)
        # The standard deviation is 0.35 % of the count.
        assert 0.45 * count < ones < 0.55 * count, f'bit {bit}'


@pytest.mark.parametrize(('byte', 'number'), [(b'\x00', 1), (b'\xff', MAX_ID)])
def test_both_ends_of_the_range(
    monkeypatch: pytest.MonkeyPatch, byte: bytes, number: int
) -> None:
    monkeypatch.setattr(os, 'urandom', lambda size: byte * size)
    assert [global_id() for _ in range(3)] == [number] * 3


def test_all_bytes_of_a_block_are_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = []

    def urandom(size: int) -> bytes:
        block = b''.join(at.to_bytes(8, 'little') for at in range(size // 8))
        blocks.append(size)
        return block

    monkeypatch.setattr(os, 'urandom', urandom)
    ids = [global_id() for _ in range(BLOCK_IDS)]
    assert sorted(ids) == list(range(1, BLOCK_IDS + 1))
    assert blocks == [8 * BLOCK_IDS]
    global_id()
    assert len(blocks) == 2


def test_forgetting_the_block_asks_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    genuine = os.urandom
    monkeypatch.setattr(os, 'urandom', lambda size: asked.append(size) or genuine(size))
    global_id()
    global_id()
    assert len(asked) == 1
    forget_block()
    global_id()
    assert len(asked) == 2


def test_a_failing_generator_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def urandom(size: int) -> bytes:
        raise OSError('no randomness')

    monkeypatch.setattr(os, 'urandom', urandom)
    with pytest.raises(OSError, match='no randomness'):
        global_id()
    monkeypatch.undo()
    assert 1 <= global_id() <= MAX_ID


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='there is no fork() on this system')
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_a_forked_child_draws_other_ids() -> None:
    global_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps([global_id() for _ in range(10)]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        of_child = json.loads(pipe.read())
    os.waitpid(child, 0)
    assert len(of_child) == 10
    assert not set(of_child) & {global_id() for _ in range(BLOCK_IDS)}
