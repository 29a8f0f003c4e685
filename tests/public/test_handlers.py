"""handlers: what is done with requests where the application has functions of its own in place of the routes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from conftest import LoopRunner
from support.doubles import RecordingConnection, hear_goodbye, open_session
from support.explained import Explained
from support.signatures import drive

from serverwamp_fast.errors import (
    ConnectionClosed,
    InvalidURIError,
    NoSuchRouteError,
    SerializationError,
    WAMPMsgParseError,
)
from serverwamp_fast.events import SubscribeError
from serverwamp_fast.handlers import (
    abort_on_malformed_msgs,
    default_protocol_goodbye_handler,
    default_protocol_rpc_handler,
    subscribe,
    tear_down_handler,
    unsubscribe,
)
from serverwamp_fast.protocol import (
    WAMPGoodbyeRequest,
    WAMPRPCRequest,
    WAMPSubscribeRequest,
    WAMPUnsubscribeRequest,
)
from serverwamp_fast.realm import Realm
from serverwamp_fast.rpc import RPCErrorResult, RPCProgressReport, RPCRequest, RPCResult
from serverwamp_fast.session import WAMPSession

RUNTIME_ERROR = Explained(48, 1, 'wamp.error.runtime_error')
CANCELED = Explained(48, 1, 'wamp.error.canceled')


# ---- Calls ---------------------------------------------------------------------------------------


def make_call(
    function: Callable[[RPCRequest], Any] | None,
    connection: Any = None,
    options: dict | None = None,
    uri: str = 'com.example.procedure',
) -> tuple[Any, RecordingConnection]:
    """The coroutine that answers a CALL by a realm's function, or by its routes, and the connection."""
    realm = Realm()
    if function is not None:
        realm.set_rpc_handler(function)
    session = open_session(connection, realm)
    request = WAMPRPCRequest(1, options or {}, uri, (7,), {'a': 8})
    return default_protocol_rpc_handler(request, session), session.connection


def answers(function: Any, connection: Any = None, **kwargs: Any) -> list[Any]:
    coroutine, connection = make_call(function, connection, **kwargs)
    assert drive(coroutine) is None
    return connection.sent


def test_result() -> None:
    async def handle(request: RPCRequest) -> RPCResult:
        assert request.id == 1
        return RPCResult((request.uri, *request.args), request.kwargs)

    assert answers(handle) == [[50, 1, {}, ('com.example.procedure', 7), {'a': 8}]]


def test_error_result() -> None:
    async def handle(request: RPCRequest) -> RPCErrorResult:
        return RPCErrorResult('com.example.no', ('why',), {'b': 1})

    assert answers(handle) == [[8, 48, 1, {}, 'com.example.no', ('why',), {'b': 1}]]


@pytest.mark.parametrize('wanted', [True, False])
def test_progress(wanted: bool) -> None:
    closed = []

    async def handle(request: RPCRequest) -> Any:
        assert request.receive_progress is wanted
        try:
            yield RPCProgressReport((1,))
            yield RPCProgressReport((2,))
            yield RPCResult((3,))
            raise AssertionError
        finally:
            closed.append(True)

    progress = [[50, 1, {'progress': True}, (number,)] for number in (1, 2)]
    sent = answers(handle, options={'receive_progress': wanted})
    assert sent == [*(progress if wanted else []), [50, 1, {}, (3,)]]
    assert closed == [True]


def test_a_stream_without_a_result(caplog: pytest.LogCaptureFixture) -> None:
    async def handle(request: RPCRequest) -> Any:
        yield RPCProgressReport((1,))

    assert answers(handle) == [RUNTIME_ERROR]
    assert 'procedure com.example.procedure, called by session ' in caplog.text


def test_no_such_procedure(caplog: pytest.LogCaptureFixture) -> None:
    async def handle(request: RPCRequest) -> Any:
        raise NoSuchRouteError('nothing here')

    assert answers(handle) == [Explained(48, 1, 'wamp.error.no_such_procedure', 'nothing here')]
    ((*_, text),) = answers(None, uri='com.example.other')
    assert 'com.example.other' in text['message']
    assert not caplog.records


async def raise_late(request: Any) -> None:
    raise LookupError('in the handler')


def raise_at_once(request: Any) -> None:
    raise LookupError('in the handler')


async def raise_in_stream(request: Any) -> Any:
    raise LookupError('in the handler')
    yield


@pytest.mark.parametrize('function', [raise_late, raise_at_once, raise_in_stream])
def test_a_handler_that_fails(function: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert answers(function) == [RUNTIME_ERROR]
    (record,) = caplog.records
    assert record.getMessage().startswith(
        'Exception from call handler for procedure com.example.procedure, called by session '
    )
    assert str(record.exc_info[1]) == 'in the handler'


@pytest.mark.parametrize('value', [None, 7, 'text', object()])
def test_a_handler_that_returns_no_result(value: Any) -> None:
    async def handle(request: RPCRequest) -> Any:
        return value

    assert answers(handle) == [RUNTIME_ERROR]
    assert answers(lambda request: value) == [RUNTIME_ERROR]


def test_partition_without_a_key() -> None:
    # serverwamp fails on it and leaves the caller without an answer.
    async def handle(request: RPCRequest) -> Any:
        return RPCResult((request.partition_route,))

    assert answers(handle, options={'runmode': 'partition'}) == [[50, 1, {}, (None,)]]


async def return_something(request: Any) -> RPCResult:
    return RPCResult(('something',))


def test_a_result_without_a_form_on_the_wire(caplog: pytest.LogCaptureFixture) -> None:
    sent = answers(return_something, RecordingConnection(SerializationError('no form')))
    assert sent == [RUNTIME_ERROR]
    assert 'no form' in caplog.text
    assert 'Traceback' not in caplog.text


def test_the_client_has_left() -> None:
    assert answers(return_something, RecordingConnection(ConnectionClosed())) == []


def test_the_client_leaves_amid_the_progress(caplog: pytest.LogCaptureFixture) -> None:
    closed = []

    async def handle(request: RPCRequest) -> Any:
        try:
            yield RPCProgressReport()
            yield RPCResult()
        finally:
            closed.append(True)

    connection = RecordingConnection(ConnectionClosed(), ConnectionClosed())
    assert answers(handle, connection, options={'receive_progress': True}) == []
    assert closed == [True]
    assert not caplog.records


def test_a_handler_that_sends_to_another_session_that_has_left() -> None:
    async def handle(request: RPCRequest) -> Any:
        raise ConnectionClosed('another one')

    # This caller is still there, and waits.
    assert answers(handle) == [RUNTIME_ERROR]


def test_the_session_ends_under_a_handler_that_sends() -> None:
    async def handle(request: RPCRequest) -> Any:
        request.session.mark_ended()
        await request.session.send_raw((50, 1, {}))

    assert answers(handle) == []


def test_cancelled(run: LoopRunner) -> None:
    async def main() -> None:
        async def handle(request: RPCRequest) -> Any:
            await run.loop.create_future()

        coroutine, connection = make_call(handle)
        task = run.loop.create_task(coroutine)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.sent == [CANCELED]

    run(main())


def test_cancelled_while_replying(run: LoopRunner) -> None:
    async def main() -> None:
        connection = RecordingConnection(run.loop.create_future)
        coroutine, _ = make_call(return_something, connection)
        task = run.loop.create_task(coroutine)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.sent == []

    run(main())


@pytest.mark.parametrize('end', [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_program_is_not_answered(end: type[BaseException]) -> None:
    async def handle(request: RPCRequest) -> Any:
        raise end

    coroutine, connection = make_call(handle)
    with pytest.raises(end):
        drive(coroutine)
    assert connection.sent == []


# ---- SUBSCRIBE and UNSUBSCRIBE -------------------------------------------------------------------


def make_session(function: Any, connection: Any = None, topic: str = 'topic') -> WAMPSession:
    realm = Realm()
    realm._topic_router.add_route(topic, function)
    return open_session(connection, realm)


def subscribe_to(session: WAMPSession, topic: str = 'topic', request: int = 1) -> None:
    drive(subscribe(WAMPSubscribeRequest(request, topic, {}), session))


def unsubscribe_from(session: WAMPSession, number: int, request: int = 2) -> None:
    drive(unsubscribe(WAMPUnsubscribeRequest(request, number), session))


def test_subscribing_and_unsubscribing() -> None:
    seen = []

    async def subscribed(topic_uri: str, session: WAMPSession) -> Any:
        seen.append(f'begin {topic_uri}')
        await session.send_event(topic_uri, ('early',))
        yield
        seen.append(f'end {topic_uri}')
        await session.send_event(topic_uri, ('late',))

    session = make_session(subscribed)
    sent = session.connection.sent
    subscribe_to(session)
    number = session.own_subscription_id('topic')
    # Clients want to hear of their subscription before its events.
    assert [message[0] for message in sent] == [33, 36]
    assert sent[0] == [33, 1, number]
    assert sent[1][4] == ('early',)
    assert seen == ['begin topic']
    unsubscribe_from(session, number)
    assert [message[0] for message in sent] == [33, 36, 36, 35]
    assert sent[3] == [35, 2]
    assert seen == ['begin topic', 'end topic']
    assert not session.has_subscriptions


def test_subscribing_twice() -> None:
    begun = []

    async def subscribed() -> Any:
        begun.append(True)
        yield

    session = make_session(subscribed)
    subscribe_to(session)
    subscribe_to(session, request=2)
    number = session.own_subscription_id('topic')
    assert session.connection.sent == [[33, 1, number], [33, 2, number]]
    assert begun == [True]


async def refuse() -> Any:
    raise SubscribeError('com.example.no')
    yield


async def fail() -> Any:
    raise LookupError('in the handler')
    yield


async def never_yield() -> Any:
    for _ in ():
        yield


async def lack(unknown: Any) -> Any:
    yield


@pytest.mark.parametrize(
    ('function', 'uri', 'is_logged'),
    [
        (refuse, 'com.example.no', False),
        (fail, 'wamp.error.runtime_error', True),
        (never_yield, 'wamp.error.runtime_error', True),
        (lack, 'wamp.error.runtime_error', True),
        (lambda: None, 'wamp.error.runtime_error', True),
    ],
)
@pytest.mark.parametrize('by', ['routes', 'function'])
def test_handlers_that_refuse_or_fail(
    function: Any, uri: str, is_logged: bool, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = make_session(function)
    if by == 'function':
        # What the router does, without the core's short cut to it.
        handle = session.realm.handle_subscription
        session.realm.set_subscription_handler(lambda *args: handle(*args))
    subscribe_to(session)
    # What the handler refuses with passes as it is.
    expected = Explained(32, 1, uri) if is_logged else [8, 32, 1, {}, uri]
    assert session.connection.sent == [expected]
    assert not session.has_subscriptions
    assert len(session.realm.topics) == 0
    assert bool(caplog.records) == is_logged
    if is_logged:
        (record,) = caplog.records
        assert record.getMessage().startswith('Exception from subscription handler for topic topic, for session ')


def test_a_refusal_by_another_package(caplog: pytest.LogCaptureFixture) -> None:
    class SubscribeError(Exception):
        pass

    async def refuse_by_another() -> Any:
        raise SubscribeError('app.error.nobody')
        yield

    session = make_session(refuse_by_another)
    subscribe_to(session)
    assert session.connection.sent == [Explained(32, 1, 'wamp.error.runtime_error')]
    (record,) = caplog.records
    assert f'the SubscribeError of {__name__}. Import it from serverwamp_fast' in record.getMessage()


def test_a_topic_without_a_route(caplog: pytest.LogCaptureFixture) -> None:
    session = make_session(fail)
    subscribe_to(session, 'other')
    assert session.connection.sent == [Explained(32, 1, 'wamp.error.invalid_uri')]
    assert not caplog.records


def test_one_function_for_all_topics() -> None:
    seen = []

    async def handle(topic_uri: str, session: WAMPSession) -> Any:
        seen.append(f'begin {topic_uri}')
        yield
        seen.append(f'end {topic_uri}')

    realm = Realm()
    realm.set_subscription_handler(handle)
    session = open_session(None, realm)
    subscribe_to(session, 'a')
    subscribe_to(session, 'b')
    unsubscribe_from(session, session.own_subscription_id('a'))
    assert seen == ['begin a', 'begin b', 'end a']


@pytest.mark.parametrize('number', [7, 2**53])
def test_unsubscribing_what_is_not_there(number: int) -> None:
    session = make_session(fail)
    unsubscribe_from(session, number)
    expected = Explained(34, 2, 'wamp.error.no_such_subscription')
    assert session.connection.sent == [expected]


def test_the_client_leaves_before_it_is_subscribed() -> None:
    ended = []

    async def subscribed() -> Any:
        yield
        ended.append(True)

    session = make_session(subscribed, RecordingConnection(ConnectionClosed()))
    with pytest.raises(ConnectionClosed):
        subscribe_to(session)
    # The rest of the handler is there to be run when the session is cleaned up.
    (handler,) = session.subscription_exits()
    drive(tear_down_handler(handler, 'subscription handler', session))
    assert ended == [True]


def test_a_teardown_that_fails_ends_the_subscription(caplog: pytest.LogCaptureFixture) -> None:
    async def subscribed() -> Any:
        yield
        raise LookupError('in the teardown')

    session = make_session(subscribed)
    subscribe_to(session)
    unsubscribe_from(session, session.own_subscription_id('topic'))
    assert session.connection.sent[-1] == [35, 2]
    assert not session.has_subscriptions
    assert 'in the teardown' in caplog.text


# ---- Teardown, and GOODBYE -----------------------------------------------------------------------


def tear_down(generator: Any) -> None:
    drive(anext(generator).__await__())
    drive(tear_down_handler(generator, 'lifespan handler', open_session()))


def test_teardown(caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    async def handler() -> Any:
        yield
        seen.append('end')

    tear_down(handler())
    assert seen == ['end']
    assert not caplog.records


def test_teardown_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def handler() -> Any:
        yield
        raise LookupError('in the teardown')

    tear_down(handler())
    (record,) = caplog.records
    assert 'Exception from the rest of lifespan handler' in record.getMessage()
    assert str(record.exc_info[1]) == 'in the teardown'


def test_teardown_that_yields_again(caplog: pytest.LogCaptureFixture) -> None:
    closed = []

    async def handler() -> Any:
        yield
        try:
            yield
        finally:
            closed.append(True)

    tear_down(handler())
    assert closed == [True]
    assert [record.levelname for record in caplog.records] == ['ERROR']
    assert 'yielded more than once' in caplog.text


def test_teardown_that_yields_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    async def handler() -> Any:
        yield
        try:
            yield
        finally:
            raise LookupError('on being closed')

    # Nothing may escape: other handlers have still to be torn down.
    tear_down(handler())
    assert 'yielded more than once' in caplog.text
    assert 'on being closed' in caplog.text


def test_goodbye() -> None:
    session = open_session()
    hear_goodbye(session)
    drive(default_protocol_goodbye_handler(WAMPGoodbyeRequest('wamp.close.normal'), session))
    assert session.connection.sent == [[6, {}, 'wamp.close.goodbye_and_out']]
    assert not session.is_open


# ---- Messages that can't be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    ('error', 'uri'),
    [
        (WAMPMsgParseError('Not JSON.'), 'wamp.error.protocol_violation'),
        (InvalidURIError('No URI.'), 'wamp.error.invalid_uri'),
        (None, None),
    ],
)
def test_messages_up_to_the_first_that_can_not_be_read(error: Any, uri: Any, caplog) -> None:
    async def read() -> Any:
        yield [1]
        yield [2]
        if error is not None:
            raise error

    async def main() -> None:
        connection = RecordingConnection()
        msgs = abort_on_malformed_msgs(read(), connection)
        assert [message async for message in msgs] == [[1], [2]]
        if error is None:
            assert not connection.sent and not connection.closed
        else:
            assert connection.sent == [[3, {'message': str(error)}, uri]]
            assert connection.closed

    asyncio.run(main())
    assert len(caplog.records) == (error is not None)
