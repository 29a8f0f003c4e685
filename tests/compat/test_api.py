"""Every public name of serverwamp 2.0.0, by module: it exists here, and can be called and used in the same way.

Names are taken from the original's sources, so that what a module merely imports doesn't count as its own.
"""

import ast
import dataclasses
import enum
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from compat.packages import ORACLE, SUBJECT

MODULES = (
    'application', 'rpc', 'events', 'session', 'connection', 'protocol', 'routing', 'json', 'helpers',
    'adapters.aiohttp', 'adapters.asgi', 'adapters.asyncio', 'adapters.anyio', 'adapters.trio', 'adapters.async_base',
)  # fmt: skip

# Names that only show how the original is made, with the reason why nobody can miss them.
INTERNAL = {
    ('json', 'module'): 'the variable of a loop over library names',
    (
        'json',
        'json_lib',
    ): 'the JSON library that happened to be installed; here it is always orjson',
    ('json', 'JSON_LIBS_PREFERENCE'): 'likewise',
    ('helpers', 'sub_first_cap'): 'a step of camel_to_snake()',
    ('helpers', 'sub_all_caps'): 'likewise',
    ('rpc', 'POSITIONAL_PARAM_KINDS'): 'a set that the original looks parameters up in',
    ('rpc', 'PARAM_PASSTHROUGH_TYPES'): 'likewise',
    ('application', 'EMPTY_SET'): 'an empty set',
    ('adapters.asgi', 'supported_subset'): 'a step of the choice of a subprotocol',
    ('adapters.asgi', 'protocol_preference'): 'likewise',
}

# Signatures that differ, with the reason. What can be called there is tested by calls.
OTHER_SIGNATURES = {
    'json.serialize': 'what the original passes on belongs to the JSON library that it found',
    'rpc.RPCErrorResult': 'its error URI is documented to be optional (row 22 of the differences)',
    'session.WAMPSession': 'a compiled class without a signature; see test_sessions.py',
    'session.WAMPSession.subscription_id_for_topic': "ids count up in a realm, so a class can't know them (row 14)",
}

# Functions that return awaitables, but are not coroutine functions: see test_handler_semantics.py.
AWAITABLES = ('send_raw', 'send_event')


def module_pair(name: str) -> tuple[Any, Any]:
    return tuple(
        __import__(f'{package.name}.{name}', fromlist=['_']) for package in (ORACLE, SUBJECT)
    )  # type: ignore[return-value]


def find_definitions(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements of a module's top level bind, other than by import."""
    for statement in body:
        match statement:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If(body=body, orelse=orelse):
                yield from find_definitions(body + orelse)
            case ast.For(target=ast.Name(id=name), body=body, orelse=orelse):
                yield name
                yield from find_definitions(body + orelse)


def public_names() -> list[tuple[str, str]]:
    found = []
    for module_name in MODULES:
        module = module_pair(module_name)[0]
        for name in dict.fromkeys(find_definitions(ast.parse(inspect.getsource(module)).body)):
            # A name of a branch that was not taken doesn't exist.
            if (
                not name.startswith('_')
                and hasattr(module, name)
                and (module_name, name) not in INTERNAL
            ):
                found.append((module_name, name))
    return found


NAMES = public_names()
OBJECTS = [
    (module, name, *(getattr(pair, name, None) for pair in module_pair(module)))
    for module, name in NAMES
]
FUNCTIONS = [entry for entry in OBJECTS if inspect.isfunction(entry[2])]
CLASSES = [entry for entry in OBJECTS if inspect.isclass(entry[2])]


def named(entries: list[Any]) -> Any:
    return [
        pytest.param(*entry[2:], f'{entry[0]}.{entry[1]}', id=f'{entry[0]}.{entry[1]}')
        for entry in entries
    ]


def check_signature(original: Any, ours: Any, name: str) -> None:
    """Every call that fits the original fits ours: the same parameters, and others only if they may be left out."""
    if name in OTHER_SIGNATURES:
        return
    expected = list(inspect.signature(original).parameters.values())
    actual = list(inspect.signature(ours).parameters.values())
    for parameter in expected:
        if parameter.name == 'self':
            continue
        match = next((candidate for candidate in actual if candidate.name == parameter.name), None)
        assert match is not None, f'no parameter {parameter.name}'
        if not name.endswith('item__'):  # Python itself only ever passes those by position
            assert match.kind is parameter.kind, parameter.name
        assert (match.default is match.empty) == (parameter.default is parameter.empty), (
            parameter.name
        )
        # None is True with a word in the log, see tests/public/test_doubtful_settings.py.
        says_so = parameter.name == 'allow_default_realm' and match.default is None
        if isinstance(parameter.default, str | int | float | tuple | None) and not says_so:
            assert match.default == parameter.default, parameter.name
    expected, actual = (
        [entry for entry in entries if entry.name != 'self'] for entries in (expected, actual)
    )
    names = [parameter.name for parameter in expected]
    assert [parameter.name for parameter in actual if parameter.name in names] == names, (
        'another order'
    )
    positional = [
        parameter.name for parameter in actual if parameter.kind <= parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional[: len(names)] == [
        parameter.name
        for parameter in expected
        if parameter.kind <= parameter.POSITIONAL_OR_KEYWORD
    ] or set(positional) <= set(names), 'something new stands in between'
    for parameter in actual:
        if parameter.name not in names and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            assert parameter.default is not parameter.empty, (
                f'{parameter.name} is new and has no default'
            )


@pytest.mark.parametrize(('module', 'name'), NAMES)
def test_name_exists(module: str, name: str) -> None:
    assert hasattr(module_pair(module)[1], name)


@pytest.mark.parametrize('name', ORACLE.root.__all__)
def test_name_exists_at_the_top(name: str) -> None:
    assert hasattr(SUBJECT.root, name)
    assert name in SUBJECT.root.__all__


@pytest.mark.parametrize(('original', 'ours', 'name'), named(FUNCTIONS))
def test_function(original: Any, ours: Any, name: str) -> None:
    assert callable(ours)
    check_signature(original, ours, name)
    for test in (
        inspect.iscoroutinefunction,
        inspect.isasyncgenfunction,
        inspect.isgeneratorfunction,
    ):
        # A generator function may have become a function that returns an iterable.
        if test is not inspect.isgeneratorfunction:
            assert test(original) == test(ours), test.__name__


@pytest.mark.parametrize(('original', 'ours', 'name'), named(CLASSES))
def test_class(original: type, ours: type, name: str) -> None:
    assert inspect.isclass(ours)
    # The standard library's bases are what `except` and isinstance() go by.
    for base in original.__mro__:
        if not base.__module__.startswith('serverwamp') and base.__module__ != 'typing':
            assert issubclass(ours, base), base
        elif base.__module__.startswith('serverwamp') and not base.__name__.startswith('_'):
            assert base.__name__ in {candidate.__name__ for candidate in ours.__mro__}
    if not issubclass(original, enum.Enum) and '__init__' in vars(original):
        check_signature(original, ours, name)
    # What had to be overridden may have a default now, but nothing new may have to be.
    assert getattr(ours, '__abstractmethods__', set()) <= getattr(
        original, '__abstractmethods__', set()
    )


def members() -> list[Any]:
    found = []
    for module, name, original, ours in CLASSES:
        for member in vars(original):
            is_special = member in (
                '__getitem__',
                '__setitem__',
                '__delitem__',
                '__len__',
                '__iter__',
                '__contains__',
            )
            if not member.startswith('_') or is_special:
                found.append(
                    pytest.param(
                        original, ours, member, f'{module}.{name}', id=f'{module}.{name}.{member}'
                    )
                )
    return found


@pytest.mark.parametrize(('original', 'ours', 'name', 'owner'), members())
def test_class_member(original: type, ours: type, name: str, owner: str) -> None:
    if dataclasses.is_dataclass(original) and name in {
        field.name for field in dataclasses.fields(original)
    }:
        return  # see test_dataclass
    assert hasattr(ours, name)
    member = inspect.getattr_static(original, name)
    if isinstance(member, enum.Enum):
        assert getattr(ours, name).value == member.value
    elif isinstance(member, property):
        assert not inspect.isroutine(inspect.getattr_static(ours, name))
    elif inspect.isroutine(getattr(original, name)):
        check_signature(getattr(original, name), getattr(ours, name), f'{owner}.{name}')
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction):
            if name not in AWAITABLES:
                assert test(getattr(original, name)) == test(getattr(ours, name)), test.__name__
    if isinstance(member, classmethod | staticmethod):
        # Both can be called on the class, whatever they are made of.
        assert callable(getattr(ours, name))


@pytest.mark.parametrize(
    ('original', 'ours', 'name'),
    named([entry for entry in CLASSES if dataclasses.is_dataclass(entry[2])]),
)
def test_dataclass(original: Any, ours: Any, name: str) -> None:
    expected, actual = (
        dataclasses.fields(original),
        {field.name: field for field in dataclasses.fields(ours)},
    )
    assert [field.name for field in expected] == list(actual)[: len(expected)]
    for field in expected:
        mine = actual[field.name]
        if name in OTHER_SIGNATURES and field.name == 'error_uri':
            continue
        assert mine.default == field.default or callable(field.default), field.name
        missing = dataclasses.MISSING
        assert (mine.default_factory is missing) == (field.default_factory is missing), field.name
        if field.default_factory is not missing and field.default_factory in (dict, list):
            assert mine.default_factory is field.default_factory
    for name in list(actual)[len(expected) :]:
        assert actual[name].default is not dataclasses.MISSING, f'{name} is new and has no default'
    assert original.__dataclass_params__.frozen == ours.__dataclass_params__.frozen
    assert original.__dataclass_params__.eq == ours.__dataclass_params__.eq


@pytest.mark.parametrize(
    ('module', 'name'),
    [('json', 'JSON_PACKED_BYTES_PREFIX'), ('json', 'JSON_BATCH_SPLITTER')],
)
def test_constant(module: str, name: str) -> None:
    original, ours = (getattr(entry, name) for entry in module_pair(module))
    assert type(original) is type(ours)
    assert sorted(original) == sorted(ours)


@pytest.mark.parametrize('module', ['adapters.aiohttp', 'adapters.asgi'])
def test_subprotocols(module: str) -> None:
    original, ours = (entry.SUPPORTED_WS_PROTOCOLS for entry in module_pair(module))
    assert type(original) is type(ours)
    assert set(ours) - set(original) <= {'wamp.2.cbor', 'wamp.2.cbor.batched'}
    assert set(original) <= set(ours)


def test_message_codes_have_the_original_values() -> None:
    for code in ORACLE.protocol.WAMPMsgType:
        assert SUBJECT.protocol.WAMPMsgType[code.name] == code.value


# Classes of other modules that programs may as well get from here.
IMPORTED = (
    'AsyncSupport', 'ConnectionClosed', 'NoSuchRouteError', 'NoSuchSubscription', 'RPCErrorResult', 'RPCHandler',
    'RPCProgressReport', 'RPCRequest', 'RPCRouter', 'SubscribeError', 'SubscriptionHandler', 'TopicsRouter',
    'WAMPGoodbyeRequest', 'WAMPHelloRequest', 'WAMPMsgParseError', 'WAMPRPCRequest', 'WAMPSession',
    'WAMPSubscribeRequest', 'WAMPUnsubscribeRequest',
)  # fmt: skip


@pytest.mark.parametrize('name', IMPORTED)
def test_application_has_the_classes_that_it_is_about(name: str) -> None:
    assert hasattr(ORACLE.application, name)
    assert hasattr(SUBJECT.application, name)


@pytest.mark.parametrize('module', ['rpc', 'events'])
def test_modules_have_the_session_class(module: str) -> None:
    assert module_pair(module)[1].WAMPSession is SUBJECT.session.WAMPSession


def annotated(module: Any) -> Iterator[tuple[str, Any]]:
    """The classes and functions of a module that may have annotations, methods included."""
    for name, member in vars(module).items():
        if getattr(member, '__module__', None) != module.__name__ or not callable(member):
            continue
        yield name, member
        for inner, method in vars(member).items() if inspect.isclass(member) else ():
            function = getattr(method, '__func__', None) or getattr(method, 'fget', None) or method
            if inspect.isfunction(function):
                yield f'{name}.{inner}', function


@pytest.mark.parametrize(
    'name', [*MODULES, 'default_realm', 'realm', 'publishing', 'auth', 'adapters.websockets', 'adapters.native']
)
def test_annotations_can_be_looked_up(name: str) -> None:
    """By typing.get_type_hints(), as frameworks do that fill in arguments or check values."""
    if SUBJECT.is_oracle and name not in MODULES:
        pytest.skip('a module that serverwamp 2.0.0 has not')
    module = module_pair(name)[1] if name in MODULES else getattr(SUBJECT, name)
    # serverwamp's place for it.
    members = list(annotated(SUBJECT.root.async_support if name == 'adapters.async_base' else module))
    assert members or name == 'auth'
    for member, value in members:
        try:
            typing.get_type_hints(value)
        except NameError as error:
            pytest.fail(f'{name}.{member}: {error}')


def test_annotations_name_the_classes_themselves() -> None:
    session = SUBJECT.session.WAMPSession
    assert typing.get_type_hints(SUBJECT.rpc.RPCRequest)['session'] is session
    hints = typing.get_type_hints(SUBJECT.application.Realm.set_subscription_handler)
    assert session in typing.get_args(hints['handler'])[0]

    def own(handler: SUBJECT.events.SubscriptionHandler) -> None:  # type: ignore[name-defined]
        """In a module that doesn't know the class."""

    assert session in typing.get_args(typing.get_type_hints(own)['handler'])[0]


DOCUMENTED = [
    ('rpc', 'RPCError'), ('application', 'CRAAuthRequirement'), ('', 'CRAAuthRequirement'), ('', 'RPCErrorResult'),
]  # fmt: skip


@pytest.mark.skipif(
    SUBJECT.is_oracle, reason='serverwamp 2.0.0 has not what its documentation names'
)
@pytest.mark.parametrize(('module', 'name'), DOCUMENTED)
def test_documented_name_exists(module: str, name: str) -> None:
    assert hasattr(getattr(SUBJECT, module) if module else SUBJECT.root, name)


@pytest.mark.skipif(
    SUBJECT.is_oracle, reason='serverwamp 2.0.0 has not what its documentation names'
)
def test_documented_methods_exist() -> None:
    root = SUBJECT.root
    for owner in (root.Application, root.Realm):
        for name in ('add_routes', 'add_topics', 'add_default_arg'):
            assert callable(getattr(owner, name)), (owner, name)
    assert callable(root.TopicRouteSet.topic)
    assert root.RPCErrorResult().error_uri == 'wamp.error.runtime_error'
    assert issubclass(SUBJECT.rpc.RPCError, root.RPCErrorResult)


@pytest.mark.parametrize('name', ['SessionStateHandler'])
def test_deprecated_names_warn(name: str) -> None:
    for package in (ORACLE, SUBJECT):
        with pytest.warns(DeprecationWarning, match=name):
            assert getattr(package.application, name) is package.application.SessionLifespanHandler
        with pytest.raises(AttributeError, match='no attribute'):
            _ = package.application.no_such_name


def test_deprecated_methods_warn_and_work() -> None:
    async def handler(session: Any) -> Any:
        yield

    for package in (ORACLE, SUBJECT):
        realm, app = package.root.Realm('realm'), package.root.Application()
        for owner in (realm, app):
            with pytest.warns(DeprecationWarning, match='add_session_lifespan_handler'):
                owner.add_session_state_handler(handler)
        with pytest.warns(DeprecationWarning, match='authed_session_lifespan_handlers'):
            assert list(realm.authed_session_state_handlers) == [handler]
        with pytest.warns(DeprecationWarning, match='session_lifespan_handlers'):
            assert list(realm.session_state_handlers) == []
