"""Look at what an sdist and a wheel hold: `python check_archives.py SDIST WHEEL`, for ci/wheels."""

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
BUILT = {'.c', '.h', '.o', '.so', '.pyd', '.pyc', '.html'}
# The load generator of the bench is written in C, and a page is the test of a browser's client.
WRITTEN = ('bench/', 'serverwamp_fast/bench/load/c/', 'tests/interop/languages/')


def list_sources(*patterns: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for pattern in patterns
        for path in ROOT.glob(pattern)
        if path.is_file()
    }


def find_faults(sdist: Path, wheel: Path) -> list[str]:
    with tarfile.open(sdist) as archive:
        names = (PurePosixPath(member.name) for member in archive.getmembers() if member.isfile())
        packed = {PurePosixPath(*name.parts[1:]).as_posix() for name in names}
    with zipfile.ZipFile(wheel) as archive:
        installed = set(archive.namelist())

    interfaces = list_sources('serverwamp_fast/**/*.pyi', 'serverwamp_fast/**/*.pxd')
    package = interfaces | list_sources('serverwamp_fast/**/*.py', 'serverwamp_fast/py.typed')
    sources = list_sources('_core/**/*.pyx')
    bench = list_sources('bench/*.py', 'bench/report/*.py', 'bench/load/**/*.py', 'bench/load/c/*')
    needed = package | sources | bench | list_sources('bench/**/*.py', 'bench/**/*.c', 'bench/*.json')
    needed |= list_sources('tests/**/*.py', 'tests/interop/languages/*/**/*', 'examples/*.py', 'docs/*.md', 'ci/*')
    needed |= {'setup.py', 'pyproject.toml', 'README.md', 'CHANGELOG.md', 'LICENSE'}
    needed = {name for name in needed if '/__pycache__/' not in name}

    faults = [f'The sdist lacks {name}.' for name in sorted(needed - packed)]
    faults += [
        f'The sdist holds {name}, which is built and not written.'
        for name in sorted(packed)
        if (PurePosixPath(name).suffix in BUILT and not name.startswith(WRITTEN)) or name.startswith('build/')
    ]
    package |= {f'serverwamp_fast/{name}' for name in bench if '/__pycache__/' not in name}
    faults += [f'The wheel lacks {name}.' for name in sorted(package - installed)]
    for source in sorted(sources):
        module = f'serverwamp_fast/{source.removesuffix(".pyx")}.*'
        if not any(PurePosixPath(name).match(module) for name in installed - interfaces):
            faults.append(f'The wheel lacks the extension module of {source}.')
    faults += [
        f'The wheel holds {name}, which is not for users.'
        for name in sorted(installed)
        if name.split('/')[0] != 'serverwamp_fast' and '.dist-info/' not in name
        or (PurePosixPath(name).suffix in BUILT - {'.so', '.pyd'} | {'.pyx'} and not name.startswith(WRITTEN))
    ]
    return faults


if __name__ == '__main__':
    faults = find_faults(Path(sys.argv[1]), Path(sys.argv[2]))
    if faults:
        sys.exit('\n'.join(faults))
