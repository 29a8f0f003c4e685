"""Real clients that publish and subscribe: acknowledgement, three ways of matching, receivers, retained events."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from interop.clients import AutobahnClient, CallFailed, XconnClient
from interop.sites import Site, running_site

pytest.importorskip('autobahn', reason='autobahn is not installed')
pytest.importorskip('xconn', reason='xconn is not installed')

DEADLINE = 30  # seconds, for clients that would wait for ever
TOPIC = 'interop.open.news'

# Publisher and subscriber; each library is both, and each serializer has to do with another.
PAIRS = [
    ((AutobahnClient, 'json'), (AutobahnClient, 'msgpack')),
    ((AutobahnClient, 'msgpack.batched'), (XconnClient, 'json')),
    ((XconnClient, 'msgpack'), (AutobahnClient, 'json.batched')),
    ((XconnClient, 'json'), (XconnClient, 'msgpack')),
    ((AutobahnClient, 'cbor'), (XconnClient, 'cbor')),
    ((XconnClient, 'cbor'), (AutobahnClient, 'cbor.batched')),
]


@pytest.fixture(scope='module', params=['native', 'aiohttp', 'uvicorn'])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with running_site(request.param) as running:
        yield running


@pytest.fixture(params=PAIRS, ids=lambda pair: '-'.join(f'{kind.__name__}-{name}' for kind, name in pair))
def talk(request: pytest.FixtureRequest, site: Site) -> Callable[[Any], None]:
    """Runs `test(publisher, subscriber)` with clients that have joined."""

    def run(test: Callable[[Any, Any], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(DEADLINE):
                clients = [kind(serializer) for kind, serializer in request.param]
                for client in clients:
                    await client.join(site)
                await test(*clients)
                for client in clients:
                    await client.leave()

        asyncio.run(main())

    return run


async def wait_for(events: list[Any], number: int) -> None:
    while len(events) < number:
        await asyncio.sleep(0.001)


def test_publishing(talk: Any) -> None:
    async def test(publisher: Any, subscriber: Any) -> None:
        heard: dict[str, list[Any]] = {'exact': [], 'prefix': [], 'wildcard': []}
        own: list[Any] = []
        for match, topic in (('exact', TOPIC), ('prefix', 'interop.open.'), ('wildcard', 'interop..news')):
            await subscriber.subscribe_match(topic, match, heard[match])
        await publisher.subscribe_match(TOPIC, 'exact', own)
        publication = await publisher.publish(TOPIC, 'one', 2, {'three': [3.5, None]})
        await publisher.publish('interop.open.other', 'other')
        # autobahn's users can't ask for it, but are told.
        disclosed = isinstance(publisher, XconnClient)
        options = {'disclose_me': True} if disclosed else {}
        await publisher.publish(TOPIC, 'last', exclude_me=False, **options)
        await wait_for(heard['exact'], 2)
        await wait_for(heard['wildcard'], 2)
        await wait_for(heard['prefix'], 3)
        await wait_for(own, 1)
        first = ['one', 2, {'three': [3.5, None]}]
        assert [args for args, _ in heard['exact']] == [first, ['last']]
        assert [args for args, _ in heard['wildcard']] == [first, ['last']]
        assert [args for args, _ in heard['prefix']] == [first, ['other'], ['last']]
        assert [args for args, _ in own] == [['last']]
        assert [told['topic'] for _, told in heard['prefix']] == [TOPIC, 'interop.open.other', TOPIC]
        for events in heard.values():
            assert events[0][1].get('publisher') is None
            assert events[-1][1].get('publisher') == (publisher.session_id if disclosed else None)
            if publication is not None and 'publication' in events[0][1]:
                assert events[0][1]['publication'] == publication

    talk(test)


def test_receivers(talk: Any) -> None:
    async def test(publisher: Any, subscriber: Any) -> None:
        events: list[Any] = []
        await subscriber.subscribe_match(TOPIC, 'exact', events)
        number = subscriber.session_id
        # WELCOME has told the client its authid: that of an anonymous session is its id.
        for index, options in enumerate((
            {'exclude': [number]}, {'eligible': [1]}, {'exclude_authid': [str(number)]},
            {'exclude_authrole': ['anonymous']}, {'eligible_authrole': ['boss']}, {'eligible_authid': ['joe']},
            {'eligible': [number], 'eligible_authrole': ['anonymous'], 'eligible_authid': [str(number)]},
        )):  # fmt: skip
            await publisher.publish(TOPIC, index, **options)
        await wait_for(events, 1)
        assert [args for args, _ in events] == [[6]]

    talk(test)


def test_retained_events(talk: Any) -> None:
    async def test(publisher: Any, subscriber: Any) -> None:
        topic = f'interop.open.{publisher.session_id}'
        await publisher.publish(topic, 'old', retain=True)
        await publisher.publish(topic, 'kept', retain=True)
        events: list[Any] = []
        await subscriber.subscribe_match(topic, 'exact', events, get_retained=True)
        await publisher.publish(topic, 'new')
        await wait_for(events, 2)
        assert [args for args, _ in events] == [['kept'], ['new']]
        assert [bool(told.get('retained')) for _, told in events] == [True, False]

    talk(test)


def test_refusals(talk: Any) -> None:
    async def test(publisher: Any, subscriber: Any) -> None:
        for topic, uri in (
            ('interop.closed', 'wamp.error.not_authorized'),
            ('wamp.session.on_join', 'wamp.error.invalid_uri'),
        ):
            with pytest.raises(CallFailed) as failed:
                await publisher.publish(topic, 1)
            assert failed.value.uri == uri
        with pytest.raises(CallFailed) as failed:
            await subscriber.subscribe_match('interop.', 'prefix', [])
        assert failed.value.uri == 'wamp.error.not_authorized'
        # Neither is the worse for it.
        with contextlib.suppress(CallFailed):
            await publisher.call('interop.refuse', 'why')
        assert (await subscriber.call('interop.add', 1, 2))[0] == [3]

    talk(test)
