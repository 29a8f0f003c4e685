"""default_realm: what an application passes on to its default realm, and what it says when there is none."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import serverwamp_fast as wamp
from serverwamp_fast.default_realm import DefaultRealmSettings

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
SETTINGS = [
    name
    for name, value in vars(DefaultRealmSettings).items()
    if inspect.isfunction(value) and not name.startswith('_')
]
# Other names of the same are passed on under the main one; the old name would else warn twice.
PASSED_ON_AS = {
    'add_session_state_handler': 'add_session_lifespan_handler',
    'add_default_arg': 'set_default_arg',
    'add_topics': 'add_topic_routes',
}
# What a Realm has for its own application, not for users' settings.
NOT_SETTINGS = {'default_auth_handler'}


def realm_method(name: str) -> Callable[..., Any]:
    return getattr(wamp.Realm, name)


def values_for(method: Callable[..., Any]) -> dict[str, str]:
    """Return a value of its own for each parameter that a call can name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, KEYWORD_ONLY)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return {parameter.name: f'the {parameter.name}' for parameter in parameters if parameter.kind in kinds}


def test_every_method_of_a_realm_is_there() -> None:
    public = {
        name for name, value in vars(wamp.Realm).items() if inspect.isfunction(value) and not name.startswith('_')
    }
    assert public - NOT_SETTINGS <= set(SETTINGS)


@pytest.mark.parametrize('name', SETTINGS)
def test_parameters_are_those_of_the_realm(name: str) -> None:
    ours, theirs = (inspect.signature(method) for method in (getattr(wamp.Application, name), realm_method(name)))
    if name == 'publish':
        # Its many options are written down once.
        assert list(ours.parameters)[:2] == list(theirs.parameters)[:2]
        return
    assert [(parameter.kind, parameter.default) for parameter in ours.parameters.values()] == [
        (parameter.kind, parameter.default) for parameter in theirs.parameters.values()
    ]


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('name', SETTINGS)
def test_everything_is_passed_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = wamp.Application()
    passed: list[dict[str, Any]] = []
    target = PASSED_ON_AS.get(name, name)
    signature = inspect.signature(realm_method(target))

    def take(*args: Any, **kwargs: Any) -> str:
        passed.append(dict(list(signature.bind(*args, **kwargs).arguments.items())[1:]))
        return 'what the realm returns'

    async def take_later(*args: Any, **kwargs: Any) -> str:
        return take(*args, **kwargs)

    is_async = inspect.iscoroutinefunction(realm_method(target))
    values = values_for(realm_method(target))
    monkeypatch.setattr(wamp.Realm, target, take_later if is_async else take)
    method = getattr(app, name)
    if is_async:
        with pytest.raises(StopIteration) as stop:
            method(**values).send(None)
        assert stop.value.value == 'what the realm returns'
    else:
        # By position as far as that goes: some names of parameters are older than the realm's.
        parameters = inspect.signature(getattr(wamp.Application, name)).parameters
        ours = values_for(getattr(wamp.Application, name))
        by_name = {other: ours.pop(other) for other in list(ours) if parameters[other].kind is KEYWORD_ONLY}
        method(*ours.values(), **by_name)
        values = dict(zip(values, [*ours.values(), *by_name.values()], strict=True))
    assert passed == [values]


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('name', SETTINGS)
def test_without_a_default_realm_each_says_what_to_do(name: str) -> None:
    app = wamp.Application(allow_default_realm=False)
    values = values_for(getattr(wamp.Application, name))
    with pytest.raises(RuntimeError, match=r'add_realm\(\)'):
        outcome = getattr(app, name)(**values)
        # A coroutine says it when it is awaited.
        outcome.send(None)
