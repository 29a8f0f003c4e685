"""auth.saslprep: one form for passwords that look the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast.auth.saslprep import saslprep


# RFC 4013, 3.
@pytest.mark.parametrize(
    ('text', 'expected'),
    [('I\u00adX', 'IX'), ('user', 'user'), ('USER', 'USER'), ('\u00aa', 'a'), ('\u2168', 'IX'),
     ('a\u00a0b', 'a b'), ('', ''), ('\u0627b\u0627', None), ('\u0007', None), ('\u06271', None),
     ('\u0627\u0628', '\u0627\u0628'), ('\ue000', None), ('\u0221', None)],
)  # fmt: skip
def test_saslprep(text: str, expected: str | None) -> None:
    if expected is not None:
        assert saslprep(text) == expected
        return
    with pytest.raises(ValueError, match=r'RFC (4013|3454)'):
        saslprep(text)


@given(st.text(st.characters(codec='utf-8')))
def test_saslprep_agrees_with_passlib(text: str) -> None:
    utils = pytest.importorskip('passlib.utils', reason='passlib is not installed')
    try:
        expected = utils.saslprep(text)
    except ValueError:
        with pytest.raises(ValueError, match='RFC'):
            saslprep(text)
    else:
        assert saslprep(text) == expected


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('a\u0000', "'\\\\x00' is not allowed here"),
        ('\u0627a', 'stand beside others'),
        ('1\u0627', 'begin and end'),
    ],
)
def test_the_error_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        saslprep(text)
