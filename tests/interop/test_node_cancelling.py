"""Clients of npm that cancel calls, and give them a time limit."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from interop.clients import CallFailed
from interop.node_clients import LIBRARIES, SERIALIZERS, NodeClient, find_obstacle, starting
from interop.sites import Site, running_site

OBSTACLE = find_obstacle()
pytestmark = [
    pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE)),
    pytest.mark.parametrize('serializer', SERIALIZERS),
    pytest.mark.parametrize('library', LIBRARIES),
]

DEADLINE = 30  # seconds, for clients that would wait for ever


@pytest.fixture(scope='module')
def site() -> Iterator[Site]:
    with running_site('native') as site:
        yield site


def run(site: Site, library: str, serializer: str, test: Any) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(DEADLINE), starting(library, serializer) as client:
            await client.join(site.url)
            result = await test(client)
            await client.leave()
            return result

    return asyncio.run(main())


async def cancel_when_it_runs(client: NodeClient, mode: str) -> str:
    """Returns the error of a call that is cancelled while its handler waits. The handler is told."""
    name = f'{client.session_id} {mode}'
    reports: list[Any] = []
    call, result = client.begin(
        'call', reports, uri='interop.sleep_reporting', args=[name], kwargs={},
        options={'receive_progress': True},
    )  # fmt: skip
    while not reports:
        await asyncio.sleep(0.001)
    await client.cancel(call, mode)
    with pytest.raises(CallFailed) as caught:
        await result
    assert await client.call('interop.cancelled', name) == ([True], {})
    return caught.value.uri


def test_cancelling(site: Site, library: str, serializer: str) -> None:
    # After another mode than kill, autobahn takes the answer to a cancelled call for a violation.
    modes = ['kill'] if library == 'autobahn' else ['kill', 'killnowait']

    async def test(client: NodeClient) -> Any:
        errors = {await cancel_when_it_runs(client, mode) for mode in modes}
        return errors, await client.call('interop.add', 1, 1)

    assert run(site, library, serializer, test) == (
        {'wamp.error.canceled'},
        ([2], {}),
    )


def test_skipping(site: Site, library: str, serializer: str) -> None:
    """The caller is answered, and the handler goes on."""
    if library == 'autobahn':
        pytest.skip('after another mode than kill, autobahn takes the answer to a cancelled call for a violation')

    async def test(client: NodeClient) -> Any:
        name = f'{client.session_id} skip'
        reports: list[Any] = []
        call, result = client.begin(
            'call', reports, uri='interop.linger', args=[name], kwargs={}, options={'receive_progress': True},
        )  # fmt: skip
        while not reports:
            await asyncio.sleep(0.001)
        await client.cancel(call, 'skip')
        with pytest.raises(CallFailed) as caught:
            await result
        return caught.value.uri, await client.call('interop.finish', name)

    assert run(site, library, serializer, test) == ('wamp.error.canceled', ([True], {}))


def test_timing_out(site: Site, library: str, serializer: str) -> None:
    async def test(client: NodeClient) -> Any:
        with pytest.raises(CallFailed) as caught:
            await client.call('interop.sleep', f'{client.session_id}', options={'timeout': 50})
        in_time = await client.call('interop.add', 1, 1, options={'timeout': 60_000})
        return caught.value.uri, in_time

    assert run(site, library, serializer, test) == ('wamp.error.timeout', ([2], {}))
