"""auth: what a client of WAMP-CRA has to know, and whether it does."""

import hmac
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serverwamp.application import CRAAuthRequirement as TheirRequirement
from serverwamp.application import CRAResponse as TheirResponse

from serverwamp_fast import application
from serverwamp_fast.auth import CRAAuthRequirement, CRAResponse, verify_cra_response

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
    assert vars(CRAAuthRequirement(**fields)) == vars(TheirRequirement(**fields))
    assert vars(CRAAuthRequirement(*fields.values())) == fields
    response = {'signature': 's', 'challenge': 'c'}
    assert vars(CRAResponse(**response)) == vars(TheirResponse(**response))


def test_found_where_serverwamp_has_them() -> None:
    assert application.CRAAuthRequirement is CRAAuthRequirement
    assert application.CRAResponse is CRAResponse
    assert application.verify_cra_response is verify_cra_response
