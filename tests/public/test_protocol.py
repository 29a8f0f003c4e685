"""serverwamp_fast.protocol: messages as objects, beside those of serverwamp 2.0.0."""

import base64
import dataclasses
import enum
import inspect
import json
from datetime import UTC, datetime, timedelta, timezone
from types import NoneType
from typing import Any, get_args

import pytest
import serverwamp.protocol as original
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast import protocol
from serverwamp_fast._core.wire.messages import MESSAGE_NAMES, check
from serverwamp_fast.errors import InvalidOptionError, InvalidURIError, WAMPMsgParseError
from serverwamp_fast.protocol import (
    AuthenticationFailure,
    WAMPAbortRequest,
    WAMPAuthenticateRequest,
    WAMPCancelRequest,
    WAMPEvent,
    WAMPGoodbyeRequest,
    WAMPHelloRequest,
    WAMPInboundRequest,
    WAMPMsgType,
    WAMPPublishRequest,
    WAMPRegisterRequest,
    WAMPRequest,
    WAMPRPCErrorResponse,
    WAMPRPCRequest,
    WAMPRPCResponse,
    WAMPSubscribeErrorResponse,
    WAMPSubscribeRequest,
    WAMPSubscribeResponse,
    WAMPUnregisterRequest,
    WAMPUnsubscribeErrorResponse,
    WAMPUnsubscribeRequest,
    cra_challenge_string,
    generate_global_id,
    request_parser_for_msg_type,
    scram_nonce,
    unimplemented_response_msg,
    wamp_request_from_msg,
    welcome_msg,
)

VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.lists(st.integers(), max_size=2)
)
ARGS = st.none() | st.lists(VALUES, max_size=3) | st.lists(VALUES, max_size=3).map(tuple)
KWARGS = st.none() | st.dictionaries(st.text(max_size=4), VALUES, max_size=3)
IDS = st.integers(1, 2**53)
TEXTS = st.none() | st.text(max_size=8)

# What the originals have on offer, without what they import.
IMPORTED = {
    'json', 'logging', 'logger', 'secrets', 'b64encode', 'Callable', 'Iterable', 'Mapping', 'MutableMapping',
    'Sequence', 'dataclass', 'field', 'UTC', 'datetime', 'IntEnum', 'unique', 'randint', 'Any', 'Self',
}  # fmt: skip
OFFERED = sorted(
    name for name in vars(original) if not name.startswith('_') and name not in IMPORTED
)


# ---- What 2.0.0 offers -------------------------------------------------------------------------


@pytest.mark.parametrize('name', OFFERED)
def test_everything_is_there(name: str) -> None:
    assert name in protocol.__all__
    theirs, ours = getattr(original, name), getattr(protocol, name)
    if inspect.isfunction(theirs):
        theirs_parameters = inspect.signature(theirs).parameters.values()
        ours_parameters = list(inspect.signature(ours).parameters.values())
        for at, parameter in enumerate(theirs_parameters):
            assert ours_parameters[at].name == parameter.name
            assert ours_parameters[at].kind == parameter.kind
            assert ours_parameters[at].default == parameter.default
        # Only optional ones are new.
        for parameter in ours_parameters[len(theirs_parameters) :]:
            assert parameter.default is not inspect.Parameter.empty
    elif isinstance(theirs, type) and issubclass(theirs, enum.Enum):
        assert {member.name: member.value for member in theirs}.items() <= {
            member.name: member.value for member in ours
        }.items()
    elif dataclasses.is_dataclass(theirs):
        for their_field, our_field in zip(
            dataclasses.fields(theirs), dataclasses.fields(ours), strict=True
        ):
            assert their_field.name == our_field.name
            assert their_field.default == our_field.default
            assert (their_field.default_factory is dataclasses.MISSING) == (
                our_field.default_factory is dataclasses.MISSING
            )
        assert ours.__dataclass_params__.frozen


def test_codes() -> None:
    names = MESSAGE_NAMES | {50: 'CALL_RESULT'}
    assert {member.value: member.name for member in WAMPMsgType} == names


def test_names_that_are_promised_exist() -> None:
    assert [name for name in protocol.__all__ if not hasattr(protocol, name)] == []
    assert protocol.LIST_TYPES == (list, tuple)
    assert protocol.WAMPMsgParseError is WAMPMsgParseError


# ---- Messages to clients -----------------------------------------------------------------------

BUILDERS: list[tuple[str, Any]] = [
    (
        'call_result_response_msg',
        st.tuples(st.just(WAMPRPCRequest(7, {}, 'a')), ARGS, KWARGS, st.booleans()),
    ),
    (
        'call_error_response_msg',
        st.tuples(st.just(WAMPRPCRequest(7, {}, 'a')), st.text(), ARGS, KWARGS),
    ),
    ('subscribed_response_msg', st.tuples(st.just(WAMPSubscribeRequest(7, 'a', {})), IDS)),
    (
        'subscribe_error_response_msg',
        st.tuples(st.just(WAMPSubscribeRequest(7, 'a', {})), st.text()),
    ),
    ('unsubscribed_response_msg', st.tuples(st.just(WAMPUnsubscribeRequest(7, 8)))),
    ('unsubscribe_error_response_msg', st.tuples(st.just(WAMPUnsubscribeRequest(7, 8)), st.text())),
    ('event_msg', st.tuples(IDS, IDS, ARGS, KWARGS, st.none() | st.integers(0, 5), TEXTS)),
    ('welcome_msg', st.tuples(IDS, TEXTS)),
    ('abort_msg', st.tuples(st.text(), TEXTS)),
    ('goodbye_msg', st.tuples(st.text(), TEXTS)),
    ('goodbye_msg', st.just(())),
    ('ticket_challenge_msg', st.just(())),
    ('cra_challenge_msg', st.tuples(st.text())),
]


@pytest.mark.parametrize(('name', 'arguments'), BUILDERS, ids=[name for name, _ in BUILDERS])
@given(data=st.data())
def test_messages_are_those_of_serverwamp(name: str, arguments: Any, data: st.DataObject) -> None:
    drawn = data.draw(arguments)
    message = getattr(protocol, name)(*drawn)
    assert message == getattr(original, name)(*drawn)
    assert type(message) is tuple
    assert isinstance(message[0], WAMPMsgType)


def test_every_builder_is_compared() -> None:
    built = {name for name in OFFERED if name.endswith('_msg')} - {'wamp_request_from_msg'}
    # This one forgot the request's type in 2.0.0, see below.
    assert built - {name for name, _ in BUILDERS} == {'unimplemented_response_msg'}


def test_unimplemented_names_the_request() -> None:
    for request, code in (
        (WAMPRPCRequest(7, {}, 'a'), 48),
        (WAMPSubscribeRequest(7, 'a', {}), 32),
        (WAMPUnsubscribeRequest(7, 8), 34),
        (WAMPPublishRequest(7, {}, 'a'), 16),
        (WAMPRegisterRequest(7, {}, 'a'), 64),
        (WAMPUnregisterRequest(7, 8), 66),
    ):
        message = unimplemented_response_msg(request)
        assert message == (8, code, 7, {}, 'wamp.error.not_implemented')
        assert check(message) is message


def test_welcome_details() -> None:
    details = {'authid': 'joe', 'roles': {'dealer': {'features': {'call_canceling': True}}}}
    assert welcome_msg(7, 'agent', details) == (2, 7, {**details, 'agent': 'agent'})
    assert welcome_msg(7, None, {'authid': 'joe'}) == (
        2,
        7,
        {'roles': {'broker': {}, 'dealer': {}}, 'authid': 'joe'},
    )
    # Every welcome has its own.
    assert welcome_msg(7)[2]['roles'] is not welcome_msg(7)[2]['roles']
    assert details == {'authid': 'joe', 'roles': {'dealer': {'features': {'call_canceling': True}}}}


# ---- Requests of clients -----------------------------------------------------------------------

REQUESTS: list[tuple[list[Any], Any]] = [
    ([1, 'realm1', {'authid': 'joe'}], WAMPHelloRequest('realm1', {'authid': 'joe'})),
    ([3, {}, 'a.b', [], {}], WAMPAbortRequest('a.b', {})),
    ([5, 'secret', {}], WAMPAuthenticateRequest('secret', {})),
    ([6, {'message': 'bye'}, 'a.b'], WAMPGoodbyeRequest('a.b', {'message': 'bye'})),
    ([16, 7, {'acknowledge': True}, 'a.b'], WAMPPublishRequest(7, {'acknowledge': True}, 'a.b')),
    ([16, 7, {}, 'a.b', [1], {'k': 2}], WAMPPublishRequest(7, {}, 'a.b', [1], {'k': 2})),
    ([32, 7, {'match': 'prefix'}, 'a.'], WAMPSubscribeRequest(7, 'a.', {'match': 'prefix'})),
    ([34, 7, 8], WAMPUnsubscribeRequest(7, 8)),
    ([48, 7, {}, 'a.b'], WAMPRPCRequest(7, {}, 'a.b', (), {})),
    ([48, 7, {}, 'a.b', [1]], WAMPRPCRequest(7, {}, 'a.b', [1], {})),
    ([48, 7, {'timeout': 5}, 'a.b', [1], {'k': 2}], WAMPRPCRequest(7, {'timeout': 5}, 'a.b', [1], {'k': 2})),
    ([49, 7, {'mode': 'kill'}], WAMPCancelRequest(7, {'mode': 'kill'})),
    ([64, 7, {}, 'a.b'], WAMPRegisterRequest(7, {}, 'a.b')),
    ([66, 7, 8], WAMPUnregisterRequest(7, 8)),
]  # fmt: skip


@pytest.mark.parametrize(('message', 'request_made'), REQUESTS)
def test_requests(message: list[Any], request_made: WAMPInboundRequest) -> None:
    for form in message, tuple(message):
        assert wamp_request_from_msg(form) == request_made
        assert type(request_made).from_msg_data(form[1:]) == request_made
    with pytest.raises(dataclasses.FrozenInstanceError):
        request_made.any_attribute = 1  # type: ignore[misc, union-attr]


@pytest.mark.parametrize('message', [message for message, _ in REQUESTS], ids=repr)
def test_elements_too_many_are_left_out(message: list[Any]) -> None:
    # Where a payload may follow, it goes before what has no meaning.
    payload = [[1], {'k': 2}][max(len(message) - 4, 0) :] if message[0] in (16, 48) else []
    complete = [*message, *payload] if message[0] != 3 else message
    assert wamp_request_from_msg([*complete, 'more', None]) == wamp_request_from_msg(complete)


def test_ids_as_floats() -> None:
    request = wamp_request_from_msg([34, 7.0, 8.0])
    assert request == WAMPUnsubscribeRequest(7, 8)
    assert type(request.request_id) is type(request.subscription) is int  # type: ignore[union-attr]


def test_parsers() -> None:
    assert set(original.request_parser_for_msg_type) <= set(request_parser_for_msg_type)
    assert {request_type.msg_type for request_type in get_args(WAMPInboundRequest)} == set(
        request_parser_for_msg_type
    )
    for code, parse in request_parser_for_msg_type.items():
        with pytest.raises(WAMPMsgParseError):
            parse([])
        assert (
            type(parse(next(message for message, _ in REQUESTS if message[0] == code)[1:])).msg_type
            == code
        )


WRONG: list[Any] = [
    None, 'text', {}, 1, [], (), [None], ['1'], [True, 'realm1', {}], [1.0, 'realm1', {}], [0], [7], [999], [2, 7, {}],
    [33, 7, 8], [50, 7, {}], [8, 48, 7, {}, 'a.b'], [70, 7, {}], [1], [1, 'realm1'], [1, 'realm1', []], [1, 5, {}],
    [1, 'realm1', {'authid': 5}], [1, 'realm1', {'authmethods': 'ticket'}], [1, 'realm1', {'authmethods': [5]}],
    [6, {}], [6, 'a.b', {}], [32, 7, {}], [32, 7, [], 'a.b'], [32, '7', {}, 'a.b'], [32, 7, {}, 5], [34, 7],
    [34, 7, '8'], [48, 7, {}], [48, 7, {}, 5], [48, 7, {}, 'a.b', {}], [48, 7, {}, 'a.b', [], []],
]  # fmt: skip


@pytest.mark.parametrize('message', WRONG, ids=repr)
def test_what_serverwamp_refuses_is_refused(message: Any) -> None:
    with pytest.raises(original.WAMPMsgParseError):
        original.wamp_request_from_msg(message)
    with pytest.raises(WAMPMsgParseError):
        wamp_request_from_msg(message)


REFUSED_NOW: list[tuple[list[Any], type[WAMPMsgParseError]]] = [
    ([48, True, {}, 'a.b'], WAMPMsgParseError),
    ([48, 0, {}, 'a.b'], WAMPMsgParseError),
    ([48, -5, {}, 'a.b'], WAMPMsgParseError),
    ([48, 2**60, {}, 'a.b'], WAMPMsgParseError),
    ([34, 7, -8], WAMPMsgParseError),
    ([48, 7, {b'key': 1}, 'a.b'], WAMPMsgParseError),
    ([48, 7, {}, 'a b'], InvalidURIError),
    ([32, 7, {}, 'a..b'], InvalidURIError),
    ([1, '', {}], InvalidURIError),
    ([32, 7, {'match': 'fuzzy'}, 'a.b'], InvalidOptionError),
    ([32, 7, {'get_retained': 1}, 'a.b'], WAMPMsgParseError),
]


@pytest.mark.parametrize(('message', 'error'), REFUSED_NOW, ids=repr)
def test_what_serverwamp_let_pass(message: list[Any], error: type[WAMPMsgParseError]) -> None:
    original.wamp_request_from_msg(message)
    with pytest.raises(error):
        wamp_request_from_msg(message)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**54)
    | st.floats()
    | st.sampled_from(['a.b', 'a b', 'x']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(['authid', 'k']), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(st.sampled_from([1, 6, 32, 34, 48]), st.lists(ANYTHING, max_size=6))
def test_requests_are_those_of_serverwamp(code: int, rest: list[Any]) -> None:
    message = [code, *rest]
    try:
        ours = wamp_request_from_msg(message)
    except WAMPMsgParseError:
        return
    try:
        theirs = original.wamp_request_from_msg(message)
    except original.WAMPMsgParseError:
        # Nothing but ids that were written as floats is read here that is not read there.
        assert any(type(value) is float for value in rest[:2])
        return
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert type(ours).__name__ == type(theirs).__name__


# ---- Objects -----------------------------------------------------------------------------------


def test_responses_have_their_own_defaults() -> None:
    call = WAMPRPCRequest(7, {}, 'a.b')
    subscribe = WAMPSubscribeRequest(7, 'a.b', {})
    assert WAMPRPCResponse(call) == WAMPRPCResponse(call, {}, (), {})
    assert WAMPRPCErrorResponse(call, 'a.error') == WAMPRPCErrorResponse(
        call, 'a.error', {}, (), {}
    )
    assert WAMPSubscribeErrorResponse(subscribe, 'a.error').details == {}
    assert WAMPUnsubscribeErrorResponse(WAMPUnsubscribeRequest(7, 8), 'a.error').details == {}
    assert WAMPSubscribeResponse(7, subscribe, 8).request_id == 7
    assert WAMPRPCResponse(call).kwargs is not WAMPRPCResponse(call).kwargs
    assert isinstance(call, WAMPRequest)


def test_events_number_themselves() -> None:
    first, second = WAMPEvent(), WAMPEvent(args=[1])
    assert first.publication != second.publication
    assert 1 <= first.publication <= 2**53
    assert (first.details, first.args, first.kwargs) == ({}, (), {})


def test_global_ids() -> None:
    numbers = {generate_global_id() for _ in range(1000)}
    assert len(numbers) == 1000
    assert all(type(number) is int and 1 <= number <= 2**53 for number in numbers)
    # Not one in a thousand of the upper half: a chance of 2**-1000.
    assert any(number > 2**52 for number in numbers)


def test_authentication_failure() -> None:
    for failure in AuthenticationFailure, original.AuthenticationFailure:
        assert failure().reason is None
        assert failure('wrong password').reason == 'wrong password'
        assert str(failure('wrong password')) == 'wrong password'
        assert failure().args == ()


def test_nonce() -> None:
    assert len(base64.b64decode(scram_nonce(), validate=True)) == 16
    assert scram_nonce() != scram_nonce()


# ---- The challenge of WAMP-CRA -----------------------------------------------------------------


def test_challenge() -> None:
    moment = datetime(2014, 6, 22, 18, 36, 25, 448_999, timezone(timedelta(hours=2)))
    text = cra_challenge_string(
        3251278072152162, 'peter', 'user', 'userdb', 'LHRTC9zeOIrt_9U3', moment
    )
    assert json.loads(text) == {
        'nonce': 'LHRTC9zeOIrt_9U3',
        'authprovider': 'userdb',
        'authid': 'peter',
        'timestamp': '2014-06-22T16:36:25.448Z',
        'authrole': 'user',
        'authmethod': 'wampcra',
        'session': 3251278072152162,
    }


def test_challenge_without_time_zone_and_without_time() -> None:
    text = cra_challenge_string(7, 'peter', 'user', 'userdb', 'x', datetime(2026, 11, 20))
    assert json.loads(text)['timestamp'] == '2026-11-20T00:00:00.000Z'
    before = datetime.now(UTC)
    timestamp = json.loads(cra_challenge_string(7, 'peter', 'user', 'userdb', 'x'))['timestamp']
    # Milliseconds are cut off.
    assert (
        before - timedelta(milliseconds=1) <= datetime.fromisoformat(timestamp) <= datetime.now(UTC)
    )


def test_details_of_dataclasses_are_no_fields() -> None:
    for request_type in get_args(WAMPInboundRequest):
        assert 'msg_type' not in [field.name for field in dataclasses.fields(request_type)]
        assert not isinstance(request_type.msg_type, NoneType)
