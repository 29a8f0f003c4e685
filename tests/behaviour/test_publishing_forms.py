"""publishing: events with a value that the serializer of some subscribers has no form for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from behaviour.test_publishing_servers import HELLO, SERVERS, Client
from support.echo_servers import CBOR, CBOR_BATCHED, JSON, JSON_BATCHED, MSGPACK, MSGPACK_BATCHED
from support.explained import Explained
from support.publishing_clients import ACKNOWLEDGE, plain, subscribe
from support.raw_client import warnings_in
from support.session_clients import Pair

import serverwamp_fast as wamp
from serverwamp_fast.adapters.asyncio import HAS_EAGER_TASKS
from serverwamp_fast.errors import SerializationError

SUBPROTOCOLS = [JSON, JSON_BATCHED, MSGPACK, MSGPACK_BATCHED, CBOR, CBOR_BATCHED]
# The publisher, what JSON or MessagePack has no form for, who doesn't get it, and why.
LACKS = [
    (MSGPACK, '\0text', JSON, r"JSON has no form for '\x00text': text that begins with U+0000"),
    (JSON, 2**70, MSGPACK, f'MessagePack has no form for {2**70}: an integer beyond 64 bits'),
    (CBOR, 2**70, MSGPACK, f'MessagePack has no form for {2**70}: an integer beyond 64 bits'),
]
lacking = pytest.mark.parametrize(('publisher', 'value', 'lacks', 'reason'), LACKS, ids=['nul', 'json', 'cbor'])


def make_app() -> wamp.Application:
    app = wamp.Application()
    app.allow_publish('', 'prefix')
    app.allow_subscribe('', 'prefix')
    return app


@contextlib.asynccontextmanager
async def joined(url: str, *subprotocols: str) -> AsyncIterator[list[Client]]:
    from websockets.asyncio.client import connect

    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for subprotocol in subprotocols:
            ws = await stack.enter_async_context(connect(f'ws://{url}', subprotocols=[subprotocol]))
            clients.append(Client(ws))
            assert (await clients[-1].ask(*HELLO))[0] == 2
        yield clients


async def expect_event(clients: list[Any], lacks: str, value: Any) -> None:
    """All get the event but those that can't; these go on as if nothing had been."""
    for client in clients:
        if not client.ws.subprotocol.startswith(lacks):
            assert plain(await client.hear())[4] == [value, 1]
        assert await client.ask(34, 9, 2**53) == Explained(34, 9, 'wamp.error.no_such_subscription')


@pytest.mark.parametrize('server', SERVERS)
@lacking
def test_an_acknowledged_publication(
    run: Any, caplog: Any, server: str, publisher: str, value: Any, lacks: str, reason: str
) -> None:
    app = make_app()
    broker = app._default_realm.broker

    async def main() -> None:
        async with SERVERS[server](app) as url, joined(url, publisher, *SUBPROTOCOLS) as (source, *clients):
            for client in clients:
                await subscribe(client, 'a')
                await subscribe(client, 'b.', 'prefix')
            code, *ids, details, uri, args, kwargs = await source.ask(16, 2, ACKNOWLEDGE, 'a', [value, 1])
            assert (code, ids, details, uri) == (8, [16, 2], {}, 'wamp.error.invalid_argument')
            assert kwargs == {'message': args[0]} and len(args) == 1
            assert args[0].startswith(f'Not every subscriber got the event: {reason}')
            await expect_event(clients, lacks, value)
            assert broker.incomplete == 1
            # As keyword, and for patterns.
            answer = await source.ask(16, 3, ACKNOWLEDGE, 'b.c', [1], {'deep': [{'a': value}]})
            assert answer[:5] == [8, 16, 3, {}, 'wamp.error.invalid_argument']
            assert broker.incomplete == 2
            # What everybody can read is answered as ever.
            assert (await source.ask(16, 4, ACKNOWLEDGE, 'a', [1, 1]))[:2] == [17, 4]

    run(main())
    assert warnings_in(caplog) == []


@pytest.mark.parametrize('server', SERVERS)
@lacking
def test_a_publication_without_an_answer(
    run: Any, caplog: Any, server: str, publisher: str, value: Any, lacks: str, reason: str
) -> None:
    app = make_app()

    async def main() -> None:
        async with SERVERS[server](app) as url, joined(url, publisher, *SUBPROTOCOLS) as (source, *clients):
            for client in clients:
                await subscribe(client, 'a')
            await source.ws.send(source.wire.encode([16, 2, {}, 'a', [value, 1]]))
            assert await source.ask(34, 9, 2**53) == Explained(34, 9, 'wamp.error.no_such_subscription')
            await expect_event(clients, lacks, value)

    run(main())
    assert app._default_realm.broker.incomplete == 1
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"An event for 'a' did not reach everybody: {reason}")


@pytest.mark.parametrize('server', SERVERS)
@lacking
def test_a_publication_of_the_server(
    run: Any, caplog: Any, server: str, publisher: str, value: Any, lacks: str, reason: str
) -> None:
    app = make_app()

    async def main() -> None:
        async with SERVERS[server](app) as url, joined(url, *SUBPROTOCOLS) as clients:
            for client in clients:
                await subscribe(client, 'a')
            with pytest.raises(SerializationError) as caught:
                await app.publish('a', (value, 1))
            assert str(caught.value).startswith(reason)
            await expect_event(clients, lacks, value)

    run(main())
    assert app._default_realm.broker.incomplete == 1
    assert warnings_in(caplog) == []


@pytest.mark.parametrize('server', SERVERS)
@lacking
def test_subscribers_who_are_not_told_yet(
    run: Any, server: str, publisher: str, value: Any, lacks: str, reason: str
) -> None:
    """Events for them are held until SUBSCRIBED is out; the publisher is told all the same."""
    app = make_app()
    topics = wamp.TopicRouteSet()

    @topics.route('held')
    async def handler(session: Any) -> AsyncIterator[None]:
        try:
            await app.publish('held', (value, 1))
        except SerializationError as error:
            failures.append(str(error))
        await app.publish('held', ('after',))
        yield

    app.add_topic_routes(topics)
    failures: list[str] = []

    async def main() -> None:
        async with SERVERS[server](app) as url, joined(url, *SUBPROTOCOLS) as clients:
            for client in clients:
                await subscribe(client, 'held')
                if not client.ws.subprotocol.startswith(lacks):
                    assert plain(await client.hear())[4] == [value, 1]
                assert plain(await client.hear())[4] == ['after']
                await client.ask(34, 9, 2**53)
                assert (await client.ask(34, 1, app._default_realm.topics.peek('held'))) == [35, 1]

    run(main())
    assert len(failures) == app._default_realm.broker.incomplete == 2
    assert all(failure.startswith(reason) for failure in failures)


@pytest.mark.parametrize('server', SERVERS)
@lacking
def test_retained_events(
    run: Any, caplog: Any, server: str, publisher: str, value: Any, lacks: str, reason: str
) -> None:
    app = make_app()

    async def main() -> None:
        async with SERVERS[server](app) as url, joined(url, publisher, *SUBPROTOCOLS) as (source, *clients):
            options = {**ACKNOWLEDGE, 'retain': True}
            for topic, item in ('a.1', 'first'), ('a.2', value), ('a.3', 'last'):
                assert (await source.ask(16, 2, options, topic, [item]))[0] == 17
            for client in clients:
                for match in ('prefix', 'wildcard'):
                    await subscribe(client, 'a.', match, get_retained=True)
                    # No loss of others, and no other in its place.
                    expected = ['first', value, 'last']
                    if client.ws.subprotocol.startswith(lacks):
                        del expected[1]
                    for item in expected:
                        event = plain(await client.hear())
                        assert event[3]['retained'] is True and event[4] == [item]
                await client.ask(34, 9, 2**53)

    run(main())
    assert app._default_realm.broker.incomplete == 1
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"An event for 'a.2' did not reach everybody: {reason}")


def test_retained_events_whose_publisher_was_told(run: Any, caplog: Any) -> None:
    """The ERROR tells of the subscribers that there were; later ones are told of in the log."""
    app = make_app()
    broker = app._default_realm.broker

    async def main() -> None:
        async with SERVERS['native'](app) as url, joined(url, MSGPACK, JSON, JSON) as (source, early, late):
            await subscribe(early, 'a')
            answer = await source.ask(16, 2, {**ACKNOWLEDGE, 'retain': True}, 'a', ['\0'])
            assert answer[:5] == [8, 16, 2, {}, 'wamp.error.invalid_argument']
            assert (broker.incomplete, warnings_in(caplog)) == (1, [])
            for _ in range(2):
                number = await subscribe(late, 'a', get_retained=True)
                assert await late.ask(34, 9, number) == [35, 9]
            assert (broker.incomplete, len(warnings_in(caplog))) == (1, 1)

    run(main())


class Lacking(Pair):
    """A connection of an application's own, with a serializer that has no text."""

    async def send_msg(self, msg: Any) -> None:
        if len(msg) > 4 and 'text' in msg[4]:
            await self.before_failing()
            raise SerializationError("Numbers has no form for 'text'")
        await super().send_msg(msg)

    async def before_failing(self) -> None:
        pass


class LackingLater(Lacking):
    async def before_failing(self) -> None:
        await asyncio.sleep(0.01)


def play(run: Any, test: Callable[..., Any], *kinds: Any) -> Any:
    app = make_app()

    async def main() -> None:
        pairs = [kind() for kind in kinds]
        for pair in pairs:
            pair.serving = asyncio.create_task(app.handle_connection(pair))
            await pair.hello()
        await test(app, *pairs)
        for pair in pairs:
            await pair.vanish()

    run(main())
    return app._default_realm.broker


@pytest.mark.parametrize('acknowledged', [True, False])
@pytest.mark.parametrize('kind', [Lacking, LackingLater])
def test_connections_of_ones_own(run: Any, caplog: Any, kind: Any, acknowledged: bool) -> None:
    """They are written to by message, so that it shows when that is sent. Who is slow holds up nobody's answer."""

    async def test(app: Any, source: Any, lacking: Any, second: Any, other: Any) -> None:
        for client in (lacking, second, other):
            await subscribe(client, 'a')
        await source.say([16, 2, {'acknowledge': acknowledged}, 'a', ['text']], [16, 3, ACKNOWLEDGE, 'a', [5]])
        if acknowledged:
            answer = await source.hear()
            if is_told:
                assert answer[:5] == [8, 16, 2, {}, 'wamp.error.invalid_argument']
                assert answer[5][0] == "Not every subscriber got the event: Numbers has no form for 'text'"
            else:
                assert answer[:2] == [17, 2]
        assert (await source.hear())[:2] == [17, 3]
        assert [list((await other.hear())[4]) for _ in range(2)] == [['text'], [5]]
        for client in (lacking, second):
            assert list((await client.hear())[4]) == [5]

    is_told = acknowledged and kind is Lacking and HAS_EAGER_TASKS
    broker = play(run, test, Pair, kind, kind, Pair)
    assert broker.incomplete == 1
    # Known where it is not too late for an answer.
    warnings = [line.partition(' (Published by session ')[0] for line in warnings_in(caplog)]
    assert warnings == (
        [] if is_told else ["An event for 'a' did not reach everybody: Numbers has no form for 'text'"]
    )


def test_retained_events_for_connections_of_ones_own(run: Any, caplog: Any) -> None:
    async def test(app: Any, lacking: Any) -> None:
        for topic, item in ('a.1', 1), ('a.2', 'text'), ('a.3', 3):
            await app.publish(topic, (item,), retain=True)
        for match in ('prefix', 'wildcard'):
            await subscribe(lacking, 'a.', match, get_retained=True)
            assert [list((await lacking.hear())[4]) for _ in range(2)] == [[1], [3]]
        await lacking.ask(34, 9, 2**53)

    assert play(run, test, Lacking).incomplete == 1
    assert warnings_in(caplog) == ["An event for 'a.2' did not reach everybody: Numbers has no form for 'text'"]


def test_what_the_server_publishes_to_connections_of_ones_own(run: Any) -> None:
    async def test(app: Any, lacking: Any, other: Any) -> None:
        for client in (lacking, other):
            await subscribe(client, 'a')
        if HAS_EAGER_TASKS:
            with pytest.raises(SerializationError, match='Numbers has no form'):
                await app.publish('a', ('text',))
        else:
            await app.publish('a', ('text',))
        assert list((await other.hear())[4]) == ['text']

    assert play(run, test, Lacking, Pair).incomplete == 1
