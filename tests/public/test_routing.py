"""routing: routers, the definitions of routes, and the arguments of handlers that the server calls."""

import dataclasses
import inspect
import re
from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Any, TypeVar, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serverwamp.application import Realm as TheirRealm
from serverwamp.routing import URIsRouter as TheirRouter

from serverwamp_fast.errors import NoSuchRouteError
from serverwamp_fast.routing import (
    PrefixRoute,
    RegexRoute,
    Route,
    RouteSet,
    URIsRouter,
    bind_handler,
)


def handler() -> None:
    pass


def other() -> None:
    pass


# ---- Routers -------------------------------------------------------------------------------------


def test_router_finds_handlers() -> None:
    router = URIsRouter()
    router.add_route('a.b', handler)
    router.add_prefix_route('c.', other)
    router.add_regex_route('d[0-9]', handler)
    router.add_regex_route(re.compile('E', re.IGNORECASE), other)
    assert router.resolve('a.b') is handler
    assert router.resolve('c.d') is other
    assert router.resolve('d7.x') is handler
    assert router.resolve('e') is other
    with pytest.raises(NoSuchRouteError):
        router.resolve('d')


class Topic(StrEnum):
    NEWS = 'com.example.news'


class Procedure(str, Enum):  # noqa: UP042 (str() gives something else for these)
    ADD = 'com.example.add'


@pytest.mark.parametrize('uri', [Topic.NEWS, Procedure.ADD])
def test_uris_of_an_enumeration(uri: str) -> None:
    router = URIsRouter()
    router.add_route(uri, handler)
    assert router.resolve(uri) is router.resolve(uri.value) is handler
    router = URIsRouter()
    router.add_prefix_route(uri, handler)
    assert router.resolve(uri.value + '.more') is handler
    theirs = TheirRouter()
    theirs.add_route(uri, handler)
    assert theirs.resolve(uri.value) is handler


@pytest.mark.parametrize('uri', [None, 7, b'com.example.add'])
def test_uris_are_strings(uri: Any) -> None:
    router = URIsRouter()
    for add in router.add_route, router.add_prefix_route:
        with pytest.raises(TypeError):
            add(uri, handler)
    with pytest.raises(TypeError):
        router.resolve(uri)


def test_default_args() -> None:
    router = URIsRouter()
    numbers = iter(range(3))
    router.set_default_arg('value', 'constant')
    router.set_default_arg('made', factory=lambda: next(numbers))
    router.set_default_arg('nothing')
    factories = router.default_arg_factories
    assert [factories[name]() for name in ('value', 'made', 'made', 'nothing')] == [
        'constant', 0, 1, None,
    ]  # fmt: skip
    router.set_default_arg('value', 'changed')
    assert factories['value']() == 'changed'


def test_a_factory_goes_before_a_value() -> None:
    router = URIsRouter()
    router.set_default_arg('name', 'value', factory=lambda: 'made')
    assert router.default_arg_factories['name']() == 'made'


def test_camel_snake_conversion_is_off_by_default() -> None:
    assert URIsRouter().camel_snake_conversion is False
    assert URIsRouter(camel_snake_conversion=True).camel_snake_conversion is True


# ---- Definitions ---------------------------------------------------------------------------------


class KeenRouter(URIsRouter):
    """Takes further arguments for a route, as applications' own routers do."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[tuple] = []

    def add_route(self, uri: str, handler: Any, **kwargs: Any) -> None:
        self.added.append(('exact', uri, handler, kwargs))

    def add_prefix_route(self, uri_prefix: str, handler: Any, **kwargs: Any) -> None:
        self.added.append(('prefix', uri_prefix, handler, kwargs))

    def add_regex_route(self, uri_pattern: Any, handler: Any, **kwargs: Any) -> None:
        self.added.append(('regex', uri_pattern, handler, kwargs))


def make_set() -> RouteSet:
    routes = RouteSet()
    assert routes.route('a', role='admin')(handler) is handler
    assert routes.prefix_route('b')(other) is other
    assert routes.regex_route('c+')(handler) is handler
    return routes


def test_decorators_define_routes() -> None:
    assert list(make_set()) == [
        Route('a', handler, {'role': 'admin'}),
        PrefixRoute('b', other, {}),
        RegexRoute('c+', handler, {}),
    ]


@pytest.mark.parametrize('name', ['route', 'prefix_route', 'regex_route'])
def test_what_is_decorated_keeps_its_type(name: str) -> None:
    ((taken,), returned) = get_args(get_type_hints(getattr(RouteSet, name))['return'])
    assert isinstance(taken, TypeVar)
    assert taken is returned


def test_definitions_register_themselves() -> None:
    router = KeenRouter()
    router.add_routes(make_set())
    assert router.added == [
        ('exact', 'a', handler, {'role': 'admin'}),
        ('prefix', 'b', other, {}),
        ('regex', 'c+', handler, {}),
    ]


def test_routes_come_from_any_iterable() -> None:
    router = URIsRouter()
    router.add_routes(route for route in make_set() if not isinstance(route, Route))
    assert router.resolve('ccc') is handler
    with pytest.raises(NoSuchRouteError):
        router.resolve('a')


def test_further_arguments_need_a_router_that_takes_them() -> None:
    with pytest.raises(TypeError, match='role') as refusal:
        URIsRouter().add_routes(make_set())
    # Of many routes it says which one.
    assert "uri='a'" in refusal.value.__notes__[0]


@pytest.mark.parametrize('item', [1, None, handler, 'a'])
def test_what_is_no_route(item: Any) -> None:
    with pytest.raises(TypeError, match='is no route'):
        URIsRouter().add_routes([item])


def test_a_regular_expression_that_is_none_is_named() -> None:
    routes = RouteSet()
    routes.regex_route('(')(handler)
    with pytest.raises(re.error) as refusal:
        URIsRouter().add_routes(routes)
    assert "uri_pattern='('" in refusal.value.__notes__[0]


def test_a_route_set_is_a_sequence() -> None:
    routes = make_set()
    first, *rest = routes
    assert isinstance(routes, Sequence)
    assert len(routes) == 3
    assert routes[0] is first
    assert routes[-1] is rest[-1]
    assert routes[1:] == rest
    assert first in routes
    assert Route('z', handler, {}) not in routes
    assert routes.index(rest[0]) == 1
    assert list(reversed(routes)) == [*reversed(rest), first]
    assert repr(routes) == '<RouteSet count=3>'
    assert len(RouteSet()) == 0


def test_definitions_do_not_change() -> None:
    definition = Route('a', handler, {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        definition.uri = 'b'  # type: ignore[misc]


# ---- The arguments of handlers -------------------------------------------------------------------


def bind(function: Any, **provided: Any) -> tuple[list[Any], dict[str, Any]]:
    return bind_handler(function, provided, {'db': lambda: 'made'})


def test_arguments_by_name() -> None:
    def takes(session: Any, db: Any, *, topic_uri: Any = None, other: Any = 7) -> None: ...

    assert bind(takes, session='s', topic_uri='t') == (
        [],
        {'session': 's', 'db': 'made', 'topic_uri': 't'},
    )


def test_what_is_provided_goes_before_default_args() -> None:
    assert bind(lambda db: None, db='provided') == ([], {'db': 'provided'})


def test_only_what_is_asked_for() -> None:
    assert bind(lambda: None, session='s') == ([], {})
    assert bind(lambda *args, **kwargs: None, session='s') == ([], {})


def test_positional_only() -> None:
    assert bind(lambda session, db, /, more=1: None, session='s') == (['s', 'made'], {})


def test_positional_only_behind_one_that_keeps_its_default() -> None:
    with pytest.raises(TypeError, match="'db'.*'own'"):
        bind(lambda own=1, db=2, /: None)
    # The other way round nothing is missing.
    assert bind(lambda db, own=1, /: None) == (['made'], {})


def test_a_parameter_that_nothing_provides() -> None:
    with pytest.raises(TypeError, match=r"'unknown'.*set_default_arg\('unknown', \.\.\.\)"):
        bind(lambda unknown: None, session='s')


def test_what_has_no_signature() -> None:
    with pytest.raises((TypeError, ValueError)):
        bind(7)


NAMES = ['session', 'topic_uri', 'db', 'count', 'own', 'x']
KINDS = [
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
    inspect.Parameter.VAR_KEYWORD,
]


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    kinds = sorted(draw(st.lists(st.sampled_from(KINDS), min_size=len(names), max_size=len(names))))
    parameters = []
    has_default = False
    for name, kind in zip(names, kinds, strict=True):
        if kind in (KINDS[2], KINDS[4]):
            if any(parameter.kind is kind for parameter in parameters):
                continue
            parameters.append(inspect.Parameter(name, kind))
            continue
        # Once a positional parameter has a default, all behind it have.
        has_default = draw(st.booleans()) or (has_default and kind is not KINDS[3])
        default = f'default of {name}' if has_default else inspect.Parameter.empty
        parameters.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(parameters)


@given(signatures())
@settings(max_examples=300)
def test_arguments_are_those_of_serverwamp(signature: inspect.Signature) -> None:
    function = type('Handler', (), {'__call__': lambda *args: None, '__signature__': signature})()
    theirs = TheirRealm()
    for name in 'db', 'count':
        theirs.set_default_arg(name, f'default arg {name}')
    provided = {'session': 's', 'topic_uri': 't'}

    def outcome(binder: Any) -> Any:
        try:
            return tuple(binder())
        except TypeError:
            return TypeError

    expected = outcome(lambda: theirs._args_for_realm_level_handler(function, **provided))
    found = outcome(lambda: bind_handler(function, provided, theirs._default_arg_factories))
    assert found == expected
