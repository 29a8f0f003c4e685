"""Challenge-response authentication: what a client has to know, and whether it does."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hmac import compare_digest, digest


@dataclass
class CRAAuthRequirement:
    """What a client of WAMP-CRA has to know, and the role and provider that WELCOME tells it."""

    secret: bytes
    auth_role: str
    auth_provider: str


@dataclass
class CRAResponse:
    """The answer to a CHALLENGE of WAMP-CRA: the signature in base64, and the text that was to be signed."""

    signature: str
    challenge: str


def verify_cra_response(response: CRAResponse, secret: bytes | bytearray) -> bool:
    """Return whether the signature is base64(HMAC-SHA256(secret, challenge)) (WAMP AP, "WAMP-CRA").

    Takes the same time whatever is wrong with the signature.
    """
    expected = b64encode(digest(bytes(secret), response.challenge.encode(), 'sha256'))
    # A lone surrogate, which only text has, becomes a character that Base64 doesn't.
    return compare_digest(response.signature.encode(errors='replace'), expected)
