"""serverwamp_fast.json: serverwamp's functions for JSON."""

import collections
import math
from typing import Any

import pytest
import serverwamp.json as original
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast import json as wamp_json
from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.errors import BatchError, SerializationError, WAMPMsgParseError
from serverwamp_fast.json import (
    JSON_BATCH_SPLITTER,
    JSON_LIBRARY,
    JSON_PACKED_BYTES_PREFIX,
    deserialize,
    deserialize_msg,
    match_jsons_in_batch,
    objects_from_json_batch,
    serialize,
)

TEXTS = st.text(st.characters(exclude_categories=['Cs'])).filter(lambda text: text[:1] != '\0')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def test_constants() -> None:
    assert JSON_BATCH_SPLITTER == original.JSON_BATCH_SPLITTER
    assert JSON_PACKED_BYTES_PREFIX == original.JSON_PACKED_BYTES_PREFIX
    assert JSON_LIBRARY == wamp_json.json_lib.__name__ == 'orjson'
    assert JSON_LIBRARY in wamp_json.JSON_LIBS_PREFERENCE
    assert wamp_json.BYTES_TYPES[:2] == original.BYTES_TYPES
    assert wamp_json.WAMPMsgParseError is WAMPMsgParseError


@given(VALUES)
def test_text_that_each_writes_and_the_other_reads(value: Any) -> None:
    assert deserialize(original.serialize(value)) == value
    assert original.deserialize(serialize(value)) == value
    assert deserialize_msg(serialize(value)) == value


@pytest.mark.skipif(
    original.JSON_LIBRARY != 'orjson', reason='serverwamp writes JSON by another library here'
)
@given(VALUES)
def test_the_same_text_where_the_library_is_the_same(value: Any) -> None:
    assert serialize(value) == original.serialize(value)


@given(st.binary())
def test_bytes_are_written_as_serverwamp_writes_them(data: bytes) -> None:
    assert serialize([data, bytearray(data)]) == original.serialize([data, bytearray(data)])
    assert deserialize(original.serialize(data)) == data


def test_text_is_a_string() -> None:
    assert serialize({'é': [1]}) == '{"é":[1]}'
    assert deserialize(b'[1]') == deserialize('[1]') == [1]
    assert serialize(math.nan) == 'null'
    assert deserialize(serialize(2**100)) == 2**100


def test_what_cannot_be_written_is_a_type_error() -> None:
    for module in wamp_json, original:
        with pytest.raises(TypeError):
            module.serialize(object())
    with pytest.raises(SerializationError):
        serialize(object())


@pytest.mark.parametrize('text', ['', 'x', '[1', '[1]]', '{"a"}', '"\\ud800"', '[' * 100_000])
def test_malformed_text(text: str) -> None:
    with pytest.raises(ValueError, match='Malformed JSON'):
        deserialize(text)
    for function in deserialize_msg, original.deserialize_msg:
        error = WAMPMsgParseError if function is deserialize_msg else original.WAMPMsgParseError
        with pytest.raises(error, match='Malformed JSON'):
            function(text)
    with pytest.raises(WAMPMsgParseError):
        list(objects_from_json_batch(f'{text}\x1e[1]\x1e'))


@given(st.lists(VALUES, min_size=1, max_size=4), st.booleans())
def test_batches(values: list[Any], is_terminated: bool) -> None:
    batch = JSON_BATCH_SPLITTER.join(map(serialize, values)) + JSON_BATCH_SPLITTER * is_terminated
    assert (
        list(objects_from_json_batch(batch))
        == list(original.objects_from_json_batch(batch))
        == values
    )
    assert [match[0] for match in match_jsons_in_batch(batch)] == [
        serialize(value) for value in values
    ]


def test_batches_are_read_as_they_are_asked_for() -> None:
    batch = objects_from_json_batch('[1]\x1e[2]\x18')
    assert isinstance(batch, collections.abc.Iterator)
    assert next(batch) == [1]
    assert list(batch) == [[2]]


def test_a_batch_without_a_message() -> None:
    for batch in ('', '\x1e', '\x1e\x1e'):
        assert list(original.objects_from_json_batch(batch)) == []
        assert list(objects_from_json_batch(batch)) == []
        assert list(objects_from_json_batch(memoryview(batch.encode()))) == []
        # That a transport refuses it is the transport's rule.
        with pytest.raises(BatchError):
            codec_for('wamp.2.json.batched').decode(batch)


def test_every_name_is_there() -> None:
    assert {name for name in wamp_json.__all__ if not hasattr(wamp_json, name)} == set()
    # `logger` and `module` are what the original's choice of a library left behind.
    missing = set(names_of(original)) - set(wamp_json.__all__)
    assert missing <= {'logger', 'module', 'importlib'}, missing


def names_of(module: Any) -> list[str]:
    """What a module has to offer, without what it merely imported."""
    imported = {'logging', 're', 'b64decode', 'b64encode', 'Any'}
    return [name for name in vars(module) if not name.startswith('_') and name not in imported]
