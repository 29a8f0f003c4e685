"""What is measured: kinds of load, each with the servers that it is meant for."""

from collections.abc import Iterator
from dataclasses import dataclass, field

MAIN = ('fast-native', 'fast-aiohttp', 'serverwamp-aiohttp')
WAMP = (
    'fast-native', 'fast-aiohttp', 'fast-uvicorn', 'fast-websockets',
    'serverwamp-aiohttp', 'serverwamp-aiohttp-asyncio', 'serverwamp-uvicorn',
)  # fmt: skip
ECHO = ('echo-uvicorn', 'echo-websockets', 'echo-picows', 'floor')
NOT_IN_SHORT = ('serverwamp-aiohttp-asyncio', 'serverwamp-uvicorn')
# Bytes of calls in flight, together. Where it is more than the first, rounds take long; above the second, minutes.
LARGE_FLIGHT = 64 * 2**20
LARGEST_FLIGHT = 2**30
# Of idle sessions.
MOST_SESSIONS = 100_000
# What one may take at most, in the server, the load generator and the kernel: to be sure that there is room.
SESSION_ROOM = 64 * 2**10


@dataclass(frozen=True)
class Scenario:
    """One kind of load. `options` are the load generator's; `measure` names what the figure of a round is."""

    name: str
    title: str
    mode: str
    servers: tuple[str, ...]
    options: dict[str, object] = field(default_factory=dict)
    unit: str = 'calls/s'
    # These options differ between servers.
    own_options: dict[str, dict[str, object]] = field(default_factory=dict)
    in_short: bool = False
    # Of a short run; all others are left out of it.
    short_servers: tuple[str, ...] | None = None
    short_options: dict[str, object] = field(default_factory=dict)
    # A server that has served others before would hold memory of theirs.
    fresh: bool = False
    rounds: int | None = None
    short_rounds: int | None = None
    note: str = ''

    def options_for(self, server: str, is_short: bool) -> dict[str, object]:
        """Return the load generator's options for one server."""
        return {
            **self.options,
            **(self.short_options if is_short else {}),
            **self.own_options.get(server, {}),
        }

    def servers_of(self, is_short: bool) -> tuple[str, ...]:
        """Return the names of the servers that it runs on."""
        return self.short_servers if is_short and self.short_servers is not None else self.servers


def call_scenarios() -> Iterator[Scenario]:
    """The calls that all servers are compared by, and the matrix for the main ones."""
    core = {1: 'one call in flight', 16: '16 calls in flight'}
    for in_flight, title in core.items():
        yield Scenario(
            f'calls-{in_flight}',
            f'Calls, {title}, 64 connections, JSON, 64 B',
            'calls',
            WAMP + ECHO,
            {'connections': 64, 'in-flight': in_flight, 'payload': 64, 'serializer': 'json'},
            in_short=True,
            short_servers=tuple(name for name in WAMP + ECHO if name not in NOT_IN_SHORT),
        )
    yield Scenario(
        'calls-16-single',
        'Calls, 16 in flight, each sent on its own, 64 connections, JSON, 64 B',
        'calls',
        MAIN,
        {'connections': 64, 'in-flight': 16, 'payload': 64, 'serializer': 'json', 'single-writes': True},
        rounds=3,
        note='The same as with 16 calls in flight above, but the client makes one system call for each of its calls, '
        'not one for all that are due.',
    )
    for serializer, payload, connections, in_flight in call_matrix():
        flight = payload * connections * in_flight
        if flight <= LARGEST_FLIGHT and (serializer, payload, connections) != ('json', 64, 64):
            yield Scenario(
                f'calls-{serializer}-{payload}-{connections}x{in_flight}',
                describe_calls(serializer, payload, connections, in_flight),
                'calls',
                MAIN,
                {
                    'connections': connections,
                    'in-flight': in_flight,
                    'payload': payload,
                    'serializer': serializer,
                    # There are many of them.
                    'duration': 0.7,
                },
                rounds=3 if flight <= LARGE_FLIGHT else 2,
            )


def call_matrix() -> Iterator[tuple[str, int, int, int]]:
    """Yield serializer, payload, connections and calls in flight."""
    for serializer in ('json', 'msgpack'):
        for payload in (64, 4096, 262144):
            for connections in (1, 64, 1000):
                for in_flight in (1, 16):
                    yield serializer, payload, connections, in_flight


def describe_calls(serializer: str, payload: int, connections: int, in_flight: int) -> str:
    title = 'one call in flight' if in_flight == 1 else f'{in_flight} calls in flight'
    size = f'{payload} B' if payload < 1024 else f'{payload // 1024} KiB'
    return (
        f'Calls, {title}, {connections:,} connection{"s" * (connections > 1)}, '
        f'{"JSON" if serializer == "json" else "MessagePack"}, {size}'
    )


def list_unmeasured() -> list[dict[str, str]]:
    """Return what belongs to the matrix of calls and isn't run, with the reason."""
    return [
        {
            'title': describe_calls(serializer, payload, connections, in_flight),
            'reason': f'{payload * connections * in_flight / 2**30:.1f} GiB would be on their way, and a single round '
            'with serverwamp 2.0.0 would take minutes',
        }
        for serializer, payload, connections, in_flight in call_matrix()
        if payload * connections * in_flight > LARGEST_FLIGHT
    ]


def handler_scenarios() -> Iterator[Scenario]:
    """Handlers that do more than to return."""
    for in_flight in (1, 16):
        yield Scenario(
            f'wait-{in_flight}',
            f'Calls of a handler that awaits, {in_flight} in flight, 64 connections, JSON, 64 B',
            'calls',
            (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
            {'connections': 64, 'in-flight': in_flight, 'procedure': 'bench.wait'},
            rounds=3,
        )
    yield Scenario(
        'progress',
        'Calls with ten progress reports each, 64 connections, JSON, 64 B',
        'calls',
        (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
        {'connections': 64, 'in-flight': 1, 'procedure': 'bench.progress', 'progress': 10},
        rounds=3,
    )


def count_sources(connections: int) -> int:
    """Return from how many loopback addresses to connect: each has some 28,000 ports, which rest after use."""
    return 1 + connections // 1250


def servers_of_events(subscribers: int, serializer: str) -> tuple[str, ...]:
    if subscribers != 1000:
        return MAIN
    others = 'fast-uvicorn', 'serverwamp-uvicorn'
    return (*MAIN, *others, 'floor-events') if serializer == 'json' else (*MAIN, *others)


def event_scenarios() -> Iterator[Scenario]:
    """Fan-out."""
    for subscribers in (100, 1000, 10000):
        for serializer in ('json', 'msgpack'):
            name = f'events-{subscribers}' + ('-msgpack' if serializer == 'msgpack' else '')
            yield Scenario(
                name,
                f'Events to {subscribers:,} subscribers, session.send_event() in a loop, '
                f'{"JSON" if serializer == "json" else "MessagePack"}',
                'events',
                servers_of_events(subscribers, serializer),
                {
                    'connections': subscribers,
                    'serializer': serializer,
                    'procedure': 'bench.spread',
                    'sources': count_sources(subscribers),
                },
                unit='events/s',
                in_short=subscribers <= 1000 and serializer == 'json',
                short_servers=(*MAIN, 'floor-events') if subscribers == 1000 else MAIN,
                # With 10,000, most of a round is opening sessions.
                rounds=3 if subscribers < 10000 else 2,
                short_rounds=2,
            )
    yield Scenario(
        'events-1000x100',
        'Events to 1,000 subscribers, session.send_event() in a loop, 100 publications in a burst, JSON',
        'events',
        MAIN,
        {'connections': 1000, 'procedure': 'bench.spread', 'burst': 100, 'sources': count_sources(1000)},
        unit='events/s',
        in_short=True,
        short_servers=('fast-native', 'serverwamp-aiohttp'),
        rounds=3,
        short_rounds=2,
    )
    for subscribers, burst in ((100, 1), (1000, 1), (10000, 1), (1000, 100)):
        yield Scenario(
            f'publish-{subscribers}' + (f'x{burst}' if burst > 1 else ''),
            f'Events to {subscribers:,} subscribers, realm.publish()'
            + (f', {burst} publications in a burst' if burst > 1 else ''),
            'events',
            MAIN,
            {
                'connections': subscribers,
                'procedure': 'bench.publish',
                'burst': burst,
                'sources': count_sources(subscribers),
            },
            own_options={'serverwamp-aiohttp': {'procedure': 'bench.spread'}},
            unit='events/s',
            in_short=burst > 1,
            short_servers=('fast-native', 'serverwamp-aiohttp'),
            rounds=3 if subscribers < 10000 else 2,
            short_rounds=2,
            note='serverwamp 2.0.0 has no publish(); there it is the loop.',
        )


def find_most_sessions(descriptors: int, memory: int) -> int:
    """Return how many sessions a server may hold: as many as descriptors and memory allow, within reason."""
    return min(descriptors - 200, memory // 2 // SESSION_ROOM, MOST_SESSIONS)


def session_scenarios(descriptors: int, memory: int) -> Iterator[Scenario]:
    """Opening and holding sessions; `descriptors` is how many a process may have, `memory` what is free, in bytes."""
    most = find_most_sessions(descriptors, memory)
    opened = min(10000, most)
    for name, title, own, note in (
        (
            'open', 'requests alike', {},
            'All clients send the same HTTP request, except for its key, as the clients of one program do. The native '
            'server keeps for a second what it has worked out for such requests.',
        ),
        (
            'open-cookies', 'each with a cookie of its own', {'cookies': True},
            "Each client sends another cookie, as a site's clients do. The native server knows that the answer doesn't "
            'depend on it.',
        ),
        (
            'open-unlike', 'each with a User-Agent of its own', {'agents': True},
            'No two requests are alike, and the native server works out the answer to each: the handshake library is '
            'most of what a session then costs.',
        ),
    ):  # fmt: skip
        yield Scenario(
            name,
            f'Sessions opened: connect, handshake, HELLO, WELCOME; {title}',
            'open',
            (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
            {'connections': opened, 'sources': count_sources(opened), **own},
            unit='sessions/s',
            in_short=True,
            short_servers=MAIN if name == 'open' else ('fast-native', 'serverwamp-aiohttp'),
            fresh=True,
            rounds=3,
            short_rounds=2,
            note=note,
        )
    steps = [step for step in (100, 1000, 2000, 5000, 10000, 20000, 50000) if step < most]
    yield Scenario(
        'memory',
        'Memory of idle sessions with one subscription',
        'hold',
        (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
        {'steps': [*steps, most], 'sources': count_sources(most)},
        unit='bytes/session',
        in_short=True,
        short_servers=MAIN,
        short_options={'steps': [step for step in (100, 1000, 3000) if step < most]},
        fresh=True,
        # Opening so many takes a minute or more.
        rounds=3 if most <= 20000 else 1,
        short_rounds=1,
    )


def fairness_scenarios() -> Iterator[Scenario]:
    """One client that waits for each of its answers."""
    for others in (0, 63):
        yield Scenario(
            f'polite-{others}' if others else 'polite-alone',
            'A client with one call in flight' + (f' beside {others} with 16' if others else ', alone'),
            'calls',
            MAIN,
            # A p99 needs answers: a round goes on until there are 1,000, but not for ever.
            {'samples': 1000, 'longest': 10}
            | ({'connections': others + 1, 'in-flight': 16, 'polite': True} if others else {'connections': 1}),
            unit='µs',
            in_short=True,
            short_servers=('fast-native', 'serverwamp-aiohttp'),
            short_options={'longest': 2},
            rounds=3,
            short_rounds=2,
        )


def route_scenarios() -> Iterator[Scenario]:
    """What the number of routes does to a lookup; without servers."""
    yield Scenario(
        'routes',
        'Resolving a URI: its cost among 10,000 prefix routes, in units of its cost among 10',
        'routes',
        ('fast-native', 'serverwamp-aiohttp'),
        unit='× its cost among 10',
        in_short=True,
        rounds=3,
        note='There is no server and no socket in it: the two routers, each in a process of its own, which takes turns '
        'between a table with 10 routes and one with 10,000. The same ten URIs are resolved in both, as new strings. '
        'For all 10,000 in turn, a lookup waits for memory too.',
    )


def all_scenarios(descriptors: int, memory: int) -> list[Scenario]:
    """Return all scenarios, in the order in which they are run."""
    return [
        *call_scenarios(),
        *handler_scenarios(),
        *event_scenarios(),
        *session_scenarios(descriptors, memory),
        *fairness_scenarios(),
        *route_scenarios(),
    ]
