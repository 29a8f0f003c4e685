"""Runs clients of other languages against the project's sites, and compares what they tell with what it should be.

    python run.py DIRECTORY [--server native|aiohttp|uvicorn] CLIENT...

DIRECTORY is where ci/interop-languages has built the clients. Each client is a program that is given the URLs of
site.py and auth_site.py, and writes a line of JSON for each step: {"round", "step", "value"}. A round is a serializer
or a way to authenticate. The exit status is 1 if a client leaves out a step, tells of something else, or fails.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from interop.sites import Site, running_site  # noqa: E402

# Seconds for all steps of one client.
DEADLINE = 120
JOE = ['joe', 'user']
CHROMIUM_OPTIONS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
)  # fmt: skip

# What each step of talking should tell. Binary data in JSON is text there, unless the library turns it into bytes.
STEPS = {
    'join': True,
    'call': [6],
    'text': ['Grüße ☃ 𝄞'],
    'fail': {'uri': 'interop.error.refused', 'args': ['because'], 'kwargs': {'code': 7}},
    'binary_sent': ['00ff01'],
    'binary': '00ff01',
    'subscribe': True,
    'welcome': ['welcome'],
    'first_call': [1],
    'first_event': [0, 'news'],
    'publish': True,
    'published': ['own'],
    'publish_refused': True,
    'unsubscribe': True,
    'leave': True,
}
JSON_STEPS = {'binary': '\0AP8B'}


@dataclass(frozen=True)
class Client:
    """What a client can do: its serializers, the ways to authenticate that it has, and steps that it leaves out."""

    command: Callable[[pathlib.Path], list[str]]
    serializers: tuple[str, ...] = ('json', 'msgpack', 'cbor')
    methods: tuple[str, ...] = ('ticket', 'cra', 'cra-salted', 'cryptosign')
    lacks: frozenset[str] = frozenset()
    # By round, because a client may lack something with one serializer only.
    lacks_in: dict[str, set[str]] = field(default_factory=dict)
    differs: dict[str, Any] = field(default_factory=dict)

    def expect(self) -> dict[tuple[str, str], Any]:
        """Return what it should tell, by round and step."""
        expected: dict[tuple[str, str], Any] = {}
        for name in self.serializers:
            steps = {**STEPS, **(JSON_STEPS if name == 'json' else {}), **self.differs}
            for step in steps.keys() - self.lacks - self.lacks_in.get(name, set()):
                expected[name, step] = steps[step]
        for method in self.methods:
            expected[method, 'authenticate'] = JOE
            if method in ('ticket', 'cra'):
                expected[f'{method} wrong', 'authenticate'] = 'refused'
        return expected


def run_java(directory: pathlib.Path) -> list[str]:
    path = os.pathsep.join([str(directory / 'out'), str(directory / 'lib' / '*')])
    return ['java', '-cp', path, 'Interop']


# Why something is lacking is said in the programs.
CLIENTS = {
    'nexus': Client(
        lambda directory: [str(directory / 'nexus')],
        methods=('ticket', 'cra', 'cra-salted'),
        lacks=frozenset({'welcome'}),
    ),
    'xconn': Client(lambda directory: [str(directory / 'xconn')], lacks=frozenset({'welcome'})),
    'wamp_async': Client(
        lambda directory: [str(directory / 'target' / 'debug' / 'interop')],
        serializers=('json', 'msgpack'),
        methods=('ticket',),
        lacks=frozenset({'published'}),
        lacks_in={'msgpack': {'binary', 'binary_sent'}},
        differs={'fail': {'uri': 'interop.error.refused'}},
    ),
    'autobahn_java': Client(run_java, methods=('ticket', 'cra')),
    'autobahn_browser': Client(lambda directory: []),
}


def run_program(
    command: list[str], site: Site, auth_site: Site
) -> tuple[list[dict[str, Any]], str]:
    """Return the steps that a program tells of, and its complaint if it failed."""
    process = subprocess.Popen(
        [*command, site.url, auth_site.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding='utf-8',
    )
    complaint = ''
    try:
        output, errors = process.communicate(timeout=DEADLINE)
        if process.returncode:
            complaint = f'It ended with status {process.returncode}: {errors[-2000:]}'
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        complaint = f'It did not end in {DEADLINE} seconds: {errors[-2000:]}'
    return [json.loads(line) for line in output.splitlines()], complaint


def run_browser(
    directory: pathlib.Path, site: Site, auth_site: Site
) -> tuple[list[dict[str, Any]], str]:
    """The same for the page, in a Chromium of its own."""
    files = {
        '/': ('text/html', HERE / 'autobahn_browser' / 'page.html'),
        '/autobahn.js': (
            'text/javascript',
            directory / 'node_modules/autobahn-browser/autobahn.min.js',
        ),
    }
    steps: list[dict[str, Any]] = []
    complaints: list[str] = []
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            kind, path = files.get(self.path.partition('?')[0], ('', None))
            if path is None:
                self.send_error(404)
                return
            body = path.read_bytes()
            self.send_response(200)
            self.send_header('Content-Type', kind)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers['Content-Length'] or 0)).decode()
            self.send_response(204)
            self.end_headers()
            if self.path == '/step':
                steps.append(json.loads(body))
            else:
                complaints.append(body)
                ended.set()

    with (
        http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as pages,
        tempfile.TemporaryDirectory(prefix='wamp', ignore_cleanup_errors=True) as profile,
    ):
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        query = urllib.parse.urlencode({'site': site.url, 'auth_site': auth_site.url})
        address = f'http://127.0.0.1:{pages.server_address[1]}/?{query}'
        browser = subprocess.Popen(
            [
                shutil.which('chromium') or 'chromium',
                *CHROMIUM_OPTIONS,
                f'--user-data-dir={profile}',
                address,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if not ended.wait(DEADLINE):
                complaints.append(f'The page did not end in {DEADLINE} seconds.')
        finally:
            # It is made of many processes.
            os.killpg(browser.pid, signal.SIGTERM)
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait()
            pages.shutdown()
    return steps, '\n'.join(filter(None, complaints))


def find_faults(expected: dict[tuple[str, str], Any], steps: list[dict[str, Any]]) -> list[str]:
    told = {(step['round'], step['step']): step['value'] for step in steps}
    faults = [
        f'{name}, {step}: {told[name, step]!r} instead of {value!r}'
        for (name, step), value in expected.items()
        if (name, step) in told and told[name, step] != value
    ]
    faults += [f'{name}, {step}: not told of' for name, step in expected.keys() - told.keys()]
    faults += [
        f'{name}, {step}: not expected at all' for name, step in told.keys() - expected.keys()
    ]
    return sorted(faults)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument('directory', type=pathlib.Path)
    parser.add_argument('--server', choices=('native', 'aiohttp', 'uvicorn'), default='native')
    parser.add_argument('clients', nargs='+', choices=CLIENTS, metavar='CLIENT')
    options = parser.parse_args()
    failed = 0
    for name in options.clients:
        client, directory = CLIENTS[name], options.directory / name
        with (
            running_site(options.server) as site,
            running_site(options.server, program='auth_site.py') as auth_site,
        ):
            if name == 'autobahn_browser':
                steps, complaint = run_browser(directory, site, auth_site)
            else:
                steps, complaint = run_program(client.command(directory), site, auth_site)
        expected = client.expect()
        faults = [*find_faults(expected, steps), *([complaint] if complaint else [])]
        rounds = ', '.join(dict.fromkeys(step['round'] for step in steps))
        if faults:
            print(f'{name} on {options.server}: FAILED', *faults, sep='\n    ', flush=True)
        else:
            print(
                f'{name} on {options.server}: {len(expected)} steps are right ({rounds}).',
                flush=True,
            )
        failed += bool(faults)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
