"""Limits: what is no bound is refused, by name, and what can't change is left alone."""

import dataclasses
import sys

import pytest

import serverwamp_fast as wamp
from serverwamp_fast.limits import RESERVED_DESCRIPTORS, find_connection_limit


@pytest.mark.parametrize('value', [0, -1, 1.0, True, '5', float('inf')])
def test_values_that_are_no_bound(value: object) -> None:
    with pytest.raises(ValueError, match=r'Limits\.connections .* is neither'):
        wamp.Limits(connections=value)  # type: ignore[arg-type]


@pytest.mark.parametrize('value', [1, 10**9, None])
def test_bounds(value: int | None) -> None:
    assert wamp.Limits(connections=value).connections == value
    assert wamp.Application(limits=wamp.Limits(connections=value)).limits.connections == value


@pytest.mark.skipif(sys.platform == 'win32', reason='there is no limit of descriptors on Windows')
def test_the_default_leaves_descriptors_to_others() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        assert wamp.Limits().connections == 200 - RESERVED_DESCRIPTORS == wamp.Application().limits.connections
        resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVED_DESCRIPTORS, hard))
        assert find_connection_limit() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_limits_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        wamp.Limits().connections = 5  # type: ignore[misc]


def test_an_application_takes_nothing_else() -> None:
    with pytest.raises(TypeError, match='limits'):
        wamp.Application(limits={'connections': 5})  # type: ignore[arg-type]
