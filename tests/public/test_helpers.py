"""serverwamp_fast.helpers: names, addresses, MessagePack."""

import socket
import struct
from typing import Any

import msgpack
import pytest
import serverwamp.helpers as original
from hypothesis import example, given
from hypothesis import strategies as st

from serverwamp_fast import helpers
from serverwamp_fast.errors import BatchError, WAMPMsgParseError
from serverwamp_fast.helpers import (
    camel_to_snake,
    format_sockaddr,
    object_from_msgpack,
    objects_from_msgpack_batch,
    pack_uint32_be,
    unpack_uint32_be,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=['Cs'])) | st.binary(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=['Cs'])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.text('ABCabc12_ \n.é') | st.text())
@example('AAbBc')
def test_camel_to_snake_as_in_serverwamp(name: str) -> None:
    assert camel_to_snake(name) == original.camel_to_snake(name)


@pytest.mark.parametrize(
    ('name', 'snake'),
    [
        ('', ''),
        ('value', 'value'),
        ('CamelCase', 'camel_case'),
        ('camelCase', 'camel_case'),
        ('getHTTPResponseCode', 'get_http_response_code'),
        ('HTTPResponseCode', 'http_response_code'),
        ('value2Add', 'value2_add'),
        ('already_snake', 'already_snake'),
    ],
)
def test_camel_to_snake(name: str, snake: str) -> None:
    assert camel_to_snake(name) == snake


@pytest.mark.parametrize(
    ('family', 'address', 'text'),
    [
        (socket.AF_INET, ('127.0.0.1', 8080), '127.0.0.1:8080'),
        (socket.AF_INET6, ('::1', 8080, 0, 0), '[::1]:8080'),
        (socket.AF_UNIX, '/run/socket', '/run/socket'),
        (socket.AF_UNIX, b'\0name', "b'\\x00name'"),
    ],
)
def test_format_sockaddr(family: int, address: Any, text: str) -> None:
    assert format_sockaddr(family, address) == original.format_sockaddr(family, address) == text


@given(st.integers(0, 2**32 - 1))
def test_lengths(number: int) -> None:
    packed = pack_uint32_be(number)
    assert packed == number.to_bytes(4, 'big')
    assert unpack_uint32_be(packed) == (number,)
    assert original.unpack_uint32_be(packed) == (number,)


def test_lengths_that_are_none() -> None:
    for number in -1, 2**32:
        with pytest.raises(struct.error):
            pack_uint32_be(number)


@given(VALUES)
def test_objects(value: Any) -> None:
    packed = msgpack.packb(value)
    assert object_from_msgpack(packed) == original.object_from_msgpack(packed)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_batches(values: list[Any]) -> None:
    batch = b''.join(
        [pack_uint32_be(len(packed)) + packed for packed in map(msgpack.packb, values)]
    )
    assert list(objects_from_msgpack_batch(batch)) == list(
        original.objects_from_msgpack_batch(batch)
    )


@pytest.mark.parametrize(
    'packed', [b'', b'\xc1', b'\x93\x01', b'\x01\x02', b'\x91' * 100_000, b'\xa1\xff']
)
def test_malformed_objects(packed: bytes) -> None:
    with pytest.raises(original.WAMPMsgParseError, match='Malformed MessagePack'):
        original.object_from_msgpack(packed)
    with pytest.raises(WAMPMsgParseError, match='Malformed MessagePack'):
        object_from_msgpack(packed)


def test_malformed_batches() -> None:
    # serverwamp sees nothing wrong with the first two (WAMP AP, "Message Batching").
    assert list(original.objects_from_msgpack_batch(b'')) == []
    assert list(original.objects_from_msgpack_batch(b'\0\0\0\xff\x01')) == [1]
    for batch in (b'', b'\0\0\0\xff\x01', b'\0\0', b'\0\0\0\1'):
        with pytest.raises(BatchError):
            list(objects_from_msgpack_batch(batch))
    with pytest.raises(WAMPMsgParseError):
        list(objects_from_msgpack_batch(b'\0\0\0\1\xc1'))


def test_undefined_and_keys() -> None:
    assert object_from_msgpack(b'\x81\xa1a\xd4\x00\x00') == {'a': None}
    with pytest.raises(WAMPMsgParseError):
        object_from_msgpack(msgpack.packb({b'a': 1}))


def test_every_name_is_there() -> None:
    assert {name for name in helpers.__all__ if not hasattr(helpers, name)} == set()
    imported = {'re', 'socket', 'Struct', 'struct_error', 'msgpack'}
    offered = {name for name in vars(original) if not name.startswith('_')} - imported
    # The two steps of the original's camel_to_snake.
    assert offered - set(helpers.__all__) == {'sub_first_cap', 'sub_all_caps'}
