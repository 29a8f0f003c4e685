"""The bench's load generator, servers and rounds, for real but short: no figure is judged."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_parts import results, runner, scenarios, servers, tools

pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='The load generator needs epoll.')

SHORT = runner.Settings(rounds=2, warmup=0.02, duration=0.1)


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


# Rounds


def find_scenario(name: str) -> scenarios.Scenario:
    return next(scenario for scenario in scenarios.all_scenarios(1000) if scenario.name == name)


def run_scenario(built: tools.Tools, scenario: scenarios.Scenario, *names: str) -> dict:
    notes = []
    settings = runner.Settings(**{**vars(SHORT), 'servers': names})
    work = runner.Runner(built, settings, lambda scenario, server, number: notes.append((number, server)))
    [result] = work.run([scenario])
    rounds = min(settings.rounds, scenario.rounds or settings.rounds)
    assert notes == [(number, name) for number in range(rounds) for name in result['servers']]
    return result


def test_rounds_alternate_on_every_kind_of_server(built: tools.Tools) -> None:
    scenario = scenarios.Scenario(
        'all', 'All', 'calls', tuple(servers.KINDS), {'connections': 2, 'in-flight': 2, 'payload': 10}
    )
    result = run_scenario(built, scenario, *servers.KINDS)
    assert list(result['servers']) == list(servers.KINDS)
    for name, figures in result['servers'].items():
        if servers.KINDS[name].missing():
            assert figures['missing']
            continue
        assert figures['failures'] is None, (name, figures)
        rate = figures['rate']
        assert 0 < rate['min'] <= rate['median'] <= rate['max']
        assert len(rate['rounds']) == 2
        assert figures['latency_us']['p50'] <= figures['latency_us']['p99'] <= figures['latency_us']['max'] * 1.05
        assert 'loadgen' in figures['commands']['load']


def test_memory_in_steps(built: tools.Tools) -> None:
    scenario = scenarios.Scenario('memory', 'Memory', 'hold', ('fast-native',), {'steps': [5, 50, 100]}, rounds=1)
    figures = run_scenario(built, scenario, 'fast-native')['servers']['fast-native']
    assert figures['failures'] is None, figures
    assert [step['sessions'] for step in figures['steps']] == [5, 50, 100]
    assert all(step['memory'] > 0 for step in figures['steps'])


def test_failing_rounds_are_reported(built: tools.Tools) -> None:
    scenario = scenarios.Scenario(
        'bad', 'Bad', 'calls', ('fast-native',), {'procedure': 'bench.unknown', 'connections': 1}
    )
    figures = run_scenario(built, scenario, 'fast-native')['servers']['fast-native']
    assert figures['failures']['rounds'] == figures['failures']['of'] == 2
    assert 'no_such_procedure' in figures['failures']['first']
    assert 'rate' not in figures


def test_server_that_does_not_start_is_reported(built: tools.Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = servers.ServerKind('broken', 'Broken', ('PYTHON', '-c', 'raise SystemExit("no luck")'))
    monkeypatch.setitem(servers.KINDS, 'broken', broken)
    scenario = scenarios.Scenario('bad', 'Bad', 'calls', ('broken',), {'connections': 1})
    figures = run_scenario(built, scenario, 'broken')['servers']['broken']
    assert 'no luck' in figures['failures']['first']


def test_server_that_lacks_a_module_is_named(built: tools.Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = servers.ServerKind('lacking', 'Lacking', ('PYTHON',), needs=('no_such_module_here',))
    monkeypatch.setitem(servers.KINDS, 'lacking', lacking)
    [result] = runner.Runner(built, SHORT).run([scenarios.Scenario('none', 'None', 'calls', ('lacking',))])
    assert result['servers']['lacking'] == {'missing': ['no_such_module_here']}


# Scenarios and figures


def test_scenarios_are_complete() -> None:
    everything = scenarios.all_scenarios(20000)
    names = [scenario.name for scenario in everything]
    assert len(names) == len(set(names))
    assert all(name in servers.KINDS for scenario in everything for name in scenario.servers)
    calls = {
        (options['serializer'], options['payload'], options['connections'], options['in-flight'])
        for options in (scenario.options for scenario in everything if scenario.mode == 'calls')
        if 'serializer' in options
    }
    assert len(calls) == 2 * (2 * 3 * 2 + 3)
    # It fits into the descriptors there are, with some to spare.
    steps = find_scenario('memory').options['steps']
    assert isinstance(steps, list)
    assert steps == [100, 800]


def test_figures_are_medians_and_keep_failures() -> None:
    def result(rate: float, failures: int = 0) -> dict:
        counts = [[1.0, 98], [5.0, 2]]
        return {
            'rate': rate, 'operations': 100, 'seconds': 1.0, 'load_cpu_share': rate / 10, 'failures': failures,
            'first_failure': 'why' if failures else '', 'server_user_seconds': 1.0, 'server_system_seconds': 0.5,
            'latency_us': {'count': 100, 'p50': 1.0, 'p99': 5.0, 'max': 6.0, 'histogram': counts},
        }  # fmt: skip

    figures = results.merge_rounds([result(3), result(1), result(9, failures=2), result(2)])
    assert figures['rate'] == {'median': 2, 'min': 1, 'max': 3, 'rounds': [3, 1, 2]}
    assert figures['failures'] == {'rounds': 1, 'of': 4, 'count': 2, 'first': 'why', 'server_said': ''}
    assert figures['cpu_us_per_operation']['median'] == 15000
    assert figures['latency_us']['histogram'] == [(1.0, 294), (5.0, 6)]
    assert (figures['latency_us']['p50'], figures['latency_us']['p99']) == (1.0, 5.0)
    assert figures['load_cpu_share'] == 0.3


def test_round_without_a_result_is_a_failure() -> None:
    figures = results.merge_rounds([{'rate': 0, 'operations': 0, 'failures': 0}])
    assert figures['failures']['first'] == 'Nothing was completed within the time of a round.'
    assert 'rate' not in figures
