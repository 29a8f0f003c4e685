"""Procedures that end the program: SystemExit and KeyboardInterrupt get to who runs the loop, and nothing goes on."""

import asyncio
import gc
from typing import Any

import pytest
from conftest import LoopRunner
from support.raw_client import Served

import serverwamp_fast as wamp


@pytest.mark.parametrize('moment', ['at once', 'in the first step', 'later'])
@pytest.mark.parametrize('end', [SystemExit(3), KeyboardInterrupt()])
def test_the_loop_ends(run: LoopRunner, moment: str, end: BaseException) -> None:
    app = wamp.Application()
    routes = wamp.RPCRouteSet()

    @routes.route('stop')
    def stop() -> Any:
        if moment == 'at once':
            raise end
        return stop_later()

    async def stop_later() -> None:
        if moment == 'later':
            await asyncio.sleep(0)
        raise end

    app.add_rpc_routes(routes)
    heard: list[Any] = []

    async def main() -> None:
        server = await app.serve('127.0.0.1', 0)
        client = await Served(server).join('wamp.2.json')
        heard.append(await client.ask(48, 1, {}, 'stop'))

    with pytest.raises(type(end)):
        run(main())
    # The caller gets no answer, as the program is over.
    assert heard == []
    # asyncio speaks of the task nobody awaits, here as everywhere.
    gc.collect()
    assert {type(context.get('exception')) for context in run.errors} <= {type(end)}
    run.errors.clear()
