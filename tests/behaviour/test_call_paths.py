"""The ways that a CALL can take to a procedure: whatever it does, what the caller gets is the same on all of them."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from support.doubles import RecordingConnection, open_session
from support.explained import Explained

from serverwamp_fast._core.dialogue.dispatch import attach, receive
from serverwamp_fast.application import Application
from serverwamp_fast.errors import NoSuchRouteError, SerializationError
from serverwamp_fast.handlers import default_protocol_rpc_handler
from serverwamp_fast.protocol import WAMPRPCRequest
from serverwamp_fast.realm import Realm
from serverwamp_fast.rpc import RPCErrorResult, RPCProgressReport, RPCResult, RPCRouter

RUNTIME_ERROR = Explained(48, 1, 'wamp.error.runtime_error')


def use_routes(realm: Realm) -> Application:
    return Application()


def use_a_function_for_all_calls(realm: Realm) -> Application:
    router = realm._rpc_router
    realm.set_rpc_handler(lambda request: router.handle_rpc_call(request))
    return Application()


def use_a_protocol_handler(realm: Realm) -> Application:
    async def handle(request: Any, session: Any) -> None:
        await default_protocol_rpc_handler(request, session)

    return Application(protocol_request_handlers={WAMPRPCRequest: handle})


def use_camel_case(realm: Realm) -> Application:
    realm._rpc_router.camel_snake_conversion = True
    return Application()


class OwnRouter(RPCRouter):
    def handle_rpc_call(self, rpc_request: Any) -> Any:
        return super().handle_rpc_call(rpc_request)


def use_a_router_of_its_own(realm: Realm) -> Application:
    router = OwnRouter()
    router.table = realm._rpc_router.table
    realm.set_rpc_handler(router.handle_rpc_call)
    return Application()


class ResolvingRouter(RPCRouter):
    """Has no routes."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found

    def resolve(self, uri: str) -> Any:
        return self.found if uri == 'procedure' else super().resolve(uri)


def use_a_router_that_resolves(realm: Realm) -> Application:
    router = ResolvingRouter(realm._rpc_router.resolve('procedure'))
    realm.set_rpc_handler(router.handle_rpc_call)
    return Application()


PATHS = [
    use_routes, use_a_function_for_all_calls, use_a_protocol_handler, use_camel_case, use_a_router_of_its_own,
    use_a_router_that_resolves,
]  # fmt: skip
on_every_path = pytest.mark.parametrize('path', PATHS)


def call(
    path: Callable[[Realm], Application],
    procedure: Any,
    *obstacles: Any,
    uri: str = 'procedure',
    **options: Any,
) -> Any:
    """What is sent when a procedure is called."""
    connection = RecordingConnection(*obstacles)
    realm = Realm()
    realm._rpc_router.add_route('procedure', procedure)
    app = path(realm)
    session = open_session(connection, realm)
    attach(session, app, app._dispatch_for(realm))
    work = receive(session, [48, 1, options, uri, [7], {'b': 8}])
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(work)
    return connection.sent


async def echo(a: Any, b: Any) -> Any:
    return RPCResult((a,), {'b': b})


async def stream(session: Any) -> Any:
    try:
        yield RPCProgressReport((1,))
        yield RPCResult((2,))
    finally:
        session.connection.sent.append('cleaned up')


async def fail_to_clean_up() -> Any:
    try:
        yield RPCResult((1,))
    finally:
        raise LookupError('in the cleanup')


async def report_nothing_but_progress() -> Any:
    yield RPCProgressReport((1,))


async def return_progress() -> Any:
    return RPCProgressReport((1,), {'a': 2})


async def return_error_without_uri() -> Any:
    return RPCErrorResult(None)  # type: ignore[arg-type]


async def stream_error_without_uri() -> Any:
    yield RPCErrorResult(None, ('why',))  # type: ignore[arg-type]


async def fail() -> Any:
    raise LookupError('in the procedure')


async def fail_in_stream() -> Any:
    raise LookupError('in the procedure')
    yield


async def return_a_set() -> Any:
    return {1, 2}


async def yield_a_set() -> Any:
    yield {1, 2}


async def raise_generator_exit() -> Any:
    raise GeneratorExit


async def cancel() -> Any:
    raise asyncio.CancelledError


async def find_nothing() -> Any:
    raise NoSuchRouteError('nothing here')


PROGRESS = [50, 1, {'progress': True}, (1,)]
CASES = [
    (echo, {}, [[50, 1, {}, (7,), {'b': 8}]]),
    (stream, {}, [[50, 1, {}, (2,)], 'cleaned up']),
    (stream, {'receive_progress': None}, [[50, 1, {}, (2,)], 'cleaned up']),
    (stream, {'receive_progress': False}, [[50, 1, {}, (2,)], 'cleaned up']),
    (stream, {'receive_progress': True}, [PROGRESS, [50, 1, {}, (2,)], 'cleaned up']),
    (fail_to_clean_up, {}, [[50, 1, {}, (1,)]]),
    (report_nothing_but_progress, {}, [RUNTIME_ERROR]),
    (report_nothing_but_progress, {'receive_progress': True}, [PROGRESS, RUNTIME_ERROR]),
    (return_progress, {}, [[50, 1, {}, (1,), {'a': 2}]]),
    (return_progress, {'receive_progress': True}, [[50, 1, {}, (1,), {'a': 2}]]),
    # An error of the procedure's own.
    (return_error_without_uri, {}, [[8, 48, 1, {}, 'wamp.error.runtime_error']]),
    (stream_error_without_uri, {}, [[*RUNTIME_ERROR, ('why',)]]),
    (fail, {}, [RUNTIME_ERROR]),
    (fail_in_stream, {}, [RUNTIME_ERROR]),
    (return_a_set, {}, [RUNTIME_ERROR]),
    (yield_a_set, {}, [RUNTIME_ERROR]),
    (raise_generator_exit, {}, [RUNTIME_ERROR]),
    (cancel, {}, [Explained(48, 1, 'wamp.error.canceled')]),
    (lambda: None, {}, [RUNTIME_ERROR]),
]


@pytest.mark.parametrize('path', [use_routes, use_a_protocol_handler, use_camel_case])
def test_a_procedure_that_looks_for_another_in_vain(path: Any) -> None:
    assert call(path, find_nothing) == [RUNTIME_ERROR]


@pytest.mark.parametrize('path', [use_a_function_for_all_calls, use_a_router_of_its_own])
def test_a_function_in_place_of_the_routes_that_finds_no_procedure(path: Any) -> None:
    message = {'message': 'nothing here'}
    assert call(path, find_nothing) == [Explained(48, 1, 'wamp.error.no_such_procedure', message['message'])]


@on_every_path
def test_a_procedure_that_is_not_there(path: Any) -> None:
    message = {'message': 'There is no procedure elsewhere.'}
    assert call(path, echo, uri='elsewhere') == [
        Explained(48, 1, 'wamp.error.no_such_procedure', message['message'])
    ]


@on_every_path
@pytest.mark.parametrize(('procedure', 'options', 'expected'), CASES)
def test_what_the_caller_gets(path: Any, procedure: Any, options: Any, expected: Any) -> None:
    assert call(path, procedure, **options) == expected


@on_every_path
def test_the_caller(path: Any) -> None:
    async def procedure(request: Any, session: Any) -> Any:
        assert request.caller == session.id
        return [request.caller_authid == str(session.id), request.caller_authrole]

    assert call(path, procedure) == [[50, 1, {}, [True, 'authenticated']]]


@on_every_path
def test_an_error_in_the_cleanup_is_logged(path: Any, caplog: pytest.LogCaptureFixture) -> None:
    call(path, fail_to_clean_up)
    (record,) = caplog.records
    assert record.getMessage().startswith('Exception from the cleanup of procedure procedure, called by session ')


@on_every_path
def test_arguments_that_do_not_fit(path: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def procedure(a: int, c: Any) -> None:
        raise AssertionError

    message = {'message': 'Argument c required.'}
    assert call(path, procedure) == [Explained(48, 1, 'wamp.error.invalid_argument', message['message'])]
    assert not caplog.records


@on_every_path
@pytest.mark.parametrize('procedure', [echo, fail])
def test_an_answer_that_can_not_be_sent(path: Any, procedure: Any) -> None:
    assert call(path, procedure, SerializationError('no form')) == [RUNTIME_ERROR]


@on_every_path
def test_the_end_of_the_program(path: Any) -> None:
    async def procedure() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        call(path, procedure)
