"""Runs scenarios: rounds that alternate between the servers, A B A B, and what came of them."""

import contextlib
import json
import resource
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cores import choose_cores
from .results import merge_rounds, summarize_memory, summarize_routes
from .scenarios import Scenario
from .servers import APPS, KINDS, RunningServer, pin
from .tools import BenchError, Tools

# For a server that has been sent many sessions to bring its memory into order.
SETTLE = 0.5
# A round that takes so many seconds has failed, and is ended.
ROUND_TIMEOUT = 180.0
# The packages whose routers are timed; and for how many seconds.
PACKAGES = {'fast-native': 'serverwamp_fast', 'serverwamp-aiohttp': 'serverwamp'}
ROUTES_TIME = 0.3
SUMMARIES = {'hold': summarize_memory, 'routes': summarize_routes}


@dataclass(frozen=True)
class Settings:
    """How long and how often."""

    is_short: bool = True
    rounds: int = 3
    warmup: float = 0.1
    duration: float = 0.4
    server_core: int | None = None
    load_core: int | None = None
    servers: tuple[str, ...] | None = None

    @classmethod
    def choose(cls, is_short: bool, **others: Any) -> 'Settings':
        """Return the settings of a short or a full run, on two cores where there are two."""
        cores = choose_cores()
        if cores is not None:
            others = {'server_core': cores[0], 'load_core': cores[1], **others}
        if not is_short:
            others = {'rounds': 5, 'warmup': 0.25, 'duration': 1.0, **others}
        return cls(is_short=is_short, **others)

    def rounds_of(self, scenario: Scenario) -> int:
        """Return how many rounds a scenario has: as many as all, or fewer if each takes long."""
        most = (self.is_short and scenario.short_rounds) or scenario.rounds
        return min(self.rounds, most or self.rounds)

    def servers_of(self, scenario: Scenario) -> list[str]:
        """Return the servers of a scenario that were asked for."""
        names = scenario.servers_of(self.is_short and self.servers is None)
        return [name for name in names if self.servers is None or name in self.servers]


def raise_descriptor_limit() -> int:
    """Let this process and its children have as many descriptors as they may; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def find_free_memory() -> int:
    """Return how many bytes of memory processes may still have."""
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable:'):
            return int(line.split()[1]) * 1024
    raise BenchError('/proc/meminfo does not say how much memory is available.')


@dataclass
class Runner:
    """Runs the load generator against servers; `note` is told before each round (scenario, server, round)."""

    tools: Tools
    settings: Settings
    note: Callable[[Scenario, str, int], None] = lambda scenario, server, number: None
    _running: dict[str, RunningServer] = field(default_factory=dict)

    def run(self, scenarios: Iterable[Scenario]) -> list[dict[str, Any]]:
        """Return what came of each scenario, in the form that the report is stored in."""
        try:
            return [self.run_scenario(scenario) for scenario in scenarios]
        finally:
            self.stop()

    def stop(self) -> None:
        """End all servers."""
        while self._running:
            self._running.popitem()[1].stop()

    def run_scenario(self, scenario: Scenario) -> dict[str, Any]:
        """Return what came of a scenario on all of its servers."""
        names = self.settings.servers_of(scenario)
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        commands: dict[str, dict[str, str]] = {}
        missing = {name: KINDS[name].missing() for name in names}
        for number in range(self.settings.rounds_of(scenario)):
            for name in names:
                if missing[name]:
                    continue
                self.note(scenario, name, number)
                rounds[name].append(self._run_round(scenario, name, commands))
        if scenario.fresh:
            self.stop()
        summarize = SUMMARIES.get(scenario.mode, merge_rounds)
        servers = {}
        for name in names:
            if missing[name]:
                servers[name] = {'missing': missing[name]}
            else:
                servers[name] = {**summarize(rounds[name]), 'commands': commands.get(name)}
        return {
            'name': scenario.name,
            'title': scenario.title,
            'mode': scenario.mode,
            'unit': scenario.unit,
            'note': scenario.note,
            'options': dict(scenario.options_for('', self.settings.is_short)),
            'servers': servers,
        }

    def _run_round(self, scenario: Scenario, name: str, commands: dict[str, dict[str, str]]) -> dict[str, Any]:
        server = None
        try:
            if scenario.mode == 'routes':
                command = self._build_routes_command(name)
                commands[name] = {'server': shlex.join(command), 'load': ''}
                return {'failures': 0, 'first_failure': '', **self._load(command, self.settings.server_core)}
            server = self._start(name, scenario.fresh)
            command = self._build_command(scenario, server)
            commands[name] = {'server': server.describe(), 'load': shlex.join(command)}
            if scenario.mode == 'hold':
                steps = scenario.options_for(name, self.settings.is_short)['steps']
                assert isinstance(steps, list)
                result = self._hold(server, command, len(steps))
            else:
                result = self._load(command, self.settings.load_core)
        except BenchError as error:
            result = {'failures': 1, 'first_failure': str(error)}
        if result['failures'] and server is not None:
            result['server_said'] = server.read_log()
        # What a server still does after a round, such as to clear away the connections, would disturb the next round,
        # which is another server's.
        if server is not None and (result['failures'] or not server.wait_until_idle()):
            self._running.pop(name).stop()
        return result

    def _start(self, name: str, fresh: bool) -> RunningServer:
        """Return a server that runs; a fresh one has seen nobody, and no other runs beside it."""
        if fresh:
            self.stop()
        server = self._running.get(name)
        if server is not None and server.process.poll() is not None:
            server.stop()
            server = None
        if server is None:
            server = RunningServer(KINDS[name], self.tools, self.settings.server_core)
            self._running[name] = server
        return server

    def _build_command(self, scenario: Scenario, server: RunningServer) -> list[str]:
        settings, kind = self.settings, server.kind
        command = ['taskset', '-c', str(settings.load_core)] if settings.load_core is not None else []
        command = [*command, str(self.tools.loadgen), 'echo' if kind.is_echo else scenario.mode]
        options: dict[str, object] = {'port': server.port, 'server-pid': server.pid}
        if scenario.mode in ('calls', 'events'):
            options['warmup'] = settings.warmup
        if scenario.mode != 'hold':
            options['duration'] = settings.duration
        options |= scenario.options_for(kind.name, settings.is_short)
        for name, value in options.items():
            if value is True:
                command.append(f'--{name}')
            else:
                text = ','.join(map(str, value)) if isinstance(value, list) else str(value)
                command += [f'--{name}', text]
        return command

    def _build_routes_command(self, name: str) -> list[str]:
        core = self.settings.server_core
        command = ['taskset', '-c', str(core)] if core is not None else []
        return [*command, sys.executable, str(APPS / 'routes.py'), PACKAGES[name], str(ROUTES_TIME)]

    def _load(self, command: list[str], core: int | None) -> dict[str, Any]:
        """Return what a program prints. Raises BenchError if it doesn't end as it should."""
        process = spawn(command, core)
        try:
            out, complaints = process.communicate(timeout=ROUND_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise BenchError(f'The round did not end within {ROUND_TIMEOUT:g} s.') from None
        finally:
            end(process)
        # With 1 it has found failures, and printed them.
        if not out or process.returncode not in (0, 1):
            raise BenchError(describe_end(process.returncode, complaints))
        result: dict[str, Any] = parse(out)
        return result

    def _hold(self, server: RunningServer, command: list[str], count: int) -> dict[str, Any]:
        """Open sessions in `count` steps, and read the server's memory at each. Raises BenchError."""
        process = spawn(command, self.settings.load_core)
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        watchdog = threading.Timer(ROUND_TIMEOUT, process.kill)
        watchdog.start()
        steps: list[dict[str, int]] = []
        result: dict[str, Any] = {'failures': 0, 'first_failure': ''}
        try:
            for line in process.stdout:
                result = parse(line)
                if result['failures']:
                    break
                time.sleep(SETTLE)
                steps.append({'sessions': result['sessions'], 'memory': server.read_memory()})
                # If it has ended, its status says so.
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write('\n')
                    process.stdin.flush()
            complaints, status = process.stderr.read(), process.wait()
        finally:
            watchdog.cancel()
            end(process)
        if not result['failures'] and (status or len(steps) < count):
            raise BenchError(f'{describe_end(status, complaints)} That was after {len(steps)} of {count} steps.')
        return {'failures': result['failures'], 'first_failure': result['first_failure'], 'steps': steps}


def spawn(command: list[str], core: int | None) -> subprocess.Popen[str]:
    # The command that is shown pins by taskset; here no other program is needed for it.
    if command[0] == 'taskset':
        command = command[3:]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    pin(process.pid, core)
    return process


def parse(text: str) -> Any:
    """Return the JSON that a program has printed. Raises BenchError."""
    try:
        return json.loads(text)
    except ValueError:
        raise BenchError(f'The load program printed what is no result: {text[:200]}') from None


def describe_end(status: int, complaints: str) -> str:
    return f'The load program ended with status {status}: {complaints.strip() or "it said nothing"}.'


def end(process: subprocess.Popen[str]) -> None:
    """End a program, whatever it is at."""
    process.kill()
    process.communicate()
