"""_core.wire.messages: the check that a message has the form which its code demands."""

import inspect
import math
from collections import OrderedDict
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.isolated import run_isolated

from serverwamp_fast._core.wire import messages
from serverwamp_fast._core.wire.messages import MESSAGE_NAMES, check
from serverwamp_fast.errors import InvalidOptionError, InvalidURIError, WAMPMsgParseError

MAX_ID = 2**53

# One whole message for each code, every optional element there.
COMPLETE: dict[int, list[Any]] = {
    1: [1, 'realm1', {'roles': {'caller': {}}}],
    2: [2, 7, {'roles': {'dealer': {}}}],
    3: [3, {}, 'wamp.error.no_such_realm', ['text'], {'key': 1}],
    4: [4, 'ticket', {}],
    5: [5, 'secret', {}],
    6: [6, {}, 'wamp.close.normal'],
    8: [8, 48, 7, {}, 'com.example.error', [1], {'key': 1}],
    16: [16, 7, {}, 'com.example.topic', [1], {'key': 1}],
    17: [17, 7, 8],
    32: [32, 7, {}, 'com.example.topic'],
    33: [33, 7, 8],
    34: [34, 7, 8],
    35: [35, 7, {'subscription': 8}],
    36: [36, 7, 8, {}, [1], {'key': 1}],
    48: [48, 7, {}, 'com.example.procedure', [1], {'key': 1}],
    49: [49, 7, {}],
    50: [50, 7, {}, [1], {'key': 1}],
    64: [64, 7, {}, 'com.example.procedure'],
    65: [65, 7, 8],
    66: [66, 7, 8],
    67: [67, 7, {'registration': 8}],
    68: [68, 7, 8, {}, [1], {'key': 1}],
    69: [69, 7, {}],
    70: [70, 7, {}, [1], {'key': 1}],
    337: [337, 8],
}

# How many elements a message has at least, where that is less than all.
REQUIRED = {3: 3, 8: 5, 16: 4, 35: 2, 36: 4, 48: 4, 50: 3, 67: 2, 68: 4, 70: 3}

# The elements of each message that are ids.
IDS = {
    2: [1], 8: [2], 16: [1], 17: [1, 2], 32: [1], 33: [1, 2], 34: [1, 2], 36: [1, 2], 48: [1], 49: [1], 50: [1],
    64: [1], 65: [1, 2], 66: [1, 2], 68: [1, 2], 69: [1], 70: [1], 337: [1],
}  # fmt: skip
ID_PLACES = [(code, place) for code, places in IDS.items() for place in places]

DICT_PLACES = [
    (code, place)
    for code, message in COMPLETE.items()
    for place, element in enumerate(message)
    if isinstance(element, dict)
]

LIST_PLACES = [
    (code, place)
    for code, message in COMPLETE.items()
    for place, element in enumerate(message)
    if isinstance(element, list)
]

# The elements that are URIs.
URIS = {1: 1, 8: 4, 16: 3, 32: 3, 48: 3, 64: 3}


def with_element(code: int, place: int, value: Any) -> list[Any]:
    message = list(COMPLETE[code])
    message[place] = value
    return message


def test_every_code_has_a_constant_and_a_name() -> None:
    assert set(MESSAGE_NAMES) == set(COMPLETE)
    assert {code: getattr(messages, name) for code, name in MESSAGE_NAMES.items()} == {
        code: code for code in COMPLETE
    }


@pytest.mark.parametrize('code', COMPLETE)
def test_complete_messages_come_back_as_they_are(code: int) -> None:
    for message in COMPLETE[code], tuple(COMPLETE[code]):
        assert check(message) is message
        assert check(message, strict=True) is message


@pytest.mark.parametrize('code', COMPLETE)
def test_number_of_elements(code: int) -> None:
    message = COMPLETE[code]
    required = REQUIRED.get(code, len(message))
    for count in range(1, len(message) + 1):
        if count < required:
            with pytest.raises(
                WAMPMsgParseError, match=f'{MESSAGE_NAMES[code]} has too few elements'
            ):
                check(message[:count])
        else:
            part = message[:count]
            assert check(part) is part


@pytest.mark.parametrize('code', COMPLETE)
def test_elements_too_many(code: int) -> None:
    message = [*COMPLETE[code], None, object()]
    assert check(message) is message
    with pytest.raises(WAMPMsgParseError, match='too many elements'):
        check(message, strict=True)


def test_extensions_of_messagepack_are_no_lists() -> None:
    """Their class is one of tuples, (code, data)."""
    with pytest.raises(WAMPMsgParseError, match='A message is a list'):
        check(msgpack.ExtType(5, b'secret'))
    for code, place in LIST_PLACES:
        with pytest.raises(WAMPMsgParseError, match='is not a list'):
            check(with_element(code, place, msgpack.ExtType(5, b'a')))
    with pytest.raises(WAMPMsgParseError, match='forward_for is not a list'):
        check([16, 7, {'forward_for': msgpack.ExtType(5, b'a')}, 'com.example.topic'])
    # Inside of values they are whatever the application makes of them.
    message = [48, 7, {}, 'com.example.procedure', [msgpack.ExtType(5, b'a')]]
    assert check(message) is message


def test_other_lists_and_tuples_are_lists() -> None:
    class Message(NamedTuple):
        code: int
        request: int
        options: dict[str, Any]
        procedure: str
        args: Any

    class Arguments(list[Any]):
        pass

    message = Message(48, 7, {}, 'com.example.procedure', Arguments([1]))
    assert check(message) is message


@pytest.mark.parametrize('code', COMPLETE)
def test_wrong_types_in_every_place(code: int) -> None:
    for place in range(1, len(COMPLETE[code])):
        right = type(COMPLETE[code][place])
        for wrong in (None, True, 'text', b'bytes', 1.5, {}, [], set()):
            # A tuple is a list, and nothing else is anything else.
            if type(wrong) is not right:
                with pytest.raises(WAMPMsgParseError, match=rf'{MESSAGE_NAMES[code]}\.\w+ is not'):
                    check(with_element(code, place, wrong))


@pytest.mark.parametrize(
    'message', [None, 1, 'text', b'bytes', {}, {1: 'realm1'}, set(), iter([1]), range(3)]
)
def test_not_a_list(message: Any) -> None:
    with pytest.raises(WAMPMsgParseError, match='A message is a list'):
        check(message)


@pytest.mark.parametrize('message', [[], ()])
def test_empty(message: Any) -> None:
    with pytest.raises(WAMPMsgParseError, match='not empty'):
        check(message)


@pytest.mark.parametrize('code', [None, '48', 48.0, b'48', [], {}])
def test_code_that_is_no_integer(code: Any) -> None:
    with pytest.raises(WAMPMsgParseError, match='begins with its code'):
        check([code, 7, {}, 'a.b'])


@pytest.mark.parametrize(
    'code',
    [
        True,
        False,
        -1,
        0,
        7,
        9,
        15,
        37,
        51,
        63,
        71,
        72,
        128,
        336,
        338,
        2**31,
        2**63,
        -(2**63),
        2**64,
        10**300,
    ],
)
def test_unknown_code(code: int) -> None:
    with pytest.raises(WAMPMsgParseError, match='Unknown message code'):
        check([code, 7, {}, 'a.b'])


def test_code_may_be_an_enumeration() -> None:
    class Code(IntEnum):
        CALL = 48

    message = (Code.CALL, 7, {}, 'a.b')
    assert check(message) is message


@pytest.mark.parametrize(('code', 'place'), ID_PLACES)
def test_ids(code: int, place: int) -> None:
    for right in (1, 2, 2**31, 2**32, MAX_ID - 1, MAX_ID):
        message = with_element(code, place, right)
        assert check(message) is message
    for wrong in (
        0, -1, -5, MAX_ID + 1, 2**60, 2**63, 2**64, -(2**64), True, False, '7', None, 0.0, 1.5, -1.0, 2.0**53 + 2,
        1e300, -1e300, math.nan, math.inf, -math.inf,
    ):  # fmt: skip
        with pytest.raises(WAMPMsgParseError, match='is not an id'):
            check(with_element(code, place, wrong))


@pytest.mark.parametrize(('code', 'place'), ID_PLACES)
def test_ids_as_floats(code: int, place: int) -> None:
    for number in (1, 2**33 + 1, MAX_ID):
        message = with_element(code, place, float(number))
        for given_message in message, tuple(message):
            checked = check(given_message)
            assert checked == with_element(code, place, number)
            assert type(checked) is list
            assert type(checked[place]) is int
        # What was given is left alone.
        assert type(message[place]) is float


def test_several_floats_in_one_message() -> None:
    checked = check([16, 7.0, {'exclude': [8.0, 9]}, 'a.b'])
    assert checked == [16, 7, {'exclude': [8, 9]}, 'a.b']
    assert [type(number) for number in (checked[1], *checked[2]['exclude'])] == [int, int, int]


@pytest.mark.parametrize('code', [35, 67])
def test_revocations_have_no_request(code: int) -> None:
    message = [code, 0, {}]
    assert check(message) is message
    for wrong in (-1, MAX_ID + 1, False):
        with pytest.raises(WAMPMsgParseError, match='an id or 0'):
            check([code, wrong, {}])


@pytest.mark.parametrize('code', COMPLETE)
def test_what_an_error_answers(code: int) -> None:
    if code in (16, 32, 34, 48, 64, 66, 68):
        message = [8, code, 7, {}, 'a.b']
        assert check(message) is message
    else:
        with pytest.raises(WAMPMsgParseError, match='the code of a request'):
            check([8, code, 7, {}, 'a.b'])


@pytest.mark.parametrize(('code', 'place'), DICT_PLACES)
def test_dictionaries_have_strings_as_keys(code: int, place: int) -> None:
    for wrong in ({b'key': 1}, {1: 1}, {None: 1}, {'key': 1, b'key': 1}):
        with pytest.raises(WAMPMsgParseError, match='strings as keys'):
            check(with_element(code, place, wrong))
    message = with_element(code, place, OrderedDict(COMPLETE[code][place]))
    assert check(message) is message


@pytest.mark.parametrize(('code', 'place'), URIS.items())
@pytest.mark.parametrize('uri', ['', '.', 'a..b', 'a.', 'a b', 'a#b', 'a\n'])
def test_bad_uris(code: int, place: int, uri: str) -> None:
    with pytest.raises(InvalidURIError, match='is not a URI') as caught:
        check(with_element(code, place, uri))
    assert caught.value.error_uri == 'wamp.error.invalid_uri'
    assert caught.value.request_type == code
    assert caught.value.request_id == (7 if code in (16, 32, 48, 64) else None)


@pytest.mark.parametrize(('code', 'place'), URIS.items())
def test_strict_uris(code: int, place: int) -> None:
    message = with_element(code, place, 'com.Example')
    assert check(message) is message
    with pytest.raises(InvalidURIError):
        check(message, strict=True)


@pytest.mark.parametrize('code', [3, 6])
@pytest.mark.parametrize('reason', ['', 'a b', 'bye, thanks'])
def test_the_reason_of_an_end_may_be_any_string(code: int, reason: str) -> None:
    message = with_element(code, 2, reason)
    assert check(message) is message


def test_request_id_of_a_bad_uri_is_an_integer() -> None:
    with pytest.raises(InvalidURIError) as caught:
        check([48, 7.0, {}, 'a b'])
    assert caught.value.request_id == 7
    assert type(caught.value.request_id) is int


def test_form_goes_before_uri() -> None:
    # ABORT, not ERROR, where both are wrong: the message can't be trusted to mean its request id.
    with pytest.raises(WAMPMsgParseError) as caught:
        check([48, 7, {}, 'a b', 'no list'])
    assert not isinstance(caught.value, InvalidURIError)


def test_reason_of_abort_is_any_string() -> None:
    message = [3, {}, 'good bye']
    assert check(message) is message


@pytest.mark.parametrize('code', [32, 64])
@pytest.mark.parametrize('policy', ['prefix', 'wildcard'])
def test_patterns_may_have_empty_components(code: int, policy: str) -> None:
    for uri in ('a..b', 'a.', '', 'a.b'):
        message = [code, 7, {'match': policy}, uri]
        assert check(message) is message
        assert check(message, strict=True) is message
    for uri in ('a b', 'a.#'):
        with pytest.raises(InvalidURIError):
            check([code, 7, {'match': policy}, uri])
    with pytest.raises(InvalidURIError):
        check([code, 7, {'match': policy}, 'A.'], strict=True)


@pytest.mark.parametrize('code', [32, 64])
@pytest.mark.parametrize('policy', ['exact', None])
def test_exact_names_may_not(code: int, policy: str | None) -> None:
    message = [code, 7, {'match': policy}, 'a.b']
    assert check(message) is message
    with pytest.raises(InvalidURIError):
        check([code, 7, {'match': policy}, 'a..b'])


@pytest.mark.parametrize('code', [32, 64])
@pytest.mark.parametrize('policy', ['invalid', 'Prefix', '', 123, True, [], {}, b'prefix'])
def test_unknown_matching_policy(code: int, policy: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r'Options\.match') as caught:
        check([code, 7, {'match': policy}, 'a.b'])
    assert caught.value.error_uri == 'wamp.error.invalid_argument'
    assert (caught.value.request_type, caught.value.request_id) == (code, 7)


def test_hello_without_roles() -> None:
    for details in ({}, {'roles': None}, {'roles': {}}, {'roles': ['caller']}):
        message = [1, 'realm1', details]
        assert check(message) is message
        with pytest.raises(WAMPMsgParseError, match=r'HELLO\.Details\.roles'):
            check(message, strict=True)


BOOLS = [
    (16, 'acknowledge'),
    (16, 'exclude_me'),
    (16, 'retain'),
    (32, 'get_retained'),
    (36, 'retained'),
    (48, 'receive_progress'),
    (48, 'progress'),
    (48, 'disclose_me'),
]
INTEGER_LISTS = [(16, 'exclude'), (16, 'eligible')]
STRING_LISTS = [
    (1, 'authmethods'),
    (16, 'exclude_authid'),
    (16, 'exclude_authrole'),
    (16, 'eligible_authid'),
    (16, 'eligible_authrole'),
]
STRINGS = [
    (1, 'authid'),
    (16, 'transaction_hash'),
    (36, 'publisher_authid'),
    (36, 'topic'),
    (48, 'runmode'),
    (48, 'rkey'),
]
LISTS = [(16, 'forward_for'), (32, 'forward_for'), (36, 'forward_for')]


def with_option(code: int, name: str, value: Any) -> list[Any]:
    place = next(at for at, element in enumerate(COMPLETE[code]) if isinstance(element, dict))
    return with_element(code, place, {name: value, 'another': object()})


@pytest.mark.parametrize(
    ('options', 'right', 'wrong'),
    [
        (BOOLS, [True, False], ['true', 1, 0, 1.0, [], {}]),
        (INTEGER_LISTS, [[], [1], (1, 2), [0], [-1]], ['1', 1, {}, ['1'], [1, None], [True], [1.5], [2**64]]),
        (STRING_LISTS, [[], ['a'], ('a', 'b')], ['a', 1, {}, [1], ['a', None], [b'a']]),
        (STRINGS, ['', 'a'], [1, True, [], {}, b'a']),
        (LISTS, [[], [{'session': 1}], ()], ['a', 1, {}, True]),
        ([(36, 'publisher')], [1, 2**53], ['1', True, 1.5, []]),
        ([(16, 'enc_algo'), (36, 'enc_algo')], ['cryptobox', 'null'], ['invalid', 1, []]),
    ],
)  # fmt: skip
def test_options(options: list[tuple[int, str]], right: list[Any], wrong: list[Any]) -> None:
    for code, name in options:
        # JavaScript writes its undefined as null, or as MessagePack's extension 0, which is decoded to None.
        for value in (*right, None):
            message = with_option(code, name, value)
            assert check(message) is message
        for value in wrong:
            with pytest.raises(
                WAMPMsgParseError, match=rf'{MESSAGE_NAMES[code]}\.\w+\.{name} is not'
            ):
                check(with_option(code, name, value))


def test_session_ids_in_options_as_floats() -> None:
    options = {'exclude': [3.0, 2.0**53], 'eligible': (4,), 'other': 5.0}
    message = [16, 7, options, 'a.b']
    checked = check(message)
    assert checked == [16, 7, {'exclude': [3, 2**53], 'eligible': (4,), 'other': 5.0}, 'a.b']
    assert all(type(number) is int for number in checked[2]['exclude'])
    assert type(checked[2]['other']) is float
    assert message == [16, 7, options, 'a.b'] and type(options['exclude'][0]) is float  # type: ignore[index]
    assert type(check([36, 7, 8, {'publisher': 5.0}])[3]['publisher']) is int


def test_options_of_other_messages_are_not_looked_at() -> None:
    for code in (48, 49, 50, 64, 68, 69, 70):
        message = with_option(code, 'acknowledge', 'hello')
        assert check(message) is message


@pytest.mark.parametrize('code', [16, 48])
def test_payloads_that_are_to_be_passed_through(code: int) -> None:
    for scheme in ('wamp', 'x_custom', '', 1, [], {}):
        with pytest.raises(WAMPMsgParseError, match=r'Options\.ppt_scheme is not a feature of this'):
            check(with_option(code, 'ppt_scheme', scheme))
    message = with_option(code, 'ppt_scheme', None)
    assert check(message) is message
    # Without a scheme the others say nothing.
    message = with_option(code, 'ppt_serializer', 'cbor')
    assert check(message) is message


def test_options_that_change_their_message() -> None:
    run_isolated(
        """
        from serverwamp_fast._core.wire.messages import check
        from serverwamp_fast.errors import WAMPMsgParseError

        class Options(dict):
            def items(self):
                message[3] = 5
                return super().items()

        for code in 16, 32, 48:
            for strict in False, True:
                message = [code, 1, Options(other=1), 'a.b']
                try:
                    check(message, strict)
                except WAMPMsgParseError as error:
                    assert str(error).endswith('is not a string'), error
                else:
                    raise AssertionError
        """
    )


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.sampled_from(list(COMPLETE)), st.lists(ANYTHING, max_size=6), st.booleans())
def test_nothing_but_the_documented_error(code: int, rest: list[Any], strict: bool) -> None:
    try:
        checked = check([code, *rest], strict)
    except WAMPMsgParseError as error:
        assert str(error)
    else:
        assert checked == [code, *rest]


@given(st.sampled_from(list(COMPLETE)), st.data())
def test_one_element_exchanged(code: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(COMPLETE[code]) - 1))
    message = with_element(code, place, data.draw(ANYTHING))
    try:
        checked = check(message)
    except WAMPMsgParseError:
        return
    assert checked == message


def test_functions_tell_their_signatures() -> None:
    assert list(inspect.signature(check).parameters) == ['message', 'strict']
