"""Results on the terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .figures import NUMBERS, heading, rows_of
from .goals import HEADING, find_goals


def print_scenario(console: Console, scenario: dict[str, Any]) -> None:
    """Print the table of one scenario."""
    table = Table(title=escape(scenario['title']), title_justify='left', title_style='bold', expand=False)
    for at, name in enumerate(heading(scenario)):
        table.add_column(name, justify='right' if 1 <= at <= NUMBERS else 'left')
    for row in rows_of(scenario):
        *texts, remark = map(escape, row.texts())
        style = 'red' if row.failed else 'bold' if row.server.startswith('fast-') else None
        table.add_row(*texts, remark[:300], style=style)
    console.print(table)
    if scenario['note']:
        console.print(escape(scenario['note']))
    console.print()


def print_goals(console: Console, results: dict[str, Any]) -> None:
    """Print what the project wants to reach beside what was measured."""
    table = Table(title='Goals', title_justify='left', title_style='bold')
    for name in HEADING:
        table.add_column(name)
    for goal in find_goals(results['scenarios'], tuple(results['python'])):
        table.add_row(*map(escape, goal.texts()))
    if table.row_count:
        console.print(table)
