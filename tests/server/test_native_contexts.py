"""Context variables of one call reach no other call, of whomever, on the native server.

A loop remembers the context in which it is told to write, to read on or to call something later. That the server tells
it nothing in a user's task is tested in test_native_registrations.py, what a user sees of it here.
"""

import asyncio
import contextvars
import time
from typing import Any

import pytest
from support.certificates import make_contexts
from support.slow_readers import BIG, SlowReader, serving_slowly

import serverwamp_fast as wamp

WHO = contextvars.ContextVar('who', default='nobody')
ITEMS: contextvars.ContextVar[list[str]] = contextvars.ContextVar('items')
PAUSE = 0.3  # seconds for the server to find that a client doesn't read

with_and_without_tls = pytest.mark.parametrize('tls', [False, True], ids=['plain', 'TLS'])


class Site:
    """An application whose procedures set a variable, and what its handlers saw of it."""

    def __init__(self, **options: Any) -> None:
        self.app = app = wamp.Application(**options)
        self.seen: list[tuple[str, str]] = []
        self.sessions: list[Any] = []
        self.server: Any = None
        self.shared: list[str] = []
        calls, topics = wamp.RPCRouteSet(), wamp.TopicRouteSet()

        @calls.route('who')
        async def who():
            return WHO.get()

        @calls.route('big')
        async def big(user, pause=0):
            WHO.set(user)
            await asyncio.sleep(pause)
            return BIG

        @calls.route('stream')
        async def stream(user):
            WHO.set(user)
            for _ in range(3):
                yield wamp.RPCProgressReport(args=(BIG,))
            yield user

        @calls.route('tell_all')
        async def tell_all(user, text=BIG):
            WHO.set(user)
            await app.publish('news', (text,))

        @calls.route('close_others')
        async def close_others(user, session):
            WHO.set(user)
            for other in self.sessions:
                if other is not session:
                    await other.close()

        @calls.route('stop')
        async def stop(user):
            WHO.set(user)
            self.server.close()

        @topics.route('topic')
        async def topic():
            self.note('topic')
            yield
            self.note('topic left')

        async def lifespan(session):
            self.sessions.append(session)
            self.note('session')
            yield
            self.note('session left')

        app.add_rpc_routes(calls)
        app.add_topic_routes(topics)
        app.allow_subscribe('news')
        app.add_session_lifespan_handler(lifespan, authenticated_only=False)

    def note(self, place: str) -> None:
        self.seen.append((place, WHO.get()))

    def run(self, run: Any, talk: Any, tls: bool = False) -> Any:
        """Serve while `talk(connect)` runs in a thread, and return what it returns."""
        server_context, client_context = make_contexts()[:2] if tls else (None, None)

        async def main() -> Any:
            WHO.set('the server')
            ITEMS.set(self.shared)
            async with serving_slowly(self.app, server_context) as (self.server, port):
                WHO.set('who serves')
                clients: list[SlowReader] = []

                def connect() -> SlowReader:
                    clients.append(SlowReader(port, client_context))
                    return clients[-1]

                try:
                    return await asyncio.to_thread(talk, connect)
                finally:
                    for client in clients:
                        client.close()

        return run(main())


def talk_after_much(first: Any) -> Any:
    """Return a talk whose first call is answered with more than the client reads at once."""

    def talk(connect: Any) -> list[str]:
        client = connect()
        client.send(first)
        time.sleep(PAUSE)
        while client.receive()[2:3] == [{'progress': True}]:
            pass
        client.number = 1
        answers = [client.call('who')]
        subscribed = client.ask(32, 'topic')
        client.send([34, 9, subscribed[2]])
        assert client.receive() == [35, 9]
        client.goodbye()
        client.hello()
        client.number = 0
        client.ask(32, 'topic')
        return [*answers, client.call('who')]

    return talk


@with_and_without_tls
@pytest.mark.parametrize(
    'first',
    [
        [48, 1, {}, 'big', ['Alice']],
        [48, 1, {}, 'big', ['Alice', 0.01]],
        [48, 1, {'receive_progress': True}, 'stream', ['Alice']],
    ],
    ids=['in one step', 'in two', 'progress'],
)
def test_after_more_than_the_client_reads(run, tls: bool, first: Any) -> None:
    site = Site()
    assert site.run(run, talk_after_much(first), tls) == ['the server', 'the server']
    places = ['session', 'topic', 'topic left', 'session left'] * 2
    assert sorted(site.seen) == sorted((place, 'the server') for place in places)


@with_and_without_tls
def test_in_one_segment(run, tls: bool) -> None:
    def talk(connect: Any) -> list[Any]:
        client = connect()
        client.send(
            client.request(48, 'who'),
            client.request(48, 'big', ['Alice']),
            client.request(48, 'who'),
            client.request(48, 'big', ['Joe', 0.01]),
            client.request(32, 'topic'),
            client.request(48, 'who'),
        )
        time.sleep(PAUSE)
        answers = {}
        for _ in range(6):
            answer = client.receive()
            answers[answer[1]] = answer[3][0] if len(answer) > 3 else None
        return [answers[number] for number in (1, 3, 6)]

    site = Site()
    assert site.run(run, talk, tls) == ['the server'] * 3
    assert {name for _, name in site.seen} == {'the server'}


@with_and_without_tls
def test_other_users_after_publish(run, tls: bool) -> None:
    def talk(connect: Any) -> list[str]:
        reader, publisher = connect(), connect()
        reader.ask(32, 'news')
        answers = []
        for text in (BIG, 'small'):
            publisher.call('tell_all', 'Carol', text)
            if text == BIG:
                time.sleep(PAUSE)
            assert reader.receive()[0] == 36
            answers += [reader.call('who'), publisher.call('who')]
        reader.ask(32, 'topic')
        reader.goodbye()
        reader.hello()
        return [*answers, reader.call('who')]

    site = Site()
    assert site.run(run, talk, tls) == ['the server'] * 5
    assert {name for _, name in site.seen} == {'the server'}


def test_sessions_that_a_call_closes(run) -> None:
    """Their clients say nothing, so that it is a timer, set by the call, that ends them."""

    def talk(connect: Any) -> None:
        closer, others = connect(), [connect() for _ in range(2)]
        others[0].ask(32, 'topic')
        closer.call('close_others', 'Carol')
        for other in others:
            assert other.receive()[0] == 6
            with pytest.raises(EOFError):
                other.receive()
        while site.seen.count(('session left', 'the server')) < 2:
            time.sleep(0.01)

    site = Site(close_timeout=0.1)
    site.run(run, talk)
    assert {name for _, name in site.seen} == {'the server'}


def test_a_server_that_a_call_closes(run) -> None:
    def talk(connect: Any) -> None:
        clients = [connect() for _ in range(2)]
        clients[0].ask(32, 'topic')
        clients[1].call('stop', 'Carol')
        for client in clients:
            assert client.receive()[0] == 6
            client.send([6, {}, 'wamp.close.goodbye_and_out'])

    site = Site(close_timeout=0.5)
    site.run(run, talk)
    assert ('topic left', 'the server') in site.seen
    assert {name for _, name in site.seen} == {'the server'}


def test_rules_that_set_variables(run) -> None:
    """What a rule sets is there in the session's later calls, as with SUBSCRIBE, and nowhere else."""

    def may_publish(session, args):
        before = WHO.get()
        WHO.set(args[0])
        site.seen.append(('rule', before))
        return True

    def talk(connect: Any) -> list[str]:
        one, two = connect(), connect()
        answers = []
        for client, name in ((one, 'Alice'), (two, 'Bob'), (one, 'Carol')):
            client.send([16, 1, {}, 'gossip', [name]])
            answers += [one.call('who'), two.call('who')]
        return [*answers, connect().call('who')]

    site = Site()
    site.app.allow_publish('gossip', rule=may_publish)
    nobody = 'the server'
    assert site.run(run, talk) == ['Alice', nobody, 'Alice', 'Bob', 'Carol', 'Bob', nobody]
    assert [name for place, name in site.seen if place == 'rule'] == [nobody, nobody, 'Alice']


def test_what_is_equal_is_not_the_same(run) -> None:
    """An authenticator gives each session a list of its own, which is equal to the server's."""

    async def authenticate(session):
        ITEMS.set([])
        return 'somebody'

    calls = wamp.RPCRouteSet()

    @calls.route('add')
    async def add(item):
        ITEMS.get().append(item)
        return len(ITEMS.get())

    def talk(connect: Any) -> list[int]:
        one, two = connect(), connect()
        return [one.call('add', 'a'), two.call('add', 'b'), one.call('add', 'c')]

    site = Site()
    site.app.add_transport_authenticator(authenticate)
    site.app.add_rpc_routes(calls)

    assert site.run(run, talk) == [1, 1, 2]
    assert site.shared == []
