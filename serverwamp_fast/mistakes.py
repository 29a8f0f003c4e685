"""Mistakes in what an application hands over, seen when it does so and not when a client comes.

What surely can't work raises; what may work, such as a plain function that returns an awaitable, is a warning in the
log. Each text names the function, the rule and the cure. A leaf: it imports nothing of the package.
"""

import functools
import inspect
import logging
from typing import Any

logger = logging.getLogger(__name__)

# A return annotation with one of these says that what is returned can be awaited or iterated.
AWAITABLES = ('Awaitable', 'Coroutine', 'Async', 'Future', 'Task', 'Generator')


def name_function(function: Any) -> str:
    """Return a function's module and name, and where it is written if that's known."""
    inner = _unwrap(function)
    name = getattr(inner, '__qualname__', None)
    if name is None:
        try:
            return f'{function!r:.200}'
        except Exception:
            # What is told of the function matters more than how it shows itself.
            return f'an object of {type(function).__module__}.{type(function).__qualname__}'
    code = getattr(inner, '__code__', None)
    place = '' if code is None else f' ({code.co_filename}, line {code.co_firstlineno})'
    return f'{getattr(inner, "__module__", None)}.{name}{place}'


def require_uri(uri: Any, method: str) -> None:
    """Raise TypeError for a decorator without parentheses: the function itself would be taken for the URI."""
    if callable(uri) and not isinstance(uri, (str, bytes)):
        raise TypeError(
            f'{method}() takes a URI, and was given the function {name_function(uri)}. Write the URI in parentheses: '
            f"@...{method}('com.example.name')."
        )


def require_spelling(uri: str, handler: Any) -> None:
    """Raise ValueError for a URI with white space or # in it, which no client may ask for (WAMP BP, "URIs")."""
    wrong = next((character for character in uri if character.isspace() or character == '#'), None)
    if wrong is not None:
        raise ValueError(
            f'The URI {uri!r} of {name_function(handler)} has {wrong!r} in it. URIs have neither white space nor #, '
            f'so that no client could reach it. Take that out.'
        )


def require_kind(given: Any, wanted: str) -> None:
    """Raise TypeError for routes, or a set of them, of topics among procedures, or the other way round."""
    kind = getattr(type(given), 'kind', None)
    if kind is not None and kind != wanted:
        method = 'add_topic_routes()' if kind == 'topic' else 'add_rpc_routes()'
        raise TypeError(f'{given!r:.300} is for {kind}s, where {wanted}s are added. Give it to {method}.')


def require_generator(handler: Any, life: str) -> None:
    """Raise TypeError for the handler of a `life`, a subscription or session, that surely is no asynchronous
    generator function: a coroutine function, which has no yield to wait at, or a generator function.
    """
    flags = _flags(handler)
    if flags & inspect.CO_COROUTINE:
        kind, cure = 'coroutine', f'give it one yield, where it waits for the end of the {life}'
    elif flags & inspect.CO_GENERATOR:
        kind, cure = 'generator', 'write async def'
    else:
        return
    raise TypeError(
        f'The {life} handler {name_function(handler)} is a {kind} function. It must be an asynchronous '
        f'generator function: {cure}.'
    )


def warn_of_plain(function: Any, role: str) -> None:
    """Warn of a function written with `def` where one written with `async def` belongs."""
    if is_plain(function):
        logger.warning(
            'The %s %s is written with def, and what it returns is awaited. Write async def, or annotate that it '
            'returns an Awaitable.',
            role,
            name_function(function),
        )


def warn_of_second(uri: str, first: Any, second: Any, later_counts: bool) -> None:
    """Warn of a URI that has two handlers."""
    if first is not second:
        counts = second if later_counts else first
        logger.warning(
            'The URI %r has two handlers, %s and %s. Only %s counts. Take one of them out.',
            uri,
            name_function(first),
            name_function(second),
            name_function(counts),
        )


def is_plain(function: Any) -> bool:
    """Whether a function is written with def and nothing about it says that what it returns can be awaited."""
    if isinstance(function, functools.partial):
        return is_plain(function.func)
    if inspect.ismethod(function):
        function = function.__func__
    if not inspect.isfunction(function) or function.__name__ == '<lambda>' or hasattr(function, '__wrapped__'):
        # Callable objects, extension functions and mocks may return anything; a decorator knows what it wraps, and a
        # lambda can't be written otherwise.
        return False
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return False
    if _flags(function) & (inspect.CO_ITERABLE_COROUTINE | inspect.CO_GENERATOR):
        return False
    returned = function.__annotations__.get('return', '')
    text = returned if isinstance(returned, str) else repr(returned)
    return not any(name in text for name in AWAITABLES)


def _unwrap(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function.__func__ if inspect.ismethod(function) else function


def _flags(function: Any) -> int:
    """Return the flags of a function's code, 0 for what is no function of Python's own."""
    inner = _unwrap(function)
    return inner.__code__.co_flags if inspect.isfunction(inner) else 0
