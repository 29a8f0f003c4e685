"""_core.dealer.routes: the table from URIs to targets."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serverwamp.routing import NoSuchRouteError as TheirNoSuchRouteError
from serverwamp.routing import URIsRouter as TheirRouter

from serverwamp_fast._core.dealer.routes import RouteTable
from serverwamp_fast.errors import NoSuchRouteError


def find(table: RouteTable, uri: str) -> object:
    try:
        return table.resolve(uri)
    except NoSuchRouteError:
        return None


def test_exact() -> None:
    table = RouteTable()
    table.add_exact('a.b', 'first')
    assert [find(table, uri) for uri in ('a.b', 'a', 'a.b.c', '', 'A.B')] == ['first', *[None] * 4]
    table.add_exact('a.b', 'second')
    assert find(table, 'a.b') == 'second'


def test_prefix() -> None:
    table = RouteTable()
    table.add_prefix('a.', 'target')
    assert [find(table, uri) for uri in ('a.', 'a.b', 'a', 'b.a.', '')] == [
        'target', 'target', None, None, None,
    ]  # fmt: skip
    table.add_prefix('', 'rest')
    assert find(table, '') == find(table, 'b') == 'rest'
    assert find(table, 'a.b') == 'target'


def test_pattern_matches_the_beginning() -> None:
    table = RouteTable()
    table.add_pattern(re.compile('a+b'), 'target')
    assert [find(table, uri) for uri in ('ab', 'aabc', 'b', 'cab')] == [
        'target', 'target', None, None,
    ]  # fmt: skip


def test_exact_wins_over_what_was_added_before() -> None:
    table = RouteTable()
    table.add_prefix('a', 'prefix')
    table.add_pattern(re.compile('a'), 'pattern')
    table.add_exact('a', 'exact')
    assert find(table, 'a') == 'exact'
    assert find(table, 'ab') == 'prefix'


@pytest.mark.parametrize('order', ['prefix first', 'pattern first'])
def test_the_order_of_registration_decides_among_the_others(order: str) -> None:
    table = RouteTable()
    if order == 'prefix first':
        table.add_prefix('a.b', 'prefix')
        table.add_pattern(re.compile('a'), 'pattern')
        assert find(table, 'a.b.c') == 'prefix'
    else:
        table.add_pattern(re.compile('a'), 'pattern')
        table.add_prefix('a.b', 'prefix')
        assert find(table, 'a.b.c') == 'pattern'
    assert find(table, 'a.c') == 'pattern'


def test_the_first_of_nested_prefixes_wins_whatever_its_length() -> None:
    table = RouteTable()
    table.add_prefix('a.b.', 'middle')
    table.add_prefix('a.', 'short')
    table.add_prefix('a.b.c.', 'long')
    assert find(table, 'a.b.c.d') == 'middle'
    assert find(table, 'a.x') == 'short'


def test_the_same_prefix_again_has_no_effect() -> None:
    table = RouteTable()
    table.add_prefix('a', 'first')
    table.add_prefix('a', 'second')
    assert find(table, 'ab') == 'first'


def test_characters_count_not_bytes() -> None:
    table = RouteTable()
    table.add_prefix('𝄞.é', 'target')
    assert find(table, '𝄞.é.x') == 'target'
    assert find(table, '𝄞.e') is None


def test_nothing_found() -> None:
    table = RouteTable()
    with pytest.raises(NoSuchRouteError, match=r"'com\.example\.add'"):
        table.resolve('com.example.add')


def test_length() -> None:
    table = RouteTable()
    assert len(table) == 0
    table.add_exact('a', 1)
    table.add_exact('a', 2)
    table.add_prefix('a', 1)
    table.add_prefix('a', 2)
    table.add_pattern(re.compile('a'), 1)
    table.add_pattern(re.compile('a'), 1)
    assert len(table) == 4


@pytest.mark.parametrize('uri', [None, 1, b'a'])
def test_uris_are_strings(uri: object) -> None:
    table = RouteTable()
    table.add_prefix('', 'target')
    with pytest.raises(TypeError):
        table.resolve(uri)


def test_what_a_pattern_raises_is_passed_on() -> None:
    table = RouteTable()
    table.add_pattern(re.compile(b'bytes'), 'target')
    with pytest.raises(TypeError, match='bytes pattern'):
        table.resolve('a')


def test_many_prefixes() -> None:
    table = RouteTable()
    for number in range(10_000):
        table.add_prefix(f'com.example.{number}.', number)
    for number in (0, 9, 10, 99, 100, 9_999):
        assert find(table, f'com.example.{number}.procedure') == number
    assert find(table, 'com.example.10000.procedure') is None


# ---- The same as serverwamp's router, whatever is registered -------------------------------------

# So few letters that prefixes nest and the same ones come twice.
URIS = st.text('ab.', max_size=5)
PATTERNS = st.sampled_from(
    ['', 'a', '^a', 'b$', 'a+b', '.*b', r'\.', '(a|b)+$', '[^.]*$', 'a(?=b)', r'(?:[ab]\.)+', 'x']
)
ROUTES = st.one_of(
    st.tuples(st.just('exact'), URIS),
    st.tuples(st.just('prefix'), URIS),
    st.tuples(st.just('pattern'), PATTERNS),
)


@given(st.lists(st.one_of(ROUTES, st.tuples(st.just('find'), URIS)), max_size=25), st.lists(URIS))
@settings(max_examples=400, deadline=None)
def test_finds_what_serverwamp_finds(steps: list[tuple[str, str]], uris: list[str]) -> None:
    table = RouteTable()
    theirs = TheirRouter()
    for target, (kind, text) in enumerate([*steps, *(('find', uri) for uri in uris)], 1):
        if kind == 'exact':
            table.add_exact(text, target)
            theirs.add_route(text, target)
        elif kind == 'prefix':
            table.add_prefix(text, target)
            theirs.add_prefix_route(text, target)
        elif kind == 'pattern':
            table.add_pattern(re.compile(text), target)
            theirs.add_regex_route(text, target)
        else:
            try:
                expected = theirs.resolve(text)
            except TheirNoSuchRouteError:
                expected = None
            assert find(table, text) == expected, text
