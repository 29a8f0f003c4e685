"""auth: the names of its modules in one place."""

import importlib
import re
import tomllib
from pathlib import Path

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


@pytest.mark.parametrize('module', ['cryptosign', 'scram'])
def test_what_is_to_be_installed_is_what_the_extra_installs(module: str) -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / 'pyproject.toml').read_text('utf-8'))['project']
    source = (root / 'serverwamp_fast' / 'auth' / f'{module}.py').read_text('utf-8')
    (named,) = re.findall(r"pip install '(.+?)'", source)
    assert named in project['optional-dependencies']['auth']
