"""The command line and Application.run(): what is started, what is refused, and how it ends on a signal."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.client_frames import CLOSE, close_payload, frame
from support.echo_servers import JSON
from support.raw_client import CLIENT_GOODBYE, RawClient

import serverwamp_fast as wamp
from serverwamp_fast import __main__ as command_line
from serverwamp_fast.adapters.native import UnsuitableAsyncSupport

APPLICATION = """
import asyncio
import sys

import serverwamp_fast

app = serverwamp_fast.Application(close_timeout=30)
routes = serverwamp_fast.RPCRouteSet()


@routes.route('loop')
async def loop_module():
    return type(asyncio.get_running_loop()).__module__


@routes.route('wait')
async def wait(session):
    # It is on its way before anything of what follows.
    await session.send_raw([36, 1, 1, {}])
    try:
        await asyncio.Event().wait()
    finally:
        print('call ended', file=sys.stderr)


async def lifespan():
    yield
    print('session ended', file=sys.stderr)


class Nested:
    app = app


app.add_rpc_routes(routes)
app.add_session_lifespan_handler(lifespan)
number = 5
"""

RUNNING = """
import logging

logging.basicConfig(level=logging.INFO)
import application

application.app.close_timeout = 0.1
application.app.run(port=0)
print('after run()')
"""

# Would take an hour to end.
STUBBORN = '''
import asyncio, logging
import serverwamp_fast as wamp

logging.basicConfig(level=logging.INFO)
app = wamp.Application(close_timeout=3600)
routes = wamp.RPCRouteSet()

@routes.route('stubborn')
async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

app.add_rpc_routes(routes)
app.run(port=0)
print('after run()')
'''

PLAIN = """
import application

application.app.run(port=0, path=['/a', '/b'])
"""

# Is interrupted while the loop, which is all that is left, waits for its threads.
LATE = '''
import asyncio, os, signal
from concurrent.futures import ThreadPoolExecutor
import application

class Interrupting(ThreadPoolExecutor):
    is_over = False

    def shutdown(self, *args, **options):
        if not self.is_over:
            self.is_over = True
            os.kill(os.getpid(), signal.SIGINT)
        super().shutdown(*args, **options)

async def set_executor():
    asyncio.get_running_loop().set_default_executor(Interrupting())
    yield

application.app.add_session_lifespan_handler(set_executor)
application.app.run(port=0)
print('after run()')
'''

THREADED = """
import logging
import threading

logging.basicConfig(level=logging.INFO)
import application

threading.Thread(target=application.app.run, kwargs={'port': 0}, daemon=True).start()
threading.Event().wait()
"""

ALIASED = """
import serverwamp
from serverwamp.protocol import WAMPRPCRequest

app = serverwamp.Application()
assert serverwamp.__name__ == 'serverwamp_fast'
"""

needs_signals = pytest.mark.skipif(
    sys.platform == 'win32', reason="loops have no signal handlers on Windows, and signals don't end processes cleanly"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with applications."""
    for name, source in {
        'application': APPLICATION,
        'running': RUNNING,
        'plain': PLAIN,
        'late': LATE,
        'threaded': THREADED,
        'stubborn': STUBBORN,
        'aliased': ALIASED,
        'failing': "raise ValueError('on purpose')",
        'misspelt': 'def def',
        'needing': 'import nothing_of_this_name',
        'theirs': 'import serverwamp\napp = serverwamp.Application()',
        'without': "import sys\nsys.modules['serverwamp'] = None\nimport serverwamp.rpc",
    }.items():
        (tmp_path / f'{name}.py').write_text(source)
    return tmp_path


class Child:
    """A Python process."""

    def __init__(self, process: Any) -> None:
        self.process = process
        self.errors: list[str] = []

    async def expect(self, pattern: str) -> 're.Match[str]':
        """Wait for a line on stderr."""
        while line := (await self.process.stderr.readline()).decode():
            self.errors.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f'{pattern!r} did not come: {self.errors}')

    async def connect(self) -> RawClient:
        """A client's connection, when the child has said where it listens."""
        found = await self.expect(r'Serving WAMP at ws://(?:([\d.]+):(\d+)/|unix:([^:]+):.+)\.$')
        if found[3]:
            sock, address = socket.socket(socket.AF_UNIX), found[3]
        else:
            sock, address = socket.socket(), (found[1], int(found[2]))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return RawClient(sock)

    async def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit status, stdout, stderr."""
        out, err = await self.process.communicate()
        return self.process.returncode, out.decode(), ''.join(self.errors) + err.decode()


@contextlib.asynccontextmanager
async def started(*arguments: str, place: Path, **environment: str) -> AsyncIterator[Child]:
    """Python in a directory, with warnings as errors. It is killed at the end if it's still there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *('-W', 'error', *arguments),
        cwd=place,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path)), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


def command(*arguments: str) -> list[str]:
    return ['-m', 'serverwamp_fast', 'serve', *arguments]


pytestmark = pytest.mark.parametrize('run', ['asyncio'], indirect=True)


# Serving


@needs_signals
@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_goodbye(run, place: Path, signum: int) -> None:
    async def main() -> None:
        async with started(*command('application:app', '--port', '0'), place=place) as child:
            client = await child.connect()
            await client.open(JSON)
            await client.hello()
            child.process.send_signal(signum)
            assert await client.hear() == [6, {}, 'wamp.close.system_shutdown']
            await client.say(CLIENT_GOODBYE)
            await client.expect_close(1000)
            await client.send(frame(CLOSE, close_payload(1000)))
            await client.expect_end()
            status, out, err = await child.end()
            assert (status, out) == (0, '')
            assert 'Traceback' not in err
            assert 'session ended' in err

    run(main())


@needs_signals
@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('hidden', [None, 'uvloop'])
def test_run_returns_after_a_signal(run, place: Path, signum: int, hidden: str | None) -> None:
    """On uvloop, and without it on asyncio; a call that doesn't end is cancelled."""
    if hidden:
        source = (place / 'running.py').read_text()
        (place / 'running.py').write_text(f"import sys\nsys.modules['{hidden}'] = None\n{source}")
    else:
        pytest.importorskip('uvloop', reason='uvloop is not installed')

    async def main() -> None:
        async with started('running.py', place=place) as child:
            client = await child.connect()
            await client.open(JSON)
            await client.hello()
            (module,) = await client.call(1, 'loop')
            assert module.startswith('asyncio' if hidden else 'uvloop')
            assert (await client.ask(48, 2, {}, 'wait'))[0] == 36
            child.process.send_signal(signum)
            assert (await client.hear())[0] == 6
            # The client doesn't answer.
            status, out, err = await child.end()
            assert (status, out) == (0, 'after run()\n')
            assert 'Traceback' not in err and 'never' not in err
            assert 'call ended' in err
            assert 'session ended' in err

    run(main())


@pytest.mark.parametrize('hidden', [None, 'uvloop'])
def test_run_in_a_thread(run, place: Path, hidden: str | None) -> None:
    """Where no signal arrives, it serves as long as the process lives."""
    if hidden:
        source = (place / 'threaded.py').read_text()
        (place / 'threaded.py').write_text(f"import sys\nsys.modules['{hidden}'] = None\n{source}")

    async def main() -> None:
        async with started('threaded.py', place=place) as child:
            client = await child.connect()
            await client.open(JSON)
            await client.hello()
            assert len(await client.call(1, 'loop')) == 1
            client.close()

    run(main())


@needs_signals
def test_two_signals_in_a_row(run, place: Path) -> None:
    async def main() -> None:
        async with started('running.py', place=place) as child:
            client = await child.connect()
            await client.open(JSON)
            await client.hello()
            child.process.send_signal(signal.SIGINT)
            assert (await client.hear())[0] == 6
            child.process.send_signal(signal.SIGINT)
            child.process.send_signal(signal.SIGTERM)
            status, out, err = await child.end()
            assert (status, out) == (0, 'after run()\n')
            assert 'Traceback' not in err

    run(main())


@needs_signals
@pytest.mark.parametrize('hidden', [None, 'uvloop'])
def test_a_second_signal_ends_what_goes_on_for_ever(run, place: Path, hidden: str | None) -> None:
    if hidden:
        source = (place / 'stubborn.py').read_text()
        (place / 'stubborn.py').write_text(f"import sys\nsys.modules['{hidden}'] = None\n{source}")

    async def main() -> None:
        async with started('stubborn.py', place=place) as child:
            client = await child.connect()
            await client.open(JSON)
            await client.hello()
            await client.say([48, 1, {}, 'stubborn'])
            child.process.send_signal(signal.SIGTERM)
            assert (await client.hear())[0] == 6
            child.process.send_signal(signal.SIGTERM)
            status, out, err = await child.end()
            assert (status, out) == (0, 'after run()\n')
            assert 'told so a second time' in err

    run(main())


@needs_signals
@pytest.mark.parametrize('hidden', [None, 'uvloop'])
def test_a_second_signal_when_only_the_loop_is_left(run, place: Path, hidden: str | None) -> None:
    if hidden:
        source = (place / 'late.py').read_text()
        (place / 'late.py').write_text(f"import sys\nsys.modules['{hidden}'] = None\n{source}")

    async def main() -> None:
        async with started('late.py', place=place) as child:
            client = await child.connect()
            await client.open(JSON)
            await client.hello()
            child.process.send_signal(signal.SIGINT)
            assert (await client.hear())[0] == 6
            client.close()
            status, out, err = await child.end()
            assert (status, out) == (0, 'after run()\n')
            assert 'Traceback' not in err

    run(main())


@needs_signals
def test_a_unix_socket_and_paths(run, place: Path) -> None:
    async def main() -> None:
        options = ['--unix', str(place / 'wamp.sock'), '--path', '/a', '--path', '/b']
        async with started(*command('application:Nested.app', *options), place=place) as child:
            client = await child.connect()
            await client.open(JSON, target='/b')
            await client.hello()
            other = socket.socket(socket.AF_UNIX)
            other.setblocking(False)
            await asyncio.get_running_loop().sock_connect(other, str(place / 'wamp.sock'))
            refused = RawClient(other)
            await refused.send(refused.request(JSON, target='/c')[0])
            await refused.expect_refused(404)
            child.process.terminate()
            assert (await client.hear())[0] == 6
            client.close()
            refused.close()
            assert (await child.end())[0] == 0

    run(main())


@needs_signals
def test_alias(run, place: Path) -> None:
    async def main() -> None:
        arguments = command('aliased:app', '--port', '0', '--alias')
        async with started(*arguments, place=place) as child:
            client = await child.connect()
            await client.open(JSON)
            await client.hello()
            client.close()
            child.process.terminate()
            assert (await child.end())[0] == 0

    run(main())


def test_a_port_that_is_taken(run, place: Path) -> None:
    async def main() -> None:
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = str(taken.getsockname()[1])
            async with started(*command('application:app', '--port', port), place=place) as child:
                status, out, err = await child.end()
        assert (status, out) == (1, '')
        assert err == (
            f'serverwamp-fast: The server can not listen at 127.0.0.1 port {port}: Something else listens on port '
            f'{port} of 127.0.0.1 already. Take another port.\n'
        )

    run(main())


@needs_signals
def test_run_says_where_it_serves_without_logging(run, place: Path) -> None:
    async def main() -> None:
        async with started('plain.py', place=place) as child:
            found = await child.expect(r'^Serving WAMP at ws://127.0.0.1:(\d+)/a, ws://127.0.0.1:(\d+)/b\.$')
            assert found[1] == found[2] != '0'
            child.process.terminate()
            assert await child.end() == (0, '', found[0] + '\n')

    run(main())


def test_an_error_of_the_module_is_shown_whole(run, place: Path) -> None:
    async def main() -> None:
        for name, said in {
            'failing': 'ValueError: on purpose',
            'needing': "ModuleNotFoundError: No module named 'nothing_of_this_name'",
            'misspelt': 'SyntaxError: invalid syntax',
        }.items():
            async with started(*command(f'{name}:app'), place=place) as child:
                status, _, err = await child.end()
            assert status == 2
            assert 'Traceback' in err and f'{name}.py' in err
            *_, reason, last = err.splitlines()
            assert reason == said
            assert last == f"serverwamp-fast: '{name}:app' could not be loaded; the reason is above."

    run(main())


# What is refused, without starting a process for each


@pytest.fixture
def inside(run, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    before = sys.modules.get('serverwamp')
    yield place
    for name in 'application', 'theirs', 'without':
        sys.modules.pop(name, None)
    # One of them hides it, from the tests that come later too.
    if sys.modules.get('serverwamp') is None:
        sys.modules.pop('serverwamp', None)
    if before is not None:
        sys.modules['serverwamp'] = before


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('application', 'module:app'),
        ('application:', 'module:app'),
        (':app', 'module:app'),
        ('.application:app', 'module:app'),
        ('nowhere:app', "no module 'nowhere'"),
        ('application.inner:app', "no module 'application.inner'"),
        ('application:nothing', "no 'nothing'"),
        ('application:Nested.nothing', "no 'Nested.nothing'"),
        ('application:number', 'Application of serverwamp_fast'),
        ('application.py:app', 'without .py'),
        ('./application.py:app', 'without .py'),
        ('nowhere.py:app', "no module 'nowhere'"),
        ('theirs:app', '--alias'),
        ('without:app', '--alias'),
    ],
)
def test_applications_that_are_none(inside: Path, capsys, name: str, said: str) -> None:
    assert command_line.main(['serve', name]) == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.startswith('serverwamp-fast: ')
    assert captured.err.count('\n') == 1
    assert said in captured.err


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['serve'],
        ['start', 'application:app'],
        ['serve', 'application:app', '--port', 'http'],
        ['serve', 'application:app', '--port', '65536'],
        ['serve', 'application:app', '--port=-1'],
        ['serve', 'application:app', '--nothing'],
        ['serve', 'application:app', '--path', 'ws'],
        ['serve', 'application:app', '--unix', 'wamp.sock', '--port', '8080'],
        ['serve', 'application:app', '--unix', 'wamp.sock', '--host', '127.0.0.1'],
    ],
)
def test_command_lines_that_are_none(inside: Path, capsys, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        command_line.main(arguments)
    assert refusal.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith('usage: serverwamp-fast')
    assert 'error: ' in captured.err
    assert 'parse_' not in captured.err


@pytest.mark.parametrize(
    'options',
    [['--unix', 'nowhere/wamp.sock'], ['--unix', 'x' * 200], ['--host', 'no.such.host.invalid'], ['--host', 'a..b']],
    ids=lambda options: ' '.join(options)[:20],
)
def test_places_that_are_none(inside: Path, capsys, options: list[str]) -> None:
    assert command_line.main(['serve', 'application:app', *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.startswith(f'serverwamp-fast: The server can not listen at {options[1]}')
    assert captured.err.count('\n') == 1


def test_version(inside: Path, capsys) -> None:
    with pytest.raises(SystemExit) as done:
        command_line.main(['--version'])
    assert done.value.code == 0
    assert capsys.readouterr().out == f'serverwamp-fast {wamp.__version__}\n'


DEFAULTS = {'unix_path': None, 'unix_mode': 0o666, 'path': None, 'goodbye': True}


def test_options_reach_the_server(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(wamp.Application, 'run', lambda *args, **options: calls.append((args[1:], options)))
    assert command_line.main(['serve', 'application:app']) == 0
    assert command_line.main(
        ['serve', 'application:app', '--host', '::1', '--port', '1', '--path', '/a', '--path', '/b']
    ) == 0
    assert command_line.main(['serve', 'application:app', '--unix', '/run/wamp']) == 0
    assert command_line.main(
        ['serve', 'application:app', '--unix', 'a', '--unix-mode', '660', '--no-goodbye']
    ) == 0
    assert calls == [
        (('127.0.0.1', 8080), DEFAULTS),
        (('::1', 1), {**DEFAULTS, 'path': ['/a', '/b']}),
        (('127.0.0.1', 8080), {**DEFAULTS, 'unix_path': '/run/wamp'}),
        (('127.0.0.1', 8080), {**DEFAULTS, 'unix_path': 'a', 'unix_mode': 0o660, 'goodbye': False}),
    ]


def test_an_application_on_trio(inside: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('trio', reason='trio is not installed')
    from serverwamp_fast.adapters.trio import TrioAsyncSupport

    app = wamp.Application(async_support=TrioAsyncSupport)
    monkeypatch.setattr(command_line, 'load_application', lambda name: app)
    assert command_line.main(['serve', 'application:app', '--port', '0']) == 2
    err = capsys.readouterr().err
    assert err.startswith('serverwamp-fast: ') and err.count('\n') == 1
    with pytest.raises(UnsuitableAsyncSupport):
        app.run(port=0)


@pytest.mark.parametrize(
    'source',
    [
        'import serverwamp_fast as wamp\napp = wamp.Application()\napp.run(port=0)\n',
        'import asyncio\nimport serverwamp_fast as wamp\napp = wamp.Application()\nasyncio.run(app.serve(None, 0))\n',
    ],
    ids=['run', 'serve'],
)
def test_a_module_that_serves_while_it_is_imported(inside: Path, capsys, source: str) -> None:
    (inside / 'serving_itself.py').write_text(source)
    try:
        assert command_line.main(['serve', 'serving_itself:app']) == 2
    finally:
        sys.modules.pop('serving_itself', None)
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err == (
        "serverwamp-fast: The module 'serving_itself' runs a server while it is imported, instead of leaving that to "
        "the command line. Put the call of run() below: if __name__ == '__main__':\n"
    )


@pytest.mark.parametrize('mode', ['', '8', '1000', '-1', 'rw-rw-rw-', '0o1000'])
def test_unix_modes_that_are_none(inside: Path, capsys, mode: str) -> None:
    with pytest.raises(SystemExit) as refusal:
        command_line.main(['serve', 'application:app', '--unix', 'a', f'--unix-mode={mode}'])
    assert refusal.value.code == 2
    assert 'is not a file mode' in capsys.readouterr().err


def test_a_unix_mode_without_a_unix_socket(inside: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        command_line.main(['serve', 'application:app', '--unix-mode', '660'])
    assert '--unix-mode is for the socket of --unix' in capsys.readouterr().err
