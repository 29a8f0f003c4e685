"""What becomes of bad input on the native transport: an answer, one line in the log, and no harm to others."""

import tracemalloc
from typing import Any

import msgpack
import pytest
from support.client_frames import BINARY, TEXT, frame
from support.echo_servers import JSON, JSON_BATCHED, MSGPACK, MSGPACK_BATCHED
from support.explained import Explained
from support.raw_client import HELLO, make_app, serving, warnings_in

import serverwamp_fast as wamp

VIOLATION = 'wamp.error.protocol_violation'


def text(payload: str | bytes) -> bytes:
    return frame(TEXT, payload if isinstance(payload, bytes) else payload.encode())


def binary(value: Any) -> bytes:
    return frame(BINARY, msgpack.packb(value))


ID_LIMIT = 2**53

# Everything that ends a session that is open: subprotocol, frames, ABORT's URI.
BAD_INPUT: dict[str, tuple[str, bytes, str]] = {
    'binary for JSON': (JSON, frame(BINARY, b'[48,1,{},"echo"]'), VIOLATION),
    'text for MessagePack': (MSGPACK, text('[48,1,{},"echo"]'), VIOLATION),
    'nothing': (JSON, text(''), VIOLATION),
    'nothing in MessagePack': (MSGPACK, frame(BINARY), VIOLATION),
    'no JSON': (JSON, text('[48,1,{},"echo"'), VIOLATION),
    'more than JSON': (JSON, text('[48,1,{},"echo"]]'), VIOLATION),
    'two messages unbatched': (JSON, text('[48,1,{},"echo"][48,2,{},"echo"]'), VIOLATION),
    'deep JSON': (JSON, text('[' * 100_000), VIOLATION),
    'deep JSON in order': (
        JSON,
        text('[48,1,{},"echo",' + '[' * 50_000 + ']' * 50_000 + ']'),
        VIOLATION,
    ),
    'deep MessagePack': (MSGPACK, frame(BINARY, b'\x91' * 100_000), VIOLATION),
    'a long number': (JSON, text('[48,1,{},"echo",[' + '9' * 100_000 + ']]'), VIOLATION),
    'no MessagePack': (MSGPACK, frame(BINARY, b'\xc1'), VIOLATION),
    'cut MessagePack': (MSGPACK, frame(BINARY, msgpack.packb([48, 1, {}, 'a'])[:-1]), VIOLATION),
    'a MessagePack array of 2**32 - 1': (MSGPACK, frame(BINARY, b'\xdd\xff\xff\xff\xff'), VIOLATION),
    'a number': (JSON, text('48'), VIOLATION),
    'a string': (JSON, text('"48"'), VIOLATION),
    'an object': (JSON, text('{"48": 1}'), VIOLATION),
    'null': (JSON, text('null'), VIOLATION),
    'no elements': (JSON, text('[]'), VIOLATION),
    'no elements in MessagePack': (MSGPACK, binary([]), VIOLATION),
    'an unknown code': (JSON, text('[999,1,{}]'), VIOLATION),
    'a negative code': (JSON, text('[-48,1,{}]'), VIOLATION),
    'a huge code': (JSON, text(f'[{2**70},1,{{}}]'), VIOLATION),
    'a text code': (JSON, text('["48",1,{},"echo"]'), VIOLATION),
    'a true code': (JSON, text('[true,1,{},"echo"]'), VIOLATION),
    'too few elements': (JSON, text('[48,1,{}]'), VIOLATION),
    'id 0': (JSON, text('[48,0,{},"echo"]'), VIOLATION),
    'a negative id': (JSON, text('[48,-1,{},"echo"]'), VIOLATION),
    'a huge id': (JSON, text(f'[48,{ID_LIMIT + 1},{{}},"echo"]'), VIOLATION),
    'an id beyond 64 bits': (JSON, text(f'[48,{2**64},{{}},"echo"]'), VIOLATION),
    'a true id': (JSON, text('[48,true,{},"echo"]'), VIOLATION),
    'half an id': (JSON, text('[48,1.5,{},"echo"]'), VIOLATION),
    'no options': (JSON, text('[48,1,[],"echo"]'), VIOLATION),
    'a procedure that is a number': (JSON, text('[48,1,{},1]'), VIOLATION),
    'arguments that are an object': (JSON, text('[48,1,{},"echo",{}]'), VIOLATION),
    'keyword arguments that are a list': (JSON, text('[48,1,{},"echo",[],[]]'), VIOLATION),
    'a second HELLO': (JSON, text('[1,"realm1",{"roles":{}}]'), VIOLATION),
    "a router's message": (JSON, text('[2,1,{}]'), VIOLATION),
    'RESULT': (JSON, text('[50,1,{}]'), VIOLATION),
    'AUTHENTICATE': (JSON, text('[5,"x",{}]'), VIOLATION),
    'an empty batch': (JSON_BATCHED, text(''), VIOLATION),
    'a batch of an empty message': (JSON_BATCHED, text('\x1e'), VIOLATION),
    'an unfinished batch': (JSON_BATCHED, text('[48,1,{},"echo"]\x1e[48,2'), VIOLATION),
    'an empty MessagePack batch': (MSGPACK_BATCHED, frame(BINARY), VIOLATION),
    'a length beyond the batch': (MSGPACK_BATCHED, frame(BINARY, b'\xff\xff\xff\xff\x90'), VIOLATION),
    'half a length': (MSGPACK_BATCHED, frame(BINARY, b'\x00\x00'), VIOLATION),
    'a length of 0': (MSGPACK_BATCHED, frame(BINARY, bytes(4)), VIOLATION),
}


@pytest.mark.parametrize('name', BAD_INPUT)
def test_bad_input_is_answered_with_abort_and_one_line_in_the_log(run, caplog, name: str) -> None:
    subprotocol, frames, uri = BAD_INPUT[name]

    async def main() -> None:
        async with serving(make_app()) as server:
            other = await server.join()
            client = await server.join(subprotocol)
            # What came before is answered, what comes behind is not looked at.
            await client.send(
                client.pack([34, 1, 999]) + frames + client.pack([48, 2, {}, 'echo', ['behind']])
            )
            assert (await client.hear())[:3] == [8, 34, 1]
            details = await client.expect_abort(uri)
            assert details['message']
            assert await other.call(1, 'echo', 'unharmed') == ['unharmed']
            await other.leave()

    run(main())
    (line,) = warnings_in(caplog)
    assert uri in line


def test_the_rest_of_a_batch_behind_abort_is_not_kept(run) -> None:
    count = 200_000

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join(JSON_BATCHED)
            tracemalloc.start()
            try:
                await client.send(text('1\x1e' * count))
                await client.expect_abort(VIOLATION)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            # The payload, and a list with nothing new in it.
            assert peak < 20 * count

    run(main())


BAD_FIRST: dict[str, tuple[bytes, str]] = {
    'CALL': (text('[48,1,{},"echo"]'), VIOLATION),
    'GOODBYE': (text('[6,{},"wamp.close.normal"]'), VIOLATION),
    'AUTHENTICATE': (text('[5,"x",{}]'), VIOLATION),
    'SUBSCRIBE': (text('[32,1,{},"t"]'), VIOLATION),
    'WELCOME': (text('[2,1,{}]'), VIOLATION),
    'nonsense': (text('nonsense'), VIOLATION),
    'HELLO without a realm': (text('[1]'), VIOLATION),
    'HELLO with a number as its realm': (text('[1,1,{}]'), VIOLATION),
    'HELLO with an impossible realm': (text('[1,"a b\\n\\rc",{"roles":{}}]'), 'wamp.error.invalid_uri'),
    'HELLO for an unknown realm': (text('[1,"other",{"roles":{}}]'), 'wamp.error.no_such_realm'),
    'HELLO for a realm of great length': (
        text('[1,"%s",{"roles":{}}]' % ('r' * 100_000)),
        'wamp.error.no_such_realm',
    ),
}


@pytest.mark.parametrize('name', BAD_FIRST)
def test_what_is_not_a_hello_for_a_realm_opens_nothing(run, caplog, name: str) -> None:
    frames, uri = BAD_FIRST[name]

    async def main() -> None:
        app = make_app(allow_default_realm=True)
        app._default_realm = None
        app.add_realm(wamp.Realm('realm1'))
        async with serving(app) as server:
            client = await server.connect()
            await client.send(frames + client.pack(HELLO, [48, 1, {}, 'echo']))
            await client.expect_abort(uri)
            assert not app._active_sessions

    run(main())
    (line,) = warnings_in(caplog)
    assert uri in line


def test_a_fault_in_opening_is_not_the_lack_of_a_realm(run, caplog) -> None:
    async def main() -> None:
        app = make_app()
        app.new_session = lambda *args: {}['the fault']
        async with serving(app) as server:
            client = await server.connect()
            await client.say(HELLO)
            await client.expect_close(1011)

    run(main())
    assert "KeyError: 'the fault'" in caplog.text


def test_requests_that_are_refused_leave_the_session_open(run, caplog) -> None:
    refused: list[tuple[list[Any], list[Any]]] = [
        ([16, 1, {'acknowledge': True}, 'a.b'], Explained(16, 1, 'wamp.error.not_authorized')),
        ([64, 2, {}, 'a.b'], Explained(64, 2, 'wamp.error.feature_not_supported')),
        ([66, 3, 1], Explained(66, 3, 'wamp.error.no_such_registration')),
        ([70, 4, {}], Explained(70, 4, 'wamp.error.invalid_argument')),
        ([8, 68, 5, {}, 'a.b'], Explained(68, 5, 'wamp.error.invalid_argument')),
        ([48, 6, {}, 'no such thing'], Explained(48, 6, 'wamp.error.invalid_uri')),
        ([48, 7, {}, 'a.b'], Explained(48, 7, 'wamp.error.no_such_procedure')),
        ([32, 8, {}, 'a..b'], Explained(32, 8, 'wamp.error.invalid_uri')),
        ([34, 9, 1], Explained(34, 9, 'wamp.error.no_such_subscription')),
    ]

    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            # Neither of these wants an answer.
            await client.say([16, 1, {}, 'a.b'], [49, 1, {}], [49, 2, {'mode': 'kill'}])
            for request, answer in refused:
                assert await client.ask(*request) == answer
            assert await client.call(10, 'echo', 'still there') == ['still there']
            await client.leave()

    run(main())
    assert not warnings_in(caplog)


@pytest.mark.parametrize('value', ['1e16', '9007199254740991', '9007199254740992'])
def test_the_largest_ids_are_taken(run, value: str) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.join()
            await client.send(text(f'[48,{value},{{}},"echo"]'))
            answer = await client.hear()
            # 1e16 is integral, and too large.
            assert answer[0] == (3 if value == '1e16' else 50)

    run(main())


def test_a_client_cannot_write_lines_into_the_log(run, caplog) -> None:
    async def main() -> None:
        async with serving(wamp.Application(allow_default_realm=False)) as server:
            client = await server.connect()
            await client.say([1, 'realm\x1b[2J\x07', {'roles': {}}])
            assert (await client.hear())[0] == 3
            client.close()

    run(main())
    (line,) = warnings_in(caplog)
    assert line.isprintable(), line
