"""What the bench makes of results: ratios, goals, tables, plots, pages."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from bench_parts import figures, html, machine, markdown, plots, svg


def server(median: float, *, cpu: float | None = None, **others: Any) -> dict[str, Any]:
    result = {
        'rate': {'median': median, 'min': median - 1, 'max': median + 1, 'rounds': [median]},
        'failures': None,
        'latency_us': {
            'p50': 5.0, 'p90': 6.0, 'p99': 9.0, 'p999': 9.5, 'max': 10.0, 'histogram': [[5.0, 98], [9.0, 2]],
            'rounds': {'p50': [5.0], 'p99': [9.0, 7.0, 8.0]},
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


def test_failed_rounds_beside_good_ones_are_shown() -> None:
    mixed = scenario('x', fast_native=server(10, failures=FAILED['failures']))
    [row] = figures.rows_of(mixed)
    assert row.failed and row.value == '10.0' and 'FAILED in 2 of 3' in row.remark


@pytest.mark.parametrize(('python', 'wanted'), [((3, 11), 16), ((3, 12), 20)])
def test_goals(python: tuple[int, int], wanted: int) -> None:
    goals = {goal.what: goal for goal in figures.find_goals(build_results()['scenarios'], python)}
    goal = goals['16 calls in flight']
    assert (goal.measured, goal.reached) == ('20.00 ×', True)
    assert f'{wanted} ×' in goal.wanted
    assert goals['the aiohttp adapter, 16 in flight'].reached is False
    assert goals['memory of an idle session with one subscription'].reached is True
    assert goals['events to 1,000 subscribers, a loop'].reached is False
    # Not measured is neither.
    assert goals['sessions opened per second'].reached is None


def test_fairness_goal() -> None:
    alone, beside = (scenario(name, 'µs', fast_native=server(1)) for name in ('polite-alone', 'polite-63'))
    beside['servers']['fast-native']['polite_latency_us'] = {'rounds': {'p99': [16.0, 24.0, 20.0]}}
    goals = {goal.what: goal for goal in figures.find_goals([alone, beside], (3, 13))}
    goal = goals['p99 of a client that waits, beside 63 that pipeline']
    assert (goal.measured, goal.reached) == ('2.50 ×', False)


def test_html_page_is_whole_and_escaped() -> None:
    page = html.build_page(build_results())
    assert '<broke>' not in page and 'It &lt;broke&gt;' in page
    assert 'loadgen calls --port 1 &lt;&amp;&gt;' in page
    assert 'Traceback &lt;x&gt;' in page
    assert 'A &lt;b&gt;' in page
    assert 'cc -O2' in page
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
    assert '| serverwamp_fast, native | 2,000 | 1,999 .. 2,001 | 20.0 × | 5.00 | 10.0 × | 5.00 | 9.00 |  |' in page
    assert 'It <broke> \\| here.' in page
    for block in re.findall(r'(?:^\|.*\n)+', page, re.MULTILINE):
        assert len({len(re.split(r'(?<!\\)\|', line)) for line in block.splitlines()}) == 1


def test_reports_of_nothing() -> None:
    results = {**build_results(), 'scenarios': []}
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


def test_distribution_ends_at_everything() -> None:
    points = plots.accumulate([(float(value), 1) for value in range(1, 10001)])
    assert points[-1] == (10000.0, 100.0)
    assert len(points) < 1000
    assert [share for _, share in points] == sorted(share for _, share in points)


def test_machine_is_described() -> None:
    described = machine.describe_machine(['no-such-compiler'], 0, 1)
    assert described['pinning'] == 'server on core 0, load on core 1'
    assert described['compiler'] == 'no-such-compiler'
    assert 'serverwamp 2.0.0' in described['packages']
    assert 'one core' in machine.describe_machine(['cc'], None, None)['pinning']
