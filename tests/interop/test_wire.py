"""A plain WebSocket client against our servers: negotiation, frames, close codes, the end of a server."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import cbor2
import msgpack
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from interop.sites import Site, running_site

SERVERS = ('native', 'aiohttp', 'uvicorn')
DEADLINE = 30  # seconds, for a server that would not answer
HELLO = [1, 'interop', {'roles': {'caller': {}, 'subscriber': {}}}]
GOODBYE = [6, {}, 'wamp.close.normal']


@pytest.fixture(scope='module', params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope='module')
def site(server: str) -> Iterator[Site]:
    with running_site(server) as site:
        yield site


def run(talk: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(DEADLINE):
            return await talk()

    return asyncio.run(main())


def open_connection(site: Site, *subprotocols: str, **options: Any) -> Any:
    names = [websockets.Subprotocol(name) for name in subprotocols] or None
    return connect(site.url, subprotocols=names, proxy=None, **{'compression': None, **options})


async def ask(websocket: ClientConnection, message: Any) -> Any:
    await websocket.send(json.dumps(message))
    return json.loads(await websocket.recv())


async def closing_code(websocket: ClientConnection) -> int:
    """The code of the Close that the server sends, after whatever else it has to say; 1006 if it sends none."""
    with pytest.raises(websockets.ConnectionClosed) as caught:
        while True:
            await websocket.recv()
    return caught.value.rcvd.code if caught.value.rcvd else 1006


@pytest.mark.parametrize(
    ('offered', 'chosen'),
    [
        (['wamp.2.json'], 'wamp.2.json'),
        (['wamp.2.cbor', 'wamp.2.json'], 'wamp.2.json'),
        (['wamp.2.cbor.batched', 'wamp.2.msgpack'], 'wamp.2.msgpack'),
        (['wamp.2.flatbuffers', 'wamp.2.cbor'], 'wamp.2.cbor'),
        (['chat', 'wamp.2.msgpack'], 'wamp.2.msgpack'),
        (['wamp.2.json', 'wamp.2.json.batched'], None),
        (['wamp.2.json', 'wamp.2.msgpack'], None),
    ],
)
def test_negotiation(site: Site, offered: list[str], chosen: str | None) -> None:
    async def talk() -> Any:
        async with open_connection(site, *offered) as websocket:
            return websocket.subprotocol

    subprotocol = run(talk)
    assert subprotocol == chosen or (chosen is None and subprotocol in offered)


def test_the_native_servers_order() -> None:
    """The server's preference decides, not the client's."""
    order = [
        'wamp.2.msgpack.batched',
        'wamp.2.msgpack',
        'wamp.2.json.batched',
        'wamp.2.json',
        'wamp.2.cbor.batched',
        'wamp.2.cbor',
    ]

    with running_site('native') as site:
        for first in range(len(order)):

            async def talk(first: int = first) -> Any:
                async with open_connection(site, *reversed(order[first:])) as websocket:
                    return websocket.subprotocol

            assert run(talk) == order[first]


@pytest.mark.parametrize('offered', [[], ['chat'], ['wamp.2.flatbuffers']])
def test_no_common_subprotocol(site: Site, offered: list[str]) -> None:
    async def talk() -> Any:
        async with open_connection(site, *offered):
            pass

    with pytest.raises(websockets.InvalidStatus) as caught:
        run(talk)
    assert caught.value.response.status_code in (400, 403)


def test_a_session_in_bytes(site: Site) -> None:
    """The messages as they are on the wire, in JSON without spaces."""

    async def talk() -> Any:
        async with open_connection(site, 'wamp.2.json') as websocket:
            welcome = await ask(websocket, HELLO)
            sent = []
            for message in (
                [48, 1, {}, 'interop.add', [1, 2]],
                [48, 2, {}, 'interop.nothing'],
                GOODBYE,
            ):
                await websocket.send(json.dumps(message))
                sent.append(await websocket.recv())
            return welcome, sent

    welcome, sent = run(talk)
    assert welcome[0] == 2
    assert sent == ['[50,1,{},[3]]', '[50,2,{}]', '[6,{},"wamp.close.goodbye_and_out"]']
    details = welcome[2]
    assert {'authid', 'authrole', 'authmethod', 'authprovider'} <= set(details)
    assert details['roles'] == {
        'broker': {
            'features': dict.fromkeys(
                ('publisher_exclusion', 'subscriber_blackwhite_listing', 'pattern_based_subscription',
                 'publisher_identification', 'event_retention'), True,
            ),
        },
        'dealer': {
            'features': dict.fromkeys(
                ('call_canceling', 'call_timeout', 'caller_identification', 'progressive_call_invocations',
                 'progressive_call_results'), True,
            ),
        },
    }  # fmt: skip
    assert details['agent'].startswith('serverwamp_fast')


def test_fragments_and_pings(site: Site) -> None:
    """A message in fragments with a ping between them, and a pong for it."""

    async def talk() -> Any:
        async with open_connection(site, 'wamp.2.json') as websocket:
            await ask(websocket, HELLO)

            async def fragments() -> Any:
                yield '[48,1,{},"inter'
                pong.append(await websocket.ping(b'between'))
                yield 'op.add",'
                yield ''
                yield '[1,2]]'

            pong: list[Any] = []
            await websocket.send(fragments())
            await pong[0]
            return json.loads(await websocket.recv())

    assert run(talk) == [50, 1, {}, [3]]


def test_compression_is_declined_or_works(site: Site) -> None:
    async def talk() -> Any:
        async with open_connection(site, 'wamp.2.json', compression='deflate') as websocket:
            await ask(websocket, HELLO)
            return await ask(websocket, [48, 1, {}, 'interop.echo', ['x' * 10_000]])

    assert run(talk) == [50, 1, {}, ['x' * 10_000]]


@pytest.mark.parametrize('code', [1000, 1001, 3000, 4999])
def test_close_is_answered_with_its_code(server: str, site: Site, code: int) -> None:
    async def talk() -> Any:
        async with open_connection(site, 'wamp.2.json') as websocket:
            await ask(websocket, HELLO)
            await websocket.close(code)
            return websocket.close_code

    # aiohttp answers every Close with 1000.
    assert run(talk) == (1000 if server == 'aiohttp' else code)


@pytest.mark.parametrize(
    ('payload', 'uri'),
    [
        ('not JSON', 'wamp.error.protocol_violation'), ('[48]', 'wamp.error.protocol_violation'),
        (b'[48,1,{},"interop.add",[1,2]]', 'wamp.error.protocol_violation'), ('[999]', 'wamp.error.protocol_violation'),
    ],
)  # fmt: skip
@pytest.mark.parametrize('joined', [False, True])
def test_violations(site: Site, payload: str | bytes, uri: str, joined: bool) -> None:
    """ABORT, then Close with 1000: it is WAMP that was broken, not WebSocket."""

    async def talk() -> Any:
        async with open_connection(site, 'wamp.2.json') as websocket:
            if joined:
                await ask(websocket, HELLO)
            await websocket.send(payload)
            abort = json.loads(await websocket.recv())
            return abort, await closing_code(websocket)

    abort, code = run(talk)
    assert (abort[0], abort[2]) == (3, uri)
    assert code == 1000


@pytest.mark.parametrize('in_fragments', [False, True])
def test_messages_over_the_limit(server: str, site: Site, in_fragments: bool) -> None:
    """1 MiB for a whole message, fragments included. On aiohttp it is 4 MiB; uvicorn has a limit of its own, 16 MiB."""
    limit = {'aiohttp': 2**22, 'uvicorn': 2**24}.get(server, 2**20)
    pieces = ['x' * (limit // 4)] * 4 + ['x'] if in_fragments else 'x' * (limit + 1)

    async def talk() -> Any:
        async with open_connection(site, 'wamp.2.json') as websocket:
            await ask(websocket, HELLO)
            # The server may close before everything is sent.
            with contextlib.suppress(websockets.ConnectionClosed):
                await websocket.send(pieces)
            return await closing_code(websocket)

    assert run(talk) == 1009


@pytest.mark.parametrize('subprotocol', ['wamp.2.msgpack', 'wamp.2.cbor'])
def test_binary_messages_of_javascript(site: Site, subprotocol: str) -> None:
    """Ids as floats, and undefined: in MessagePack extension type 0, in CBOR a value of its own."""
    if subprotocol == 'wamp.2.cbor':
        dumps, loads, undefined = cbor2.dumps, cbor2.loads, cbor2.undefined
    else:
        dumps, loads, undefined = msgpack.packb, msgpack.unpackb, msgpack.ExtType(0, b'\0')

    async def talk() -> Any:
        async with open_connection(site, subprotocol) as websocket:
            answers = []
            for message in (
                HELLO,
                [48, 1.0, {'timeout': undefined}, 'interop.everything', [undefined, 2.0**33]],
                [32, 2, {'match': undefined, 'get_retained': undefined}, 'interop.news.x'],
            ):
                await websocket.send(dumps(message))
                answers.append(loads(await websocket.recv()))
            return answers[1:]

    called, subscribed = run(talk)
    assert called == [50, 1, {}, [None, 2.0**33]]
    assert subscribed[:2] == [33, 2]


@pytest.mark.parametrize(
    'message',
    [
        b'\xff',
        b'\x85\x18\x30\x01\xa0\x60\xd8\x1c\x80',
        b'\x81' * 100_000,
        b'\x9b\x7f\xff\xff\xff\xff\xff\xff\xff\x01',
        b'\x01\x01',
    ],
    ids=['no CBOR', 'a shared value', 'nesting', 'a length', 'two values'],
)
def test_bad_cbor_ends_one_session(site: Site, message: bytes) -> None:
    async def talk() -> Any:
        async with (
            open_connection(site, 'wamp.2.cbor') as other,
            open_connection(site, 'wamp.2.cbor') as websocket,
        ):
            for opened in other, websocket:
                await opened.send(cbor2.dumps(HELLO))
                await opened.recv()
            await websocket.send(message)
            abort = cbor2.loads(await websocket.recv())
            await closing_code(websocket)
            await other.send(cbor2.dumps([48, 1, {}, 'interop.add', [1, 2]]))
            return abort, cbor2.loads(await other.recv())

    abort, answer = run(talk)
    assert (abort[0], abort[2]) == (3, 'wamp.error.protocol_violation')
    assert answer == [50, 1, {}, [3]]


@pytest.mark.parametrize('separator', ['\x1e', '\x18'])
def test_both_separators_of_batched_json(site: Site, separator: str) -> None:
    """The specification's and autobahn's; the answer comes in the one that was used."""

    async def talk() -> Any:
        async with open_connection(site, 'wamp.2.json.batched') as websocket:
            messages = (HELLO, [48, 1, {}, 'interop.add', [1, 2]], [48, 2, {}, 'interop.add', [3]])
            await websocket.send(''.join(json.dumps(message) + separator for message in messages))
            received = ''
            while received.count(separator) < 3:
                received += await websocket.recv()
            return [json.loads(text) for text in received.split(separator)[:-1]]

    welcome, *results = run(talk)
    assert welcome[0] == 2
    assert results == [[50, 1, {}, [3]], [50, 2, {}, [103]]]


def test_the_end_of_the_server(server: str) -> None:
    """SIGTERM: clients in a session are told, the others closed; running_site() looks at the rest."""

    async def talk(site: Site, joined: asyncio.Event) -> Any:
        received: list[Any] = []
        async with (
            open_connection(site, 'wamp.2.json') as websocket,
            open_connection(site, 'wamp.2.json') as idle,
        ):
            await ask(websocket, HELLO)
            joined.set()
            with contextlib.suppress(websockets.ConnectionClosed):
                received.append(json.loads(await websocket.recv()))
                await websocket.send(json.dumps([6, {}, 'wamp.close.goodbye_and_out']))
            return received, await closing_code(websocket), await closing_code(idle)

    async def main() -> Any:
        joined = asyncio.Event()
        manager = running_site(server)
        site = await asyncio.to_thread(manager.__enter__)
        talking = asyncio.create_task(talk(site, joined))
        await joined.wait()
        await asyncio.to_thread(manager.__exit__, None, None, None)
        return await talking

    received, code, idle_code = run(main)
    if server == 'uvicorn':
        # ASGI applications are not told that the server is about to end; uvicorn closes the connections.
        assert (received, code, idle_code) == ([], 1012, 1012)
    else:
        assert received == [[6, {}, 'wamp.close.system_shutdown']]
        # aiohttp cancels its handlers as soon as GOODBYE is out, and drops the connections.
        assert (code, idle_code) == ((1006, 1006) if server == 'aiohttp' else (1000, 1001))
