"""_core.dealer.plans: how a procedure gets its arguments."""

import functools
import gc
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serverwamp.rpc import RPCErrorResult as TheirErrorResult
from serverwamp.rpc import RPCRequest as TheirRequest
from serverwamp.rpc import RPCRouter as TheirRouter
from support.isolated import run_isolated
from support.signatures import ARGS, DEFAULT_ARGS, KWARGS, Procedure, define, drive, procedures

from serverwamp_fast._core.dealer.plans import CallPlan, Parameter
from serverwamp_fast.errors import InvalidArgumentError


def call(
    procedure: Callable[..., Any],
    *args: Any,
    session: Any = 'the session',
    request: Any = 'the request',
    factories: dict[str, Callable[[], Any]] | None = None,
    **kwargs: Any,
) -> Any:
    return CallPlan(procedure).call(session, request, args, kwargs, factories or {})


def refusal(procedure: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidArgumentError) as refused:
        call(procedure, *args, **kwargs)
    return str(refused.value)


def returns_all(*args: Any, **kwargs: Any) -> tuple:
    return args, kwargs


# ---- Which value goes where ----------------------------------------------------------------------


def test_args_by_position_then_by_name() -> None:
    assert call(lambda a, b, c=3: (a, b, c), 1, 2) == (1, 2, 3)
    assert call(lambda a, b, c=3: (a, b, c), 1, b=2, c=4) == (1, 2, 4)
    assert call(lambda a, b: (a, b), b=2, a=1) == (1, 2)


def test_a_positional_argument_goes_before_one_of_the_same_name() -> None:
    assert call(lambda a, **rest: (a, rest), 1, a=2) == (1, {})


def test_what_nobody_asked_for_is_dropped() -> None:
    assert call(lambda a: a, 1, 2, 3, z=4) == 1


def test_var_args() -> None:
    assert call(returns_all, 1, 2, x=3) == ((1, 2), {'x': 3})
    assert call(lambda a, *rest: (a, rest), 1, 2, 3) == (1, (2, 3))
    assert call(lambda *rest, a: (a, rest), 1, a=2) == (2, (1,))


def test_keyword_only() -> None:
    assert call(lambda *, a, b=2: (a, b), a=1) == (1, 2)
    assert refusal(lambda *, a: a, 1) == 'Argument a required.'


def test_positional_only_may_be_given_by_name() -> None:
    assert call(lambda a, /, b: (a, b), a=1, b=2) == (1, 2)


def test_missing() -> None:
    assert refusal(lambda a, b: None, 1) == 'Argument b required.'
    assert refusal(lambda a, *rest: None) == 'Argument a required.'


def test_no_kwargs_at_all() -> None:
    plan = CallPlan(lambda a, **rest: (a, rest))
    assert plan.call(None, None, (1,), None, {}) == (1, {})
    with pytest.raises(InvalidArgumentError):
        plan.call(None, None, (), None, {})


def test_session_and_request_come_from_the_server() -> None:
    def procedure(session: Any, a: Any, *, request: Any) -> tuple:
        return session, a, request

    expected = ('the session', 1, 'the request')
    assert call(procedure, 1) == expected
    # A caller can't give them another value.
    plan = CallPlan(procedure)
    kwargs = {'session': 'forged', 'request': 'forged'}
    assert plan.call('the session', 'the request', (1,), kwargs, {}) == expected
    assert plan.call('the session', 'the request', (1,), kwargs, {'session': int}) == expected


def test_session_among_plain_parameters_takes_no_argument() -> None:
    assert call(lambda a, session, b: (a, session, b), 1, 2) == (1, 'the session', 2)


def test_server_values_are_not_in_the_var_kwargs() -> None:
    plan = CallPlan(lambda session, **rest: rest)
    assert plan.call(None, None, (), {'session': 'forged', 'x': 1}, {}) == {'x': 1}
    # Where the procedure has no such parameter, it is a name like any other.
    assert CallPlan(returns_all).call(None, None, (), {'session': 1}, {}) == ((), {'session': 1})


def test_variable_parameters_of_a_server_name_are_the_callers() -> None:
    assert call(lambda *session, **request: (session, request), 1, x=2) == ((1,), {'x': 2})


def test_default_args() -> None:
    made = iter(range(9))
    factories: dict[str, Callable[[], Any]] = {'db': lambda: f'db {next(made)}'}
    assert call(lambda db, a: (db, a), 1, factories=factories) == ('db 0', 1)
    assert call(lambda a, *, db: (db, a), 1, db='forged', factories=factories) == ('db 1', 1)
    assert call(lambda a: a, 1, factories=factories) == 1
    assert next(made) == 2, 'Nothing is made that the procedure has no parameter for.'


def test_a_default_arg_goes_before_as_many_arguments_as_parameters() -> None:
    plan = CallPlan(lambda a, b: (a, b))
    assert plan.call(None, None, [1, 2], None, {}) == (1, 2)
    assert plan.call(None, None, (1, 2), {'a': 3}, {'other': int}) == (1, 2)
    assert plan.call(None, None, [1, 2], None, {'a': lambda: 'served'}) == ('served', 1)


def test_defaults_and_default_args_are_not_converted() -> None:
    def procedure(a: int = 'default', *, db: int = 0) -> tuple:  # type: ignore[assignment]
        return a, db

    assert call(procedure, factories={'db': lambda: '7'}) == ('default', '7')


def test_what_a_factory_or_procedure_raises_is_passed_on() -> None:
    def fail() -> None:
        raise LookupError('no database')

    with pytest.raises(LookupError, match='no database'):
        call(lambda db: None, factories={'db': fail})
    with pytest.raises(LookupError, match='no database'):
        call(fail)


def test_wants_request() -> None:
    assert CallPlan(lambda a, request: None).wants_request is True
    assert CallPlan(lambda *, request=None: None).wants_request is True
    assert CallPlan(lambda a, **request: None).wants_request is False
    assert CallPlan(lambda a, session: None).wants_request is False


# ---- Conversion ----------------------------------------------------------------------------------


def test_conversion_to_annotated_types() -> None:
    def procedure(a: int, b: float, *rest: int, c: list, **more: float) -> tuple:
        return a, b, rest, c, more

    assert call(procedure, '1', '2.5', '3', 4, c=(5,), d='6') == (1, 2.5, (3, 4), [5], {'d': 6.0})


def test_what_is_of_the_type_is_not_copied() -> None:
    class Whole(int):
        pass

    def procedure(a: int, b: list) -> tuple:
        return a, b

    values = [Whole(5), [1]]
    found = call(procedure, *values)
    assert found[0] is values[0]
    assert found[1] is values[1]


def test_no_conversion() -> None:
    def procedure(a: str, b: Any, c: 'int', d: list[int], e: object) -> tuple:
        return a, b, c, d, e

    assert call(procedure, 1, '2', '3', '4', '5') == (1, '2', '3', '4', '5')


@pytest.mark.parametrize('value', ['x', None, float('inf'), [1]])
def test_values_that_can_not_be_converted(value: Any) -> None:
    def plain(a: int) -> None: ...
    def variable(*many: int, **more: int) -> None: ...

    assert refusal(plain, value) == 'Argument a is not a valid int.'
    assert refusal(plain, a=value) == 'Argument a is not a valid int.'
    assert refusal(variable, 1, value) == 'Argument many is not a valid int.'
    assert refusal(variable, 1, x=value) == 'Argument x is not a valid int.'
    # The name is the caller's, and the answer has it twice.
    assert refusal(variable, 1, **{'x' * 1000: value}) == f'Argument {"x" * 200}... is not a valid int.'


@pytest.mark.parametrize('value', [0, 5, True, 10**9, -1])
def test_integers_are_not_binary_data(value: int) -> None:
    """To bytes() they would be a size, which a caller is not to choose."""

    class Key(bytes):
        pass

    for kind in bytes, bytearray, memoryview, Key:
        said = f'Argument a is not a valid {kind.__name__}.'

        def plain(a: kind) -> None: ...
        def variable(*a: kind, **more: kind) -> None: ...

        assert refusal(plain, value) == refusal(plain, a=value) == said
        assert refusal(variable, b'', value) == said
        assert refusal(variable, x=value) == f'Argument x is not a valid {kind.__name__}.'


def test_conversion_to_binary_data() -> None:
    def procedure(a: bytes, b: bytearray, c: memoryview) -> tuple:
        return a, b, c

    found = call(procedure, [1, 2], b'3', b'4')
    assert found == (b'\1\2', bytearray(b'3'), memoryview(b'4'))
    assert [type(value) for value in found] == [bytes, bytearray, memoryview]
    assert refusal(procedure, 'text') == 'Argument a is not a valid bytes.'


def test_the_reason_is_kept_as_the_cause() -> None:
    def plain(a: int) -> None: ...
    def variable(**more: int) -> None: ...

    for procedure in plain, variable:
        with pytest.raises(InvalidArgumentError) as refused:
            call(procedure, a='x')
        cause = refused.value.__cause__
        assert cause is not None
        if procedure is variable:
            cause = cause.__cause__
        assert isinstance(cause, ValueError)


def test_a_conversion_that_empties_the_arguments() -> None:
    run_isolated(
        """
        from support.calling import make_call
        from support.doubles import RecordingConnection
        from support.signatures import drive

        class Emptying(type):
            def __instancecheck__(self, value):
                # If nobody else holds the value, others take its place.
                del value
                kwargs.clear()
                others.extend(bytes([number]) * 100 for number in range(100))
                return False

        class Text(metaclass=Emptying):
            def __init__(self, value):
                self.value = value.decode()

        async def procedure(text: Text):
            return text.value

        others = []
        kwargs = {'text': b'-'.join([b'part'] * 20)}
        connection = RecordingConnection()
        drive(make_call(procedure, connection, kwargs=kwargs))
        assert connection.sent == [[50, 1, {}, ('-'.join(['part'] * 20),)]], connection.sent
        """
    )


# ---- Things that are no plain functions ----------------------------------------------------------


class Callme:
    def __call__(self, a: int, session: Any) -> tuple:
        return a, session

    def method(self, a: int, session: Any) -> tuple:
        return a, session


@pytest.mark.parametrize(
    'procedure',
    [Callme(), Callme().method, functools.partial(Callme().method, session='the session')],
)
def test_callables(procedure: Any) -> None:
    assert call(procedure, '5') == (5, 'the session')


def test_classes_are_callables() -> None:
    class Sum:
        def __init__(self, a: int) -> None:
            self.a = a

    assert call(Sum, '5').a == 5


def test_a_signature_that_can_not_be_read_is_said_at_the_call() -> None:
    plan = CallPlan(7)  # type: ignore[arg-type]
    assert plan.procedure == 7
    assert plan.wants_request is False
    for _ in range(3):
        with pytest.raises(TypeError, match='7 is not a callable object') as refused:
            plan.call(None, None, (), {}, {})
        # A failure that were one and the same object would grow with each caller's frames.
        assert len(list(traceback.walk_tb(refused.value.__traceback__))) <= 3


def test_a_parameter_that_has_no_hash_for_its_annotation() -> None:
    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(cls, other: object) -> bool:
            return cls is other

    class Annotation(metaclass=Unhashable):
        pass

    def procedure(a: Annotation) -> None: ...

    plan = CallPlan(procedure)
    with pytest.raises(TypeError, match='unhashable'):
        plan.call(None, None, (1,), {}, {})


def test_a_parameter_is_made_from_inspects() -> None:
    with pytest.raises(AttributeError):
        Parameter('a')
    assert isinstance(Parameter(inspect.Parameter('a', inspect.Parameter.KEYWORD_ONLY)), Parameter)


def test_factories_are_needed() -> None:
    with pytest.raises(TypeError):
        CallPlan(returns_all).call(None, None, (), {}, None)  # type: ignore[arg-type]


def test_arguments_are_not_kept() -> None:
    def procedure(a: Any, *rest: Any, b: Any, **more: Any) -> None: ...

    value = object()
    plan = CallPlan(procedure)
    gc.collect()
    before = sys.getrefcount(value)
    for _ in range(100):
        plan.call(value, value, (value, value), {'b': value, 'c': value}, {'d': object})
    gc.collect()
    assert sys.getrefcount(value) == before


# ---- The same as serverwamp's, whatever the signature and the call -------------------------------


def normalized(bound: dict[str, Any]) -> dict[str, str]:
    """Values by their types and looks: NaN is not equal to itself."""
    return {name: f'{type(value).__name__} {value!r}' for name, value in bound.items()}


def find_outcome(procedure: Procedure, run: Callable[[], Any]) -> Any:
    """Return the arguments the procedure was called with, or the error that took its place."""
    procedure.calls.clear()
    try:
        error = run()
    except Exception as raised:
        return type(raised).__name__, str(raised)
    if error is not None:
        assert not procedure.calls
        return error
    (bound,) = procedure.calls
    return normalized(bound)


class Server:
    """What stands for session and request on both sides."""

    def __repr__(self) -> str:
        return 'of the server'


def call_theirs(procedure: Procedure, args: list, kwargs: dict, default_args: dict) -> Any:
    router = TheirRouter()
    router.add_route('p', procedure.function)
    for name, value in default_args.items():
        router.set_default_arg(name, value)

    class Request(TheirRequest, Server):  # type: ignore[misc]
        __repr__ = Server.__repr__

    Request.__name__ = 'Server'
    request = Request(1, Server(), 'p', args, kwargs)
    result = drive(anext(router.handle_rpc_call(request)).__await__())
    if isinstance(result, TheirErrorResult):
        return result.error_uri, result.kwargs['message']
    return None


def call_ours(procedure: Procedure, args: list, kwargs: dict, default_args: dict) -> Any:
    factories = {name: lambda value=value: value for name, value in default_args.items()}
    plan = CallPlan(procedure.function)
    try:
        drive(plan.call(Server(), Server(), args, kwargs, factories))
    except InvalidArgumentError as error:
        return 'wamp.error.invalid_argument', str(error)
    return None


@given(procedures(), ARGS, KWARGS, DEFAULT_ARGS)
@settings(max_examples=1000, deadline=None)
def test_binds_as_serverwamp(
    procedure: Procedure, args: list, kwargs: dict, default_args: dict
) -> None:
    given_kwargs = dict(kwargs)
    expected = find_outcome(procedure, lambda: call_theirs(procedure, args, kwargs, default_args))
    found = find_outcome(procedure, lambda: call_ours(procedure, args, kwargs, default_args))
    assert found == expected, procedure.source
    assert list(kwargs) == list(given_kwargs), 'The arguments of the call are left as they are.'


@given(st.lists(st.integers(0, 9), max_size=3), st.data())
def test_plans_are_for_many_calls(args: list[int], data: st.DataObject) -> None:
    plan = CallPlan(define('a, *args, b: int = 7').function)
    for _ in range(3):
        kwargs = data.draw(KWARGS)
        try:
            coroutine = plan.call(None, None, args, kwargs, {})
        except InvalidArgumentError:
            continue
        again = plan.call(None, None, args, kwargs, {})
        frames = [normalized(dict(each.cr_frame.f_locals)) for each in (coroutine, again)]
        assert frames[0] == frames[1]
        coroutine.close()
        again.close()
