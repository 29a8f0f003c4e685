"""Results on the terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .figures import find_goals, rows_of


def print_scenario(console: Console, scenario: dict[str, Any]) -> None:
    """Print the table of one scenario."""
    table = Table(title=escape(scenario['title']), title_justify='left', title_style='bold', expand=False)
    table.add_column('server')
    for name in (scenario['unit'], 'min .. max', 'ratio', 'CPU µs/op', 'CPU ratio', 'p50 µs', 'p99 µs'):
        table.add_column(name, justify='right')
    table.add_column('')
    for row in rows_of(scenario):
        table.add_row(
            *map(escape, (row.title, row.value, row.spread, row.ratio, row.cpu, row.cpu_ratio, row.p50, row.p99)),
            escape(row.remark[:300]),
            style='red' if row.failed else 'bold' if row.server.startswith('fast-') else None,
        )
    console.print(table)
    if scenario['note']:
        console.print(escape(scenario['note']))
    console.print()


def print_goals(console: Console, results: dict[str, Any]) -> None:
    """Print what the project wants to reach beside what was measured."""
    table = Table(title='Goals', title_justify='left', title_style='bold')
    for name in ('what', 'goal', 'measured', ''):
        table.add_column(name)
    for goal in find_goals(results['scenarios'], tuple(results['python'])):
        if goal.measured is not None:
            table.add_row(goal.what, goal.wanted, goal.measured, 'reached' if goal.reached else 'NOT REACHED')
    if table.row_count:
        console.print(table)
