"""A checkout whose extension modules are not built says what to do, in one sentence."""

import shutil
import subprocess
import sys
from pathlib import Path

import serverwamp_fast

PACKAGE = Path(serverwamp_fast.__file__).parent


def run_in(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-I', '-c', f'import sys; sys.path.insert(0, {str(folder)!r}); {program}'],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_modules_that_are_missing(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns('*.so', '*.pyd', '__pycache__')
    shutil.copytree(PACKAGE, tmp_path / 'serverwamp_fast', ignore=left_out)
    done = run_in(tmp_path, 'import serverwamp_fast')
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith('ImportError: The extension modules of serverwamp_fast are not built for Python 3.')
    assert 'run ci/setup-venv' in sentence and str(tmp_path) in sentence
    # Without the error that it comes from, which would only distract.
    assert done.stderr.count('Traceback') == 1


def test_another_module_that_is_missing_is_named(tmp_path: Path) -> None:
    done = run_in(PACKAGE.parent, "sys.modules['msgpack'] = None; import serverwamp_fast")
    assert 'not built' not in done.stderr
    assert 'msgpack' in done.stderr.splitlines()[-1]


def test_modules_that_are_there() -> None:
    assert run_in(PACKAGE.parent, 'import serverwamp_fast').stderr == ''
