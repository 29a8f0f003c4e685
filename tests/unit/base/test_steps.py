"""_core.base.steps: coroutines written by hand behave as those that `async def` makes.

`session.send_raw(message)` is the smallest of them: it awaits what the connection's send_msg() returns, so that
any awaitable can be put into one. Beside it runs `async def`, and nobody may see a difference.
"""

import asyncio
import collections.abc
import contextlib
import inspect
import sys
from collections.abc import Callable
from traceback import walk_tb
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.awaitables import (
    ACTS,
    KINDS,
    SCRIPTS,
    Awaitable,
    Script,
    await_it,
    by_async_def,
    by_hand,
    perform,
    play,
)
from support.isolated import run_isolated

from serverwamp_fast._core.base.steps import Steps

both_kinds = pytest.mark.parametrize('coroutine_function', [by_hand, by_async_def])


# `nested` puts an `async def` around it, `handling` drives it while an exception is being handled. Not both: a
# compiled function with a try in it notes what its caller's caller handles as if its caller did.
@given(SCRIPTS, st.lists(ACTS, max_size=7), st.sampled_from(['', 'nested', 'handling']))
@settings(max_examples=2000, deadline=None)
@pytest.mark.filterwarnings('ignore:the .* signature of throw:DeprecationWarning')
@pytest.mark.filterwarnings('ignore:coroutine .* was never awaited:RuntimeWarning')
def test_behaves_as_async_def(script: Script, acts: list[tuple[str, Any]], way: str) -> None:
    assume(way != 'handling' or script.kind != 'by hand')
    found, expected = (
        observe(coroutine_function, script, acts, way)
        for coroutine_function in (by_hand, by_async_def)
    )
    assert found == expected


def observe(
    coroutine_function: Callable[..., Any], script: Script, acts: list[tuple[str, Any]], way: str
) -> tuple[list[Any], list[Any]]:
    """Return what came out of a coroutine, and what its awaitable saw."""
    log: list[Any] = []
    generator = play(script, log)
    coroutine = coroutine_function(lambda: KINDS[script.kind](generator))
    if way == 'nested':
        coroutine = await_it(coroutine)
    outcomes, seen = perform(coroutine, acts, way == 'handling'), list(log)
    # The script may outlive the coroutine. It is ended here, so that nothing escapes from its garbage collection.
    while generator.gi_frame is not None:
        with contextlib.suppress(BaseException):
            generator.close()
    return outcomes, seen


# ---- One thing after the other -------------------------------------------------------------------


def one_yield() -> Any:
    return Awaitable(lambda: iter(['token']))


@both_kinds
def test_value_travels_both_ways(coroutine_function: Callable[..., Any]) -> None:
    received = []

    def exchange() -> Any:
        received.append((yield 'first'))
        received.append((yield 'second'))

    coroutine = coroutine_function(lambda: Awaitable(exchange))
    assert coroutine.send(None) == 'first'
    assert coroutine.send('reply') == 'second'
    with pytest.raises(StopIteration) as stop:
        coroutine.send('last')
    assert stop.value.value is None
    assert received == ['reply', 'last']


@both_kinds
def test_can_not_be_used_twice(coroutine_function: Callable[..., Any]) -> None:
    coroutine = coroutine_function(one_yield)
    coroutine.send(None)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    for use in (
        lambda: coroutine.send(None),
        lambda: coroutine.throw(ValueError()),
        lambda: await_it(coroutine).send(None),
    ):
        with pytest.raises(RuntimeError, match='cannot reuse already awaited coroutine'):
            use()
    assert coroutine.close() is None


@both_kinds
def test_starts_with_none(coroutine_function: Callable[..., Any]) -> None:
    coroutine = coroutine_function(one_yield)
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        coroutine.send('value')
    # That was a mistake of the driver; the coroutine has not begun.
    assert coroutine.send(None) == 'token'
    coroutine.close()


@both_kinds
def test_an_exception_before_the_start_ends_it(coroutine_function: Callable[..., Any]) -> None:
    made = []
    coroutine = coroutine_function(lambda: made.append(1))
    with pytest.raises(ValueError, match='early'):
        coroutine.throw(ValueError('early'))
    with pytest.raises(RuntimeError, match='cannot reuse'):
        coroutine.send(None)
    assert not made


@both_kinds
def test_closed_before_the_start(coroutine_function: Callable[..., Any]) -> None:
    made = []
    coroutine = coroutine_function(lambda: made.append(1))
    coroutine.close()
    coroutine.close()
    with pytest.raises(RuntimeError, match='cannot reuse'):
        coroutine.send(None)
    assert not made


@both_kinds
@pytest.mark.parametrize('method', ['send', 'throw', 'close'])
def test_can_not_be_driven_from_within(
    coroutine_function: Callable[..., Any], method: str
) -> None:
    coroutine: Any = None
    refused = []

    def exchange() -> Any:
        argument = {'send': (None,), 'throw': (LookupError(),), 'close': ()}[method]
        for _ in range(2):
            with pytest.raises(ValueError, match='coroutine already executing'):
                getattr(coroutine, method)(*argument)
            refused.append(method)
            yield 'token'

    coroutine = coroutine_function(lambda: Awaitable(exchange))
    assert coroutine.send(None) == 'token'
    # It goes on as if nothing had been.
    assert coroutine.send(None) == 'token'
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert refused == [method] * 2


@both_kinds
def test_what_is_thrown_arrives_as_it_is(coroutine_function: Callable[..., Any]) -> None:
    arrived = []

    def exchange() -> Any:
        try:
            yield 'token'
        except LookupError as error:
            arrived.append(error)
            raise

    coroutine = coroutine_function(lambda: Awaitable(exchange))
    coroutine.send(None)
    error = LookupError('thrown')
    with pytest.raises(LookupError) as caught:
        coroutine.throw(error)
    assert arrived == [error]
    assert caught.value is error
    assert error.__context__ is None


@both_kinds
@pytest.mark.filterwarnings('ignore:the .* signature of throw:DeprecationWarning')
def test_all_forms_of_throw(coroutine_function: Callable[..., Any]) -> None:
    traceback = find_traceback()
    for error in (
        (LookupError,),
        (LookupError, 'text'),
        (LookupError, LookupError('text')),
        (LookupError, LookupError('text'), traceback),
        (LookupError('text'), None, traceback),
    ):
        coroutine = coroutine_function(one_yield)
        coroutine.send(None)
        with pytest.raises(LookupError) as caught:
            coroutine.throw(*error)
        if 'text' in str(error):
            assert str(caught.value) == 'text'
        if traceback in error:
            frames = [frame for frame, line in walk_tb(caught.value.__traceback__)]
            assert find_traceback.__code__ in [frame.f_code for frame in frames]


def find_traceback() -> Any:
    try:
        raise ArithmeticError
    except ArithmeticError as error:
        return error.__traceback__


@both_kinds
def test_an_awaitable_that_ignores_being_closed(coroutine_function: Callable[..., Any]) -> None:
    def exchange() -> Any:
        while True:
            with contextlib.suppress(GeneratorExit):
                yield 'token'
                return

    generator = exchange()
    coroutine = coroutine_function(lambda: Awaitable(lambda: generator))
    coroutine.send(None)
    with pytest.raises(RuntimeError, match='ignored GeneratorExit'):
        coroutine.close()
    # The coroutine is over all the same.
    with pytest.raises(RuntimeError, match='cannot reuse'):
        coroutine.send(None)
    with pytest.raises(StopIteration):
        generator.send(None)


def test_the_base_class_has_nothing_to_do() -> None:
    coroutine = Steps()
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value is None
    assert list(Steps()) == []


def test_iteration_drives_it() -> None:
    coroutine = by_hand(lambda: Awaitable(lambda: iter('abc')))
    assert coroutine.__await__() is iter(coroutine) is coroutine
    assert list(coroutine) == ['a', 'b', 'c']


# ---- What the outside looks at -------------------------------------------------------------------


def test_is_a_coroutine() -> None:
    coroutine = by_hand(one_yield)
    assert isinstance(coroutine, collections.abc.Coroutine)
    assert isinstance(coroutine, collections.abc.Awaitable)
    assert asyncio.iscoroutine(coroutine)
    assert inspect.isawaitable(coroutine)
    assert (coroutine.__name__, coroutine.__qualname__) == ('Sending', 'Sending')
    coroutine.close()


@both_kinds
def test_state(coroutine_function: Callable[..., Any]) -> None:
    states = []
    coroutine: Any = None

    def exchange() -> Any:
        states.append(inspect.getcoroutinestate(coroutine))
        assert coroutine.cr_running
        yield

    generator = exchange()
    coroutine = coroutine_function(lambda: Awaitable(lambda: generator))
    assert not coroutine.cr_running
    assert not coroutine.cr_suspended
    assert coroutine.cr_await is None
    coroutine.send(None)
    # What is written by hand has the count of what is being sent in between.
    awaited = coroutine.cr_await
    assert awaited is generator or awaited.cr_await is generator
    assert coroutine.cr_suspended
    states.append(inspect.getcoroutinestate(coroutine))
    coroutine.close()
    assert coroutine.cr_await is None
    states.append(inspect.getcoroutinestate(coroutine))
    assert states == [inspect.CORO_RUNNING, inspect.CORO_SUSPENDED, inspect.CORO_CLOSED]


def test_shows_the_frame_of_what_it_awaits() -> None:
    coroutine = by_hand(lambda: await_it(one_yield()))
    assert coroutine.cr_frame is None
    assert coroutine.cr_code is None
    coroutine.send(None)
    assert coroutine.cr_code is await_it.__code__
    assert coroutine.cr_frame.f_code is await_it.__code__
    coroutine.close()
    assert coroutine.cr_frame is None


# ---- Nothing is kept -----------------------------------------------------------------------------


def test_no_references_are_kept() -> None:
    class Token:
        pass

    token, error = Token(), LookupError('thrown')

    def exchange() -> Any:
        with contextlib.suppress(LookupError):
            yield token
        return token

    def use() -> None:
        coroutine = by_hand(lambda: Awaitable(exchange))
        assert coroutine.send(None) is token
        with contextlib.suppress(StopIteration):
            coroutine.throw(error)
        coroutine = by_hand(lambda: Awaitable(lambda: iter([token])))
        assert coroutine.send(None) is token
        with contextlib.suppress(LookupError):
            coroutine.throw(error)
        coroutine = by_hand(lambda: Awaitable(exchange))
        coroutine.send(None)
        coroutine.close()
        error.__traceback__ = error.__context__ = None

    use()
    before = sys.getrefcount(token), sys.getrefcount(error)
    for _ in range(100):
        use()
    assert (sys.getrefcount(token), sys.getrefcount(error)) == before


def test_a_dropped_coroutine_ends_what_it_awaits() -> None:
    ended = []

    async def wait() -> None:
        try:
            await one_yield()
        finally:
            ended.append('closed')

    coroutine = by_hand(wait)
    coroutine.send(None)
    del coroutine
    assert ended == ['closed']


def test_a_cycle_is_collected() -> None:
    run_isolated(
        """
        import gc, weakref
        from support.awaitables import Awaitable, by_hand

        class Token:
            pass

        gc.disable()
        token = Token()
        coroutine = None
        def exchange():
            held = coroutine, token
            yield
        coroutine = by_hand(lambda: Awaitable(exchange))
        coroutine.send(None)
        seen = weakref.ref(token)
        del token, coroutine
        gc.collect()
        assert seen() is None
        """
    )


def test_memory_does_not_grow() -> None:
    run_isolated(
        """
        import asyncio, contextlib, gc, sys
        from support.awaitables import Awaitable, by_hand

        class Unawaitable:
            def __await__(self):
                return 7

        def exchange():
            for _ in range(3):
                try:
                    received = yield [1]
                except ValueError:
                    pass
            return [2]

        def use():
            coroutine = by_hand(lambda: Awaitable(exchange))
            coroutine.send(None)
            coroutine.throw(ValueError())
            coroutine.send([3])
            with contextlib.suppress(StopIteration):
                coroutine.send(None)
            with contextlib.suppress(RuntimeError):
                coroutine.send(None)
            for make in (lambda: 7, lambda: Unawaitable(), lambda: [][0], lambda: next(iter(()))):
                with contextlib.suppress(Exception):
                    by_hand(make).send(None)
            with contextlib.suppress(KeyError):
                by_hand(exchange).throw(KeyError('unused'))
            for error in ValueError('x'), GeneratorExit(), StopIteration(), asyncio.CancelledError():
                for iterator in exchange, lambda: iter([1, 2]):
                    coroutine = by_hand(lambda: Awaitable(iterator))
                    coroutine.send(None)
                    with contextlib.suppress(BaseException):
                        coroutine.throw(error)
            coroutine = by_hand(lambda: Awaitable(exchange))
            coroutine.send(None)
            coroutine.close()
            by_hand(exchange).close()

        check_growth(use)
        """
    )
