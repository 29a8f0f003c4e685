"""_core.dialogue.dispatch: the work that each message of a session asks for."""

import asyncio
from enum import StrEnum
from functools import partial
from typing import Any

import pytest
from support.doubles import RecordingConnection, open_session
from support.explained import Explained
from support.isolated import run_isolated
from support.signatures import drive

from serverwamp_fast._core.dealer.calls import Call, OwnCall
from serverwamp_fast._core.dialogue.dispatch import Dispatch, InOrder, attach, receive
from serverwamp_fast._core.session.states import ACTIONS, STATES, action
from serverwamp_fast._core.wire import messages
from serverwamp_fast.errors import (
    ConnectionClosed,
    InvalidRequestError,
    NoSuchRouteError,
    PeerAbortedError,
    UnexpectedMessageError,
    WAMPMsgParseError,
)
from serverwamp_fast.rpc import RPCInputs, RPCRouter
from serverwamp_fast.session import WAMPSession

NAMES = messages.MESSAGE_NAMES
CODES = {name: code for code, name in NAMES.items()}
ACTION_NAMES = {number: name for name, number in ACTIONS.items()}

# A message of each kind, in its right form.
MESSAGES: dict[str, list[Any]] = {
    'HELLO': [1, 'realm', {'roles': {}}],
    'WELCOME': [2, 5, {}],
    'ABORT': [3, {}, 'com.example.why'],
    'CHALLENGE': [4, 'ticket', {}],
    'AUTHENTICATE': [5, 'ticket', {}],
    'GOODBYE': [6, {}, 'wamp.close.normal'],
    'ERROR': [8, 68, 5, {}, 'com.example.no'],
    'PUBLISH': [16, 5, {'acknowledge': True}, 'com.example.topic'],
    'PUBLISHED': [17, 5, 6],
    'SUBSCRIBE': [32, 5, {}, 'com.example.topic'],
    'SUBSCRIBED': [33, 5, 6],
    'UNSUBSCRIBE': [34, 5, 6],
    'UNSUBSCRIBED': [35, 5],
    'EVENT': [36, 5, 6, {}],
    'CALL': [48, 5, {}, 'com.example.procedure'],
    'CANCEL': [49, 5, {}],
    'RESULT': [50, 5, {}],
    'REGISTER': [64, 5, {}, 'com.example.procedure'],
    'REGISTERED': [65, 5, 6],
    'UNREGISTER': [66, 5, 6],
    'UNREGISTERED': [67, 5],
    'INVOCATION': [68, 5, 6, {}],
    'INTERRUPT': [69, 5, {}],
    'YIELD': [70, 5, {}],
    'EVENT_RECEIVED': [337, 5],
}
MARKS = {
    'opening': [],
    'open': ['mark_open'],
    'closing': ['mark_open', 'mark_closing'],
    'ended': ['mark_open', 'mark_ended'],
}
# What an application handles by functions, without anything of its own.
DELEGATED = {'GOODBYE', 'SUBSCRIBE', 'UNSUBSCRIBE'}
REFUSED = {
    'PUBLISH': Explained(16, 5, 'wamp.error.not_authorized'),
    'REGISTER': Explained(64, 5, 'wamp.error.feature_not_supported'),
    'UNREGISTER': Explained(66, 5, 'wamp.error.no_such_registration'),
    'YIELD': Explained(70, 5, 'wamp.error.invalid_argument'),
    'ERROR': Explained(68, 5, 'wamp.error.invalid_argument'),
}


class Delegate:
    """Keeps the messages that it was given; the work it returns is only a name."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def __call__(self, session: WAMPSession, message: Any) -> Any:
        assert isinstance(session, WAMPSession)
        self.messages.append(message)
        return 'the work'


def make_session(
    state: str = 'open',
    delegated: set[str] = DELEGATED,
    synchronize: bool = False,
    has_rules: bool = True,
    connection: Any = None,
) -> tuple[WAMPSession, Delegate]:
    session = WAMPSession(connection or RecordingConnection(), open_session().realm)
    for mark in MARKS[state]:
        getattr(session, mark)()
    delegate = Delegate()
    rules = RPCRouter().call_rules if has_rules else None
    codes = [CODES[name] for name in delegated]
    attach(session, 'the application', Dispatch(rules, delegate, codes, synchronize))
    return session, delegate


def test_there_is_a_message_of_each_kind() -> None:
    assert {name: message[0] for name, message in MESSAGES.items()} == CODES


# ---- Every message in every state ----------------------------------------------------------------


@pytest.mark.parametrize('synchronize', [False, True])
@pytest.mark.parametrize('name', MESSAGES)
@pytest.mark.parametrize('state', MARKS)
def test_every_message_in_every_state(state: str, name: str, synchronize: bool) -> None:
    session, delegate = make_session(state, synchronize=synchronize)
    message = MESSAGES[name]
    wanted = ACTION_NAMES[action(STATES[state], message[0])]
    try:
        work = receive(session, message)
    except PeerAbortedError as error:
        assert wanted == 'end'
        assert str(error) == 'The client aborted the session: com.example.why'
        return
    except UnexpectedMessageError:
        # Before WELCOME, who drives the session lets messages wait, so that none comes here.
        assert wanted in ('violation', 'wait', 'authenticate')
        assert session.connection.sent == []
        return
    if wanted == 'call':
        assert isinstance(work.work if synchronize else work, Call)
        assert isinstance(work, InOrder) == synchronize
    elif wanted == 'in order':
        assert isinstance(work, InOrder)
        assert work.work == 'the work'
        assert delegate.messages == [message]
    elif wanted in ('refuse', 'publish'):
        # Nothing has been opened for publishing.
        drive(work.work)
        assert session.connection.sent == [REFUSED[name]]
    else:
        assert wanted in ('ignore', 'cancel')
        assert work is None
        assert session.connection.sent == []
    assert session.has_peer_left == (name == 'GOODBYE' and wanted == 'in order')


@pytest.mark.parametrize('synchronize', [False, True])
@pytest.mark.parametrize('name', sorted(set(MESSAGES) - {'ABORT', 'HELLO', 'GOODBYE', 'CALL'}))
def test_functions_for_other_messages(name: str, synchronize: bool) -> None:
    session, delegate = make_session(delegated=DELEGATED | {name}, synchronize=synchronize)
    work = receive(session, MESSAGES[name])
    in_order = synchronize or name in DELEGATED
    assert (work.work if in_order else work) == 'the work'
    assert isinstance(work, InOrder) == in_order
    assert delegate.messages == [MESSAGES[name]]


@pytest.mark.parametrize('synchronize', [False, True])
def test_calls_handled_by_a_function(synchronize: bool) -> None:
    session, delegate = make_session(
        delegated={'CALL'}, has_rules=False, synchronize=synchronize
    )
    work = receive(session, MESSAGES['CALL'])
    assert isinstance(work, InOrder) == synchronize
    call = work.work if synchronize else work
    assert isinstance(call, OwnCall)
    # It runs what the function is, and fails on it, as it is only a name.
    drive(call)
    assert delegate.messages == [MESSAGES['CALL']]


async def find_nothing(session: WAMPSession, message: Any) -> None:
    raise NoSuchRouteError('nothing here')


async def fail_late(session: WAMPSession, message: Any) -> None:
    raise LookupError('late')


def fail_at_once(session: WAMPSession, message: Any) -> None:
    raise LookupError('at once')


async def yield_something(session: WAMPSession, message: Any) -> Any:
    yield 'something'


@pytest.mark.parametrize(
    ('function', 'answer'),
    [
        (find_nothing, Explained(48, 5, 'wamp.error.no_such_procedure', 'nothing here')),
        (fail_late, Explained(48, 5, 'wamp.error.runtime_error')),
        (fail_at_once, Explained(48, 5, 'wamp.error.runtime_error')),
        (yield_something, Explained(48, 5, 'wamp.error.runtime_error')),
        (lambda session, message: None, Explained(48, 5, 'wamp.error.runtime_error')),
    ],
)
def test_functions_for_calls_that_fail(function: Any, answer: list[Any]) -> None:
    session = open_session()
    attach(session, None, Dispatch(None, function, [CODES['CALL']], False))
    drive(receive(session, MESSAGES['CALL']))
    assert session.connection.sent == [answer]


@pytest.mark.parametrize('options', [{}, {'progress': True}])
def test_a_call_that_is_thrown_away_before_its_first_step(options: dict[str, Any]) -> None:
    session = open_session()
    dispatch = Dispatch(None, fail_late, [CODES['CALL']], False, None, partial(RPCInputs, None))
    attach(session, None, dispatch)
    receive(session, [48, 5, options, 'com.example.procedure']).close()
    # The session knows no such call any more.
    assert receive(session, [49, 5, {}]) is None
    assert session.connection.sent == []


@pytest.mark.parametrize('name', ['CALL', 'SUBSCRIBE', 'UNSUBSCRIBE', 'GOODBYE'])
def test_messages_that_nothing_handles(name: str) -> None:
    session, _ = make_session(delegated=set(), has_rules=False)
    with pytest.raises(UnexpectedMessageError):
        receive(session, MESSAGES[name])


@pytest.mark.parametrize('state', ['closing', 'ended'])
def test_no_function_is_called_for_what_is_ignored(state: str) -> None:
    everything = set(MESSAGES)
    session, delegate = make_session(state, delegated=everything)
    for name in everything:
        if ACTION_NAMES[action(STATES[state], CODES[name])] == 'ignore':
            assert receive(session, MESSAGES[name]) is None
    assert delegate.messages == []


def test_goodbye_after_the_servers_own() -> None:
    session, delegate = make_session('closing')
    assert receive(session, MESSAGES['GOODBYE']).work == 'the work'
    assert session.has_peer_left


# ---- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize('options', [{}, {'acknowledge': False}])
def test_a_publisher_that_does_not_wait_gets_no_answer(options: dict) -> None:
    session, _ = make_session()
    assert receive(session, [16, 5, options, 'com.example.topic']) is None
    assert session.connection.sent == []


@pytest.mark.parametrize('request_type', [16, 32, 34, 48, 64, 66, 68])
def test_an_error_is_answered_by_its_own_request(request_type: int) -> None:
    session, _ = make_session()
    drive(receive(session, [8, request_type, 9, {}, 'com.example.no']).work)
    expected = Explained(request_type, 9, 'wamp.error.invalid_argument')
    assert session.connection.sent == [expected]


@pytest.mark.parametrize(
    ('message', 'uri', 'text'),
    [
        ([48, 5, {}, 'a b'], 'wamp.error.invalid_uri', 'CALL.Procedure is not a URI'),
        ([32, 5, {}, ''], 'wamp.error.invalid_uri', 'SUBSCRIBE.Topic is not a URI'),
        ([64, 5, {}, 'a..b'], 'wamp.error.invalid_uri', 'REGISTER.Procedure is not a URI'),
        (
            [16, 5, {'acknowledge': True}, '#'],
            'wamp.error.invalid_uri',
            'PUBLISH.Topic is not a URI',
        ),
        (
            [32, 5, {'match': 'sideways'}, 'a'],
            'wamp.error.invalid_argument',
            'SUBSCRIBE.Options.match is not one of exact, prefix, wildcard',
        ),
    ],
)
def test_invalid_requests_are_answered(message: list[Any], uri: str, text: str) -> None:
    session, delegate = make_session()
    work = receive(session, message)
    assert isinstance(work, InOrder)
    drive(work.work)
    expected = Explained(message[0], 5, uri, text)
    assert session.connection.sent == [expected]
    assert delegate.messages == []
    for state in set(MARKS) - {'open'}:
        session, _ = make_session(state)
        if state == 'opening':
            with pytest.raises(InvalidRequestError):
                receive(session, message)
        else:
            assert receive(session, message) is None
        assert session.connection.sent == []


@pytest.mark.parametrize('options', [{}, {'acknowledge': False}, {'acknowledge': None}])
def test_an_invalid_publication_that_is_not_to_be_acknowledged(options: dict) -> None:
    session, _ = make_session()
    assert receive(session, [16, 5, options, 'a b']) is None
    assert session.connection.sent == []


def test_an_invalid_message_that_is_no_request() -> None:
    session, _ = make_session()
    with pytest.raises(InvalidRequestError):
        receive(session, [1, 'a b', {}])


@pytest.mark.parametrize('request_id', [5, 5.0])
def test_an_invalid_error_is_answered_as_a_valid_one(request_id: float) -> None:
    session, _ = make_session()
    drive(receive(session, [8, 68, request_id, {}, 'a b']).work)
    assert session.connection.sent == [Explained(68, 5, 'wamp.error.invalid_argument')]


@pytest.mark.parametrize(
    'message',
    [None, 7, 'text', {}, [], [None], ['48'], [True, 'realm', {}], [48], [48, 0, {}, 'a'], [1.0], [999], [-1]],
)  # fmt: skip
def test_what_is_no_message(message: Any) -> None:
    for state in MARKS:
        session, _ = make_session(state)
        if state in ('closing', 'ended') and isinstance(message, list) and message[:1] == [48]:
            # After GOODBYE a CALL is not looked at, whatever its form.
            assert receive(session, message) is None
            continue
        with pytest.raises(WAMPMsgParseError):
            receive(session, message)


def test_corrected_messages_go_on() -> None:
    # JavaScript writes integers as floats.
    session, delegate = make_session()
    receive(session, [34, 5.0, 6.0])
    ((code, *ids),) = delegate.messages
    assert (code, ids) == (34, [5, 6])
    assert {type(number) for number in ids} == {int}


def test_an_answer_that_is_sent_at_once() -> None:
    sent: list[Any] = []

    class Plain:
        def send_msg(self, msg: Any) -> None:
            sent.append(list(msg))

    session, _ = make_session(connection=Plain())
    assert receive(session, MESSAGES['REGISTER']) is None
    assert receive(session, [48, 5, {}, 'a b']) is None
    assert [message[:3] for message in sent] == [[8, 64, 5], [8, 48, 5]]


def test_the_client_has_left() -> None:
    session, _ = make_session(connection=RecordingConnection(ConnectionClosed()))
    work = receive(session, MESSAGES['REGISTER'])
    with pytest.raises(ConnectionClosed):
        drive(work.work)


def test_messages_are_tuples_too() -> None:
    session, delegate = make_session()
    receive(session, tuple(MESSAGES['SUBSCRIBE']))
    assert delegate.messages == [(32, 5, {}, 'com.example.topic')]


def test_uris_of_an_enumeration() -> None:
    class Procedure(StrEnum):
        ADD = 'com.example.add'

    session, _ = make_session()
    call = receive(session, [48, 5, {}, Procedure.ADD])
    assert call.procedure_uri == 'com.example.add'
    call.close()


# ---- Its parts -----------------------------------------------------------------------------------


def test_attach() -> None:
    session, _ = make_session()
    assert session.app == 'the application'
    with pytest.raises(TypeError):
        attach(None, None, Dispatch(None, None, (), False))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        attach(session, None, None)  # type: ignore[arg-type]


def test_in_order_holds_work() -> None:
    future = object()
    assert InOrder(future).work is future
    with pytest.raises(AttributeError):
        InOrder(future).work = None  # type: ignore[misc]


def test_a_session_is_needed() -> None:
    with pytest.raises(TypeError):
        receive(None, MESSAGES['CALL'])  # type: ignore[arg-type]


def test_what_is_not_attached_fails_politely() -> None:
    run_isolated(
        """
        from support.doubles import open_session
        from serverwamp_fast._core.dialogue.dispatch import Dispatch, receive

        session = open_session()
        try:
            receive(session, [48, 5, {}, 'com.example.procedure'])
        except TypeError:
            pass
        else:
            raise AssertionError

        # Nor are rules that are no rules taken for some.
        try:
            Dispatch('rules', None, (), False)
        except TypeError:
            pass
        else:
            raise AssertionError
        """
    )


def test_delegated_codes_come_from_any_iterable() -> None:
    session, delegate = make_session()
    codes = (code for code in [16])
    attach(session, None, Dispatch(None, delegate, codes, False))
    assert receive(session, MESSAGES['PUBLISH']) == 'the work'


def test_synchronous_calls_are_coroutines_all_the_same() -> None:
    session, _ = make_session(synchronize=True)
    work = receive(session, MESSAGES['CALL'])
    asyncio.run(work.work)
    assert session.connection.sent[0][4] == 'wamp.error.no_such_procedure'


def test_memory_does_not_grow() -> None:
    run_isolated(
        """
        import contextlib
        from serverwamp_fast._core.dialogue.dispatch import receive
        from serverwamp_fast.errors import PeerAbortedError, WAMPMsgParseError
        from unit.dialogue.test_dispatch import MESSAGES, make_session

        INVALID = [[48, 5, {}, 'a b'], [16, 5, {}, ''], [1, '', {}], [], None, [34, 5.0, 6.0]]

        def use():
            for state in 'opening', 'open', 'closing', 'ended':
                session, delegate = make_session(state)
                for message in *MESSAGES.values(), *INVALID:
                    with contextlib.suppress(WAMPMsgParseError, PeerAbortedError):
                        work = receive(session, message)
                        work = getattr(work, 'work', work)
                        if hasattr(work, 'close'):
                            work.close()

        check_growth(use, 300)
        """
    )
