"""Random procedures and random calls of them, for comparing how two servers bind the arguments."""

import enum
import math
import uuid
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from hypothesis import strategies as st


class Colour(enum.Enum):
    RED = 'red'


class Picky:
    """A type whose errors are none of those that mean "not a valid value"."""

    def __init__(self, value: Any) -> None:
        raise LookupError(f'refused {value!r}')


class Unhelpful(Protocol):
    """isinstance() raises TypeError for it."""

    def method(self) -> None: ...


# Without bytes and bytearray: 2.0.0 makes that many zeros of an integer.
ANNOTATIONS: dict[str, Any] = {
    'int': int,
    'float': float,
    'str': str,
    'bool': bool,
    'list': list,
    'tuple': tuple,
    'dict': dict,
    'object': object,
    'Decimal': Decimal,
    'UUID': uuid.UUID,
    'Colour': Colour,
    'Picky': Picky,
    'Unhelpful': Unhelpful,
    'Any': Any,
    'ListOfInt': list[int],
    'IntOrNone': int | None,
    'None': None,
    'AsText': 'int',  # a string says no more than no annotation
}

NAMES = ['a', 'b', 'c', 'session', 'request', 'db', 'made']
EXTRA_NAMES = ['d', 'args', 'kwargs', 'self']

VALUES = st.one_of(
    st.integers(-3, 300),
    st.sampled_from(
        [
            None, True, False, 2**70, 1.5, math.inf, math.nan, '', '7', ' 8 ', '1e3', 'x', 'red',
            b'', b'9', (), (1, 2), [], ['a'], {}, {'k': 1}, Decimal('0.1'), str(uuid.UUID(int=5)),
        ]
    ),
)  # fmt: skip


class Procedure(NamedTuple):
    """`function` is a coroutine function that appends its arguments, by parameter, to `calls`."""

    source: str
    function: Callable[..., Coroutine[Any, Any, None]]
    calls: list[dict[str, Any]]


def define(parameters: str) -> Procedure:
    source = f'async def procedure({parameters}):\n    _calls.append(dict(locals()))\n'
    calls: list[dict[str, Any]] = []
    namespace = {**ANNOTATIONS, '_calls': calls}
    exec(source, namespace)
    return Procedure(source, namespace['procedure'], calls)


@st.composite
def procedures(draw: st.DrawFn) -> Procedure:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    positional_only, positional = sorted(
        draw(st.tuples(st.integers(0, len(names)), st.integers(0, len(names))))
    )
    has_default = False
    parts = []
    for at, name in enumerate(names):
        if at == positional_only and at:
            parts.append('/')
        if at == positional:
            star = draw(st.sampled_from(['*', '*args']))
            parts.append(star if star == '*' else draw(annotated(star)))
            has_default = False
        # Of the positional ones, all behind the first default have one.
        must = has_default and at < positional
        has_default = must or draw(st.booleans())
        default = f' = {draw(DEFAULTS)!r}' if has_default else ''
        parts.append(draw(annotated(name)) + default)
    if names and positional_only == len(names):
        parts.append('/')
    if positional == len(names) and draw(st.booleans()):
        parts.append(draw(annotated('*args')))
    if draw(st.booleans()):
        parts.append(draw(annotated('**kwargs')))
    return define(', '.join(parts))


# Defaults are never converted, so they are of no type that an annotation names.
DEFAULTS = st.sampled_from([None, 'default', -1, (0,)])


@st.composite
def annotated(draw: st.DrawFn, name: str) -> str:
    annotation = draw(st.one_of(st.none(), st.sampled_from(list(ANNOTATIONS))))
    if annotation is None:
        return name
    return f'{name}: {annotation}'


ARGS = st.lists(VALUES, max_size=6)
KWARGS = st.dictionaries(st.sampled_from([*NAMES, *EXTRA_NAMES]), VALUES, max_size=5)
DEFAULT_ARGS = st.dictionaries(
    st.sampled_from(['db', 'made', 'a', 'session', 'nobody']), VALUES, max_size=3
)


def drive(coroutine: Any) -> Any:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        yielded = coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError(f'suspended with {yielded!r}')
