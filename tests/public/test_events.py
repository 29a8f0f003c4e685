"""events: topics' routes, and subscription handlers up to their yield and after it."""

import asyncio
from typing import Any

import pytest
from serverwamp.events import SubscribeError as TheirSubscribeError
from support.doubles import open_session
from support.signatures import drive

from serverwamp_fast import SubscribeError as PublicSubscribeError
from serverwamp_fast.errors import NoSuchRouteError
from serverwamp_fast.events import (
    TOPIC_ROUTES,
    SubscribeError,
    TopicPrefixRouteDef,
    TopicRegexRouteDef,
    TopicRouteDef,
    TopicRouteSet,
    TopicsRouter,
)
from serverwamp_fast.rpc import RPCRouteDef


async def handler(topic_uri: str, session: Any) -> Any:
    yield


def make_router(function: Any, topic: str = 'topic') -> TopicsRouter:
    router = TopicsRouter()
    router.add_route(topic, function)
    return router


def next_of(iterator: Any, *default: Any) -> Any:
    return drive(anext(iterator, *default).__await__())


# ---- Routes --------------------------------------------------------------------------------------


def test_route_set() -> None:
    topics = TopicRouteSet()
    assert topics.topic('a', role='admin')(handler) is handler
    topics.route('b')(handler)
    topics.prefix_route('c.')(handler)
    topics.regex_route('d+')(handler)
    assert list(topics) == [
        TopicRouteDef('a', handler, {'role': 'admin'}),
        TopicRouteDef('b', handler, {}),
        TopicPrefixRouteDef('c.', handler, {}),
        TopicRegexRouteDef('d+', handler, {}),
    ]
    assert all(isinstance(definition, TOPIC_ROUTES) for definition in topics)
    assert repr(topics) == '<TopicRouteSet count=4>'


def test_definitions_are_not_those_of_procedures() -> None:
    # Routers are told apart by them.
    assert not isinstance(RPCRouteDef('a', handler, {}), TOPIC_ROUTES)
    assert TopicRouteDef('a', handler, {}) != RPCRouteDef('a', handler, {})


def test_router_takes_a_route_set() -> None:
    topics = TopicRouteSet()
    topics.topic('a')(handler)
    topics.prefix_route('b')(handler)
    router = TopicsRouter()
    router.add_routes(topics)
    assert router.resolve('a') is router.resolve('b.c') is handler


# ---- Handlers ------------------------------------------------------------------------------------


def test_a_handler_gets_what_it_asks_for() -> None:
    seen = []

    async def subscribed(session: Any, db: Any, topic_uri: Any, *, own: int = 7) -> Any:
        seen.append((session, db, topic_uri, own))
        yield

    router = make_router(subscribed)
    router.set_default_arg('db', 'the db')
    session = open_session()
    iterator = router.start_handler('topic', session)
    assert seen == []
    next_of(iterator)
    assert seen == [(session, 'the db', 'topic', 7)]


def test_a_topic_without_a_route() -> None:
    router = make_router(handler)
    with pytest.raises(NoSuchRouteError, match='other'):
        router.start_handler('other', open_session())
    with pytest.raises(NoSuchRouteError, match='other'):
        next_of(router.handle_subscription('other', open_session()))


def test_a_parameter_that_nothing_provides() -> None:
    async def subscribed(unknown: Any) -> Any:
        yield

    with pytest.raises(TypeError, match='unknown'):
        make_router(subscribed).start_handler('topic', open_session())


@pytest.mark.parametrize('function', [lambda: None, lambda: [1], lambda: iter(())])
def test_a_handler_that_is_no_asynchronous_generator(function: Any) -> None:
    for start in ('start_handler', 'handle_subscription'):
        with pytest.raises(TypeError, match='must be an asynchronous generator function'):
            iterator = getattr(make_router(function), start)('topic', open_session())
            next_of(iterator)


def test_both_halves_of_a_handler() -> None:
    seen = []

    async def subscribed(topic_uri: str) -> Any:
        seen.append(f'begin {topic_uri}')
        yield
        seen.append(f'end {topic_uri}')

    subscription = make_router(subscribed).handle_subscription('topic', open_session())
    next_of(subscription)
    assert seen == ['begin topic']
    with pytest.raises(StopAsyncIteration):
        next_of(subscription)
    assert seen == ['begin topic', 'end topic']


def test_a_handler_that_yields_twice() -> None:
    async def subscribed() -> Any:
        yield
        yield

    subscription = make_router(subscribed).handle_subscription('topic', open_session())
    next_of(subscription)
    with pytest.raises(StopAsyncIteration):
        next_of(subscription)


def test_a_handler_that_does_not_yield() -> None:
    async def subscribed() -> Any:
        for _ in ():
            yield

    with pytest.raises(RuntimeError, match='StopAsyncIteration'):
        next_of(make_router(subscribed).handle_subscription('topic', open_session()))


@pytest.mark.parametrize('half', [0, 1])
def test_what_a_handler_raises_is_passed_on(half: int) -> None:
    async def subscribed() -> Any:
        for at in range(2):
            if at == half:
                raise SubscribeError('com.example.no')
            yield

    subscription = make_router(subscribed).handle_subscription('topic', open_session())
    if half:
        next_of(subscription)
    with pytest.raises(SubscribeError, match='com.example.no'):
        next_of(subscription)


def test_a_handler_that_waits() -> None:
    async def subscribed() -> Any:
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0)

    async def main() -> list[Any]:
        router = make_router(subscribed)
        return [half async for half in router.handle_subscription('topic', open_session())]

    assert asyncio.run(main()) == [None]


def test_subscribe_error() -> None:
    error = SubscribeError('com.example.no')
    assert error.error_uri == str(error) == 'com.example.no'
    theirs = TheirSubscribeError('com.example.no')
    assert (error.args, vars(error)) == (theirs.args, vars(theirs))
    assert PublicSubscribeError is SubscribeError
    with pytest.raises(TypeError):
        SubscribeError()  # type: ignore[call-arg]
