"""What the figures were made on."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    'serverwamp-fast', 'serverwamp', 'uvloop', 'aiohttp', 'uvicorn', 'websockets', 'picows', 'httptools', 'orjson',
    'msgpack',
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
    pinned = f'server on core {server_core}, load on core {load_core}'
    return {
        'processor': read_field('/proc/cpuinfo', 'model name') or platform.processor() or platform.machine(),
        'cores': str(len(os.sched_getaffinity(0))),
        'pinning': pinned if server_core is not None else 'none: there is one core only',
        'memory': f'{int(memory[0]) / 2**20:.1f} GiB' if memory else 'unknown',
        'system': platform.platform(),
        'Python': f'{platform.python_implementation()} {platform.python_version()}, {sys.executable}',
        'compiler': describe_compiler(compiler),
        'load average before': '{:.2f} {:.2f} {:.2f}'.format(*os.getloadavg()),
        'packages': ', '.join(f'{package} {find_version(package)}' for package in PACKAGES),
    }
