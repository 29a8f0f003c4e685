"""auth.mocks: what stands for the salt of a user that there is none of."""

import string
from base64 import b64decode, b64encode, urlsafe_b64encode
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast.auth.cra import CRAAuthRequirement, mock_cra_requirement
from serverwamp_fast.auth.mocks import mock_bytes, mock_text
from serverwamp_fast.auth.scram import SCRAMCredential, mock_scram_credential

USERS = [f'user{number}' for number in range(200)]


def test_bytes_are_those_of_one_user_and_one_method() -> None:
    users = ['eve', 'eva', '', '0\0eve', 'ü', '\0']
    mocks = {
        (key, method, user): mock_bytes(key, method, user, 100)
        for key in (b'1', b'2')
        for method in ('wampcra', 'wamp-scram')
        for user in users
    }
    assert len(set(mocks.values())) == len(mocks)
    for known, mock in mocks.items():
        assert mock_bytes(*known, 100) == mock
        assert mock_bytes(*known, 33) == mock[:33]
    blocks = [mock[start : start + 32] for mock in mocks.values() for start in (0, 32, 64)]
    assert len(set(blocks)) == len(blocks)


@given(st.text(st.characters(codec='ascii'), max_size=40))
def test_texts_have_the_length_of_the_model(like: str) -> None:
    assert len(mock_text(b'key', 'wampcra', 'eve', like)) == len(like)


@pytest.mark.parametrize('size', [1, 2, 5, 16, 17, 18, 32, 33, 40])
@pytest.mark.parametrize(
    'encode',
    [
        lambda data: data.hex(),
        lambda data: data.hex().upper(),
        lambda data: b64encode(data).decode(),
        lambda data: b64encode(data).decode().rstrip('='),
    ],
    ids=['hex', 'upper', 'base64', 'unpadded'],
)
def test_texts_are_written_as_the_model(encode: Any, size: int) -> None:
    """A real salt could be each of them: what is read from it and written again is the same text."""
    # One with letters, where there are digits.
    like = encode(b'\xab' + Random(size).randbytes(size - 1))
    for user in USERS:
        mock = mock_text(b'key', 'wampcra', user, like)
        assert len(mock) == len(like)
        if set(like) <= set(string.hexdigits):
            assert encode(bytes.fromhex(mock)) == mock
        else:
            assert encode(b64decode(mock + '=' * (-len(mock) % 4), validate=True)) == mock


def test_base64_for_addresses() -> None:
    like = urlsafe_b64encode(b'\xff' * 16).decode()
    used = set().union(*(mock_text(b'key', 'wampcra', user, like) for user in USERS))
    assert used == set(string.ascii_letters + string.digits + '-_=')


def test_a_salt_for_one_method_says_nothing_of_that_for_another() -> None:
    """Else who asks by both would know that it is made up."""
    cra = CRAAuthRequirement(b'', 'user', 'static', b64encode(bytes(16)).decode())
    scram = SCRAMCredential(bytes(16), b'', b'')
    for user in USERS:
        assert mock_cra_requirement(user, b'key', cra).salt != (
            b64encode(mock_scram_credential(user, b'key', scram).salt).decode()
        )
