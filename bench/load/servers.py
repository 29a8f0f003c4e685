"""The servers that are compared, and how each is started: as its users start it, in a process of its own."""

import contextlib
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from .tools import BenchError, Tools

APPS = Path(__file__).parent / 'apps'
# Below those that Linux gives to connections, and to who asks for any.
PORTS = range(20000, 32000)
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
# A server is idle when it takes less CPU time in this than the system counts, a tick of 10 ms.
IDLE = 0.05
IDLE_TIMEOUT = 15.0


@dataclass(frozen=True)
class ServerKind:
    """One of the servers. In `command`, PYTHON, FLOOR and PORT stand for what is known later."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_echo: bool = False
    needs: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        return self.name.startswith('fast-')

    def missing(self) -> list[str]:
        """Return the modules that this server needs and that are not installed."""
        return [module for module in self.needs if find_spec(module) is None]


def wamp_server(package: str, server: str, loop: str) -> tuple[str, ...]:
    return ('PYTHON', str(APPS / 'wamp_server.py'), package, server, loop, 'PORT')


def uvicorn_server(app: str) -> tuple[str, ...]:
    return (
        'PYTHON', '-m', 'uvicorn', '--app-dir', str(APPS), '--host', '127.0.0.1', '--port', 'PORT',
        '--log-level', 'warning', f'{app}:app',
    )  # fmt: skip


KINDS = {
    kind.name: kind
    for kind in [
        ServerKind(
            'fast-native', 'serverwamp_fast, native', wamp_server('serverwamp_fast', 'native', 'uvloop'),
            needs=('uvloop',),
        ),
        ServerKind(
            'fast-aiohttp', 'serverwamp_fast, aiohttp, uvloop', wamp_server('serverwamp_fast', 'aiohttp', 'uvloop'),
            needs=('aiohttp', 'uvloop'),
        ),
        ServerKind(
            'fast-uvicorn', 'serverwamp_fast, uvicorn', uvicorn_server('wamp_asgi'),
            {'BENCH_PACKAGE': 'serverwamp_fast'}, needs=('uvicorn', 'uvloop'),
        ),
        ServerKind(
            'fast-websockets', 'serverwamp_fast, websockets, uvloop',
            wamp_server('serverwamp_fast', 'websockets', 'uvloop'), needs=('uvloop',),
        ),
        ServerKind(
            'serverwamp-aiohttp', 'serverwamp 2.0.0, aiohttp, uvloop', wamp_server('serverwamp', 'aiohttp', 'uvloop'),
            needs=('serverwamp', 'aiohttp', 'uvloop'),
        ),
        ServerKind(
            'serverwamp-aiohttp-asyncio', 'serverwamp 2.0.0, aiohttp, asyncio',
            wamp_server('serverwamp', 'aiohttp', 'asyncio'), needs=('serverwamp', 'aiohttp'),
        ),
        ServerKind(
            'serverwamp-uvicorn', 'serverwamp 2.0.0, uvicorn', uvicorn_server('wamp_asgi'),
            {'BENCH_PACKAGE': 'serverwamp'}, needs=('serverwamp', 'uvicorn', 'uvloop'),
        ),
        ServerKind(
            'echo-uvicorn', 'plain echo, uvicorn', uvicorn_server('echo_asgi'), is_echo=True,
            needs=('uvicorn', 'uvloop'),
        ),
        ServerKind(
            'echo-websockets', 'plain echo, websockets, uvloop',
            ('PYTHON', str(APPS / 'echo_server.py'), 'websockets', 'PORT'), is_echo=True, needs=('uvloop',),
        ),
        ServerKind(
            'echo-picows', 'plain echo, picows, uvloop', ('PYTHON', str(APPS / 'echo_server.py'), 'picows', 'PORT'),
            is_echo=True, needs=('picows', 'uvloop'),
        ),
        ServerKind('floor', 'plain echo in C', ('FLOOR', 'PORT'), is_echo=True),
        ServerKind('floor-events', 'floor in C: one send() per event', ('FLOOR', 'PORT', 'events')),
    ]
}  # fmt: skip
# What ratios are to: the reference as its users run it best.
BASELINE = 'serverwamp-aiohttp'


def find_free_port() -> int:
    """Return a port that nobody has. Raises BenchError.

    It is none of those that the system gives away by itself: while a server starts, somebody else could get it, or a
    connection that tries whether the server listens could be given the same port, and so be connected with itself.
    """
    for _ in range(100):
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(('127.0.0.1', port)):
            return port
    raise BenchError(f'No port from {PORTS[0]} to {PORTS[-1]} is free.')


def pin(pid: int, core: int | None) -> None:
    """Let a process run on one core only; None: wherever the system likes."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


class RunningServer:
    """A server that has been started, and listens."""

    def __init__(self, kind: ServerKind, tools: Tools, core: int | None) -> None:
        self.kind = kind
        self.core = core
        self.port = find_free_port()
        words = {'PYTHON': sys.executable, 'FLOOR': str(tools.floor), 'PORT': str(self.port)}
        self.command = [words.get(word, word) for word in kind.command]
        self.log = tempfile.TemporaryFile('w+', errors='replace')
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **kind.environment},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            # Ctrl-C ends the bench, which then ends its servers.
            start_new_session=True,
        )
        try:
            pin(self.process.pid, core)
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(('127.0.0.1', self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise BenchError(f'{self.kind.title} did not start. It said:\n{self.read_log()}')

    @property
    def pid(self) -> int:
        return self.process.pid

    def describe(self) -> str:
        """Return the command line that starts it, as one would type it."""
        settings = ' '.join(f'{name}={value}' for name, value in self.kind.environment.items())
        pinned = ['taskset', '-c', str(self.core)] if self.core is not None else []
        return f'{settings} {shlex.join([*pinned, *self.command])}'.strip()

    def read_memory(self) -> int:
        """Return how many bytes of memory the process holds (VmRSS). Raises BenchError if it has ended."""
        for line in self._read_proc('status').splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) * 1024
        raise BenchError(f'{self.kind.title} has ended. It said:\n{self.read_log()}')

    def wait_until_idle(self) -> bool:
        """Wait until it takes no CPU time any more; return False if it doesn't come to rest within IDLE_TIMEOUT."""
        deadline = time.monotonic() + IDLE_TIMEOUT
        before = None
        while time.monotonic() < deadline:
            # After the name in brackets, which may hold spaces: utime and stime are the 12th and 13th.
            taken = self._read_proc('stat').rpartition(')')[2].split()[11:13]
            if taken == before:
                return True
            before = taken
            time.sleep(IDLE)
        return False

    def _read_proc(self, name: str) -> str:
        """Return a file of the process's in /proc, or '' if it has ended."""
        try:
            return Path(f'/proc/{self.pid}/{name}').read_text()
        except OSError:
            return ''

    def read_log(self) -> str:
        """Return the last lines of what the server has printed."""
        self.log.seek(0)
        return ''.join(self.log.readlines()[-15:]) or '(nothing)'

    def stop(self) -> None:
        """End the server, by force if it takes too long."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
