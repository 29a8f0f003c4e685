"""Real clients on real sockets: autobahn and xconn against the native server, aiohttp and uvicorn.

The same tests for every client: what it negotiates, calls of every form, errors, progress, events, leaving.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from interop.clients import REALM, AutobahnClient, CallFailed, XconnClient
from interop.sites import Site, make_certificate, running_site

pytest.importorskip('autobahn', reason='autobahn is not installed')
pytest.importorskip('xconn', reason='xconn is not installed')

CLIENTS = [
    (AutobahnClient, 'json'),
    (AutobahnClient, 'json.batched'),
    (AutobahnClient, 'msgpack'),
    (AutobahnClient, 'msgpack.batched'),
    (AutobahnClient, 'cbor'),
    (AutobahnClient, 'cbor.batched'),
    (XconnClient, 'json'),
    (XconnClient, 'msgpack'),
    (XconnClient, 'cbor'),
]
SITES = {
    'native': {},
    'native-unix': {'unix': True},
    'native-tls': {'tls': True},
    'aiohttp': {},
    'uvicorn': {},
}
DEADLINE = 30  # seconds, for clients that would wait for ever


# xconn has no WebSocket over Unix sockets.
PAIRS = [
    pytest.param((site, *client), id=f'{site}-{client[0].__name__}-{client[1]}')
    for site in SITES
    for client in CLIENTS
    if site != 'native-unix' or client[0] is not XconnClient
]


@pytest.fixture(scope='module')
def find_site() -> Iterator[Callable[[str], Site]]:
    """The sites by name, each started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Site] = {}

        def find(name: str) -> Site:
            if name not in running:
                running[name] = stack.enter_context(
                    running_site(name.partition('-')[0], **SITES[name])
                )
            return running[name]

        yield find


@pytest.fixture(params=PAIRS)
def talk(
    request: pytest.FixtureRequest,
    find_site: Callable[[str], Site],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Runs a coroutine function with a client that has joined, and leaves afterwards."""
    name, kind, serializer = request.param
    site = find_site(name)
    if site.context is not None:
        monkeypatch.setenv('SSL_CERT_FILE', make_certificate()[0])

    def run(test: Callable[[Any], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with asyncio.timeout(DEADLINE):
                client = kind(serializer)
                await client.join(site)
                result = await test(client)
                await client.leave()
                return result

        return asyncio.run(main())

    run.subprotocol = f'wamp.2.{serializer}'  # type: ignore[attr-defined]
    return run


async def failure(awaitable: Awaitable[Any]) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        return 'no failure', [await awaitable], {}
    except CallFailed as error:
        return error.uri, error.values, error.named


def test_negotiated(talk: Any) -> None:
    async def test(client: Any) -> Any:
        return client.subprotocol, client.session_id, (await client.call('interop.whoami'))[1]

    subprotocol, session_id, facts = talk(test)
    assert subprotocol == talk.subprotocol
    assert 1 <= session_id <= 2**53
    assert (facts['id'], facts['realm']) == (session_id, None)


def test_calls(talk: Any) -> None:
    async def test(client: Any) -> Any:
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
    0, -1, 2**31, 2**32, 2**53, -(2**53), 2**63, 1.5, -0.25, True, False, 'text', '', 'Grüße ☃ 𝄞 \x00', 'x' * 5000,
    {'key': {'deep': ['x', {'y': 1.5}]}}, ['nested', ['list', []]], {}, '\x1e', '\x18 between',
]  # fmt: skip


def test_values_survive(talk: Any) -> None:
    async def test(client: Any) -> Any:
        return [(await client.call('interop.everything', value))[0][0] for value in VALUES]

    def listed(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [listed(item) for item in value]
        if isinstance(value, dict):
            return {key: listed(item) for key, item in value.items()}
        return value

    results = [listed(value) for value in talk(test)]
    assert results == VALUES
    assert [type(value) for value in results] == [type(value) for value in VALUES]


def test_bytes_survive(talk: Any) -> None:
    async def test(client: Any) -> Any:
        return (await client.call('interop.everything', b'\x00\xff', [b'']))[0]

    try:
        data, (empty,) = talk(test)
    except TypeError as error:
        assert 'not JSON serializable' in str(error)
        pytest.skip('this client cannot write bytes in JSON')
    assert (bytes(data), bytes(empty)) == (b'\x00\xff', b'')


def test_errors(talk: Any) -> None:
    async def test(client: Any) -> Any:
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
    assert (missing[0], missing[2]) == (
        'wamp.error.invalid_argument',
        {'message': 'Argument a required.'},
    )
    assert (wrong[0], wrong[2]) == (
        'wamp.error.invalid_argument',
        {'message': 'Argument a is not a valid int.'},
    )
    assert after == ([2], {})


def test_progress(talk: Any, request: pytest.FixtureRequest) -> None:
    """Progress is reported to a client that asks; one that doesn't is left in peace."""
    asks = request.node.callspec.params['talk'][1] is AutobahnClient

    async def test(client: Any) -> Any:
        progress: list[Any] | None = [] if asks else None
        asked = await client.call('interop.count', 5, progress=progress)
        return (
            progress,
            asked,
            await client.call('interop.count', 3),
            await client.call('interop.add', 1, 1),
        )

    progress, *answers = talk(test)
    assert progress == ([0, 1, 2, 3, 4] if asks else None)
    assert answers == [([5], {}), ([3], {}), ([2], {})]


def test_who_calls(talk: Any) -> None:
    async def test(client: Any) -> Any:
        return client.session_id, await client.call('interop.caller')

    number, caller = talk(test)
    assert caller == ([], {'id': number, 'authid': str(number), 'authrole': 'anonymous'})


def test_events(talk: Any) -> None:
    async def test(client: Any) -> Any:
        events: list[Any] = []
        others: list[Any] = []
        subscription = await client.subscribe('interop.news.sport', events)
        await client.subscribe('interop.news.local', others)
        # RESULT is sent after the events, but a client may handle them in tasks.
        await client.call('interop.publish', 'interop.news.sport', 3)
        while len(events) < 4:
            await asyncio.sleep(0.001)
        await client.unsubscribe(subscription)
        await client.call('interop.publish', 'interop.news.sport')
        await client.call('interop.publish', 'interop.news.local')
        while len(others) < 2:
            await asyncio.sleep(0.001)
        return events, others

    events, others = talk(test)
    named = {'topic': 'interop.news.sport'}
    assert events == [(['welcome'], {}), *(([number, 'news'], named) for number in range(3))]
    assert others == [(['welcome'], {}), ([0, 'news'], {'topic': 'interop.news.local'})]


def test_refused_subscriptions(talk: Any) -> None:
    async def test(client: Any) -> Any:
        return [
            (await failure(client.subscribe(topic, [])))[0]
            for topic in ('interop.closed', 'interop.no.such.topic')
        ]

    assert talk(test) == ['interop.error.closed', 'wamp.error.not_authorized']


def test_procedures_of_clients_own(talk: Any) -> None:
    """They are refused, and the session goes on."""

    async def test(client: Any) -> Any:
        return (await failure(client.register('interop.own')))[0], await client.call('interop.add', 1, 2)

    assert talk(test) == ('wamp.error.feature_not_supported', ([3], {}))


def test_many_calls_at_once(talk: Any) -> None:
    async def test(client: Any) -> Any:
        return await asyncio.gather(
            *(client.call('interop.add', number, 0) for number in range(300))
        )

    assert talk(test) == [([number], {}) for number in range(300)]


def test_large_messages(talk: Any) -> None:
    async def test(client: Any) -> Any:
        # Below the server's limit of 1 MiB also where every letter but ASCII is escaped.
        text = 'Größe ' * 50_000
        return (await client.call('interop.everything', text))[0][0] == text

    assert talk(test)


def test_joining_again(talk: Any) -> None:
    """One client after the other, each with a session of its own."""

    async def test(client: Any) -> Any:
        return client.session_id

    assert len({talk(test) for _ in range(5)}) == 5


def test_transport_info(talk: Any, request: pytest.FixtureRequest) -> None:
    async def test(client: Any) -> Any:
        return (await client.call('interop.transport'))[1]

    info = talk(test)
    assert {'http_cookies', 'http_headers_raw'} <= set(info['keys'])
    name = request.node.callspec.params['talk'][0]
    if name != 'uvicorn':
        assert {'http_path', 'http_path_raw', 'http_query_string', 'peer_address'} <= set(
            info['keys']
        )
        assert info['path'] == '/'
        assert info['address'].startswith('127.0.0.1') or name == 'native-unix'
    if name == 'native-tls':
        assert {'peer_certificate', 'peer_certificate_raw'} <= set(info['keys'])


@pytest.mark.parametrize('name', ['native', 'aiohttp', 'uvicorn'])
def test_what_autobahn_chooses_by_itself(name: str, find_site: Callable[[str], Site]) -> None:
    """It offers CBOR first; the server's order decides among what both know."""

    async def main() -> Any:
        async with asyncio.timeout(DEADLINE):
            client = AutobahnClient('')
            await client.join(find_site(name))
            result = await client.call('interop.add', 1, 2)
            await client.leave()
            return client.subprotocol, result, client.details.realm

    subprotocol, result, realm = asyncio.run(main())
    assert subprotocol in ('wamp.2.msgpack.batched', 'wamp.2.msgpack')
    assert result == ([3], {})
    assert realm == REALM
