"""The bench's load generator and the floor, for real but short: no figure is judged."""

import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bench_parts import servers, tools
from websockets.sync.server import ServerConnection, serve

pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='The load generator needs epoll.')


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> tools.Tools:
    return tools.build_tools(tmp_path_factory.mktemp('tools'))


@pytest.fixture(scope='module')
def native(built: tools.Tools) -> Iterator[servers.RunningServer]:
    server = servers.RunningServer(servers.KINDS['fast-native'], built, None)
    yield server
    server.stop()


def load(built: tools.Tools, mode: str, *arguments: object) -> dict:
    """Run the load generator; return what it prints."""
    process = subprocess.run(
        [built.loadgen, mode, '--warmup', '0.02', '--duration', '0.1', *map(str, arguments)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert process.stdout, process.stderr
    result = json.loads(process.stdout)
    assert process.returncode == (1 if result['failures'] else 0)
    return result


# The programs


def test_programs_are_built_once(tmp_path: Path) -> None:
    first = tools.build_tools(tmp_path)
    before = first.loadgen.stat().st_mtime_ns
    assert tools.build_tools(tmp_path) == first
    assert first.loadgen.stat().st_mtime_ns == before
    assert any('loadgen.c' in command for command in first.commands)


def test_missing_compiler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('CC', raising=False)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(tools.BenchError, match='Install one'):
        tools.build_tools(tmp_path)


def test_program_that_does_not_compile_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, 'FLAGS', ['-no-such-flag'])
    with pytest.raises(tools.BenchError, match='can not be compiled'):
        tools.build_tools(tmp_path)


# Calls and events


@pytest.mark.parametrize('serializer', ['json', 'msgpack'])
@pytest.mark.parametrize('payload', [0, 31, 64, 4096, 70000])
@pytest.mark.parametrize('in_flight', [1, 16])
def test_calls(
    built: tools.Tools, native: servers.RunningServer, serializer: str, payload: int, in_flight: int
) -> None:
    result = load(
        built, 'calls', '--port', native.port, '--serializer', serializer, '--payload', payload,
        '--in-flight', in_flight, '--connections', 3, '--server-pid', native.pid,
    )  # fmt: skip
    assert result['failures'] == 0, result
    assert result['operations'] == result['latency_us']['count'] > 0
    assert sum(count for _, count in result['latency_us']['histogram']) == result['operations']
    assert 'server_user_seconds' in result


@pytest.mark.parametrize('serializer', ['json', 'msgpack'])
def test_ids_of_every_length(built: tools.Tools, native: servers.RunningServer, serializer: str) -> None:
    """One connection makes more calls than two bytes count."""
    process = subprocess.run(
        [built.loadgen, 'calls', '--port', str(native.port), '--serializer', serializer, '--connections', '1',
         '--in-flight', '16', '--payload', '1', '--warmup', '0', '--duration', '2'],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    result = json.loads(process.stdout)
    assert result['failures'] == 0, result
    assert result['operations'] > 300


def test_handlers_that_await_and_progress(built: tools.Tools, native: servers.RunningServer) -> None:
    waiting = load(built, 'calls', '--port', native.port, '--procedure', 'bench.wait', '--in-flight', 16)
    assert waiting['failures'] == 0, waiting
    for serializer in ('json', 'msgpack'):
        result = load(
            built, 'calls', '--port', native.port, '--procedure', 'bench.progress', '--progress', 10,
            '--serializer', serializer,
        )  # fmt: skip
        assert result['failures'] == 0, result
        assert result['messages'] == 11 * result['operations'] > 0


def test_a_window_holds_as_many_calls_as_are_in_flight(built: tools.Tools, native: servers.RunningServer) -> None:
    """Else a slow server would be judged by the burst of the start."""
    result = load(
        built, 'calls', '--port', native.port, '--connections', 200, '--in-flight', 64, '--duration', 0.001,
        '--warmup', 0,
    )  # fmt: skip
    assert result['failures'] == 0, result
    assert result['operations'] >= 200 * 64


def test_polite_client_is_timed_apart(built: tools.Tools, native: servers.RunningServer) -> None:
    result = load(built, 'calls', '--port', native.port, '--connections', 4, '--in-flight', 16, '--polite')
    assert result['failures'] == 0, result
    assert result['polite_latency_us']['count'] > 0
    assert result['operations'] == result['latency_us']['count']


@pytest.mark.parametrize('serializer', ['json', 'msgpack'])
@pytest.mark.parametrize('burst', [1, 7])
@pytest.mark.parametrize('procedure', ['bench.spread', 'bench.publish'])
def test_events(
    built: tools.Tools, native: servers.RunningServer, serializer: str, burst: int, procedure: str
) -> None:
    result = load(
        built, 'events', '--port', native.port, '--connections', 20, '--procedure', procedure, '--burst', burst,
        '--serializer', serializer, '--sources', 3,
    )  # fmt: skip
    assert result['failures'] == 0, result
    assert result['operations'] > 0
    assert result['operations'] % (20 * burst) == 0


def test_opening(built: tools.Tools, native: servers.RunningServer) -> None:
    result = load(built, 'open', '--port', native.port, '--connections', 30, '--duration', 30)
    assert result['failures'] == 0, result
    assert 0 < result['operations'] <= 30


def read_requests(built: tools.Tools, *arguments: object) -> list[list[bytes]]:
    """Return the lines of the requests by which two connections are opened."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        command = [built.loadgen, 'open', '--port', listener.getsockname()[1], '--connections', 2, *arguments]
        with subprocess.Popen([*map(str, command), '--timeout', '60'], stdout=subprocess.DEVNULL) as process:
            requests = []
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    requests.append(connection.recv(10000).split(b'\r\n'))
            process.kill()
    return requests


@pytest.mark.parametrize(('arguments', 'differing'), [((), 1), (('--cookies',), 2), (('--agents',), 2)])
def test_requests_differ(built: tools.Tools, arguments: tuple[str, ...], differing: int) -> None:
    """By the key, of 16 bytes, and if asked for by a cookie or a User-Agent."""
    first, second = read_requests(built, *arguments)
    differences = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
    assert len(differences) == differing
    names = b'Sec-WebSocket-Key: ', b'Cookie: ', b'User-Agent: '
    assert all(line.startswith(names) for pair in differences for line in pair)
    keys = [line.partition(b': ')[2] for line in (*first, *second) if line.startswith(b'Sec-WebSocket-Key')]
    assert [len(base64.b64decode(key, validate=True)) for key in keys] == [16, 16]


def test_each_call_on_its_own(built: tools.Tools, native: servers.RunningServer) -> None:
    result = load(built, 'calls', '--port', native.port, '--in-flight', 16, '--single-writes')
    assert result['failures'] == 0, result
    assert result['operations'] > 0


def test_rounds_go_on_until_there_are_enough_answers(built: tools.Tools, native: servers.RunningServer) -> None:
    options = '--port', native.port, '--connections', 3, '--in-flight', 4, '--polite', '--duration', 0.001
    result = load(built, 'calls', *options, '--samples', 300, '--longest', 50)
    assert result['polite_latency_us']['count'] >= 300
    # But not for ever.
    result = load(built, 'calls', *options, '--samples', 10**9, '--longest', 0.1)
    assert result['failures'] == 0, result


@pytest.mark.parametrize('burst', [1, 7])
def test_events_of_the_floor(built: tools.Tools, burst: int) -> None:
    server = servers.RunningServer(servers.KINDS['floor-events'], built, None)
    try:
        for _ in range(2):
            # It also forgets subscribers who have left.
            result = load(
                built, 'events', '--port', server.port, '--connections', 20, '--procedure', 'bench.spread',
                '--burst', burst,
            )  # fmt: skip
            assert result['failures'] == 0, result
            assert result['operations'] > 0
    finally:
        server.stop()


@pytest.mark.parametrize('serializer', ['json', 'msgpack'])
def test_echo_of_the_floor(built: tools.Tools, serializer: str) -> None:
    server = servers.RunningServer(servers.KINDS['floor'], built, None)
    try:
        for payload in (64, 200000):
            result = load(
                built, 'echo', '--port', server.port, '--payload', payload, '--in-flight', 4,
                '--serializer', serializer,
            )  # fmt: skip
            assert result['failures'] == 0, result
            assert result['operations'] > 0
    finally:
        server.stop()


# Failures are told


def test_error_answers_are_failures(built: tools.Tools, native: servers.RunningServer) -> None:
    result = load(built, 'calls', '--port', native.port, '--procedure', 'bench.unknown', '--connections', 2)
    assert result['failures'] >= 1
    assert 'no_such_procedure' in result['first_failure']
    assert result['operations'] == 0


def test_wrong_content_is_a_failure(built: tools.Tools, native: servers.RunningServer) -> None:
    # It answers with a number, not with the payload.
    result = load(built, 'calls', '--port', native.port, '--procedure', 'bench.count', '--connections', 1)
    assert result['failures'] >= 1
    result = load(built, 'calls', '--port', native.port, '--procedure', 'bench.progress', '--connections', 1)
    # Progress reports are only sent to who asks for them.
    assert result['failures'] == 0, result
    result = load(built, 'calls', '--port', native.port, '--progress', 3, '--connections', 1)
    assert 'after 0 progress reports' in result['first_failure']


@pytest.mark.parametrize(
    ('subscribed', 'subscription', 'publications', 'said'),
    [
        (7, 7, (5, 5), None),
        (0, 7, (5, 5), 'SUBSCRIBED was expected'),
        (7, 8, (5, 5), 'for subscription 8'),
        (7, 7, (0, 0), 'EVENT with what was published was expected'),
        (7, 7, (2**53 + 1, 5), 'EVENT with what was published was expected'),
        (7, 7, (5, 6), 'One publication has the ids'),
    ],
)
def test_wrong_ids_are_a_failure(
    built: tools.Tools, subscribed: int, subscription: int, publications: tuple[int, int], said: str | None
) -> None:
    subscribers = []

    def serve_client(connection: ServerConnection) -> None:
        for text in connection:
            code, *message = json.loads(text)
            if code == 1:
                answer: list[object] = [2, 1, {}]
            elif code == 32:
                subscribers.append(connection)
                answer = [33, message[0], subscribed]
            else:
                if message[2] == 'bench.publish':
                    payload, _, number = message[3]
                    for subscriber, publication in zip(subscribers, publications, strict=True):
                        subscriber.send(json.dumps([36, subscription, publication, {}, [number, payload]]))
                answer = [50, message[0], {}, [len(subscribers)]]
            connection.send(json.dumps(answer))

    with serve(serve_client, '127.0.0.1', 0, subprotocols=['wamp.2.json'], compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = load(
            built, 'events', '--port', server.socket.getsockname()[1], '--connections', 2,
            '--procedure', 'bench.publish', '--timeout', 10,
        )  # fmt: skip
        server.shutdown()
        thread.join()
    if said is None:
        assert result['failures'] == 0, result
    else:
        assert said in result['first_failure']


def test_missing_answers_are_a_failure(built: tools.Tools) -> None:
    with socket.create_server(('127.0.0.1', 0)) as silent:
        result = load(built, 'calls', '--port', silent.getsockname()[1], '--timeout', 0.3)
    assert 'nothing came' in result['first_failure']


def test_refused_connections_are_a_failure(built: tools.Tools) -> None:
    result = load(built, 'calls', '--port', servers.find_free_port())
    assert 'refused' in result['first_failure']


def test_lost_connections_are_a_failure(built: tools.Tools) -> None:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(10000)
        connection.close()

    with socket.create_server(('127.0.0.1', 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        result = load(built, 'calls', '--port', listener.getsockname()[1], '--connections', 1)
        thread.join()
    assert result['failures'] >= 1
    assert 'ended' in result['first_failure'] or 'lost' in result['first_failure']
