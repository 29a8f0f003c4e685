"""Connections of any kind, and those that exchange payloads, over lists in place of transports."""

import asyncio
from typing import Any

import pytest
from support.echo_servers import MESSAGES, SUBPROTOCOLS, Wire

from serverwamp_fast import errors
from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.connection import Connection, ConnectionClosed, PayloadConnection, is_larger


class ListConnection(Connection):
    """What an application might bring: no payloads, and only what has to be there."""

    def __init__(self, *received: Any, fails: bool = False) -> None:
        super().__init__()
        self.received = received
        self.fails = fails
        self.sent: list[Any] = []
        self.closed = 0

    async def iterate_msgs(self):
        for msg in self.received:
            yield msg

    async def send_msg(self, msg):
        if self.fails:
            raise ConnectionClosed
        self.sent.append(msg)

    async def close(self):
        self.closed += 1


class ListPayloads(PayloadConnection):
    """A connection whose transport is a list for each direction."""

    def __init__(self, subprotocol: str, *received: bytes | str) -> None:
        super().__init__()
        self.codec = codec_for(subprotocol)
        self.received = list(received)
        self.sent: list[bytes] = []

    async def receive_payload(self):
        return self.received.pop(0) if self.received else None

    async def send_payload(self, payload):
        self.sent.append(payload)

    async def close(self):
        self.received.clear()


def receive_all(connection: Connection) -> list[Any]:
    async def receive() -> list[Any]:
        return [to_lists(msg) async for msg in connection.iterate_msgs()]

    return asyncio.run(receive())


def to_lists(value: Any) -> Any:
    """MessagePack's arrays are tuples."""
    if isinstance(value, (list, tuple)):
        return [to_lists(item) for item in value]
    if isinstance(value, dict):
        return {key: to_lists(item) for key, item in value.items()}
    return value


def test_a_connection_has_to_be_completed() -> None:
    with pytest.raises(TypeError, match='abstract'):
        Connection()  # type: ignore[abstract]
    with pytest.raises(TypeError, match='abstract'):
        PayloadConnection()  # type: ignore[abstract]


def test_transport_info_is_each_connections_own() -> None:
    first, second = ListConnection(), ListConnection()
    first.transport_info['peer_address'] = '127.0.0.1'
    assert second.transport_info == {}


def test_the_exception_is_the_packages_and_an_oserror() -> None:
    assert ConnectionClosed is errors.ConnectionClosed
    assert issubclass(ConnectionClosed, ConnectionError)


def test_several_messages_are_sent_in_order() -> None:
    connection = ListConnection()
    asyncio.run(connection.send_msgs(iter([(1,), (2,), (3,)])))
    assert connection.sent == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        ((), (3, {}, 'no_reason')),
        (('wamp.error.no_such_realm',), (3, {}, 'wamp.error.no_such_realm')),
        (('wamp.error.no_such_realm', ''), (3, {}, 'wamp.error.no_such_realm')),
        (('a.b', 'It is so.'), (3, {'message': 'It is so.'}, 'a.b')),
    ],
)
def test_abort_says_why_and_closes(arguments: tuple[str, ...], expected: Any) -> None:
    connection = ListConnection()
    asyncio.run(connection.abort(*arguments))
    assert connection.sent == [expected]
    assert connection.closed == 1


def test_there_is_no_channel_binding_by_default() -> None:
    assert ListConnection().tls_unique() is None


def test_abort_takes_its_arguments_by_name() -> None:
    connection = ListConnection()
    asyncio.run(connection.abort(reason_uri='a.b', msg='c'))
    assert connection.sent == [(3, {'message': 'c'}, 'a.b')]


def test_abort_closes_when_the_client_is_gone() -> None:
    connection = ListConnection(fails=True)
    asyncio.run(connection.abort('a.b'))
    assert connection.closed == 1


def test_abort_closes_when_sending_fails_otherwise() -> None:
    class Broken(ListConnection):
        async def send_msg(self, msg):
            raise ValueError('broken')

    connection = Broken()
    with pytest.raises(ValueError, match='broken'):
        asyncio.run(connection.abort('a.b'))
    assert connection.closed == 1


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_payloads_become_messages(subprotocol: str) -> None:
    wire = Wire(subprotocol)
    connection = ListPayloads(subprotocol, *(wire.encode(message) for message in MESSAGES))
    assert receive_all(connection) == MESSAGES


@pytest.mark.parametrize('subprotocol', [name for name in SUBPROTOCOLS if 'batched' in name])
def test_a_payload_may_hold_several_messages(subprotocol: str) -> None:
    wire = Wire(subprotocol)
    payloads = [wire.encode(*MESSAGES[:3]), wire.encode(*MESSAGES[3:])]
    assert receive_all(ListPayloads(subprotocol, *payloads)) == MESSAGES


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_messages_become_payloads(subprotocol: str) -> None:
    connection = ListPayloads(subprotocol)
    wire = Wire(subprotocol)

    async def send_all() -> None:
        for message in MESSAGES:
            await connection.send_msg(message)

    asyncio.run(send_all())
    assert all(type(payload) is bytes for payload in connection.sent)
    decoded = [
        message
        for payload in connection.sent
        for message in wire.decode(payload if wire.is_binary else payload.decode())
    ]
    assert decoded == MESSAGES


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_batched_subprotocols_send_messages_together(subprotocol: str) -> None:
    connection = ListPayloads(subprotocol)
    asyncio.run(connection.send_msgs(iter(MESSAGES)))
    assert len(connection.sent) == (1 if 'batched' in subprotocol else len(MESSAGES))
    wire = Wire(subprotocol)
    decoded = [
        message
        for payload in connection.sent
        for message in wire.decode(payload if wire.is_binary else payload.decode())
    ]
    assert decoded == MESSAGES


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_no_message_makes_no_payload(subprotocol: str) -> None:
    connection = ListPayloads(subprotocol)
    asyncio.run(connection.send_msgs([]))
    assert connection.sent == []


@pytest.mark.parametrize('separator', ['\x1e', '\x18'])
def test_answers_use_the_clients_separator(separator: str) -> None:
    wire = Wire('wamp.2.json.batched', separator)
    connection = ListPayloads('wamp.2.json.batched', wire.encode(*MESSAGES))
    assert receive_all(connection) == MESSAGES
    asyncio.run(connection.send_msgs(MESSAGES))
    asyncio.run(connection.send_msg(MESSAGES[1]))
    assert [wire.decode(payload.decode()) for payload in connection.sent] == [
        MESSAGES,
        [MESSAGES[1]],
    ]
    # Other clients are answered as the specification says.
    assert codec_for('wamp.2.json.batched').encode([1]) == b'[1]\x1e'


@pytest.mark.parametrize(
    ('subprotocol', 'payload'),
    [
        ('wamp.2.json', b'[1,'),
        ('wamp.2.json', ''),
        ('wamp.2.json', b'[1][2]'),
        ('wamp.2.json.batched', b''),
        ('wamp.2.json.batched', '\x1e'),
        ('wamp.2.json.batched', '[1]\x1e[2'),
        ('wamp.2.msgpack', b''),
        ('wamp.2.msgpack', b'\x92\x01'),
        ('wamp.2.msgpack', b'\x91\x01\x91\x01'),
        ('wamp.2.msgpack.batched', b''),
        ('wamp.2.msgpack.batched', b'\0\0\0\x02\x91'),
        ('wamp.2.msgpack.batched', b'\0\0\0\x02\x91\x01\0\0\0'),
    ],
)
def test_what_is_no_message_is_an_error(subprotocol: str, payload: bytes | str) -> None:
    good = Wire(subprotocol).encode(MESSAGES[0])
    connection = ListPayloads(subprotocol, good, payload)
    received = []

    async def receive() -> None:
        async for msg in connection.iterate_msgs():
            received.append(to_lists(msg))

    with pytest.raises(errors.WAMPMsgParseError):
        asyncio.run(receive())
    # Of a batch that doesn't add up, nothing is used.
    assert received == MESSAGES[:1]


@pytest.mark.parametrize('subprotocol', SUBPROTOCOLS)
def test_what_has_no_form_is_not_sent(subprotocol: str) -> None:
    connection = ListPayloads(subprotocol)
    with pytest.raises(errors.SerializationError):
        asyncio.run(connection.send_msg([50, 1, {}, [object()]]))
    with pytest.raises(errors.SerializationError):
        asyncio.run(connection.send_msgs([[object()]]))
    assert connection.sent == []


@pytest.mark.parametrize(
    ('payload', 'size'),
    [(b'', 0), ('', 0), (b'\xff' * 5, 5), ('x' * 5, 5), ('ä' * 5, 10), ('€', 3), ('😀', 4), ('\ud800', 3)],
)
def test_the_size_of_payloads(payload: bytes | str, size: int) -> None:
    assert not is_larger(payload, size)
    assert is_larger(payload, size - 1)


def test_payloads_may_bypass_untouched_methods_only() -> None:
    class SeesMessages(ListPayloads):
        async def send_msg(self, msg):
            await super().send_msg(msg)

    class Extended(ListPayloads):
        def describe(self) -> str:
            return 'more, and nothing else'

    class NoCodec(PayloadConnection):
        receive_payload = ListPayloads.receive_payload
        send_payload = ListPayloads.send_payload
        close = ListPayloads.close

    assert ListPayloads('wamp.2.json').takes_payloads
    assert Extended('wamp.2.json').takes_payloads
    assert not SeesMessages('wamp.2.json').takes_payloads
    assert not NoCodec().takes_payloads

    patched = ListPayloads('wamp.2.json')
    patched.send_msgs = patched.send_msgs  # type: ignore[method-assign]
    assert not patched.takes_payloads
