"""_core.wire.values: JSON and MessagePack values (WAMP AP, "Binary support in JSON")."""

import base64
import collections
import dataclasses
import datetime
import enum
import json
import math
import threading
import types
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serverwamp_fast._core.wire.values import dumps_json, dumps_msgpack, loads_json, loads_msgpack
from serverwamp_fast.errors import SerializationError, WAMPMsgParseError

# Strings that JSON can carry: no lone surrogates, and no U+0000 in front, which says that they are bytes.
TEXTS = st.text(st.characters(exclude_categories=['Cs'])).filter(
    lambda text: not text.startswith('\0')
)
KEYS = st.text(st.characters(exclude_categories=['Cs']))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
        max_leaves=20,
    )


JSON_VALUES = nested(st.none() | st.booleans() | st.integers() | FLOATS | TEXTS | st.binary())
MSGPACK_VALUES = nested(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | KEYS | st.binary()
)


def with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(with_tuples, value))
    if isinstance(value, dict):
        return {key: with_tuples(item) for key, item in value.items()}
    return value


def types_of(value: Any) -> Any:
    """The types in a value, since 1, 1.0 and True are equal."""
    if isinstance(value, (list, tuple)):
        return [types_of(item) for item in value]
    if isinstance(value, dict):
        return {key: types_of(item) for key, item in value.items()}
    return type(value)


def nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


# ---- JSON, read --------------------------------------------------------------------------------


@given(JSON_VALUES)
@example([b'', b'\0', {'key': [b'\xff' * 100]}, 2**64, -(2**63) - 1])
def test_json_round_trip(value: Any) -> None:
    text = dumps_json(value)
    for form in text, text.decode(), bytearray(text), memoryview(text):
        read = loads_json(form)
        assert read == value
        assert types_of(read) == types_of(value)


INTEGERS = [
    *(sign * 10**digits + step for digits in range(16, 24) for sign in (1, -1) for step in (-1, 0, 1)),
    *(sign * 2**bits + step for bits in (53, 62, 63, 64, 65) for sign in (1, -1) for step in (-1, 0, 1)),
    10**400,
    -(10**400),
    10**4000,
]  # fmt: skip


@pytest.mark.parametrize('number', INTEGERS, ids=lambda number: f'{len(str(number))} digits')
def test_integers_of_any_size_arrive_intact(number: int) -> None:
    # In every position to the bytes that are looked at to find a long run of digits.
    for indent in range(40):
        for form in '[{}]', '{{"key":{}}}', '[1,{},2.5]':
            text = ' ' * indent + form.format(number)
            read = loads_json(text)
            assert read == json.loads(text)
            assert types_of(read) == types_of(json.loads(text))
    assert dumps_json([number]) == f'[{number}]'.encode()


@given(
    st.lists(
        st.integers()
        | st.integers(10**17, 10**21)
        | FLOATS
        | st.text('0123456789"\\', max_size=30)
        | st.booleans(),
        max_size=8,
    ),
    st.sampled_from([None, 1]),
)
def test_numbers_among_strings_of_digits(values: list[Any], indent: int | None) -> None:
    text = json.dumps({'values': values}, indent=indent)
    read = loads_json(text)
    assert read == {'values': values}
    assert types_of(read) == types_of({'values': values})


@pytest.mark.parametrize(
    'text',
    [
        '0.1234567890123456789012',
        '-12345678901234567890123.5',
        '12345678901234567890123e1',
        '12345678901234567890123E-40',
        '1.5e+0000000000000000000000001',
        '1e-400',
        '-0.0',
    ],
)
def test_long_floats_are_floats(text: str) -> None:
    for indent in range(20):
        read = loads_json(' ' * indent + f'[{text}]')
        assert type(read[0]) is float
        assert read == [float(text)]
        # The same beside an integer for which orjson gives up.
        assert loads_json(f'[{text},{2**70}]') == [float(text), 2**70]


@pytest.mark.parametrize('companion', ['', f',{2**70}'], ids=['orjson', 'standard library'])
@pytest.mark.parametrize(
    'element',
    [
        'NaN', 'Infinity', '-Infinity', '1e400', '-1e400', '"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}', '01', '1.',
        '.5', '+1', "'a'", '"a\x01"', '"a\nb"', '"\\x"', '"\\u12"', '1 2', '[', ']', '{', '{"a"}', '{"a":}', '{1:2}',
        'nul', 'True', '"', '[1,]', '{"a":1,}', '/**/1', '-', '1e', '"\\u0000YQ="', '"\\u0000a b="', '"\\u0000é"',
        '"\\u0000YQ==YQ=="', '"\\u0000_-8="',
    ],
)  # fmt: skip
def test_malformed_json(element: str, companion: str) -> None:
    text = f'[{element}{companion}]'
    for form in text, text.encode():
        with pytest.raises(WAMPMsgParseError, match='^Malformed JSON: .'):
            loads_json(form)


@pytest.mark.parametrize(
    'text',
    [b'', b' ', b'\xff', b'"\xff"', b'"\xed\xa0\x80"', b'\xef\xbb\xbf[]', b'\0', b'[1]\0', b'[1]\x1e', b'[1] [2]']
)  # fmt: skip
def test_malformed_bytes(text: bytes) -> None:
    with pytest.raises(WAMPMsgParseError, match='^Malformed JSON: .'):
        loads_json(text)


def test_malformed_text_with_lone_surrogate() -> None:
    with pytest.raises(WAMPMsgParseError, match='^Malformed JSON: .'):
        loads_json('["\ud800"]')


@pytest.mark.parametrize('size', [0, 1, 4000, 4094, 4095, 4096, 4097, 100_000])
def test_small_and_large_texts(size: int) -> None:
    assert loads_json(b'["%b"]' % (b'x' * size)) == ['x' * size]
    with pytest.raises(WAMPMsgParseError, match='^Malformed JSON'):
        loads_json(b'["%b' % (b'x' * size))


def test_the_error_does_not_keep_the_text() -> None:
    with pytest.raises(WAMPMsgParseError) as caught:
        loads_json('[' + 'secret ' * 2000)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize('companion', ['', f',{2**70}'], ids=['orjson', 'standard library'])
def test_the_last_of_equal_keys_counts(companion: str) -> None:
    assert loads_json(f'[{{"a":1,"b":2,"a":3}}{companion}]')[0] == {'a': 3, 'b': 2}


@pytest.mark.parametrize('companion', ['', f',{2**70}'], ids=['orjson', 'standard library'])
def test_binary_data(companion: str) -> None:
    # The specification's example.
    data = bytes.fromhex('10e3ff9053075c526f5fc06d4fe37cdb')
    spelled = '"\\u0000EOP/kFMHXFJvX8BtT+N82w=="'
    text = f'[{spelled},{{"key":{spelled},{spelled}:1}},[{spelled}],"\\u0000","a\\u0000YQ==","\\\\u0000"{companion}]'
    read = loads_json(text)
    assert read[:6] == [
        data,
        # Keys stay strings.
        {'key': data, '\0EOP/kFMHXFJvX8BtT+N82w==': 1},
        [data],
        b'',
        'a\0YQ==',
        '\\u0000',
    ]
    assert loads_json(f' {spelled} ') == data


@pytest.mark.parametrize('before', ['', '\\\\', '\\"', 'a\\u0000', '\\n', '\\u00e9'])
def test_only_the_beginning_of_a_string_says_that_it_is_binary(before: str) -> None:
    text = f'["{before}","\\u0000YQ==","{before}x\\u0000YQ=="]'
    assert loads_json(text) == [
        json.loads(f'"{before}"'),
        b'a',
        json.loads(f'"{before}x\\u0000YQ=="'),
    ]


@pytest.mark.parametrize('leaf', ['1', str(2**70), '"\\u0000YQ=="', '"x"'])
def test_deep_nesting_is_refused(leaf: str) -> None:
    for opening, closing in ('[', ']'), ('{"a":', '}'):
        for depth in (1030, 5000, 200_000):
            with pytest.raises(WAMPMsgParseError, match='^Malformed JSON'):
                loads_json(opening * depth + leaf + closing * depth)
            with pytest.raises(WAMPMsgParseError, match='^Malformed JSON'):
                loads_json(opening * depth + leaf)
        assert loads_json(opening * 100 + leaf + closing * 100)


@given(st.text('[]{}":,\\0123456789-eE.u \x00\x1e') | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = loads_json(text)
    except WAMPMsgParseError:
        return
    # What is accepted is JSON for the standard library too.
    expected = json.loads(text)
    if '\\u0000' not in text:
        assert read == expected


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for load in loads_json, loads_msgpack:
        try:
            load(data)
        except WAMPMsgParseError:
            pass


# ---- JSON, written -----------------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    _hidden: int = 0


class Colour(enum.Enum):
    RED = 'red'


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    pass


Pair = collections.namedtuple('Pair', 'left right')


class Table(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __init__(self, **items: Any) -> None:
        self.items_given = items

    def __getitem__(self, key: str) -> Any:
        return self.items_given[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.items_given)

    def __len__(self) -> int:
        return len(self.items_given)


def name_value(value: Any) -> str:
    """Return a test id that is the same in every process: no addresses."""
    return repr(value).partition(' at 0x')[0][:30]


BOTH_WAYS = [
    ((1, (2,)), '[1,[2]]'),
    (Pair(1, b'a'), '[1,"\\u0000YQ=="]'),
    (b'a', '"\\u0000YQ=="'),
    (b'', '"\\u0000"'),
    (bytearray(b'a'), '"\\u0000YQ=="'),
    (memoryview(b'abc')[::2], '"\\u0000YWM="'),
    (math.nan, 'null'),
    (math.inf, 'null'),
    (1.0, '1.0'),
    (collections.OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    (types.MappingProxyType({'a': (1,)}), '{"a":[1]}'),
    (Table(a=Table(b=1)), '{"a":{"b":1}}'),
    (collections.deque([1, 2]), '[1,2]'),
    (range(3), '[0,1,2]'),
    (collections.UserList([1]), '[1]'),
    (Level.HIGH, '3'),
    (Colour.RED, '"red"'),
    (Name('é'), '"é"'),
    ('"\\\n\x7f', '"\\"\\\\\\n\x7f"'),
    (Point(1), '{"x":1,"y":0}'),
    (datetime.date(2026, 11, 20), '"2026-11-20"'),
    (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
]  # fmt: skip


@pytest.mark.parametrize(('value', 'text'), BOTH_WAYS, ids=name_value)
def test_what_json_is_written_for(value: Any, text: str) -> None:
    assert dumps_json(value) == text.encode()
    # The same beside what orjson refuses: the standard library takes its place and nobody notices.
    assert dumps_json([value, 2**70]) == f'[{text},{2**70}]'.encode()
    assert dumps_json({1: value}) == f'{{"1":{text}}}'.encode()


KEYS_WRITTEN: list[Any] = [1, -1, 2**70, 1.5, True, False, None, Level.HIGH, Name('é'), 'a']


@pytest.mark.parametrize('key', KEYS_WRITTEN, ids=repr)
def test_keys_are_written_as_the_standard_library_does(key: Any) -> None:
    expected = json.dumps({key: [1]}, ensure_ascii=False, separators=(',', ':'))
    assert dumps_json({key: [1]}) == expected.encode()
    assert dumps_json([{'deep': {key: [1]}}]) == f'[{{"deep":{expected}}}]'.encode()


LOOP: list[Any] = []
LOOP.append(LOOP)


class Broken(Table):
    def __iter__(self) -> Iterator[str]:
        raise RuntimeError('broken mapping')


@pytest.mark.parametrize(
    'value',
    [
        object(), {1, 2}, 1j, Exception, (item for item in ()), {(1,): 2}, {b'a': 1}, '\ud800', ['\ud800', 2**70],
        {'\ud800': 1}, {'\ud800': 2**70}, LOOP, [LOOP, 2**70], nest(2000), Broken(a=1), Point,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_json_has_no_form_for(value: Any) -> None:
    with pytest.raises(SerializationError, match='^JSON has no form for .+: .'):
        dumps_json(value)
    with pytest.raises(SerializationError):
        dumps_json({'deep': [value]})


@dataclasses.dataclass
class Box:
    content: str


@pytest.mark.parametrize('value', ['\0text', ['\0', b'a'], {'a': ('\0AP8=', 2**70)}], ids=repr)
def test_text_that_json_takes_for_binary_data(value: Any) -> None:
    with pytest.raises(SerializationError, match='begins with U[+]0000'):
        dumps_json(value)
    assert dumps_json(['a\0b', b'a']) == b'["a\\u0000b","\\u0000YQ=="]'


def test_timestamps_are_seconds_in_json() -> None:
    moments = [msgpack.Timestamp(1), msgpack.Timestamp(1, 500_000_000)]
    assert dumps_json(moments) == b'[1,1.5]'
    assert dumps_json([*moments, 2**70]) == b'[1,1.5,1180591620717411303424]'


def test_deeper_than_orjson_writes() -> None:
    for depth in (254, 255, 500):
        assert dumps_json(nest(depth)) == b'[' * depth + b']' * depth


@pytest.mark.parametrize(
    'value', [Name('\0'), [(b'a', Level.HIGH, None, 1.5), Pair('\0', 1)], Table(a=collections.deque(['\0'])),
              Box('\0'), {'a': {'b': (b'', '\0')}}], ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_text_for_binary_data_in_any_container(value: Any) -> None:
    for text in (value, [value, 2**70]):
        with pytest.raises(SerializationError, match='begins with U[+]0000'):
            dumps_json(text)


def test_keys_that_begin_with_nul_are_text() -> None:
    for value in ({'\0key': 1}, {'\0AP8=': [b'a', {'\0': 2**70}]}):
        assert loads_json(dumps_json(value)) == value


@pytest.mark.parametrize(
    'value', [{1: 'a', '1': 'b'}, [{None: 1, 'a': 2, 'null': 3}], {True: [2**70], 'true': 1}], ids=repr
)
def test_keys_that_would_be_the_same(value: Any) -> None:
    with pytest.raises(SerializationError, match='two keys of a mapping are both written'):
        dumps_json(value)


EXTENSIONS = [msgpack.ExtType(5, b'abc'), [1, {'a': (msgpack.ExtType(0, b'x'),)}]]


@pytest.mark.parametrize('value', EXTENSIONS, ids=repr)
def test_extensions_are_of_messagepack_alone(value: Any) -> None:
    for text in (value, [value, 2**70]):
        with pytest.raises(SerializationError, match=r'JSON has no form for ExtType\(.*an extension of MessagePack'):
            dumps_json(text)
    assert loads_msgpack(dumps_msgpack(value)) == with_tuples(value)


@given(st.binary())
def test_binary_data_is_standard_base64(data: bytes) -> None:
    assert json.loads(dumps_json(data)) == '\0' + base64.b64encode(data).decode()


# ---- MessagePack -------------------------------------------------------------------------------


@given(MSGPACK_VALUES)
@example({'key': b'\xc4', 'ĀŀƐ': [0xC4, 0xC5C6]})
def test_msgpack_round_trip(value: Any) -> None:
    packed = dumps_msgpack(value)
    assert packed == msgpack.packb(value)
    for form in packed, bytearray(packed), memoryview(packed):
        read = loads_msgpack(form)
        assert read == with_tuples(value)
        assert types_of(read) == types_of(value)


@pytest.mark.parametrize(
    ('packed', 'value'),
    [
        # Extension 0 is how JavaScript writes undefined; with something in it it is an application's own.
        (b'\xd4\x00\x00', None),
        (b'\xc7\x00\x00', None),
        (b'\xd4\x00\x01', msgpack.ExtType(0, b'\1')),
        (b'\x81\xa5match\xd4\x00\x00', {'match': None}),
        (b'\xd4\x05a', msgpack.ExtType(5, b'a')),
        (b'\xd6\xff\x00\x00\x00\x01', msgpack.Timestamp(1)),
        (b'\x91\x81\xa1a\xc4\x01b', ({'a': b'b'},)),
        (b'\x82\xa1a\x01\xa1a\x02', {'a': 2}),
        (b'\xcb\x40\x00\x00\x00\x00\x00\x00\x00', 2.0),
    ],
)
def test_what_msgpack_is_read(packed: bytes, value: Any) -> None:
    read = loads_msgpack(packed)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    'packed',
    [
        b'', b'\xc1', b'\x93\x01', b'\xa1', b'\xa1\xff', b'\x01\x02', b'\xdd\xff\xff\xff\xff', b'\xdf\xff\xff\xff\xff',
        b'\xc6\xff\xff\xff\xff', b'\xdb\xff\xff\xff\xff', b'\xc9\xff\xff\xff\xff\x00', b'\xd7\xff' + b'\xff' * 8,
        b'\x91' * 1_000_000, b'\x91' * 5000 + b'\x01', b'\x81\xa1a' * 5000 + b'\x01',
    ],
    ids=lambda packed: packed[:8].hex(),
)  # fmt: skip
def test_malformed_msgpack(packed: bytes) -> None:
    with pytest.raises(WAMPMsgParseError, match='^Malformed MessagePack: .') as caught:
        loads_msgpack(packed)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    'key',
    [1, b'a', b'', None, 1.5, True, (), b'x' * 300, b'x' * 70_000],
    ids=lambda key: repr(key)[:10],
)
def test_msgpack_keys_are_strings(key: Any) -> None:
    for value in {key: 1}, [{'a': [{key: 1}]}], {'a': 1, key: 2}:
        with pytest.raises(WAMPMsgParseError, match='is not allowed for map key'):
            loads_msgpack(msgpack.packb(value))


@pytest.mark.parametrize(
    ('value', 'same_as'),
    [
        (Table(a=(1,)), {'a': [1]}),
        (types.MappingProxyType({'a': 1}), {'a': 1}),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (Pair(1, b'a'), [1, b'a']),
        (Level.HIGH, 3),
        (memoryview(b'a'), b'a'),
        (bytearray(b'a'), b'a'),
        (Name('a'), 'a'),
    ],
    ids=name_value,
)  # fmt: skip
def test_what_msgpack_is_written_for(value: Any, same_as: Any) -> None:
    assert dumps_msgpack(value) == msgpack.packb(same_as)
    assert dumps_msgpack([value, {'a': value}]) == msgpack.packb([same_as, {'a': same_as}])


@pytest.mark.parametrize(
    'value',
    [
        object(),
        {1, 2},
        1j,
        2**64,
        -(2**63) - 1,
        '\ud800',
        LOOP,
        nest(100_000),
        Broken(a=1),
        datetime.date(2026, 1, 1),
    ],
    ids=lambda value: repr(type(value)),
)
def test_what_msgpack_has_no_form_for(value: Any) -> None:
    with pytest.raises(SerializationError, match='^MessagePack has no form for .+: .'):
        dumps_msgpack([1, value])
    # Nothing is left in the packer of what it had begun.
    assert dumps_msgpack([1]) == b'\x91\x01'


def test_a_mapping_that_packs_while_it_is_packed() -> None:
    class Nosy(Table):
        def __iter__(self) -> Iterator[str]:
            assert dumps_msgpack([7]) == b'\x91\x07'
            return super().__iter__()

    assert dumps_msgpack([Nosy(a=1), Nosy(b=2)]) == msgpack.packb([{'a': 1}, {'b': 2}])


def test_packing_in_several_threads() -> None:
    wrong: list[bytes] = []

    class Slow(Table):
        """Whose own code gives the other threads a chance."""

        def __iter__(self) -> Iterator[str]:
            for key in self.items_given:
                barrier.wait(timeout=60)
                yield key

    def pack(number: int) -> None:
        for _ in range(20):
            packed = dumps_msgpack([number, Slow(a=number, b=number), number])
            if packed != msgpack.packb([number, {'a': number, 'b': number}, number]):
                wrong.append(packed)

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=pack, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not barrier.broken


def test_large_messages() -> None:
    value = ['x' * 3_000_000]
    assert dumps_msgpack(value) == msgpack.packb(value)
    assert dumps_msgpack([1]) == b'\x91\x01'


def test_buffers_only() -> None:
    for load in loads_json, loads_msgpack:
        for value in (None, 1, []):
            with pytest.raises(TypeError):
                load(value)
