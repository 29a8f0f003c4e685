"""The bench's rounds: servers beside each other, for real but short, and what becomes of failures."""

import socket
import stat
import sys
from pathlib import Path

import pytest
from support.bench_parts import cores, results, runner, scenarios, servers, tools

pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='The load generator needs epoll.')

SHORT = runner.Settings(rounds=2, warmup=0.02, duration=0.1)
PLENTY = 2**36


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> tools.Tools:
    return tools.build_tools(tmp_path_factory.mktemp('tools'))


def find_scenario(name: str) -> scenarios.Scenario:
    return next(scenario for scenario in scenarios.all_scenarios(1000, PLENTY) if scenario.name == name)


def run_scenario(built: tools.Tools, scenario: scenarios.Scenario, *names: str) -> dict:
    notes = []
    settings = runner.Settings(**{**vars(SHORT), 'servers': names})
    work = runner.Runner(built, settings, lambda scenario, server, number: notes.append((number, server)))
    [result] = work.run([scenario])
    rounds = min(settings.rounds, scenario.rounds or settings.rounds)
    assert notes == [(number, name) for number in range(rounds) for name in result['servers']]
    return result


def test_rounds_alternate_on_every_kind_of_server(built: tools.Tools) -> None:
    names = [name for name in servers.KINDS if name != 'floor-events']
    scenario = scenarios.Scenario(
        'all', 'All', 'calls', tuple(names), {'connections': 2, 'in-flight': 2, 'payload': 10}
    )
    result = run_scenario(built, scenario, *names)
    assert list(result['servers']) == names
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


@pytest.fixture
def write_program(tmp_path: Path, built: tools.Tools):
    """Return a function that makes tools whose load generator is a Python program."""

    def write(code: str) -> tools.Tools:
        program = tmp_path / 'loadgen'
        program.write_text(f'#!{sys.executable}\n{code}')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return tools.Tools(program, built.floor, ())

    return write


STEP = 'print(\'{"sessions": 5, "failures": 0, "first_failure": ""}\', flush=True)\n'
RESULT = 'print(\'{"failures": 0, "first_failure": "", "operations": 5}\', flush=True)\n'


@pytest.mark.parametrize(
    ('mode', 'code', 'said'),
    [
        ('hold', STEP + 'raise SystemExit("no luck")', 'no luck'),
        ('hold', STEP, 'ended with status 0: it said nothing. That was after 1 of 2 steps.'),
        ('hold', STEP + 'input(); import os; os.kill(os.getpid(), 11)', 'ended with status -11'),
        ('hold', STEP + 'import os, time; os.close(0); os.close(1); os._exit(3)', 'ended with status 3'),
        ('hold', 'print("nonsense")', 'no result: nonsense'),
        ('hold', 'import time; time.sleep(1000)', 'ended with status -9'),
        ('calls', 'raise SystemExit("no luck")', 'no luck'),
        ('calls', RESULT + 'import os; os.kill(os.getpid(), 11)', 'ended with status -11'),
        ('calls', 'print("nonsense")', 'no result: nonsense'),
        ('calls', 'import time; time.sleep(1000)', 'did not end within'),
    ],
)
def test_load_program_that_fails_is_reported(
    write_program, monkeypatch: pytest.MonkeyPatch, mode: str, code: str, said: str
) -> None:
    monkeypatch.setattr(runner, 'SETTLE', 0)
    monkeypatch.setattr(runner, 'ROUND_TIMEOUT', 1 if 'sleep(1000)' in code else 60)
    scenario = scenarios.Scenario('x', 'X', mode, ('floor',), {'steps': [5, 10]} if mode == 'hold' else {}, rounds=1)
    [result] = runner.Runner(write_program(code), SHORT).run([scenario])
    figures = result['servers']['floor']
    assert said in figures['failures']['first']
    assert figures['failures']['rounds'] == figures['failures']['of']
    assert 'rate' not in figures


SPINNING = 'import socket, sys; s = socket.create_server(("127.0.0.1", int(sys.argv[1])))\nwhile True: pass'


def test_busy_server_is_waited_for(built: tools.Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it still does would disturb the next round; one that goes on and on is ended."""
    monkeypatch.setattr(servers, 'IDLE_TIMEOUT', 0.5)
    server = servers.RunningServer(servers.ServerKind('busy', 'Busy', ('PYTHON', '-c', SPINNING, 'PORT')), built, None)
    assert not server.wait_until_idle()
    server.stop()
    assert server.wait_until_idle()

    monkeypatch.setattr(servers.RunningServer, 'wait_until_idle', lambda server: False)
    scenario = scenarios.Scenario('x', 'X', 'calls', ('floor',), {'connections': 1}, rounds=1)
    work = runner.Runner(built, SHORT)
    assert work.run_scenario(scenario)['servers']['floor']['failures'] is None
    assert not work._running


def test_idle_server_is_not_ended(built: tools.Tools) -> None:
    scenario = scenarios.Scenario('x', 'X', 'calls', ('floor',), {'connections': 1}, rounds=1)
    work = runner.Runner(built, SHORT)
    try:
        work.run_scenario(scenario)
        assert list(work._running) == ['floor']
        assert work._running['floor'].wait_until_idle()
    finally:
        work.stop()


def test_ports_are_none_that_others_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    lowest = int(Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    if lowest < servers.PORTS[-1]:
        pytest.skip('This system gives away low ports too.')
    port = servers.find_free_port()
    assert port < lowest
    with socket.create_server(('127.0.0.1', port)):
        monkeypatch.setattr(servers, 'PORTS', range(port, port + 1))
        with pytest.raises(tools.BenchError, match=f'from {port} to {port}'):
            servers.find_free_port()


def test_commands_are_shown_as_they_run(built: tools.Tools) -> None:
    settings = runner.Settings.choose(True, rounds=1, warmup=0.5, duration=0.1)
    for mode, warms_up in (('calls', True), ('open', False)):
        scenario = scenarios.Scenario('x', 'X', mode, ('fast-native',), {'connections': 1}, fresh=True)
        [result] = runner.Runner(built, settings).run([scenario])
        figures = result['servers']['fast-native']
        assert figures['failures'] is None, figures
        assert ('--warmup' in figures['commands']['load']) == warms_up
        if settings.server_core is not None:
            assert figures['commands']['server'].startswith(f'taskset -c {settings.server_core} ')


def test_routes_are_timed(built: tools.Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, 'ROUTES_TIME', 0.001)
    [result] = runner.Runner(built, SHORT).run([find_scenario('routes')])
    for figures in result['servers'].values():
        assert figures['failures'] is None, figures
        assert all(cost > 0 for cost in figures['costs_ns'].values())
        assert 'routes.py' in figures['commands']['server']


# Cores


def make_system(path: Path, siblings: list[str]) -> Path:
    for core, text in enumerate(siblings):
        directory = path / f'cpu{core}/topology'
        directory.mkdir(parents=True)
        (directory / 'thread_siblings_list').write_text(text + '\n')
    return path


@pytest.mark.parametrize(
    ('siblings', 'allowed', 'chosen', 'said'),
    [
        (['0', '1'], {0, 1}, (0, 1), 'different physical cores'),
        (['0-1', '0-1', '2-3', '2-3'], {0, 1, 2, 3}, (0, 2), 'different physical cores'),
        (['0,2', '1,3', '0,2', '1,3'], {0, 2, 3}, (0, 3), 'different physical cores'),
        (['0-1', '0-1'], {0, 1}, (0, 1), 'ONE physical core'),
        ([], {3, 5}, (3, 5), 'does not say'),
    ],
)
def test_cores_are_physical_ones(
    tmp_path: Path, siblings: list[str], allowed: set[int], chosen: tuple[int, int], said: str
) -> None:
    system = make_system(tmp_path, siblings)
    assert cores.choose_cores(system, allowed) == chosen
    described = cores.describe_pinning(*chosen, system)
    assert described.startswith(f'server on core {chosen[0]}, load on core {chosen[1]}')
    assert said in described


def test_one_core_is_shared(tmp_path: Path) -> None:
    assert cores.choose_cores(tmp_path, {4}) is None
    assert 'one core' in cores.describe_pinning(None, None)


# Scenarios and figures


def test_scenarios_are_complete() -> None:
    everything = scenarios.all_scenarios(20000, PLENTY)
    names = [scenario.name for scenario in everything]
    assert len(names) == len(set(names))
    assert all(name in servers.KINDS for scenario in everything for name in scenario.servers)
    calls = {
        (options['serializer'], options['payload'], options['connections'], options['in-flight'])
        for options in (scenario.options for scenario in everything if scenario.mode == 'calls')
        if 'serializer' in options
    }
    # What is left out is said.
    left_out = scenarios.list_unmeasured()
    assert len(calls) + len(left_out) == 2 * 3 * 3 * 2
    assert all('1,000 connections' in left['title'] and '256 KiB' in left['title'] for left in left_out)
    # It fits into the descriptors there are, with some to spare.
    steps = find_scenario('memory').options['steps']
    assert isinstance(steps, list)
    assert steps == [100, 800]


def test_sessions_are_as_many_as_there_is_room_for() -> None:
    assert scenarios.find_most_sessions(20000, PLENTY) == 19800
    assert scenarios.find_most_sessions(2**20, PLENTY) == 100_000
    assert scenarios.find_most_sessions(2**20, 2**30) == 8192
    # Never more on an address than it has ports.
    assert all(count / scenarios.count_sources(count) < 20000 for count in (1, 19800, 100_000))
    assert scenarios.count_sources(64) == 1


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
    assert figures['load_cpu_share'] == 0.2
    assert figures['latency_us']['count'] == 300


def test_round_without_a_result_is_a_failure() -> None:
    figures = results.merge_rounds([{'rate': 0, 'operations': 0, 'failures': 0}])
    assert figures['failures']['first'] == 'Nothing was completed within the time of a round.'
    assert 'rate' not in figures


def test_memory_is_the_median_of_the_rounds() -> None:
    def result(last: int, failures: int = 0) -> dict:
        steps = [{'sessions': 100, 'memory': 1000}, {'sessions': 200, 'memory': last}]
        return {'steps': steps, 'failures': failures, 'first_failure': ''}

    figures = results.summarize_memory([result(2000), result(5000), result(3000), result(9000, failures=1)])
    assert figures['rate']['median'] == 20
    assert figures['steps'] == [{'sessions': 100, 'memory': 1000}, {'sessions': 200, 'memory': 3000}]
    assert figures['failures']['rounds'] == 1
