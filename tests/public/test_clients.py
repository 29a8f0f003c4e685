"""What the log calls a client, and the lines about clients on each transport."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from support.doubles import RecordingConnection, open_session
from support.explained import Explained, without_id
from support.session_clients import Clients

from serverwamp_fast import Application
from serverwamp_fast.clients import NAMELESS, address_name, client_name, session_name, shorten


@pytest.mark.parametrize(
    ('peername', 'name'),
    [
        (('192.0.2.1', 4000), '192.0.2.1:4000'),
        (['192.0.2.1', 4000], '192.0.2.1:4000'),
        (('2001:db8::1', 4000, 0, 0), '[2001:db8::1]:4000'),
        ('192.0.2.1', '192.0.2.1'),
        ('', NAMELESS),
        (None, NAMELESS),
        (b'', NAMELESS),
        ('forged\nline', r"'forged\nline'"),
        ('x' * 1000, 'x' * 200),
    ],
)
def test_addresses(peername: Any, name: str) -> None:
    assert address_name(peername) == name


class Broken:
    @property
    def transport_info(self) -> Any:
        raise LookupError('nothing is known')


@pytest.mark.parametrize(
    ('connection', 'name'),
    [
        (None, NAMELESS),
        (Broken(), NAMELESS),
        (SimpleNamespace(transport_info=None), NAMELESS),
        (SimpleNamespace(transport_info={}), NAMELESS),
        (SimpleNamespace(transport_info={'peer_address': '192.0.2.1'}), '192.0.2.1'),
        (
            SimpleNamespace(
                transport_info={'peer_address': '192.0.2.1'}, current_session=SimpleNamespace(id=5)
            ),
            'session 5 of 192.0.2.1',
        ),
    ],
)
def test_connections(connection: Any, name: str) -> None:
    assert client_name(connection) == name


def test_sessions() -> None:
    session = open_session()
    assert session_name(session) == f'session {session.id} of {NAMELESS}'
    session.connection.transport_info['peer_address'] = '192.0.2.1'
    assert session_name(session) == f'session {session.id} of 192.0.2.1'
    assert session_name(None) == NAMELESS


def test_text_of_clients_is_cut() -> None:
    assert shorten('com.example') == 'com.example'
    assert shorten('x' * 1000) == 'x' * 200 + '...'
    assert shorten('lone \ud800').encode() == rb'lone \ud800'


@pytest.fixture(params=['native', 'own'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


REQUESTS = [
    ('SUBSCRIBE', [32, 1, {}, 'com.example.t'], 'wamp.error.invalid_uri',
     'Nothing lets clients subscribe to com.example.t. On the server, a topic route or allow_subscribe() does.'),
    ('SUBSCRIBE', [32, 1, {'match': 'prefix'}, 'com.'], 'wamp.error.invalid_uri', None),
    ('UNSUBSCRIBE', [34, 1, 77], 'wamp.error.no_such_subscription', 'The session has no subscription 77.'),
    ('PUBLISH', [16, 1, {'acknowledge': True}, 'com.example.t'], 'wamp.error.not_authorized',
     'Nothing lets clients publish to com.example.t. On the server, allow_publish() does.'),
    ('PUBLISH', [16, 1, {'acknowledge': True}, 'wamp.t'], 'wamp.error.invalid_uri',
     'wamp.t can not be published to: topics that begin with wamp. are reserved.'),
    ('REGISTER', [64, 1, {}, 'com.example.p'], 'wamp.error.feature_not_supported', None),
    ('UNREGISTER', [66, 1, 77], 'wamp.error.no_such_registration', 'The session has no registration 77.'),
    ('CALL', [48, 1, {}, 'com.example.p'], 'wamp.error.no_such_procedure', 'There is no procedure com.example.p.'),
    ('CALL', [48, 1, {}, 'x' * 1000], 'wamp.error.no_such_procedure', f'There is no procedure {"x" * 200}....'),
    ('CALL', [48, 1, {'timeout': -1}, 'com.example.p'], 'wamp.error.invalid_argument', None),
    ('YIELD', [70, 77, {}], 'wamp.error.invalid_argument', 'The session was sent no INVOCATION 77.'),
]  # fmt: skip


@pytest.mark.parametrize(('name', 'message', 'uri', 'sentence'), REQUESTS)
def test_refused_requests(
    run: Any,
    clients: Clients,
    caplog: Any,
    name: str,
    message: list[Any],
    uri: str,
    sentence: str | None,
) -> None:
    """Each says why, to the client twice and to the log in one DEBUG line that names the client."""
    caplog.set_level(logging.DEBUG, 'serverwamp_fast')

    async def main() -> None:
        async with clients.of(Application()) as connect:
            client = await connect()
            await client.hello()
            caplog.clear()
            await client.say(message)
            answer = await client.hear()
            assert answer == Explained(message[0], message[1], uri, sentence)
            (line,) = [
                record for record in caplog.records if record.name.startswith('serverwamp_fast')
            ]
            assert line.levelname == 'DEBUG'
            assert len(line.getMessage()) < 1000
            assert without_id(line.getMessage()).startswith(f'{name} of session N of ')
            assert f' is answered with {uri}: ' in line.getMessage()
            assert '127.0.0.1' in line.getMessage() or NAMELESS in line.getMessage()

    run(main())


def test_an_exception_of_a_handler_stays_on_the_server(
    run: Any, clients: Clients, caplog: Any
) -> None:
    app = Application()

    async def fail() -> None:
        raise LookupError('a secret of the server')

    app._enabled_default_realm._rpc_router.add_route('com.example.fail', fail)

    async def main() -> None:
        async with clients.of(app) as connect:
            client = await connect()
            await client.hello()
            await client.say([48, 1, {}, 'com.example.fail'])
            assert await client.hear() == Explained(
                48, 1, 'wamp.error.runtime_error',
                'Procedure com.example.fail failed. The log of the server says why.',
            )  # fmt: skip

    run(main())
    (record,) = [record for record in caplog.records if record.exc_info]
    assert without_id(record.getMessage()).startswith(
        'Exception from call handler for procedure com.example.fail, called by session N of '
    )


def test_unacknowledged_publications_are_told_to_the_log(caplog: Any) -> None:
    from serverwamp_fast._core.dialogue.dispatch import Dispatch, attach, receive

    session = open_session(RecordingConnection())
    attach(session, None, Dispatch(None, lambda *args: None, [], False))
    caplog.set_level(logging.DEBUG)
    assert receive(session, [16, 1, {}, 'com.example.t']) is None
    (line,) = caplog.messages
    assert without_id(line).startswith(
        f'PUBLISH without acknowledge of session N of {NAMELESS} is answered with '
    )
