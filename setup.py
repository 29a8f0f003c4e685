"""The extension modules: every _core/**/<x>.pyx becomes serverwamp_fast._core.**.<x>.

All else is in pyproject.toml, but for the list of the packages, which is found here.

Environment variables select another build:

    SERVERWAMP_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer (ci/sanitize)
    SERVERWAMP_COVERAGE=1   line tracing, for the coverage of the Cython code (ci/coverage)
    SERVERWAMP_WERROR=1     every warning of the C compiler is an error (ci/wheels)
    SERVERWAMP_ANNOTATE=1   beside the C, an HTML page per module shows where Python's API is called
    SERVERWAMP_PREBUILT=1   no modules at all: they have been built in place before (ci/setup-venv)
    JOBS=N                  N processes work at once; default: one for each processor
    CFLAGS=-g               keeps debugging information and symbols, which are left out otherwise

Generated C is kept under build/, in a directory for each kind of build and each version of Cython,
so that no build ever picks up what another one has left.
"""

import os
import re
import sys
import time
from pathlib import Path

import Cython
from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

ROOT_PACKAGE = 'serverwamp_fast'
SOURCES = Path('_core')
# The load generator and the reports, which `serverwamp-fast bench` runs; see pyproject.toml.
BENCH_PACKAGES = [
    'serverwamp_fast.bench',
    'serverwamp_fast.bench.load',
    'serverwamp_fast.bench.report',
]
# `from a.b cimport x, y`, also with the names in parentheses over several lines, and `cimport a.b as c`.
FROM_CIMPORT = re.compile(
    r'^[ \t]*from[ \t]+([\w.]+)[ \t]+cimport[ \t]+(\([^)]*\)|[^\n#]*)', re.MULTILINE
)
CIMPORT = re.compile(r'^[ \t]*cimport[ \t]+([^\n#]*)', re.MULTILINE)

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


def count_processes() -> int:
    """Return how many processes work at once. Raises SystemExit where JOBS is no positive number."""
    jobs = os.environ.get('JOBS', '')
    if not jobs:
        # What this process may use, where the system tells; in a container, fewer than there are.
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, 'sched_getaffinity')
            else os.cpu_count() or 1
        )
    if not jobs.isdecimal() or int(jobs) < 1:
        raise SystemExit(
            f'JOBS={jobs} is not a number of processes. Set it to 1 or more, or unset it.'
        )
    return int(jobs)


def count_modules(modules: list[Extension]) -> str:
    return '1 module' if len(modules) == 1 else f'{len(modules)} modules'


def name_module(source: Path) -> str:
    return '.'.join([ROOT_PACKAGE, *source.with_suffix('').parts])


def find_cimported(text: str, package: str) -> set[str]:
    """Return the full names of the modules that a text of `package` may cimport, and perhaps names that are none."""
    found = set()
    for base, listed in FROM_CIMPORT.findall(text):
        dots = len(base) - len(base.lstrip('.'))
        parents = package.split('.')[: 1 - dots or None] if dots else []
        module = '.'.join([*parents, *filter(None, base.lstrip('.').split('.'))])
        # A name that is imported can be a module itself.
        listed = re.sub(r'#.*', '', listed)
        names = [words.split()[0] for words in listed.strip('() \t').split(',') if words.strip()]
        found |= {module, *(f'{module}.{name}' for name in names)}
    for listed in CIMPORT.findall(text):
        found |= {words.split()[0] for words in listed.split(',') if words.strip()}
    return found


def find_interfaces(module: str, sources: set[Path], found: set[Path]) -> set[Path]:
    """Add to `found` the .pxd files that a module depends on: its own and, from there on, those that are cimported."""
    own = Path(*module.split('.')).with_suffix('.pxd')
    package = module.rpartition('.')[0]
    names = {module}
    for path in {*sources, own}:
        if path.exists():
            names |= find_cimported(path.read_text('utf-8'), package)
    for name in sorted(names):
        interface = Path(*name.split('.')).with_suffix('.pxd')
        if name.startswith(f'{ROOT_PACKAGE}.') and interface.exists() and interface not in found:
            found.add(interface)
            find_interfaces(name, set(), found)
    return found


def make_extension(source: Path) -> Extension:
    interfaces = find_interfaces(name_module(source), {source}, set())
    return Extension(
        name_module(source),
        [source.as_posix()],
        depends=sorted(path.as_posix() for path in interfaces),
        define_macros=macros,
        extra_compile_args=list(compile_args),
        extra_link_args=list(link_args),
    )


def is_translated(extension: Extension) -> bool:
    """Tell whether the generated C of an extension is up to date, and remove it if it is not: Cython looks for the
    .pxd files beside the sources, where they are not, and would keep it.
    """
    [source] = extension.sources
    generated = build_dir / Path(source).with_suffix('.c')
    if not generated.exists():
        return False
    newest = max(Path(path).stat().st_mtime for path in ['setup.py', source, *extension.depends])
    if generated.stat().st_mtime >= newest:
        return True
    generated.unlink()
    return False


class BuildModules(build_ext):
    """Translates the modules and compiles them, several at once, and says so.

    Translation belongs to this command, because setup.py also runs to answer questions, such as pip's for the build
    requirements, that need no C.
    """

    def finalize_options(self) -> None:
        super().finalize_options()
        # --parallel, or the command `build` with it, has been heard by now.
        if self.parallel is None:
            self.parallel = count_processes()

    def say(self, message: str) -> None:
        if self.verbose:
            # ci/setup-venv looks for this prefix.
            print(f'{ROOT_PACKAGE}: {message}', flush=True)

    def choose_flags(self) -> None:
        """Leave out debugging information and symbols, unless CFLAGS or another kind of build asks for them."""
        asked = re.search(r'(^|\s)-g', os.environ.get('CFLAGS', ''))
        if (
            asked
            or {'SANITIZE', 'COVERAGE'} & set(switches)
            or self.compiler.compiler_type == 'msvc'
        ):
            return
        for extension in self.extensions:
            # Python's own flags, which come before these, mostly say -g.
            extension.extra_compile_args.append('-g0')
            # Apple's linker calls it obsolete; without debugging information there is little to strip.
            if sys.platform != 'darwin':
                extension.extra_link_args.append('-s')

    def is_stale(self, extension: Extension) -> bool:
        built = self.get_ext_fullpath(extension.name)
        return bool(
            self.force or newer_group([*extension.sources, *extension.depends], built, 'newer')
        )

    def build_extensions(self) -> None:
        begin = time.monotonic()
        processes = int(self.parallel)
        self.choose_flags()
        missing = [extension for extension in self.extensions if not is_translated(extension)]
        if missing:
            self.say(
                f'translating {count_modules(missing)} by Cython {Cython.__version__}, {processes} at once.'
            )
        translated = cythonize(
            self.extensions,
            nthreads=processes if processes > 1 else 0,
            quiet=not self.verbose,
            include_path=['.'],
            build_dir=build_dir.as_posix(),
            compiler_directives=directives,
            annotate='ANNOTATE' in switches,
        )
        for extension, result in zip(self.extensions, translated, strict=True):
            extension.sources = result.sources
        stale = [extension for extension in self.extensions if self.is_stale(extension)]
        if stale:
            self.say(f'compiling {count_modules(stale)}, {processes} at once.')
        # The largest first, so that no processor waits for one that has begun last.
        self.extensions.sort(key=lambda extension: -os.path.getsize(extension.sources[0]))
        super().build_extensions()
        if stale:
            self.say(f'built {count_modules(stale)} in {time.monotonic() - begin:.0f} s.')


# Where processes are spawned and not forked, each of those that translate imports this file.
if __name__ == '__main__':
    sources = [] if 'PREBUILT' in switches else sorted(SOURCES.rglob('*.pyx'))
    setup(
        packages=[*find_packages(include=[ROOT_PACKAGE, f'{ROOT_PACKAGE}.*']), *BENCH_PACKAGES],
        ext_modules=[make_extension(source) for source in sources],
        cmdclass={'build_ext': BuildModules},
    )
