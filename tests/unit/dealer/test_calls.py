"""_core.dealer.calls: one CALL, from its arguments to its one RESULT or ERROR."""

import logging
import re
from collections import UserDict
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from support.calling import (
    RUNTIME_ERROR,
    answers,
    call_in,
    make_call,
    raise_at_once,
    raise_late,
    return_something,
)
from support.doubles import RecordingConnection, open_session
from support.explained import Explained, without_id
from support.signatures import drive

from serverwamp_fast._core.dealer.calls import Call, CallRules
from serverwamp_fast._core.dealer.routes import RouteTable
from serverwamp_fast._core.dialogue.dispatch import Dispatch, attach, receive
from serverwamp_fast.errors import ConnectionClosed, SerializationError
from serverwamp_fast.rpc import (
    RPCErrorResult,
    RPCProgressReport,
    RPCRequest,
    RPCResult,
    RPCRouter,
    interpret,
    make_request,
    stream_results,
)
from serverwamp_fast.session import WAMPSession

# ---- Results -------------------------------------------------------------------------------------


class Text(str):
    pass


@pytest.mark.parametrize(
    ('value', 'payload'),
    [
        (None, []),
        ('text', [('text',)]),
        (Text('text'), [('text',)]),
        (b'bytes', [(b'bytes',)]),
        (bytearray(b'bytes'), [(b'bytes',)]),
        (7, [(7,)]),
        (0, [(0,)]),
        (2.5, [(2.5,)]),
        (True, [(True,)]),
        (False, [(False,)]),
        ([1, 2], [[1, 2]]),
        ((1, 2), [(1, 2)]),
        ([], []),
        ((), []),
        ({'a': 1}, [(), {'a': 1}]),
        ({}, []),
        (range(3), [[0, 1, 2]]),
        (RPCResult(), []),
        (RPCResult((1,)), [(1,)]),
        (RPCResult(kwargs={'a': 1}), [(), {'a': 1}]),
        (RPCResult([1], {'a': 1}), [[1], {'a': 1}]),
    ],
    ids=repr,
)
def test_results(value: Any, payload: list[Any]) -> None:
    assert answers(value) == [[50, 1, {}, *payload]]


def test_other_mappings() -> None:
    ((code, request, details, args, kwargs),) = answers(UserDict(a=1))
    assert (code, request, details, args, dict(kwargs)) == (50, 1, {}, (), {'a': 1})


@pytest.mark.parametrize(
    ('value', 'answer'),
    [
        (RPCErrorResult(), ['wamp.error.runtime_error']),
        (RPCErrorResult(None), ['wamp.error.runtime_error']),  # type: ignore[arg-type]
        (RPCErrorResult(Text('com.example.no')), ['com.example.no']),
        (RPCErrorResult('com.example.no'), ['com.example.no']),
        (RPCErrorResult('com.example.no', ('why',)), ['com.example.no', ('why',)]),
        (RPCErrorResult('com.example.no', (), {'a': 1}), ['com.example.no', (), {'a': 1}]),
        (RPCErrorResult('com.example.no', [1], {'a': 1}), ['com.example.no', [1], {'a': 1}]),
    ],
)
def test_error_results(value: RPCErrorResult, answer: list[Any]) -> None:
    assert answers(value) == [[8, 48, 1, {}, *answer]]


@pytest.mark.parametrize('uri', [5, b'com.example.no', ('com.example.no',)])
def test_error_uris_that_are_no_strings(uri: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert answers(RPCErrorResult(uri, ('why',))) == [RUNTIME_ERROR]
    (record,) = caplog.records
    assert without_id(record.getMessage()) == (
        'Procedure procedure, called by session N of a client without an address, ended with the error URI '
        f'{uri!r}, which is not a string.'
    )


@pytest.mark.parametrize('value', [object(), {1, 2}, 1j])
def test_values_that_are_no_result(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert answers(value) == [RUNTIME_ERROR]
    (record,) = caplog.records
    assert record.getMessage().startswith('Exception from call handler for procedure procedure, called by session ')
    assert f'A procedure returned {type(value).__name__}' in str(record.exc_info[1])


def test_arguments_reach_the_procedure() -> None:
    async def procedure(session: Any, request: Any, db: Any, a: int, *rest: Any, b: Any, **more: Any) -> Any:
        assert isinstance(session, WAMPSession)
        assert request.session is session
        return [db, a, rest, b, more]

    sent = answers(
        procedure, ('5', 6, 7), {'b': 8, 'c': 9}, {'timeout': 100}, default_args={'db': 'the db'}
    )
    assert sent == [[50, 1, {}, ['the db', 5, (6, 7), 8, {'c': 9}]]]


def test_the_request() -> None:
    seen = []

    async def procedure(request: Any) -> None:
        seen.append(request)

    options = {
        'timeout': 100, 'disclose_me': True, 'receive_progress': True, 'runmode': 'partition', 'rkey': 'key',
    }  # fmt: skip
    call = make_call(procedure, None, (1,), {'a': 2}, options)
    drive(call)
    (request,) = seen
    expected = RPCRequest(1, request.session, 'procedure', (1,), {'a': 2}, 100, True, True, 'key')
    assert request == expected


# ---- Refusals and failures -----------------------------------------------------------------------


def test_no_such_procedure() -> None:
    session = open_session()
    attach(session, None, Dispatch(RPCRouter().call_rules, None, (), False))
    drive(receive(session, [48, 7, {}, 'com.example.other']))
    sentence = 'There is no procedure com.example.other.'
    assert session.connection.sent == [Explained(48, 7, 'wamp.error.no_such_procedure', sentence)]


def test_arguments_that_do_not_fit(caplog: pytest.LogCaptureFixture) -> None:
    async def procedure(a: int) -> None:
        raise AssertionError

    for args, text in ((), 'Argument a required.'), (('x',), 'Argument a is not a valid int.'):
        sent = answers(procedure, args)
        assert sent == [Explained(48, 1, 'wamp.error.invalid_argument', text)]
    # It is the caller's mistake.
    assert not caplog.records


async def raise_for_lack(db: Any) -> None:
    pass


@pytest.mark.parametrize(
    ('procedure', 'error'),
    [
        (raise_late, LookupError),
        (raise_at_once, LookupError),
        (lambda: None, TypeError),
        (lambda: 7, TypeError),
        (lambda: [1], TypeError),
        (lambda: iter(()), TypeError),
        (lambda: next(iter(())), StopIteration),
    ],
)
def test_a_procedure_that_fails(
    procedure: Callable[[], Any], error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    assert answers(procedure) == [RUNTIME_ERROR]
    (record,) = [record for record in caplog.records if record.name != 'serverwamp_fast.mistakes']
    assert (record.name, record.levelname) == ('serverwamp_fast.rpc', 'ERROR')
    assert record.getMessage().startswith('Exception from call handler for procedure procedure, called by session ')
    assert record.exc_info[0] is error


def test_a_default_arg_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    connection = RecordingConnection()
    session = open_session(connection)
    router = RPCRouter()
    router.add_route('procedure', raise_for_lack)
    router.set_default_arg('db', factory=raise_at_once)
    attach(session, None, Dispatch(router.call_rules, None, (), False))
    drive(receive(session, [48, 1, {}, 'procedure']))
    assert connection.sent == [RUNTIME_ERROR]
    assert 'LookupError: at once' in caplog.text


def test_a_pattern_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    session = open_session()
    router = RPCRouter()
    router.add_regex_route(re.compile(b'bytes'), raise_late)
    attach(session, None, Dispatch(router.call_rules, None, (), False))
    drive(receive(session, [48, 1, {}, 'procedure']))
    assert session.connection.sent == [RUNTIME_ERROR]
    assert 'bytes pattern' in caplog.text


def test_a_target_that_is_no_plan(caplog: pytest.LogCaptureFixture) -> None:
    table = RouteTable()
    table.add_exact('procedure', raise_late)
    session = open_session()
    rules = CallRules(table, {}, make_request, interpret, stream_results)
    attach(session, None, Dispatch(rules, None, (), False))
    drive(receive(session, [48, 1, {}, 'procedure']))
    assert session.connection.sent == [RUNTIME_ERROR]
    assert 'Cannot convert function to' in caplog.text


def test_a_result_that_is_no_result_after_all(caplog: pytest.LogCaptureFixture) -> None:
    # What the public layer makes of a value may lack what a result has.
    table = RPCRouter()

    async def procedure() -> Any:
        return object()

    table.add_route('procedure', procedure)
    rules = CallRules(table.table, {}, make_request, lambda value: SimpleNamespace(args=()), None)
    session = open_session()
    attach(session, None, Dispatch(rules, None, (), False))
    drive(receive(session, [48, 1, {}, 'procedure']))
    assert session.connection.sent == [RUNTIME_ERROR]
    assert "no attribute 'kwargs'" in caplog.text


# ---- Answers that can't be sent ------------------------------------------------------------------


@pytest.mark.parametrize('procedure', [lambda: None, raise_late])
def test_the_client_has_left(procedure: Any, caplog: pytest.LogCaptureFixture) -> None:
    connection = RecordingConnection(ConnectionClosed(), ConnectionClosed())
    drive(make_call(procedure, connection))
    assert connection.sent == []
    assert not [record for record in caplog.records if 'could not be sent' in record.getMessage()]


def test_a_client_that_left_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    drive(make_call(return_something, RecordingConnection(ConnectionClosed())))
    assert [record.levelname for record in caplog.records] == ['DEBUG']
    assert 'disconnected before the answer of procedure could be sent to session ' in caplog.text


def test_a_result_without_a_form_on_the_wire(caplog: pytest.LogCaptureFixture) -> None:
    connection = RecordingConnection(SerializationError('no form'))
    drive(make_call(return_something, connection))
    assert connection.sent == [RUNTIME_ERROR]
    (record,) = caplog.records
    assert without_id(record.getMessage()) == (
        'The answer of procedure procedure could not be sent to session N of a client without an address: no form'
    )
    assert record.exc_info is None


def test_nothing_can_be_sent(caplog: pytest.LogCaptureFixture) -> None:
    connection = RecordingConnection(SerializationError('first'), SerializationError('second'))
    caplog.set_level(logging.DEBUG)
    drive(make_call(return_something, connection))
    assert connection.sent == []
    # That nothing can be sent is worth one line.
    assert [(record.levelname, without_id(record.getMessage())) for record in caplog.records] == [
        (
            'ERROR',
            'The answer of procedure procedure could not be sent to session N of a client without an address: first',
        ),
        ('DEBUG', 'Nor could the caller of procedure, session N of a client without an address, be told: second'),
    ]


@pytest.mark.parametrize(
    'errors',
    [
        (SerializationError('at once'), None),
        (SerializationError('at once'), SerializationError('again')),
        (ConnectionClosed('at once'),),
    ],
)
@pytest.mark.parametrize('procedure', [return_something, raise_late])
def test_a_connection_that_refuses_at_once(procedure: Any, errors: tuple) -> None:
    sent: list[Any] = []
    left = list(errors)

    class Plain:
        def send_msg(self, msg: Any) -> None:
            error = left.pop(0)
            if error is not None:
                raise error
            sent.append(list(msg))

    drive(make_call(procedure, Plain()))
    assert sent == ([RUNTIME_ERROR] if errors[-1] is None else [])
    assert not left


def test_sends_through_a_subclass() -> None:
    class Louder(WAMPSession):
        async def send_raw(self, msg: Any) -> None:
            await super().send_raw([*msg, 'loud'])

    assert answers(return_something, kind=Louder) == [[50, 1, {}, ('something',), 'loud']]
    ((*error, loud),) = answers(raise_late, kind=Louder)
    assert (error, loud) == (RUNTIME_ERROR, 'loud')


def test_the_session_ends_under_a_procedure_that_sends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def procedure(session: Any) -> None:
        session.mark_ended()
        await session.send_raw((2, 1, {}))

    drive(make_call(procedure))
    assert not caplog.records


def test_a_procedure_that_sends_to_another_session_that_has_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def procedure() -> None:
        raise ConnectionClosed('another one')

    # This caller is still there, and waits.
    assert answers(procedure) == [RUNTIME_ERROR]
    assert 'another one' in caplog.text


# ---- Progress ------------------------------------------------------------------------------------


class Numbers:
    """An async iterator that is no generator."""

    def __init__(self, *values: Any) -> None:
        self.values = list(values)
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self.values:
            raise StopAsyncIteration
        value = self.values.pop(0)
        if isinstance(value, Exception):
            raise value
        return value


class Closing(Numbers):
    async def aclose(self) -> None:
        self.closed += 1


REPORTS = RPCProgressReport((1,)), RPCProgressReport((2,), {'a': 3}), RPCProgressReport()
PROGRESS = [
    [50, 1, {'progress': True}, (1,)],
    [50, 1, {'progress': True}, (2,), {'a': 3}],
    [50, 1, {'progress': True}],
]


@pytest.mark.parametrize('wanted', [True, False, None])
def test_progress(wanted: Any) -> None:
    numbers = Closing(*REPORTS, RPCResult((4,)), RPCResult((5,)))
    sent = answers(lambda: numbers, options={'receive_progress': wanted})
    assert sent == [*(PROGRESS if wanted is True else []), [50, 1, {}, (4,)]]
    assert numbers.closed == 1


@pytest.mark.parametrize(
    ('last', 'answer'),
    [
        (RPCErrorResult('com.example.no'), [8, 48, 1, {}, 'com.example.no']),
        ('plain', [50, 1, {}, ('plain',)]),
        (None, [50, 1, {}]),
        (LookupError('late'), RUNTIME_ERROR),
    ],
)
def test_how_a_stream_ends(last: Any, answer: list[Any]) -> None:
    options = {'receive_progress': True}
    for kind in Numbers, Closing:
        numbers = kind(*REPORTS, last)
        assert answers(lambda numbers=numbers: numbers, options=options) == [*PROGRESS, answer]
        assert numbers.closed == (kind is Closing)


def test_a_stream_without_a_result(caplog: pytest.LogCaptureFixture) -> None:
    assert answers(lambda: Numbers(*REPORTS)) == [RUNTIME_ERROR]
    assert 'Call handler for procedure procedure, called by session ' in caplog.text


def test_a_generator_cleans_up_when_its_result_is_out() -> None:
    connection = RecordingConnection()

    async def procedure() -> Any:
        try:
            yield RPCResult((1,))
            raise AssertionError
        finally:
            connection.sent.append('cleaned up')

    drive(make_call(procedure, connection))
    assert connection.sent == [[50, 1, {}, (1,)], 'cleaned up']


def test_a_generator_that_fails_to_clean_up(caplog: pytest.LogCaptureFixture) -> None:
    async def procedure() -> Any:
        try:
            yield RPCResult((1,))
        finally:
            raise LookupError('in the cleanup')

    assert answers(procedure) == [[50, 1, {}, (1,)]]
    (record,) = caplog.records
    assert record.getMessage().startswith('Exception from the cleanup of procedure procedure, called by session ')


def test_an_iterator_that_fails_to_close_without_a_result() -> None:
    class Unclosable(Numbers):
        async def aclose(self) -> None:
            raise LookupError('in the cleanup')

    assert answers(lambda: Unclosable(*REPORTS)) == [RUNTIME_ERROR]


@pytest.mark.parametrize('errors', [(SerializationError(),), (SerializationError(), ConnectionClosed())])
def test_the_result_of_a_stream_has_no_form_on_the_wire(errors: tuple) -> None:
    numbers = Closing('result')
    connection = RecordingConnection(*errors)
    drive(make_call(lambda: numbers, connection))
    assert connection.sent == [RUNTIME_ERROR][: 2 - len(errors)]
    assert numbers.closed == 1


def test_a_progress_report_without_a_form_on_the_wire() -> None:
    numbers = Closing(*REPORTS, 'never')
    connection = RecordingConnection(SerializationError('no form'))
    drive(make_call(lambda: numbers, connection, options={'receive_progress': True}))
    assert connection.sent == [RUNTIME_ERROR]
    assert numbers.closed == 1


def test_a_client_that_leaves_amid_the_progress(caplog: pytest.LogCaptureFixture) -> None:
    numbers = Closing(*REPORTS, 'never')
    connection = RecordingConnection(None, ConnectionClosed(), ConnectionClosed())
    drive(make_call(lambda: numbers, connection, options={'receive_progress': True}))
    assert connection.sent == PROGRESS[:1]
    assert numbers.closed == 1
    assert not caplog.records


def test_report_and_its_properties() -> None:
    connection = RecordingConnection()
    call = make_call(return_something, connection, options={'receive_progress': True})
    assert isinstance(call, Call)
    assert call.procedure_uri == 'procedure'
    assert call.wants_progress
    drive(call.report((1,), None))
    drive(call.report(None, {'a': 2}))
    progress = [50, 1, {'progress': True}]
    assert connection.sent == [[*progress, (1,)], [*progress, (), {'a': 2}]]
    call.close()


def test_whether_the_session_is_over() -> None:
    session = open_session()
    call = call_in(session, return_something)
    assert not call.is_orphaned
    # What the application has closed by hand still sends.
    session.is_open = False
    assert not call.is_orphaned
    session.is_open = True
    session.mark_closing()
    assert call.is_orphaned
    session.mark_ended()
    assert call.is_orphaned
    call.close()


# ---- Rules ---------------------------------------------------------------------------------------


def test_rules_want_a_table_and_default_args() -> None:
    functions = make_request, interpret, stream_results
    with pytest.raises(TypeError):
        CallRules(None, {}, *functions)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        CallRules(RouteTable(), None, *functions)  # type: ignore[arg-type]
    assert isinstance(CallRules(RouteTable(), {}, *functions), CallRules)
