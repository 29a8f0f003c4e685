"""Runs scenarios: rounds that alternate between the servers, A B A B, and what came of them."""

import json
import os
import resource
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .results import merge_rounds, summarize_memory
from .scenarios import Scenario
from .servers import KINDS, RunningServer, pin
from .tools import BenchError, Tools

# For a server that has been sent many sessions to bring its memory into order.
SETTLE = 0.5
# A round that takes this many seconds beyond what it should is ended.
ROUND_TIMEOUT = 180.0


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
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
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
        summarize = summarize_memory if scenario.mode == 'hold' else merge_rounds
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
        try:
            server = self._start(name, scenario.fresh)
            command = self._build_command(scenario, server)
            commands[name] = {'server': server.describe(), 'load': shlex.join(command)}
            result = self._hold(server, command) if scenario.mode == 'hold' else self._load(server, command)
        except BenchError as error:
            result = {'failures': 1, 'first_failure': str(error)}
        if result['failures']:
            server = self._running.pop(name, None)
            if server is not None:
                result['server_said'] = server.read_log()
                server.stop()
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
        if scenario.mode != 'hold':
            options |= {'warmup': settings.warmup, 'duration': settings.duration}
        options |= scenario.options_for(kind.name, settings.is_short)
        for name, value in options.items():
            if value is True:
                command.append(f'--{name}')
            else:
                text = ','.join(map(str, value)) if isinstance(value, list) else str(value)
                command += [f'--{name}', text]
        return command

    def _spawn(self, command: list[str]) -> subprocess.Popen[str]:
        # The command that is shown pins by taskset; here no other program is needed for it.
        if command[0] == 'taskset':
            command = command[3:]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        pin(process.pid, self.settings.load_core)
        return process

    def _load(self, server: RunningServer, command: list[str]) -> dict[str, Any]:
        process = self._spawn(command)
        try:
            out, complaints = process.communicate(timeout=ROUND_TIMEOUT)
        except subprocess.TimeoutExpired:
            return {'failures': 1, 'first_failure': f'The round did not end within {ROUND_TIMEOUT:g} s.'}
        finally:
            end(process)
        if not out:
            raise BenchError(f'The load generator ended with status {process.returncode}: {complaints.strip()}')
        return json.loads(out)

    def _hold(self, server: RunningServer, command: list[str]) -> dict[str, Any]:
        """Open sessions in steps, and read the server's memory at each."""
        process = self._spawn(command)
        assert process.stdin is not None and process.stdout is not None
        steps = []
        result: dict[str, Any] = {'failures': 0, 'first_failure': ''}
        try:
            for line in process.stdout:
                result = json.loads(line)
                if result['failures']:
                    break
                time.sleep(SETTLE)
                steps.append({'sessions': result['sessions'], 'memory': server.read_memory()})
                process.stdin.write('\n')
                process.stdin.flush()
        finally:
            end(process)
        return {'failures': result['failures'], 'first_failure': result['first_failure'], 'steps': steps}


def end(process: subprocess.Popen[str]) -> None:
    """End the load generator, whatever it is at."""
    process.kill()
    process.communicate()
