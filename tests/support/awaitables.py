"""Awaitables that follow a script, and ways to drive what awaits them: for comparing coroutines of two kinds.

`by_hand` is a coroutine that the core has written by hand, and `by_async_def` the same in Python.
"""

import asyncio
import sys
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from serverwamp_fast._core.session.sessions import SessionCore


class Sender:
    """A connection whose send_msg() is a given function."""

    def __init__(self, send_msg: Callable[[Any], Any]) -> None:
        self.send_msg = send_msg


def by_hand(make: Callable[[], Any]) -> Coroutine[Any, Any, None]:
    """A hand-written coroutine that awaits what `make` returns."""
    return SessionCore(Sender(lambda message: make()), None).send_raw(())


async def by_async_def(make: Callable[[], Any]) -> None:
    await make()


@dataclass(frozen=True)
class Move:
    """Yields `token`; an exception that comes back is dealt with in the way `reaction` says."""

    token: object
    reaction: str


@dataclass(frozen=True)
class Script:
    """What an awaitable does: its moves, and how it ends: with an exception of type `end`, or by returning it."""

    kind: str
    moves: tuple[Move, ...]
    end: Any


def play(script: Script, log: list[Any]) -> Generator[Any, Any, Any]:
    for move in script.moves:
        try:
            log.append(('received', (yield move.token)))
        except BaseException as error:
            log.append(('thrown', *describe(error)))
            if move.reaction == 'pass':
                raise
            if move.reaction == 'return':
                return 'early'
            if move.reaction == 'replace':
                raise LookupError('in place of it') from None
            if move.reaction == 'chain':
                raise LookupError('after it') from error
            if move.reaction == 'add':
                raise LookupError('on top of it')  # noqa: B904 (its context is what it is for)
        finally:
            log.append('passed')
    if isinstance(script.end, type):
        raise script.end('the end')
    return script.end


class OnlyNext:
    """An iterator with nothing but __next__(), as an awaitable written in C may have."""

    def __init__(self, generator: Generator[Any, Any, Any]) -> None:
        self.generator = generator

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self.generator)


class AllMethods(OnlyNext):
    """An iterator with all the methods that generators have."""

    def send(self, value: Any) -> Any:
        return self.generator.send(value)

    def throw(self, *error: Any) -> Any:
        return self.generator.throw(*error)

    def close(self) -> None:
        self.generator.close()


class Awaitable:
    def __init__(self, make_iterator: Callable[[], Any]) -> None:
        self.make_iterator = make_iterator

    def __await__(self) -> Any:
        return self.make_iterator()


async def await_it(awaitable: Any) -> Any:
    return await awaitable


def raise_now() -> Any:
    raise LookupError('before anything')


KINDS: dict[str, Callable[[Any], Any]] = {
    'coroutine': lambda generator: await_it(Awaitable(lambda: generator)),
    'generator': lambda generator: types.coroutine(lambda: (yield from generator))(),
    'object': lambda generator: Awaitable(lambda: generator),
    'iterator': lambda generator: Awaitable(lambda: AllMethods(generator)),
    'bare iterator': lambda generator: Awaitable(lambda: OnlyNext(generator)),
    'by hand': lambda generator: by_hand(lambda: Awaitable(lambda: generator)),
    'raises in await': lambda generator: Awaitable(raise_now),
    'raises at once': lambda generator: raise_now(),
    'stops in await': lambda generator: Awaitable(lambda: next(iter(()))),
    'stops at once': lambda generator: next(iter(())),
    'no iterator': lambda generator: Awaitable(lambda: 7),
    'coroutine as iterator': lambda generator: Awaitable(lambda: closed(await_it(None))),
    'not awaitable': lambda generator: 7,
    'plain generator': lambda generator: generator,
}


def closed(coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    coroutine.close()
    return coroutine


ERRORS: list[Any] = [
    ValueError,
    asyncio.CancelledError,
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
    RuntimeError,
]
# Until Python 3.11 a StopIteration that is thrown in was an error, since then it is the awaitable's result.
THROWN = ERRORS if sys.version_info >= (3, 12) else [e for e in ERRORS if e is not StopIteration]
SCRIPTS = st.builds(
    Script,
    st.sampled_from([*list(KINDS)[:6] * 3, *list(KINDS)[6:]]),
    st.lists(
        st.builds(
            Move,
            st.sampled_from([None, 'token', 1]),
            st.sampled_from(['pass', 'swallow', 'return', 'replace', 'chain', 'add']),
        ),
        max_size=4,
    ).map(tuple),
    st.one_of(st.sampled_from([None, 'result', 0, (1, 2)]), st.sampled_from(ERRORS)),
)
# (what to do, with what)
ACTS = st.one_of(
    st.tuples(st.just('send'), st.just(None)),
    st.tuples(st.just('send'), st.sampled_from([None, 'value', 0])),
    st.tuples(st.just('throw'), st.sampled_from(THROWN)),
    # CPython 3.13 fails with SystemError where a class GeneratorExit makes an awaitable raise on being closed.
    st.tuples(
        st.sampled_from(['throw class', 'throw three']),
        st.sampled_from(THROWN).filter(lambda error: error is not GeneratorExit),
    ),
    st.tuples(st.just('close'), st.just(None)),
)


def describe(error: BaseException | None) -> tuple[Any, ...]:
    """An exception and those behind it, for comparison."""
    if error is None:
        return ()
    behind = error.__cause__ if error.__suppress_context__ else error.__context__
    # The text that CPython has for what can't be awaited differs between its versions.
    text = '' if isinstance(error, (TypeError, AttributeError)) else str(error)
    return type(error).__name__, text, error.__suppress_context__, *describe(behind)


def act(coroutine: Any, what: str, value: Any) -> Any:
    if what == 'send':
        return 'yielded', coroutine.send(value)
    if what == 'close':
        return 'closed', coroutine.close()
    if what == 'throw class':
        return 'yielded', coroutine.throw(value)
    if what == 'throw three':
        return 'yielded', coroutine.throw(value, value('thrown'), None)
    return 'yielded', coroutine.throw(value('thrown'))


def perform(coroutine: Any, acts: list[tuple[str, Any]], while_handling: bool) -> list[Any]:
    """Drive a coroutine and return what each act led to."""
    outcomes: list[Any] = []
    # Nothing is left suspended, to be ended by the garbage collector during another test.
    for what, value in [*acts, *[('close', None)] * 5]:
        try:
            if while_handling:
                try:
                    raise ArithmeticError('of the caller')
                except ArithmeticError:
                    outcomes.append(act(coroutine, what, value))
            else:
                outcomes.append(act(coroutine, what, value))
        except StopIteration as stop:
            outcomes.append(('returned', stop.value))
        except BaseException as error:
            outcomes.append(('raised', *describe(error)))
    return outcomes
