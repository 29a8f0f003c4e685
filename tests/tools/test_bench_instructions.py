"""The guard that counts instructions: its messages are answered, and its verdicts are right."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def load_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f'bench/instructions/{name}.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def guard() -> ModuleType:
    return load_module('guard')


def test_every_sequence_is_answered() -> None:
    """Without callgrind: sequences.py checks the answers, and says how many operations there were."""
    process = subprocess.run(
        [sys.executable, ROOT / 'bench/instructions/sequences.py'], capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ''
    labels = [line.partition(' ') for line in process.stdout.splitlines()]
    assert len(labels) >= 7
    assert all(int(operations) > 0 for operations, _, _ in labels)
    stored = json.loads((ROOT / 'bench/instructions.json').read_text('utf-8'))
    assert stored['pythons']
    for figures in stored['pythons'].values():
        assert set(figures['instructions']) == {name for _, _, name in labels}


def test_every_message_is_checked() -> None:
    """A sequence that is answered by less, or otherwise, than it should be is found."""
    sequences = load_module('sequences')
    transport = sequences.NullTransport()
    frames = [b'\x81\x03[2,', b'\x81\x7e\x00\x80' + b'[2,' + b'x' * 125]
    transport.written = [b'HTTP/1.1 101 Switching Protocols\r\n\r\n', *frames]
    assert sequences.split_messages(b''.join(transport.written)) == [b'[2,', b'[2,' + b'x' * 125]
    client = SimpleNamespace(transport=transport)

    def check(answers: int, answer: bytes = b'[2,', last: bytes = b'') -> None:
        sequences.Sequence([], 1, [client], answers, answer, last).check()

    check(2, last=b'x')
    for wrong in ((1,), (3,), (2, b'x'), (2, b'[2,', b'y')):
        with pytest.raises(AssertionError):
            check(*wrong)


def test_counts_are_read_for_one_operation(guard: ModuleType, tmp_path: Path) -> None:
    # callgrind writes a last file when the process ends, which is nobody's.
    text = 'desc: Trigger: {}\n\nevents: Ir\nsummary: {}\nfn=main\n1 2\n'
    (tmp_path / 'callgrind.out.1').write_text(text.format('Client Request: 20 a call, JSON', 4010))
    (tmp_path / 'callgrind.out.2').write_text(text.format('Client Request: 1 other', 7))
    (tmp_path / 'callgrind.out').write_text(text.format('Program termination', 99))
    assert guard.read_counts(tmp_path) == {'a call, JSON': 200, 'other': 7}


@pytest.mark.parametrize(
    ('now', 'fault'), [(1000, None), (1049, None), (1051, '+5.1%'), (900, None)], ids=['same', 'near', 'more', 'less']
)
def test_more_than_tolerated_is_a_fault(guard: ModuleType, now: int, fault: str | None) -> None:
    lines, faults = guard.compare({'call': now}, {'call': 1000}, 0.05)
    assert str(now) in lines[0]
    assert len(faults) == (fault is not None)
    if fault:
        assert fault in faults[0]
    assert any('better' in line for line in lines) == (now == 900)


def test_missing_and_new_sequences_are_faults(guard: ModuleType) -> None:
    _, faults = guard.compare({'new': 1}, {'gone': 1}, 0.05)
    assert len(faults) == 2


def run_main(
    guard: ModuleType, monkeypatch: pytest.MonkeyPatch, path: Path, found: dict[str, int], *arguments: str
) -> int:
    monkeypatch.setattr(guard, 'FIGURES', path)
    monkeypatch.setattr(guard, 'count', lambda: found)
    status: int = guard.main(list(arguments))
    return status


def test_verdicts(
    guard: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'instructions.json'
    path.write_text('{"tolerance": 0.05, "pythons": {}}')
    here: dict[str, Any] = dict.fromkeys(('python', 'compiler', 'libraries', 'machine'), 'x')
    monkeypatch.setattr(guard, 'describe_environment', lambda: here)

    assert run_main(guard, monkeypatch, path, {'call': 1000}) == 0
    assert 'Not judged' in capsys.readouterr().out
    assert run_main(guard, monkeypatch, path, {'call': 1000}, '--update') == 0
    assert run_main(guard, monkeypatch, path, {'call': 1001}) == 0
    assert run_main(guard, monkeypatch, path, {'call': 1100}) == 1
    assert '--update' in capsys.readouterr().err
    # Another build is near enough to be judged, and is named.
    here = {**here, 'python': 'y', 'compiler': 'z'}
    assert run_main(guard, monkeypatch, path, {'call': 1100}) == 1
    said = capsys.readouterr()
    assert "Stored with compiler 'x'; here it is 'z'." in said.out and 'Not judged' not in said.out
    assert run_main(guard, monkeypatch, path, {'call': 1001}) == 0
    # Another architecture isn't.
    here = {**here, 'machine': 'y'}
    assert run_main(guard, monkeypatch, path, {'call': 1100}) == 0
    assert 'Not judged' in capsys.readouterr().out
