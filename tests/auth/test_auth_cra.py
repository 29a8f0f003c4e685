"""auth.cra: what a client of WAMP-CRA has to know, and whether it does."""

import hmac
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serverwamp.application import CRAAuthRequirement as TheirRequirement
from serverwamp.application import CRAResponse as TheirResponse

from serverwamp_fast import application
from serverwamp_fast.auth import (
    CRAAuthRequirement,
    CRAResponse,
    derive_cra_key,
    mock_cra_requirement,
    verify_cra_response,
)

# RFC 4231, test case 2.
SECRET = b'Jefe'
CHALLENGE = 'what do ya want for nothing?'
DIGEST = bytes.fromhex('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
SIGNATURE = b64encode(DIGEST).decode()


def verify(signature: str, secret: Any = SECRET, challenge: str = CHALLENGE) -> bool:
    return verify_cra_response(CRAResponse(signature, challenge), secret)


def test_the_right_signature() -> None:
    assert verify(SIGNATURE) is True
    assert verify(SIGNATURE, bytearray(SECRET)) is True


@pytest.mark.parametrize(
    'signature',
    [
        '',
        SIGNATURE[:-1],
        SIGNATURE + '=',
        ' ' + SIGNATURE,
        SIGNATURE.lower(),
        DIGEST.hex(),
        DIGEST.decode('latin-1'),
        'ü' * 44,
        '\ud800' * 44,
    ],
)
def test_wrong_signatures(signature: str) -> None:
    assert verify(signature) is False


def test_a_secret_in_text() -> None:
    assert verify(SIGNATURE, SECRET.decode()) is True
    assert verify(SIGNATURE, 'Jéfe') is False


def test_another_secret_or_challenge() -> None:
    assert verify(SIGNATURE, b'jefe') is False
    assert verify(SIGNATURE, b'') is False
    assert verify(SIGNATURE, challenge=CHALLENGE + ' ') is False


@given(st.binary(), st.text(st.characters(codec='utf-8')), st.text(st.characters(codec='utf-8')))
def test_agrees_with_hmac(secret: bytes, challenge: str, other: str) -> None:
    digest = hmac.new(secret, challenge.encode(), 'sha256').digest()
    signature = b64encode(digest).decode()
    assert verify(signature, secret, challenge)
    assert verify(signature, secret, other) == (challenge == other)


def test_same_fields_as_serverwamp() -> None:
    fields: dict[str, Any] = {'secret': b's', 'auth_role': 'role', 'auth_provider': 'provider'}
    salting = {'salt': None, 'iterations': 1000, 'keylen': 32}
    assert vars(CRAAuthRequirement(**fields)) == vars(TheirRequirement(**fields)) | salting
    assert vars(CRAAuthRequirement(*fields.values())) == fields | salting
    response = {'signature': 's', 'challenge': 'c'}
    assert vars(CRAResponse(**response)) == vars(TheirResponse(**response))


def test_found_where_serverwamp_has_them() -> None:
    assert application.CRAAuthRequirement is CRAAuthRequirement
    assert application.CRAResponse is CRAResponse
    assert application.verify_cra_response is verify_cra_response


def test_derived_keys() -> None:
    """RFC 7914, 11, has two vectors of PBKDF2-HMAC-SHA256."""
    expected = (
        '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc'
        '49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783'
    )
    assert derive_cra_key('passwd', 'salt', 1, 64) == b64encode(bytes.fromhex(expected))
    assert derive_cra_key('passwd', 'salt', 1) == b64encode(bytes.fromhex(expected[:64]))
    expected = (
        '4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56'
        'a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d'
    )
    assert derive_cra_key('Password', 'NaCl', 80000, 64) == b64encode(bytes.fromhex(expected))


def test_derived_keys_are_those_of_autobahn() -> None:
    auth = pytest.importorskip('autobahn.wamp.auth', reason='autobahn is not installed')
    assert derive_cra_key('geheim ü', 'Salz ö') == auth.derive_key('geheim ü', 'Salz ö')
    assert derive_cra_key('x', 'y', 7, 20) == auth.derive_key('x', 'y', 7, 20)


def test_mock_requirements_look_like_others() -> None:
    like = CRAAuthRequirement(b'secret', 'role', 'provider', 'a salt of a length', 2000, 48)
    mock = mock_cra_requirement('eve', b'key', like)
    assert mock.secret != like.secret
    assert mock.salt is not None
    assert like.salt is not None
    assert len(mock.salt) == len(like.salt)
    fields = vars(like) | {'secret': mock.secret, 'salt': mock.salt}
    assert vars(mock) == fields
    plain = mock_cra_requirement('eve', b'key')
    assert (plain.auth_role, plain.auth_provider, plain.salt) == ('user', 'static', None)


def test_the_salt_of_a_mock_is_the_users_own() -> None:
    like = CRAAuthRequirement(b'secret', 'role', 'provider', 's' * 100)
    salts = {
        (user, key): mock_cra_requirement(user, key, like).salt
        for user in ('eve', 'eva')
        for key in (b'1', b'2')
    }
    assert len(set(salts.values())) == 4
    assert {len(salt or '') for salt in salts.values()} == {100}
    for (user, key), salt in salts.items():
        assert mock_cra_requirement(user, key, like).salt == salt
    first, second = (mock_cra_requirement('eve', b'1', like).secret for _ in range(2))
    assert first != second
