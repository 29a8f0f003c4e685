"""The compiled parts, built with the C compiler of the machine when they are first needed."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / 'c'
FLAGS = ['-O2', '-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra']
PROGRAMS = {
    'loadgen': ['loadgen.c', 'calls.c', 'events.c', 'client.c', 'measure.c', 'wamp.c'],
    'floor': ['floor.c'],
}


class BenchError(Exception):
    """The bench can't run. The text is a sentence that says what to do."""


@dataclass(frozen=True)
class Tools:
    """The programs, and the command lines that have built them."""

    loadgen: Path
    floor: Path
    commands: tuple[str, ...]


def find_compiler() -> list[str]:
    """Return the command of the C compiler: $CC, cc, gcc or clang. Raises BenchError."""
    if os.environ.get('CC'):
        return shlex.split(os.environ['CC'])
    for name in ('cc', 'gcc', 'clang'):
        if shutil.which(name):
            return [name]
    raise BenchError(
        'The load generator is a C program, and there is no C compiler on the PATH. Install one (Debian, Ubuntu: '
        'apt install gcc libc6-dev; Fedora: dnf install gcc), or set CC to yours.'
    )


def cache_directory() -> Path:
    """Return where built programs are kept: below $XDG_CACHE_HOME or ~/.cache."""
    home = os.environ.get('XDG_CACHE_HOME')
    return (Path(home) if home else Path.home() / '.cache') / 'serverwamp-fast'


def build_tools(directory: Path | None = None) -> Tools:
    """Return the compiled programs; builds what the sources or the compiler have changed for. Raises BenchError."""
    if not sys.platform.startswith('linux'):
        raise BenchError('The load generator uses epoll, and CPU times from /proc: the bench runs on Linux only.')
    compiler = find_compiler()
    digest = hashlib.sha256(repr([compiler, FLAGS]).encode())
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.read_bytes())
    target = (directory or cache_directory()) / f'bench-{digest.hexdigest()[:16]}'
    target.mkdir(parents=True, exist_ok=True)
    commands = []
    for name, files in PROGRAMS.items():
        sources = [str(SOURCES / file) for file in files]
        program = target / name
        commands.append(shlex.join([*compiler, *FLAGS, '-o', str(program), *sources]))
        if not program.exists():
            compile_program(compiler, sources, program)
    return Tools(target / 'loadgen', target / 'floor', tuple(commands))


def compile_program(compiler: list[str], sources: list[str], program: Path) -> None:
    """Compile sources into a program, which appears only when it is complete. Raises BenchError."""
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        unfinished = Path(scratch, program.name)
        try:
            subprocess.run(
                [*compiler, *FLAGS, '-o', str(unfinished), *sources], check=True, capture_output=True, text=True
            )
        except OSError as error:
            raise BenchError(f'The C compiler {compiler[0]!r} can not be started: {error.strerror}.') from error
        except subprocess.CalledProcessError as error:
            raise BenchError(f'{program.name} can not be compiled:\n{error.stderr}') from error
        unfinished.rename(program)
