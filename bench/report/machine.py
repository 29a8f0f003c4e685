"""What the figures were made on."""

import importlib.util
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..load.cores import describe_pinning

PACKAGES = (
    'serverwamp-fast', 'serverwamp', 'uvloop', 'aiohttp', 'uvicorn', 'websockets', 'picows', 'httptools', 'orjson',
    'msgpack', 'python-rapidjson',
)  # fmt: skip


def read_field(path: str, name: str) -> str:
    """Return the first value of a name in a file of `name: value` lines, or ''."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ''
    return next((line.partition(':')[2].strip() for line in lines if line.startswith(name)), '')


def find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return 'not installed'


def find_commit() -> str:
    """Return the commit that this checkout is at, and whether files differ from it; or what else is run."""
    checkout = Path(__file__).parents[2]
    if not (checkout / '.git').exists():
        return 'no git checkout'
    command = ['git', '-C', str(checkout), 'describe', '--always', '--dirty', '--abbrev=12']
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def find_json_library() -> str:
    """Return which library serverwamp uses for JSON; it takes the first that is there."""
    names = ('rapidjson', 'orjson')
    return next((name for name in names if importlib.util.find_spec(name) is not None), 'json')


def describe_compiler(command: list[str]) -> str:
    """Return the first line of what the compiler says of itself."""
    try:
        said = subprocess.run([*command, '--version'], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ' '.join(command)
    return said.partition('\n')[0]


def describe_machine(compiler: list[str], server_core: int | None, load_core: int | None) -> dict[str, str]:
    """Return a description of the machine and of what runs on it, to be shown as it is."""
    memory = read_field('/proc/meminfo', 'MemTotal').split()
    return {
        'processor': read_field('/proc/cpuinfo', 'model name') or platform.processor() or platform.machine(),
        'cores': str(len(os.sched_getaffinity(0))),
        'pinning': describe_pinning(server_core, load_core),
        'memory': f'{int(memory[0]) / 2**20:.1f} GiB' if memory else 'unknown',
        'system': platform.platform(),
        'Python': f'{platform.python_implementation()} {platform.python_version()}',
        'commit': find_commit(),
        'compiler': describe_compiler(compiler),
        'load average before': '{:.2f} {:.2f} {:.2f}'.format(*os.getloadavg()),
        'JSON in serverwamp': find_json_library(),
        'packages': ', '.join(f'{package} {find_version(package)}' for package in PACKAGES),
    }
