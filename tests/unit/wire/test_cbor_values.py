"""CBOR values (RFC 8949): what is read, what is refused before cbor2 sees it, what is written."""

import collections
import datetime
import decimal
import enum
import math
import re
import struct
import subprocess
import sys
import threading
import types
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.isolated import run_isolated

cbor2 = pytest.importorskip('cbor2', reason='cbor2 is not installed')

from serverwamp_fast._core.wire.cbor_values import HAS_CBOR, dumps_cbor, loads_cbor  # noqa: E402
from serverwamp_fast.errors import SerializationError, WAMPMsgParseError  # noqa: E402

TEXTS = st.text(st.characters(exclude_categories=['Cs']), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)
# Bytes that look like CBOR: heads of every kind more often than chance has them.
HEADS = st.sampled_from([*range(0x18, 0x1C), 0x40, 0x5F, 0x60, 0x61, 0x7F, 0x80, 0x81, 0x82, 0x9F, 0xA0, 0xA1, 0xBF])
PARTS = st.lists(
    HEADS.map(lambda head: bytes([head]))
    | st.sampled_from([b'\xc0', b'\xc2\x41\x01', b'\xd8\x40', b'\xd8\x1c', b'\xf7', b'\xfb', b'\xff', b'\x61a'])
    | st.binary(max_size=9),
    max_size=30,
).map(b''.join)  # fmt: skip

DEPTH = 400  # of arrays and maps in one another


def with_tuples(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(with_tuples, value))
    if isinstance(value, dict):
        return {key: with_tuples(item) for key, item in value.items()}
    return value


def types_of(value: Any) -> Any:
    """The types in a value, since 1, 1.0 and True are equal."""
    if isinstance(value, (list, tuple)):
        return type(value), [types_of(item) for item in value]
    if isinstance(value, dict):
        return type(value), {key: types_of(item) for key, item in value.items()}
    return type(value)


def nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


LOOP: list[Any] = []
LOOP.append(LOOP)


def test_it_is_there() -> None:
    assert HAS_CBOR is True


@given(VALUES)
@example([2**64, -(2**64) - 1, 2**2000, -(2**2000), 2**53, -(2**63), math.inf, -math.inf, 5e-324])
@example({'a': [b'\xc0\xff', {'b': ['\0', 'é𝄞', []]}]})
def test_round_trip(value: Any) -> None:
    data = dumps_cbor(value)
    for form in data, bytearray(data), memoryview(data):
        read = loads_cbor(form)
        assert read == with_tuples(value)
        assert types_of(read) == types_of(with_tuples(value))


@given(VALUES)
def test_cbor2_reads_what_is_written(value: Any) -> None:
    assert cbor2.loads(dumps_cbor(value)) == value


@given(VALUES, st.booleans())
def test_what_cbor2_writes_is_read(value: Any, indefinite: bool) -> None:
    data = cbor2.dumps(value, indefinite_containers=indefinite, canonical=not indefinite)
    assert loads_cbor(data) == with_tuples(value)


@given(VALUES)
def test_every_cut_and_trailing_data(value: Any) -> None:
    data = dumps_cbor(value)
    for end in range(len(data)):
        with pytest.raises(WAMPMsgParseError, match='^Malformed CBOR: it ends too early$'):
            loads_cbor(data[:end])
    for more in b'\0', b'\xff', data:
        with pytest.raises(WAMPMsgParseError, match='^Malformed CBOR: something behind its end$'):
            loads_cbor(data + more)


@given(PARTS | st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read = loads_cbor(data)
    except WAMPMsgParseError as error:
        assert error.__context__ is None
        return

    def visit(value: Any) -> None:
        kinds = (types.NoneType, bool, int, float, str, bytes, tuple, dict)
        assert type(value) in kinds
        if type(value) is tuple:
            for item in value:
                visit(item)
        elif type(value) is dict:
            for key, item in value.items():
                assert type(key) is str
                visit(item)

    visit(read)


@pytest.mark.parametrize(
    ('data', 'value'),
    [
        # RFC 8949, Appendix A.
        ('00', 0), ('17', 23), ('1818', 24), ('1b000000e8d4a51000', 10**12), ('1bffffffffffffffff', 2**64 - 1),
        ('c249010000000000000000', 2**64), ('3bffffffffffffffff', -(2**64)), ('c349010000000000000000', -(2**64) - 1),
        ('20', -1), ('3903e7', -1000), ('f90000', 0.0), ('f98000', -0.0), ('f93c00', 1.0),
        ('fb3ff199999999999a', 1.1), ('f97bff', 65504.0), ('fa47c35000', 100000.0),
        ('fa7f7fffff', 3.4028234663852886e38),
        ('f90001', 5.960464477539063e-8), ('f97c00', math.inf), ('fbfff0000000000000', -math.inf), ('f4', False),
        ('f5', True), ('f6', None), ('4401020304', b'\1\2\3\4'), ('60', ''), ('62c3bc', 'ü'), ('64f0908591', '𐅑'),
        ('83010203', (1, 2, 3)), ('8301820203820405', (1, (2, 3), (4, 5))),
        ('a26161016162820203', {'a': 1, 'b': (2, 3)}),
        ('5f42010243030405ff', b'\1\2\3\4\5'), ('7f657374726561646d696e67ff', 'streaming'), ('9fff', ()),
        ('9f018202039f0405ffff', (1, (2, 3), (4, 5))), ('bf61610161629f0203ffff', {'a': 1, 'b': (2, 3)}),
        # Numbers longer than they need be, a key in pieces, the last of equal keys.
        ('1b0000000000000001', 1), ('bf7f616161 62ff01ff', {'ab': 1}),
        ('a2616101616102', {'a': 2}), ('5fff', b''), ('7fff', ''), ('c240', 0), ('c24101', 1),
        # What JavaScript's libraries write: undefined, dates, bytes, URLs, sets.
        ('f7', None), ('82f7a16161f7', (None, {'a': None})), ('c11a6553f100', 1700000000),
        ('c0 6a323032362d30312d3031', '2026-01-01'), ('d840420102', b'\1\2'),
        ('d82069687474703a2f2f782f', 'http://x/'), ('d90102820181f7', (1, (None,))), ('d9d9f7a16161c101', {'a': 1}),
        ('c1f97e00', math.nan), ('fb7ff8000000000001', math.nan),
    ],
)  # fmt: skip
def test_what_is_read(data: str, value: Any) -> None:
    read = loads_cbor(bytes.fromhex(data))
    assert types_of(read) == types_of(value)
    assert read == value or math.isnan(value) and math.isnan(read)


@pytest.mark.parametrize(
    ('data', 'text'),
    [
        ('', 'it ends too early'),
        ('9bffffffffffffffff', 'it ends too early'), ('9a7fffffff00', 'it ends too early'),
        ('bbffffffffffffffff', 'it ends too early'), ('bb8000000000000000', 'it ends too early'),
        ('5bffffffffffffffff00', 'it ends too early'), ('7b7fffffffffffffff61', 'it ends too early'),
        ('5f5bffffffffffffffff', 'it ends too early'), ('c25bffffffffffffffff', 'an integer of more than 1024 bytes'),
        ('c25903ff', 'it ends too early'), ('c2', 'it ends too early'), ('c1', 'it ends too early'),
        ('9f', 'it ends too early'), ('bf6161', 'it ends too early'), ('5f4101', 'it ends too early'),
        ('1c', 'a reserved length'), ('5d', 'a reserved length'), ('9e', 'a reserved length'),
        ('1f', 'a reserved length'), ('3f', 'a reserved length'), ('df', 'a reserved length'),
        ('ff', 'a simple value without a meaning'), ('81ff', 'a simple value without a meaning'),
        ('bf6161ff', 'a simple value without a meaning'), ('e0', 'a simple value without a meaning'),
        ('f0', 'a simple value without a meaning'), ('f8ff', 'a simple value without a meaning'),
        ('f815', 'a simple value without a meaning'), ('fc', 'a simple value without a meaning'),
        ('5f6161ff', 'a string in pieces of another type'), ('7f4161ff', 'a string in pieces of another type'),
        ('7f7f6161ffff', 'a string in pieces of another type'), ('5f00ff', 'a string in pieces of another type'),
        ('a10102', 'a key that is not a string'), ('a1416102', 'a key that is not a string'),
        ('a1f702', 'a key that is not a string'), ('81a1d9d9f7616102', 'a key that is not a string'),
        ('a1818001', 'a key that is not a string'), ('bf0102ff', 'a key that is not a string'),
        ('0001', 'something behind its end'), ('80f6', 'something behind its end'),
        ('f6ff', 'something behind its end'), ('c26161', 'a large integer that is not a byte string'),
        ('c25f4101ff', 'a large integer that is not a byte string'),
        ('c38101', 'a large integer that is not a byte string'), ('c201', 'a large integer that is not a byte string'),
        # Shared and cyclic values, references to strings.
        ('d81c81d81d00', 'tag 28 is not accepted'), ('81d81d00', 'tag 29 is not accepted'),
        ('d90100826161d81900', 'tag 256 is not accepted'), ('81d81900', 'tag 25 is not accepted'),
        # Decimal fractions, fractions, patterns, MIME, UUIDs, addresses, dates, JavaScript's own.
        ('c48201 3bffffffffffffffff', 'tag 4 is not accepted'), ('c5821b7fffffffffffffff03', 'tag 5 is not accepted'),
        ('d81e820102', 'tag 30 is not accepted'), ('d82364282b292b', 'tag 35 is not accepted'),
        ('d82460', 'tag 36 is not accepted'), ('d82550' + '00' * 16, 'tag 37 is not accepted'),
        ('d8344401020304', 'tag 52 is not accepted'), ('d86401', 'tag 100 is not accepted'),
        ('d90103a0', 'tag 259 is not accepted'), ('dbffffffffffffffff00', 'tag 18446744073709551615 is not accepted'),
        ('c1d81c80', 'tag 28 is not accepted'), ('a16161d81c80', 'tag 28 is not accepted'),
    ],
)  # fmt: skip
def test_what_is_refused(data: str, text: str) -> None:
    for lead in '', '81', 'a16161', '9f', 'c1':
        with pytest.raises(WAMPMsgParseError, match=f'^Malformed CBOR: {text}$') as caught:
            loads_cbor(bytes.fromhex(lead + data) + (b'\xff' if lead == '9f' and text[-3:] == 'end' else b''))
        assert caught.value.__context__ is None
        if text == 'something behind its end' or data in ('ff', ''):
            break


@pytest.mark.parametrize('data', ['61ff', '62c328', '63eda080', '81 64f4908080', 'a161ff00', '7f61c361bcff'])
def test_malformed_text(data: str) -> None:
    with pytest.raises(WAMPMsgParseError, match='^Malformed CBOR: .') as caught:
        loads_cbor(bytes.fromhex(data))
    assert caught.value.__context__ is None


@pytest.mark.parametrize('head', [b'\x81', b'\x9f', b'\xa1\x61a', b'\xbf\x61a', b'\xc1', b'\xd9\xd9\xf7'])
def test_depth(head: bytes) -> None:
    end = b'\xff' if head[0] in (0x9F, 0xBF) else b''
    read = loads_cbor(head * DEPTH + b'\x05' + end * DEPTH)
    depth = 0
    while read != 5:
        read = read['a'] if isinstance(read, dict) else read[0]
        depth += 1
    assert depth == (0 if head[0] & 0xC0 == 0xC0 and head[0] < 0xE0 else DEPTH)
    for more in 1, 700, 1_000_000:
        with pytest.raises(WAMPMsgParseError, match='^Malformed CBOR: depth limit exceeded$'):
            loads_cbor(head * (DEPTH + more) + b'\x05' + end * (DEPTH + more))


def test_lengths_that_are_not_there_cost_nothing() -> None:
    """A short message must not make the server allocate what it announces: that would be terabytes here."""
    for head in b'\x9b', b'\xbb', b'\x5b', b'\x7b', b'\xc2\x5b':
        for exponent in range(20, 64):
            with pytest.raises(WAMPMsgParseError):
                loads_cbor(head + struct.pack('>Q', 2**exponent) + b'\0' * 8)


def test_large_integers() -> None:
    largest = 2**8192 - 1
    assert loads_cbor(dumps_cbor([largest, -largest - 1])) == (largest, -largest - 1)
    # A larger one could not even be printed.
    assert len(str(largest)) < sys.get_int_max_str_digits()
    with pytest.raises(WAMPMsgParseError, match='an integer of more than 1024 bytes'):
        loads_cbor(dumps_cbor([largest + 1]))


def test_large_messages() -> None:
    value = ['x' * 3_000_000, b'\xc0' * 3_000_000, list(range(100_000))]
    assert loads_cbor(dumps_cbor(value)) == with_tuples(value)


# ---- Written -----------------------------------------------------------------------------------


class Level(enum.IntEnum):
    HIGH = 3


class Name(enum.StrEnum):
    FIRST = 'first'


Pair = collections.namedtuple('Pair', 'a b')


@pytest.mark.parametrize(
    ('value', 'same_as'),
    [
        (types.MappingProxyType({'a': (1,)}), {'a': [1]}),
        (collections.OrderedDict(a=1), {'a': 1}),
        (collections.ChainMap({'a': 1}), {'a': 1}),
        (collections.UserDict(a=b'b'), {'a': b'b'}),
        (collections.deque([1, 2]), [1, 2]),
        (collections.UserList([1, {2: 3}]), [1, {'2': 3}]),
        (range(3), [0, 1, 2]),
        (Pair(1, b'a'), [1, b'a']),
        (Level.HIGH, 3),
        (Name.FIRST, 'first'),
        (memoryview(b'a'), b'a'),
        (bytearray(b'a'), b'a'),
        # Keys as in JSON: they are strings.
        ({1: 2, None: 3, False: 4, 1.5: 5}, {'1': 2, 'null': 3, 'false': 4, '1.5': 5}),
        ({'a': {2: [{3: 4}]}, 'b': 1}, {'a': {'2': [{'3': 4}]}, 'b': 1}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_written(value: Any, same_as: Any) -> None:
    assert cbor2.loads(dumps_cbor(value)) == same_as
    assert cbor2.loads(dumps_cbor([0, value, {'k': value}])) == [0, same_as, {'k': same_as}]


def test_the_value_is_left_alone() -> None:
    value = [1, {'a': {2: memoryview(b'x')}}, range(2)]
    dumps_cbor(value)
    assert value == [1, {'a': {2: memoryview(b'x')}}, range(2)]


def test_special_floats_are_written_as_they_are() -> None:
    assert dumps_cbor([math.nan, math.inf, -0.0]).hex() == '83f97e00f97c00fb8000000000000000'


@pytest.mark.parametrize(
    'value',
    [
        object(), {1, 2}, frozenset(), 1j, '\ud800', {'\ud800': 1}, {b'a': 1}, {(1,): 1}, LOOP, nest(100_000),
        datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1), decimal.Decimal('1.5'), uuid.UUID(int=1),
        re.compile('a'), cbor2.undefined, cbor2.CBORTag(35, 'a'), cbor2.CBORSimpleValue(1), Level,
    ],
    ids=lambda value: repr(type(value)),
)  # fmt: skip
def test_what_has_no_form(value: Any) -> None:
    with pytest.raises(SerializationError, match='^CBOR has no form for .+: .'):
        dumps_cbor([1, value])


def test_depth_of_what_is_written() -> None:
    # In a thread, whose stack may be much smaller.
    def write() -> None:
        written.append(loads_cbor(dumps_cbor(nest(DEPTH))) == with_tuples(nest(DEPTH)))
        with pytest.raises(SerializationError, match='depth limit exceeded'):
            dumps_cbor(nest(DEPTH + 2))

    written: list[bool] = []
    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=write)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert written == [True]


def test_a_mapping_that_fails_while_it_is_written() -> None:
    class Broken(collections.UserDict):
        def __getitem__(self, key: Any) -> Any:
            raise RuntimeError('broken')

    with pytest.raises(SerializationError, match='broken') as caught:
        dumps_cbor([Broken(a=1)])
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize('value', [None, 1, 'text', [1]])
def test_buffers_only(value: Any) -> None:
    with pytest.raises(TypeError):
        loads_cbor(value)


# ---- Without cbor2 -----------------------------------------------------------------------------

WITHOUT = """
import sys, types
{setup}
from serverwamp_fast._core.wire.subprotocols import SUBPROTOCOLS, codec_for
assert SUBPROTOCOLS[-1] == 'wamp.2.json' and len(SUBPROTOCOLS) == 4, SUBPROTOCOLS
try:
    codec_for('wamp.2.cbor')
except KeyError:
    pass
else:
    raise AssertionError
from serverwamp_fast.adapters import aiohttp, asgi, native_handshake, websockets
for adapter in aiohttp, asgi:
    assert set(adapter.ws_protocol_connection_classes) == set(SUBPROTOCOLS)
assert 'cbor' not in native_handshake.NO_SUBPROTOCOL
assert websockets.SUPPORTED_WS_PROTOCOLS == SUBPROTOCOLS
print('done')
"""


@pytest.mark.parametrize(
    ('setup', 'log'),
    [
        (
            'class Finder:\n'
            '    def find_spec(self, name, *_):\n'
            "        if name == 'cbor2': raise ModuleNotFoundError(name)\n"
            'sys.meta_path.insert(0, Finder())',
            '',
        ),
        (
            "sys.modules['cbor2'] = types.ModuleType('cbor2'); sys.modules['cbor2'].loads = lambda data: None",
            'The installed cbor2 is too old for wamp.2.cbor, which is not offered. Install serverwamp-fast[cbor].\n',
        ),
    ],
    ids=['none', 'an old one'],
)
def test_without_cbor2(setup: str, log: str) -> None:
    """The subprotocols are not offered, and all else works."""
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT.format(setup=setup)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ('done\n', log, 0)


def test_nothing_is_left_behind() -> None:
    run_isolated(
        """
        from serverwamp_fast._core.wire.cbor_values import dumps_cbor, loads_cbor
        from serverwamp_fast.errors import SerializationError, WAMPMsgParseError

        value = [1, 'text', b'bytes', {'a': [2**70, {1: None}]}, memoryview(b'x'), 1.5]
        bad = [bytes.fromhex(text) for text in ('', '61ff', 'd81c80', 'a10102', '8261', 'c0a1')]

        def use():
            assert loads_cbor(dumps_cbor(value))[1] == 'text'
            assert loads_cbor(bytes.fromhex('82d840420102a16161f7')) == (b'\\1\\2', {'a': None})
            for data in bad:
                try:
                    loads_cbor(data)
                except WAMPMsgParseError:
                    continue
                raise AssertionError(data)
            try:
                dumps_cbor([{'a': object()}])
            except SerializationError:
                pass

        check_growth(use)
        """
    )
