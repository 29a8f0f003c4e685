"""What the connections of a server share on the native transport: tasks, and the knowledge of when all are gone."""

import asyncio
import gc
import weakref
from typing import Any

from frame_echo import LIMIT, echoing
from ws_echo_server import negotiate

from serverwamp_fast._core.hubs import Hub


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
