"""auth: the names of its modules in one place."""

import importlib

import pytest

from serverwamp_fast import auth


@pytest.mark.parametrize('name', auth.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(auth, name)
    assert value.__doc__
    assert getattr(importlib.import_module(value.__module__), name) is value
    assert value.__module__.startswith('serverwamp_fast.auth.')


def test_names_are_in_order() -> None:
    assert list(auth.__all__) == sorted(auth.__all__)
