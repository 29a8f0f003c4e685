"""Salted challenge-response authentication (WAMP AP, "Salted Challenge Response Authentication"; RFC 5802).

The server keeps a SCRAMCredential for each user. Who steals it can't authenticate with it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import pbkdf2_hmac, sha256
from hmac import compare_digest, digest
from secrets import token_bytes
from typing import Any

from .mocks import mock_bytes
from .saslprep import saslprep

ARGON2 = 'argon2id13'
# What Autobahn calls Argon2. It means more than the name: the key is the hash as unpadded base64 text, and the
# password is taken as it is.
AUTOBAHN_ARGON2 = 'argon2id-13'
PBKDF2 = 'pbkdf2'

KEY_SIZE = 32
SALT_SIZE = 16
# RFC 9106, 4, second recommendation, but for the parallelism, which WAMP fixes at 1.
ARGON2_ITERATIONS = 3
ARGON2_MEMORY = 64 * 1024
PBKDF2_ITERATIONS = 100_000


@dataclass(frozen=True)
class SCRAMCredential:
    """What the server keeps of a user's password; derive_scram_credential() makes one.

    - salt: bytes of the user's own, at random
    - kdf: 'argon2id13', 'pbkdf2', or 'argon2id-13' for clients written with Autobahn
    - iterations, memory: costs of the key derivation, the memory in KiB and for Argon2 only
    - stored_key, server_key: 32 bytes each (RFC 5802, 3)
    - auth_role, auth_provider: what WELCOME tells the client
    """

    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    kdf: str = ARGON2
    iterations: int = ARGON2_ITERATIONS
    memory: int | None = ARGON2_MEMORY
    auth_role: str | None = None
    auth_provider: str | None = None


def derive_scram_credential(
    password: str,
    *,
    kdf: str = ARGON2,
    salt: bytes | None = None,
    iterations: int | None = None,
    memory: int | None = None,
    auth_role: str | None = None,
    auth_provider: str | None = None,
) -> SCRAMCredential:
    """Return what to keep of a user's password. Takes as long as the costs say, so do it when the password is set.

    - salt: at random by default; never the same for two users
    - iterations: 3 by default for Argon2, 100,000 for PBKDF2
    - memory: KiB, for Argon2; 65,536 by default

    Raises ValueError for a password or a `kdf` that can't be used, ImportError if argon2-cffi is not installed.
    """
    if salt is None:
        salt = token_bytes(SALT_SIZE)
    if kdf == PBKDF2:
        iterations, memory = iterations or PBKDF2_ITERATIONS, None
        salted = pbkdf2_hmac('sha256', saslprep(password).encode(), salt, iterations, KEY_SIZE)
    elif kdf in (ARGON2, AUTOBAHN_ARGON2):
        iterations, memory = iterations or ARGON2_ITERATIONS, memory or ARGON2_MEMORY
        text = saslprep(password) if kdf == ARGON2 else password
        salted = _hash_by_argon2(text.encode(), salt, iterations, memory)
        if kdf == AUTOBAHN_ARGON2:
            salted = b64encode(salted).rstrip(b'=')
    else:
        raise ValueError(f'There is no key derivation function {kdf!r}; choose argon2id13, argon2id-13 or pbkdf2.')
    return SCRAMCredential(
        salt,
        stored_key=sha256(digest(salted, b'Client Key', 'sha256')).digest(),
        server_key=digest(salted, b'Server Key', 'sha256'),
        kdf=kdf,
        iterations=iterations,
        memory=memory,
        auth_role=auth_role,
        auth_provider=auth_provider,
    )


def _hash_by_argon2(password: bytes, salt: bytes, iterations: int, memory: int) -> bytes:
    try:
        from argon2.low_level import Type, hash_secret_raw
    except ImportError as error:
        raise ImportError(
            "Argon2 needs the package argon2-cffi. Install it with: pip install 'argon2-cffi>=23.1,<26'"
        ) from error
    return hash_secret_raw(
        password, salt, time_cost=iterations, memory_cost=memory, parallelism=1, hash_len=KEY_SIZE,
        type=Type.ID, version=0x13,
    )  # fmt: skip


def mock_scram_credential(
    auth_id: str, mock_key: bytes, like: SCRAMCredential | None = None
) -> SCRAMCredential:
    """Return a credential that no client can prove to know, for a user that there is none of.

    It looks like the credential `like`, and its salt is always the same for a user (WAMP AP, "Initial Client
    Authentication Message"). `mock_key` is a secret of the server's.
    """
    if like is None:
        like = SCRAMCredential(bytes(SALT_SIZE), b'', b'')
    salt = mock_bytes(mock_key, 'wamp-scram', auth_id, len(like.salt))
    return replace(like, salt=salt, stored_key=token_bytes(KEY_SIZE), server_key=token_bytes(KEY_SIZE))


@dataclass(frozen=True)
class SCRAMExchange:
    """The messages of one authentication, from which both sides compute what proves that they know the key.

    - auth_id, client_nonce: from HELLO
    - server_nonce: the server's part of the nonce
    - binding: name and data of the channel binding, if the client asked for one
    """

    credential: SCRAMCredential
    auth_id: str
    client_nonce: str
    server_nonce: str
    binding: tuple[str, bytes] | None = None

    @property
    def nonce(self) -> str:
        """The client's nonce and the server's."""
        return self.client_nonce + self.server_nonce

    @property
    def salt(self) -> str:
        """The salt in base64."""
        return b64encode(self.credential.salt).decode()

    def challenge(self) -> dict[str, Any]:
        """Return CHALLENGE.Details."""
        credential = self.credential
        details = {
            'nonce': self.nonce,
            'salt': self.salt,
            'kdf': credential.kdf,
            'iterations': credential.iterations,
        }
        if credential.memory is not None:
            details['memory'] = credential.memory
        return details

    def verify(self, signature: str, extra: Mapping[str, Any]) -> str | None:
        """Return the server's signature in base64 if AUTHENTICATE proves that the client knows the key, else None."""
        proof = _read_base64(signature)
        if proof is None or len(proof) != KEY_SIZE or not self._is_bound(extra):
            return None
        # Autobahn doesn't repeat the nonce; its proof covers it all the same.
        if not _are_equal(extra.get('nonce', self.nonce), self.nonce):
            return None
        for messages in self._auth_messages():
            client_signature = digest(self.credential.stored_key, messages, 'sha256')
            client_key = bytes(left ^ right for left, right in zip(client_signature, proof, strict=True))
            if compare_digest(sha256(client_key).digest(), self.credential.stored_key):
                return b64encode(digest(self.credential.server_key, messages, 'sha256')).decode()
        return None

    def _is_bound(self, extra: Mapping[str, Any]) -> bool:
        name, data = extra.get('channel_binding'), extra.get('cbind_data')
        if self.binding is None:
            return not name and not data
        expected_name, expected_data = self.binding
        return name == expected_name and compare_digest(_read_base64(data) or b'', expected_data)

    def _auth_messages(self) -> list[bytes]:
        """Return AuthMessage in all forms that clients write (WAMP AP, "AuthMessage")."""
        if self.binding is None:
            # Autobahn leaves the field empty.
            bindings = [b64encode(b'n,,').decode(), '']
        else:
            name, data = self.binding
            bindings = [b64encode(f'p={name},,'.encode() + data).decode()]
        user = self.auth_id.replace('=', '=3D').replace(',', '=2C')
        return [
            f'n={user},r={self.client_nonce},'
            f'r={self.nonce},s={self.salt},i={self.credential.iterations},'
            f'c={binding},r={self.nonce}'.encode()
            for binding in bindings
        ]


def _read_base64(text: object) -> bytes | None:
    if not isinstance(text, str):
        return None
    try:
        return b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None


def _are_equal(given: object, expected: str) -> bool:
    return isinstance(given, str) and compare_digest(given.encode(errors='replace'), expected.encode())
