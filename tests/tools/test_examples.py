"""The examples, each run as its docstring says and talked to by a client."""

import base64
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

import serverwamp_fast
from serverwamp_fast import auth as wamp_auth

EXAMPLES = Path(__file__).parents[2] / 'examples'
# Seconds after which something counts as hung.
DEADLINE = 60

PUBLISH, PUBLISHED = 16, 17
HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE, ERROR = 1, 2, 3, 4, 5, 6, 8
SUBSCRIBE, SUBSCRIBED, EVENT, CALL, RESULT = 32, 33, 36, 48, 50

# The examples import the package that the tests import, installed or not.
ENVIRONMENT = os.environ | {
    'PYTHONPATH': os.pathsep.join(
        [
            str(Path(serverwamp_fast.__file__).parents[1]),
            *filter(None, [os.environ.get('PYTHONPATH')]),
        ]
    ),
}


class Example:
    """A running example: where it listens, and how to end it."""

    def __init__(self, name: str) -> None:
        with socket.create_server(('127.0.0.1', 0)) as unused:
            self.port = unused.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLES / name, '--host', '127.0.0.1', '--port', str(self.port)],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.output = self.errors = ''
        self.is_stopping = False

    def wait_until_listening(self) -> None:
        give_up = time.monotonic() + DEADLINE
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        _, errors = self.process.communicate()
        pytest.fail(f'The example does not listen. It wrote: {errors}')

    def ask_to_stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Send it a signal, once: a second one may come when it doesn't look out for any more."""
        if not self.is_stopping:
            self.is_stopping = True
            self.process.send_signal(signal_number)

    def stop(self) -> int:
        """End it and return the exit status. What it wrote is in `output` and `errors` then."""
        if self.process.returncode is None:
            self.ask_to_stop()
            try:
                self.output, self.errors = self.process.communicate(timeout=DEADLINE)
            finally:
                self.process.kill()
        return self.process.returncode

    def connect(self, path: str = '/', **options: Any) -> ClientConnection:
        return connect(
            f'ws://127.0.0.1:{self.port}{path}', subprotocols=['wamp.2.json'], proxy=None, **options
        )


@pytest.fixture
def start() -> Iterator[Callable[[str], Example]]:
    """`start(name)` runs an example. However it ended, it must not have complained."""
    started: list[Example] = []

    def start_example(name: str) -> Example:
        example = Example(name)
        started.append(example)
        example.wait_until_listening()
        return example

    yield start_example
    for example in started:
        example.stop()
        assert 'Traceback' not in example.errors
        assert example.process.returncode == 0


def exchange(websocket: ClientConnection, message: list[Any]) -> list[Any]:
    websocket.send(json.dumps(message))
    return receive(websocket)


def receive(websocket: ClientConnection) -> list[Any]:
    return json.loads(websocket.recv(DEADLINE))


def join(websocket: ClientConnection, realm: str) -> None:
    reply = exchange(websocket, [HELLO, realm, {'roles': {'caller': {}, 'subscriber': {}}}])
    assert reply[0] == WELCOME


def test_quickstart(start):
    example = start('quickstart.py')
    client = subprocess.run(
        [sys.executable, EXAMPLES / 'quickstart_client.py', '--port', str(example.port)],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert client.returncode == 0, client.stderr
    lines = client.stdout.splitlines()
    assert lines[0].startswith(f'Connected to ws://127.0.0.1:{example.port}/ as session ')
    assert lines[1:] == [
        '2 + 3 = 5',
        'An error, as expected: demo.error.no_name Call demo.set_name first.',
        'Subscribed to demo.said.',
        'Listeners: 1',
        "An event: Ada said 'Good morning'.",
    ]
    assert example.stop() == 0
    begun, ended = example.output.splitlines()[-2:]
    assert begun.endswith('has begun.')
    assert ended == begun.replace('has begun.', 'has ended.')


def test_quickstart_client_without_a_server_fails():
    with socket.create_server(('127.0.0.1', 0)) as unused:
        port = unused.getsockname()[1]
    client = subprocess.run(
        [sys.executable, EXAMPLES / 'quickstart_client.py', '--port', str(port)],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert client.returncode != 0
    assert client.stdout == ''


@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
def test_the_native_server_says_goodbye(start, signal_number):
    example = start('quickstart.py')
    with example.connect() as websocket:
        join(websocket, 'demo')
        example.ask_to_stop(signal_number)
        assert receive(websocket) == [GOODBYE, {}, 'wamp.close.system_shutdown']
    assert example.stop() == 0


def test_realms_auth(start):
    example = start('realms_auth.py')
    who = [CALL, 1, {}, 'shop.who_am_i']

    with example.connect() as websocket:
        join(websocket, 'guests')
        reply = exchange(websocket, [CALL, 1, {}, 'shop.opening_hours'])
        assert reply == [RESULT, 1, {}, [], {'from': '9:00', 'to': '18:00'}]
        reply = exchange(websocket, [CALL, 2, {}, 'shop.who_am_i'])
        assert reply[:2] == [ERROR, CALL]

    with example.connect(additional_headers={'Cookie': 'theme=dark; shop=c-18'}) as websocket:
        join(websocket, 'customers')
        assert exchange(websocket, who) == [RESULT, 1, {}, ['Grace']]

    headers = {'Authorization': 'Bearer open-sesame'}
    with example.connect(additional_headers=headers) as websocket:
        join(websocket, 'admins')
        assert exchange(websocket, who) == [RESULT, 1, {}, ['admin']]


@pytest.mark.parametrize(
    ('realm', 'headers', 'error_uri'),
    [
        ('customers', {}, 'wamp.error.authentication_failed'),
        ('customers', {'Cookie': 'shop=c-99'}, 'wamp.error.authentication_failed'),
        ('admins', {}, 'wamp.error.authentication_failed'),
        ('admins', {'Authorization': 'Bearer guess'}, 'wamp.error.authentication_failed'),
        ('elsewhere', {}, 'wamp.error.no_such_realm'),
    ],
)
def test_realms_auth_refuses(start, realm, headers, error_uri):
    example = start('realms_auth.py')
    with example.connect(additional_headers=headers) as websocket:
        reply = exchange(websocket, [HELLO, realm, {'roles': {'caller': {}}}])
        assert (reply[0], reply[2]) == (ABORT, error_uri)


def sign_in(websocket, realm, authid, method, answer, **extra):
    """Open a session with the answer that a function gives to the challenge; returns what follows."""
    details = {'roles': {'caller': {}}, 'authmethods': [method], 'authid': authid, 'authextra': extra}
    code, name, challenge = exchange(websocket, [HELLO, realm, details])
    assert (code, name) == (CHALLENGE, method)
    return exchange(websocket, [AUTHENTICATE, answer(challenge), {}])


def sign_by_password(password):
    def sign(challenge):
        key = wamp_auth.derive_cra_key(
            password, challenge['salt'], challenge['iterations'], challenge['keylen']
        )
        digest = hmac.digest(key, challenge['challenge'].encode(), 'sha256')
        return base64.b64encode(digest).decode()

    return sign


def sign_by_key(private_key):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(private_key)

    def sign(challenge):
        message = bytes.fromhex(challenge['challenge'])
        return key.sign(message).hex() + message.hex()

    return sign, {'pubkey': key.public_key().public_bytes_raw().hex()}


def test_authentication(start):
    pytest.importorskip('cryptography', reason='cryptography is not installed')
    pytest.importorskip('argon2', reason='argon2-cffi is not installed')
    example = start('authentication.py')
    key, key_extra = sign_by_key(b'\x0a' * 32)
    other_key, other_extra = sign_by_key(b'\x0b' * 32)
    for realm, method, right, wrong, extra, wrong_extra in (
        ('tickets', 'ticket', lambda _: 't-1843', lambda _: 't-1952', {}, {}),
        ('passwords', 'wampcra', sign_by_password('analytical'), sign_by_password('cobol'), {}, {}),
        ('keys', 'cryptosign', key, other_key, key_extra, other_extra),
    ):
        with example.connect() as websocket:
            welcome = sign_in(websocket, realm, 'ada', method, right, **extra)
            assert welcome[0] == WELCOME
            assert (welcome[2]['authid'], welcome[2]['authrole']) == ('ada', 'author')
            assert exchange(websocket, [CALL, 1, {}, 'who_am_i']) == [RESULT, 1, {}, ['ada']]
        with example.connect() as websocket:
            abort = sign_in(websocket, realm, 'ada', method, wrong, **wrong_extra)
            assert (abort[0], abort[2]) == (ABORT, 'wamp.error.authentication_failed')
    # The real client for it is in tests/interop.
    with example.connect() as websocket:
        abort = sign_in(websocket, 'scram', 'ada', 'scram', lambda _: 'guess', nonce='bm9uY2U=')
        assert (abort[0], abort[2]) == (ABORT, 'wamp.error.authentication_failed')


def test_progress(start):
    example = start('progress.py')
    with example.connect() as websocket:
        join(websocket, 'demo')
        reports = [exchange(websocket, [CALL, 1, {'receive_progress': True}, 'demo.count', [3]])]
        while reports[-1][2]:
            reports.append(receive(websocket))
        assert reports == [
            [RESULT, 1, {'progress': True}, [1], {'of': 3}],
            [RESULT, 1, {'progress': True}, [2], {'of': 3}],
            [RESULT, 1, {'progress': True}, [3], {'of': 3}],
            [RESULT, 1, {}, ['Counted to 3.']],
        ]
        # Who doesn't ask for progress gets the result alone.
        reply = exchange(websocket, [CALL, 2, {}, 'demo.count', [3]])
        assert reply == [RESULT, 2, {}, ['Counted to 3.']]
        reply = exchange(websocket, [CALL, 3, {}, 'demo.count', [0]])
        assert reply == [ERROR, CALL, 3, {}, 'demo.error.nothing_to_count', [0]]


def test_publishing(start):
    example = start('publishing.py')
    with example.connect() as speaker, example.connect() as listener:
        join(speaker, 'demo')
        join(listener, 'demo')
        reply = exchange(listener, [SUBSCRIBE, 1, {'match': 'prefix'}, 'chat.'])
        assert reply[:2] == [SUBSCRIBED, 1]
        number = reply[2]

        def publish(topic: str) -> list[Any]:
            return exchange(speaker, [PUBLISH, 2, {'acknowledge': True}, topic, ['Hello!']])

        assert publish('chat.garden')[:5] == [ERROR, PUBLISH, 2, {}, 'wamp.error.not_authorized']
        assert exchange(speaker, [CALL, 3, {}, 'chat.open_room', ['garden']]) == [RESULT, 3, {}]
        event = receive(listener)
        assert event[:2] + event[3:] == [EVENT, number, {'topic': 'chat.opened'}, ['garden']]
        reply = publish('chat.garden')
        assert reply[:2] == [PUBLISHED, 2]
        event = receive(listener)
        assert event == [EVENT, number, reply[2], {'topic': 'chat.garden'}, ['Hello!']]
        assert exchange(speaker, [CALL, 4, {}, 'chat.set_motto', ['Be kind.']]) == [RESULT, 4, {}]
        reply = exchange(speaker, [SUBSCRIBE, 5, {'get_retained': True}, 'chat.motto'])
        assert reply[:2] == [SUBSCRIBED, 5]
        event = receive(speaker)
        assert event[3:5] == [{'retained': True}, ['Be kind.']]
        assert event[5]['by'] > 0


def test_aiohttp_app(start):
    example = start('aiohttp_app.py')
    url = f'http://127.0.0.1:{example.port}/count'
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch(method: str) -> Any:
        with direct.open(urllib.request.Request(url, method=method), timeout=DEADLINE) as response:
            return json.load(response)

    assert fetch('GET') == {'count': 0}
    with example.connect('/ws') as websocket:
        join(websocket, 'demo')
        subscribed, request_id, subscription = exchange(
            websocket, [SUBSCRIBE, 1, {}, 'counter.changed']
        )
        assert (subscribed, request_id) == (SUBSCRIBED, 1)
        assert fetch('POST') == {'count': 1}
        event, event_subscription, _publication, details, args = receive(websocket)
        assert (event, event_subscription, details, args) == (EVENT, subscription, {}, [1])
        assert exchange(websocket, [CALL, 2, {}, 'counter.read']) == [RESULT, 2, {}, [1]]
        # Ordinary shutdown takes leave of the WAMP sessions.
        example.ask_to_stop()
        assert receive(websocket) == [GOODBYE, {}, 'wamp.close.system_shutdown']


def test_trio_hypercorn(start):
    example = start('trio_hypercorn.py')
    with example.connect() as websocket:
        join(websocket, 'demo')
        reply = exchange(websocket, [CALL, 1, {}, 'demo.race', [4]])
        assert reply[:4] == [RESULT, 1, {}, []]
        assert sorted(reply[4]['order']) == [1, 2, 3, 4]
