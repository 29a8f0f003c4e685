"""Procedures of the compared applications: every way in which a handler can take and return values.

Values are reported back as `shape`, type and text, because JSON and MessagePack would hide the difference
between 1, 1.0 and True, or between a list and a tuple.
"""

import enum
import functools
import uuid
from collections import OrderedDict, UserDict, UserList, deque
from decimal import Decimal
from typing import Annotated, Any, Optional

import anyio


def shape(value: Any) -> str:
    if isinstance(value, set):
        return f'set:{sorted(value, key=repr)}'
    return f'{type(value).__name__}:{value!r}'


class Celsius:
    """A converted value with a constructor that refuses by ValueError."""

    def __init__(self, degrees: Any) -> None:
        if degrees < -273:
            raise ValueError('colder than possible')
        self.degrees = degrees

    def __repr__(self) -> str:
        return f'Celsius({self.degrees!r})'


class Picky:
    """A converted value with a constructor that fails in a way that is not about the value."""

    def __init__(self, value: Any) -> None:
        raise KeyError(value)


class Colour(enum.Enum):
    RED = 'red'


class Whole(int):
    pass


ANNOTATIONS = {
    'int': int,
    'float': float,
    'bool': bool,
    'str': str,
    'bytes': bytes,
    'list': list,
    'tuple': tuple,
    'dict': dict,
    'set': set,
    'decimal': Decimal,
    'complex': complex,
    'uuid': uuid.UUID,
    'celsius': Celsius,
    'picky': Picky,
    'enum': Colour,
    'subclass': Whole,
    'any': Any,
    'object': object,
    'optional': Optional[int],  # noqa: UP045
    'union': int | None,
    'generic': list[int],
    'annotated': Annotated[int, 'seconds'],
    'string': 'int',
    'none': None,
    'callable': len,
    'type': type,
}


def add_annotated(routes: Any) -> None:
    """One procedure for each annotation, which returns the shape of what it was given."""
    for name, annotation in ANNOTATIONS.items():

        async def convert(value):  # type: ignore[no-untyped-def]
            return shape(value)

        convert.__annotations__['value'] = annotation
        routes.route(f'convert.{name}')(convert)

    @routes.route('convert.default')
    async def converted_default(value: int = 'not converted'):  # type: ignore[assignment]
        return shape(value)

    @routes.route('convert.several')
    async def convert_several(
        a: int, b: float = 1.5, *rest: Decimal, flag: bool = False, **others: int
    ):
        return [shape(a), shape(b), shape(rest), shape(flag), shape(others)]


def add_signatures(routes: Any) -> None:
    """Procedures that differ in their parameters."""

    @routes.route('echo')
    async def echo(value):
        return value

    @routes.route('nothing')
    async def nothing():
        return None

    @routes.route('two')
    async def two(a, b):
        return [shape(a), shape(b)]

    @routes.route('defaults')
    async def defaults(a, b='B', *, c='C'):
        return [a, b, c]

    @routes.route('rest')
    async def rest(a, *others):
        return [shape(a), shape(others)]

    @routes.route('only_rest')
    async def only_rest(*others):
        return shape(others)

    @routes.route('named_rest')
    async def named_rest(a=None, **others):
        return [shape(a), shape(sorted(others.items()))]

    @routes.route('all_rest')
    async def all_rest(*args, **kwargs):
        return [shape(args), shape(sorted(kwargs.items()))]

    @routes.route('keyword_only')
    async def keyword_only(*, name, title='none'):
        return [name, title]

    @routes.route('positional_only')
    async def positional_only(a, b='B', /, c='C'):
        return [a, b, c]

    @routes.route('positional_only_rest')
    async def positional_only_rest(a, /, **others):
        return [shape(a), shape(sorted(others.items()))]

    @routes.route('after_rest')
    async def after_rest(a, *others, b):
        return [shape(a), shape(others), shape(b)]

    @routes.route('sentinel')
    async def sentinel(value=()):
        return shape(value)


def add_special(routes: Any) -> None:
    """Procedures with parameters that the server provides."""

    @routes.route('special.session')
    async def session_given(session, value='none'):
        return [type(session).__name__, session.is_open, session.realm.uri, value]

    @routes.route('special.session_last')
    async def session_last(value, session):
        return [value, type(session).__name__]

    @routes.route('special.session_keyword')
    async def session_keyword(value, *, session):
        return [value, type(session).__name__]

    @routes.route('special.session_positional')
    async def session_positional(session, /, value):
        return [value, type(session).__name__]

    @routes.route('special.session_annotated')
    async def session_annotated(session: int, request: float):
        return [type(session).__name__, type(request).__name__]

    @routes.route('special.rest_called_session')
    async def rest_called_session(*session, **request):
        return [shape(session), shape(request)]

    @routes.route('special.rest_beside_session')
    async def rest_beside_session(session, *args, request, **kwargs):
        return [shape(args), shape(kwargs), request.uri]

    @routes.route('special.request')
    async def request_given(request):
        return {
            'type': type(request).__name__,
            'id': request.id,
            'uri': request.uri,
            'args': shape(tuple(request.args)),
            'kwargs': shape(dict(request.kwargs)),
            'timeout': shape(request.timeout),
            'disclose_caller': shape(request.disclose_caller),
            'receive_progress': shape(request.receive_progress),
            'partition_route': shape(request.partition_route),
            'session': type(request.session).__name__,
        }

    @routes.route('special.session_facts')
    async def session_facts(session):
        return {
            'auth_id': session.auth_id,
            'auth_methods': list(session.auth_methods),
            'is_open': session.is_open,
            'identity': shape(session.identity),
            'realm': session.realm.uri,
            'length': len(session),
        }


def add_results(routes: Any, package: Any) -> None:
    """Procedures that return their result in the ways that are allowed, and in some that are not."""
    result, error = package.rpc.RPCResult, package.rpc.RPCErrorResult
    progress = package.rpc.RPCProgressReport
    values = {
        'str': 'text',
        'empty_str': '',
        'int': 5,
        'zero': 0,
        'float': 2.5,
        'true': True,
        'false': False,
        'none': None,
        'bytes': b'\x00\xff',
        'empty_bytes': b'',
        'bytearray': bytearray(b'abc'),
        'memoryview': memoryview(b'abc'),
        'dict': {'a': 1},
        'empty_dict': {},
        'list': [1, [2, {'b': None}]],
        'empty_list': [],
        'tuple': (1, (2,)),
        'range': range(3),
        'ordered': OrderedDict(b=1, a=2),
        'userdict': UserDict(a=1),
        'userlist': UserList([1, 2]),
        'set': {1},
        'object': object(),
        'deque': deque([1]),
        'exception': ValueError('returned'),
        'class': int,
        'generator': (n for n in (1, 2)),
        'whole': Whole(7),
        'nested_bytes': [b'\x01', {'k': b'\x02'}],
        'decimal': Decimal('1.5'),
        'function': len,
        'result': result(args=(1,), kwargs={'k': 2}),
        'result_empty': result(),
        'result_args': result(args=[1]),
        'result_kwargs': result(kwargs={'k': 1}),
        'result_none': result(args=None, kwargs=None),
        'result_str': result(args='ab'),
        'error': error('my.error', args=(1,), kwargs={'k': 2}),
        'error_bare': error('my.error'),
        'error_args': error('my.error', args=['x']),
        'error_kwargs': error('my.error', kwargs={'k': None}),
        'progress': progress(args=(1,)),
        'unserializable': [object()],
        'unserializable_kwargs': {'k': object()},
        'bad_error': error(5),
        'unserializable_error': error('my.error', args=(object(),)),
        'lone_surrogate': '\ud800',
        'nan': float('nan'),
        'infinity': float('inf'),
        'huge': 2**70,
        'negative_huge': -(2**70),
        'integer_keys': {'a': {1: 2}},
        'top_integer_keys': {1: 2},
        'tuple_keys': {'a': {(1, 2): 3}},
    }
    for name, value in values.items():
        # Bound, as a parameter with a default could be given by the client.
        routes.route(f'return.{name}')(functools.partial(return_it, value))

    @routes.route('raise.exception')
    async def raise_exception():
        raise ValueError('a secret of the server')

    @routes.route('raise.closed')
    async def raise_closed():
        raise package.connection.ConnectionClosed

    @routes.route('raise.no_route')
    async def raise_no_route():
        raise package.routing.NoSuchRouteError('inside')

    @routes.route('raise.parse_error')
    async def raise_parse_error():
        raise package.protocol.WAMPMsgParseError('inside')

    @routes.route('raise.stop_async_iteration')
    async def raise_stop_async_iteration():
        raise StopAsyncIteration

    @routes.route('raise.type_error')
    async def raise_type_error():
        raise TypeError('as if the arguments were wrong')

    @routes.route('raise.timeout')
    async def raise_timeout():
        raise TimeoutError

    @routes.route('not_async')
    def not_async():
        return 5

    @routes.route('not_async_raises')
    def not_async_raises():
        raise ValueError('before there is anything to await')


async def return_it(value: Any, /) -> Any:
    return value


def add_callables(routes: Any) -> None:
    """Handlers that are not plain functions."""

    class Callable:
        async def __call__(self, value):
            return ['called', value]

        async def method(self, value='default'):
            return ['method', value]

        @classmethod
        async def class_method(cls, value):
            return [cls.__name__, value]

        @staticmethod
        async def static_method(value):
            return ['static', value]

    def noted(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            return ['wrapped', *(await function(*args, **kwargs))]

        return wrapper

    @noted
    async def wrapped(a, session, b: int = 0):
        return [a, type(session).__name__, shape(b)]

    async def partially(first, second, third='T'):
        return [first, second, third]

    class Awaitable:
        def __await__(self):
            yield from anyio.lowlevel.checkpoint().__await__()
            return 'awaited'

    routes.route('callable.object')(Callable())
    routes.route('callable.method')(Callable().method)
    routes.route('callable.class_method')(Callable.class_method)
    routes.route('callable.static_method')(Callable.static_method)
    routes.route('callable.wrapped')(wrapped)
    routes.route('callable.partial')(functools.partial(partially, 'bound'))
    routes.route('callable.partial_keyword')(functools.partial(partially, second='bound'))
    routes.route('callable.lambda')(lambda value: partially('lambda', value))
    routes.route('callable.awaitable')(lambda: Awaitable())
