"""A session's task group on the native server: its own tasks, and nobody else's."""

import asyncio
from typing import Any

from support.raw_client import make_app, serving

import serverwamp_fast as wamp


def make_spawning_app(cancelled: list[int]) -> Any:
    app = make_app()
    routes = wamp.RPCRouteSet()

    async def wait(session_id: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(session_id)
            raise

    @routes.route('spawn')
    async def spawn(session: Any) -> None:
        await session.spawn_task(wait, session.id)

    @routes.route('wait')
    async def wait_in_call(session: Any) -> None:
        await wait(session.id)

    @routes.route('cancel')
    async def cancel(session: Any) -> None:
        await asyncio.sleep(0)
        await session.tasks.cancel()
        await asyncio.sleep(0)

    app.add_rpc_routes(routes)
    return app


def test_cancel_concerns_the_tasks_of_one_session(run) -> None:
    cancelled: list[int] = []

    async def main() -> None:
        async with serving(make_spawning_app(cancelled)) as server:
            clients = [await server.join() for _ in range(3)]
            for client in clients:
                await client.ask(48, 1, {}, 'spawn')
                await client.say([48, 2, {}, 'wait'])
                await client.call(3, 'echo')
            await clients[0].say([48, 4, {}, 'cancel'])
            # Its calls are tasks of the session too, and so is the one that cancels them.
            heard = [await clients[0].hear() for _ in range(2)]
            assert {tuple(answer[1:3]) + (answer[4],) for answer in heard} == {
                (48, 2, 'wamp.error.canceled'),
                (48, 4, 'wamp.error.canceled'),
            }
            assert cancelled == [clients[0].session_id] * 2
            assert len(server.tasks) == 4
            for client in clients[1:]:
                assert await client.call(5, 'echo', 'still here') == ['still here']
            for task in tuple(server.tasks):
                task.cancel()

    run(main())
    assert len(cancelled) == 6


def test_a_group_of_ones_own_stays(run) -> None:
    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()

        @routes.route('own')
        async def own(session: Any) -> bool:
            session.tasks = mine = object()
            return session.tasks is mine

        app.add_rpc_routes(routes)
        async with serving(app) as server:
            client = await server.join()
            assert await client.call(1, 'own') == [True]

    run(main())
