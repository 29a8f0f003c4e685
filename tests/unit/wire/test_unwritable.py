"""unwritable: which value of a message a serializer has no form for, and how the error names it."""

import collections
from typing import Any

import msgpack
import pytest

from serverwamp_fast._core.wire.cbor_values import HAS_CBOR, dumps_cbor
from serverwamp_fast._core.wire.values import dumps_json, dumps_msgpack
from serverwamp_fast.errors import SerializationError

WRITERS = {'JSON': dumps_json, 'MessagePack': dumps_msgpack} | ({'CBOR': dumps_cbor} if HAS_CBOR else {})


class Broken(collections.UserDict[str, Any]):
    def __iter__(self) -> Any:
        raise RuntimeError('broken mapping')


class Hidden:
    def __repr__(self) -> str:
        return '\ud800'


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError('silent')


def refusal(serializer: str, value: Any) -> str:
    with pytest.raises(SerializationError) as caught:
        WRITERS[serializer](value)
    assert caught.value.__cause__ is not None
    text = str(caught.value)
    # It is told to clients.
    for write in WRITERS.values():
        write(text)
    return text


def nest(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize('serializer', WRITERS)
@pytest.mark.parametrize(
    ('value', 'shown'),
    [
        ({1, 2}, '{1, 2}: '),
        (Hidden(), r'\ud800: '),
        (Silent(), 'a value of type Silent: '),
        ('\ud800', r"'\ud800': "),
        ({'\ud800': 1}, r"'\ud800': "),
        (Broken(a=1, b=2), 'a Broken of length 2: broken mapping'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_value_is_named(serializer: str, value: Any, shown: str) -> None:
    for message in (value, [36, 1, 2, {}, ['text', None, 1.5, b'a', {'a': (True, value), 'b': Silent()}]]):
        assert refusal(serializer, message).startswith(f'{serializer} has no form for {shown}')


@pytest.mark.parametrize(
    ('serializer', 'value', 'text'),
    [
        ('JSON', '\0text', r"'\x00text': text that begins with U+0000 stands for binary data there"),
        ('JSON', '\0' * 1000, "'" + r'\x00' * 100 + "'...: text that begins with U+0000 stands for binary data there"),
        ('JSON', msgpack.ExtType(7, b'ab'), "ExtType(code=7, data=b'ab'): an extension of MessagePack"),
        ('JSON', {b'a': 1}, "b'a': keys must be str, int, float, bool or None, not bytes"),
        ('JSON', {1: 1, '1': 1}, "a dict of length 2: two keys of a mapping are both written '1'"),
        ('MessagePack', 2**70, f'{2**70}: an integer beyond 64 bits'),
        ('MessagePack', 2**5000, 'an integer of 5001 bits: an integer beyond 64 bits'),
        ('MessagePack', nest(5000), 'a list of length 1: recursion limit exceeded.'),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_the_sentence(serializer: str, value: Any, text: str) -> None:
    assert refusal(serializer, value) == f'{serializer} has no form for {text}'


@pytest.mark.parametrize('serializer', WRITERS)
def test_values_that_hold_themselves(serializer: str) -> None:
    # Twice, so that the ways through it are without number.
    loop: list[Any] = []
    loop += [loop, loop]
    assert 'a list of length 2: ' in refusal(serializer, loop)


@pytest.mark.parametrize('serializer', WRITERS)
def test_each_part_is_written_once_in_the_search(serializer: str) -> None:
    """However deep it is: a search that writes the whole part anew at each level is a way to keep a server busy."""
    read = 0

    class Counted(collections.UserDict[str, Any]):
        def __iter__(self) -> Any:
            nonlocal read
            read += 1
            return super().__iter__()

    value: Any = [Counted(a=1), '\0', {1, 2}]
    for _ in range(200):
        value = [value]
    refusal(serializer, value)
    assert 1 <= read < 20
