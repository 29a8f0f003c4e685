"""auth.identity: what an authenticator says of a client that it has recognized."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

import serverwamp_fast
from serverwamp_fast.auth.identity import AuthenticatedAs


def test_all_but_the_identity_may_be_left_out() -> None:
    known = AuthenticatedAs({'name': 'joe'})
    assert vars(known) == {
        'identity': {'name': 'joe'},
        'auth_role': None,
        'auth_provider': None,
        'auth_extra': None,
        'auth_id': None,
    }
    with pytest.raises(TypeError):
        AuthenticatedAs()  # type: ignore[call-arg]


def test_what_it_was_given_it_keeps() -> None:
    fields: dict[str, Any] = {
        'identity': 5,
        'auth_role': 'admin',
        'auth_provider': 'db',
        'auth_extra': {'a': 1},
        'auth_id': 'joe',
    }
    assert vars(AuthenticatedAs(**fields)) == vars(AuthenticatedAs(*fields.values())) == fields
    assert AuthenticatedAs(**fields) == AuthenticatedAs(**fields) != AuthenticatedAs(5)


def test_it_counts_as_true_and_does_not_change() -> None:
    """Authenticators return something false for a client that they don't recognize."""
    known = AuthenticatedAs(None)
    assert known
    with pytest.raises(FrozenInstanceError):
        known.auth_role = 'admin'  # type: ignore[misc]


def test_it_is_found_at_the_top() -> None:
    assert serverwamp_fast.AuthenticatedAs is AuthenticatedAs
