"""Runs checks in a child process, where nothing else makes objects and a crash ends only the child."""

import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

ROUNDS = 2000


def run_isolated(source: str) -> str:
    """Run Python source in a process of its own and return what it prints.

    It can import the tests' modules, and finds `check_growth` there. Whatever it writes to stderr is a failure:
    what escapes from a destructor is only said there.
    """
    environment = dict(os.environ, PYTHONFAULTHANDLER='1')
    # Another allocator counts no blocks.
    environment.pop('PYTHONMALLOC', None)
    paths = [*sys.path, str(Path(__file__).parents[1])]
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    child = subprocess.run(
        [sys.executable, '-c', 'from support.isolated import check_growth\n' + textwrap.dedent(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, ''), child.stderr
    return child.stdout


def check_growth(use: Callable[[], object], rounds: int = ROUNDS) -> None:
    """Fail if doing something many times leaves blocks of memory behind, one in ten rounds or more."""
    for _ in range(rounds // 10):
        use()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(rounds):
        use()
    gc.collect()
    left = sys.getallocatedblocks() - before
    assert left < rounds / 10, f'{left} blocks are left after {rounds} rounds'
