"""_core.session.topics: subscriptions of a realm, their ids, and which of them a topic reaches."""

import ctypes
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast._core.session import sessions
from serverwamp_fast._core.session.sessions import SessionCore
from serverwamp_fast._core.session.topics import Subscription, TopicTable
from serverwamp_fast.realm import Realm

POLICIES = ['exact', 'prefix', 'wildcard']
PARTS = st.sampled_from(['', 'a', 'b', 'ab'])
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map('.'.join)
TOPICS = st.lists(PARTS.filter(bool), min_size=1, max_size=4).map('.'.join)


def subscribe(table: TopicTable, *topic: str) -> Subscription:
    return sessions.subscribe(table, SessionCore(None, None), *topic)


def numbers(table: TopicTable, *topics: str) -> list[int]:
    return [subscribe(table, topic).topic.number for topic in topics]


def test_ids_count_from_one() -> None:
    table = TopicTable()
    assert numbers(table, 'a', 'b', 'c') == [1, 2, 3]
    assert len(table) == 3


def test_one_id_for_all_subscribers_of_a_topic() -> None:
    table = TopicTable()
    assert numbers(table, 'a', 'a') == [1, 1]
    assert table.peek('a') == 1
    assert len(table) == 1


def test_each_policy_has_an_id_of_its_own() -> None:
    table = TopicTable()
    ids = {policy: subscribe(table, 'a', policy).topic.number for policy in POLICIES}
    assert len(set(ids.values())) == 3
    for policy, number in ids.items():
        assert table.peek('a', policy) == number
    assert table.peek('a') == ids['exact']


def test_the_last_subscriber_takes_the_id_with_it() -> None:
    table = TopicTable()
    first, second = subscribe(table, 'a'), subscribe(table, 'a')
    table.unsubscribe(first)
    assert table.peek('a') == 1
    table.unsubscribe(first)
    assert table.peek('a') == 1
    table.unsubscribe(second)
    assert table.peek('a') is None
    assert len(table) == 0


def test_a_topic_that_comes_again_gets_another_id() -> None:
    # A client may still send UNSUBSCRIBE for the old one.
    table = TopicTable()
    table.unsubscribe(subscribe(table, 'a'))
    assert numbers(table, 'a') == [2]


@pytest.mark.parametrize('topic', [None, 1, b'a'])
def test_topics_are_strings(topic: Any) -> None:
    table = TopicTable()
    with pytest.raises(TypeError):
        sessions.subscribe(table, SessionCore(None, None), topic)
    assert table.peek(topic) is None
    assert len(table) == 0
    with pytest.raises(TypeError):
        table.unsubscribe(topic)
    with pytest.raises(TypeError):
        table.matching(topic)


class Pretender:
    """Says of itself that it is a session, as a mock may."""

    __class__ = SessionCore  # type: ignore[assignment]


@pytest.mark.parametrize('subscriber', [None, object(), 'a', Pretender()], ids=lambda value: type(value).__name__)
def test_sessions_subscribe_and_nobody_else(run: Any, subscriber: Any) -> None:
    realm = Realm()
    with pytest.raises(TypeError):
        sessions.subscribe(realm.topics, subscriber, 'a')
    assert len(realm.topics) == 0
    # What publishes would take anything for a session.
    run(realm.publish('a'))


@pytest.mark.parametrize('policy', ['sideways', '', None])
def test_there_are_three_policies(policy: Any) -> None:
    table = TopicTable()
    with pytest.raises(ValueError, match='exact, prefix or wildcard'):
        sessions.subscribe(table, SessionCore(None, None), 'a', policy)
    with pytest.raises(ValueError, match='exact, prefix or wildcard'):
        table.peek('a', policy)


def last_id(table: TopicTable) -> ctypes.c_ulonglong:
    """The table's counter, which is the last field of the object, to be read and written."""
    at = id(table) + TopicTable.__basicsize__ - ctypes.sizeof(ctypes.c_ulonglong)
    return ctypes.c_ulonglong.from_address(at)


def test_ids_stay_below_two_to_the_32() -> None:
    table = TopicTable()
    subscribe(table, 'first')
    table.unsubscribe(subscribe(table, 'second'))
    counter = last_id(table)
    assert counter.value == 2
    counter.value = 2**32 - 2
    assert numbers(table, 'a') == [2**32 - 1]
    # From here on it starts again, past the ids that are in use.
    assert numbers(table, 'b', 'c') == [2, 3]
    assert table.peek('first') == 1


@pytest.mark.parametrize(
    ('policy', 'pattern', 'matching', 'others'),
    [
        # The specification's own examples (WAMP AP, "Pattern-based Subscription").
        (
            'prefix', 'com.myapp.topic.emergency',
            ['com.myapp.topic.emergency.11', 'com.myapp.topic.emergency-low',
             'com.myapp.topic.emergency.category.severe', 'com.myapp.topic.emergency'],
            ['com.myapp.topic.emerge', 'com.myapp.topic'],
        ),
        (
            'wildcard', 'com.myapp..userevent',
            ['com.myapp.foo.userevent', 'com.myapp.bar.userevent', 'com.myapp.a12.userevent'],
            ['com.myapp.foo.userevent.bar', 'com.myapp.foo.user', 'com.myapp2.foo.userevent'],
        ),
        ('prefix', '', ['a', 'a.b'], []),
        ('wildcard', '', ['a', 'b'], ['a.b']),
        ('wildcard', 'a.b', ['a.b'], ['a', 'a.c']),
        ('wildcard', '..', ['a.b.c'], ['a.b', 'a']),
        ('exact', 'a.b', ['a.b'], ['a.b.c', 'a']),
    ],
)  # fmt: skip
def test_matching(policy: str, pattern: str, matching: list[str], others: list[str]) -> None:
    table = TopicTable()
    number = subscribe(table, pattern, policy).topic.number
    assert [table.matching(topic) for topic in matching] == [[number]] * len(matching)
    assert [table.matching(topic) for topic in others] == [[]] * len(others)


def test_long_wildcards_take_memory_in_proportion() -> None:
    pattern = '.' * 100_000
    table = TopicTable()
    tracemalloc.start()
    try:
        subscribe(table, pattern, 'wildcard')
        assert tracemalloc.get_traced_memory()[0] < 5 * len(pattern)
    finally:
        tracemalloc.stop()
    assert table.matching('a.' * 100_000 + 'a') == [1]
    assert table.matching('a.' * 99_999 + 'a') == []


def matches(pattern: str, policy: str, topic: str) -> bool:
    """The specification's rules, word for word."""
    if policy == 'exact':
        return topic == pattern
    if policy == 'prefix':
        return topic.startswith(pattern)
    wanted, parts = pattern.split('.'), topic.split('.')
    return len(wanted) == len(parts) and all(
        own in ('', part) for own, part in zip(wanted, parts, strict=True)
    )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just('subscribe'), PATTERNS, st.sampled_from(POLICIES)),
        st.tuples(st.just('unsubscribe'), st.integers(0, 30)),
    ),
    max_size=40,
)


@given(STEPS, st.lists(TOPICS, min_size=1, max_size=8))
def test_it_finds_what_a_search_of_all_finds(steps: list[tuple[Any, ...]], topics: list[str]) -> None:
    table = TopicTable()
    subscriptions: list[Subscription] = []
    for step in steps:
        if step[0] == 'subscribe':
            subscriptions.append(subscribe(table, *step[1:]))
        elif subscriptions:
            table.unsubscribe(subscriptions.pop(step[1] % len(subscriptions)))
        known = {(one.topic.uri, one.topic.match): one.topic.number for one in subscriptions}
        assert len(table) == len(set(known.values())) == len(known)
        for (pattern, policy), number in known.items():
            assert table.peek(pattern, policy) == number
        for topic in topics:
            expected = {number for key, number in known.items() if matches(*key, topic)}
            found = table.matching(topic)
            assert set(found) == expected and len(found) == len(expected)
    for subscription in subscriptions:
        table.unsubscribe(subscription)
    assert len(table) == 0
    assert all(table.matching(topic) == [] for topic in topics)
