"""Objects of compiled classes that Python has made without what belongs in them: they raise, and nothing crashes."""

import contextlib
import importlib
import logging
import pkgutil
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.isolated import run_isolated
from support.signatures import drive

import serverwamp_fast._core as core
from serverwamp_fast._core.broker.broker import BrokerCore
from serverwamp_fast._core.broker.publications import Audience, Publication
from serverwamp_fast._core.dealer.calls import Call, OwnCall, hold
from serverwamp_fast._core.native.hubs import Hub
from serverwamp_fast._core.session.outlets import Outlet
from serverwamp_fast.adapters.native import NativeConnection
from serverwamp_fast.errors import ConnectionClosed
from serverwamp_fast.publishing import Broker
from serverwamp_fast.realm import Realm
from serverwamp_fast.session import WAMPSession

# Nothing here needs it to run.
LOOP: Any = types.SimpleNamespace(call_later=None)
VALUES: list[Any] = [None, 1, 'a', [1], (), {}, b'x', [48, 1, {}, 'a.b']]
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(core.__path__, f'{core.__name__}.')
]
OWN = [
    value
    for module in MODULES
    for value in vars(module).values()
    if getattr(value, '__module__', None) == module.__name__
]
CLASSES = [value for value in OWN if isinstance(value, type)] + [NativeConnection, Broker, WAMPSession]
FUNCTIONS = [value for value in OWN if callable(value) and not isinstance(value, type)]


def new_hub() -> Hub:
    return Hub(LOOP, None, 1, 1, 1)  # type: ignore[arg-type]


def make_halves() -> list[Any]:
    """An object of each class that lets itself be made without anything, or with None in its place."""
    hub = new_hub()
    halves = []
    for kind in CLASSES:
        for args in (), (hub,), (hub, None), (None,), (None, None), ([],), (1,):
            for make in kind.__new__, lambda kind, *args: kind(*args):
                with contextlib.suppress(Exception):
                    halves.append(make(kind, *args))
    return halves


def find_arguments(halves: list[Any]) -> Iterator[tuple[Any, ...]]:
    yield ()
    yield from ((value,) for value in VALUES + halves)
    yield from ((first, second) for first in VALUES + halves for second in (None, 'a', [48, 1, {}, 'a.b']))
    yield from ((value, None, None) for value in VALUES)


def use(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    with contextlib.suppress(BaseException):
        found = function(*args)
        if hasattr(found, 'send'):
            with contextlib.suppress(BaseException):
                found.send(None)
            found.close()


def use_all() -> None:
    """Call whatever there is. Nothing of it has to make sense."""
    warnings.simplefilter('ignore')
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda unraisable: None
    kinds = {type(half) for half in make_halves()}
    assert len(kinds) > 20
    for kind in kinds:
        for name in [name for name in dir(kind) if name == '__repr__' or not hasattr(object, name)]:
            # Each finds them as they were made.
            halves = make_halves()
            for half in halves:
                if type(half) is kind:
                    with contextlib.suppress(Exception):
                        method = getattr(half, name)
                        for args in find_arguments([half]) if callable(method) else ():
                            use(method, args)
    for function in FUNCTIONS:
        for args in find_arguments(make_halves()):
            use(function, args)


def test_nothing_crashes() -> None:
    run_isolated('from tools.test_half_made import use_all; use_all()')


def test_nothing_is_sent_before_the_handshake() -> None:
    connection = NativeConnection(new_hub(), None)
    for put in connection.put, connection.put_all:
        with pytest.raises(ConnectionClosed):
            put([[3, {}, 'a.b']])
    for outlet in connection, Outlet():
        with pytest.raises(TypeError, match='codec'):
            WAMPSession(outlet, Realm())


@pytest.mark.parametrize('kind', [Call, OwnCall])
@pytest.mark.parametrize(
    'use_it',
    [
        lambda call: call.report((), None),
        lambda call: call.answer(None),
        lambda call: call.is_orphaned,
        lambda call: hold(call, None),
        lambda call: drive(call.expire()),
        drive,
    ],
)
def test_calls_are_made_of_messages(kind: type[Call], use_it: Any) -> None:
    with pytest.raises(TypeError, match='made of a message'):
        use_it(kind())


def test_a_broker_that_forgets_the_base() -> None:
    broker = BrokerCore.__new__(BrokerCore)
    publication = Publication('a.b', None, None, {}, Audience({}))
    assert broker.send(publication, True) == []
