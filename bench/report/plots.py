"""Which plots there are: throughput, latency distribution, fan-out, memory over connections."""

from collections.abc import Iterator
from typing import Any

from ..load.servers import KINDS
from .figures import figure_of, title_of
from .svg import COLORS, Bar, Line, bar_chart, line_chart

Result = dict[str, Any]


def color_of(server: str) -> str:
    """Return the colour of a server, the same one in all plots."""
    names = list(KINDS)
    return COLORS[names.index(server) % len(COLORS)] if server in names else COLORS[-1]


def plot_figures(scenario: Result) -> str:
    """Return the figures of a scenario as bars."""
    bars = []
    for server in scenario['servers']:
        figure = figure_of(scenario, server)
        if figure is not None:
            bars.append(Bar(title_of(server), figure['median'], figure['min'], figure['max'], color_of(server)))
    unit = scenario['unit'] + (' (p99)' if scenario['unit'] == 'µs' else '')
    return bar_chart(scenario['title'], unit, bars) if bars else ''


def accumulate(histogram: list[tuple[float, int]]) -> list[tuple[float, float]]:
    """Return how large (µs) the largest of a share of the values is, in no more points than a plot shows.

    The share is given as 1 in how many are larger, so that a logarithmic axis shows the tail: 100 stands for 99 %.
    """
    total = sum(count for _, count in histogram)
    seen, points, last = 0, [(1.0, histogram[0][0])], 1.0
    for value, count in histogram:
        seen += count
        # At the end nothing is larger: as if one was.
        one_in = total / max(total - seen, 1)
        if one_in >= last * 1.02:
            points.append((one_in, value))
            last = one_in
    if histogram[-1][0] != points[-1][1]:
        points.append((float(total), histogram[-1][0]))
    return points


def name_share(one_in: float) -> str:
    """Return 1 in 100 as 99%."""
    return f'{100 - 100 / one_in:.10g}%'


def plot_latencies(scenario: Result) -> str:
    """Return the distribution of latencies of a scenario, the tail stretched as with HdrHistogram."""
    lines = []
    for server, figures in scenario['servers'].items():
        latency = figures.get('polite_latency_us') or figures.get('latency_us')
        if latency:
            lines.append(Line(title_of(server), accumulate(latency['histogram']), color_of(server)))
    if not lines:
        return ''
    title = f'Latency: {scenario["title"]}'
    return line_chart(title, 'share of answers', 'µs', lines, log_x=True, log_y=True, name_x=name_share)


def plot_memory(scenario: Result) -> str:
    """Return memory over the number of sessions."""
    lines = [
        Line(
            title_of(server),
            [(step['sessions'], step['memory'] / 2**20) for step in figures['steps']],
            color_of(server),
        )
        for server, figures in scenario['servers'].items()
        if figures.get('steps')
    ]
    return line_chart('Memory of the server over idle sessions', 'sessions', 'MiB', lines) if lines else ''


def plot_fan_out(scenarios: list[Result]) -> str:
    """Return events per second over the number of subscribers, where several numbers were measured."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for scenario in scenarios:
        if scenario['mode'] != 'events' or scenario['options'].get('burst', 1) != 1:
            continue
        if scenario['options'].get('serializer', 'json') != 'json':
            continue
        way = 'a loop' if scenario['options']['procedure'] == 'bench.spread' else 'publish()'
        for server in scenario['servers']:
            figure = figure_of(scenario, server)
            if figure is not None:
                point = (float(scenario['options']['connections']), figure['median'])
                found.setdefault((server, way), []).append(point)
    lines = [
        Line(f'{title_of(server)}, {way}', sorted(points), color_of(server), is_dashed=way == 'publish()')
        for (server, way), points in found.items()
        if len(points) > 1 and not (way == 'publish()' and server.startswith('serverwamp-'))
    ]
    return line_chart('Fan-out', 'subscribers', 'events/s', lines, log_x=True) if lines else ''


def all_plots(scenarios: list[Result]) -> Iterator[str]:
    """Yield the plots that go over several scenarios or stand for many."""
    yield plot_fan_out(scenarios)
    for scenario in scenarios:
        if scenario['mode'] == 'hold':
            yield plot_memory(scenario)
        if scenario['name'] in ('calls-1', 'calls-16', 'polite-alone', 'polite-63', 'events-1000'):
            yield plot_latencies(scenario)
