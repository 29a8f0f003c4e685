"""Challenge-response authentication: what a client has to know, and whether it does (WAMP AP, "WAMP-CRA")."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from hashlib import pbkdf2_hmac
from hmac import compare_digest, digest
from secrets import token_bytes

from .mocks import mock_text

ITERATIONS = 1000
KEY_LENGTH = 32


@dataclass
class CRAAuthRequirement:
    """What a client of WAMP-CRA has to know, and the role and provider that WELCOME tells it.

    With a `salt`, the secret is the key that derive_cra_key() returned for the password, this salt, and these
    `iterations` and `keylen` (bytes): the client is told the three and derives the same key from its password.
    """

    secret: bytes | str
    auth_role: str
    auth_provider: str
    salt: str | None = None
    iterations: int = ITERATIONS
    keylen: int = KEY_LENGTH


@dataclass
class CRAResponse:
    """The answer to a CHALLENGE of WAMP-CRA: the signature in base64, and the text that was to be signed."""

    signature: str
    challenge: str


def derive_cra_key(
    password: str, salt: str, iterations: int = ITERATIONS, keylen: int = KEY_LENGTH
) -> bytes:
    """Return the secret of a salted CRAAuthRequirement: PBKDF2-HMAC-SHA256 in base64 (WAMP AP, "Password Salting").

    The text in base64 is the key itself; nobody decodes it. Keep it instead of the password.
    """
    return b64encode(pbkdf2_hmac('sha256', password.encode(), salt.encode(), iterations, keylen))


def verify_cra_response(response: CRAResponse, secret: bytes | bytearray | str) -> bool:
    """Return whether the signature is base64(HMAC-SHA256(secret, challenge)) (WAMP AP, "WAMP-CRA").

    Takes the same time whatever is wrong with the signature.
    """
    key = secret.encode() if isinstance(secret, str) else bytes(secret)
    expected = b64encode(digest(key, response.challenge.encode(), 'sha256'))
    # A lone surrogate, which only text has, becomes a character that Base64 doesn't.
    return compare_digest(response.signature.encode(errors='replace'), expected)


def mock_cra_requirement(
    auth_id: str, mock_key: bytes, like: CRAAuthRequirement | None = None
) -> CRAAuthRequirement:
    """Return a requirement that no client fulfils, for a user that there is none of.

    It looks like the requirement `like`, and its salt is always the same for a user: who asks twice must not
    find out either. `mock_key` is a secret of the server's.
    """
    if like is None:
        like = CRAAuthRequirement(b'', 'user', 'static')
    salt = None if like.salt is None else mock_text(mock_key, 'wampcra', auth_id, like.salt)
    return replace(like, secret=token_bytes(KEY_LENGTH), salt=salt)
