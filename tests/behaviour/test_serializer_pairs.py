"""What becomes of values on their way from one client to another, for every pair of serializers, batched too.

A client sends each value to a procedure, which keeps it, and in a PUBLISH. Others get it as a result, in an error, in a
progress report, in events of every kind. It is the same everywhere, and stands in a table of docs/serializers.md:

    python tests/behaviour/test_serializer_pairs.py    writes the table anew
"""

import asyncio
import base64
import contextlib
import json
import math
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import cbor2
import msgpack
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect

import serverwamp_fast as wamp
from serverwamp_fast._core.wire.subprotocols import SUBPROTOCOLS, codec_for
from serverwamp_fast.errors import SerializationError

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'serializers.md'
BEGIN, END = '<!-- made by tests/behaviour/test_serializer_pairs.py -->', '<!-- until here -->'
SERIALIZERS = {'JSON': 'wamp.2.json', 'MessagePack': 'wamp.2.msgpack', 'CBOR': 'wamp.2.cbor'}
ROLES = {'roles': {'caller': {}, 'publisher': {}, 'subscriber': {}}}
ACKNOWLEDGE = {'acknowledge': True}
NO_FORM, REFUSED = 'no form', 'refused'
RUNTIME_ERROR = 'wamp.error.runtime_error'
FAILURE = object()
# (value, serializer that it is sent in) -> serializer -> what is got.
Rows = dict[tuple[str, str], dict[str, str]]


def nested(depth: int) -> dict[str, bytes]:
    """Arrays in each other, as a client sends them."""
    return {
        'JSON': b'[' * depth + b']' * depth,
        'MessagePack': b'\x91' * (depth - 1) + b'\x90',
        'CBOR': b'\x81' * (depth - 1) + b'\x80',
    }


# What is sent, and the bytes of it in each serializer that can send it. Rows of the table, in its order.
VALUES: list[tuple[str, dict[str, bytes]]] = [
    ('null', {'JSON': b'null', 'MessagePack': b'\xc0', 'CBOR': b'\xf6'}),
    ("JavaScript's undefined", {'MessagePack': b'\xd4\x00\x00', 'CBOR': b'\xf7'}),
    ('an integer of 64 bits', {
        'JSON': b'18446744073709551615', 'MessagePack': b'\xcf' + b'\xff' * 8, 'CBOR': b'\x1b' + b'\xff' * 8}),
    ('a negative integer of 64 bits', {
        'JSON': b'-9223372036854775808', 'MessagePack': b'\xd3\x80' + bytes(7), 'CBOR': b'\x3b\x7f' + b'\xff' * 7}),
    ('a larger integer', {'JSON': b'18446744073709551616', 'CBOR': b'\xc2\x49\x01' + bytes(8)}),
    ('a lower integer', {'JSON': b'-18446744073709551617', 'CBOR': b'\xc3\x49\x01' + bytes(8)}),
    ('a float', {'JSON': b'1.5', 'MessagePack': b'\xcb\x3f\xf8' + bytes(6), 'CBOR': b'\xf9\x3e\x00'}),
    ('NaN', {'JSON': b'NaN', 'MessagePack': b'\xcb\x7f\xf8' + bytes(6), 'CBOR': b'\xf9\x7e\x00'}),
    ('infinity', {'JSON': b'Infinity', 'MessagePack': b'\xcb\x7f\xf0' + bytes(6), 'CBOR': b'\xf9\x7c\x00'}),
    ('text', {'JSON': '"é"'.encode(), 'MessagePack': b'\xa2\xc3\xa9', 'CBOR': b'\x62\xc3\xa9'}),
    ('text that begins with U+0000', {'MessagePack': b'\xa3\0ab', 'CBOR': b'\x63\0ab'}),
    ('text with a lone surrogate', {
        'JSON': b'"\\ud800"', 'MessagePack': b'\xa3\xed\xa0\x80', 'CBOR': b'\x63\xed\xa0\x80'}),
    ('binary data', {'JSON': b'"\\u0000AP8="', 'MessagePack': b'\xc4\x02\0\xff', 'CBOR': b'\x42\0\xff'}),
    ('an array', {'JSON': b'[1,[]]', 'MessagePack': b'\x92\x01\x90', 'CBOR': b'\x82\x01\x80'}),
    ('a mapping', {'JSON': b'{"a":1}', 'MessagePack': b'\x81\xa1a\x01', 'CBOR': b'\xa1\x61a\x01'}),
    ('a key that begins with U+0000', {
        'JSON': b'{"\\u0000":1}', 'MessagePack': b'\x81\xa1\0\x01', 'CBOR': b'\xa1\x61\0\x01'}),
    ('a key that is an integer', {'MessagePack': b'\x81\x01\x01', 'CBOR': b'\xa1\x01\x01'}),
    ('a key that is binary data', {'MessagePack': b'\x81\xc4\x01a\x01', 'CBOR': b'\xa1\x41a\x01'}),
    ("MessagePack's timestamp", {'MessagePack': b'\xd6\xff\0\0\0\x01'}),
    ("MessagePack's timestamp, with nanoseconds", {'MessagePack': b'\xd7\xff\x77\x35\x94\0\0\0\0\x01'}),
    ("MessagePack's extension 5, for any other", {'MessagePack': b'\xd5\x05ab'}),
    ("MessagePack's extension -2, which is reserved", {'MessagePack': b'\xd4\xfe\0'}),
    ('CBOR tag 0, a date as text', {'CBOR': b'\xc0\x74' + b'2026-11-20T00:00:00Z'}),
    ('CBOR tag 1, a date in seconds', {'CBOR': b'\xc1\x01'}),
    ('CBOR tag 32, a URL', {'CBOR': b'\xd8\x20\x63a:b'}),
    ('CBOR tag 64, a byte array', {'CBOR': b'\xd8\x40\x42\0\xff'}),
    ('CBOR tag 258, a set', {'CBOR': b'\xd9\x01\x02\x81\x01'}),
    ('CBOR tag 55799, the mark of CBOR', {'CBOR': b'\xd9\xd9\xf7\x01'}),
    ('CBOR tag 35, for any other', {'CBOR': b'\xd8\x23\x61a'}),
    ('CBOR simple value 16, for any other', {'CBOR': b'\xf0'}),
    ('arrays, 399 in each other', nested(399)),
    ('arrays, 400 in each other', nested(400)),
    ('arrays, 1022 in each other', nested(1022)),
    ('arrays, 1024 in each other', nested(1024)),
]  # fmt: skip
if sys.version_info < (3, 12):
    # There the standard library writes JSON no deeper than Python's limit of recursion, which is 1000.
    VALUES = [(name, forms) for name, forms in VALUES if '102' not in name]


class Client:
    """A client that sends values as bytes, and reads what it gets by nothing of the package."""

    def __init__(self, ws: Any, serializer: str) -> None:
        self.ws = ws
        self.serializer = serializer
        self.is_batched = ws.subprotocol.endswith('.batched')

    async def say(self, *head: Any, value: bytes | None = None) -> None:
        """Send a message, with one argument that has been written before."""
        if self.serializer == 'JSON':
            payload = json.dumps(head).encode()
            if value is not None:
                payload = payload[:-1] + b',[' + value + b']]'
            await self.ws.send((payload + b'\x1e' * self.is_batched).decode())
            return
        payload = (msgpack.packb if self.serializer == 'MessagePack' else cbor2.dumps)(list(head))
        if value is not None:
            mark = b'\x91' if self.serializer == 'MessagePack' else b'\x81'
            payload = bytes([payload[0] + 1]) + payload[1:] + mark + value
        await self.ws.send(struct.pack('>I', len(payload)) * self.is_batched + payload)

    async def hear(self) -> Any:
        payload = await self.ws.recv()
        if self.serializer == 'JSON':
            # The one reads neither NaN nor lone surrogates, the other one integers of any size, and not all depths.
            strict = orjson.loads(payload[: len(payload) - self.is_batched])
            return strict if len(payload) > 1000 else json.loads(payload[: len(payload) - self.is_batched])
        if self.is_batched:
            (size,) = struct.unpack_from('>I', payload)
            payload = payload[4:]
            assert size == len(payload)
        return (msgpack.unpackb if self.serializer == 'MessagePack' else cbor2.loads)(payload)

    async def ask(self, *head: Any, value: bytes | None = None) -> Any:
        await self.say(*head, value=value)
        return await self.hear()

    async def is_well(self) -> bool:
        """Nothing more is on its way, and the session is as it was."""
        return (await self.ask(34, 9, 2**53))[:5] == [8, 34, 9, {}, 'wamp.error.no_such_subscription']


def make_app() -> wamp.Application:
    app = wamp.Application()
    app.allow_publish('', 'prefix')
    app.allow_subscribe('', 'prefix')
    app.set_retained_limit(10)
    routes = wamp.RPCRouteSet()
    kept: list[Any] = []

    @routes.route('echo')
    async def echo(value):
        return wamp.RPCResult((value,))

    @routes.route('keep')
    async def keep(value):
        kept[:] = [value]

    @routes.route('give')
    async def give():
        return wamp.RPCResult(kept)

    @routes.route('give_by_name')
    async def give_by_name():
        return wamp.RPCResult((), {'value': kept[0]})

    @routes.route('fail')
    async def fail():
        return wamp.RPCErrorResult('app.error', kept)

    @routes.route('report')
    async def report():
        yield wamp.RPCProgressReport(kept)
        yield wamp.RPCResult()

    @routes.route('event')
    async def event(session):
        return await try_to(session.send_event('own', kept))

    @routes.route('publish')
    async def publish():
        return await try_to(app.publish('server', kept, retain=True))

    async def try_to(send):
        try:
            await send
        except SerializationError as error:
            return [str(error)]
        return []

    app.add_rpc_routes(routes)
    return app


@contextlib.asynccontextmanager
async def joined(url: str, subprotocol: str) -> AsyncIterator[Client]:
    serializer = next(name for name, plain in SERIALIZERS.items() if subprotocol.startswith(plain))
    async with connect(url, subprotocols=[subprotocol], compression=None) as ws:
        client = Client(ws, serializer)
        assert (await client.ask(1, 'realm1', ROLES))[0] == 2
        yield client


# What a client gets, as the table shows it


def show(serializer: str, value: Any) -> str:
    depth, inner = 1, value
    while isinstance(inner, (list, tuple)) and len(inner) == 1:
        depth, inner = depth + 1, inner[0]
    if depth > 10:
        assert inner == []
        return 'as sent'
    if serializer == 'JSON':
        check_binary(value)
        return f'`{json.dumps(value, ensure_ascii=False)}`'
    return f'`{notation(value)}`'


def check_binary(value: Any) -> None:
    """What begins with U+0000 is read as base64 by every client."""
    if isinstance(value, str) and value[:1] == '\0':
        base64.b64decode(value[1:], validate=True)


def notation(value: Any) -> str:
    """A value in the notation of RFC 8949, section 8, with words for what MessagePack alone has."""
    if isinstance(value, msgpack.Timestamp):
        return f'timestamp {value.to_unix():g}'
    if isinstance(value, msgpack.ExtType):
        return f"extension {value.code} h'{value.data.hex()}'"
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, float) and not math.isfinite(value):
        return 'NaN' if math.isnan(value) else 'Infinity'
    if isinstance(value, list):
        return f'[{", ".join(map(notation, value))}]'
    if isinstance(value, dict):
        items = ', '.join(f'{notation(key)}: {notation(item)}' for key, item in value.items())
        return f'{{{items}}}'
    assert value is None or isinstance(value, (bool, int, float, str)), value
    return json.dumps(value, ensure_ascii=False)


# The ways


async def get_answers(target: Client) -> list[str]:
    """The value in a client's own calls and events, each as the table shows it."""
    cells = []

    def add(value: Any) -> None:
        cells.append(show(target.serializer, value))

    def add_failure(answer: Any) -> None:
        assert answer[:2] == [8, 48] and answer[4] == RUNTIME_ERROR, answer
        cells.append(NO_FORM)

    for procedure, find in (
        ('give', lambda answer: answer[3][0] if answer[0] == 50 else FAILURE),
        ('give_by_name', lambda answer: answer[4]['value'] if answer[0] == 50 else FAILURE),
        ('fail', lambda answer: answer[5][0] if answer[4] == 'app.error' else FAILURE),
    ):
        answer = await target.ask(48, 1, {}, procedure)
        value = find(answer)
        if value is FAILURE:
            add_failure(answer)
        else:
            add(value)
    answer = await target.ask(48, 4, {'receive_progress': True}, 'report')
    if answer[0] == 50:
        assert answer[:3] == [50, 4, {'progress': True}]
        add(answer[3][0])
        assert await target.hear() == [50, 4, {}]
    else:
        add_failure(answer)
    answer = await target.ask(48, 5, {}, 'event')
    if answer[0] == 36:
        add(answer[4][0])
        assert await target.hear() == [50, 5, {}]
    else:
        assert answer[3][0].startswith(f'{target.serializer} has no form for '), answer
        cells.append(NO_FORM)
    assert await target.is_well()
    return cells


async def get_published(target: Client, cells: list[str]) -> list[str]:
    """Two events that were published, if this client's serializer has a form for the value, and the retained ones."""
    for _ in range(0 if cells[0] == NO_FORM else 2):
        answer = await target.hear()
        assert answer[0] == 36, answer
        cells.append(show(target.serializer, answer[4][0]))
    assert await target.is_well()
    cells += [await get_retained(target, topic) for topic in ('server', 'client')]
    assert await target.is_well()
    return cells


async def get_retained(target: Client, topic: str) -> str:
    code, _, number = await target.ask(32, 7, {'get_retained': True, 'match': 'prefix'}, topic)
    assert code == 33
    answer = await target.ask(34, 8, number)
    if answer[0] == 35:
        return NO_FORM
    assert answer[:2] == [36, number] and answer[3]['retained'] is True
    assert await target.hear() == [35, 8]
    return show(target.serializer, answer[4][0])


async def pass_on(source: Client, value: bytes, targets: list[Client], app: Any) -> dict[str, str]:
    """Send one value in every way to every client; returns what the clients of each serializer get."""
    app.forget_retained('server')
    app.forget_retained('client')
    answer = await source.ask(48, 1, {}, 'keep', value=value)
    if answer[0] == 3:
        assert answer[2] == 'wamp.error.protocol_violation'
        return dict.fromkeys(SERIALIZERS, REFUSED)
    assert answer == [50, 1, {}]
    found = await asyncio.gather(*map(get_answers, targets))
    lacking = {target.serializer for target, cells in zip(targets, found, strict=True) if cells[0] == NO_FORM}
    # Whoever can read it gets it, and then the publisher is told.
    answer = await source.ask(16, 2, ACKNOWLEDGE | {'retain': True}, 'client', value=value)
    if lacking:
        assert answer[:5] == [8, 16, 2, {}, 'wamp.error.invalid_argument']
        assert answer[6]['message'] == answer[5][0]
        assert any(f': {name} has no form for ' in answer[5][0] for name in lacking)
    else:
        assert answer[:2] == [17, 2]
    told = await source.ask(48, 3, {}, 'publish')
    assert told[0] == 50 and (len(told) > 3) is bool(lacking)
    row: dict[str, str] = {}
    found = await asyncio.gather(*map(get_published, targets, found))
    for target, cells in zip(targets, found, strict=True):
        assert {*cells, row.setdefault(target.serializer, cells[0])} == {cells[0]}, (target.ws.subprotocol, cells)
    echoed = await source.ask(48, 4, {}, 'echo', value=value)
    assert show(source.serializer, echoed[3][0]) == row[source.serializer]
    return row


async def make_rows(url: str, app: Any, ends: Sequence[str] = ('', '.batched')) -> Rows:
    """Send each value from clients whose subprotocols have these ends; return what all others get."""
    rows: Rows = {}
    async with contextlib.AsyncExitStack() as stack:
        targets = [await stack.enter_async_context(joined(url, subprotocol)) for subprotocol in SUBPROTOCOLS]
        for target in targets:
            for topic in ('own', 'server', 'client'):
                assert (await target.ask(32, 6, {}, topic))[0] == 33
        for name, forms in VALUES:
            for serializer, value in forms.items():
                for end in ends:
                    async with joined(url, SERIALIZERS[serializer] + end) as source:
                        row = await pass_on(source, value, targets, app)
                    assert rows.setdefault((name, serializer), row) == row
    return rows


def make_table(rows: Rows) -> str:
    """Return the table: a line for all serializers of the sender after which the same comes out."""
    lines = ['| sent | in | JSON gets | MessagePack gets | CBOR gets |', '|---|---|---|---|---|']
    for name, _ in VALUES:
        alike: dict[tuple[str, ...], list[str]] = {}
        for (other, serializer), row in rows.items():
            if other == name:
                alike.setdefault(tuple(row[target] for target in SERIALIZERS), []).append(serializer)
        lines += [f'| {name} | {", ".join(senders)} | {" | ".join(cells)} |' for cells, senders in alike.items()]
    return '\n'.join(lines)


async def serve_and_make_rows() -> Rows:
    app = make_app()
    async with await app.serve('127.0.0.1', 0) as server:
        return await make_rows(f'ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/', app)


def replace_table(page: str, table: str) -> str:
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f'{before}{BEGIN}\n{table}\n{END}{after}'


def read_page() -> str:
    """Return the page, without the rows of values that are not tried on this Python."""
    page = PAGE.read_text('utf-8')
    if sys.version_info >= (3, 12):
        return page
    return ''.join(line for line in page.splitlines(keepends=True) if '| arrays, 102' not in line)


def test_the_table(run: Any) -> None:
    page = read_page()
    assert page == replace_table(page, make_table(run(serve_and_make_rows()))), (
        'docs/serializers.md shows something else. Look at the difference; if it is meant so, run '
        'python tests/behaviour/test_serializer_pairs.py'
    )


@pytest.mark.parametrize('server', ['aiohttp', 'uvicorn', 'websockets'])
def test_on_other_transports(run: Any, server: str) -> None:
    from behaviour.test_publishing_servers import SERVERS

    app = make_app()

    async def main() -> Rows:
        async with SERVERS[server](app) as url:
            return await make_rows(f'ws://{url}', app, [''])

    assert make_table(run(main())) in read_page()


# Plain values, by the codecs alone

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.integers(-(2**65), 2**65) | st.floats() | st.binary(max_size=8)
    | st.text(st.characters(exclude_categories=['Cs']), max_size=8) | st.sampled_from(['\0', '\0AP8=', -0.0])
)  # fmt: skip
KEYS = st.text(st.characters(exclude_categories=['Cs']), max_size=4)
PLAIN = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=12)


def expect(subprotocol: str, value: Any) -> Any:
    """What a reader gets of a value. Raises LookupError where the serializer has no form for it."""
    if isinstance(value, (list, tuple)):
        items = [expect(subprotocol, item) for item in value]
        return items if 'json' in subprotocol else tuple(items)
    if isinstance(value, dict):
        return {key: expect(subprotocol, item) for key, item in value.items()}
    if 'json' in subprotocol and isinstance(value, float) and not math.isfinite(value):
        return None
    if 'json' in subprotocol and isinstance(value, str) and value.startswith('\0'):
        raise LookupError
    if 'msgpack' in subprotocol and type(value) is int and not -(2**63) <= value < 2**64:
        raise LookupError
    return value


@given(sender=st.sampled_from(SUBPROTOCOLS), receiver=st.sampled_from(SUBPROTOCOLS), value=PLAIN)
@settings(max_examples=1000)
def test_plain_values(sender: str, receiver: str, value: Any) -> None:
    for subprotocol in (sender, receiver):
        codec = codec_for(subprotocol)
        try:
            expected = expect(subprotocol, value)
        except LookupError:
            with pytest.raises(SerializationError, match='has no form for'):
                codec.build_event(1, 2, None, (value,))
            return
        # As text, which tells 1 from 1.0 and True, 0.0 from -0.0, NaN from nothing, and tuples from lists.
        (event,) = codec.decode(codec.build_event(1, 2, None, (value,), {'key': value}))
        assert repr(event[4][0]) == repr(event[5]['key']) == repr(expected)
        (result,) = codec.decode(codec.build_result(1, (value,)))
        (message,) = codec.decode(codec.encode((8, 48, 1, {}, 'a', (value,))))
        assert repr(result[3][0]) == repr(message[5][0]) == repr(expected)
        value = event[4][0]


if __name__ == '__main__':
    text = PAGE.read_text('utf-8')
    PAGE.write_text(replace_table(text, make_table(asyncio.run(serve_and_make_rows()))), 'utf-8')
