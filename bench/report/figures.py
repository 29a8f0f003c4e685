"""What the reports show of results: a figure and a ratio for each server, and the goals of the project.

Ratios are between servers of one run and one scenario. The results are those of load.runner, or read from JSON.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from ..load.servers import BASELINE, KINDS

LOWER_IS_BETTER = {'bytes/session', 'µs', '× its cost among 10'}
# From here on, more load could have led to more answers.
BUSY_LOAD = 0.9
# Below that on both sides, neither the server nor the load was what limited the figure.
IDLE = 0.8
# Fewer latencies say little of their p99.
ENOUGH_SAMPLES = 1000

Result = dict[str, Any]


def title_of(server: str) -> str:
    return KINDS[server].title if server in KINDS else server


def figure_of(scenario: Result, server: str) -> dict[str, Any] | None:
    """Return median, min and max of what a scenario is about, or None if it failed or didn't run."""
    figures = scenario['servers'].get(server, {})
    if scenario['unit'] != 'µs':
        return figures.get('rate')
    latency = figures.get('polite_latency_us') or figures.get('latency_us')
    if latency is None:
        return None
    rounds = latency['rounds']['p99']
    return {'median': median(rounds), 'min': min(rounds), 'max': max(rounds)}


def compare(scenario: Result, server: str, other: str) -> float | None:
    """Return how many times better a server is than another one."""
    figure, base = figure_of(scenario, server), figure_of(scenario, other)
    if not figure or not base or not figure['median'] or not base['median']:
        return None
    ratio = figure['median'] / base['median']
    return 1 / ratio if scenario['unit'] in LOWER_IS_BETTER else ratio


def compare_cpu(scenario: Result, server: str, other: str) -> float | None:
    """Return how many times less CPU time a server takes for an operation than another one."""
    figures = [scenario['servers'].get(name, {}).get('cpu_us_per_operation') for name in (server, other)]
    if not all(figures) or not figures[0]['median']:
        return None
    return figures[1]['median'] / figures[0]['median']


@dataclass(frozen=True)
class Row:
    """A server's line of a table; texts, as they are shown."""

    server: str
    title: str
    value: str
    spread: str
    ratio: str
    cpu: str
    cpu_ratio: str
    p50: str
    p99: str
    server_share: str
    load_share: str
    remark: str
    failed: bool

    def texts(self) -> tuple[str, ...]:
        """Return what is shown, in the order of heading()."""
        return (
            self.title, self.value, self.spread, self.ratio, self.cpu, self.cpu_ratio, self.p50, self.p99,
            self.server_share, self.load_share, self.remark,
        )  # fmt: skip


# Columns with numbers come after the first.
NUMBERS = 9


def heading(scenario: Result) -> tuple[str, ...]:
    """Return the heads of a scenario's table."""
    unit = 'p99 µs (median of rounds)' if scenario['unit'] == 'µs' else scenario['unit']
    return (
        'server', unit, 'min .. max', 'ratio', 'CPU µs/op', 'CPU ratio', 'p50 µs', 'p99 µs', 'server busy', 'load busy',
        '',
    )  # fmt: skip


def format_number(value: float) -> str:
    """Return a number with three digits that matter, or all that are before the point."""
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def format_ratio(ratio: float | None) -> str:
    return '' if ratio is None else f'{format_number(ratio)} ×'


def format_share(share: float | None) -> str:
    return '' if share is None else f'{share:.0%}'


def format_failure(failures: dict[str, Any]) -> str:
    return f'FAILED in {failures["rounds"]} of {failures["of"]} rounds: {failures["first"]}'


def is_load_the_limit(figures: Result) -> bool:
    """Return whether the load generator was so busy that the server might have done more."""
    return figures.get('load_cpu_share', 0) >= BUSY_LOAD


def remarks_of(scenario: Result, figures: Result) -> Iterator[str]:
    """Yield what has to be known of a server's figure."""
    if figures.get('missing'):
        yield f'not run: {", ".join(figures["missing"])} not installed'
    if figures.get('failures'):
        yield format_failure(figures['failures'])
    if is_load_the_limit(figures):
        yield f'at least: the load generator took {figures["load_cpu_share"]:.0%} of its core'
    elif 'server_cpu_share' in figures and max(figures['server_cpu_share'], figures['load_cpu_share']) < IDLE:
        # A single connection takes turns with the server by its nature.
        if scenario['options'].get('connections', 1) > 1:
            yield 'neither core was busy'
    if scenario['unit'] == 'µs' and figures.get('latency_us'):
        polite = figures.get('polite_latency_us')
        yield f'{(polite or figures["latency_us"])["count"]:,} answers'
        if polite:
            yield f'the others: {format_number(figures["rate"]["median"])} calls/s'
    if figures.get('costs_ns'):
        shown = '{few_ns:,.0f} ns among 10, {many_ns:,.0f} ns among 10,000, {all_ns:,.0f} ns for all 10,000 in turn'
        yield shown.format(**figures['costs_ns'])


def rows_of(scenario: Result) -> Iterator[Row]:
    """Yield a row for each server of a scenario; failures and what could not run included."""
    for server, figures in scenario['servers'].items():
        value = figure_of(scenario, server)
        latency = figures.get('polite_latency_us') or figures.get('latency_us')
        cpu = figures.get('cpu_us_per_operation')
        yield Row(
            server,
            title_of(server),
            format_number(value['median']) if value else '',
            f'{format_number(value["min"])} .. {format_number(value["max"])}' if value else '',
            format_ratio(compare(scenario, server, BASELINE)),
            format_number(cpu['median']) if cpu else '',
            format_ratio(compare_cpu(scenario, server, BASELINE)),
            format_number(latency['p50']) if latency else '',
            format_number(latency['p99']) if latency else '',
            format_share(figures.get('server_cpu_share')),
            format_share(figures.get('load_cpu_share')),
            '; '.join(remarks_of(scenario, figures)),
            bool(figures.get('failures')),
        )
