"""`serverwamp-fast bench`: its options, and where the bench itself is found.

The bench is no part of the library: nothing of it is loaded before the command runs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = 'serverwamp_fast.bench'


def load_bench(module: str) -> ModuleType:
    """Return a module of the bench, by its name in it. Raises ImportError."""
    checkout = Path(__file__).parents[1]
    source = checkout / 'bench' / '__init__.py'
    # In a wheel the directory bench/ of the repository is a subpackage of this one.
    if NAME not in sys.modules and (checkout / 'pyproject.toml').exists() and source.exists():
        spec = importlib.util.spec_from_file_location(NAME, source, submodule_search_locations=[str(source.parent)])
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f'{NAME}.{module}')


def split_names(text: str) -> list[str]:
    """Return the names of a list that is separated by commas."""
    return [name.strip() for name in text.split(',') if name.strip()]


def parse_rounds(text: str) -> int:
    """Return a number of rounds, from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'a number from 1 on is needed, and {text!r} is none')
    return int(text)


def add_bench_parser(commands: Any) -> None:
    """Add the subcommand to those of a parser."""
    parser = commands.add_parser(
        'bench',
        help='compare this package with serverwamp 2.0.0 on this machine',
        description='Run servers and a load generator side by side, and report ratios. Takes two minutes, or with '
        "--full half an hour. It needs Linux, a C compiler, and in a checkout of serverwamp_fast: pip install "
        "'.[bench]'.",
    )
    parser.add_argument('--full', action='store_true', help='all scenarios, longer rounds')
    parser.add_argument(
        '--only', metavar='NAMES', type=split_names, help='scenarios to run, as patterns: calls-*,memory'
    )
    parser.add_argument(
        '--servers', metavar='NAMES', type=split_names, help='servers to run, as patterns: fast-*,floor'
    )
    parser.add_argument('--rounds', metavar='N', type=parse_rounds, help='rounds of each scenario at most')
    parser.add_argument(
        '--output', metavar='DIRECTORY', type=Path, default=Path('bench-results'),
        help='where results.json and report.html go (%(default)s)',
    )  # fmt: skip
    parser.add_argument('--markdown', metavar='FILE', type=Path, help='write the tables as Markdown too')
    parser.add_argument(
        '--report', metavar='RESULTS', type=Path, help='run nothing, make the reports from such a results.json'
    )
    parser.add_argument('--list', action='store_true', help='list the scenarios and servers')


def run_bench(options: argparse.Namespace) -> int:
    """Run the bench; return the process's exit status."""
    try:
        command = load_bench('command')
    except ImportError as error:
        print(
            f"serverwamp-fast: The bench needs {error.name}, which is not installed. Install all that it needs, "
            "in a checkout of serverwamp_fast: pip install '.[bench]'",
            file=sys.stderr,
        )
        return 2
    status: int = command.run(options)
    return status
