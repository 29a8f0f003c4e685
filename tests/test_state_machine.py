"""Several sessions at once, against a model: who gets which answers and events, and what is left when all are gone.

Clients on the native server and on connections of an application's own say what hypothesis thinks of, in bursts.
After each burst every client asks something that is answered at once; what it has heard before is then complete.
"""

import asyncio
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from raw_client import Served
from session_clients import Pair

import serverwamp_fast as wamp

MEMBERS = 5
RESTRICTED_LIMIT = 8
BARRIER = 2**53

PARTS = st.sampled_from(['a', 'a', 'a', 'b', 'no'])
TOPICS = st.lists(PARTS, min_size=1, max_size=2).map('.'.join)
PATTERNS = st.lists(st.one_of(PARTS, st.just('')), min_size=1, max_size=2).map('.'.join)
SUBSCRIPTIONS = st.one_of(
    st.tuples(TOPICS, st.just('exact')), st.tuples(PATTERNS, st.sampled_from(['prefix', 'wildcard']))
)
# Members by their places; None where the option is absent.
SOMEBODY = st.one_of(st.none(), st.sets(st.integers(0, MEMBERS), max_size=2))
STEPS = st.one_of(
    st.tuples(st.just('subscribe'), SUBSCRIPTIONS, st.booleans()),
    st.tuples(st.just('unsubscribe'), st.integers(0, 5)),
    st.tuples(
        st.just('publish'), TOPICS, st.booleans(), st.booleans(), st.booleans(), SOMEBODY, SOMEBODY
    ),
    st.tuples(st.just('call'), st.sampled_from(['echo', 'wait', 'fail', 'missing'])),
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

    def __init__(self, client: Any) -> None:
        self.client = client
        self.subscriptions: dict[tuple[str, str], int] = {}
        self.last_request = 0
        self.answers: dict[tuple[int, int], Any] = {}   # expected: (type, request) -> check
        self.events: list[Any] = []                     # expected: (subscription key, details, payload)
        self.ended: set[int] = set()

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

    def admits(self, session_id: int) -> bool:
        return (
            session_id != self.publisher
            and (self.exclude is None or session_id not in self.exclude)
            and (self.eligible is None or session_id in self.eligible)
        )


class Sessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.members: list[Member] = []
        self.retained: dict[str, list[Publication]] = {}
        self.published = 0
        self.errors: list[Any] = []

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

        @routes.route('fail')
        async def fail(value: Any) -> Any:
            return wamp.RPCErrorResult('com.example.no', args=(value,))

        app.add_rpc_routes(routes)

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
                return await self.served.join()
            pair = Pair()
            pair.serving = asyncio.create_task(self.app.handle_connection(pair))
            await pair.hello()
            return pair

        self.members.append(Member(self.run(join())))

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
        exclude = self.ids(exclude)
        payload = self.expect_events(topic, Publication(self.published, None, exclude, None), retain)
        self.run(self.app.publish(topic, (payload,), retain=retain, exclude=exclude))
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
                if kind == 'waiting':
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

    def ids(self, places: Any) -> list[int] | None:
        if places is None:
            return None
        return [self.members[place].client.session_id for place in places if place < len(self.members)]

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
            if publication.admits(member.client.session_id):
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
        return [34, request, member.subscriptions.pop(known[place])]

    def publish(
        self, member: Member, topic: str, acknowledge: bool, exclude_me: bool, retain: bool, exclude: Any, eligible: Any
    ) -> Any:
        request = member.next_request()
        options: dict[str, Any] = {'acknowledge': acknowledge, 'exclude_me': exclude_me, 'retain': retain}
        publisher = member.client.session_id if exclude_me else None
        publication = Publication(self.published, publisher, self.ids(exclude), self.ids(eligible))
        if publication.exclude is not None:
            options['exclude'] = publication.exclude
        if publication.eligible is not None:
            options['eligible'] = publication.eligible
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
            if publication.admits(member.client.session_id):
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
            'wait': ('waiting', request),
            'fail': ('error', 'com.example.no'),
            'missing': ('error', 'wamp.error.no_such_procedure'),
        }[procedure]
        return [48, request, {}, procedure, [request]]

    # What was heard

    def settle(self) -> None:
        """Compare what every client has heard with what it should have."""
        for member in self.members:
            heard = self.run(self.listen(member))
            for message in heard:
                if message[0] != 36:
                    self.check_answer(member, message)
            self.check_events(member, [message for message in heard if message[0] == 36])
            assert all(check[0] == 'waiting' for check in member.answers.values()), member.answers
        assert self.errors == []

    async def listen(self, member: Member) -> list[Any]:
        heard = [await member.client.ask(34, BARRIER, BARRIER)]
        while heard[-1][:3] != [8, 34, BARRIER]:
            heard.append(await member.client.hear())
        return heard[:-1]

    def check_answer(self, member: Member, message: Any) -> None:
        code = message[0]
        request_type = message[1] if code == 8 else {17: 16, 33: 32, 35: 34, 50: 48}[code]
        kind, value = member.answers.pop((request_type, message[2] if code == 8 else message[1]))
        if kind == 'error':
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
        self.runner.close()
        assert self.errors == []


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
