"""_core.base.utf8: the incremental validator against Python's own decoder."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serverwamp_fast._core.base.utf8 import Utf8Validator

# Both ends of every row of the table of well-formed sequences (Unicode, table 3-7).
WELL_FORMED = [
    b'',
    b'\x00',
    b'\x7f',
    b'\xc2\x80',
    b'\xdf\xbf',
    b'\xe0\xa0\x80',
    b'\xe0\xbf\xbf',
    b'\xe1\x80\x80',
    b'\xec\xbf\xbf',
    b'\xed\x80\x80',
    b'\xed\x9f\xbf',
    b'\xee\x80\x80',
    b'\xef\xbf\xbf',
    b'\xf0\x90\x80\x80',
    b'\xf0\xbf\xbf\xbf',
    b'\xf1\x80\x80\x80',
    b'\xf3\xbf\xbf\xbf',
    b'\xf4\x80\x80\x80',
    b'\xf4\x8f\xbf\xbf',
]

# What can't be, with the number of bytes after which that is certain.
MALFORMED = [
    pytest.param(b'\x80', 1, id='tail without lead'),
    pytest.param(b'\xbf', 1, id='last tail without lead'),
    pytest.param(b'\xc0\x80', 1, id='overlong NUL'),
    pytest.param(b'\xc1\xbf', 1, id='overlong DEL'),
    pytest.param(b'\xc2\x7f', 2, id='ASCII instead of the tail'),
    pytest.param(b'\xdf\xc0', 2, id='lead instead of the tail'),
    pytest.param(b'\xe0\x9f\xbf', 2, id='overlong in three'),
    pytest.param(b'\xe1\x7f\x80', 2, id='ASCII instead of the second of three'),
    pytest.param(b'\xe1\x80\xc0', 3, id='lead instead of the third of three'),
    pytest.param(b'\xed\xa0\x80', 2, id='first surrogate'),
    pytest.param(b'\xed\xbf\xbf', 2, id='last surrogate'),
    pytest.param(b'\xf0\x8f\xbf\xbf', 2, id='overlong in four'),
    pytest.param(b'\xf0\x90\x7f\x80', 3, id='ASCII instead of the third of four'),
    pytest.param(b'\xf1\x80\x80\xc0', 4, id='lead instead of the fourth'),
    pytest.param(b'\xf4\x90\x80\x80', 2, id='U+110000'),
    pytest.param(b'\xf5\x80\x80\x80', 1, id='lead beyond U+10FFFF'),
    pytest.param(b'\xff', 1, id='FF'),
]

# One of them completes any unfinished character.
COMPLETIONS = [b'', b'\x80', b'\x80\x80', b'\xa0\x80', b'\x80\x80\x80', b'\x90\x80\x80']


def find_fault(data: bytes) -> int | None:
    """The number of bytes after which the validator refuses `data`, fed byte by byte."""
    validator = Utf8Validator()
    for position in range(len(data)):
        if not validator.feed(data[position : position + 1]):
            return position + 1
    return None


def is_utf8(data: bytes) -> bool:
    try:
        data.decode('utf-8')
    except UnicodeDecodeError:
        return False
    return True


def can_become_utf8(data: bytes) -> bool:
    return any(is_utf8(data + rest) for rest in COMPLETIONS)


def find_fault_by_python(data: bytes) -> int | None:
    # Not by Python's incremental decoder: it waits for the third byte of a surrogate.
    for size in range(1, len(data) + 1):
        if not can_become_utf8(data[:size]):
            return size
    return None


def validate(pieces: list[bytes]) -> bool:
    validator = Utf8Validator()
    for piece in pieces:
        validator.feed(piece)
    return validator.is_complete


@st.composite
def cut_bytes(draw: st.DrawFn) -> list[bytes]:
    """Text, or text with some bytes spoilt, in pieces."""
    data = bytearray(draw(st.text(max_size=60)).encode())
    for _ in range(draw(st.integers(0, 2))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    edges = zip([0, *cuts], [*cuts, len(data)], strict=True)
    return [bytes(data[start:end]) for start, end in edges]


@pytest.mark.parametrize('data', WELL_FORMED, ids=bytes.hex)
def test_well_formed(data: bytes) -> None:
    assert validate([data])
    assert validate([data, data])
    assert validate([bytes([byte]) for byte in data])
    assert validate([b'a' * 9 + data + b'a' * 9])


@pytest.mark.parametrize('data', [data for data in WELL_FORMED if len(data) > 1], ids=bytes.hex)
def test_cut_off(data: bytes) -> None:
    for size in range(1, len(data)):
        validator = Utf8Validator()
        assert validator.feed(b'text ' + data[:size])
        assert not validator.is_complete
        assert validator.feed(b'')
        assert not validator.is_complete
        assert validator.feed(data[size:])
        assert validator.is_complete


@pytest.mark.parametrize(('data', 'fault'), MALFORMED)
def test_malformed(data: bytes, fault: int) -> None:
    assert not is_utf8(data)
    assert find_fault(data) == fault
    assert find_fault('é€𝄞'.encode() + data) == 9 + fault
    assert not validate([data])
    assert not validate([data + b' trailing data'])


def test_a_fault_is_final() -> None:
    validator = Utf8Validator()
    assert not validator.feed(b'\xff')
    assert not validator.feed(b'text')
    assert not validator.feed(b'')
    assert not validator.is_complete


def test_every_byte_after_every_beginning() -> None:
    beginnings = [b'']
    # The third byte of four has one range whatever came before, so its ends stand for all.
    for length, tails in (1, range(256)), (2, range(256)), (3, (0x7F, 0x80, 0xBF, 0xC0)):
        for beginning in [data for data in beginnings if len(data) == length - 1]:
            for byte in tails:
                data = beginning + bytes([byte])
                if can_become_utf8(data) and not is_utf8(data):
                    beginnings.append(data)
    assert max(map(len, beginnings)) == 3

    for beginning in beginnings:
        for byte in range(256):
            data = beginning + bytes([byte])
            validator = Utf8Validator()
            assert validator.feed(data) == can_become_utf8(data), data.hex()
            assert validator.is_complete == is_utf8(data), data.hex()


@pytest.mark.parametrize('size', range(1, 35))
def test_one_bad_byte_in_ascii(size: int) -> None:
    for position in range(size):
        data = bytearray(b'x' * size)
        data[position] = 0x80
        assert find_fault(bytes(data)) == position + 1
        assert not validate([bytes(data)])


@pytest.mark.parametrize('character', ['é', '€', '𝄞'])
def test_one_character_in_ascii(character: str) -> None:
    for size in range(1, 35):
        for position in range(size):
            text = 'x' * position + character + 'x' * (size - position)
            assert validate([text.encode()])
            assert not validate([text.encode()[: position + 1] + b'x' * 8])


@settings(deadline=None)
@given(cut_bytes())
def test_pieces(pieces: list[bytes]) -> None:
    data = b''.join(pieces)
    fault = find_fault_by_python(data)
    assert validate(pieces) == is_utf8(data)
    assert find_fault(data) == fault

    validator = Utf8Validator()
    received = 0
    for piece in pieces:
        received += len(piece)
        assert validator.feed(piece) == (fault is None or received < fault)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_random_bytes(data: bytes) -> None:
    assert find_fault(data) == find_fault_by_python(data)
    assert validate([data]) == is_utf8(data)


@settings(deadline=None)
@given(st.text())
def test_all_text(text: str) -> None:
    assert validate([text.encode()])


@pytest.mark.parametrize('wrong', [None, 'text', bytearray(b'x'), memoryview(b'x'), 1])
def test_only_bytes(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Utf8Validator().feed(wrong)
