"""Async support on asyncio and uvloop."""

import asyncio
import contextvars
import gc
import logging

import pytest

from serverwamp_fast.adapters.asyncio import (
    HAS_EAGER_TASKS,
    AsyncioAsyncSupport,
    AsyncioTaskGroup,
)


def test_a_group_runs_tasks_with_their_arguments(run) -> None:
    calls = []

    async def work(*args, **kwargs):
        calls.append((args, kwargs))

    async def main() -> None:
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            assert type(tasks) is AsyncioTaskGroup
            assert await tasks.spawn(work) is None
            await tasks.spawn(work, 1, 2, key='value')
        assert calls == [((), {}), ((1, 2), {'key': 'value'})]

    run(main())


def test_a_group_waits_for_tasks_and_for_theirs(run) -> None:
    order = []

    async def grow(tasks, depth):
        await asyncio.sleep(0)
        if depth:
            # The group is waiting, and takes tasks nevertheless.
            await tasks.spawn(grow, tasks, depth - 1)
        order.append(depth)

    async def main() -> None:
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn(grow, tasks, 3)
        assert order == [3, 2, 1, 0]

    run(main())


def test_cancelled_tasks_end_without_an_error(run) -> None:
    cancelled = []

    async def wait_for_ever(name):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    async def work():
        cancelled.append('not')

    async def main() -> None:
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn(wait_for_ever, 1)
            await tasks.spawn(wait_for_ever, 2)
            await asyncio.sleep(0)
            assert await tasks.cancel() is None
            # The group goes on, and so does who runs in it.
            await tasks.spawn(work)
        assert sorted(cancelled, key=str) == [1, 2, 'not']

    run(main())


def test_a_group_forgets_tasks_that_are_done(run) -> None:
    async def work():
        pass

    async def main() -> None:
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn(work)
            (task,) = tasks._tasks
            await task
            await asyncio.sleep(0)
            assert not tasks._tasks
            await tasks.cancel()

    run(main())


def test_a_failure_cancels_the_others_and_leaves_in_a_group(run) -> None:
    cancelled = []

    async def fail():
        raise ValueError('failed')

    async def wait_for_ever():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            async with AsyncioAsyncSupport.launch_task_group() as tasks:
                await tasks.spawn(wait_for_ever)
                await tasks.spawn(fail)
                await asyncio.get_running_loop().create_future()
        assert [type(error) for error in raised.value.exceptions] == [ValueError]
        assert cancelled == [True]

    run(main())


def test_a_failing_group_drops_tasks_silently(run) -> None:
    ran = []

    async def fail():
        raise ValueError('failed')

    async def work():
        ran.append(True)

    async def spawn_late(tasks):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await tasks.spawn(work)
            raise

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            async with AsyncioAsyncSupport.launch_task_group() as tasks:
                await tasks.spawn(spawn_late, tasks)
                await tasks.spawn(fail)
        # ValueError alone: the late spawn() raised nothing.
        assert [type(error) for error in raised.value.exceptions] == [ValueError]
        assert not ran

    run(main())
    gc.collect()  # A coroutine that was never awaited would warn now.


@pytest.mark.parametrize('failing', [False, True])
def test_a_closed_group_refuses_tasks(run, failing: bool) -> None:
    async def work():
        if failing:
            raise ValueError('failed')

    async def main() -> None:
        try:
            async with AsyncioAsyncSupport.launch_task_group() as tasks:
                await tasks.spawn(work)
        except* ValueError:
            pass
        with pytest.raises(RuntimeError):
            await tasks.spawn(work)
        await tasks.cancel()

    run(main())
    gc.collect()


def test_eager_tasks_run_their_first_step_at_once(run) -> None:
    steps = []

    async def work(gate):
        steps.append(asyncio.current_task())
        await gate.wait()
        steps.append(asyncio.current_task())

    async def main() -> None:
        gate = asyncio.Event()
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn_eagerly(work(gate))
            if HAS_EAGER_TASKS:
                assert len(steps) == 1
            gate.set()
        first, second = steps
        assert first is second
        assert first not in (None, asyncio.current_task())

    run(main())


@pytest.mark.parametrize('has_factory', [False, True])
def test_one_task_is_cancelled(run, has_factory: bool) -> None:
    ended = []

    async def work(name):
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            ended.append(name)
        ended.append(f'{name} went on')

    async def nothing():
        pass

    async def main() -> None:
        if has_factory:
            run.loop.set_task_factory(lambda loop, coroutine, **kwargs: asyncio.Task(coroutine, loop=loop, **kwargs))
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            cancel = await tasks.spawn_cancellable(work('cancelled'))
            await tasks.spawn_cancellable(work('other'))
            await asyncio.sleep(0)
            cancel()
            if HAS_EAGER_TASKS and not has_factory:
                assert await tasks.spawn_cancellable(nothing()) is None
        assert sorted(ended) == ['cancelled', 'other', 'other went on']

    run(main())


def test_eager_tasks_are_left_to_the_loops_own_factory(run) -> None:
    made = []

    def make(loop, coroutine, **options):
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def work():
        pass

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(make)
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn_eagerly(work())
        assert len(made) == 1

    run(main())


@pytest.mark.parametrize('has_begun', [False, True])
def test_eager_tasks_are_cancelled_and_waited_for(run, has_begun: bool) -> None:
    ended = []

    async def work():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def main() -> None:
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn_eagerly(work())
            if has_begun:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            await tasks.cancel()
        # On Python 3.11 the first step comes later, and what it has not begun it can't end.
        assert ended == ([True] if HAS_EAGER_TASKS or has_begun else [])

    run(main())
    gc.collect()


@pytest.mark.parametrize('waits', [False, True])
def test_a_failure_of_an_eager_task_leaves_in_a_group(run, waits: bool) -> None:
    async def fail():
        if waits:
            await asyncio.sleep(0)
        raise ValueError('failed')

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            async with AsyncioAsyncSupport.launch_task_group() as tasks:
                await tasks.spawn_eagerly(fail())
                await asyncio.get_running_loop().create_future()
        assert [type(error) for error in raised.value.exceptions] == [ValueError]

    run(main())


def test_a_failing_group_cancels_eager_tasks(run) -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def wait_for_ever():
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async def fail():
            raise ValueError('failed')

        async def spawn_late(tasks):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                await tasks.spawn_eagerly(wait_for_ever())
                raise

        with pytest.raises(ExceptionGroup) as raised:
            async with AsyncioAsyncSupport.launch_task_group() as tasks:
                await tasks.spawn(spawn_late, tasks)
                await tasks.spawn(fail)
        assert [type(error) for error in raised.value.exceptions] == [ValueError]
        if HAS_EAGER_TASKS:
            await cancelled.wait()

    run(main())
    gc.collect()


def test_a_closed_group_refuses_eager_tasks(run) -> None:
    async def work():
        raise AssertionError('run by a closed group')

    async def main() -> None:
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            pass
        with pytest.raises(RuntimeError):
            await tasks.spawn_eagerly(work())

    run(main())
    gc.collect()


def test_a_shielded_call_returns_what_it_calls(run) -> None:
    async def work(*args, **kwargs):
        await asyncio.sleep(0)
        return args, kwargs

    async def fail():
        raise ValueError('failed')

    async def main() -> None:
        assert await AsyncioAsyncSupport.shield(work, 1, key=2) == ((1,), {'key': 2})
        with pytest.raises(ValueError, match='failed'):
            await AsyncioAsyncSupport.shield(fail)

    run(main())


def test_a_shielded_call_outlives_its_caller(run) -> None:
    async def main() -> None:
        entered, gate, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def work():
            entered.set()
            await gate.wait()
            done.set()

        caller = asyncio.create_task(AsyncioAsyncSupport.shield(work))
        await entered.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        del caller
        # Nobody but the support knows the task now.
        gc.collect()
        gate.set()
        await done.wait()

    run(main())


def test_a_timer_calls_in_a_task_with_the_callers_context(run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar('variable')

    async def main() -> None:
        called = asyncio.get_running_loop().create_future()

        async def callback():
            await asyncio.sleep(0)
            called.set_result((asyncio.current_task(), variable.get()))

        variable.set('of the caller')
        cancel = AsyncioAsyncSupport.call_later(0.001, callback)
        task, value = await called
        assert task is not asyncio.current_task()
        assert value == 'of the caller'
        assert cancel() is None

    run(main())


def test_a_cancelled_timer_does_not_call(run) -> None:
    async def main() -> None:
        calls = []
        later = asyncio.Event()

        async def call():
            calls.append(True)

        async def call_second():
            later.set()

        cancel = AsyncioAsyncSupport.call_later(0.001, call)
        assert cancel() is None
        assert cancel() is None
        AsyncioAsyncSupport.call_later(0.002, call_second)
        await later.wait()
        assert not calls

    run(main())


def test_a_call_that_has_begun_is_not_cancelled(run) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def callback():
            cancel()
            await asyncio.sleep(0)
            ended.set()

        cancel = AsyncioAsyncSupport.call_later(0, callback)
        await ended.wait()

    run(main())


def test_what_a_timers_call_raises_is_logged(run, caplog) -> None:
    async def main() -> None:
        failed = asyncio.Event()

        async def callback():
            failed.set()
            raise ValueError('late and wrong')

        AsyncioAsyncSupport.call_later(0, callback)
        await failed.wait()
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR):
        run(main())
    (record,) = caplog.records
    assert record.name == 'serverwamp_fast.adapters.asyncio'
    assert 'late and wrong' in record.exc_text
