"""What the reports show of results: a figure and a ratio for each server, and the goals of the project.

Ratios are between servers of one run and one scenario. The results are those of load.runner, or read from JSON.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..load.servers import BASELINE, KINDS

LOWER_IS_BETTER = {'bytes/session', 'µs'}
# From here on, more load could have led to more answers.
BUSY_LOAD = 0.9

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
    rounds = sorted(latency['rounds']['p99'])
    return {'median': rounds[len(rounds) // 2], 'min': rounds[0], 'max': rounds[-1]}


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
    remark: str
    failed: bool


def format_number(value: float) -> str:
    """Return a number with three digits that matter, or all that are before the point."""
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def format_ratio(ratio: float | None) -> str:
    return '' if ratio is None else f'{format_number(ratio)} ×'


def format_failure(failures: dict[str, Any]) -> str:
    return f'FAILED in {failures["rounds"]} of {failures["of"]} rounds: {failures["first"]}'


def rows_of(scenario: Result) -> Iterator[Row]:
    """Yield a row for each server of a scenario; failures and what could not run included."""
    for server, figures in scenario['servers'].items():
        value = figure_of(scenario, server)
        remarks = []
        if figures.get('missing'):
            remarks.append(f'not run: {", ".join(figures["missing"])} not installed')
        if figures.get('failures'):
            remarks.append(format_failure(figures['failures']))
        if figures.get('load_cpu_share', 0) >= BUSY_LOAD:
            remarks.append(f'at least: the load generator took {figures["load_cpu_share"]:.0%} of its core')
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
            '; '.join(remarks),
            bool(figures.get('failures')),
        )


@dataclass(frozen=True)
class Goal:
    """One goal, and how far it is reached; `measured` is None if that wasn't measured."""

    what: str
    wanted: str
    measured: str | None
    reached: bool | None


def ratio_goal(what: str, scenario: Result | None, server: str, other: str, wanted: float) -> Goal:
    against = 'serverwamp 2.0.0' if other == BASELINE else title_of(other)
    ratio = compare(scenario, server, other) if scenario else None
    return Goal(
        what,
        f'at least {wanted:g} × {against}',
        None if ratio is None else f'{ratio:.2f} ×',
        None if ratio is None else ratio >= wanted,
    )


def find_goals(scenarios: list[Result], python: tuple[int, int]) -> list[Goal]:
    """Return the goals of the project, against what was measured."""
    known = {scenario['name']: scenario for scenario in scenarios}
    eager = 20 if python >= (3, 12) else 16
    native = 'fast-native'
    goals = [
        ratio_goal('one call in flight, 64 connections', known.get('calls-1'), native, BASELINE, 4),
        ratio_goal('the same, against the floor', known.get('calls-1'), native, 'floor', 0.75),
        ratio_goal('16 calls in flight', known.get('calls-16'), native, BASELINE, eager),
        ratio_goal('events to 1,000 subscribers, a loop', known.get('events-1000'), native, BASELINE, 15),
        ratio_goal('the same, 100 in a burst', known.get('events-1000x100'), native, BASELINE, 15),
        ratio_goal(
            'realm.publish() to 1,000, 100 in a burst', known.get('publish-1000x100'), native, BASELINE, 30
        ),
        ratio_goal('sessions opened per second', known.get('open'), native, BASELINE, 5),
        ratio_goal('the aiohttp adapter, 16 in flight', known.get('calls-16'), 'fast-aiohttp', BASELINE, 3),
    ]
    for name, scenario in (('one', 'calls-1'), ('16', 'calls-16')):
        for library in ('uvicorn', 'websockets'):
            goals.append(
                ratio_goal(
                    f'{library}, {name} in flight', known.get(scenario), f'fast-{library}', f'echo-{library}', 0.9
                )
            )
    memory = known.get('memory')
    figure = figure_of(memory, native) if memory else None
    goals.append(
        Goal(
            'memory of an idle session with one subscription',
            'at most 2,560 bytes',
            None if figure is None else f'{figure["median"]:,.0f} bytes',
            None if figure is None else figure['median'] <= 2560,
        )
    )
    goals.append(ratio_goal('the same, ratio', memory, native, BASELINE, 8))
    alone, beside = (
        figure_of(known[name], native) if name in known else None for name in ('polite-alone', 'polite-63')
    )
    slower = beside['median'] / alone['median'] if alone and beside else None
    goals.append(
        Goal(
            'p99 of a client that waits, beside 63 that pipeline',
            'at most 2 × its p99 alone',
            None if slower is None else f'{slower:.2f} ×',
            None if slower is None else slower <= 2,
        )
    )
    return goals
