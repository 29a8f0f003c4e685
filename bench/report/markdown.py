"""Results as a page of the documentation."""

from typing import Any

from .figures import NUMBERS, heading, rows_of
from .goals import HEADING, find_goals
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
        'To reproduce it in a checkout, on Linux with a C compiler:',
        '',
        "    pip install '.[bench]'",
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
    goals = find_goals(results['scenarios'], tuple(results['python']))
    if goals:
        lines += ['## Goals', '', *table(HEADING, [goal.texts() for goal in goals], 0), '']
    lines += ['## Results', '']
    for scenario in results['scenarios']:
        rows = [row.texts() for row in rows_of(scenario)]
        lines += [f'### {scenario["title"]}', '', *([scenario['note'], ''] if scenario['note'] else [])]
        lines += [*table(heading(scenario), rows, NUMBERS), '']
    if results.get('unmeasured'):
        lines += ['## Not measured', '']
        lines += [f'- {left["title"]}: {left["reason"]}.' for left in results['unmeasured']]
    return '\n'.join(lines).rstrip() + '\n'
