"""Clients of npm against the native server: autobahn and wampy, each with JSON, MessagePack and CBOR."""

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
Test = Callable[[NodeClient], Awaitable[Any]]


@pytest.fixture(scope='module')
def site() -> Iterator[Site]:
    with running_site('native') as site:
        yield site


class Talk:
    """Runs a coroutine function with a client that has joined, and leaves afterwards."""

    def __init__(self, site: Site, library: str, serializer: str) -> None:
        self.site = site
        self.library = library
        self.serializer = serializer

    def __call__(self, test: Test) -> Any:
        async def main() -> Any:
            async with (
                asyncio.timeout(DEADLINE),
                starting(self.library, self.serializer) as client,
            ):
                await client.join(self.site.url)
                result = await test(client)
                await client.leave()
                return result

        return asyncio.run(main())


@pytest.fixture(params=CLIENTS)
def talk(request: pytest.FixtureRequest, site: Site) -> Talk:
    return Talk(site, *request.param)


async def failure(awaitable: Awaitable[Any]) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        return 'no failure', [await awaitable], {}
    except CallFailed as error:
        return error.uri, error.values, error.named


async def wait_for(events: list[Any], count: int) -> list[Any]:
    while len(events) < count:
        await asyncio.sleep(0.001)
    return events


def test_negotiated(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        return client.subprotocol, client.session_id, (await client.call('interop.whoami'))[1]

    subprotocol, session_id, facts = talk(test)
    assert subprotocol == f'wamp.2.{talk.serializer}'
    assert 1 <= session_id <= 2**53
    assert facts['id'] == session_id


def test_calls(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        return [
            await client.call('interop.add', 1, 2), await client.call('interop.add', 1),
            await client.call('interop.add', a=5, b=6), await client.call('interop.add', '7'),
            await client.call('interop.everything', 1, 'zwei', key=[3, None]),
            await client.call('interop.everything'), await client.call('interop.nothing'),
        ]  # fmt: skip

    assert talk(test) == [
        ([3], {}), ([101], {}), ([11], {}), ([107], {}), ([1, 'zwei'], {'key': [3, None]}), ([], {}), ([], {}),
    ]  # fmt: skip


VALUES = [
    0, -1, 2**31, 2**32, 2**40 + 1, 2**53 - 1, -(2**40), 1.5, -0.25, True, False, 'text', '', 'Grüße ☃ 𝄞 \x00',
    'x' * 5000, {'key': {'deep': ['x', {'y': 1.5}]}}, ['nested', ['list', []]], {}, '\x1e', None,
]  # fmt: skip


def test_values_survive(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        return await client.call('interop.everything', *VALUES, key=VALUES)

    args, kwargs = talk(test)
    assert args == VALUES
    assert kwargs == {'key': VALUES}


def test_bytes_survive(talk: Talk) -> None:
    if talk.serializer == 'json':
        pytest.skip('these clients cannot write bytes in JSON')

    async def test(client: NodeClient) -> Any:
        return (await client.call('interop.everything', b'\x00\xff', [b'']))[0]

    assert talk(test) == [b'\x00\xff', [b'']]


def test_errors(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        return [
            await failure(client.call('interop.refuse', 'because')), await failure(client.call('interop.crash')),
            await failure(client.call('interop.no.such.procedure')), await failure(client.call('interop.add')),
            await failure(client.call('interop.add', 'x')), await client.call('interop.add', 1, 1),
        ]  # fmt: skip

    refused, crashed, unknown, missing, wrong, after = talk(test)
    assert refused == ('interop.error.refused', ['because'], {'code': 7})
    sentence = 'Procedure interop.crash failed. The log of the server says why.'
    assert crashed == ('wamp.error.runtime_error', [sentence], {'message': sentence})
    assert unknown[0] == 'wamp.error.no_such_procedure'
    assert missing[::2] == ('wamp.error.invalid_argument', {'message': 'Argument a required.'})
    assert wrong[::2] == ('wamp.error.invalid_argument', {'message': 'Argument a is not a valid int.'})
    assert after == ([2], {})


def test_progress(talk: Talk) -> None:
    """Progress is reported to a client that asks; one that doesn't is left in peace."""

    async def test(client: NodeClient) -> Any:
        progress: list[Any] = []
        return (
            await client.call('interop.count', 5, progress=progress),
            await wait_for(progress, 5),
            await client.call('interop.count', 3),
            await client.call('interop.add', 1, 1),
        )

    asked, progress, *others = talk(test)
    assert progress == [([number], {}) for number in range(5)]
    assert [asked, *others] == [([5], {}), ([3], {}), ([2], {})]


def test_progressive_calls(talk: Talk) -> None:
    """More than one CALL of one id. autobahn has no such calls; wampy only where WELCOME announces them."""
    if talk.library == 'autobahn':
        pytest.skip('this client has no progressive calls')

    async def test(client: NodeClient) -> Any:
        both = await asyncio.gather(
            client.do('stream', uri='interop.sum', parts=[1, 2, 3, 4]), client.call('interop.add', 1, 1)
        )
        # The procedure takes no inputs.
        return *both, await failure(client.do('stream', uri='interop.add', parts=[1, 2]))

    streamed, called, refused = talk(test)
    assert streamed == {'args': [10], 'kwargs': {}}
    assert called == ([2], {})
    assert refused[0] == 'wamp.error.feature_not_supported'


def test_events(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        events: list[Any] = []
        others: list[Any] = []
        subscription = await client.subscribe('interop.news.sport', events)
        await client.subscribe('interop.news.local', others)
        await client.call('interop.publish', 'interop.news.sport', 3)
        await wait_for(events, 4)
        await client.unsubscribe(subscription)
        await client.call('interop.publish', 'interop.news.sport')
        await client.call('interop.publish', 'interop.news.local')
        return events, await wait_for(others, 2)

    events, others = talk(test)
    named = {'topic': 'interop.news.sport'}
    assert events == [(['welcome'], {}), *(([number, 'news'], named) for number in range(3))]
    assert others == [(['welcome'], {}), ([0, 'news'], {'topic': 'interop.news.local'})]


def test_refused_subscriptions(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        return [
            (await failure(client.subscribe(topic, [])))[0]
            for topic in ('interop.closed', 'interop.no.such.topic')
        ]

    assert talk(test) == ['interop.error.closed', 'wamp.error.not_authorized']


def test_procedures_of_clients_own(talk: Talk) -> None:
    """They are refused, and the session goes on."""

    async def test(client: NodeClient) -> Any:
        return (await failure(client.register('interop.own')))[0], await client.call('interop.add', 1, 2)

    assert talk(test) == ('wamp.error.feature_not_supported', ([3], {}))


def test_many_calls_at_once(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        return await asyncio.gather(
            *(client.call('interop.add', number, 0) for number in range(300))
        )

    assert talk(test) == [([number], {}) for number in range(300)]


def test_large_messages(talk: Talk) -> None:
    async def test(client: NodeClient) -> Any:
        text = 'Größe ' * 50_000
        return (await client.call('interop.everything', text))[0][0] == text

    assert talk(test)
