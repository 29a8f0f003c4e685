"""Cryptosign: whether a client holds the private key to its public key (WAMP AP, "Cryptosign-based Authentication")."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest

KEY_SIZE = 32
CHALLENGE_SIZE = 32
SIGNATURE_SIZE = 64


def require_cryptography() -> None:
    """Raise ImportError, with what to install, where the package is missing that verifies signatures."""
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Cryptosign needs the package cryptography. Install it with: pip install 'cryptography>=42'"
        ) from error


def find_channel_id(tls_unique: bytes) -> bytes:
    """Return the channel id of 32 bytes that stands for a channel binding tls-unique.

    The specification doesn't say how the Finished message of TLS, mostly of 12 bytes, becomes 32. Autobahn
    takes its SHA-256.
    """
    return sha256(tls_unique).digest()


def mix_channel_id(challenge: bytes, channel_id: bytes) -> bytes:
    """Return what is signed where a channel is bound: challenge XOR channel id."""
    return bytes(left ^ right for left, right in zip(challenge, channel_id, strict=True))


def read_public_key(text: object) -> bytes | None:
    """Return the key of 32 bytes that 64 hexadecimal digits stand for, or None if it is something else."""
    return _read_hex(text, KEY_SIZE)


def verify_cryptosign_signature(signature: str, message: bytes, public_key: bytes) -> bool:
    """Return whether `signature` is an Ed25519 signature of the message with the message behind it, both in
    hexadecimal (WAMP AP, "Computing the Signature").
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    data = _read_hex(signature, SIGNATURE_SIZE + CHALLENGE_SIZE)
    # The client sends what it has signed. That has to be this session's message, and not one that was signed before.
    if data is None or not compare_digest(data[SIGNATURE_SIZE:], message):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(data[:SIGNATURE_SIZE], message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read_hex(text: object, size: int) -> bytes | None:
    if not isinstance(text, str) or len(text) != 2 * size:
        return None
    try:
        # Passes over white space, but then there are too few digits.
        data = bytes.fromhex(text)
    except ValueError:
        return None
    return data if len(data) == size else None
