"""The micro benchmarks work, once each and untimed, and compare what they say they compare."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MICRO = ROOT / 'bench/micro'


def test_all_run() -> None:
    pytest.importorskip('pytest_benchmark')
    process = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '--benchmark-disable', '-p', 'no:cacheprovider', 'bench/micro'],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    assert 'skipped' not in process.stdout


def test_every_group_has_an_opponent() -> None:
    """A group without another package's figure would print no ratio."""
    groups = [
        {test.name for test in group.body if isinstance(test, ast.FunctionDef)}
        for path in sorted(MICRO.glob('test_*.py'))
        for group in ast.parse(path.read_text('utf-8')).body
        if isinstance(group, ast.ClassDef) and group.name.startswith('Test')
    ]
    assert len(groups) > 8
    assert all('test_fast' in tests and len(tests & {'test_serverwamp', 'test_websockets'}) for tests in groups)
