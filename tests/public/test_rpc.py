"""rpc: what procedures are told and can answer, and the router on its public path."""

import dataclasses
import re
from collections import UserDict, UserList, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
import serverwamp.rpc as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import open_session
from support.signatures import ARGS, DEFAULT_ARGS, KWARGS, Procedure, drive, procedures

import serverwamp_fast.rpc as ours
from serverwamp_fast.rpc import (
    NoSuchRouteError,
    RPCErrorResult,
    RPCPrefixRouteDef,
    RPCProgressReport,
    RPCRegexRouteDef,
    RPCRequest,
    RPCResult,
    RPCRouteDef,
    RPCRouter,
    RPCRouteSet,
    close_iterator,
    interpret,
    make_request,
    route,
)


async def procedure() -> None:
    pass


# ---- Requests and results ------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['RPCRequest', 'RPCResult', 'RPCProgressReport'])
def test_dataclasses_have_serverwamps_fields(name: str) -> None:
    expected = describe_fields(getattr(theirs, name))
    found = describe_fields(getattr(ours, name))
    assert found[: len(expected)] == expected
    # What is new comes behind, and is not asked for.
    assert all(default is None for _, default, _ in found[len(expected) :])


def describe_fields(kind: type) -> list[Any]:
    return [
        (field.name, field.default, field.default_factory) for field in dataclasses.fields(kind)
    ]


def test_error_result_has_a_default_uri() -> None:
    (uri, *rest), (their_uri, *their_rest) = map(
        describe_fields, (RPCErrorResult, theirs.RPCErrorResult)
    )
    assert rest == their_rest
    assert uri[0] == their_uri[0]
    assert RPCErrorResult() == RPCErrorResult('wamp.error.runtime_error', (), {})
    assert ours.RPCError is RPCErrorResult


def test_progress_reports_are_results() -> None:
    assert isinstance(RPCProgressReport((1,)), RPCResult)
    assert RPCResult((1,)) != RPCProgressReport((1,))


def test_results_do_not_share_their_kwargs() -> None:
    one, other = RPCResult(), RPCResult()
    one.kwargs['a'] = 1  # type: ignore[index]
    assert other.kwargs == {}


def test_every_public_name_is_there() -> None:
    defined = {
        name
        for name, value in vars(theirs).items()
        if not name.startswith('_') and getattr(value, '__module__', '') == theirs.__name__
    }
    assert {'RPCRouter', 'RPCRequest', 'route'} < defined
    assert {name for name in defined if not hasattr(ours, name)} == set()


class Number(int):
    pass


class Word(StrEnum):
    HELLO = 'hello'


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(), st.integers(), max_size=2),
    st.sampled_from(
        [
            (1, 2), bytearray(b'a'), memoryview(b'a'), range(2), deque([1]), UserList([1]), UserDict(a=1),
            Number(7), Word.HELLO, object, {1, 2}, frozenset(), 1j, iter(()), (x for x in ()),
        ]
    ),
)  # fmt: skip


@given(VALUES)
def test_values_mean_what_they_mean_to_serverwamp(value: Any) -> None:
    try:
        expected = vars(theirs._yielded_value_to_result(value))
    except Exception:
        with pytest.raises(TypeError, match=f'A procedure returned {type(value).__name__}'):
            interpret(value)
    else:
        result = interpret(value)
        assert type(result) is RPCResult
        assert vars(result) == expected


@pytest.mark.parametrize('result', [RPCResult((1,)), RPCErrorResult('a'), RPCProgressReport((1,))])
def test_results_are_what_they_are(result: Any) -> None:
    assert interpret(result) is result


@pytest.mark.parametrize('name', ['RPCResult', 'RPCErrorResult', 'RPCProgressReport'])
def test_results_of_serverwamp_are_refused_with_a_hint(name: str) -> None:
    with pytest.raises(TypeError, match=rf'the {name} of serverwamp\.rpc\. .* serverwamp_fast\.rpc'):
        interpret(object.__new__(getattr(theirs, name)))


def test_make_request() -> None:
    session = open_session()
    assert make_request(1, session, 'a', (2,), None, {}) == RPCRequest(1, session, 'a', (2,), {})
    options = {'timeout': 5, 'disclose_me': True, 'receive_progress': True, 'rkey': 'key'}
    request = make_request(1, session, 'a', (2,), {'b': 3}, options)
    assert request == RPCRequest(1, session, 'a', (2,), {'b': 3}, 5, True, True, None)


def test_options_as_javascript_writes_them() -> None:
    options = {'timeout': 9e15, 'disclose_me': None, 'receive_progress': None}
    request = make_request(1, open_session(), 'a', (), None, options)
    assert (request.timeout, type(request.timeout)) == (9 * 10**15, int)
    assert (request.disclose_caller, request.receive_progress) == (False, False)
    assert make_request(1, open_session(), 'a', (), None, {'timeout': None}).timeout == 0


def test_the_partition_of_a_request() -> None:
    def partition(**options: Any) -> Any:
        return make_request(1, open_session(), 'a', (), None, options).partition_route

    assert partition(runmode='partition', rkey='key') == 'key'
    assert partition(runmode='partition') is None
    assert partition(runmode='other', rkey='key') is None


def test_closing_iterators() -> None:
    closed = []

    async def generator() -> Any:
        try:
            yield
        finally:
            closed.append(True)

    iterator = generator()
    drive(anext(iterator).__await__())
    drive(close_iterator(iterator))
    drive(close_iterator(iterator))
    assert closed == [True]

    class Bare:
        pass

    assert drive(close_iterator(Bare())) is None


# ---- Routes --------------------------------------------------------------------------------------


def test_route_set() -> None:
    routes = RPCRouteSet()
    assert routes.route('a', role='admin')(procedure) is procedure
    routes.prefix_route('b.')(procedure)
    routes.regex_route('c+')(procedure)
    assert list(routes) == [
        RPCRouteDef('a', procedure, {'role': 'admin'}),
        RPCPrefixRouteDef('b.', procedure, {}),
        RPCRegexRouteDef('c+', procedure, {}),
    ]
    assert repr(routes) == '<RPCRouteSet count=3>'
    assert route('a', procedure, role='admin') == routes[0]


def test_router_finds_procedures() -> None:
    router = RPCRouter()
    router.add_routes([route('a', procedure), RPCPrefixRouteDef('b.', procedure, {})])
    router.add_regex_route('c+', procedure)
    for uri in 'a', 'b.c', 'cc':
        assert router.resolve(uri) is procedure
    with pytest.raises(NoSuchRouteError):
        router.resolve('d')


# ---- handle_rpc_call(), the path of applications with functions of their own ---------------------


class FindsVersions(RPCRouter):
    def resolve(self, uri: str) -> Any:
        return super().resolve(f'{uri.partition(".v")[0]}.v2')


def test_resolve_can_be_overridden() -> None:
    async def second(number: int) -> Any:
        return number * 2

    router = FindsVersions()
    router.add_route('double.v2', second)
    (result,) = results_of(router, request_for('double.v7', ('4',)))
    assert result.args == (8,)
    of_one_object = RPCRouter()
    of_one_object.resolve = lambda uri: second  # type: ignore[method-assign]
    (result,) = results_of(of_one_object, request_for('anything', (5,)))
    assert result.args == (10,)


def request_for(uri: str = 'p', args: Any = (), kwargs: Any = None) -> RPCRequest:
    return RPCRequest(1, open_session(), uri, args, kwargs or {})


def results_of(router: Any, request: Any) -> list[Any]:
    """All that the router yields for a request, and the exception that ends it, if one does."""
    results = []
    iterator = router.handle_rpc_call(request)
    try:
        while True:
            results.append(drive(anext(iterator).__await__()))
    except StopAsyncIteration:
        pass
    except Exception as error:
        results.append((type(error).__name__, str(error)))
    return results


def plain(results: list[Any]) -> list[Any]:
    return [
        (type(result).__name__, repr(dataclasses.asdict(result)))
        if dataclasses.is_dataclass(result)
        else result
        for result in results
    ]


def make_router(function: Any, **options: Any) -> RPCRouter:
    router = RPCRouter(**options)
    router.add_route('p', function)
    return router


def test_no_such_route() -> None:
    with pytest.raises(NoSuchRouteError):
        drive(anext(RPCRouter().handle_rpc_call(request_for())).__await__())


def test_request_and_session() -> None:
    seen = []

    async def takes(request: Any, session: Any) -> None:
        seen.append((request, session))

    request = request_for()
    assert results_of(make_router(takes), request) == [RPCResult()]
    assert seen == [(request, request.session)]


def test_arguments_that_do_not_fit() -> None:
    async def takes(a: int) -> None:
        raise AssertionError

    (error,) = results_of(make_router(takes), request_for(args=('x',)))
    message = 'Argument a is not a valid int.'
    assert error == RPCErrorResult('wamp.error.invalid_argument', (message,), {'message': message})


def test_camel_snake_conversion() -> None:
    async def takes(first_name: str, **more: Any) -> Any:
        return [first_name, more]

    kwargs = {'firstName': 'Joe', 'lastHTTPStatus': 200}
    router = make_router(takes, camel_snake_conversion=True)
    assert results_of(router, request_for(kwargs=kwargs)) == [
        RPCResult(['Joe', {'last_http_status': 200}])
    ]
    (error,) = results_of(make_router(takes), request_for(kwargs=kwargs))
    assert error.error_uri == 'wamp.error.invalid_argument'


@pytest.mark.parametrize('function', [lambda: None, lambda: 7, lambda: [1]])
def test_what_is_no_coroutine_function(function: Any) -> None:
    ((error, _),) = results_of(make_router(function), request_for())
    assert error == 'TypeError'


def test_a_generator_is_closed() -> None:
    closed = []

    async def stream() -> Any:
        try:
            yield RPCProgressReport((1,))
            yield 2
            raise AssertionError
        finally:
            closed.append(True)

    router = make_router(stream)
    assert results_of(router, request_for()) == [RPCProgressReport((1,)), RPCResult((2,))]
    assert closed == [True]

    # Also when nobody wants the rest.
    iterator = router.handle_rpc_call(request_for())
    drive(anext(iterator).__await__())
    drive(iterator.aclose().__await__())
    assert closed == [True] * 2


# What a procedure may yield, by name, on either side.
STREAMED: dict[str, Callable[[Any], Any]] = {
    'progress': lambda side: side.RPCProgressReport((1,), {'a': 2}),
    'result': lambda side: side.RPCResult((1,), {'a': 2}),
    'error': lambda side: side.RPCErrorResult('com.example.no', (1,)),
    'value': lambda side: 'text',
    'nothing': lambda side: None,
    'no result': lambda side: {1, 2},
}


@given(
    st.lists(st.sampled_from([*STREAMED, *['progress'] * 4, 'raise'])),
    st.booleans(),
)
def test_streams_as_serverwamp(names: list[str], is_generator: bool) -> None:
    def outcome(side: Any) -> list[Any]:
        log = []

        async def generator() -> Any:
            try:
                for name in names:
                    if name == 'raise':
                        raise LookupError('in the stream')
                    if name in STREAMED:
                        log.append(name)
                        yield STREAMED[name](side)
            finally:
                log.append('closed')

        class Iterator:
            def __init__(self) -> None:
                self.generator = generator()

            def __aiter__(self) -> Any:
                return self

            async def __anext__(self) -> Any:
                return await anext(self.generator)

        router = side.RPCRouter()
        router.add_route('p', generator if is_generator else Iterator)
        request = side.RPCRequest(1, open_session(), 'p', (), {})
        found = results_of(router, request)
        if found and isinstance(found[-1], tuple) and 'procedure' in str(found[-1][1]):
            found[-1] = 'no result'
        if found and isinstance(found[-1], tuple) and 'Uninterpretable' in found[-1][1]:
            found[-1] = 'no result'
        return [plain(found), log]

    assert outcome(ours) == outcome(theirs)


def said_once(result: Any) -> Any:
    """A result without the sentence that ours have in a second place."""
    if not isinstance(result, tuple) or 'wamp.error.invalid_argument' not in result[1]:
        return result
    return result[0], re.sub(r"'args': \(.*\), 'kwargs'", "'args': (), 'kwargs'", result[1])


@given(procedures(), ARGS, KWARGS, DEFAULT_ARGS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_calls_as_serverwamp(
    function: Procedure, args: list, kwargs: dict, default_args: dict, converts: bool
) -> None:
    def outcome(side: Any) -> list[Any]:
        function.calls.clear()
        router = side.RPCRouter(camel_snake_conversion=converts)
        router.add_route('p', function.function)
        for name, value in default_args.items():
            router.set_default_arg(name, value)
        session = open_session()
        request = side.RPCRequest(1, session, 'p', args, kwargs)
        found = plain(results_of(router, request))
        server = {id(session): 'the session', id(request): 'the request'}
        bound = [
            {name: server.get(id(value), repr(value)) for name, value in call.items()}
            for call in function.calls
        ]
        # A refused value that is the session shows its address.
        found = [
            'address' if isinstance(result, tuple) and ' at 0x' in result[1] else result
            for result in found
        ]
        return [[said_once(result) for result in found], bound]

    assert outcome(ours) == outcome(theirs), function.source
