"""_core.base.uris: which strings are URIs (WAMP BP, "URIs")."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast._core.base.uris import check_pattern, check_reserved, check_uri

# The specification's own expressions, by (empty components allowed, strict).
EXPRESSIONS = {
    (False, False): re.compile(r'([^\s\.#]+\.)*([^\s\.#]+)'),
    (True, False): re.compile(r'(([^\s\.#]+\.)|\.)*([^\s\.#]+)?'),
    (False, True): re.compile(r'([0-9a-z_]+\.)*([0-9a-z_]+)'),
    (True, True): re.compile(r'(([0-9a-z_]+\.)|\.)*([0-9a-z_]+)?'),
}

# Short, so that the expressions don't backtrack for ever; rich in what decides.
URIS = st.text(
    st.sampled_from('..az09_AZ#- \t\n\x1c\x1f\x85\xa0é€\u2003\u3000𝄞') | st.characters(),
    max_size=12,
)


@given(URIS, st.booleans())
def test_agrees_with_the_expressions(uri: str, strict: bool) -> None:
    assert check_uri(uri, strict) == bool(EXPRESSIONS[False, strict].fullmatch(uri))
    assert check_pattern(uri, strict) == bool(EXPRESSIONS[True, strict].fullmatch(uri))


def test_every_character_alone() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        assert check_uri(character) == (not character.isspace() and character not in '.#'), code
        assert check_uri(character, strict=True) == bool(re.fullmatch('[0-9a-z_]', character)), code


@pytest.mark.parametrize('uri', ['com.myapp.topic1', 'a', 'a.b', 'COM.Ünïcode-1', 'a@b.c/d', '𝄞'])
def test_loose_uris(uri: str) -> None:
    assert check_uri(uri)
    assert check_pattern(uri)


@pytest.mark.parametrize('uri', ['', '.', '.a', 'a.', 'a..b', '..'])
def test_empty_components_are_for_patterns(uri: str) -> None:
    assert not check_uri(uri)
    assert not check_uri(uri, strict=True)
    assert check_pattern(uri)
    assert check_pattern(uri, strict=True)


@pytest.mark.parametrize('uri', ['a b', ' a', 'a\n', 'a#', '#', 'a.\x85b', 'a\u2028', 'a.b c.d'])
def test_whitespace_and_number_sign_are_never_allowed(uri: str) -> None:
    assert not check_uri(uri)
    assert not check_pattern(uri)


@pytest.mark.parametrize('uri', ['com.Example', 'com.my-app', 'com.é'])
def test_strict_is_narrower(uri: str) -> None:
    assert check_uri(uri)
    assert not check_uri(uri, strict=True)
    assert not check_pattern(uri, strict=True)


def test_time_does_not_explode() -> None:
    # What the specification's expressions need some 2**n steps for.
    assert not check_uri('a' * 100_000 + '#')
    assert not check_uri('a.' * 50_000 + '#')


@pytest.mark.parametrize('uri', ['wamp', 'wamp.error.invalid_uri', 'wamp.'])
def test_reserved(uri: str) -> None:
    assert check_reserved(uri)


@pytest.mark.parametrize(
    'uri', ['', 'w', 'wam', 'wampx', 'wamp2.error', 'Wamp.a', 'com.wamp', 'wämp.a', 'xamp.a']
)
def test_not_reserved(uri: str) -> None:
    assert not check_reserved(uri)


def test_string_subclasses_are_strings() -> None:
    class Name(str):
        pass

    assert check_uri(Name('a.b'))
    assert check_reserved(Name('wamp.b'))


@pytest.mark.parametrize('function', [check_uri, check_pattern, check_reserved])
@pytest.mark.parametrize('value', [None, b'a.b', 1])
def test_anything_else_is_a_type_error(function, value) -> None:
    with pytest.raises(TypeError, match='A URI is a str'):
        function(value)
