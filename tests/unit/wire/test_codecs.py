"""The codecs by their subprotocols: payloads, batches (WAMP AP, "Message Batching") and the messages that are
laid out by hand.
"""

import collections
import json
import struct
import types
from typing import Any

import cbor2
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast._core.wire.codec import Codec
from serverwamp_fast._core.wire.subprotocols import SUBPROTOCOLS, codec_for
from serverwamp_fast.errors import BatchError, SerializationError, WAMPMsgParseError

JSON = codec_for('wamp.2.json')
JSON_BATCHED = codec_for('wamp.2.json.batched')
JSON_BATCHED_CANCEL = JSON_BATCHED.answering('[1]\x18')
MSGPACK = codec_for('wamp.2.msgpack')
MSGPACK_BATCHED = codec_for('wamp.2.msgpack.batched')
CBOR = codec_for('wamp.2.cbor')
CBOR_BATCHED = codec_for('wamp.2.cbor.batched')
CODECS = [JSON, JSON_BATCHED, JSON_BATCHED_CANCEL, MSGPACK, MSGPACK_BATCHED, CBOR, CBOR_BATCHED]
BATCHED = [JSON_BATCHED, JSON_BATCHED_CANCEL, MSGPACK_BATCHED, CBOR_BATCHED]
UNBATCHED = [JSON, MSGPACK, CBOR]

every_codec = pytest.mark.parametrize('codec', CODECS, ids=repr)
codecs = st.sampled_from(CODECS)

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=8)
TEXTS = st.text(st.characters(exclude_categories=['Cs']), max_size=8).filter(
    lambda text: text[:1] != '\0'
)
VALUES = st.recursive(
    LEAVES | TEXTS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ARGS = st.none() | st.lists(VALUES, max_size=4) | st.lists(VALUES, max_size=4).map(tuple)
KWARGS = st.none() | st.dictionaries(TEXTS, VALUES, max_size=4)
IDS = st.integers(1, 2**53)


def plain(value: Any) -> Any:
    """A decoded value with lists for tuples, so that the codecs can be compared."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def with_payload(header: list[Any], args: Any, kwargs: Any) -> list[Any]:
    if kwargs:
        return [*header, args or [], kwargs]
    return [*header, args] if args else header


# ---- The codecs --------------------------------------------------------------------------------


def test_order_of_preference() -> None:
    assert SUBPROTOCOLS == (
        'wamp.2.msgpack.batched',
        'wamp.2.msgpack',
        'wamp.2.json.batched',
        'wamp.2.json',
        'wamp.2.cbor.batched',
        'wamp.2.cbor',
    )


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_attributes(subprotocol: str) -> None:
    codec = codec_for(subprotocol)
    assert codec.subprotocol == subprotocol
    assert codec.is_binary == ('json' not in subprotocol)
    assert codec.is_batched == subprotocol.endswith('batched')
    assert codec_for(subprotocol) is codec
    assert isinstance(codec, Codec)
    assert subprotocol in repr(codec)
    with pytest.raises(AttributeError):
        codec.is_binary = True  # type: ignore[misc]


@pytest.mark.parametrize('subprotocol', ['', 'wamp.2.ubjson', 'WAMP.2.JSON', None])
def test_unknown_subprotocols(subprotocol: Any) -> None:
    with pytest.raises(KeyError):
        codec_for(subprotocol)


# ---- Payloads ----------------------------------------------------------------------------------


@given(codecs, st.lists(VALUES, max_size=6))
def test_round_trip(codec: Codec, message: list[Any]) -> None:
    payload = codec.encode(message)
    assert type(payload) is bytes
    for form in payload, bytearray(payload), memoryview(payload):
        assert plain(codec.decode(form)) == [message]
    if not codec.is_binary:
        assert codec.decode(payload.decode()) == [message]


@given(st.sampled_from(BATCHED), st.lists(st.lists(VALUES, max_size=4), min_size=1, max_size=5))
def test_round_trip_of_batches(codec: Codec, messages: list[Any]) -> None:
    payload = codec.encode_many(messages)
    assert payload == b''.join([codec.encode(message) for message in messages])
    assert plain(codec.decode(payload)) == messages


@every_codec
def test_no_empty_batch_is_made(codec: Codec) -> None:
    with pytest.raises(ValueError, match='no payload for 0 messages'):
        codec.encode_many([])
    assert codec.encode_many(iter([[1]])) == codec.encode([1])


@pytest.mark.parametrize('codec', UNBATCHED, ids=repr)
def test_no_batch_without_batches(codec: Codec) -> None:
    with pytest.raises(ValueError, match='no payload for 2 messages'):
        codec.encode_many([[1], [2]])
    with pytest.raises(WAMPMsgParseError):
        codec.decode(codec.encode([1]) + codec.encode([2]))


@every_codec
def test_malformed(codec: Codec) -> None:
    for payload in (b'', b'\xc1', b'\x93\x01', b'\x83\x01', b'\xff' * 20, b'[1]]'):
        with pytest.raises(WAMPMsgParseError):
            codec.decode(payload)


@every_codec
def test_text_is_not_for_binary_subprotocols(codec: Codec) -> None:
    if codec.is_binary:
        with pytest.raises(
            WAMPMsgParseError, match='Text where the subprotocol demands binary data'
        ):
            codec.decode('[1]')
    else:
        assert codec.decode('["é"]') == [['é']]
        with pytest.raises(WAMPMsgParseError, match='Malformed text'):
            codec.decode('["\ud800"]')


@every_codec
@pytest.mark.parametrize('payload', [None, 1, [1]])
def test_payloads_are_text_or_bytes(codec: Codec, payload: Any) -> None:
    with pytest.raises(TypeError):
        codec.decode(payload)


@every_codec
def test_what_cannot_be_serialized(codec: Codec) -> None:
    for encode in codec.encode, lambda value: codec.build_result(1, [value]):
        with pytest.raises(SerializationError):
            encode([object()])
    for arguments in (
        {'details': {'a': object()}},
        {'args': [object()]},
        {'kwargs': {'a': object()}},
    ):
        with pytest.raises(SerializationError):
            codec.build_event(1, 2, **arguments)


@given(codecs, st.binary(max_size=40))
def test_any_payload_is_read_or_refused(codec: Codec, payload: bytes) -> None:
    try:
        messages = codec.decode(payload)
    except WAMPMsgParseError:
        return
    assert messages


# ---- Batches -----------------------------------------------------------------------------------


def test_layout_of_batches() -> None:
    assert JSON_BATCHED.encode_many([[1], [2]]) == b'[1]\x1e[2]\x1e'
    assert JSON_BATCHED_CANCEL.encode_many([[1], [2]]) == b'[1]\x18[2]\x18'
    assert MSGPACK_BATCHED.encode_many([[1], ['x' * 300]]) == (
        b'\0\0\0\x02\x91\x01' + struct.pack('>L', 304) + b'\x91\xda\x01\x2c' + b'x' * 300
    )
    assert CBOR_BATCHED.encode_many([[1], ['x' * 300]]) == (
        b'\0\0\0\x02\x81\x01' + struct.pack('>L', 304) + b'\x81\x79\x01\x2c' + b'x' * 300
    )


@pytest.mark.parametrize('codec', BATCHED, ids=repr)
def test_empty_batch(codec: Codec) -> None:
    with pytest.raises(BatchError, match='without a message'):
        codec.decode(b'')


@pytest.mark.parametrize('codec', BATCHED, ids=repr)
@pytest.mark.parametrize('count', [1, 2, 3])
def test_every_cut_through_a_batch(codec: Codec, count: int) -> None:
    messages = [[48, number, {}, 'com.example', ['x' * number]] for number in range(1, count + 1)]
    parts = [codec.encode(message) for message in messages]
    payload = b''.join(parts)
    whole = {sum(map(len, parts[:at])): at for at in range(1, count + 1)}
    if codec.is_binary:
        unfinished: dict[int, int] = {}
    else:
        # A JSON text ends by itself, so its separator may be missing; serverwamp reads that too.
        unfinished = {end - 1: at for end, at in whole.items()}
    for end in range(len(payload) + 1):
        at = whole.get(end) or unfinished.get(end)
        if at is None:
            with pytest.raises(WAMPMsgParseError):
                codec.decode(payload[:end])
        else:
            assert plain(codec.decode(payload[:end])) == messages[:at]


@pytest.mark.parametrize('codec', [JSON_BATCHED, JSON_BATCHED_CANCEL], ids=repr)
def test_both_separators_are_read(codec: Codec) -> None:
    assert codec.decode(b'[1]\x1e[2]\x18[3]\x1e') == [[1], [2], [3]]
    assert codec.decode(b' [1]\n\x18\t[2] \x18') == [[1], [2]]
    # Escaped they belong to a string.
    assert codec.decode(b'["\\u001e\\u0018"]\x1e') == [['\x1e\x18']]
    assert codec.decode(codec.encode(['\x1e\x18'])) == [['\x1e\x18']]


@pytest.mark.parametrize(
    'payload', [b'\x1e', b'\x18', b'\x1e[1]\x1e', b'[1]\x1e\x1e', b'[1]\x1e\x18[2]\x1e']
)
def test_empty_messages_in_json(payload: bytes) -> None:
    with pytest.raises(BatchError, match='An empty message'):
        JSON_BATCHED.decode(payload)


@pytest.mark.parametrize(
    ('payload', 'text'),
    [
        (b'\0', 'inside a length prefix'),
        (b'\0\0\0', 'inside a length prefix'),
        (b'\0\0\0\1', 'larger than what is left'),
        (b'\0\0\0\2\1', 'larger than what is left'),
        (b'\xff\xff\xff\xff\1', 'larger than what is left'),
        (b'\x80\0\0\0\1', 'larger than what is left'),
        (b'\x7f\xff\xff\xff\1', 'larger than what is left'),
        (b'\0\0\0\0', 'An empty message'),
        (b'\0\0\0\1\1\0\0\0\0', 'An empty message'),
    ],
)
def test_length_prefixes_that_do_not_add_up(payload: bytes, text: str) -> None:
    for codec in MSGPACK_BATCHED, CBOR_BATCHED:
        with pytest.raises(BatchError, match=text):
            codec.decode(payload)


def test_a_prefix_that_is_too_long_or_too_short() -> None:
    for payload in (b'\0\0\0\2\1\2', b'\0\0\0\1\x92\1\2'):
        with pytest.raises(WAMPMsgParseError, match='Malformed MessagePack'):
            MSGPACK_BATCHED.decode(payload)
    for payload in (b'\0\0\0\2\1\2', b'\0\0\0\1\x82\1\2'):
        with pytest.raises(WAMPMsgParseError, match='Malformed CBOR'):
            CBOR_BATCHED.decode(payload)


@pytest.mark.parametrize(
    ('payload', 'answer'),
    [
        (b'[1]\x1e', JSON_BATCHED),
        (b'[1]\x18', JSON_BATCHED_CANCEL),
        (b'[1]\x18[2]\x18', JSON_BATCHED_CANCEL),
        # The specification's separator, once seen, is what the peer means.
        (b'[1]\x18[2]\x1e', JSON_BATCHED),
        (b'[1]', JSON_BATCHED),
        (b'["\\u0018"]\x1e', JSON_BATCHED),
    ],
)
def test_the_answer_has_the_separator_of_the_question(payload: bytes, answer: Codec) -> None:
    for codec in JSON_BATCHED, JSON_BATCHED_CANCEL:
        for form in payload, payload.decode(), memoryview(payload):
            assert codec.answering(form) is answer
    assert answer.subprotocol == 'wamp.2.json.batched'


@pytest.mark.parametrize('codec', [JSON, MSGPACK, MSGPACK_BATCHED, CBOR, CBOR_BATCHED], ids=repr)
def test_other_codecs_answer_as_they_are(codec: Codec) -> None:
    for payload in (b'', b'[1]\x18', b'[1]\x1e'):
        assert codec.answering(payload) is codec


# ---- Messages laid out by hand -----------------------------------------------------------------

# Around every length at which MessagePack or CBOR changes the form of a number.
EDGES = [1, 9, 10, 23, 24, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53, 2**64 - 1]


@every_codec
@pytest.mark.parametrize('number', EDGES)
def test_ids_in_every_form(codec: Codec, number: int) -> None:
    assert codec.build_result(number) == codec.encode([50, number, {}])
    assert codec.build_event(number, 7) == codec.encode([36, number, 7, {}])
    assert codec.build_event(number, number) == codec.encode([36, number, number, {}])


@every_codec
@pytest.mark.parametrize('number', [-1, 2**64])
def test_ids_that_do_not_fit(codec: Codec, number: int) -> None:
    with pytest.raises(OverflowError):
        codec.build_result(number)


@given(codecs, IDS, st.booleans(), ARGS, KWARGS)
def test_result_is_what_the_serializer_would_write(
    codec: Codec, request_id: int, progress: bool, args: Any, kwargs: Any
) -> None:
    payload = codec.build_result(request_id, args, kwargs, progress=progress)
    details = {'progress': True} if progress else {}
    assert payload == codec.encode(with_payload([50, request_id, details], args, kwargs))


@given(codecs, IDS, IDS, KWARGS, ARGS, KWARGS)
def test_event_is_what_the_serializer_would_write(
    codec: Codec, subscription: int, publication: int, details: Any, args: Any, kwargs: Any
) -> None:
    payload = codec.build_event(subscription, publication, details, args, kwargs)
    header = [36, subscription, publication, details or {}]
    assert payload == codec.encode(with_payload(header, args, kwargs))


def test_the_bytes_themselves() -> None:
    arguments = (7814135, ['a'], {'b': 1})
    assert JSON.build_result(*arguments) == b'[50,7814135,{},["a"],{"b":1}]'
    assert (
        JSON.build_result(1, kwargs={'b': 1}, progress=True)
        == b'[50,1,{"progress":true},[],{"b":1}]'
    )
    assert JSON.build_result(1, [], {}) == b'[50,1,{}]'
    assert JSON_BATCHED.build_result(1) == b'[50,1,{}]\x1e'
    assert (
        JSON_BATCHED_CANCEL.build_event(1, 2, {'topic': 'a.b'}) == b'[36,1,2,{"topic":"a.b"}]\x18'
    )
    assert MSGPACK.build_result(*arguments) == msgpack.packb([50, 7814135, {}, ['a'], {'b': 1}])
    assert MSGPACK_BATCHED.build_result(1) == b'\0\0\0\4\x93\x32\x01\x80'
    assert CBOR.build_result(*arguments) == cbor2.dumps([50, 7814135, {}, ['a'], {'b': 1}])
    assert CBOR_BATCHED.build_result(1) == b'\0\0\0\5\x83\x18\x32\x01\xa0'


@every_codec
@pytest.mark.parametrize(
    ('args', 'same_as'),
    [
        (collections.deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (collections.namedtuple('Pair', 'a b')(1, 2), [1, 2]),
        ({'a': 1}.values(), [1]),
        (collections.UserList(), []),
        ((), []),
        (None, []),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_arguments_of_any_kind(codec: Codec, args: Any, same_as: list[Any]) -> None:
    assert codec.build_result(1, args) == codec.build_result(1, same_as)
    assert codec.build_result(1, iter(args or ())) == codec.build_result(1, same_as)


@every_codec
@pytest.mark.parametrize('args', ['text', b'bytes', bytearray(b'a'), {'a': 1}, 1, True, object()])
def test_what_is_no_sequence_of_arguments(codec: Codec, args: Any) -> None:
    for build in (lambda: codec.build_result(1, args), lambda: codec.build_event(1, 2, None, args)):
        with pytest.raises(SerializationError, match='Arguments are a sequence of values'):
            build()


@every_codec
def test_keyword_arguments_of_any_kind(codec: Codec) -> None:
    expected = codec.build_result(1, [], {'a': 1})
    for kwargs in (
        types.MappingProxyType({'a': 1}),
        collections.OrderedDict(a=1),
        collections.ChainMap({'a': 1}),
    ):
        assert codec.build_result(1, None, kwargs) == expected
        assert codec.build_event(1, 2, kwargs) == codec.encode([36, 1, 2, {'a': 1}])
    for kwargs in types.MappingProxyType({}), {}, None:
        assert codec.build_result(1, None, kwargs) == codec.build_result(1)
    for wrong in [('a', 1)], 'a', 1, [], object():
        with pytest.raises(SerializationError, match='ArgumentsKw is a mapping'):
            codec.build_result(1, None, wrong)  # type: ignore[arg-type]


class Broken(collections.UserDict[str, Any]):
    """Breaks off in the middle."""

    def __iter__(self) -> Any:
        yield 'a'
        raise LookupError('gone')


@every_codec
def test_what_can_not_be_read(codec: Codec) -> None:
    broken = Broken(a=1)
    for args, kwargs in ((broken.keys(), None), (None, broken), ([broken], None)):
        with pytest.raises(SerializationError, match='gone'):
            codec.build_event(1, 2, None, args, kwargs)
        with pytest.raises(SerializationError, match='gone'):
            codec.build_result(1, args, kwargs)
        with pytest.raises(SerializationError, match='gone'):
            codec.build_event(1, 2, broken)


def test_large_payloads() -> None:
    value = 'x' * 5_000_000
    for codec in CODECS:
        assert plain(codec.decode(codec.build_result(1, [value], {'a': value}))) == [
            [50, 1, {}, [value], {'a': value}]
        ]


def test_integers_beyond_64_bits() -> None:
    for number in (2**64, -(2**63) - 1, 10**40):
        for codec in JSON, JSON_BATCHED, CBOR, CBOR_BATCHED:
            assert plain(codec.decode(codec.build_result(1, [number]))) == [[50, 1, {}, [number]]]
        with pytest.raises(SerializationError):
            MSGPACK.build_result(1, [number])


def test_the_standard_library_reads_the_json() -> None:
    assert json.loads(JSON.build_event(1, 2, {'topic': 'a'}, ['é', 1.5, None], {'k': [True]})) == [
        36, 1, 2, {'topic': 'a'}, ['é', 1.5, None], {'k': [True]}
    ]  # fmt: skip


@pytest.mark.parametrize('subprotocol', ['wamp.2.json', 'wamp.2.json.batched', 'wamp.2.cbor', 'wamp.2.cbor.batched'])
def test_what_is_written_is_never_too_deep_to_be_read(subprotocol: str) -> None:
    """Arguments stand in a message, which is one more container around them."""
    codec = codec_for(subprotocol)
    limit = 400 if 'cbor' in subprotocol else 1023
    for depth in range(limit - 4, limit + 4):
        value: Any = []
        for _ in range(depth - 1):
            value = [value]
        for write, *message in (
            (codec.encode, [36, 1, 1, {}, value]),
            (codec.build_event, 1, 1, None, value),
            (codec.build_event, 1, 1, {'topic': 'a', 'x': value}),
            (codec.build_event, 1, 1, None, None, {'a': value}),
            (codec.build_result, 1, value),
        ):
            try:
                payload = write(*message)
            except SerializationError:
                assert depth >= limit - 1
            else:
                assert depth <= limit
                codec.decode(payload)
