"""Async support on anyio, with each of its backends."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

anyio = pytest.importorskip('anyio', reason='anyio is not installed')

from serverwamp_fast.adapters.anyio import (  # noqa: E402
    AnyioAsyncSupport,
    AnyioTaskGroup,
    find_running_support,
)
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport  # noqa: E402

Run = Callable[[Callable[[], Awaitable[Any]]], None]


@pytest.fixture(params=['asyncio', 'uvloop', 'trio'])
def run(request: pytest.FixtureRequest) -> Run:
    backend = 'trio' if request.param == 'trio' else 'asyncio'
    pytest.importorskip(request.param, reason=f'{request.param} is not installed')
    options = {'use_uvloop': request.param == 'uvloop'} if backend == 'asyncio' else {}

    def run_on_backend(main: Callable[[], Awaitable[Any]]) -> None:
        async def bounded() -> None:
            with anyio.fail_after(60):
                await main()

        anyio.run(bounded, backend=backend, backend_options=options)

    return run_on_backend


def test_a_group_runs_tasks_with_their_arguments(run: Run) -> None:
    calls = []

    async def work(*args, **kwargs):
        await anyio.lowlevel.checkpoint()
        calls.append((args, kwargs))

    async def main() -> None:
        async with AnyioAsyncSupport.launch_task_group() as tasks:
            assert type(tasks) is AnyioTaskGroup
            assert await tasks.spawn(work) is None
            await tasks.spawn(work, 1, 2, key='value')
        assert sorted(calls) == [((), {}), ((1, 2), {'key': 'value'})]

    run(main)


def test_coroutines_are_spawned_too(run: Run) -> None:
    calls = []

    async def work():
        await anyio.lowlevel.checkpoint()
        calls.append(True)

    async def main() -> None:
        async with AnyioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn_eagerly(work())
        assert calls == [True]
        with pytest.raises(RuntimeError):
            await tasks.spawn_eagerly(work())

    run(main)
    gc.collect()  # A coroutine that was never awaited would warn now.


def test_one_task_is_cancelled(run: Run) -> None:
    ended = []

    async def work(name: str, gate: Any) -> None:
        try:
            await gate.wait()
        finally:
            ended.append(name)

    async def main() -> None:
        gate = anyio.Event()
        async with AnyioAsyncSupport.launch_task_group() as tasks:
            cancel = await tasks.spawn_cancellable(work('cancelled', gate))
            await tasks.spawn_cancellable(work('other', gate))
            await anyio.wait_all_tasks_blocked()
            cancel()
            await anyio.wait_all_tasks_blocked()
            assert ended == ['cancelled']
            gate.set()
        assert ended == ['cancelled', 'other']

    run(main)


def test_a_cancelled_group_ends_without_an_error(run: Run) -> None:
    async def main() -> None:
        async with AnyioAsyncSupport.launch_task_group() as tasks:
            await tasks.spawn(anyio.sleep_forever)
            assert await tasks.cancel() is None
        with pytest.raises(RuntimeError):
            await tasks.spawn(anyio.sleep_forever)

    run(main)


def test_a_failure_cancels_the_others_and_leaves_in_a_group(run: Run) -> None:
    async def fail():
        raise ValueError('failed')

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            async with AnyioAsyncSupport.launch_task_group() as tasks:
                await tasks.spawn(anyio.sleep_forever)
                await tasks.spawn(fail)
        assert [type(error) for error in raised.value.exceptions] == [ValueError]

    run(main)


def test_a_shielded_call_ends_before_its_caller_is_cancelled(run: Run) -> None:
    ended = []

    async def work(*args, **kwargs):
        await anyio.lowlevel.checkpoint()
        ended.append((args, kwargs))
        return 'result'

    async def main() -> None:
        assert await AnyioAsyncSupport.shield(work, 1, key=2) == 'result'
        with anyio.CancelScope() as scope:
            scope.cancel()
            await AnyioAsyncSupport.shield(work, 3)
            await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert ended == [((1,), {'key': 2}), ((3,), {})]

    run(main)


def test_a_timer_calls_in_a_task_that_anyio_knows(run: Run) -> None:
    async def main() -> None:
        called = anyio.Event()

        async def callback():
            with anyio.move_on_after(0):
                await anyio.sleep_forever()
            called.set()

        cancel = AnyioAsyncSupport.call_later(0.001, callback)
        await called.wait()
        assert cancel() is None

    run(main)


def test_a_cancelled_timer_does_not_call(run: Run) -> None:
    async def main() -> None:
        calls = []
        later = anyio.Event()

        async def call():
            calls.append(True)

        async def call_second():
            later.set()

        cancel = AnyioAsyncSupport.call_later(0.001, call)
        assert cancel() is None
        AnyioAsyncSupport.call_later(0.002, call_second)
        await later.wait()
        assert not calls

    run(main)


def test_what_a_timers_call_raises_is_logged(run: Run, caplog) -> None:
    async def main() -> None:
        failed = anyio.Event()

        async def callback():
            failed.set()
            raise ValueError('late and wrong')

        AnyioAsyncSupport.call_later(0, callback)
        await failed.wait()
        await anyio.lowlevel.checkpoint()

    with caplog.at_level(logging.ERROR, 'serverwamp_fast'):
        run(main)
    assert ['late and wrong' in record.exc_text for record in caplog.records] == [True]


def test_a_guest_of_asyncio_is_trio() -> None:
    trio = pytest.importorskip('trio', reason='trio is not installed')
    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    async def guest() -> type:
        asyncio.get_running_loop()  # Is there, although it doesn't run this task.
        await trio.lowlevel.checkpoint()
        return find_running_support()

    async def host() -> None:
        loop = asyncio.get_running_loop()
        outcome = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=outcome.set_result,
        )
        assert find_running_support() is AsyncioAsyncSupport
        async with asyncio.timeout(60):
            assert (await outcome).unwrap() is TrioAsyncSupport

    asyncio.run(host())


def test_a_cancellable_context_ends_its_own_cancellation(run: Run) -> None:
    async def main() -> None:
        supports = [AnyioAsyncSupport, find_running_support()]
        for support in supports:
            journal = []
            async with support.launch_task_group() as tasks:
                async with support.cancellable() as cancel:

                    async def cancel_soon(cancel: Any = cancel) -> None:
                        cancel()
                        cancel()

                    await tasks.spawn(cancel_soon)
                    try:
                        await anyio.sleep(60)
                    except BaseException as error:
                        assert not support.is_stray(error)
                        journal.append('cancelled')
                        raise
                # Too late to have an effect.
                cancel()
                await support.checkpoint()
                journal.append('went on')
            assert journal == ['cancelled', 'went on']
            assert not support.is_stray(ValueError())

    run(main)


def test_events_and_checkpoints(run: Run) -> None:
    async def main() -> None:
        for support in AnyioAsyncSupport, find_running_support():
            event = support.new_event()
            async with support.launch_task_group() as tasks:
                await tasks.spawn(event.wait)
                await support.checkpoint()
                event.set()

    run(main)
