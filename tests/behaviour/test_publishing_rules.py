"""publishing: which topics are open to which clients, and what subscription handlers have to say about it."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.publishing_clients import (
    NOT_AUTHORIZED,
    is_quiet,
    plain,
    play_with,
    publish,
    refusal,
    subscribe,
    subscribe_refusal,
)

import serverwamp_fast as wamp
from serverwamp_fast.publishing import Opening


@pytest.fixture(params=['native', 'own'])
def play(run: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """See play_with(); on the native server, and on connections of an application's own."""
    return functools.partial(play_with, run, request.param)


# ---- Rules ---------------------------------------------------------------------------------------


def test_rules(play: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = wamp.Application()
    asked = []

    async def own_room(session: Any, topic: str, args: Any, kwargs: Any) -> bool:
        await asyncio.sleep(0)
        asked.append((topic, list(args), dict(kwargs)))
        return topic == f'room.{session.id}'

    app.allow_publish('room.', 'prefix', own_room)
    app.allow_publish('room..loud', 'wildcard', lambda options: options.get('_shout') is True)
    app.allow_publish('room.broken', rule=lambda: 1 / 0)
    app.allow_publish('room.hall')
    app.allow_subscribe('room.', 'prefix')

    async def test(app: Any, first: Any, second: Any) -> None:
        await subscribe(second, 'room.', 'prefix')
        own = f'room.{first.session_id}'
        # In order, although the rule takes its time for some.
        await first.say([16, 1, {}, own, [1], {'k': 2}], [16, 2, {}, 'room.7'], [16, 3, {}, 'room.hall', [2]])
        assert [(await second.hear())[3]['topic'] for _ in range(2)] == [own, 'room.hall']
        assert asked[:2] == [(own, [1], {'k': 2}), ('room.7', [], {})]
        assert await refusal(first, 'room.7') == NOT_AUTHORIZED
        assert await refusal(first, 'room.7.loud') == NOT_AUTHORIZED
        await publish(first, 'room.7.loud', _shout=True)
        assert (await second.hear())[3]['topic'] == 'room.7.loud'
        assert await refusal(first, 'room.broken') == 'wamp.error.authorization_failed'
        assert 'ZeroDivisionError' in caplog.text
        await is_quiet(first, second)

    play(test, app=app)


def test_rules_of_subscribers(play: Any) -> None:
    app = wamp.Application()
    asked = []

    def own(session: Any, topic: str) -> bool:
        return topic.startswith('user.1')

    async def by_policy(topic: str, match: str) -> bool:
        asked.append((topic, match))
        return match != 'prefix'

    async def fail(**values: Any) -> bool:
        raise LookupError

    app.allow_subscribe('user.', 'prefix', own)
    app.allow_subscribe('news..local', 'wildcard', by_policy)
    app.allow_subscribe('news.', 'prefix', by_policy)
    app.allow_subscribe('broken', rule=fail)

    async def test(app: Any, client: Any) -> None:
        await subscribe(client, 'user.12')
        assert await subscribe_refusal(client, 'user.2') == NOT_AUTHORIZED
        # A rule that doesn't ask for the policy takes a pattern for a topic, so it isn't asked.
        assert await subscribe_refusal(client, 'user.1', 'prefix') == NOT_AUTHORIZED
        await subscribe(client, 'news.x.local', 'wildcard')
        assert asked == [('news.x.local', 'wildcard')]
        assert await subscribe_refusal(client, 'news.', 'prefix') == NOT_AUTHORIZED
        assert asked[1:] == [('news.', 'prefix')]
        assert await subscribe_refusal(client, '.x.local', 'wildcard') == NOT_AUTHORIZED
        assert await subscribe_refusal(client, 'broken') == 'wamp.error.authorization_failed'

    play(test, members=1, app=app)


@pytest.mark.parametrize(
    ('opening', 'covered', 'others'),
    [
        (
            ('a.b', 'exact'),
            [('a.b', 'exact'), ('a.b', 'wildcard')],
            [('a.b', 'prefix'), ('a.c', 'exact'), ('a.', 'wildcard')],
        ),
        (
            ('a.', 'prefix'),
            [('a.b', 'exact'), ('a.b', 'prefix'), ('a.', 'prefix'), ('a..c', 'wildcard'), ('a.', 'wildcard')],
            [('a', 'exact'), ('a', 'prefix'), ('.b', 'wildcard'), ('a', 'wildcard'), ('', 'prefix'), ('', 'wildcard')],
        ),
        (
            ('a..c', 'wildcard'),
            [('a.b.c', 'exact'), ('a..c', 'wildcard'), ('a.b.c', 'wildcard')],
            [('a..', 'wildcard'), ('a.b.c', 'prefix'), ('a.b', 'exact'), ('..c', 'wildcard'), ('a..c.d', 'wildcard')],
        ),
        (('', 'prefix'), [('', 'prefix'), ('', 'wildcard'), ('a', 'exact'), ('.b', 'wildcard')], []),
    ],
)  # fmt: skip
def test_what_is_covered(opening: Any, covered: list[Any], others: list[Any]) -> None:
    found = Opening(*opening, None, ())
    assert [found.covers(*pattern) for pattern in covered] == [True] * len(covered)
    assert [found.covers(*pattern) for pattern in others] == [False] * len(others)


def test_unsuitable_openings() -> None:
    realm = wamp.Realm()
    for topic, match in (('a', 'sideways'), ('a..b', 'exact'), ('a b', 'prefix'), ('', 'exact')):
        with pytest.raises(ValueError, match='topic'):
            realm.allow_publish(topic, match)
    with pytest.raises(TypeError, match='nothing provides'):
        realm.allow_publish('a', rule=lambda session, match: True)
    with pytest.raises(TypeError, match='nothing provides'):
        realm.allow_subscribe('a', rule=lambda session, /: True)
    realm.allow_subscribe('a', rule=lambda session, *rest, other=1: True)


# ---- Subscription handlers -----------------------------------------------------------------------


def make_routed() -> Any:
    app = wamp.Application()
    topics = wamp.TopicRouteSet()

    @topics.route('plain')
    async def plain_topic(topic_uri: str, session: Any) -> AsyncIterator[None]:
        await session.send_event(topic_uri, ('from the handler',))
        yield

    @topics.prefix_route('any.')
    async def any_match(topic_uri: str, session: Any, match: str) -> AsyncIterator[None]:
        if match == 'wildcard':
            raise wamp.SubscribeError('com.example.no')
        session['match'] = match
        yield
        session['match'] = None

    app.add_topic_routes(topics)
    return app


def test_handlers_of_routes(play: Any) -> None:
    async def test(app: Any, client: Any) -> None:
        (session,) = app._active_sessions
        await subscribe(client, 'plain')
        assert plain(await client.hear())[3:] == [{}, ['from the handler']]
        # The handler only knows what to do with single topics.
        assert await subscribe_refusal(client, 'plain', 'prefix') == NOT_AUTHORIZED
        assert await subscribe_refusal(client, 'other', 'prefix') == 'wamp.error.invalid_uri'
        number = await subscribe(client, 'any.', 'prefix')
        assert session['match'] == 'prefix'
        assert await subscribe_refusal(client, 'any..x', 'wildcard') == 'com.example.no'
        await app.publish('any.thing')
        assert (await client.hear())[1] == number
        assert await client.ask(34, 1, number) == [35, 1]
        assert session['match'] is None
        await subscribe(client, 'any.x', 'exact')
        assert session['match'] == 'exact'

    play(test, members=1, app=make_routed())


def test_routes_come_before_rules(play: Any) -> None:
    app = make_routed()
    app.allow_subscribe('any', 'prefix')

    async def test(app: Any, client: Any) -> None:
        assert await subscribe_refusal(client, 'any..x', 'wildcard') == 'com.example.no'
        await subscribe(client, 'anything', 'prefix')

    play(test, members=1, app=app)


def test_a_function_for_all_subscriptions(play: Any) -> None:
    app = wamp.Application()

    async def handle(topic: str, session: Any) -> AsyncIterator[None]:
        yield

    async def handle_patterns(topic: str, session: Any, match: str = 'exact') -> AsyncIterator[None]:
        yield

    async def test(app: Any, client: Any) -> None:
        app.set_subscription_handler(handle)
        await subscribe(client, 'a')
        assert await subscribe_refusal(client, 'a', 'prefix') == NOT_AUTHORIZED
        app.set_subscription_handler(handle_patterns)
        await subscribe(client, 'a', 'prefix')

    play(test, members=1, app=app)


def test_send_event_reaches_patterns(play: Any) -> None:
    async def test(app: Any, client: Any, other: Any) -> None:
        session = next(one for one in app._active_sessions if one.id == client.session_id)
        exact = await subscribe(client, 'a.b')
        await session.send_event('a.c', (0,))
        prefix = await subscribe(client, 'a.', 'prefix')
        wildcard = await subscribe(client, 'a.', 'wildcard')
        await subscribe(other, 'a.', 'prefix')
        await session.send_event('a.b', (1,), {'k': 2}, trust_level=3)
        events = sorted([plain(await client.hear()) for _ in range(3)])
        topic = {'trustlevel': 3, 'topic': 'a.b'}
        assert [[event[1], *event[3:]] for event in events] == [
            [exact, {'trustlevel': 3}, [1], {'k': 2}],
            [prefix, topic, [1], {'k': 2}],
            [wildcard, topic, [1], {'k': 2}],
        ]
        assert len({event[2] for event in events}) == 1
        await session.send_event('b', (1,))
        await is_quiet(client, other)

    play(test)
