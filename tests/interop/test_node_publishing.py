"""Clients of npm that publish, with acknowledgement, and subscribe by all three policies of matching."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from interop.clients import CallFailed
from interop.node_clients import LIBRARIES, SERIALIZERS, NodeClient, find_obstacle, starting
from interop.sites import Site, running_site

OBSTACLE = find_obstacle()
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))

DEADLINE = 30  # seconds, for clients that would wait for ever
CLIENTS = [
    pytest.param((library, serializer), id=f'{library}-{serializer}')
    for library in LIBRARIES
    for serializer in SERIALIZERS
]


@pytest.fixture(scope='module')
def site() -> Iterator[Site]:
    with running_site('native') as site:
        yield site


Talk = Callable[[Callable[[NodeClient, NodeClient], Awaitable[Any]]], Any]


@pytest.fixture(params=CLIENTS)
def talk(request: pytest.FixtureRequest, site: Site) -> Talk:
    """Runs a coroutine function with two clients that have joined, one of each library."""
    library, serializer = request.param
    (other,) = set(LIBRARIES) - {library}

    def run(test: Callable[[NodeClient, NodeClient], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with (
                asyncio.timeout(DEADLINE),
                starting(library, serializer) as client,
                starting(other, 'json') as second,
            ):
                await asyncio.gather(client.join(site.url), second.join(site.url))
                result = await test(client, second)
                await asyncio.gather(client.leave(), second.leave())
                return result

        return asyncio.run(main())

    return run


async def wait_for(events: list[Any], count: int) -> list[Any]:
    while len(events) < count:
        await asyncio.sleep(0.001)
    return events


def test_events_of_other_clients(talk: Talk) -> None:
    """Each gets the other's and not its own."""

    async def test(client: NodeClient, other: NodeClient) -> Any:
        ours: list[Any] = []
        theirs: list[Any] = []
        await client.subscribe('interop.open.talk', ours)
        subscription = await other.subscribe('interop.open.talk', theirs)
        published = [
            await client.publish('interop.open.talk', 1, 'zwei', key=[3, None]),
            await client.publish('interop.open.talk'),
            await other.publish('interop.open.talk', 'back'),
        ]
        await wait_for(theirs, 2)
        await other.unsubscribe(subscription)
        published.append(await client.publish('interop.open.talk', 'nobody listens'))
        published.append(await other.publish('interop.open.talk', 'last'))
        return await wait_for(ours, 2), theirs, published

    ours, theirs, published = talk(test)
    assert ours == [(['back'], {}), (['last'], {})]
    assert theirs == [([1, 'zwei'], {'key': [3, None]}), ([], {})]
    assert len(set(published)) == 5
    assert all(1 <= publication <= 2**53 for publication in published)


def test_matching(talk: Talk) -> None:
    async def test(client: NodeClient, other: NodeClient) -> Any:
        exact: list[Any] = []
        prefix: list[Any] = []
        wildcard: list[Any] = []
        await client.subscribe('interop.open.a.b', exact, 'exact')
        await client.subscribe('interop.open.a', prefix, 'prefix')
        await client.subscribe('interop.open..b', wildcard, 'wildcard')
        for topic in 'a.b', 'a.c', 'x.b', 'x.c', 'a.b.c', 'ab', 'end.b':
            await other.publish(f'interop.open.{topic}', topic)
        await wait_for(wildcard, 3)
        return exact, prefix, wildcard

    exact, prefix, wildcard = talk(test)
    assert exact == [(['a.b'], {})]
    for events, topics in (prefix, ['a.b', 'a.c', 'a.b.c', 'ab']), (wildcard, ['a.b', 'x.b', 'end.b']):
        assert events == [([topic], {'$topic': f'interop.open.{topic}'}) for topic in topics]


def test_topics_that_are_not_open(talk: Talk, request: pytest.FixtureRequest) -> None:
    topics = {
        'interop.shut': 'wamp.error.not_authorized',
        'interop.news.sport': 'wamp.error.not_authorized',
    }
    if request.node.callspec.params['talk'][0] != 'wampy':
        # wampy refuses reserved topics by itself.
        topics['wamp.session.on_join'] = 'wamp.error.invalid_uri'

    async def test(client: NodeClient, other: NodeClient) -> Any:
        refused = {}
        for topic in topics:
            with pytest.raises(CallFailed) as caught:
                await client.publish(topic, 1)
            refused[topic] = caught.value.uri
        return refused, await client.call('interop.add', 1, 1)

    assert talk(test) == (topics, ([2], {}))


def test_chosen_receivers(talk: Talk) -> None:
    async def test(client: NodeClient, other: NodeClient) -> Any:
        events: list[Any] = []
        await other.subscribe('interop.open.private', events)
        for options in (
            {'exclude': [other.session_id]},
            {'eligible': [client.session_id]},
            {'eligible': [other.session_id]},
            {},
        ):
            await client.publish('interop.open.private', list(options), options=options)
        return await wait_for(events, 2)

    assert talk(test) == [([['eligible']], {}), ([[]], {})]
