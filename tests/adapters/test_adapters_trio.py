"""Async support on trio."""

import contextvars
import gc
import importlib
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

trio = pytest.importorskip('trio', reason='trio is not installed')
importlib.import_module('trio.testing')

from serverwamp_fast.adapters.trio import (  # noqa: E402
    TrioAsyncSupport,
    TrioTaskGroup,
    shield_sends,
)


def run(main: Callable[[], Awaitable[Any]]) -> None:
    """Runs on a clock that jumps to the next deadline when there is nothing else to do."""

    async def bounded() -> None:
        with trio.fail_after(3600):
            await main()

    trio.run(bounded, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_group_runs_tasks_with_their_arguments() -> None:
    calls = []

    async def work(*args, **kwargs):
        await trio.sleep(1)
        calls.append((args, kwargs))

    async def main() -> None:
        async with TrioAsyncSupport.launch_task_group() as tasks:
            assert type(tasks) is TrioTaskGroup
            assert await tasks.spawn(work) is None
            await tasks.spawn(work, 1, 2, key='value')
        assert sorted(calls) == [((), {}), ((1, 2), {'key': 'value'})]

    run(main)


def test_coroutines_are_spawned_too() -> None:
    calls = []

    async def work():
        await trio.lowlevel.checkpoint()
        calls.append(True)

    async def main() -> None:
        async with TrioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn_eagerly(work())
        assert calls == [True]
        with pytest.raises(RuntimeError):
            await tasks.spawn_eagerly(work())

    run(main)
    gc.collect()  # A coroutine that was never awaited would warn now.


def test_one_task_is_cancelled() -> None:
    ended = []

    async def work(name):
        try:
            await trio.sleep(1)
        finally:
            ended.append((name, trio.current_time()))

    async def main() -> None:
        start = trio.current_time()
        async with TrioAsyncSupport.launch_task_group() as tasks:
            cancel = await tasks.spawn_cancellable(work('cancelled'))
            await tasks.spawn_cancellable(work('other'))
            await trio.testing.wait_all_tasks_blocked()
            cancel()
            cancel()
        assert ended == [('cancelled', start), ('other', start + 1)]
        with pytest.raises(RuntimeError):
            await tasks.spawn_cancellable(work('late'))

    run(main)
    gc.collect()  # A coroutine that was never awaited would warn now.


def test_a_cancelled_group_ends_without_an_error() -> None:
    async def main() -> None:
        async with TrioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn(trio.sleep_forever)
            assert await tasks.cancel() is None
        with pytest.raises(RuntimeError):
            await tasks.spawn(trio.sleep_forever)

    run(main)


def test_a_failure_cancels_the_others_and_leaves_in_a_group() -> None:
    async def fail():
        raise ValueError('failed')

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            async with TrioAsyncSupport.launch_task_group() as tasks:
                await tasks.spawn(trio.sleep_forever)
                await tasks.spawn(fail)
        assert [type(error) for error in raised.value.exceptions] == [ValueError]

    run(main)


def test_a_shielded_call_ends_before_its_caller_is_cancelled() -> None:
    ended = []

    async def work(*args, **kwargs):
        await trio.sleep(1)
        ended.append((args, kwargs))
        return 'result'

    async def main() -> None:
        assert await TrioAsyncSupport.shield(work, 1, key=2) == 'result'
        with trio.CancelScope() as scope:
            scope.cancel()
            await TrioAsyncSupport.shield(work, 3)
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert ended == [((1,), {'key': 2}), ((3,), {})]

    run(main)


def test_a_timer_calls_after_its_delay_in_the_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar('variable')

    async def main() -> None:
        called = trio.Event()
        seen = []

        async def callback():
            await trio.sleep(1)
            seen.append((trio.current_time(), variable.get()))
            called.set()

        variable.set('of the caller')
        start = trio.current_time()
        cancel = TrioAsyncSupport.call_later(10, callback)
        await called.wait()
        assert seen == [(start + 11, 'of the caller')]
        assert cancel() is None

    run(main)


def test_a_timer_outlives_the_task_that_set_it() -> None:
    async def main() -> None:
        called = trio.Event()

        async def callback():
            called.set()

        async def set_timer():
            TrioAsyncSupport.call_later(5, callback)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(set_timer)
        assert not called.is_set()
        await called.wait()

    run(main)


@pytest.mark.parametrize('delay', [0, -1])
def test_a_timer_without_delay_calls_soon(delay: int) -> None:
    async def main() -> None:
        called = trio.Event()

        async def callback():
            called.set()

        TrioAsyncSupport.call_later(delay, callback)
        await called.wait()

    run(main)


@pytest.mark.parametrize('delay', [0, 1, math.inf])
def test_a_cancelled_timer_does_not_call(delay: float) -> None:
    async def main() -> None:
        calls = []

        async def callback():
            calls.append(True)

        cancel = TrioAsyncSupport.call_later(delay, callback)
        assert cancel() is None
        assert cancel() is None
        await trio.sleep(100)
        assert not calls

    run(main)


def test_a_call_that_has_begun_is_not_cancelled() -> None:
    async def main() -> None:
        ended = trio.Event()

        async def callback():
            cancel()
            await trio.sleep(1)
            ended.set()

        cancel = TrioAsyncSupport.call_later(1, callback)
        await ended.wait()

    run(main)


def test_what_a_timers_call_raises_is_logged(caplog) -> None:
    async def callback():
        raise ValueError('late and wrong')

    async def main() -> None:
        TrioAsyncSupport.call_later(1, callback)
        # Whoever raises in a system task ends trio.
        await trio.sleep(2)

    with caplog.at_level(logging.ERROR):
        run(main)
    (record,) = caplog.records
    assert record.name == 'serverwamp_fast.adapters.trio'
    assert 'late and wrong' in record.exc_text


def test_trio_may_end_before_a_timer_does() -> None:
    async def callback():
        raise AssertionError('called after the end')

    async def main() -> None:
        TrioAsyncSupport.call_later(1, callback)

    run(main)


def test_shielded_sends_are_whole() -> None:
    sent = []

    async def send(data, *, text):
        sent.append('begin')
        await trio.sleep(1)
        sent.append((data, text))
        return 'sent'

    async def main() -> None:
        shielded = shield_sends(send)
        assert await shielded(b'1', text=True) == 'sent'
        assert sent == ['begin', (b'1', True)]

        with trio.move_on_after(0.5) as scope:
            await shielded(b'2', text=False)
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert sent[2:] == ['begin', (b'2', False)]

        # Cancelled before, it doesn't begin.
        with trio.CancelScope() as scope:
            scope.cancel()
            await shielded(b'3', text=False)
        assert scope.cancelled_caught
        assert len(sent) == 4

    run(main)
