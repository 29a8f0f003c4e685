"""Mistakes that are seen when an application is put together."""

import functools
import inspect
import logging
import types
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from support.calling import answers
from support.doubles import open_session

from serverwamp_fast import Application, RPCRouteSet, TopicRouteSet
from serverwamp_fast.events import TopicsRouter
from serverwamp_fast.mistakes import is_plain, name_function
from serverwamp_fast.realm import Realm
from serverwamp_fast.routing import URIsRouter
from serverwamp_fast.rpc import RPCRouter, route


async def coroutine(*args: Any) -> Any: ...


async def generator(*args: Any) -> Any:
    yield


def plain(*args: Any) -> int:
    return 7


def returns_awaitable(*args: Any) -> Awaitable[int]:
    return coroutine()


def returns_quoted(*args: Any) -> 'Awaitable[int]':
    return coroutine()


@types.coroutine
def old_style(*args: Any) -> Any:
    yield


@functools.wraps(coroutine)
def wrapper(*args: Any) -> Any:
    return coroutine(*args)


class Nameless:
    def __call__(self) -> int:
        return 7

    def __repr__(self) -> str:
        raise RuntimeError('on purpose')


class Handlers:
    async def method(self) -> None: ...

    def plain_method(self) -> None: ...

    def __call__(self) -> Any: ...


RIGHT = [
    coroutine, generator, returns_awaitable, returns_quoted, old_style, wrapper, lambda *args: coroutine(),
    Handlers().method, Handlers(), functools.partial(coroutine, 1), Mock(), MagicMock(), AsyncMock(), len,
    open_session().send_raw,
]  # fmt: skip
PLAIN = [plain, Handlers().plain_method, functools.partial(plain, 1)]


def mistakes_in(caplog: Any) -> list[str]:
    for record in caplog.records:
        assert record.levelno == logging.WARNING and record.exc_info is None
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == 'serverwamp_fast.mistakes'
    ]


@pytest.mark.parametrize('function', RIGHT)
def test_what_may_be_awaited(function: Any) -> None:
    assert not is_plain(function)


@pytest.mark.parametrize('function', PLAIN)
def test_what_is_plain(function: Any) -> None:
    assert is_plain(function)


def test_functions_are_named_with_their_place() -> None:
    line = plain.__code__.co_firstlineno
    assert name_function(plain) == f'{__name__}.plain ({__file__}, line {line})'
    assert name_function(functools.partial(plain, 1)) == name_function(plain)
    assert name_function(Handlers().method).startswith(f'{__name__}.Handlers.method (')
    assert name_function(7) == '7'
    assert name_function(Nameless()) == f'an object of {__name__}.Nameless'


@pytest.mark.parametrize('kind', [RPCRouteSet, TopicRouteSet])
@pytest.mark.parametrize('method', ['route', 'prefix_route', 'regex_route', 'topic'])
def test_a_decorator_without_parentheses(kind: Any, method: str) -> None:
    routes = kind()
    if not hasattr(routes, method):
        return
    with pytest.raises(
        TypeError,
        match=rf'^{method}\(\) takes a URI, and was given the function {__name__}.coroutine',
    ):
        getattr(routes, method)(coroutine)
    assert len(routes) == 0


@pytest.mark.parametrize(
    'uri', ['com.my procedure', 'com.a\tb', 'com.a#b', ' com', 'com.a\n', 'com.a\u00a0b']
)
@pytest.mark.parametrize('match', ['route', 'prefix_route'])
@pytest.mark.parametrize('owner', [Realm, Application])
def test_uris_that_nobody_can_ask_for(uri: str, match: str, owner: Any) -> None:
    calls, topics = RPCRouteSet(), TopicRouteSet()
    getattr(calls, match)(uri)(coroutine)
    getattr(topics, match)(uri)(generator)
    for add, routes in [
        ('add_rpc_routes', calls),
        ('add_routes', calls),
        ('add_topic_routes', topics),
    ]:
        with pytest.raises(
            ValueError, match='has .* in it. URIs have neither white space nor #'
        ) as raised:
            getattr(owner(), add)(routes)
        assert f'{__name__}.' in str(raised.value)
    with pytest.raises(ValueError, match='URIs have'):
        owner().add_rpc_routes([route(uri, coroutine)])


def test_regular_expressions_may_have_white_space() -> None:
    routes = RPCRouteSet()
    routes.regex_route(r'com\.[^ #]+')(coroutine)
    Realm().add_rpc_routes(routes)


@pytest.mark.parametrize('owner', [Realm, Application])
@pytest.mark.parametrize('as_list', [False, True])
def test_sets_of_the_other_kind(owner: Any, as_list: bool) -> None:
    calls, topics = RPCRouteSet(), TopicRouteSet()
    calls.route('com.a')(coroutine)
    topics.route('com.a')(generator)
    make = list if as_list else lambda routes: routes
    with pytest.raises(
        TypeError,
        match=r'is for topics, where procedures are added. Give it to add_topic_routes\(\)',
    ):
        owner().add_rpc_routes(make(topics))
    with pytest.raises(
        TypeError, match=r'is for procedures, where topics are added. Give it to add_rpc_routes\(\)'
    ):
        owner().add_topic_routes(make(calls))
    if not as_list:
        with pytest.raises(TypeError, match='is for topics'):
            owner().add_rpc_routes(TopicRouteSet())
    both = owner()
    both.add_routes([*calls, *topics])
    both.add_rpc_routes(make(calls))
    both.add_topic_routes(make(topics))
    URIsRouter().add_routes([*calls, *topics])


@pytest.mark.parametrize('handler', [coroutine, Handlers().method, functools.partial(coroutine)])
@pytest.mark.parametrize('method', ['route', 'prefix_route', 'regex_route', 'topic'])
def test_topic_handlers_without_a_yield(handler: Any, method: str) -> None:
    routes = TopicRouteSet()
    getattr(routes, method)('com.a')(handler)
    with pytest.raises(
        TypeError, match='is a coroutine function. It must be an asynchronous generator function'
    ):
        Realm().add_topic_routes(routes)
    with pytest.raises(TypeError, match='is a coroutine function'):
        Realm().set_subscription_handler(handler)


def test_topic_handlers_written_with_def() -> None:
    def handler(session: Any) -> Any:
        yield

    with pytest.raises(TypeError, match='is a generator function. .*: write async def'):
        TopicsRouter().add_route('com.a', handler)
    with pytest.raises(TypeError, match='The subscription handler .* is a generator function'):
        Realm().set_subscription_handler(handler)


@pytest.mark.parametrize('owner', [Realm, Application])
@pytest.mark.parametrize('authenticated_only', [False, True])
def test_lifespan_handlers_that_can_not_work(owner: Any, authenticated_only: bool) -> None:
    def handler(session: Any) -> Any:
        yield

    for function, rule in (
        (coroutine, 'is a coroutine function. .*: give it one yield, where it waits for the end of the session'),
        (functools.partial(coroutine), 'is a coroutine function'),
        (handler, 'is a generator function. .*: write async def'),
    ):
        with pytest.raises(TypeError, match=f'The session handler .* {rule}'):
            owner().add_session_lifespan_handler(function, authenticated_only)
    for function in (generator, Handlers(), Mock(), lambda: generator()):
        owner().add_session_lifespan_handler(function, authenticated_only)


@pytest.mark.parametrize(
    'handler', [generator, Handlers(), Mock(), AsyncMock(), lambda: generator(), plain]
)
def test_topic_handlers_that_may_work(handler: Any, caplog: Any) -> None:
    TopicsRouter().add_route('com.a', handler)
    Realm().set_subscription_handler(handler)
    assert not caplog.records


@pytest.mark.parametrize('procedure', PLAIN)
def test_plain_procedures(procedure: Any, caplog: Any) -> None:
    RPCRouter().add_route('com.a', procedure)
    (line,) = mistakes_in(caplog)
    assert line == (
        f'The procedure {name_function(procedure)} is written with def, and what it returns is awaited. Write async '
        f'def, or annotate that it returns an Awaitable.'
    )


@pytest.mark.parametrize('procedure', RIGHT)
def test_other_procedures(procedure: Any, caplog: Any) -> None:
    try:
        inspect.signature(procedure)
    except ValueError:
        return
    RPCRouter().add_route('com.a', procedure)
    assert not mistakes_in(caplog)


def test_the_error_of_a_plain_procedure_names_it(caplog: Any) -> None:
    answers(lambda: 7)
    answers(plain)
    texts = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert [text.partition(':')[0] for text in texts] == [
        "object int can't be used in 'await' expression"
    ] * 2
    assert texts[1].endswith(f'{name_function(plain)} returned it. Write async def.')


def test_a_procedure_that_can_not_be_shown_is_answered(caplog: Any) -> None:
    answers(Nameless())
    texts = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert len(texts) == 1 and 'Nameless returned it.' in texts[0]


def test_a_plain_procedure_that_returns_an_awaitable_works(caplog: Any) -> None:
    async def work() -> str:
        return 'done'

    def start():  # type: ignore[no-untyped-def]
        return work()

    assert [list(map(list, answers(start)))[0][:4]] == [[50, 1, {}, ['done']]] or answers(start)[0][
        3
    ] == ('done',)
    assert mistakes_in(caplog)


def test_a_uri_twice(caplog: Any) -> None:
    async def second() -> str:
        return 'second'

    router = RPCRouter()
    router.add_route('com.a', coroutine)
    router.add_prefix_route('com.a', coroutine)
    router.add_route('com.a', coroutine)
    assert not caplog.records
    router.add_route('com.a', second)
    assert router.resolve('com.a') is second
    router.add_prefix_route('com.a', second)
    assert router.resolve('com.ab') is coroutine
    router.add_regex_route('com', coroutine)
    router.add_regex_route('com', second)
    exact, prefix, regex = mistakes_in(caplog)
    assert exact.startswith("The URI 'com.a' has two handlers, ")
    assert f'Only {name_function(second)} counts.' in exact
    assert f'Only {name_function(coroutine)} counts.' in prefix
    assert f'Only {name_function(coroutine)} counts.' in regex


def test_a_uri_twice_in_one_set_and_over_sets(caplog: Any) -> None:
    for owner in (Realm(), Application()):
        for handlers in ((coroutine, returns_awaitable), (wrapper,)):
            routes = RPCRouteSet()
            for handler in handlers:
                routes.route('com.a')(handler)
            owner.add_rpc_routes(routes)
    assert len(mistakes_in(caplog)) == 4


SETTERS: list[Callable[[Any, Any], None]] = [
    lambda owner, function: owner.set_authentication_handler(function),
    lambda owner, function: owner.add_transport_authenticator(function),
    lambda owner, function: owner.set_ticket_authenticator(function),
    lambda owner, function: owner.set_cryptosign_authenticator(function),
    lambda owner, function: owner.set_cra_handlers(function, coroutine),
    lambda owner, function: owner.set_cra_handlers(coroutine, function),
    lambda owner, function: owner.set_scram_handlers(function, coroutine),
    lambda owner, function: owner.set_scram_handlers(coroutine, function),
]


@pytest.mark.parametrize('set_function', SETTERS)
@pytest.mark.parametrize('owner', [Realm, Application])
def test_plain_authenticators(set_function: Any, owner: Any, caplog: Any) -> None:
    for function in RIGHT:
        set_function(owner(), function)
    assert not mistakes_in(caplog)
    set_function(owner(), plain)
    (line,) = mistakes_in(caplog)
    assert name_function(plain) in line and 'Write async def' in line
