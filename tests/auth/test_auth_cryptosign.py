"""auth.cryptosign: whether a client holds the private key to its public key."""

import builtins
from typing import Any

import pytest

pytest.importorskip('cryptography', reason='cryptography is not installed')
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serverwamp_fast.auth.cryptosign import (
    find_channel_id,
    mix_channel_id,
    read_public_key,
    require_cryptography,
    verify_cryptosign_signature,
)

# WAMP AP, "Cryptosign-based Authentication", "Test Vectors": channel id, private key, challenge, signature.
CHANNEL = '62e935ae755f3d48f80d4d59f6121358c435722a67e859cc0caa8b539027f2ff'
KEYS = [
    '4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510',
    'd511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd',
    '6e1fde9cf9e2359a87420b65a87dc0c66136e66945196ba2475990d8a0c3a25b',
]
CHALLENGES = [
    'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d',
    'b05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2',
]
SIGNATURES = [
    'b32675b221f08593213737bef8240e7c15228b07028e19595294678c90d11c0cae80a357331bfc5cc9fb71081464e6e75013517c2cf067ad566a6b7b728e5d03ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'd4209ad10d5aff6bfbc009d7e924795de138a63515efc7afc6b01b7fe5201372190374886a70207b042294af5bd64ce725cd8dceb344e6d11c09d1aaaf4d660fb26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d',
    '7beb282184baadd08f166f16dd683b39cab53816ed81e6955def951cb2ddad1ec184e206746fd82bda075af03711d3d5658fc84a76196b0fa8d1ebc92ef9f30bb05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2',
]
BOUND_SIGNATURES = [
    '9b6f41540c9b95b4b7b281c3042fa9c54cef43c842d62ea3fd6030fcb66e70b3e80d49d44c29d1635da9348d02ec93f3ed1ef227dfb59a07b580095c2b82f80f9d16ca518aa0c2b707f2b2a609edeca73bca8dd59817a633f35574ac6fd80d00',
    '305aaa3ac25e98f651427688b3fc43fe7d8a68a7ec1d7d61c61517c519bd4a427c3015599d83ca28b4c652333920223844ef0725eb5dc2febfd6af7677b73f01d0852a29b460fc92ec943242ac638a053bbacc200512b18b30d15083cbdc9282',
    'ee3c7644fd8070532bc1fde3d70d742267da545d8c8f03e63bda63f1ad4214f4d2c4bfdb4eb9526def42deeb7e31602a6ff99eba893e0a4ad4d45892ca75e608d2b75e24a189a7f78ca776ba36fc53f6c3e31c32f251f2c524f0a44202f2902d',
]
VECTORS = [
    *zip([None] * 3, KEYS, CHALLENGES, SIGNATURES, strict=True),
    *zip([CHANNEL] * 3, KEYS, CHALLENGES, BOUND_SIGNATURES, strict=True),
]


def message_of(channel: str | None, challenge: str) -> bytes:
    message = bytes.fromhex(challenge)
    return message if channel is None else mix_channel_id(message, bytes.fromhex(channel))


def public_key_of(private_key: str) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private_key))
    return key.public_key().public_bytes_raw()


@pytest.mark.parametrize(('channel', 'private_key', 'challenge', 'signature'), VECTORS)
def test_the_vectors_of_the_specification(
    channel: str | None, private_key: str, challenge: str, signature: str
) -> None:
    message = message_of(channel, challenge)
    public_key = public_key_of(private_key)
    assert verify_cryptosign_signature(signature, message, public_key) is True
    assert verify_cryptosign_signature(signature.upper(), message, public_key) is True
    # Of another key, for another challenge, on another channel.
    other = public_key_of('0a' * 32)
    assert verify_cryptosign_signature(signature, message, other) is False
    assert verify_cryptosign_signature(signature, bytes(32), public_key) is False
    assert verify_cryptosign_signature(signature, mix_channel_id(message, b'\x01' * 32), public_key) is False


def test_a_replayed_signature_with_the_new_challenge_behind_it() -> None:
    message = bytes.fromhex(CHALLENGES[1])
    replayed = SIGNATURES[0][:128] + message.hex()
    assert verify_cryptosign_signature(replayed, message, public_key_of(KEYS[0])) is False


@pytest.mark.parametrize(
    'signature',
    ['', SIGNATURES[0][:128], SIGNATURES[0][:-2], SIGNATURES[0] + '00', 'xy' + SIGNATURES[0][2:],
     '  ' + SIGNATURES[0][2:], 'ü' * 192, '\ud800' * 192, SIGNATURES[0][1:] + 'f'],
)  # fmt: skip
def test_what_is_no_signature(signature: str) -> None:
    assert verify_cryptosign_signature(signature, b'\xff' * 32, public_key_of(KEYS[0])) is False


def test_public_keys() -> None:
    text = '0a1B' * 16
    assert read_public_key(text) == bytes.fromhex(text)
    for wrong in (None, 5, b'0a' * 32, '', '0a' * 31, '0a' * 33, 'xx' * 32, '0a ' * 21 + 'a', '  ' * 32):
        assert read_public_key(wrong) is None


def test_a_key_that_is_no_point_of_the_curve() -> None:
    signature = '00' * 64 + '11' * 32
    assert verify_cryptosign_signature(signature, b'\x11' * 32, b'\xff' * 32) is False


def test_channel_ids() -> None:
    """SHA-256 of what TLS has, as autobahn computes it."""
    expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    assert find_channel_id(b'abc').hex() == expected


def test_without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    require_cryptography()
    original = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition('.')[0] == 'cryptography':
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(ImportError, match=r"pip install 'cryptography>=42'"):
        require_cryptography()
