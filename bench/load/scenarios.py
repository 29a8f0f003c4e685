"""What is measured: kinds of load, each with the servers that it is meant for."""

from collections.abc import Iterator
from dataclasses import dataclass, field

MAIN = ('fast-native', 'fast-aiohttp', 'serverwamp-aiohttp')
WAMP = (
    'fast-native', 'fast-aiohttp', 'fast-uvicorn', 'fast-websockets',
    'serverwamp-aiohttp', 'serverwamp-aiohttp-asyncio', 'serverwamp-uvicorn',
)  # fmt: skip
ECHO = ('echo-uvicorn', 'echo-websockets', 'echo-picows', 'floor')
# What would be on its way at the same time, both ways; more is not measured.
LARGEST_FLIGHT = 64 * 2**20


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
            short_servers=tuple(name for name in WAMP + ECHO if name != 'serverwamp-aiohttp-asyncio'),
        )
    for serializer in ('json', 'msgpack'):
        for payload, size in ((64, '64 B'), (4096, '4 KiB'), (262144, '256 KiB')):
            for connections in (1, 64, 1000):
                for in_flight, title in core.items():
                    if (serializer, payload, connections) == ('json', 64, 64):
                        continue
                    if payload * connections * in_flight > LARGEST_FLIGHT:
                        continue
                    yield Scenario(
                        f'calls-{serializer}-{payload}-{connections}x{in_flight}',
                        f'Calls, {title}, {connections} connection{"s" * (connections > 1)}, '
                        f'{"JSON" if serializer == "json" else "MessagePack"}, {size}',
                        'calls',
                        MAIN,
                        {
                            'connections': connections,
                            'in-flight': in_flight,
                            'payload': payload,
                            'serializer': serializer,
                        },
                        rounds=3,
                    )


def handler_scenarios() -> Iterator[Scenario]:
    """Handlers that do more than to return."""
    for in_flight in (1, 16):
        yield Scenario(
            f'wait-{in_flight}',
            f'Calls of a handler that awaits, {in_flight} in flight, 64 connections, JSON, 64 B',
            'calls',
            (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
            {'connections': 64, 'in-flight': in_flight, 'procedure': 'bench.wait'},
        )
    yield Scenario(
        'progress',
        'Calls with ten progress reports each, 64 connections, JSON, 64 B',
        'calls',
        (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
        {'connections': 64, 'in-flight': 1, 'procedure': 'bench.progress', 'progress': 10},
    )


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
                (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn') if subscribers == 1000 else MAIN,
                {'connections': subscribers, 'serializer': serializer, 'procedure': 'bench.spread', 'sources': 8},
                unit='events/s',
                in_short=subscribers == 1000 and serializer == 'json',
                short_servers=MAIN,
                rounds=3,
            )
    yield Scenario(
        'events-1000x100',
        'Events to 1,000 subscribers, session.send_event() in a loop, 100 publications in a burst, JSON',
        'events',
        MAIN,
        {'connections': 1000, 'procedure': 'bench.spread', 'burst': 100, 'sources': 8},
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
            {'connections': subscribers, 'procedure': 'bench.publish', 'burst': burst, 'sources': 8},
            own_options={'serverwamp-aiohttp': {'procedure': 'bench.spread'}},
            unit='events/s',
            in_short=burst > 1,
            short_servers=('fast-native', 'serverwamp-aiohttp'),
            rounds=3,
            short_rounds=2,
            note='serverwamp 2.0.0 has no publish(); there it is the loop.',
        )


def session_scenarios(descriptors: int) -> Iterator[Scenario]:
    """Opening and holding sessions; `descriptors` is how many a process may have."""
    yield Scenario(
        'open',
        'Sessions opened: connect, handshake, HELLO, WELCOME',
        'open',
        (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
        {'connections': min(10000, descriptors - 200), 'sources': 8},
        unit='sessions/s',
        in_short=True,
        short_servers=MAIN,
        fresh=True,
        rounds=3,
        note='All clients send the same HTTP request, except for its key, as the clients of one program do. The native '
        'server works out the answer to such requests once a second; where requests differ, by cookies or by what a '
        'proxy adds, its ratio is lower.',
    )
    most = descriptors - 200
    steps = [step for step in (100, 1000, 2000, 5000, 10000) if step < most]
    yield Scenario(
        'memory',
        'Memory of idle sessions with one subscription',
        'hold',
        (*MAIN, 'fast-uvicorn', 'serverwamp-uvicorn'),
        {'steps': [*steps, most], 'sources': 8},
        unit='bytes/session',
        in_short=True,
        short_servers=MAIN,
        short_options={'steps': [step for step in (100, 1000, 3000) if step < most]},
        fresh=True,
        rounds=1,
    )


def fairness_scenarios() -> Iterator[Scenario]:
    """One client that waits for each of its answers."""
    for others in (0, 63):
        yield Scenario(
            f'polite-{others}' if others else 'polite-alone',
            'A client with one call in flight' + (f' beside {others} with 16' if others else ', alone'),
            'calls',
            MAIN,
            {'connections': others + 1, 'in-flight': 16, 'polite': True} if others else {'connections': 1},
            unit='µs',
            in_short=True,
            short_servers=('fast-native', 'serverwamp-aiohttp'),
            rounds=3,
        )


def all_scenarios(descriptors: int) -> list[Scenario]:
    """Return all scenarios, in the order in which they are run."""
    return [
        *call_scenarios(),
        *handler_scenarios(),
        *event_scenarios(),
        *session_scenarios(descriptors),
        *fairness_scenarios(),
    ]
