"""_core.wire.binary_codecs: the subprotocols of MessagePack and CBOR, byte for byte.

What all codecs do is tested in test_codecs.py.
"""

import struct
from typing import Any

import cbor2
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast._core.wire.binary_codecs import (
    CBOR_CODECS,
    MSGPACK_CODECS,
    BinaryCodec,
    CBORCodec,
    MessagePackCodec,
)
from serverwamp_fast.errors import BatchError, WAMPMsgParseError

CODECS: list[tuple[Any, Any]] = [
    *((codec, msgpack.packb) for codec in MSGPACK_CODECS),
    *((codec, cbor2.dumps) for codec in CBOR_CODECS),
]
both = pytest.mark.parametrize(('codec', 'pack'), CODECS, ids=lambda value: getattr(value, 'subprotocol', ''))
BATCHED = [MSGPACK_CODECS[0], CBOR_CODECS[0]]


def framed(codec: BinaryCodec, packed: bytes) -> bytes:
    return struct.pack('>I', len(packed)) + packed if codec.is_batched else packed


def test_the_codecs() -> None:
    assert [codec.subprotocol for codec in MSGPACK_CODECS] == ['wamp.2.msgpack.batched', 'wamp.2.msgpack']
    assert [codec.subprotocol for codec in CBOR_CODECS] == ['wamp.2.cbor.batched', 'wamp.2.cbor']
    assert {type(codec) for codec in MSGPACK_CODECS} == {MessagePackCodec}
    assert {type(codec) for codec in CBOR_CODECS} == {CBORCodec}
    for codec, _ in CODECS:
        assert isinstance(codec, BinaryCodec)
        assert codec.is_binary
        assert codec.is_batched == ('batched' in codec.subprotocol)


@both
def test_messages_are_packed_with_their_length_before(codec: Any, pack: Any) -> None:
    for message in [], [1, 'ä', b'\0', None, 1.5], list(range(1000)):
        assert codec.encode(message) == framed(codec, pack(message))
    assert codec.build_result(7) == framed(codec, pack([50, 7, {}]))
    assert codec.build_result(7, progress=True) == framed(codec, pack([50, 7, {'progress': True}]))
    assert codec.build_result(7, (1,)) == framed(codec, pack([50, 7, {}, [1]]))
    assert codec.build_result(7, (), {'a': 1}) == framed(codec, pack([50, 7, {}, [], {'a': 1}]))
    assert codec.build_event(7, 8) == framed(codec, pack([36, 7, 8, {}]))
    event = [36, 7, 8, {'topic': 'a.b'}, [1], {'a': 2}]
    assert codec.build_event(*event[1:]) == framed(codec, pack(event))


@given(st.sampled_from(CODECS), st.integers(0, 2**64 - 1))
def test_numbers_are_written_as_short_as_can_be(codec_and_pack: Any, number: int) -> None:
    codec, pack = codec_and_pack
    assert codec.build_result(number) == framed(codec, pack([50, number, {}]))
    assert codec.build_event(1, number) == framed(codec, pack([36, 1, number, {}]))


@both
@pytest.mark.parametrize('border', [2**5, 2**7, 2**8, 2**16, 2**32])
def test_numbers_at_the_borders_of_their_forms(codec: Any, pack: Any, border: int) -> None:
    for number in border - 1, border:
        assert codec.build_result(number) == framed(codec, pack([50, number, {}]))


@both
def test_arrays_are_tuples(codec: Any, pack: Any) -> None:
    (message,) = codec.decode(framed(codec, pack([1, [2, [3]], {'a': [4]}])))
    assert message == (1, (2, (3,)), {'a': (4,)})


@both
def test_keys_are_strings(codec: Any, pack: Any) -> None:
    for key in b'a', 1, None:
        with pytest.raises(WAMPMsgParseError):
            codec.decode(framed(codec, pack([{key: 1}])))


@pytest.mark.parametrize('codec', BATCHED, ids=repr)
@pytest.mark.parametrize(
    'cut',
    [
        lambda batch: b'',
        lambda batch: batch[:3],
        lambda batch: batch[:-1],
        lambda batch: batch + b'\0\0\0\0',
        lambda batch: batch + b'\0\0',
        lambda batch: b'\xff' + batch[1:],
        lambda batch: batch[:3] + b'\x01' + batch[4:],
    ],
)
def test_batches_that_do_not_add_up(codec: Any, cut: Any) -> None:
    batch = codec.encode_many([[1, 'x'], [2, 'y']])
    assert len(codec.decode(batch)) == 2
    with pytest.raises(WAMPMsgParseError) as refusal:
        codec.decode(cut(batch))
    # Of the last one it's the first message that is wrong, not the batch.
    assert isinstance(refusal.value, BatchError) or cut(batch)[3] == 1


@both
def test_the_codec_answers_as_it_is(codec: Any, pack: Any) -> None:
    assert codec.answering(framed(codec, pack([1, '\x18']))) is codec
