"""The two subprotocols of JSON, byte for byte. What all codecs do is tested in test_codecs.py."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast._core.wire.json_codec import CODECS, JSONCodec
from serverwamp_fast.errors import BatchError, WAMPMsgParseError

BATCHED, PLAIN = CODECS
CANCEL = BATCHED.answering(b'[1]\x18')


def test_the_codecs() -> None:
    assert [codec.subprotocol for codec in CODECS] == ['wamp.2.json.batched', 'wamp.2.json']
    assert [codec.is_batched for codec in CODECS] == [True, False]
    for codec in (*CODECS, CANCEL):
        assert type(codec) is JSONCodec
        assert not codec.is_binary
    assert CANCEL.subprotocol == BATCHED.subprotocol


@pytest.mark.parametrize(('codec', 'end'), [(PLAIN, b''), (BATCHED, b'\x1e'), (CANCEL, b'\x18')])
def test_messages_are_texts_with_a_separator_behind(codec: JSONCodec, end: bytes) -> None:
    assert codec.encode([1, 'ä', b'\0', None]) == '[1,"ä","\\u0000AA==",null]'.encode() + end
    assert codec.build_result(7) == b'[50,7,{}]' + end
    assert codec.build_result(7, progress=True) == b'[50,7,{"progress":true}]' + end
    assert codec.build_result(7, (1,)) == b'[50,7,{},[1]]' + end
    assert codec.build_result(7, (), {'a': 1}) == b'[50,7,{},[],{"a":1}]' + end
    assert codec.build_event(7, 8) == b'[36,7,8,{}]' + end
    assert codec.build_event(7, 8, {'topic': 'a.b'}, [1], {'a': 2}) == (
        b'[36,7,8,{"topic":"a.b"},[1],{"a":2}]' + end
    )


@given(st.integers(0, 2**64 - 1))
def test_numbers_are_written_in_full(number: int) -> None:
    assert json.loads(PLAIN.build_result(number)) == [50, number, {}]
    assert json.loads(PLAIN.build_event(number, number)) == [36, number, number, {}]


@pytest.mark.parametrize('separator', ['\x1e', '\x18'])
@pytest.mark.parametrize('count', [1, 2, 5])
def test_batches_in_either_way_of_writing(separator: str, count: int) -> None:
    messages = [[number, '\x1e\x18'] for number in range(count)]
    texts = [json.dumps(message) for message in messages]
    for payload in separator.join(texts), separator.join(texts) + separator:
        assert BATCHED.decode(payload) == CANCEL.decode(payload.encode()) == messages


@pytest.mark.parametrize('payload', ['', '\x1e', '[1]\x1e\x1e', '\x18[1]', '[1]\x1e\x18[2]'])
def test_empty_messages_are_refused(payload: str) -> None:
    with pytest.raises(BatchError):
        BATCHED.decode(payload)


@pytest.mark.parametrize('payload', ['[1]\x1e', '[1] [2]', '[1]\x1e[2]', '\x1e'])
def test_without_batches_a_separator_is_no_json(payload: str) -> None:
    with pytest.raises(WAMPMsgParseError):
        PLAIN.decode(payload)


@pytest.mark.parametrize(
    ('codec', 'payload', 'answer'),
    [
        (PLAIN, b'[1]\x18', PLAIN),
        (BATCHED, b'[1]', BATCHED),
        (BATCHED, b'[1]\x1e', BATCHED),
        (BATCHED, b'[1]\x18', CANCEL),
        (BATCHED, b'[1]\x18[2]\x1e', BATCHED),
        (CANCEL, b'[1]\x18', CANCEL),
        (CANCEL, b'[1]\x1e', BATCHED),
    ],
)
def test_a_client_is_answered_as_it_writes(codec: JSONCodec, payload: bytes, answer: Any) -> None:
    assert codec.answering(payload) is answer
    assert codec.answering(payload.decode()) is answer
