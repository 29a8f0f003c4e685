"""Results as a page of the documentation."""

from typing import Any

from .figures import find_goals, rows_of
from .notes import NOTES


def table(head: tuple[str, ...], rows: list[tuple[str, ...]], numbers: int) -> list[str]:
    """Return the lines of a table; `numbers` columns after the first are right-aligned."""
    rule = ['---:' if 1 <= at <= numbers else '---' for at in range(len(head))]
    lines = [head, tuple(rule), *rows]
    return ['| ' + ' | '.join(cell.replace('|', '\\|').replace('\n', ' ') for cell in line) + ' |' for line in lines]


def build_markdown(results: dict[str, Any]) -> str:
    """Return the page."""
    lines = [
        '# Benchmarks',
        '',
        f'Made by `{results["command"]}`, which writes this page. On {results["started"]} it took '
        f'{results["seconds"] / 60:.0f} minutes.',
        '',
        'To reproduce it, on Linux with a C compiler:',
        '',
        "    pip install 'serverwamp-fast[bench]'",
        '    serverwamp-fast bench          # two minutes',
        '    serverwamp-fast bench --full   # half an hour: all of what is below',
        '',
        'Both write `bench-results/report.html`, with plots and the exact commands of each server and load.',
        '',
        '## The machine',
        '',
        *table(('', ''), list(results['machine'].items()), 0),
        '',
        '## How to read it',
        '',
    ]
    for note in NOTES:
        lines += [note, '']
    goals = [goal for goal in find_goals(results['scenarios'], tuple(results['python'])) if goal.measured is not None]
    if goals:
        rows = [
            (goal.what, goal.wanted, goal.measured or '', 'reached' if goal.reached else 'not reached')
            for goal in goals
        ]
        lines += ['## Goals', '', *table(('what', 'goal', 'measured', ''), rows, 0), '']
    lines += ['## Results', '']
    for scenario in results['scenarios']:
        head = ('server', scenario['unit'], 'min .. max', 'ratio', 'CPU µs/op', 'CPU ratio', 'p50 µs', 'p99 µs', '')
        rows = [
            (row.title, row.value, row.spread, row.ratio, row.cpu, row.cpu_ratio, row.p50, row.p99, row.remark)
            for row in rows_of(scenario)
        ]
        lines += [f'### {scenario["title"]}', '', *([scenario['note'], ''] if scenario['note'] else [])]
        lines += [*table(head, rows, 7), '']
    return '\n'.join(lines).rstrip() + '\n'
