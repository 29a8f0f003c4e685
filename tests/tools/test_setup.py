"""What setup.py finds out about the extension modules before it builds them, and what builds say and leave out."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('Cython', reason='setup.py is run with Cython, which only the build needs')

ROOT = Path(__file__).parents[2]
PACKAGE = 'serverwamp_fast._core'


def load(**environment: str) -> dict[str, Any]:
    """The names of setup.py, with nothing run, as a process that translates one module has them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ('SANITIZE', 'COVERAGE', 'WERROR', 'ANNOTATE', 'PREBUILT'):
            patch.delenv(f'SERVERWAMP_{name}', raising=False)
        patch.delenv('JOBS', raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        return runpy.run_path(str(ROOT / 'setup.py'), run_name='__mp_main__')


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('from .ids cimport next_id', {'base.ids', 'base.ids.next_id'}),
        ('from . cimport ids, uris as u', {'base', 'base.ids', 'base.uris'}),
        (
            'from ..wire.frames cimport (\n    A,  # why, so\n    B,\n)',
            {'wire.frames', 'wire.frames.A', 'wire.frames.B'},
        ),
        ('    from .. cimport wire', {'', 'wire'}),
        (f'from {PACKAGE}.uris cimport check', {'uris', 'uris.check'}),
        (f'cimport {PACKAGE}.uris as u, {PACKAGE}.base.ids  # both', {'uris', 'base.ids'}),
        ('# from .ids cimport next_id\nfrom .ids import next_id', set()),
    ],
)
def test_cimports_are_found_however_they_are_written(text: str, expected: set[str]) -> None:
    found = load()['find_cimported'](text, f'{PACKAGE}.base')
    assert {name.removeprefix(PACKAGE).lstrip('.') for name in found} == expected


def test_modules_in_folders_depend_on_interfaces_of_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interfaces = Path('serverwamp_fast/_core')
    texts = {
        Path('_core/wire/frames.pyx'): 'from ..base.utf8 cimport check\n',
        interfaces / 'wire/frames.pxd': '',
        interfaces / 'base/utf8.pxd': 'from .ids cimport Id\n',
        interfaces / 'base/ids.pxd': 'from ..wire.frames cimport Frame\n',
        # Of the same name as one that is needed.
        interfaces / 'ids.pxd': '',
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    extension = load()['make_extension'](Path('_core/wire/frames.pyx'))
    assert extension.name == f'{PACKAGE}.wire.frames'
    assert extension.sources == ['_core/wire/frames.pyx']
    assert extension.depends == [
        f'serverwamp_fast/_core/{name}.pxd' for name in ('base/ids', 'base/utf8', 'wire/frames')
    ]


def test_every_cimport_of_the_project_is_a_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names = load()
    for source in names['SOURCES'].rglob('*.pyx'):
        interfaces = {Path(path).stem for path in names['make_extension'](source).depends}
        for line in source.read_text().splitlines():
            if line.startswith('from .') and ' cimport ' in line:
                module = line.split()[1].rpartition('.')[2]
                assert module in interfaces, f'{source}: {line}'


def test_generated_code_is_thrown_away_when_an_interface_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = load()
    paths = 'setup.py', '_core/base/ids.pyx', 'serverwamp_fast/_core/base/ids.pxd'
    generated = names['build_dir'] / '_core/base/ids.c'
    for path in *map(Path, paths), generated:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1000, 1000))
    extension = names['make_extension'](Path('_core/base/ids.pyx'))
    assert names['is_translated'](extension)
    for path in paths:
        generated.touch()
        os.utime(generated, (2000, 2000))
        os.utime(path, (3000, 3000))
        assert not names['is_translated'](extension)
        assert not generated.exists()
        os.utime(path, (1000, 1000))


def test_jobs_says_how_many_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('JOBS', raising=False)
    count = load()['count_processes']
    assert count() >= 1
    monkeypatch.setenv('JOBS', '3')
    assert count() == 3
    for wrong in ('0', '-1', 'all'):
        monkeypatch.setenv('JOBS', wrong)
        with pytest.raises(SystemExit, match=f'JOBS={wrong} is not a number'):
            count()


@pytest.mark.parametrize(
    ('environment', 'expected'),
    [
        ({}, ['-g0']),
        ({'CFLAGS': '-O1'}, ['-g0']),
        ({'CFLAGS': '-O1 -g'}, []),
        ({'SERVERWAMP_COVERAGE': '1'}, []),
    ],
)
def test_debugging_information_is_left_out_unless_asked_for(
    environment: dict[str, str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from setuptools import Distribution, Extension

    monkeypatch.delenv('CFLAGS', raising=False)
    names = load(**environment)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command = names['BuildModules'](Distribution())
    command.extensions = [Extension('one', ['one.c'])]
    command.compiler = type('Compiler', (), {'compiler_type': 'unix'})
    command.choose_flags()
    assert command.extensions[0].extra_compile_args == expected
    stripped = bool(expected) and sys.platform != 'darwin'
    assert command.extensions[0].extra_link_args == (['-s'] if stripped else [])


def test_questions_translate_nothing(tmp_path: Path) -> None:
    """pip asks setup.py for build requirements and for metadata before it builds."""
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for path in ('_core/base/ids.pyx', 'serverwamp_fast/__init__.py', 'bench/__init__.py'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('this is no code\n')
    for package in ('load', 'report'):
        (tmp_path / 'bench' / package).mkdir()
    subprocess.run(
        [sys.executable, 'setup.py', '--quiet', 'egg_info'], cwd=tmp_path, check=True, timeout=120
    )
    assert not (tmp_path / 'build').exists()
    assert '_core/base/ids.pyx' in next(tmp_path.glob('*.egg-info/SOURCES.txt')).read_text()
