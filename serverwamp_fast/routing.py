"""Routes: from URIs to the functions of an application that handle them, and the tables that users write."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from re import Pattern
from typing import Any, ClassVar, TypeVar, overload

from ._core.dealer.routes import RouteTable
from .errors import NoSuchRouteError
from .mistakes import require_kind, require_spelling, require_uri, warn_of_second

__all__ = ['NoSuchRouteError', 'PrefixRoute', 'RegexRoute', 'Route', 'RouteSet', 'URIsRouter', 'bind_handler']

Handler = Callable[..., Any]
# What is decorated keeps its type.
Decorated = TypeVar('Decorated', bound=Handler)

# The text of a string. URIs may be members of an enumeration of strings, which the core's tables don't take.
exact_str = str.__str__


class URIsRouter:
    """Finds the handler of a URI. An exact route wins, then the prefix or regex route that was added first.

    `camel_snake_conversion` says whether names of keyword arguments arrive in camelCase. `default_arg_factories`
    are functions by parameter name that make the values the server provides.
    """

    # What it routes, 'procedure' or 'topic'; None for anything.
    kind: ClassVar[str | None] = None

    def __init__(self, camel_snake_conversion: bool = False) -> None:
        self.camel_snake_conversion = camel_snake_conversion
        self.default_arg_factories: dict[str, Callable[[], Any]] = {}
        self.table = RouteTable()
        # For what is said of a URI that comes a second time.
        self._handlers: dict[tuple[str, Any], Handler] = {}

    def set_default_arg(
        self, arg_name: str, value: Any = None, factory: Callable[[], Any] | None = None
    ) -> None:
        """Provide handlers' parameters of a name with `value`, or with what `factory()` returns each time."""
        self.default_arg_factories[arg_name] = (lambda: value) if factory is None else factory

    def add_route(self, uri: str, handler: Handler) -> None:
        """Route one URI. Raises ValueError for white space or # in it. Of two handlers the later one counts."""
        uri = exact_str(uri)
        self._check(uri, handler, 'exact', later_counts=True)
        self.table.add_exact(uri, self._target(handler))

    def add_prefix_route(self, uri_prefix: str, handler: Handler) -> None:
        """Route all URIs that start with `uri_prefix`. Raises ValueError for white space or # in it."""
        uri_prefix = exact_str(uri_prefix)
        self._check(uri_prefix, handler, 'prefix', later_counts=False)
        self.table.add_prefix(uri_prefix, self._target(handler))

    def add_regex_route(self, uri_pattern: str | Pattern[str], handler: Handler) -> None:
        """Route the URIs whose beginning the regular expression matches."""
        pattern = re.compile(uri_pattern)
        self.check_handler(handler)
        self._note(pattern.pattern, handler, 'regex', later_counts=False)
        self.table.add_pattern(pattern, self._target(handler))

    def check_handler(self, handler: Handler) -> None:
        """Raise or warn where a handler is none for what is routed here."""

    def _check(self, uri: str, handler: Handler, match: str, later_counts: bool) -> None:
        require_spelling(uri, handler)
        self.check_handler(handler)
        self._note(uri, handler, match, later_counts)

    def _note(self, uri: str, handler: Handler, match: str, later_counts: bool) -> None:
        first = self._handlers.setdefault((match, uri), handler)
        warn_of_second(uri, first, handler, later_counts)
        if later_counts:
            self._handlers[match, uri] = handler

    def add_routes(self, routes: Iterable[Any]) -> None:
        """Add every route of a route set, or of any other iterable of route definitions."""
        if self.kind is not None:
            require_kind(routes, self.kind)
        for route in routes:
            if self.kind is not None:
                require_kind(route, self.kind)
            register(route, self)

    def resolve(self, uri: str) -> Handler:
        """Return the URI's handler. Raises NoSuchRouteError."""
        handler: Handler = self.table.resolve(exact_str(uri))
        return handler

    def _target(self, handler: Handler) -> Any:
        """What the table keeps for a handler."""
        return handler


@dataclass(frozen=True)
class Route:
    """One URI's handler, with further arguments for the router's add_route()."""

    kind: ClassVar[str | None] = None
    uri: str
    handler: Callable[..., Awaitable[Any]]
    kwargs: Mapping[str, Any]

    def register(self, router: URIsRouter) -> None:
        router.add_route(self.uri, self.handler, **self.kwargs)


@dataclass(frozen=True)
class PrefixRoute:
    """The handler of all URIs that start with a prefix."""

    kind: ClassVar[str | None] = None
    uri_prefix: str
    handler: Callable[..., Awaitable[Any]]
    kwargs: Mapping[str, Any]

    def register(self, router: URIsRouter) -> None:
        router.add_prefix_route(self.uri_prefix, self.handler, **self.kwargs)


@dataclass(frozen=True)
class RegexRoute:
    """The handler of all URIs whose beginning a regular expression matches."""

    kind: ClassVar[str | None] = None
    uri_pattern: str | Pattern[str]
    handler: Callable[..., Awaitable[Any]]
    kwargs: Mapping[str, Any]

    def register(self, router: URIsRouter) -> None:
        router.add_regex_route(self.uri_pattern, self.handler, **self.kwargs)


class RouteSet(Sequence[Any]):
    """A sequence of route definitions that decorators fill; subclasses name the classes of the definitions."""

    kind: ClassVar[str | None] = None
    exact: ClassVar[type[Route]] = Route
    prefix: ClassVar[type[PrefixRoute]] = PrefixRoute
    regex: ClassVar[type[RegexRoute]] = RegexRoute

    def __init__(self) -> None:
        self._items: list[Any] = []

    def __repr__(self) -> str:
        return f'<{type(self).__name__} count={len(self._items)}>'

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def route(self, uri: str, **kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Decorate the handler of one URI."""
        require_uri(uri, 'route')
        return self._decorator(self.exact, uri, kwargs)

    def prefix_route(self, uri_prefix: str, **kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Decorate the handler of all URIs that start with `uri_prefix`."""
        require_uri(uri_prefix, 'prefix_route')
        return self._decorator(self.prefix, uri_prefix, kwargs)

    def regex_route(
        self, uri_pattern: str | Pattern[str], **kwargs: Any
    ) -> Callable[[Decorated], Decorated]:
        """Decorate the handler of the URIs whose beginning the regular expression matches."""
        require_uri(uri_pattern, 'regex_route')
        return self._decorator(self.regex, uri_pattern, kwargs)

    def _decorator(
        self, definition: Callable[..., Any], key: Any, kwargs: Mapping[str, Any]
    ) -> Callable[[Decorated], Decorated]:
        def add(handler: Decorated) -> Decorated:
            self._items.append(definition(key, handler, kwargs))
            return handler

        return add


def register(route: Any, router: URIsRouter) -> None:
    """Add a route to a router. What the definition or the router raises is told to be of this route."""
    if not hasattr(route, 'register'):
        raise TypeError(f'{route!r} is no route. Routes come from an RPCRouteSet, a TopicRouteSet or rpc.route().')
    try:
        route.register(router)
    except Exception as error:
        error.add_note(f'It is about the route {route!r}.')
        raise


def require_function(value: Any, taker: str) -> None:
    """Raise TypeError if something that `taker` takes can't be called: it would only fail when a client comes."""
    if not callable(value):
        raise TypeError(f'{taker} takes a function, which {value!r} is not.')


def bind_handler(
    handler: Handler, provided: Mapping[str, Any], factories: Mapping[str, Callable[[], Any]]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments for a handler all of whose values come from the server, as (positional, keyword).

    A parameter gets the value of its name from `provided`, else from `factories`, else keeps its default.
    Raises TypeError if there is none of these.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    gap = None
    for name, parameter in inspect.signature(handler).parameters.items():
        positional_only = parameter.kind is parameter.POSITIONAL_ONLY
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in provided:
            value = provided[name]
        elif name in factories:
            value = factories[name]()
        elif parameter.default is not parameter.empty:
            if positional_only:
                gap = name
            continue
        else:
            raise TypeError(
                f'{handler!r} has a parameter {name!r} that nothing provides. Give it a default value, or call '
                f'set_default_arg({name!r}, ...).'
            )
        if not positional_only:
            kwargs[name] = value
        elif gap is None:
            args.append(value)
        else:
            raise TypeError(
                f'The positional-only parameter {name!r} of {handler!r} can not be provided, because {gap!r} before '
                f'it keeps its default value.'
            )
    return args, kwargs
