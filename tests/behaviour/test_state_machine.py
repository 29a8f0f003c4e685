"""Several sessions at once, against a model: who gets which answers and events, and what is left when all are gone.

Clients on the native server and on connections of an application's own say what hypothesis thinks of, in bursts.
After each burst every client asks something that is answered at once; what it has heard before is then complete.
"""

import asyncio
import gc
import itertools
import weakref
from collections import deque
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.raw_client import Served
from support.session_clients import Pair

import serverwamp_fast as wamp

MEMBERS = 5
RESTRICTED_LIMIT = 8
BARRIER = 2**53
# Calls that have no answer until something else happens.
UNTIL_CANCELLED = 'waiting', 'stubborn', 'stream'
SETTLING = 200  # times that a client asks whether there is more to come

PARTS = st.sampled_from(['a', 'a', 'a', 'b', 'no'])
TOPICS = st.lists(PARTS, min_size=1, max_size=2).map('.'.join)
PATTERNS = st.lists(st.one_of(PARTS, st.just('')), min_size=1, max_size=2).map('.'.join)
SUBSCRIPTIONS = st.one_of(
    st.tuples(TOPICS, st.just('exact')), st.tuples(PATTERNS, st.sampled_from(['prefix', 'wildcard']))
)
# By what members are named, and the members by their places; None where the option is absent.
SOMEBODY = st.one_of(
    st.none(), st.tuples(st.sampled_from(['', '_authid', '_authrole']), st.sets(st.integers(0, MEMBERS), max_size=2))
)
STEPS = st.one_of(
    st.tuples(st.just('subscribe'), SUBSCRIPTIONS, st.booleans()),
    st.tuples(st.just('unsubscribe'), st.integers(0, 5)),
    st.tuples(
        st.just('publish'), TOPICS, st.booleans(), st.booleans(), st.booleans(), SOMEBODY, SOMEBODY
    ),
    st.tuples(st.just('call'), st.sampled_from(['echo', 'slow', 'count', 'wait', 'stubborn', 'fail', 'missing'])),
    st.tuples(st.just('cancel'), st.integers(0, 3), st.sampled_from(['kill', 'killnowait', 'skip'])),
    st.tuples(st.just('stream'), st.integers(0, 3), st.booleans()),
    st.tuples(st.just('register'), st.booleans()),
)


def matches(pattern: str, match: str, topic: str) -> bool:
    if match == 'prefix':
        return topic.startswith(pattern)
    wanted, parts = pattern.split('.'), topic.split('.')
    if match == 'exact':
        return wanted == parts
    return len(wanted) == len(parts) and all(
        own in ('', part) for own, part in zip(wanted, parts, strict=True)
    )


class Member:
    """A client, and what the model knows of it."""

    def __init__(self, client: Any, details: Any) -> None:
        self.client = client
        self.names = {'': client.session_id, '_authid': details['authid'], '_authrole': details['authrole']}
        self.subscriptions: dict[tuple[str, str], int] = {}
        self.last_request = 0
        self.answers: dict[tuple[int, int], Any] = {}   # expected: (type, request) -> check
        self.events: list[Any] = []                     # expected: (subscription key, details, payload)
        # Progressive calls whose last CALL has not been sent: whether they have an answer to come.
        self.streams: dict[int, bool] = {}

    def next_request(self) -> int:
        self.last_request += 1
        return self.last_request


class Publication:
    """A retained event, and who would have got it."""

    def __init__(self, payload: int, publisher: int | None, exclude: Any, eligible: Any) -> None:
        self.payload = payload
        self.publisher = publisher
        self.exclude = exclude
        self.eligible = eligible

    @property
    def is_restricted(self) -> bool:
        return self.exclude is not None or self.eligible is not None

    def admits(self, member: Member) -> bool:
        return (
            member.client.session_id != self.publisher
            and not (self.exclude and member.names[self.exclude[0]] in self.exclude[1])
            and not (self.eligible and member.names[self.eligible[0]] not in self.eligible[1])
        )

    def options(self) -> dict[str, Any]:
        """The options that say who gets it."""
        receivers = (('exclude', self.exclude), ('eligible', self.eligible))
        return {f'{option}{kind[0]}': kind[1] for option, kind in receivers if kind is not None}


class Sessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.members: list[Member] = []
        self.retained: dict[str, list[Publication]] = {}
        self.published = 0
        self.errors: list[Any] = []
        self.sessions: list[Any] = []

    def run(self, coroutine: Any) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(30):
                return await coroutine

        return self.runner.run(bounded())

    @initialize(kinds=st.lists(st.booleans(), min_size=3, max_size=3))
    def start(self, kinds: list[bool]) -> None:
        self.app = app = wamp.Application(close_timeout=0.5)
        self.gate = asyncio.Event()
        routes = wamp.RPCRouteSet()

        async def is_open(topic: str) -> bool:
            if topic.startswith('b'):
                await asyncio.sleep(0)
            return 'no' not in topic

        app.allow_publish('', 'prefix', is_open)
        app.allow_subscribe('', 'prefix', lambda topic, match: 'no' not in topic)

        @routes.route('echo')
        async def echo(value: Any) -> Any:
            return value

        @routes.route('wait')
        async def wait(value: Any) -> Any:
            await self.gate.wait()
            return value

        @routes.route('stubborn')
        async def be_stubborn(value: Any) -> Any:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                # On Python 3.11, whose tasks begin later, it is cancelled before it can be stubborn.
                pass
            return value

        @routes.route('slow')
        async def take_turns(value: Any) -> Any:
            for _ in range(20):
                await asyncio.sleep(0)
            return value

        @routes.route('count')
        async def count(value: Any) -> Any:
            for number in range(3):
                yield wamp.RPCProgressReport((number,))
                await asyncio.sleep(0)
            yield value

        @routes.route('sum')
        async def add_up(request: Any) -> Any:
            return sum([part.args[0] async for part in request.inputs])

        @routes.route('fail')
        async def fail(value: Any) -> Any:
            return wamp.RPCErrorResult('com.example.no', args=(value,))

        app.add_rpc_routes(routes)
        joined = itertools.count()

        async def name(session: Any) -> Any:
            number = next(joined)
            self.sessions.append(session)
            return wamp.AuthenticatedAs(f'user{number}', auth_role=('even', 'odd')[number % 2])

        app.add_transport_authenticator(name)

        async def serve() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: self.errors.append(context))
            self.server = await app.serve('127.0.0.1', 0)

        self.run(serve())
        self.served = Served(self.server)
        for is_native in kinds:
            self.join(is_native)
        for member in self.members:
            self.run(member.client.say(self.subscribe(member, ('a', 'prefix'), False)))
        self.settle()

    # What happens

    @precondition(lambda self: len(self.members) < MEMBERS)
    @rule(is_native=st.booleans())
    def join(self, is_native: bool) -> None:
        async def join() -> Any:
            if is_native:
                client = await self.served.connect()
            else:
                client = Pair()
                client.serving = asyncio.create_task(self.app.handle_connection(client))
            return Member(client, await client.hello())

        self.members.append(self.run(join()))

    @precondition(lambda self: self.members)
    @rule(place=st.integers(0, MEMBERS), steps=st.lists(STEPS, min_size=1, max_size=6))
    def burst(self, place: int, steps: list[Any]) -> None:
        """One client says several things in one go."""
        member = self.members[place % len(self.members)]
        messages = [getattr(self, step[0])(member, *step[1:]) for step in steps]
        self.run(member.client.say(*messages))
        self.settle()

    @rule(topic=TOPICS, retain=st.booleans(), exclude=SOMEBODY)
    def publish_from_server(self, topic: str, retain: bool, exclude: Any) -> None:
        publication = Publication(self.published, None, self.named(exclude), None)
        payload = self.expect_events(topic, publication, retain)
        self.run(self.app.publish(topic, (payload,), retain=retain, **publication.options()))
        self.settle()

    @rule()
    def open_gate(self) -> None:
        """All calls that wait are answered."""

        self.run(self.let_through())
        self.settle()

    async def let_through(self) -> None:
        self.lift_gate()
        for _ in range(5):
            await asyncio.sleep(0)
        self.gate.clear()

    def lift_gate(self) -> None:
        for member in self.members:
            for key, (kind, value) in member.answers.items():
                if kind in ('waiting', 'stubborn'):
                    member.answers[key] = 'result', value
        self.gate.set()

    @precondition(lambda self: len(self.members) > 2)
    @rule(place=st.integers(0, MEMBERS))
    def say_goodbye(self, place: int) -> None:
        member = self.members.pop(place % len(self.members))
        answer = self.run(member.client.ask(6, {}, 'wamp.close.close_realm'))
        assert answer[0] == 6, answer
        self.run(self.vanish(member))
        self.settle()

    @precondition(lambda self: len(self.members) > 2)
    @rule(place=st.integers(0, MEMBERS), said=st.lists(STEPS, max_size=3))
    def break_connection(self, place: int, said: list[Any]) -> None:
        member = self.members.pop(place % len(self.members))
        # What it subscribes to last, it doesn't live to see; others may hear of it or not, so nothing is published.
        messages = [getattr(self, step[0])(member, *step[1:]) for step in said if step[0] != 'publish']
        self.run(self.end(member, messages))
        self.settle()

    async def end(self, member: Member, messages: list[Any]) -> None:
        await member.client.say(*messages)
        await self.vanish(member)

    async def vanish(self, member: Member) -> None:
        # A session ends when its calls have.
        self.lift_gate()
        if isinstance(member.client, Pair):
            await member.client.vanish()
        else:
            member.client.reset()
            while any(session.id == member.client.session_id for session in self.app._active_sessions):
                await asyncio.sleep(0.001)
        self.gate.clear()

    # One message each, and what it leads to

    def named(self, somebody: Any) -> tuple[str, list[Any]] | None:
        """What members are named by, and the names of those there are."""
        if somebody is None:
            return None
        kind, places = somebody
        return kind, [self.members[place].names[kind] for place in sorted(places) if place < len(self.members)]

    def subscribe(self, member: Member, key: tuple[str, str], get_retained: bool) -> Any:
        request = member.next_request()
        topic, match = key
        if 'no' in topic:
            member.answers[32, request] = 'error', 'wamp.error.not_authorized'
        else:
            member.answers[32, request] = 'subscribed', key
            member.subscriptions.setdefault(key, 0)
            if get_retained:
                for uri, publications in self.retained.items():
                    self.expect_retained(member, key, uri, publications)
        return [32, request, {'match': match, 'get_retained': get_retained}, topic]

    def expect_retained(self, member: Member, key: Any, uri: str, publications: list[Publication]) -> None:
        if not matches(*key, uri):
            return
        for publication in reversed(publications):
            if publication.admits(member):
                details = {'retained': True} | ({} if key[1] == 'exact' else {'topic': uri})
                member.events.append((key, details, publication.payload))
                break

    def unsubscribe(self, member: Member, place: int) -> Any:
        request = member.next_request()
        # Of those whose ids it has been told.
        known = sorted(key for key, number in member.subscriptions.items() if number)
        if place >= len(known):
            member.answers[34, request] = 'error', 'wamp.error.no_such_subscription'
            return [34, request, BARRIER - 1]
        member.answers[34, request] = 'unsubscribed', None
        # An earlier SUBSCRIBE of the same burst speaks of this subscription, and not of one that comes after it.
        for earlier, answer in member.answers.items():
            if answer == ('subscribed', known[place]):
                member.answers[earlier] = 'subscribed', None
        return [34, request, member.subscriptions.pop(known[place])]

    def publish(
        self, member: Member, topic: str, acknowledge: bool, exclude_me: bool, retain: bool, exclude: Any, eligible: Any
    ) -> Any:
        request = member.next_request()
        options: dict[str, Any] = {'acknowledge': acknowledge, 'exclude_me': exclude_me, 'retain': retain}
        publisher = member.client.session_id if exclude_me else None
        publication = Publication(self.published, publisher, self.named(exclude), self.named(eligible))
        options |= publication.options()
        if 'no' not in topic:
            self.expect_events(topic, publication, retain)
            answer = 'published', None
        else:
            answer = 'error', 'wamp.error.not_authorized'
        if acknowledge:
            member.answers[16, request] = answer
        return [16, request, options, topic, [publication.payload]]

    def expect_events(self, topic: str, publication: Publication, retain: bool) -> int:
        self.published += 1
        for member in self.members:
            if publication.admits(member):
                member.events += [
                    (key, {} if key[1] == 'exact' else {'topic': topic}, publication.payload)
                    for key in member.subscriptions
                    if matches(*key, topic)
                ]
        if retain:
            known = self.retained.setdefault(topic, [])
            if publication.is_restricted:
                known.append(publication)
                restricted = [one for one in known if one.is_restricted]
                if len(restricted) > RESTRICTED_LIMIT:
                    known.remove(restricted[0])
            else:
                self.retained[topic] = [publication]
        return publication.payload

    def call(self, member: Member, procedure: str) -> Any:
        request = member.next_request()
        member.answers[48, request] = {
            'echo': ('result', request),
            'slow': ('result', request),
            'count': ('reports', [0, 1, 2, request]),
            'wait': ('waiting', request),
            'stubborn': ('stubborn', request),
            'fail': ('error', 'com.example.no'),
            'missing': ('error', 'wamp.error.no_such_procedure'),
        }[procedure]
        return [48, request, {'receive_progress': procedure == 'count'}, procedure, [request]]

    def stream(self, member: Member, place: int, is_last: bool) -> Any:
        """Begin a progressive call, or go on with one."""
        known = sorted(member.streams)
        if place < len(known):
            request = known[place]
        else:
            request, is_last = member.next_request(), False
            member.streams[request] = True
            member.answers[48, request] = 'stream', 0
        # What is sent to a call that has been answered is of no effect.
        if member.streams[request]:
            _, total = member.answers[48, request]
            member.answers[48, request] = 'result' if is_last else 'stream', total + request
        if is_last:
            del member.streams[request]
        return [48, request, {'progress': not is_last}, 'sum', [request]]

    def cancel(self, member: Member, place: int, mode: str) -> Any:
        known = [key for key, (kind, _) in member.answers.items() if kind in UNTIL_CANCELLED]
        if place >= len(known):
            return [49, BARRIER - 1, {'mode': mode}]
        kind, value = member.answers[known[place]]
        request = known[place][1]
        if kind == 'stream':
            member.streams[request] = False
        if kind == 'stubborn' and mode == 'kill':
            member.answers[48, request] = 'either', value
        else:
            member.answers[48, request] = 'error', 'wamp.error.canceled'
        return [49, request, {'mode': mode}]

    def register(self, member: Member, is_new: bool) -> Any:
        request = member.next_request()
        if is_new:
            member.answers[64, request] = 'error', 'wamp.error.feature_not_supported'
            return [64, request, {}, 'own']
        member.answers[66, request] = 'error', 'wamp.error.no_such_registration'
        return [66, request, BARRIER - 1]

    # What was heard

    def settle(self) -> None:
        """Compare what every client has heard with what it should have."""
        for member in self.members:
            heard = self.run(self.listen(member))
            self.check_answers(member, heard)
            self.check_events(member, [message for message in heard if message[0] == 36])
            # Calls that take their time, and those that are cancelled, are answered some turns later.
            for _ in range(SETTLING):
                if all(kind in UNTIL_CANCELLED for kind, _ in member.answers.values()):
                    break
                late = self.run(self.listen(member))
                assert all(message[0] != 36 for message in late), late
                self.check_answers(member, late)
            assert all(kind in UNTIL_CANCELLED for kind, _ in member.answers.values()), member.answers
        assert self.errors == []

    def check_answers(self, member: Member, heard: list[Any]) -> None:
        for message in heard:
            if message[0] != 36:
                self.check_answer(member, message)

    async def listen(self, member: Member) -> list[Any]:
        heard = [await member.client.ask(34, BARRIER, BARRIER)]
        while heard[-1][:3] != [8, 34, BARRIER]:
            heard.append(await member.client.hear())
        return heard[:-1]

    def check_answer(self, member: Member, message: Any) -> None:
        code = message[0]
        request_type = message[1] if code == 8 else {17: 16, 33: 32, 35: 34, 50: 48}[code]
        key = request_type, message[2] if code == 8 else message[1]
        kind, value = member.answers.pop(key)
        if kind == 'reports':
            assert (code, list(message[3])) == (50, [value.pop(0)]), message
            assert message[2] == ({'progress': True} if value else {})
            if value:
                member.answers[key] = kind, value
        elif kind == 'either':
            assert code == 50 and list(message[3]) == [value] or message[4] == 'wamp.error.canceled', message
        elif kind == 'error':
            assert (code, message[4]) == (8, value), message
        elif kind == 'subscribed':
            assert code == 33, message
            if value in member.subscriptions:
                assert member.subscriptions[value] in (0, message[2])
                member.subscriptions[value] = message[2]
        else:
            assert code == {'unsubscribed': 35, 'published': 17, 'result': 50}[kind], message
            if kind == 'result':
                assert list(message[3]) == [value]

    def check_events(self, member: Member, events: list[Any]) -> None:
        numbers = {number: key for key, number in member.subscriptions.items()}
        expected, member.events = member.events, []
        # An event of a subscription that ended in the same burst was due before, under an id that is known no more.
        alive = [event for event in expected if event[0] in member.subscriptions]
        heard = [(numbers[event[1]], event[3], event[4][0]) for event in events if event[1] in numbers]
        for key in member.subscriptions:
            assert [one for one in heard if one[0] == key] == [one for one in alive if one[0] == key]
        late = [event for event in events if event[1] not in numbers]
        assert len(late) <= len(expected) - len(alive)

    def teardown(self) -> None:
        async def end() -> None:
            self.server.close()
            for member in self.members:
                await self.vanish(member)
            self.gate.set()
            await self.server.wait_closed()
            for client in self.served.clients:
                client.close()
            await asyncio.sleep(0)

        if hasattr(self, 'server'):
            self.run(end())
            assert not self.app._active_sessions
            assert len(self.app._default_realm.topics) == 0
            assert not self.served.connections and not self.served.tasks
            self.check_what_is_left()
        self.runner.close()
        assert self.errors == []

    def check_what_is_left(self) -> None:
        """Sessions that have ended hold nothing: no calls, no ids of calls, no events to be sent, no subscriptions;
        and nobody holds them.
        """
        assert len(self.sessions) >= 3
        for session in self.sessions:
            tables = [one for one in gc.get_referents(session) if isinstance(one, dict | deque)]
            assert not [table for table in tables if table and table is not session.__dict__]
        remembered = [weakref.ref(session) for session in self.sessions]
        self.sessions.clear()
        self.members.clear()
        self.served.clients.clear()
        del session, tables
        gc.collect()
        assert not [session for one in remembered if (session := one()) is not None]


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
