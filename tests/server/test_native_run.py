"""adapters.native_run: Application.run() within the process. Programs that run until a signal are in test_main.py."""

import errno
import inspect
import socket
import subprocess
import sys
from typing import Any

import pytest

import serverwamp_fast as wamp
from serverwamp_fast.adapters.native_run import format_url

# What run() has values of its own for.
PLACE = {'host', 'port'}


def test_run_takes_the_options_of_serve() -> None:
    options, others = (
        {name: parameter for name, parameter in inspect.signature(function).parameters.items() if name not in PLACE}
        for function in (wamp.Application.run, wamp.Application.serve)
    )
    assert options == others
    with pytest.raises(TypeError, match=r'run\(\) .*nothing'):
        wamp.Application().run(nothing=1)


def test_run_refuses_a_port_that_is_none() -> None:
    for port in -1, 65536, 99999:
        with pytest.raises(ValueError, match=str(port)):
            wamp.Application().run(port=port)


def test_run_refuses_a_path_that_is_none() -> None:
    for path in 'ws', ['/a', 'ws'], '':
        with pytest.raises(ValueError, match='begins with a slash'):
            wamp.Application().run(port=0, path=path)


def test_run_says_what_to_do_about_a_port_that_is_taken() -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f'port {port} of 127.0.0.1 already. Take another port') as refusal:
            wamp.Application().run(port=port)
    assert isinstance(refusal.value.__cause__, OSError)
    assert refusal.value.__cause__.errno == errno.EADDRINUSE


def test_a_program_whose_port_is_taken_ends_with_a_sentence() -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        program = f'import serverwamp_fast as wamp; wamp.Application().run(port={port})'
        done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr == (
        f'The server can not listen at 127.0.0.1 port {port}: Something else listens on port {port} of 127.0.0.1 '
        'already. Take another port.\n'
    )


def test_run_takes_a_socket_instead_of_its_default_port() -> None:
    """The socket is used: a closed one is refused by the loop."""
    sock = socket.socket()
    sock.close()
    with pytest.raises((SystemExit, ValueError)) as refusal:
        wamp.Application().run(sock=sock)
    assert 'Say where' not in str(refusal.value)


@pytest.mark.parametrize(
    ('family', 'address', 'url'),
    [
        (socket.AF_INET, ('0.0.0.0', 80), 'ws://0.0.0.0:80/ws'),
        (socket.AF_INET6, ('::1', 80, 0, 0), 'ws://[::1]:80/ws'),
        (getattr(socket, 'AF_UNIX', None), '/run/wamp', 'ws://unix:/run/wamp:/ws'),
        (getattr(socket, 'AF_UNIX', None), b'\0wamp', 'ws://unix:@wamp:/ws'),
    ],
)
def test_urls(family: Any, address: Any, url: str) -> None:
    class Listening:
        def __init__(self) -> None:
            self.family = family

        def getsockname(self) -> Any:
            return address

    assert format_url(Listening(), '/ws', is_secure=False) == url
    assert format_url(Listening(), '/ws', is_secure=True) == url.replace('ws:', 'wss:', 1)
