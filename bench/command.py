"""What `serverwamp-fast bench` does: run the scenarios that are asked for, show and write the results."""

import argparse
import json
import shlex
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .load.runner import Runner, Settings, find_free_memory, raise_descriptor_limit
from .load.scenarios import Scenario, all_scenarios, list_unmeasured
from .load.servers import KINDS
from .load.tools import BenchError, build_tools, find_compiler
from .report.html import build_page
from .report.machine import describe_machine
from .report.markdown import build_markdown
from .report.table import print_goals, print_scenario

# Of the layout of results.json.
FORMAT = 1


def select(names: list[str], patterns: list[str], what: str) -> list[str]:
    """Return the names that fit any of the patterns. Raises BenchError for a pattern that fits none."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise BenchError(f'There is no {what} {pattern!r}. `serverwamp-fast bench --list` shows all.')
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def choose_scenarios(options: argparse.Namespace) -> list[Scenario]:
    """Return the scenarios to run: those that are named, else all, or those of a short run."""
    scenarios = list_scenarios()
    if options.only:
        names = select([scenario.name for scenario in scenarios], options.only, 'scenario')
        return [scenario for scenario in scenarios if scenario.name in names]
    return [scenario for scenario in scenarios if options.full or scenario.in_short]


def list_scenarios() -> list[Scenario]:
    """Return all scenarios, as large as this machine allows."""
    return all_scenarios(raise_descriptor_limit(), find_free_memory())


def print_lists(console: Console) -> None:
    """Print the names that --only and --servers take."""
    console.print('Scenarios (* in a short run):')
    for scenario in list_scenarios():
        console.print(f'  {"*" if scenario.in_short else " "} {scenario.name:26} {scenario.title}', highlight=False)
    console.print('Servers:')
    for kind in KINDS.values():
        console.print(f'    {kind.name:26} {kind.title}', highlight=False)


def run_scenarios(
    console: Console, runner: Runner, scenarios: list[Scenario], show: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """Run scenarios behind a progress bar; return and show what came of them."""
    settings = runner.settings
    total = sum(settings.rounds_of(scenario) * len(settings.servers_of(scenario)) for scenario in scenarios)
    results = []
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task('', total=total)

        def note(scenario: Scenario, server: str, number: int) -> None:
            progress.update(task, advance=1, description=f'{scenario.name}: {KINDS[server].title}')

        runner.note = note
        try:
            for scenario in scenarios:
                if not settings.servers_of(scenario):
                    continue
                results.append(runner.run_scenario(scenario))
                show(results[-1])
        finally:
            runner.stop()
    return results


def measure(console: Console, options: argparse.Namespace) -> dict[str, Any]:
    """Return the results of a run. Raises BenchError."""
    scenarios = choose_scenarios(options)
    others: dict[str, Any] = {}
    if options.rounds:
        others['rounds'] = options.rounds
    if options.servers:
        others['servers'] = tuple(select(list(KINDS), options.servers, 'server'))
    settings = Settings.choose(not options.full, **others)
    tools = build_tools()
    started = datetime.now(UTC)
    before = time.monotonic()
    machine = describe_machine(find_compiler(), settings.server_core, settings.load_core)
    results = run_scenarios(console, Runner(tools, settings), scenarios, lambda found: print_scenario(console, found))
    return {
        'format': FORMAT,
        'command': shlex.join(['serverwamp-fast', *sys.argv[1:]]),
        'started': started.strftime('%Y-%m-%d %H:%M UTC'),
        'seconds': time.monotonic() - before,
        'python': list(sys.version_info[:2]),
        'machine': machine,
        'settings': {
            'full': options.full, 'rounds': settings.rounds, 'warmup': settings.warmup, 'duration': settings.duration,
        },
        'builds': list(tools.commands),
        'scenarios': results,
        'unmeasured': list_unmeasured() if options.full and not options.only else [],
    }  # fmt: skip


def read_results(path: Path) -> dict[str, Any]:
    """Return the results that an earlier run has written. Raises BenchError."""
    try:
        results = json.loads(path.read_text('utf-8'))
    except (OSError, ValueError) as error:
        raise BenchError(f'The results {path} can not be read: {error}') from error
    if not isinstance(results, dict) or results.get('format') != FORMAT:
        raise BenchError(f'{path} holds no results that this version can read.')
    return results


def write_reports(console: Console, options: argparse.Namespace, results: dict[str, Any]) -> None:
    """Write results.json, report.html and, if asked for, the page of the documentation. Raises OSError."""
    options.output.mkdir(parents=True, exist_ok=True)
    data, page = options.output / 'results.json', options.output / 'report.html'
    data.write_text(json.dumps(results, indent=1) + '\n', 'utf-8')
    page.write_text(build_page(results), 'utf-8')
    written = [data, page]
    if options.markdown:
        options.markdown.write_text(build_markdown(results), 'utf-8')
        written.append(options.markdown)
    console.print('Written:', ', '.join(map(str, written)), highlight=False, soft_wrap=True)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the process's exit status: 1 if a round has failed."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    # Like Ctrl-C, so that no server is left behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.list:
            print_lists(console)
            return 0
        if options.report:
            results = read_results(options.report)
            for scenario in results['scenarios']:
                print_scenario(console, scenario)
        else:
            results = measure(console, options)
        print_goals(console, results)
        write_reports(console, options, results)
    except (BenchError, OSError) as error:
        print(f'serverwamp-fast: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('serverwamp-fast: interrupted; nothing is written.', file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    servers = [figures for scenario in results['scenarios'] for figures in scenario['servers'].values()]
    return 1 if any(figures.get('failures') for figures in servers) else 0
