"""publishing: what clients and the server publish, and who gets it."""

import functools
from collections import UserDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from support.publishing_clients import (
    ACKNOWLEDGE,
    NOT_AUTHORIZED,
    is_quiet,
    plain,
    play_with,
    publish,
    refusal,
    subscribe,
    subscribe_refusal,
)
from support.raw_client import serving

import serverwamp_fast as wamp
from serverwamp_fast.errors import SerializationError


@pytest.fixture(params=['native', 'own'])
def play(run: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """See play_with(); on the native server, and on connections of an application's own."""
    return functools.partial(play_with, run, request.param)


# ---- What the server publishes -------------------------------------------------------------------


def test_the_server_publishes(play: Any) -> None:
    async def test(app: Any, *members: Any) -> None:
        numbers = {await subscribe(member, 'a.b') for member in members}
        assert len(numbers) == 1
        publication = await app.publish('a.b', (1, 'two'), {'three': 3})
        for member in members:
            assert plain(await member.hear()) == [36, *numbers, publication, {}, [1, 'two'], {'three': 3}]
        assert await app.publish('a.b', trust_level=4) != publication
        assert (await members[0].hear())[3:] == [{'trustlevel': 4}]
        assert await app.publish('nobody.cares') > 0
        await is_quiet(members[0])

    play(test, members=3)


def test_every_matching_subscription_gets_the_event(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        patterns = [('a.b.c', 'exact'), ('a.', 'prefix'), ('a..c', 'wildcard'), ('', 'prefix')]
        numbers = [await subscribe(first, *pattern) for pattern in patterns]
        assert len(set(numbers)) == 4
        assert await subscribe(first, 'a.', 'prefix') == numbers[1]
        assert await subscribe(second, 'a..c', 'wildcard') == numbers[2]
        assert await subscribe(second, 'a.b.d') not in numbers
        publication = await app.publish('a.b.c', (7,))
        events = sorted([plain(await first.hear()) for _ in patterns])
        details = [{}, *[{'topic': 'a.b.c'}] * 3]
        assert events == [
            [36, number, publication, known, [7]] for number, known in zip(numbers, details, strict=True)
        ]
        assert plain(await second.hear())[1:4] == [numbers[2], publication, {'topic': 'a.b.c'}]
        await is_quiet(first, second)
        assert await first.ask(34, 5, numbers[1]) == [35, 5]
        await app.publish('a.b.x')
        assert (await first.hear())[1] == numbers[3]
        await is_quiet(first, second)

    play(test)


@pytest.mark.parametrize('topic', ['', 'a..b', 'a b', '.', '#'])
def test_the_server_publishes_to_topics_alone(run: Any, topic: str) -> None:
    with pytest.raises(ValueError, match='is not a topic'):
        run(wamp.Realm().publish(topic))
    with pytest.raises(TypeError, match='A URI is a str'):
        run(wamp.Realm().publish(5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    'options',
    [{'exclude': 5}, {'exclude': 'x'}, {'eligible': ['1']}, {'exclude_authid': 'joe'}, {'eligible_authrole': [1]}],
)
def test_receivers_of_the_wrong_type(run: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        run(wamp.Realm().publish('a', **options))


def test_what_one_serializer_can_not_write(run: Any) -> None:
    app = wamp.Application()
    app.allow_subscribe('a')

    async def main() -> None:
        async with serving(app) as served:
            first, second = await served.join(), await served.join('wamp.2.msgpack')
            for client in (first, second):
                await subscribe(client, 'a')
            with pytest.raises(SerializationError):
                await app.publish('a', (object(),))
            with pytest.raises(SerializationError):
                await app.publish('a', (2**70,))
            assert (await first.hear())[4] == [2**70]
            await is_quiet(first, second)

    run(main())


class Broken(UserDict[str, Any]):
    def __iter__(self) -> Any:
        raise ValueError('gone')


@pytest.mark.parametrize(
    ('args', 'kwargs'),
    [({'a': 1}, None), (5, None), (Broken().keys(), None), ((), ['a']), ((), Broken())],
)
def test_what_is_no_payload(play: Any, args: Any, kwargs: Any) -> None:
    async def test(app: Any, *members: Any) -> None:
        for member in members:
            await subscribe(member, 'a')
        with pytest.raises(SerializationError):
            await app.publish('a', args, kwargs, retain=True)
        assert not app.forget_retained('a')
        await is_quiet(*members)

    play(test)


def test_everybody_gets_what_an_iterator_gives(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        for member in (first, second):
            for match in ('exact', 'prefix', 'wildcard'):
                await subscribe(member, 'a.b', match)
        await app.publish('a.b', iter([1, 2]), MappingProxyType({'k': 3}), retain=True)
        for _ in range(3):
            for member in (first, second):
                assert plain(await member.hear())[4:] == [[1, 2], {'k': 3}]
        await subscribe(first, 'a.b', get_retained=True)
        assert plain(await first.hear())[4:] == [[1, 2], {'k': 3}]
        session = next(one for one in app._active_sessions if one.id == first.session_id)
        await session.send_event('a.b', iter([4]))
        assert [list((await first.hear())[4]) for _ in range(3)] == [[4]] * 3
        await is_quiet(first, second)

    play(test)


def test_the_callers_list_may_change_afterwards(play: Any) -> None:
    async def test(app: Any, first: Any) -> None:
        args = [1]
        await app.publish('a', args, retain=True)
        args.append(2)
        await subscribe(first, 'a', get_retained=True)
        assert (await first.hear())[3:] == [{'retained': True}, [1]]

    play(test, members=1)


# ---- What clients publish ------------------------------------------------------------------------


def test_publish_and_acknowledge(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        number = await subscribe(second, 'a.b')
        await subscribe(first, 'a.b')
        await first.say([16, 1, {}, 'a.b', [1], {'k': 2}])
        assert plain(await second.hear())[3:] == [{}, [1], {'k': 2}]
        publication = await publish(first, 'a.b', 5)
        assert plain(await second.hear()) == [36, number, publication, {}, [5]]
        # The publisher itself gets nothing, unless it wants to.
        await is_quiet(first)
        await first.say([16, 1, {'exclude_me': False}, 'a.b'])
        assert (await first.hear())[:2] == [36, number]
        assert (await second.hear())[:2] == [36, number]

    play(test)


def test_nothing_is_open_by_default(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        assert await refusal(first, 'a.b') == NOT_AUTHORIZED
        assert await subscribe_refusal(second, 'a.b') == 'wamp.error.invalid_uri'
        assert await subscribe_refusal(second, 'a.', 'prefix') == 'wamp.error.invalid_uri'
        await first.say([16, 1, {}, 'a.b'])
        app.allow_subscribe('a.b')
        assert await subscribe_refusal(second, 'a.c') == NOT_AUTHORIZED
        await subscribe(second, 'a.b')
        assert await refusal(first, 'a.b') == NOT_AUTHORIZED
        await is_quiet(first, second)

    play(test, app=wamp.Application())


def test_reserved_topics(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        await subscribe(second, 'wamp.session.on_join')
        for topic in 'wamp', 'wamp.session.on_join':
            assert await refusal(first, topic) == 'wamp.error.invalid_uri'
            await first.say([16, 1, {}, topic])
        await publish(first, 'wampum.belt')
        await is_quiet(first, second)

    play(test)


def test_black_and_white_lists(play: Any) -> None:
    async def authenticate(session: Any) -> None:
        session.auth_id = 'joe' if not app._default_realm.topics else 'ann'
        session.auth_role = f'{session.auth_id}s role'
        await session.mark_authenticated('known')

    app = wamp.Application()
    app.allow_publish('', 'prefix')
    app.allow_subscribe('', 'prefix')
    app.set_authentication_handler(authenticate)

    async def test(app: Any, joe: Any) -> None:
        sessions = list(app._active_sessions)
        assert sessions[0].announced_identity() == ('joe', 'joes role')
        joe_id = joe.session_id
        await subscribe(joe, 'a')
        heard = [
            {}, {'exclude': [5]}, {'eligible': [joe_id, 5]}, {'exclude_authid': ['ann']},
            {'eligible_authid': ['joe', 'x']}, {'exclude_authrole': []}, {'eligible_authrole': ['joes role']},
            {'eligible': [joe_id], 'exclude': [4], 'eligible_authid': ['joe'], 'exclude_authrole': ['x']},
        ]  # fmt: skip
        unheard = [
            {'exclude': [joe_id]}, {'eligible': []}, {'eligible': [5]}, {'exclude_authid': ['joe']},
            {'eligible_authid': []}, {'eligible_authid': ['x']}, {'exclude_authrole': ['joes role']},
            {'eligible_authrole': ['joe']}, {'eligible': [joe_id], 'exclude': [joe_id]},
            {'eligible': [joe_id], 'eligible_authid': ['ann']},
        ]  # fmt: skip
        for by_client in (False, True):
            for options in [*unheard, *heard]:
                if by_client:
                    await joe.say([16, 1, {**options, 'exclude_me': False}, 'a', [str(options)]])
                else:
                    await app.publish('a', (str(options),), **options)
            for options in heard:
                assert plain(await joe.hear())[4] == [str(options)]
            await is_quiet(joe)

    play(test, members=1, app=app)


def test_disclosure(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        await subscribe(second, 'a')
        assert await refusal(first, 'a', disclose_me=True) == 'wamp.error.option_disallowed.disclose_me'
        await publish(first, 'a', disclose_me=False)
        assert (await second.hear())[3] == {}
        app.allow_publisher_disclosure()
        await publish(first, 'a', disclose_me=True)
        assert (await second.hear())[3] == {
            'publisher': first.session_id,
            'publisher_authid': str(first.session_id),
            'publisher_authrole': 'anonymous',
        }
        await publish(first, 'a')
        assert (await second.hear())[3] == {}

    play(test)


def test_a_function_for_publications_comes_first(play: Any) -> None:
    seen = []

    async def handle(request: Any, session: Any) -> None:
        seen.append((request.topic, request.args))
        await session.send_raw([17, request.request_id, 1])

    app = wamp.Application(protocol_request_handlers={wamp.protocol.WAMPPublishRequest: handle})

    async def test(app: Any, first: Any) -> None:
        assert await first.ask(16, 1, ACKNOWLEDGE, 'a.b', [1]) == [17, 1, 1]
        assert [(topic, list(args)) for topic, args in seen] == [('a.b', [1])]

    play(test, members=1, app=app)


# ---- Retained events -----------------------------------------------------------------------------


def test_retained_events(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        old = await publish(first, 'a.b', 'old', retain=True)
        publication = await publish(first, 'a.b', 'new', retain=True)
        assert publication != old
        await publish(first, 'a.b', 'not retained')
        other = await publish(first, 'a.c', 'other', retain=True)
        number = await subscribe(second, 'a.b', get_retained=True)
        assert plain(await second.hear()) == [36, number, publication, {'retained': True}, ['new']]
        # Only who asks for it, each time.
        await subscribe(second, 'a.b')
        await subscribe(second, 'a.c')
        assert await subscribe(second, 'a.b', get_retained=True) == number
        assert (await second.hear())[2] == publication
        pattern = await subscribe(second, 'a.', 'prefix', get_retained=True)
        assert [plain(await second.hear()) for _ in range(2)] == [
            [36, pattern, publication, {'topic': 'a.b', 'retained': True}, ['new']],
            [36, pattern, other, {'topic': 'a.c', 'retained': True}, ['other']],
        ]
        # A publisher would not have got it.
        await subscribe(first, 'a.b', get_retained=True)
        await is_quiet(first, second)
        assert app.forget_retained('a.b')
        assert not app.forget_retained('a.b')
        await subscribe(second, 'a.b', get_retained=True)
        await is_quiet(second)

    play(test)


def test_retained_events_with_restricted_receivers(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        await app.publish('a', ('for all',), retain=True)
        for number in range(12):
            await app.publish('a', (number,), retain=True, eligible=[first.session_id])
        await app.publish('b', ('for one',), retain=True, exclude=[second.session_id])
        for client, heard in ((first, [11, 'for one']), (second, ['for all'])):
            await client.say([32, 1, {'get_retained': True}, 'a'], [32, 2, {'get_retained': True}, 'b'], [34, 9, 2**53])
            messages = [await client.hear()]
            while messages[-1][0] != 8:
                messages.append(await client.hear())
            assert [message[4][0] for message in messages if message[0] == 36] == heard

    play(test)


def test_what_a_publisher_may_not_get_hides_nothing_from_it(play: Any) -> None:
    async def test(app: Any, *members: Any) -> None:
        first, second, third, other = members

        async def retained(client: Any) -> list[Any]:
            """What a client gets that subscribes now."""
            await client.say([32, 1, {'get_retained': True}, 'a'], [34, 9, 2**53])
            number, *events, end = [await client.hear() for _ in range(2)]
            while end[0] != 8:
                events.append(end)
                end = await client.hear()
            assert await client.ask(34, 1, number[2]) == [35, 1]
            return [event[4][0] for event in events]

        async def all_retained() -> list[Any]:
            return [event for member in members for event in await retained(member)]

        await publish(first, 'a', 1, retain=True)
        assert await all_retained() == [1, 1, 1]
        await publish(second, 'a', 2, retain=True)
        assert await all_retained() == [2, 1, 2, 2]
        await publish(second, 'a', 3, retain=True)
        assert await all_retained() == [3, 1, 3, 3]
        await publish(third, 'a', 4, retain=True)
        assert await all_retained() == [4, 4, 3, 4]
        # Of restricted ones the newest counts as well, for those who get them.
        await publish(other, 'a', 5, retain=True, eligible=[third.session_id])
        await publish(first, 'a', 6, retain=True, eligible=[second.session_id, first.session_id])
        assert await all_retained() == [4, 6, 5, 4]
        await publish(third, 'a', 7, retain=True)
        assert await all_retained() == [7, 7, 5, 7]
        await publish(third, 'a', 8, retain=True, exclude_me=False)
        assert await all_retained() == [8, 8, 8, 8]
        await publish(second, 'a', 9, retain=True)
        await app.publish('a', (10,), retain=True)
        assert await all_retained() == [10, 10, 10, 10]

    play(test, members=4)


def test_the_number_of_retained_topics_is_limited(play: Any) -> None:
    async def test(app: Any, first: Any, second: Any) -> None:
        app.set_retained_limit(2)
        with pytest.raises(ValueError, match='-1 topics'):
            app.set_retained_limit(-1)
        for topic in 'abca':
            await publish(first, topic, topic, retain=True)
        assert len(app._default_realm.broker.retained) == 2
        await subscribe(second, '', 'prefix', get_retained=True)
        assert [(await second.hear())[3]['topic'] for _ in range(2)] == ['a', 'b']
        await is_quiet(second)

    play(test)


def test_a_long_pattern_is_not_compared_with_each_retained_topic(play: Any) -> None:
    # A client could stop the server for minutes, with one message.
    async def test(app: Any, first: Any, second: Any) -> None:
        app.set_retained_limit(20_000)
        for number in range(20_000):
            await app.publish(f'a.{number}', retain=True)
        await subscribe(second, 'a.' + '.' * 100_000, 'wildcard', get_retained=True)
        await is_quiet(second)

    play(test)
