"""_core.base.steps: coroutines written by hand as tasks of asyncio, uvloop, trio and anyio."""

import asyncio
import contextvars
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio
import trio.lowlevel
import trio.testing
from conftest import LoopRunner
from support.awaitables import await_it, by_async_def, by_hand

both_kinds = pytest.mark.parametrize('coroutine_function', [by_hand, by_async_def])



def test_a_task_shows_where_it_waits(run: LoopRunner) -> None:
    async def wait_for(future: asyncio.Future[None]) -> None:
        await future

    async def main() -> None:
        future = run.loop.create_future()
        task = run.loop.create_task(by_hand(lambda: wait_for(future)))
        await asyncio.sleep(0)
        assert 'Sending()' in repr(task)
        assert [frame.f_code for frame in task.get_stack()] == [wait_for.__code__]
        future.set_result(None)
        await task

    run(main())


@both_kinds
def test_awaits_futures(run: LoopRunner, coroutine_function: Callable[..., Any]) -> None:
    async def main() -> None:
        future = run.loop.create_future()
        task = run.loop.create_task(coroutine_function(lambda: future))
        await asyncio.sleep(0)
        assert not task.done()
        future.set_result('result')
        assert await task is None

        future = run.loop.create_future()
        future.set_exception(LookupError('of the future'))
        with pytest.raises(LookupError, match='of the future'):
            await coroutine_function(lambda: future)

    run(main())


@both_kinds
def test_what_coroutines_are_given_to(
    run: LoopRunner, coroutine_function: Callable[..., Any]
) -> None:
    async def main() -> None:
        slept = []

        async def sleep() -> None:
            await asyncio.sleep(0)
            slept.append(True)

        await asyncio.gather(*(coroutine_function(sleep) for _ in range(3)))
        await asyncio.wait_for(coroutine_function(sleep), 60)
        await asyncio.shield(coroutine_function(sleep))
        await asyncio.ensure_future(coroutine_function(sleep))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(coroutine_function(sleep))
        await coroutine_function(sleep)
        assert len(slept) == 8

    run(main())


@both_kinds
def test_cancelled(run: LoopRunner, coroutine_function: Callable[..., Any]) -> None:
    async def main() -> None:
        future = run.loop.create_future()
        task = run.loop.create_task(coroutine_function(lambda: future))
        await asyncio.sleep(0)
        task.cancel('the reason')
        with pytest.raises(asyncio.CancelledError, match='the reason'):
            await task
        assert task.cancelled()
        assert future.cancelled()

    run(main())


@both_kinds
def test_a_timeout_inside(run: LoopRunner, coroutine_function: Callable[..., Any]) -> None:
    async def wait_in_vain() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await run.loop.create_future()

    async def main() -> None:
        await run.loop.create_task(coroutine_function(wait_in_vain))

    run(main())


@both_kinds
def test_context_variables(run: LoopRunner, coroutine_function: Callable[..., Any]) -> None:
    variable = contextvars.ContextVar('variable', default='outside')

    async def change() -> None:
        variable.set('inside')
        await asyncio.sleep(0)
        assert variable.get() == 'inside'

    async def main() -> None:
        await run.loop.create_task(coroutine_function(change))
        assert variable.get() == 'outside'
        await coroutine_function(change)
        assert variable.get() == 'inside'

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason='eager tasks came with Python 3.12')
@both_kinds
def test_eager_tasks(run: LoopRunner, coroutine_function: Callable[..., Any]) -> None:
    async def main() -> None:
        future = run.loop.create_future()
        future.set_result(None)
        task = asyncio.Task(
            coroutine_function(lambda: await_it(asyncio.sleep(0))), loop=run.loop, eager_start=True
        )
        assert not task.done()
        await task

        async def nothing() -> None:
            assert asyncio.current_task() is not here

        here = asyncio.current_task()
        task = asyncio.Task(coroutine_function(nothing), loop=run.loop, eager_start=True)
        assert task.done()

    run(main())


@both_kinds
def test_on_trio(coroutine_function: Callable[..., Any]) -> None:
    ended = []

    async def main() -> None:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(coroutine_function, trio.lowlevel.checkpoint)
                nursery.start_soon(coroutine_function, lambda: wait_cancelled('of a nursery'))
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            with trio.move_on_after(0) as scope:
                await coroutine_function(lambda: wait_cancelled('of a scope'))
            assert scope.cancelled_caught

    async def wait_cancelled(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(name)

    trio.run(main)
    assert ended == ['of a nursery', 'of a scope']


@both_kinds
@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_on_anyio(backend: str, coroutine_function: Callable[..., Any]) -> None:
    ended = []

    async def main() -> None:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(await_it, coroutine_function(wait_cancelled))
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            with anyio.move_on_after(0) as scope:
                await coroutine_function(wait_cancelled)
            assert scope.cancelled_caught
            await coroutine_function(move_on)

    async def move_on() -> None:
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught

    async def wait_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append('cancelled')

    anyio.run(main, backend=backend)
    assert ended == ['cancelled'] * 2
