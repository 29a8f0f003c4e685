"""What the connections of a server share on the native transport, such as tasks, and when all are gone.

Turns are tested in test_transport_turns.py.
"""

import asyncio
import contextvars
import gc
import weakref
from typing import Any

import pytest
from support.frame_echo import LIMIT, echoing
from ws_echo_server import negotiate

from serverwamp_fast._core.native.hubs import Hub


def test_the_hub_keeps_tasks_until_they_end(run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        hub = Hub(loop, negotiate, 1, 1, LIMIT)
        awaited: list[weakref.ref[asyncio.Future[str]]] = []

        async def work() -> str:
            # Nobody but the task knows the future that it waits for, and nobody but that the task.
            future = loop.create_future()
            awaited.append(weakref.ref(future))
            return await future

        hub.spawn(work())
        while not awaited:
            await asyncio.sleep(0)
        gc.collect()
        future = awaited[0]()
        assert future is not None
        future.set_result('done')
        while hub.tasks:
            await asyncio.sleep(0)

    run(main())


def test_a_task_factory_of_the_loop_is_used(run) -> None:
    made = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        hub = Hub(loop, negotiate, 1, 1, LIMIT)

        async def work() -> str:
            return 'done'

        loop.set_task_factory(factory)
        try:
            coroutine = work()
            assert await hub.spawn(coroutine) == 'done'
        finally:
            loop.set_task_factory(None)
        assert made == [coroutine]

    run(main())


def test_the_hub_tells_when_it_is_empty(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            await server.hub.wait_empty()

        async with echoing() as server:
            clients = [await server.connect() for _ in range(2)]
            empty = server.hub.wait_empty()
            await clients[0].leave()
            assert not empty.done()
            await clients[1].leave()
            await empty

    run(main())


def test_attributes(run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        hub = Hub(loop, negotiate, 1, 2.5, LIMIT)
        assert hub.loop is loop
        assert (hub.open_timeout, hub.close_timeout, hub.max_size) == (1.0, 2.5, LIMIT)
        assert (hub.connections, hub.tasks, hub.is_closing) == (set(), {}, False)
        with pytest.raises(AttributeError):
            hub.max_size = 1  # type: ignore[misc]
        with pytest.raises(OverflowError):
            Hub(loop, negotiate, 1, 1, -1)
        # Where there is nothing to do.
        hub.start_turn()
        hub.flush_dirty()

    run(main())


def test_the_tasks_of_one_owner_are_cancelled(run) -> None:
    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), negotiate, 1, 1, LIMIT)
        owners = [object(), object(), None]
        tasks = [hub.spawn(asyncio.sleep(60), None, owner) for owner in (*owners, owners[0])]
        assert [*hub.tasks.values()] == [*owners, owners[0]]
        hub.cancel_tasks(owners[0])
        await asyncio.wait([tasks[0], tasks[3]])
        assert [task.cancelled() for task in tasks] == [True, False, False, True]
        assert hub.tasks.keys() == {tasks[1], tasks[2]}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run(main())


def test_a_task_runs_in_the_context_that_it_is_given(run) -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar('name')

    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), negotiate, 1, 1, LIMIT)
        context = contextvars.copy_context()
        context.run(name.set, 'given')

        async def look() -> str:
            before = name.get('none')
            name.set('changed')
            return before

        assert await hub.spawn(look(), context) == 'given'
        assert context[name] == 'changed'
        assert await hub.spawn(look()) == 'none'
        assert name.get('none') == 'none'

    run(main())


@pytest.mark.skipif(not hasattr(asyncio, 'eager_task_factory'), reason='eager tasks are new in 3.12')
def test_what_ends_in_its_first_step_is_not_kept(run) -> None:
    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), negotiate, 1, 1, LIMIT)

        async def work() -> str:
            return 'done'

        task = hub.spawn(work())
        assert task.done() and task.result() == 'done'
        assert not hub.tasks

    run(main())


def test_connections_that_come_while_the_server_closes_are_ended(run) -> None:
    async def main() -> None:
        async with echoing() as server:
            server.hub.is_closing = True
            client = await server.connect_tcp()
            assert await client.read_rest() == b''

    run(main())


def test_what_the_hub_runs_sees_nothing_of_the_task_that_runs(run) -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar('name')

    async def main() -> None:
        name.set('server')
        hub = Hub(asyncio.get_running_loop(), negotiate, 1, 1, LIMIT)
        name.set('task')

        async def look() -> str:
            seen = name.get()
            name.set('changed')
            return seen

        def look_inside(depth: int) -> list[str]:
            seen = name.get()
            name.set(f'depth {depth}')
            return [seen, *(hub.run(look_inside, depth - 1) if depth else ())]

        def fail() -> None:
            name.set('failed')
            raise ValueError('told')

        assert [await hub.spawn(look()) for _ in range(2)] == ['server', 'server']
        # A context can't be entered twice, and this is a copy each time.
        assert hub.run(look_inside, 2) == ['server'] * 3
        with pytest.raises(ValueError, match='told'):
            hub.run(fail)
        assert (name.get(), hub.context[name]) == ('task', 'server')

    run(main())


@pytest.mark.parametrize('run', ['asyncio'], indirect=True)
def test_task_factories_that_take_no_context(run) -> None:
    """Up to Python 3.10 there was none to take. uvloop always gives them one."""
    name: contextvars.ContextVar[str] = contextvars.ContextVar('name')

    async def main() -> None:
        name.set('server')
        loop = asyncio.get_running_loop()
        hub = Hub(loop, negotiate, 1, 1, LIMIT)
        name.set('task')

        async def look() -> str:
            return name.get()

        loop.set_task_factory(lambda loop, coroutine: asyncio.Task(coroutine, loop=loop))  # type: ignore[arg-type]
        try:
            assert await hub.spawn(look()) == 'server'
        finally:
            loop.set_task_factory(None)

    run(main())
