"""What stands for the salt of a user that there is none of."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from hmac import digest

HEXADECIMAL = frozenset('0123456789abcdef')
DIGEST_SIZE = 32


def mock_bytes(mock_key: bytes, method: str, auth_id: str, size: int) -> bytes:
    """Return `size` bytes that are always the same for a user and a method.

    Those of one method say nothing of those of another: users that exist have a salt of its own for each.
    """
    data = b''
    while len(data) < size:
        # The name of a method has no NUL, so whatever the user's name is, no two texts are the same.
        text = f'{method}\0{len(data) // DIGEST_SIZE}\0{auth_id}'
        data += digest(mock_key, text.encode(), 'sha256')
    return data[:size]


def mock_text(mock_key: bytes, method: str, auth_id: str, like: str) -> str:
    """Return a text as mock_bytes() does, of the length and kind of `like`: hexadecimal digits, or else Base64."""
    is_upper = like == like.upper()
    if HEXADECIMAL.issuperset(like.lower()) and (is_upper or like == like.lower()):
        text = mock_bytes(mock_key, method, auth_id, (len(like) + 1) // 2).hex()[: len(like)]
        return text.upper() if is_upper and not like.isdecimal() else text
    body = like.rstrip('=')
    # So many bytes make so many characters, and bits of the last one that stand for no byte are zero, as in any
    # other Base64. No Base64 has one character more than a multiple of four: there one more byte is needed.
    size = len(body) * 3 // 4 + (len(body) % 4 == 1)
    encode = urlsafe_b64encode if '-' in like or '_' in like else b64encode
    text = encode(mock_bytes(mock_key, method, auth_id, size)).decode()
    return text[: len(body)] + like[len(body) :]
