"""What tests of publishing have in common: clients that subscribe and publish."""

from collections.abc import Callable, Coroutine
from typing import Any

import serverwamp_fast as wamp
from support.explained import Explained
from support.session_clients import Clients, Pair

NOT_AUTHORIZED = 'wamp.error.not_authorized'
ACKNOWLEDGE = {'acknowledge': True}

Test = Callable[..., Coroutine[Any, Any, None]]


def play_with(run: Any, kind: str, test: Test, members: int = 2, app: Any = None) -> None:
    """Run `test(app, *members)` with clients that have joined an application where all topics are open."""
    if app is None:
        app = wamp.Application()
        app.allow_publish('', 'prefix')
        app.allow_subscribe('', 'prefix')

    async def main() -> None:
        async with Clients(kind).of(app) as connect:
            joined = [await connect() for _ in range(members)]
            for member in joined:
                await member.hello()
            await test(app, *joined)
            for member in joined:
                await leave(member)
        assert len(app._default_realm.topics) == 0

    run(main())


async def leave(client: Any) -> None:
    """Break the connection."""
    if isinstance(client, Pair):
        await client.vanish()
    elif client.sock.fileno() >= 0:
        client.reset()


async def subscribe(client: Any, topic: str, match: str | None = None, **options: Any) -> int:
    if match is not None:
        options['match'] = match
    code, request, number = await client.ask(32, 1, options, topic)
    assert (code, request) == (33, 1)
    return int(number)


async def publish(client: Any, topic: str, *args: Any, **options: Any) -> int:
    """Publish with an acknowledgement; returns the publication's id."""
    code, request, publication = await client.ask(16, 2, {**ACKNOWLEDGE, **options}, topic, list(args))
    assert (code, request) == (17, 2) and 1 <= publication <= 2**53
    return int(publication)


async def refusal(client: Any, topic: str, **options: Any) -> str:
    code, request_type, request, details, uri, *payload = await client.ask(16, 3, {**ACKNOWLEDGE, **options}, topic)
    assert (code, request_type, request, details) == (8, 16, 3, {})
    # What a handler refuses with has none.
    assert not payload or list(payload[0]) == [payload[1]['message']]
    return str(uri)


async def subscribe_refusal(client: Any, topic: str, match: str = 'exact') -> str:
    code, request_type, request, details, uri, *payload = await client.ask(32, 4, {'match': match}, topic)
    assert (code, request_type, request, details) == (8, 32, 4, {})
    # What a handler refuses with has none.
    assert not payload or list(payload[0]) == [payload[1]['message']]
    return str(uri)


async def is_quiet(*clients: Any) -> None:
    """Nothing is on its way to the clients: what they hear next is the answer to what they ask."""
    for client in clients:
        assert await client.ask(34, 9, 2**53) == Explained(34, 9, 'wamp.error.no_such_subscription')


def plain(message: Any) -> Any:
    return [list(part) if isinstance(part, tuple) else part for part in message]
