"""What the bench makes of results: ratios, goals, tables, plots, pages."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from support.bench_parts import figures, goals, html, machine, markdown, plots, servers, svg


def server(median: float, *, cpu: float | None = None, **others: Any) -> dict[str, Any]:
    result = {
        'rate': {'median': median, 'min': median - 1, 'max': median + 1, 'rounds': [median]},
        'failures': None,
        'latency_us': {
            'p50': 5.0, 'p90': 6.0, 'p99': 9.0, 'p999': 9.5, 'max': 10.0, 'histogram': [[5.0, 98], [9.0, 2]],
            'rounds': {'p50': [5.0], 'p99': [9.0, 7.0, 8.0]}, 'count': 3000,
        },
        'commands': {'server': 'python server.py', 'load': 'loadgen calls --port 1 <&>'},
        **others,
    }  # fmt: skip
    if cpu is not None:
        result['cpu_us_per_operation'] = {'median': cpu, 'min': cpu, 'max': cpu, 'rounds': [cpu]}
    return result


def scenario(name: str, unit: str = 'calls/s', mode: str = 'calls', **servers: dict[str, Any]) -> dict[str, Any]:
    return {
        'name': name, 'title': f'Title of {name} & more', 'mode': mode, 'unit': unit, 'note': '', 'options': {},
        'servers': {key.replace('_', '-'): value for key, value in servers.items()},
    }  # fmt: skip


FAILED = {
    'failures': {'rounds': 2, 'of': 3, 'count': 7, 'first': 'It <broke> | here.', 'server_said': 'Traceback <x>'},
    'commands': {'server': 'python other.py', 'load': 'loadgen'},
}


def build_results() -> dict[str, Any]:
    calls = scenario(
        'calls-16',
        fast_native=server(2000, cpu=5),
        fast_aiohttp=server(200, load_cpu_share=0.97),
        serverwamp_aiohttp=server(100, cpu=50),
        serverwamp_uvicorn=dict(FAILED),
        echo_picows={'missing': ['picows']},
    )
    steps = [{'sessions': 100, 'memory': 10**7}, {'sessions': 1000, 'memory': 3 * 10**7}]
    memory = scenario(
        'memory', 'bytes/session', 'hold',
        fast_native=server(2000, steps=steps), serverwamp_aiohttp=server(20000, steps=steps),
    )  # fmt: skip
    fan_out = []
    for subscribers in (100, 1000):
        events = scenario(
            f'events-{subscribers}', 'events/s', 'events',
            fast_native=server(subscribers * 9), serverwamp_aiohttp=server(subscribers),
        )  # fmt: skip
        events['options'] = {'connections': subscribers, 'procedure': 'bench.spread'}
        fan_out.append(events)
    return {
        'format': 1, 'command': 'serverwamp-fast bench --full', 'started': '2026-01-01 00:00 UTC', 'seconds': 100.0,
        'python': [3, 13], 'machine': {'processor': 'A <b>', 'cores': '2'}, 'builds': ['cc -O2 -o x x.c'],
        'settings': {}, 'scenarios': [calls, memory, *fan_out],
        'unmeasured': [{'title': 'Calls <of> 1 GiB', 'reason': 'it takes | too long'}],
    }  # fmt: skip


def test_rows_have_ratios_and_failures() -> None:
    rows = {row.server: row for row in figures.rows_of(build_results()['scenarios'][0])}
    native = rows['fast-native']
    assert (native.value, native.ratio, native.cpu_ratio, native.spread) == (
        '2,000', '20.0 ×', '10.0 ×', '1,999 .. 2,001',
    )  # fmt: skip
    assert not native.failed and native.remark == ''
    assert '97%' in rows['fast-aiohttp'].remark
    failed = rows['serverwamp-uvicorn']
    assert failed.failed and failed.value == failed.ratio == ''
    assert failed.remark == 'FAILED in 2 of 3 rounds: It <broke> | here.'
    assert rows['echo-picows'].remark == 'not run: picows not installed'


def test_less_memory_is_better() -> None:
    memory = build_results()['scenarios'][1]
    assert figures.compare(memory, 'fast-native', 'serverwamp-aiohttp') == 10


def test_latency_scenarios_are_about_p99() -> None:
    polite = scenario('polite-alone', 'µs', fast_native=server(1), serverwamp_aiohttp=dict(FAILED))
    assert figures.figure_of(polite, 'fast-native') == {'median': 8.0, 'min': 7.0, 'max': 9.0}
    assert figures.figure_of(polite, 'serverwamp-aiohttp') is None
    assert figures.compare(polite, 'fast-native', 'serverwamp-aiohttp') is None
    # Of two rounds it is what lies between.
    polite['servers']['fast-native']['latency_us']['rounds']['p99'] = [7.0, 8.0]
    assert figures.figure_of(polite, 'fast-native') == {'median': 7.5, 'min': 7.0, 'max': 8.0}
    assert 'median of rounds' in figures.heading(polite)[1]
    assert list(figures.rows_of(polite))[0].remark == '3,000 answers'


def test_others_beside_a_polite_client_are_shown() -> None:
    beside = scenario('polite-63', 'µs', fast_native=server(5000))
    native = beside['servers']['fast-native']
    native['polite_latency_us'] = {**native['latency_us'], 'count': 40}
    [row] = figures.rows_of(beside)
    assert row.remark == '40 answers; the others: 5,000 calls/s'


def test_what_limited_a_figure_is_shown() -> None:
    def row_of(server_share: float, load_share: float, connections: int = 64) -> figures.Row:
        calls = scenario('x', fast_native=server(10, server_cpu_share=server_share, load_cpu_share=load_share))
        calls['options'] = {'connections': connections}
        return next(figures.rows_of(calls))

    row = row_of(0.98, 0.4)
    assert (row.server_share, row.load_share, row.remark) == ('98%', '40%', '')
    assert row_of(0.7, 0.95).remark == 'at least: the load generator took 95% of its core'
    assert row_of(0.5, 0.4).remark == 'neither core was busy'
    # One connection takes turns with the server.
    assert row_of(0.5, 0.4, connections=1).remark == ''


def test_costs_of_routes_are_shown() -> None:
    costs = {'few_ns': 100.0, 'many_ns': 120.0, 'all_ns': 310.0}
    routes = scenario(
        'routes', '× its cost among 10', 'routes',
        fast_native={**server(1.2), 'latency_us': None, 'costs_ns': costs},
        serverwamp_aiohttp={**server(1200), 'latency_us': None, 'costs_ns': costs},
    )  # fmt: skip
    row = next(figures.rows_of(routes))
    assert row.ratio == '1,000 ×'
    assert row.remark == '100 ns among 10, 120 ns among 10,000, 310 ns for all 10,000 in turn'
    [goal] = goals.find_goals([routes], (3, 13))
    assert (goal.measured, goal.reached) == ('1.20 ×', True)
    assert goal.remark.startswith('3.1 × if all 10,000')


def test_failed_rounds_beside_good_ones_are_shown() -> None:
    mixed = scenario('x', fast_native=server(10, failures=FAILED['failures']))
    [row] = figures.rows_of(mixed)
    assert row.failed and row.value == '10.0' and 'FAILED in 2 of 3' in row.remark


def find_goals(*scenarios: dict[str, Any], python: tuple[int, int] = (3, 13)) -> dict[str, goals.Goal]:
    return {goal.what: goal for goal in goals.find_goals(list(scenarios), python)}


@pytest.mark.parametrize(('python', 'wanted'), [((3, 11), 16), ((3, 12), 20)])
def test_goals(python: tuple[int, int], wanted: int) -> None:
    found = find_goals(*build_results()['scenarios'], python=python)
    goal = found['16 calls in flight']
    assert (goal.measured, goal.reached) == ('20.00 ×', True)
    assert f'{wanted} ×' in goal.wanted
    assert found['the aiohttp adapter, 16 in flight'].reached is False
    assert found['memory of an idle session with one subscription'].reached is True
    assert found['events to 1,000 subscribers, a loop'].reached is False
    # Not measured is neither.
    assert 'sessions opened, requests alike' not in found


@pytest.mark.parametrize('failing', ['fast_native', 'serverwamp_aiohttp'])
def test_goal_is_not_reached_where_rounds_failed(failing: str) -> None:
    sides = {'fast_native': server(2000), 'serverwamp_aiohttp': server(100)}
    sides[failing]['failures'] = FAILED['failures']
    goal = find_goals(scenario('calls-16', **sides))['16 calls in flight']
    assert (goal.measured, goal.reached) == ('20.00 ×', False)
    assert 'failed' in goal.remark and goal.texts()[3] == 'NOT reached'

    sides['fast_native']['steps'] = sides['serverwamp_aiohttp']['steps'] = []
    found = find_goals(scenario('memory', 'bytes/session', 'hold', **sides))
    assert found['memory of an idle session with one subscription'].reached is (failing != 'fast_native')


def test_goals_say_where_the_load_was_the_limit() -> None:
    busy = {'load_cpu_share': 0.99}
    calls = scenario(
        'calls-1',
        fast_native=server(80, cpu=5),
        serverwamp_aiohttp=server(10, **busy),
        floor=server(100, cpu=3, **busy),
    )  # fmt: skip
    found = find_goals(calls)
    assert found['one call in flight, 64 connections'].remark == (
        'at most: the load generator was the limit of serverwamp 2.0.0'
    )
    assert found['the same, against the floor'].remark == (
        'at most: the load generator was the limit of plain echo in C; by CPU time per operation 0.60 ×'
    )
    calls['servers']['fast-native'].update(busy)
    calls['servers']['serverwamp-aiohttp']['load_cpu_share'] = 0.2
    assert find_goals(calls)['one call in flight, 64 connections'].remark == (
        'at least: the load generator was the limit of serverwamp_fast, native'
    )


def test_goal_of_events_names_the_cost_that_stays() -> None:
    events = scenario(
        'events-1000', 'events/s', 'events',
        fast_native=server(500), serverwamp_aiohttp=server(100), floor_events=server(1200),
    )  # fmt: skip
    found = find_goals(events)
    assert 'send()' in found['events to 1,000 subscribers, a loop'].remark
    assert '12.0 × serverwamp 2.0.0' in found['events to 1,000 subscribers, a loop'].remark
    floor = found['the same, against the floor']
    assert (floor.measured, floor.reached, floor.texts()[3]) == ('0.42 ×', None, '')
    # Where it is reached, nothing stands in the way.
    events['servers']['fast-native'] = server(1500)
    assert find_goals(events)['events to 1,000 subscribers, a loop'].remark == ''


@pytest.mark.parametrize(('count', 'remark'), [(3000, ''), (400, 'from only 400 answers in 3 rounds')])
def test_fairness_goal(count: int, remark: str) -> None:
    alone, beside = (scenario(name, 'µs', fast_native=server(1)) for name in ('polite-alone', 'polite-63'))
    beside['servers']['fast-native']['polite_latency_us'] = {'rounds': {'p99': [16.0, 24.0, 20.0]}, 'count': count}
    goal = find_goals(alone, beside)['p99 of a client that waits, beside 63 that pipeline']
    assert (goal.measured, goal.reached, goal.remark) == ('2.50 ×', False, remark)


def test_html_page_is_whole_and_escaped() -> None:
    page = html.build_page(build_results())
    assert '<broke>' not in page and 'It &lt;broke&gt;' in page
    assert 'loadgen calls --port 1 &lt;&amp;&gt;' in page
    assert 'Traceback &lt;x&gt;' in page
    assert 'A &lt;b&gt;' in page
    assert 'cc -O2' in page
    assert 'Calls &lt;of&gt; 1 GiB: it takes | too long.' in page
    # Nothing is loaded from elsewhere.
    assert not re.search(r'(?:src|href)=', page)
    pictures = re.findall(r'<svg.*?</svg>', page, re.DOTALL)
    for picture in pictures:
        ElementTree.fromstring(picture)
    labels = [ElementTree.fromstring(picture).get('aria-label') for picture in pictures]
    assert 'Fan-out' in labels
    assert 'Memory of the server over idle sessions' in labels
    assert 'Latency: Title of calls-16 & more' in labels
    assert 'Title of calls-16 & more' in labels


def test_markdown_page() -> None:
    page = markdown.build_markdown(build_results())
    assert '`serverwamp-fast bench --full`' in page
    row = '| serverwamp_fast, native | 2,000 | 1,999 .. 2,001 | 20.0 × | 5.00 | 10.0 × | 5.00 | 9.00 |  |  |  |'
    assert row in page
    assert '- Calls <of> 1 GiB: it takes | too long.' in page
    assert "pip install '.[bench]'" in page
    assert 'It <broke> \\| here.' in page
    for block in re.findall(r'(?:^\|.*\n)+', page, re.MULTILINE):
        assert len({len(re.split(r'(?<!\\)\|', line)) for line in block.splitlines()}) == 1


def test_reports_of_nothing() -> None:
    results = {**build_results(), 'scenarios': [], 'unmeasured': []}
    assert 'Goals' not in html.build_page(results)
    assert markdown.build_markdown(results).endswith('## Results\n')


@pytest.mark.parametrize('high', [0.003, 0.9, 1, 7, 10, 999, 1234567])
def test_ticks_reach_the_top(high: float) -> None:
    ticks = svg.nice_ticks(high)
    assert ticks[0] == 0
    assert ticks[-1] >= high * 0.999
    assert 2 <= len(ticks) <= 8


def test_chart_without_data_says_so() -> None:
    assert 'No data.' in svg.line_chart('Empty', 'x', 'y', [svg.Line('none', [], 'red')])
    ElementTree.fromstring(svg.bar_chart('None', 'unit', []))


@pytest.mark.parametrize('log', [False, True])
def test_lines_lie_between_the_axes(log: bool) -> None:
    lines = [svg.Line('one', [(0.0, 3.0), (1.0, 5.0), (700.0, 20000.0)], 'red'), svg.Line('two', [(9.0, 1.0)], 'blue')]
    picture = ElementTree.fromstring(svg.line_chart('Lines', 'x', 'y', lines, log_x=log, log_y=log))
    drawn = [line.get('points', '') for line in picture.iter() if line.tag.endswith('polyline')]
    # A logarithm has no zero.
    assert [len(points.split()) for points in drawn] == [2 if log else 3, 1]
    for point in ' '.join(drawn).split():
        x, y = map(float, point.split(','))
        assert svg.MARGIN <= x <= svg.WIDTH - svg.MARGIN and 34 <= y <= 340


def test_every_server_has_a_colour_of_its_own() -> None:
    assert len({plots.color_of(name) for name in servers.KINDS}) == len(servers.KINDS)


def test_distribution_shows_the_tail() -> None:
    points = plots.accumulate([(float(value), 1) for value in range(1, 10001)])
    assert points[0] == (1.0, 1.0)
    assert points[-1] == (10000.0, 10000.0)
    assert len(points) < 1000
    assert points == sorted(points)
    # 1 in 100 is larger than 9,900, and 1 in 1,000 than 9,990.
    assert all(abs(value - (10000 - 10000 / one_in)) <= 1 for one_in, value in points[:-1])
    assert plots.accumulate([(5.0, 100)]) == [(1.0, 5.0), (100.0, 5.0)]
    assert [plots.name_share(one_in) for one_in in (1.0, 10.0, 100.0, 1000.0, 10000.0)] == [
        '0%', '90%', '99%', '99.9%', '99.99%',
    ]  # fmt: skip


def test_machine_is_described() -> None:
    described = machine.describe_machine(['no-such-compiler'], 0, 1)
    # Reports are published: where the interpreter lies is nobody's business.
    assert sys.prefix not in described['Python']
    assert described['pinning'].startswith('server on core 0, load on core 1: ')
    assert described['JSON in serverwamp'] in ('orjson', 'rapidjson')
    assert 'python-rapidjson' in described['packages'] and 'httptools' in described['packages']
    assert described['compiler'] == 'no-such-compiler'
    assert 'serverwamp 2.0.0' in described['packages']
    assert 'one core' in machine.describe_machine(['cc'], None, None)['pinning']


def test_commit_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = tmp_path / 'bench/report/machine.py'
    monkeypatch.setattr(machine, '__file__', str(module))
    assert machine.find_commit() == 'no git checkout'

    def git(*arguments: str) -> str:
        identity = ['-c', 'user.name=x', '-c', 'user.email=x']
        command = ['git', '-C', str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git('init')
    assert machine.find_commit() == 'unknown'
    (tmp_path / 'file').write_text('1')
    git('add', 'file')
    git('commit', '-m', 'x')
    assert git('rev-parse', 'HEAD').startswith(machine.find_commit())
    (tmp_path / 'file').write_text('2')
    assert machine.find_commit().endswith('-dirty')
