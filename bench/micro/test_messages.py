"""Decode, check and encode: one message, without sockets.

    pytest bench/micro

Each group holds this package and serverwamp 2.0.0 on the same input; the numbers in brackets are ratios.
"""

import json

import msgpack
import pytest
import serverwamp.helpers
import serverwamp.json
import serverwamp.protocol as reference

from serverwamp_fast._core.wire.messages import check
from serverwamp_fast._core.wire.subprotocols import codec_for

CALL = [48, 123, {}, 'com.example.echo', ['abcdefgh' * 8]]
CALL_JSON = json.dumps(CALL, separators=(',', ':'))
CALL_MESSAGEPACK = msgpack.packb(CALL)
JSON, MESSAGEPACK = codec_for('wamp.2.json'), codec_for('wamp.2.msgpack')
ARGS = ('abcdefgh' * 8,)


@pytest.mark.benchmark(group='decode CALL, JSON')
class TestDecodeJSON:
    def test_fast(self, benchmark):
        assert benchmark(JSON.decode, CALL_JSON) == [CALL]

    def test_serverwamp(self, benchmark):
        assert list(benchmark(serverwamp.json.deserialize_msg, CALL_JSON)) == CALL


@pytest.mark.benchmark(group='decode CALL, MessagePack')
class TestDecodeMessagePack:
    def test_fast(self, benchmark):
        [message] = benchmark(MESSAGEPACK.decode, CALL_MESSAGEPACK)
        assert [*message[:4], list(message[4])] == CALL

    def test_serverwamp(self, benchmark):
        message = benchmark(serverwamp.helpers.object_from_msgpack, CALL_MESSAGEPACK)
        assert [*message[:4], list(message[4])] == CALL


@pytest.mark.benchmark(group='decode a batch of ten CALLs, JSON')
class TestDecodeBatch:
    def test_fast(self, benchmark):
        batch = (CALL_JSON + '\x1e') * 10
        assert benchmark(codec_for('wamp.2.json.batched').decode, batch) == [CALL] * 10

    def test_serverwamp(self, benchmark):
        batch = (CALL_JSON + '\x1e') * 10
        assert len(benchmark(lambda: list(serverwamp.json.objects_from_json_batch(batch)))) == 10


@pytest.mark.benchmark(group='check CALL (serverwamp: check and build the request, one step there)')
class TestCheck:
    def test_fast(self, benchmark):
        assert benchmark(check, CALL) == CALL

    def test_serverwamp(self, benchmark):
        """It builds the request in the same step."""
        assert benchmark(reference.wamp_request_from_msg, CALL).uri == CALL[3]


@pytest.fixture
def request_of_serverwamp():
    return reference.wamp_request_from_msg(CALL)


@pytest.mark.benchmark(group='encode RESULT, JSON')
class TestEncodeResult:
    def test_fast(self, benchmark):
        assert benchmark(JSON.build_result, 123, ARGS).startswith(b'[50,123,{},["abc')

    def test_serverwamp(self, benchmark, request_of_serverwamp):
        def encode():
            return serverwamp.json.serialize(reference.call_result_response_msg(request_of_serverwamp, ARGS))

        assert benchmark(encode).replace(' ', '').startswith('[50,123,{},["abc')


@pytest.mark.benchmark(group='encode RESULT, MessagePack')
class TestEncodeResultMessagePack:
    def test_fast(self, benchmark):
        assert benchmark(MESSAGEPACK.build_result, 123, ARGS)[:2] in (b'\x942', b'\x952')

    def test_serverwamp(self, benchmark, request_of_serverwamp):
        def encode():
            return msgpack.packb(reference.call_result_response_msg(request_of_serverwamp, ARGS))

        assert benchmark(encode)[:2] == b'\x942'


@pytest.mark.benchmark(group='encode EVENT, JSON')
class TestEncodeEvent:
    def test_fast(self, benchmark):
        assert benchmark(JSON.build_event, 7, 8, None, ARGS).startswith(b'[36,7,8,{},["abc')

    def test_serverwamp(self, benchmark):
        def encode():
            return serverwamp.json.serialize(reference.event_msg(7, 8, ARGS))

        assert benchmark(encode).replace(' ', '').startswith('[36,7,8,{},["abc')
