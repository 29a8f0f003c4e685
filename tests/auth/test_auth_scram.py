"""auth.scram: credentials, and whether a client knows the password."""

import builtins
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import pbkdf2_hmac, sha256
from hmac import digest
from typing import Any

import pytest

from serverwamp_fast.auth.scram import (
    SCRAMCredential,
    SCRAMExchange,
    _hash_by_argon2,
    derive_scram_credential,
    mock_scram_credential,
)

# RFC 7677, 3; WAMP AP says that such vectors hold here too ("Deviations from RFC5802").
SALT = 'W22ZaJ0SNY7soEsUEjb6gQ=='
CLIENT_NONCE = 'rOprNGfwEbeRWgbNEkqO'
SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
PROOF = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
SERVER_SIGNATURE = '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='


@pytest.fixture(scope='module')
def pencil() -> SCRAMCredential:
    return derive_scram_credential('pencil', kdf='pbkdf2', salt=b64decode(SALT), iterations=4096)


def exchange_of(credential: SCRAMCredential, **changes: Any) -> SCRAMExchange:
    exchange = SCRAMExchange(credential, 'user', CLIENT_NONCE, SERVER_NONCE)
    return replace(exchange, **changes)


def prove(
    exchange: SCRAMExchange, salted: bytes, user: str = 'user', binding: str = 'biws'
) -> tuple[str, str]:
    """What a client sends as proof, and what it expects of the server; written down a second time."""
    nonce = exchange.client_nonce + exchange.server_nonce
    salt = b64encode(exchange.credential.salt).decode()
    messages = (
        f'n={user},r={exchange.client_nonce},r={nonce},s={salt},i={exchange.credential.iterations},'
        f'c={binding},r={nonce}'
    ).encode()
    client_key = digest(salted, b'Client Key', 'sha256')
    signature = digest(sha256(client_key).digest(), messages, 'sha256')
    proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
    server = digest(digest(salted, b'Server Key', 'sha256'), messages, 'sha256')
    return b64encode(proof).decode(), b64encode(server).decode()


def test_the_vector_of_the_rfc(pencil: SCRAMCredential) -> None:
    exchange = exchange_of(pencil)
    nonce = CLIENT_NONCE + SERVER_NONCE
    assert exchange.challenge() == {'nonce': nonce, 'salt': SALT, 'kdf': 'pbkdf2', 'iterations': 4096}
    for extra in (
        {},
        {'nonce': nonce},
        {'nonce': nonce, 'channel_binding': None, 'cbind_data': None},
    ):
        assert exchange.verify(PROOF, extra) == SERVER_SIGNATURE


@pytest.mark.parametrize(
    'proof',
    ['', PROOF[:-1], PROOF[:-4], PROOF + '=', PROOF.lower(), ' ' + PROOF, PROOF + PROOF, 'ü', '\ud800'],
)
def test_wrong_proofs(pencil: SCRAMCredential, proof: str) -> None:
    assert exchange_of(pencil).verify(proof, {}) is None


@pytest.mark.parametrize(
    'extra',
    [{'nonce': CLIENT_NONCE}, {'nonce': ''}, {'nonce': None}, {'nonce': 5}, {'nonce': '\ud800'},
     {'channel_binding': 'tls-unique'}, {'cbind_data': 'AAAA'}],
)  # fmt: skip
def test_another_nonce_or_a_binding_that_was_not_asked_for(
    pencil: SCRAMCredential, extra: dict[str, Any]
) -> None:
    assert exchange_of(pencil).verify(PROOF, extra) is None


def test_a_proof_is_good_for_one_exchange(pencil: SCRAMCredential) -> None:
    for changes in (
        {'server_nonce': 'another'},
        {'client_nonce': 'another'},
        {'auth_id': 'admin'},
        {'credential': replace(pencil, salt=b'another')},
        {'credential': replace(pencil, iterations=4097)},
        {'credential': replace(pencil, stored_key=bytes(32))},
        {'binding': ('tls-unique', b'data')},
    ):
        changed: Any = replace(exchange_of(pencil), **changes)
        assert changed.verify(PROOF, {}) is None


def test_an_empty_binding_as_autobahn_writes_it(pencil: SCRAMCredential) -> None:
    salted = pbkdf2_hmac('sha256', b'pencil', b64decode(SALT), 4096)
    exchange = exchange_of(pencil)
    proof, server_signature = prove(exchange, salted, binding='')
    assert exchange.verify(proof, {}) == server_signature
    assert prove(exchange, salted) == (PROOF, SERVER_SIGNATURE)


def test_names_are_escaped(pencil: SCRAMCredential) -> None:
    salted = pbkdf2_hmac('sha256', b'pencil', b64decode(SALT), 4096)
    exchange = exchange_of(pencil, auth_id='a=b,n=eve')
    proof, server_signature = prove(exchange, salted, user='a=3Db=2Cn=3Deve')
    assert exchange.verify(proof, {}) == server_signature


def test_channel_binding(pencil: SCRAMCredential) -> None:
    salted = pbkdf2_hmac('sha256', b'pencil', b64decode(SALT), 4096)
    data = b'\x00Finished\xff'
    exchange = exchange_of(pencil, binding=('tls-unique', data))
    field = b64encode(b'p=tls-unique,,' + data).decode()
    proof, server_signature = prove(exchange, salted, binding=field)
    extra = {'channel_binding': 'tls-unique', 'cbind_data': b64encode(data).decode()}
    assert exchange.verify(proof, extra) == server_signature
    for wrong in (
        {},
        {'channel_binding': 'tls-unique'},
        {**extra, 'cbind_data': b64encode(b'other').decode()},
        {**extra, 'cbind_data': 5},
        {**extra, 'channel_binding': 'tls-exporter'},
    ):
        assert exchange.verify(proof, wrong) is None
    # A proof without binding is none for a client that has asked for it.
    assert exchange.verify(prove(exchange, salted)[0], extra) is None
    assert exchange.verify(prove(exchange, salted, binding='')[0], extra) is None


def test_argon2() -> None:
    """Vectors of the reference implementation (phc-winner-argon2, src/test.c): Argon2id, version 0x13."""
    pytest.importorskip('argon2', reason='argon2-cffi is not installed')
    assert _hash_by_argon2(b'password', b'somesalt', 2, 256).hex() == (
        '9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe'
    )
    assert _hash_by_argon2(b'password', b'somesalt', 2, 65536).hex() == (
        '09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7'
    )


def test_a_credential_of_argon2() -> None:
    pytest.importorskip('argon2', reason='argon2-cffi is not installed')
    salted = bytes.fromhex('9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe')
    credential = derive_scram_credential(
        'password', salt=b'somesalt', iterations=2, memory=256, auth_role='user'
    )
    assert (credential.kdf, credential.iterations, credential.memory) == ('argon2id13', 2, 256)
    assert credential.auth_role == 'user'
    exchange = exchange_of(credential)
    assert exchange.challenge() == {
        'nonce': exchange.nonce, 'salt': 'c29tZXNhbHQ=', 'kdf': 'argon2id13', 'iterations': 2, 'memory': 256,
    }  # fmt: skip
    proof, server_signature = prove(exchange, salted)
    assert exchange.verify(proof, {}) == server_signature


def test_a_credential_for_autobahn() -> None:
    pytest.importorskip('argon2', reason='argon2-cffi is not installed')
    auth = pytest.importorskip('autobahn.wamp.auth', reason='autobahn is not installed')
    theirs = auth.derive_scram_credential('joe@example.com', 'pässword')
    ours = derive_scram_credential(
        'pässword', kdf='argon2id-13', salt=bytes.fromhex(theirs['salt']), iterations=4096, memory=512
    )
    assert theirs == {
        'kdf': ours.kdf, 'memory': ours.memory, 'iterations': ours.iterations, 'salt': ours.salt.hex(),
        'stored-key': ours.stored_key.hex(), 'server-key': ours.server_key.hex(),
    }  # fmt: skip


def test_salts_and_costs_by_default() -> None:
    pytest.importorskip('argon2', reason='argon2-cffi is not installed')
    first, second = (derive_scram_credential('x') for _ in range(2))
    assert len(first.salt) == 16
    assert first.salt != second.salt
    assert first.stored_key != second.stored_key
    assert (first.kdf, first.iterations, first.memory) == ('argon2id13', 3, 65536)


def test_keys_are_not_shown(pencil: SCRAMCredential) -> None:
    assert 'key' not in repr(pencil)


def test_an_unknown_function() -> None:
    with pytest.raises(ValueError, match=r"no key derivation function 'md5'; choose argon2id13"):
        derive_scram_credential('x', kdf='md5')


def test_without_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition('.')[0] == 'argon2':
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(ImportError, match=r"pip install 'argon2-cffi>=23.1,<26'"):
        derive_scram_credential('x')
    assert derive_scram_credential('x', kdf='pbkdf2', iterations=1).kdf == 'pbkdf2'


def test_mock_credentials() -> None:
    like = SCRAMCredential(b's' * 40, b'k' * 32, b'k' * 32, 'pbkdf2', 5000, None, 'role')
    mocks = [mock_scram_credential(user, key, like) for user in ('eve', 'eva') for key in (b'1', b'2')]
    assert len({mock.salt for mock in mocks}) == 4
    for mock in mocks:
        assert len(mock.salt) == 40
        assert (mock.kdf, mock.iterations, mock.memory) == ('pbkdf2', 5000, None)
        assert mock.stored_key not in (like.stored_key, bytes(32))
    again = mock_scram_credential('eve', b'1', like)
    assert again.salt == mocks[0].salt
    assert again.stored_key != mocks[0].stored_key
    assert exchange_of(mock_scram_credential('eve', b'1')).challenge()['kdf'] == 'argon2id13'
