"""_core.dealer.calls: a Call goes through what its procedure awaits as the same code written with `async def` does."""

import contextlib
import inspect
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.awaitables import ACTS, KINDS, SCRIPTS, Script, perform, play
from support.calling import make_call

from serverwamp_fast.errors import ConnectionClosed


def is_thrown_away(error: BaseException) -> bool:
    """Whether the coroutine is being closed; a GeneratorExit of the scripts themselves is an error like others."""
    return isinstance(error, GeneratorExit) and str(error) != 'the end'


async def call_by_async_def(procedure: Callable[[], Any], send: Callable[[str], Any]) -> None:
    """What a Call does."""
    try:
        await procedure()
    except (KeyboardInterrupt, SystemExit):
        raise
    except (Exception, GeneratorExit) as error:
        if is_thrown_away(error):
            raise
        answer = 'error'
    except BaseException as cancellation:
        try:
            await send('canceled')
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if is_thrown_away(error):
                raise
        raise cancellation from None
    else:
        answer = 'result'
    try:
        await send(answer)
    except ConnectionClosed:
        return
    except (Exception, GeneratorExit) as error:
        if is_thrown_away(error):
            raise
        try:
            await send('error')
        except (Exception, GeneratorExit) as second:
            if is_thrown_away(second):
                raise


class Early:
    """`call_by_async_def`, for which what is thrown in before its first step is raised by the procedure."""

    def __init__(self, procedure: Callable[[], Any], send: Callable[[str], Any]) -> None:
        self.send_answer = send
        self.coroutine = call_by_async_def(procedure, send)

    def send(self, value: Any) -> Any:
        return self.coroutine.send(value)

    def throw(self, kind: Any, *rest: Any) -> Any:
        error = rest[0] if rest else kind() if isinstance(kind, type) else kind
        if inspect.getcoroutinestate(self.coroutine) != 'CORO_CREATED' or isinstance(error, GeneratorExit):
            return self.coroutine.throw(kind, *rest)

        def raise_early() -> None:
            raise error

        self.coroutine.close()
        self.coroutine = call_by_async_def(raise_early, self.send_answer)
        return self.coroutine.send(None)

    def close(self) -> None:
        self.coroutine.close()


NAMES = {
    'wamp.error.runtime_error': 'error',
    'wamp.error.canceled': 'canceled',
}


def without_contexts(outcomes: list[Any]) -> list[Any]:
    return [outcome[:3] if outcome[0] == 'raised' else outcome for outcome in outcomes]


STAGES = st.lists(SCRIPTS, min_size=3, max_size=3)


@given(STAGES, st.lists(ACTS, max_size=12))
@settings(max_examples=1500, deadline=None)
@pytest.mark.filterwarnings('ignore:the .* signature of throw:DeprecationWarning')
@pytest.mark.filterwarnings('ignore:coroutine .* was never awaited:RuntimeWarning')
def test_behaves_as_async_def(scripts: list[Script], acts: list[tuple[str, Any]]) -> None:
    logging.disable()
    try:
        found = observe(by_hand, scripts, acts)
        expected = observe(Early, scripts, acts)
    finally:
        logging.disable(logging.NOTSET)
    assert found == expected


def by_hand(procedure: Callable[[], Any], send: Callable[[str], Any]) -> Any:
    def send_msg(msg: Any) -> Any:
        return send('result' if msg[0] == 50 else NAMES[msg[4]])

    return make_call(procedure, SimpleNamespace(send_msg=send_msg))


def observe(make: Callable[..., Any], scripts: list[Script], acts: list[Any]) -> tuple:
    log: list[Any] = []
    generators = [play(script, log) for script in scripts]
    stages = [
        KINDS[script.kind] if script.kind != 'by hand' else KINDS['object'] for script in scripts
    ]

    def procedure() -> Any:
        return stages[0](generators[0])

    sends = iter((1, 2))

    def send(what: str) -> Any:
        log.append(what)
        at = next(sends)
        return stages[at](generators[at])

    outcomes = perform(make(procedure, send), acts, False), list(log)
    for generator in generators:
        while generator.gi_frame is not None:
            with contextlib.suppress(BaseException):
                generator.close()
    return without_contexts(outcomes[0]), outcomes[1]
