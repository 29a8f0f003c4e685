"""`serverwamp-fast bench`, for real but short."""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.bench_parts import command, runner

from serverwamp_fast import __main__ as command_line
from serverwamp_fast import bench_command

linux_only = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='The load generator needs epoll.')


@linux_only
def test_run_writes_all_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def choose(is_short: bool, **others: Any) -> runner.Settings:
        return runner.Settings(is_short, warmup=0.02, duration=0.1, **others)

    monkeypatch.setattr(command.Settings, 'choose', choose)
    arguments = [
        'bench', '--only', 'calls-1', '--servers', 'fast-native,floor', '--rounds', '2',
        '--output', str(tmp_path / 'out'), '--markdown', str(tmp_path / 'page.md'),
    ]  # fmt: skip
    assert command_line.main(arguments) == 0
    printed = capsys.readouterr().out
    assert 'serverwamp_fast, native' in printed and 'the same, against the floor' in printed
    results = json.loads((tmp_path / 'out/results.json').read_text())
    [scenario] = results['scenarios']
    assert list(scenario['servers']) == ['fast-native', 'floor']
    assert len(scenario['servers']['fast-native']['rate']['rounds']) == 2
    assert 'serverwamp_fast, native' in (tmp_path / 'out/report.html').read_text()
    page = (tmp_path / 'page.md').read_text()
    assert page.startswith('# Benchmarks')

    # The same again from the file, without a run.
    again = ['bench', '--report', str(tmp_path / 'out/results.json'), '--output', str(tmp_path / 'again')]
    assert command_line.main([*again, '--markdown', str(tmp_path / 'again.md')]) == 0
    assert (tmp_path / 'again/report.html').read_text() == (tmp_path / 'out/report.html').read_text()
    assert (tmp_path / 'again.md').read_text() == page


@linux_only
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, '-m', 'serverwamp_fast', 'bench', '--only', 'open', '--servers', 'fast-native',
         '--output', str(tmp_path / 'out')],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    deadline = time.monotonic() + 60
    servers: list[str] = []
    while not servers and time.monotonic() < deadline:
        servers = [pid for pid in children.read_text().split() if 'wamp_server' in read_command(pid)]
        time.sleep(0.01)
    process.send_signal(number)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaints == 'serverwamp-fast: interrupted; nothing is written.\n'
    assert servers and not any('wamp_server' in read_command(pid) for pid in servers)
    assert not (tmp_path / 'out').exists()


def read_command(pid: str) -> str:
    """The command line of a process, or nothing if it has ended."""
    try:
        return Path(f'/proc/{pid}/cmdline').read_text()
    except OSError:
        return ''


def test_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(['bench', '--list']) == 0
    printed = capsys.readouterr().out
    assert '* calls-16 ' in printed and 'serverwamp-aiohttp-asyncio' in printed


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--only', 'nonsense*'], "There is no scenario 'nonsense*'"),
        (['--only', 'calls-1', '--servers', 'nobody'], "There is no server 'nobody'"),
        (['--report', 'no-such-file.json'], 'no-such-file.json can not be read'),
        (['--report', 'other.json'], 'holds no results'),
    ],
)
def test_wrong_arguments_are_answered(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('other.json').write_text('{"format": 0}')
    assert command_line.main(['bench', *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not Path('bench-results').exists()


@pytest.mark.parametrize('text', ['0', '-1', 'x', ''])
def test_rounds_are_numbers(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        bench_command.parse_rounds(text)


def test_failures_end_with_status_1(tmp_path: Path) -> None:
    results = {
        'format': 1, 'command': 'x', 'started': 'x', 'seconds': 1.0, 'python': [3, 13], 'machine': {}, 'builds': [],
        'scenarios': [{
            'name': 'x', 'title': 'x', 'mode': 'calls', 'unit': 'calls/s', 'note': '', 'options': {},
            'servers': {'fast-native': {'failures': {'rounds': 1, 'of': 1, 'count': 1, 'first': 'No.'}}},
        }],
    }  # fmt: skip
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(results))
    assert command_line.main(['bench', '--report', str(path), '--output', str(tmp_path)]) == 1


def test_what_is_not_installed_is_said() -> None:
    """Without rich the command says what to install, and everything else works."""
    code = (
        'import sys; sys.modules["rich"] = None; sys.modules["rich.console"] = None\n'
        'from serverwamp_fast.__main__ import main; sys.exit(main(["bench", "--list"]))'
    )
    process = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    assert "pip install '.[bench]'" in process.stderr
    assert 'Traceback' not in process.stderr
    process = subprocess.run(
        [sys.executable, '-c', 'import serverwamp_fast.__main__, sys; print("serverwamp_fast.bench" in sys.modules)'],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert process.stdout == 'False\n'
