"""Compares the instructions that fixed messages take with the stored figures; see ci/instructions.

    python guard.py [--update]

Instructions don't depend on what else the machine does, but on the version of Python and the processor's
architecture: figures are stored for each version, and judged where the architecture is the same. They also depend, by
less, on the builds of Python, the compiler and the libraries; that is what the tolerance is for. What differs from the
stored is named, so that who is told of a fault knows where else to look.
"""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
FIGURES = HERE.parent / 'instructions.json'
VERSION = '{}.{}'.format(*sys.version_info[:2])
TIMEOUT = 600
LABEL = re.compile(r'^desc: Trigger: Client Request: (\d+) (.+)$', re.MULTILINE)
TOTAL = re.compile(r'^(?:summary|totals): (\d+)', re.MULTILINE)


def build_marks(directory: Path) -> Path:
    """Compile marks.c; raises CalledProcessError, with the compiler's words printed."""
    library = directory / 'marks.so'
    compiler = shlex.split(os.environ.get('CC', 'cc'))
    subprocess.run([*compiler, '-O2', '-shared', '-fPIC', '-o', str(library), str(HERE / 'marks.c')], check=True)
    return library


def read_counts(directory: Path) -> dict[str, int]:
    """Return instructions for one operation of each sequence, from callgrind's files."""
    counts = {}
    for path in sorted(directory.glob('callgrind.out.*')):
        text = path.read_text(errors='replace')
        label, total = LABEL.search(text), TOTAL.search(text)
        if label and total:
            counts[label[2]] = round(int(total[1]) / int(label[1]))
    return counts


def count() -> dict[str, int]:
    """Run the sequences under callgrind. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        marks = build_marks(directory)
        subprocess.run(
            ['valgrind', '--tool=callgrind', '--instr-atstart=no', '--quiet',
             f'--callgrind-out-file={directory}/callgrind.out', sys.executable, str(HERE / 'sequences.py'), str(marks)],
            check=True, timeout=TIMEOUT, env={**os.environ, 'PYTHONHASHSEED': '0'},
        )  # fmt: skip
        return read_counts(directory)


def describe_environment() -> dict[str, str]:
    """Return what figures depend on besides the code."""
    compiler = [*shlex.split(os.environ.get('CC', 'cc')), '-dumpfullversion', '-dumpversion']
    return {
        'python': sys.version,
        'compiler': subprocess.run(compiler, check=True, capture_output=True, text=True).stdout.strip(),
        'libraries': ', '.join(f'{name} {version(name)}' for name in ('orjson', 'msgpack', 'websockets')),
        'machine': platform.machine(),
    }


def compare(found: dict[str, int], stored: dict[str, int], tolerance: float) -> tuple[list[str], list[str]]:
    """Return the lines of a table, and what is wrong: too many instructions, or no figure to compare with."""
    lines, faults = [], []
    for name in sorted({*found, *stored}):
        now, before = found.get(name), stored.get(name)
        change = f'{now / before - 1:+.1%}' if now and before else ''
        lines.append(f'{name:50} {before or "-":>10} {now or "-":>10} {change:>8}')
        if now is None:
            faults.append(f'{name!r} is stored, but there is no such sequence any more.')
        elif before is None:
            faults.append(f'{name!r} has no stored figure.')
        elif now > before * (1 + tolerance):
            faults.append(f'{name!r} takes {change} instructions; {tolerance:.0%} are tolerated.')
        elif now < before * (1 - tolerance):
            lines.append(f'    This is better by more than the tolerance of {tolerance:.0%}: store it, see below.')
    return lines, faults


def main(arguments: list[str] | None = None) -> int:
    """Compare or, with --update, store."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--update', action='store_true', help='store what is counted now')
    options = parser.parse_args(arguments)
    figures = json.loads(FIGURES.read_text('utf-8'))
    found, environment = count(), describe_environment()
    if options.update:
        figures['pythons'][VERSION] = {'made_with': environment, 'instructions': found}
        FIGURES.write_text(json.dumps(figures, indent=4, sort_keys=True) + '\n', 'utf-8')
        print(f'{FIGURES.name} now holds these figures for Python {VERSION}. Say in the commit why they have changed.')
    stored = figures['pythons'].get(VERSION)
    if stored is None:
        print(
            f'Not judged: {FIGURES.name} has no figures for Python {VERSION}. `ci/instructions --update` stores those '
            'of this machine.'
        )
        return 0
    lines, faults = compare(found, stored['instructions'], figures['tolerance'])
    print(f'{"instructions per operation, Python " + VERSION:50} {"stored":>10} {"now":>10} {"change":>8}')
    print('\n'.join(lines))
    for name, value in stored['made_with'].items():
        if environment[name] != value:
            print(f'Stored with {name} {value!r}; here it is {environment[name]!r}.')
    if environment['machine'] != stored['made_with']['machine']:
        print('Not judged: another architecture takes other instructions.')
        return 0
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print(
            'If that is how it has to be, `ci/instructions --update` stores the new figures; commit '
            f'bench/{FIGURES.name} with the reason.',
            file=sys.stderr,
        )
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
