"""_core.topics: subscription ids of a realm."""

import ctypes
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast._core.topics import TopicTable

POLICIES = ['exact', 'prefix', 'wildcard']
TOPICS = st.sampled_from(['a', 'b', 'a.b', 'com.example.topic'])


def test_ids_count_from_one() -> None:
    table = TopicTable()
    assert [table.acquire(topic) for topic in ('a', 'b', 'c')] == [1, 2, 3]
    assert len(table) == 3


def test_one_id_for_all_subscribers_of_a_topic() -> None:
    table = TopicTable()
    assert table.acquire('a') == table.acquire('a') == table.peek('a') == 1
    assert len(table) == 1


def test_each_policy_has_an_id_of_its_own() -> None:
    table = TopicTable()
    ids = {policy: table.acquire('a', policy) for policy in POLICIES}
    assert len(set(ids.values())) == 3
    for policy, number in ids.items():
        assert table.peek('a', policy) == number
    assert table.peek('a') == ids['exact']


def test_the_last_subscriber_takes_the_id_with_it() -> None:
    table = TopicTable()
    number = table.acquire('a')
    table.acquire('a')
    table.release(number)
    assert table.peek('a') == number
    table.release(number)
    assert table.peek('a') is None
    assert len(table) == 0


def test_a_topic_that_comes_again_gets_another_id() -> None:
    # A client may still send UNSUBSCRIBE for the old one.
    table = TopicTable()
    table.release(table.acquire('a'))
    assert table.acquire('a') == 2


def test_unknown_ids_are_ignored() -> None:
    table = TopicTable()
    number = table.acquire('a')
    table.release(number + 1)
    table.release(0)
    table.release(2**64 - 1)
    assert table.peek('a') == number
    with pytest.raises(OverflowError):
        table.release(-1)


@pytest.mark.parametrize('topic', [None, 1, b'a'])
def test_topics_are_strings(topic: object) -> None:
    table = TopicTable()
    with pytest.raises(TypeError):
        table.acquire(topic)
    with pytest.raises(TypeError):
        table.acquire('a', None)
    assert table.peek(topic) is None
    assert len(table) == 0


def last_id(table: TopicTable) -> ctypes.c_ulonglong:
    """The table's counter, which is the last field of the object, to be read and written."""
    at = id(table) + TopicTable.__basicsize__ - ctypes.sizeof(ctypes.c_ulonglong)
    return ctypes.c_ulonglong.from_address(at)


def test_ids_stay_below_two_to_the_32() -> None:
    table = TopicTable()
    table.acquire('first')
    table.release(table.acquire('second'))
    counter = last_id(table)
    assert counter.value == 2
    counter.value = 2**32 - 2
    assert table.acquire('a') == 2**32 - 1
    # From here on it starts again, past the ids that are in use.
    assert table.acquire('b') == 2
    assert table.acquire('c') == 3
    assert table.peek('first') == 1


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just('acquire'), TOPICS, st.sampled_from(POLICIES)),
            st.tuples(st.just('release'), st.integers(0, 12)),
        )
    )
)
def test_counts_like_a_model(steps: list[tuple]) -> None:
    table = TopicTable()
    ids: dict[tuple[str, str], int] = {}
    subscribers: Counter[int] = Counter()
    for step in steps:
        if step[0] == 'acquire':
            number = table.acquire(*step[1:])
            if step[1:] in ids:
                assert number == ids[step[1:]]
            else:
                assert number not in subscribers
                ids[step[1:]] = number
            subscribers[number] += 1
        else:
            table.release(step[1])
            if step[1] in subscribers:
                subscribers[step[1]] -= 1
                if not subscribers[step[1]]:
                    del subscribers[step[1]]
                    ids = {key: number for key, number in ids.items() if number != step[1]}
        assert len(table) == len(ids)
        for topic in 'a', 'b', 'a.b', 'com.example.topic':
            for policy in POLICIES:
                assert table.peek(topic, policy) == ids.get((topic, policy))
