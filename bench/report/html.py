"""Results as one HTML file: tables, plots, the machine and the exact commands. It loads nothing from elsewhere."""

from html import escape
from typing import Any

from .figures import NUMBERS, heading, rows_of, title_of
from .goals import HEADING, find_goals
from .notes import NOTES
from .plots import all_plots, plot_figures

STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .6em 0 1.2em } td, th { padding: .2em .7em; border-bottom: 1px solid #ddd }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } tr.ours { font-weight: bold }
tr.failed td { color: #b00020 } svg { max-width: 760px; display: block; margin: 1em 0 }
code, pre { font: 12.5px monospace } pre { background: #f4f4f4; padding: .6em; overflow-x: auto; white-space: pre-wrap }
"""


def cells(tag: str, texts: tuple[str, ...], numbers: range) -> str:
    return ''.join(
        f'<{tag}{" class=n" if at in numbers else ""}>{escape(content)}</{tag}>' for at, content in enumerate(texts)
    )


def build_table(scenario: dict[str, Any]) -> str:
    """Return the table of a scenario."""
    numbers = range(1, 1 + NUMBERS)
    lines = [f'<table><tr>{cells("th", heading(scenario), numbers)}</tr>']
    for row in rows_of(scenario):
        kind = 'failed' if row.failed else 'ours' if row.server.startswith('fast-') else ''
        lines.append(f'<tr class="{kind}">{cells("td", row.texts(), numbers)}</tr>')
    return '\n'.join([*lines, '</table>'])


def build_commands(scenario: dict[str, Any]) -> str:
    """Return the commands of a scenario, as they were run in its last round."""
    lines = []
    for server, figures in scenario['servers'].items():
        commands = figures.get('commands')
        if commands:
            lines.append(f'# {title_of(server)}\n{commands["server"]}\n{commands["load"]}'.rstrip())
    for server, figures in scenario['servers'].items():
        said = (figures.get('failures') or {}).get('server_said')
        if said:
            lines.append(f'# {title_of(server)} printed, when a round had failed:\n{said}')
    text = escape('\n\n'.join(lines))
    return f'<details><summary>commands</summary><pre>{text}</pre></details>'


def build_goals(results: dict[str, Any]) -> str:
    goals = find_goals(results['scenarios'], tuple(results['python']))
    if not goals:
        return ''
    lines = [f'<h2>Goals</h2><table><tr>{cells("th", HEADING, range(0))}</tr>']
    lines += [f'<tr>{cells("td", goal.texts(), range(0))}</tr>' for goal in goals]
    return '\n'.join([*lines, '</table>'])


def build_unmeasured(results: dict[str, Any]) -> str:
    """Return what belongs here and wasn't measured."""
    items = ''.join(
        f'<li>{escape(left["title"])}: {escape(left["reason"])}.</li>' for left in results.get('unmeasured', ())
    )
    return f'<h2>Not measured</h2><ul>{items}</ul>' if items else ''


def build_page(results: dict[str, Any]) -> str:
    """Return the page."""
    machine = ''.join(
        f'<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>' for name, value in results['machine'].items()
    )
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>serverwamp_fast: bench</title>',
        f'<style>{STYLE}</style><h1>serverwamp_fast beside serverwamp 2.0.0</h1>',
        f'<p>{escape(results["started"])}, {results["seconds"]:.0f} s: <code>{escape(results["command"])}</code></p>',
        f'<table>{machine}</table>',
        ''.join(f'<p>{escape(note)}</p>' for note in NOTES),
        build_goals(results),
        '<h2>Overview</h2>',
        *(plot for plot in all_plots(results['scenarios']) if plot),
        '<h2>Scenarios</h2>',
    ]
    for scenario in results['scenarios']:
        note = f'<p>{escape(scenario["note"])}</p>' if scenario['note'] else ''
        parts += [
            f'<h3>{escape(scenario["title"])}</h3>',
            note,
            build_table(scenario),
            plot_figures(scenario),
            build_commands(scenario),
        ]
    parts.append(build_unmeasured(results))
    builds = escape('\n'.join(results['builds']))
    parts.append(f'<h2>How the load generator and the floor were built</h2><pre>{builds}</pre></html>')
    return '\n'.join(part for part in parts if part)
