"""The extension modules: every _core/<x>.pyx becomes serverwamp_fast._core.<x>.

All else is in pyproject.toml.

Environment variables select another build:

    SERVERWAMP_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer (ci/sanitize)
    SERVERWAMP_COVERAGE=1   line tracing, for the coverage of the Cython code (ci/coverage)
    SERVERWAMP_WERROR=1     every warning of the C compiler is an error (ci/wheels)
    SERVERWAMP_ANNOTATE=1   beside the C, an HTML page per module shows where Python's API is called
    SERVERWAMP_PREBUILT=1   no modules at all: they have been built in place before (ci/setup-venv)

Generated C is kept under build/, in a directory for each kind of build and each version of Cython,
so that no build ever picks up what another one has left.
"""

import os
import re
from pathlib import Path

import Cython
from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCES = Path('_core')
INTERFACES = Path('serverwamp_fast/_core')
CIMPORT = re.compile(r'^\s*from \.(\w*) cimport (.+)', re.MULTILINE)

switches = [
    name
    for name in ('SANITIZE', 'COVERAGE', 'WERROR', 'ANNOTATE', 'PREBUILT')
    if os.environ.get(f'SERVERWAMP_{name}', '0') not in ('', '0')
]
build_dir = Path('build', '-'.join([f'cython-{Cython.__version__}', *switches]).lower())

directives = {'language_level': 3, 'binding': True, 'embedsignature': False}
compile_args: list[str] = []
link_args: list[str] = []
macros: list[tuple[str, str | None]] = []

if 'SANITIZE' in switches:
    link_args += ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']
    compile_args += [*link_args, '-g', '-O1', '-fno-omit-frame-pointer']
if 'COVERAGE' in switches:
    directives['linetrace'] = True
    # Coverage's tracer is an old-style trace function; modules that report by sys.monitoring don't
    # reach it.
    macros += [('CYTHON_TRACE', '1'), ('CYTHON_TRACE_NOGIL', '1')]
    macros += [('CYTHON_USE_SYS_MONITORING', '0')]
if 'WERROR' in switches:
    # CPython calls its slots with arguments that a generated function may have no use for.
    compile_args += ['-Wall', '-Wextra', '-Werror']
    compile_args += ['-Wno-unused-parameter', '-Wno-missing-field-initializers']


def find_interfaces(source: Path, found: set[Path]) -> set[Path]:
    """Add to `found` the .pxd files a source depends on, its own and those that it cimports."""
    own = INTERFACES / f'{source.stem}.pxd'
    names = {source.stem}
    for text in (path.read_text('utf-8') for path in {source, own} if path.exists()):
        for module, imported in CIMPORT.findall(text):
            names |= {module} if module else set(re.findall(r'\w+', imported))
    for interface in (INTERFACES / f'{name}.pxd' for name in sorted(names)):
        if interface.exists() and interface not in found:
            found.add(interface)
            find_interfaces(interface, found)
    return found


extensions = []
for source in [] if 'PREBUILT' in switches else sorted(SOURCES.glob('*.pyx')):
    interfaces = find_interfaces(source, set())
    # Cython looks for the .pxd files beside the sources, where they are not, and would keep C that
    # is out of date.
    generated = build_dir / source.with_suffix('.c')
    newest = max(path.stat().st_mtime for path in {Path('setup.py'), *interfaces})
    if generated.exists() and generated.stat().st_mtime < newest:
        generated.unlink()
    extensions.append(
        Extension(
            f'serverwamp_fast._core.{source.stem}',
            [source.as_posix()],
            depends=sorted(path.as_posix() for path in interfaces),
            define_macros=macros,
            extra_compile_args=compile_args,
            extra_link_args=link_args,
        )
    )

setup(
    ext_modules=cythonize(
        extensions,
        include_path=['.'],
        build_dir=build_dir.as_posix(),
        compiler_directives=directives,
        annotate='ANNOTATE' in switches,
    ),
)
