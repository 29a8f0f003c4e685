"""_core.session.sessions: what the core keeps of a session, and how messages leave it."""

import asyncio
import logging
from typing import Any

import pytest
from conftest import LoopRunner
from support.doubles import RecordingConnection, hear_goodbye, open_session
from support.isolated import run_isolated
from support.signatures import drive

from serverwamp_fast._core.session.sessions import NO_IDENTITY, Sending, SessionCore
from serverwamp_fast._core.session.topics import Subscription, Topic
from serverwamp_fast.errors import ConnectionClosed, NoSuchSubscription, SerializationError
from serverwamp_fast.realm import Realm
from serverwamp_fast.session import WAMPSession

MAX_ID = 2**53
GLOBAL = 'an id of the global scope'


def make_core(connection: Any = None) -> SessionCore:
    """A session before its WELCOME."""
    return SessionCore(connection or RecordingConnection(), Realm())


def masked(messages: list[Any]) -> list[Any]:
    """Messages with a word in place of the random publication ids."""
    for message in messages:
        if message[0] == 36:
            assert 1 <= message[2] <= MAX_ID
            message[2] = GLOBAL
    return messages


# ---- What is kept --------------------------------------------------------------------------------


def test_attributes() -> None:
    connection, realm, tasks = RecordingConnection(), Realm(), object()
    session = SessionCore(connection, realm, tasks, 'joe', ('ticket',))
    assert session.connection is connection
    assert session.realm is realm
    assert session.tasks is tasks
    assert (session.auth_id, session.auth_methods) == ('joe', ('ticket',))
    assert session.identity is NO_IDENTITY
    assert 1 <= session.id <= MAX_ID
    for name in 'app', 'context', 'lifespan_exits', 'close_timer':
        assert getattr(session, name) is None
        setattr(session, name, name)
        assert getattr(session, name) == name


def test_each_session_has_an_id_of_its_own() -> None:
    assert len({make_core().id for _ in range(100)}) == 100


def test_no_identity_says_its_name() -> None:
    assert repr(NO_IDENTITY) == 'NO_IDENTITY'


def test_connection_and_realm_are_needed() -> None:
    with pytest.raises(TypeError):
        SessionCore()
    with pytest.raises(TypeError):
        SessionCore(RecordingConnection())


def test_item_data() -> None:
    session = make_core()
    # Before anything is stored there is not even a dict.
    assert len(session) == 0
    assert list(session) == []
    assert 'key' not in session
    with pytest.raises(KeyError, match='key'):
        session['key']
    with pytest.raises(KeyError, match='key'):
        del session['key']
    session['key'] = 1
    session['other'] = 2
    session['key'] = 3
    assert session['key'] == 3
    assert 'key' in session
    assert list(session) == ['key', 'other']
    assert len(session) == 2
    del session['key']
    with pytest.raises(KeyError):
        session['key']
    with pytest.raises(KeyError):
        del session['key']


def test_is_true_without_data() -> None:
    assert make_core()


# ---- The states ----------------------------------------------------------------------------------


def flags(session: SessionCore) -> str:
    names = ['is_open', 'is_closing', 'has_ended']
    return ' '.join(name for name in names if getattr(session, name))


def test_life() -> None:
    session = make_core()
    assert flags(session) == ''
    session.mark_open()
    assert flags(session) == 'is_open'
    session.mark_closing()
    assert flags(session) == 'is_closing'
    session.mark_ended()
    assert flags(session) == 'has_ended'


def test_nothing_leads_back() -> None:
    session = make_core()
    session.mark_closing()
    session.mark_open()
    assert flags(session) == 'is_closing'
    session.mark_ended()
    session.mark_open()
    session.mark_closing()
    assert flags(session) == 'has_ended'


def test_is_open_can_be_set() -> None:
    """As in 2.0.0, where it is an attribute: it decides what is taken from the client, not what may be sent."""
    connection = RecordingConnection()
    session = make_core(connection)
    session.is_open = False
    assert flags(session) == '', 'It was not open before.'
    session.is_open = True
    assert flags(session) == 'is_open'
    session.is_open = False
    assert flags(session) == ''
    drive(session.send_raw([6, {}, 'wamp.close.goodbye_and_out']))
    assert connection.sent == [[6, {}, 'wamp.close.goodbye_and_out']]
    session.is_open = True
    assert flags(session) == 'is_open'
    session.is_open = False
    session.mark_ended()
    assert flags(session) == 'has_ended'
    session.is_open = True
    assert flags(session) == 'has_ended'
    with pytest.raises(ConnectionClosed):
        drive(session.send_raw([36]))


def test_goodbye_is_not_taken_back_by_is_open() -> None:
    session = make_core()
    session.mark_open()
    session.mark_closing()
    for value in True, False:
        session.is_open = value
        assert flags(session) == 'is_closing'


def test_welcomed_once() -> None:
    session = make_core()
    assert not session.was_welcomed
    assert session.mark_welcomed() is False
    assert session.was_welcomed
    assert session.mark_welcomed() is True


def test_peer_left() -> None:
    session = open_session()
    assert not session.has_peer_left
    hear_goodbye(session)
    assert session.has_peer_left


# ---- Subscriptions -------------------------------------------------------------------------------


def test_subscribing() -> None:
    session = make_core()
    assert not session.has_subscriptions
    assert session.own_subscription_id('a') is None
    assert session.subscription_id_for_topic('a') is None
    number = session.subscribe('a')
    assert session.has_subscriptions
    assert session.subscribe('a') == number
    assert session.own_subscription_id('a') == session.subscription_id_for_topic('a') == number
    assert session.subscribe('b') != number


@pytest.mark.parametrize('kept', ['first', 'second'])
def test_one_subscription_and_several(kept: str) -> None:
    """The only one is kept in another way than several are."""
    session = make_core()
    keys = {'first': ('a', 'exact'), 'second': ('a', 'prefix')}
    for _ in range(2):
        numbers = {name: session.subscribe(*key) for name, key in keys.items()}
        assert {name: session.own_subscription_id(*key) for name, key in keys.items()} == numbers
        for name in keys.keys() - {kept}:
            session.unsubscribe(numbers[name])
            assert session.own_subscription_id(*keys[name]) is None
        assert (
            session.own_subscription_id(*keys[kept])
            == session.subscribe(*keys[kept])
            == numbers[kept]
        )
        session.unsubscribe(numbers[kept])
        assert not session.has_subscriptions
        # And one that stays alone.
        number = session.subscribe(*keys[kept])
        for name, key in keys.items():
            assert session.own_subscription_id(*key) == (number if name == kept else None)
        session.release_subscriptions()
        assert not session.has_subscriptions


def test_sessions_of_a_realm_share_the_ids() -> None:
    realm = Realm()
    one, other = (SessionCore(RecordingConnection(), realm) for _ in range(2))
    number = one.subscribe('a')
    assert other.own_subscription_id('a') is None
    assert other.subscription_id_for_topic('a') == number
    assert other.subscribe('a') == number
    one.unsubscribe(number)
    assert other.own_subscription_id('a') == number
    assert one.subscription_id_for_topic('a') == number
    other.unsubscribe(number)
    assert len(realm.topics) == 0


def test_unsubscribing_what_is_not_there() -> None:
    session = make_core()
    for _ in range(2):
        with pytest.raises(NoSuchSubscription, match='no subscription 7'):
            session.unsubscribe(7)
        session.unsubscribe(session.subscribe('a'))
    assert not session.has_subscriptions


def test_topics_are_strings() -> None:
    session = make_core()
    for topic in None, 7, b'a':
        with pytest.raises(TypeError):
            session.subscribe(topic)
    assert not session.has_subscriptions


def test_subscription_exits() -> None:
    session = make_core()
    number = session.subscribe('a')
    assert session.subscription_exit(number) is None
    handler = object()
    session.set_subscription_exit(number, handler)
    assert session.subscription_exit(number) is handler
    session.unsubscribe(number)
    assert session.subscription_exit(number) is None
    with pytest.raises(NoSuchSubscription):
        session.set_subscription_exit(number, handler)


def test_exits_of_all_subscriptions_in_the_order_of_subscribing() -> None:
    session = make_core()
    assert session.subscription_exits() == []
    for topic in 'cab':
        number = session.subscribe(topic)
        if topic != 'a':
            session.set_subscription_exit(number, f'exit of {topic}')
    assert session.subscription_exits() == ['exit of c', 'exit of b']


def test_release() -> None:
    realm = Realm()
    session = SessionCore(RecordingConnection(), realm)
    session.release_subscriptions()
    for topic in 'cab':
        session.subscribe(topic)
    session.release_subscriptions()
    assert not session.has_subscriptions
    assert session.subscription_exits() == []
    assert len(realm.topics) == 0
    session.release_subscriptions()


def test_a_subscription_by_itself() -> None:
    topic = Topic('a', 'exact', 1)
    assert Subscription(None, topic).topic is topic
    with pytest.raises(OverflowError):
        Topic('a', 'exact', -1)


# ---- Sending through a connection that takes messages --------------------------------------------


def send(coroutine: Any) -> None:
    assert drive(coroutine) is None


def test_send_raw() -> None:
    connection = RecordingConnection()
    session = make_core(connection)
    send(session.send_raw((2, 1, {})))
    send(session.send_raw([50, 1, {}]))
    assert connection.sent == [[2, 1, {}], [50, 1, {}]]


def test_nothing_is_sent_before_it_is_awaited() -> None:
    connection = RecordingConnection()
    session = make_core(connection)
    sending = session.send_raw((2, 1, {}))
    assert isinstance(sending, Sending)
    assert connection.sent == []
    sending.close()
    assert connection.sent == []


def test_what_sends_is_made_by_a_session() -> None:
    with pytest.raises(TypeError, match=r'made by send_event\(\) and send_raw\(\)'):
        send(Sending())


def test_a_forgotten_await_is_said() -> None:
    session = make_core()
    for name, forget in (
        ('send_raw', lambda: session.send_raw((2, 1, {}))),
        ('send_event', lambda: session.send_event('topic')),
    ):
        with pytest.warns(RuntimeWarning, match=f"'{name}' was never awaited") as caught:
            forget()
        assert caught[0].filename == __file__
    # These have been dealt with.
    session.send_raw((2, 1, {})).close()
    send(session.send_raw((2, 1, {})))


def subscribed(connection: Any = None) -> tuple[SessionCore, int]:
    """An open session that has been told of its subscription to `topic`, and the id of that."""
    session = make_core(connection)
    session.mark_open()
    number = session.subscribe('topic')
    assert session.take_held_events(number) == []
    return session, number


EVENTS = [
    ((), {}, []),
    (((1, 2),), {}, [[1, 2]]),
    (([],), {'kwargs': {}}, []),
    ((None,), {'kwargs': None}, []),
    (((1,),), {'kwargs': {'a': 2}}, [[1], {'a': 2}]),
    ((), {'kwargs': {'a': 2}}, [[], {'a': 2}]),
    ((None, {'a': 2}), {}, [[], {'a': 2}]),
]


@pytest.mark.parametrize(('args', 'kwargs', 'payload'), EVENTS)
def test_send_event(args: tuple, kwargs: dict, payload: list) -> None:
    connection = RecordingConnection()
    session, number = subscribed(connection)
    send(session.send_event('topic', *args, **kwargs))
    (event,) = masked(connection.sent)
    assert event[:4] == [36, number, GLOBAL, {}]
    # Arguments may come as a tuple.
    assert [part if isinstance(part, dict) else list(part) for part in event[4:]] == payload


@pytest.mark.parametrize(
    ('level', 'details'), [(None, {}), (0, {'trustlevel': 0}), (3, {'trustlevel': 3})]
)
def test_trust_level(level: int | None, details: dict) -> None:
    connection = RecordingConnection()
    session, _ = subscribed(connection)
    send(session.send_event('topic', trust_level=level))
    assert connection.sent[0][3] == details


def test_each_publication_has_an_id_of_its_own() -> None:
    connection = RecordingConnection()
    session, _ = subscribed(connection)
    for _ in range(10):
        send(session.send_event('topic'))
    assert len({event[2] for event in connection.sent}) == 10


@pytest.mark.parametrize('topic', ['other', '', None, 7])
def test_events_of_other_topics_are_not_sent(topic: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connection = RecordingConnection()
    for session in make_core(connection), subscribed(connection)[0]:
        send(session.send_event(topic, (2, 1, {})))
        assert f'An event for {topic} was not sent to session {session.id} of ' in caplog.text
    assert connection.sent == []


def test_events_are_held_until_subscribed_is_out() -> None:
    connection = RecordingConnection()
    session = make_core(connection)
    session.mark_open()
    number = session.subscribe('topic')
    for count in range(3):
        send(session.send_event('topic', (count,)))
    assert connection.sent == []
    held = [list(event) for event in session.take_held_events(number)]
    assert masked(held) == [[36, number, GLOBAL, {}, (count,)] for count in range(3)]
    # While those are being sent, others may come, and have to queue up behind them.
    send(session.send_event('topic', kwargs={'late': True}))
    assert connection.sent == []
    assert [event[5] for event in session.take_held_events(number)] == [{'late': True}]
    assert session.take_held_events(number) == []
    # From here on nothing is held.
    assert session.take_held_events(number) == ()
    send(session.send_event('topic'))
    assert len(connection.sent) == 1


def test_no_events_are_held_for_what_is_not_subscribed() -> None:
    assert make_core().take_held_events(7) == ()


@pytest.mark.parametrize('end', ['mark_closing', 'mark_ended'])
def test_nothing_is_sent_after_the_end(end: str) -> None:
    connection = RecordingConnection()
    session, _ = subscribed(connection)
    session.subscribe('held')
    getattr(session, end)()
    for sending in (
        session.send_raw((50, 1, {})),
        session.send_event('topic'),
        session.send_event('held'),
    ):
        with pytest.raises(ConnectionClosed, match=f'Session {session.id} has ended'):
            drive(sending)
    assert connection.sent == []


def test_who_sends_events_gets_to_know_of_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connection = RecordingConnection()
    session, _ = subscribed(connection)
    session.mark_closing()
    # The session still knows that its client would not have heard of it anyway.
    send(session.send_event('other'))
    assert 'An event for other was not sent' in caplog.text
    session.mark_ended()
    session.release_subscriptions()
    # And now it knows of no subscription any more.
    for topic in 'topic', 'other':
        with pytest.raises(ConnectionClosed, match=f'Session {session.id} has ended'):
            drive(session.send_event(topic))
    assert connection.sent == []


@pytest.mark.parametrize('error', [ConnectionClosed('gone'), SerializationError('no form')])
def test_errors_of_the_connection_are_passed_on(error: Exception) -> None:
    session, _ = subscribed(RecordingConnection(error, error))
    for sending in session.send_raw((50, 1, {})), session.send_event('topic'):
        with pytest.raises(type(error), match=str(error)):
            drive(sending)


def test_a_connection_that_sends_without_a_coroutine() -> None:
    sent: list[Any] = []

    class Plain:
        send_msg = sent.append

    send(make_core(Plain()).send_raw((2, 1, {})))
    assert sent == [(2, 1, {})]


def test_waits_for_the_connection(run: LoopRunner) -> None:
    async def main() -> None:
        way = run.loop.create_future()
        connection = RecordingConnection(lambda: way)
        task = run.loop.create_task(make_core(connection).send_raw((2, 1, {})))
        await asyncio.sleep(0)
        assert connection.sent == []
        way.set_result(None)
        await task
        assert connection.sent == [[2, 1, {}]]

    run(main())


# ---- Subclasses ----------------------------------------------------------------------------------


class Curious(WAMPSession):
    """Sees what is sent by its own methods."""

    seen: list[Any]

    async def send_raw(self, msg: Any) -> None:
        self.seen.append(msg)
        await super().send_raw(msg)


def test_relief_where_nothing_waits_comes_at_once() -> None:
    called: list[int] = []
    session = open_session()
    session.call_on_relief(lambda: called.append(1))
    drive(session.send_raw((50, 1, {})))
    session.call_on_relief(lambda: called.append(2))
    assert called == [1, 2]


def test_public_sessions_can_be_extended() -> None:
    session = open_session(kind=Curious)
    session.seen = []
    session['key'] = 'value'
    send(session.send_raw((50, 1, {})))
    assert session.seen == [(50, 1, {})]
    assert session.connection.sent == [[50, 1, {}]]


def test_a_subclass_that_forgets_the_base_fails_politely() -> None:
    run_isolated(
        """
        from serverwamp_fast._core.dialogue.dispatch import receive
        from serverwamp_fast._core.session.sessions import SessionCore

        class Forgetful(SessionCore):
            def __init__(self):
                pass

        session = Forgetful()
        assert session.id is session.connection is session.realm is None
        assert not session.is_open and len(session) == 0 and not session.release_subscriptions()
        for use in (
            lambda: session.subscribe('topic'),
            lambda: session.send_raw((50, 1, {})).send(None),
            lambda: receive(session, [48, 1, {}, 'procedure']),
            lambda: session.subscription_id_for_topic('topic'),
        ):
            try:
                use()
            except (AttributeError, TypeError):
                continue
            raise AssertionError(use)
        """
    )


def test_memory_does_not_grow() -> None:
    run_isolated(
        """
        import contextlib
        from support.doubles import RecordingConnection
        from serverwamp_fast.errors import ConnectionClosed, NoSuchSubscription
        from serverwamp_fast._core.session.sessions import SessionCore
        from serverwamp_fast.realm import Realm
        from support.signatures import drive

        realm = Realm()

        def use():
            session = SessionCore(RecordingConnection(), realm)
            session['key'] = session
            session.mark_open()
            number = session.subscribe('topic')
            session.subscribe('other')
            session.set_subscription_exit(number, object())
            drive(session.send_event('topic', (1,), {'a': 2}))
            session.take_held_events(number), session.take_held_events(number)
            drive(session.send_event('topic', (1,), {'a': 2}, 3))
            drive(session.send_raw((50, 1, {})))
            with contextlib.suppress(NoSuchSubscription):
                session.unsubscribe(0)
            session.unsubscribe(number)
            session.release_subscriptions()
            session.mark_ended()
            with contextlib.suppress(ConnectionClosed):
                drive(session.send_raw((50, 1, {})))

        check_growth(use)
        """
    )
