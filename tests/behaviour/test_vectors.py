"""The test vectors of wamp-proto: what bytes mean, how they are written, which options are violations."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.raw_client import make_app, serving, warnings_in

from serverwamp_fast._core.wire.messages import check
from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.errors import WAMPMsgParseError

FOLDER = Path(
    os.environ.get('WAMP_VECTORS')
    or Path(__file__).parents[2].parent / 'shared' / 'vectors' / 'wamp-proto'
)

# The attributes of each message in the order of its elements; args, kwargs and payload come behind them.
ATTRIBUTES = {
    1: ('realm', 'details'),
    2: ('session_id', 'details'),
    3: ('details', 'reason'),
    4: ('method', 'extra'),
    5: ('signature', 'extra'),
    6: ('details', 'reason'),
    8: ('request_type', 'request_id', 'details', 'error'),
    16: ('request_id', 'options', 'topic'),
    17: ('request_id', 'publication_id'),
    32: ('request_id', 'options', 'topic'),
    33: ('request_id', 'subscription_id'),
    34: ('request_id', 'subscription_id'),
    35: ('request_id',),
    36: ('subscription', 'publication', 'details'),
    48: ('request_id', 'options', 'procedure'),
    49: ('request_id', 'options'),
    50: ('request_id', 'details'),
    64: ('request_id', 'options', 'procedure'),
    65: ('request_id', 'registration_id'),
    66: ('request_id', 'registration_id'),
    67: ('request_id',),
    68: ('request_id', 'registration_id', 'details'),
    69: ('request_id', 'options'),
    70: ('request_id', 'options'),
    337: ('publication_id',),
}

# Samples in the old form of transparent payloads, binary data or a string in place of Arguments, which the
# specification no longer has (WAMP AP, "Payload Passthru Mode"): the codecs read them, the check refuses them.
OLD_PAYLOADS = {
    ('publish', 'PUBLISH with transparent payload (encrypted E2E)'),
    ('publish', 'PUBLISH with both forward_for and E2EE (advanced R-Link + encryption)'),
    ('event', 'EVENT with transparent payload (encrypted E2E)'),
    ('event', 'EVENT with both forward_for and E2EE (advanced R-Link + encryption)'),
    ('publish', 'PUBLISH.Options.enc_algo cryptobox (valid with payload)'),
    ('publish', 'PUBLISH.Options.enc_serializer cbor (valid with payload)'),
    ('event', 'EVENT.Details.enc_algo cryptobox (valid with payload)'),
    ('event', 'EVENT.Details.enc_serializer cbor (valid with payload)'),
}

# The attributes of this one have their keys in another order than the bytes.
OTHER_ORDER = ('event', 'EVENT with both forward_for and E2EE (advanced R-Link + encryption)')

SAMPLES = [
    pytest.param(path.stem, sample, id=f'{path.stem}: {sample["description"]}')
    for path in sorted(FOLDER.glob('*/*.json'))
    for sample in json.loads(path.read_text('utf-8'))['samples']
]
BYTES = [sample for sample in SAMPLES if 'serializers' in sample.values[1]]
MESSAGES = [sample for sample in SAMPLES if 'wmsg' in sample.values[1]]

pytestmark = pytest.mark.skipif(
    not SAMPLES, reason=f'no vectors: {FOLDER} has none, and WAMP_VECTORS names no folder that has'
)
# Without samples pytest would skip for a reason of its own.
NONE = [pytest.param(None, None, id='none')]


def plain(value: Any) -> Any:
    """A decoded value with lists for the tuples of MessagePack and CBOR."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def read_attributes(message: list[Any]) -> dict[str, Any]:
    """A message as the vectors describe it."""
    code, *elements = message
    names = ATTRIBUTES[code]
    attributes = {'message_type': code, **dict(zip(names, elements, strict=False))}
    if code in (1, 2):
        attributes['roles'] = attributes.pop('details')['roles']
    payload = elements[len(names) :]
    if payload and isinstance(payload[0], bytes):
        return attributes | {'args': None, 'kwargs': None, 'payload': payload[0].hex()}
    return attributes | dict(zip(('args', 'kwargs'), [*payload, None, None], strict=False))


def build_message(attributes: dict[str, Any]) -> list[Any]:
    """The message that the vectors describe."""
    code = attributes['message_type']
    if 'roles' in attributes:
        attributes = attributes | {'details': {'roles': attributes['roles']}}
    message = [code, *(attributes[name] for name in ATTRIBUTES[code])]
    if attributes.get('payload'):
        message.append(bytes.fromhex(attributes['payload']))
    elif attributes.get('args'):
        message.append(attributes['args'])
        if attributes.get('kwargs'):
            message.append(attributes['kwargs'])
    return message


def test_how_many_there_are() -> None:
    assert (len(BYTES), len(MESSAGES)) == (35, 67)
    for kind, count in (('json', 59), ('msgpack', 35), ('cbor', 35)):
        assert sum(len(sample.values[1]['serializers'][kind]) for sample in BYTES) == count
    assert sum('expected_error' in sample.values[1] for sample in MESSAGES) == 28
    names = {(sample.values[0], sample.values[1]['description']) for sample in SAMPLES}
    assert names >= OLD_PAYLOADS


@pytest.mark.parametrize('subprotocol', ['wamp.2.json', 'wamp.2.msgpack', 'wamp.2.cbor'])
@pytest.mark.parametrize(('name', 'sample'), BYTES or NONE)
def test_bytes(name: str, sample: dict[str, Any], subprotocol: str) -> None:
    codec = codec_for(subprotocol)
    expected = {'args': None, 'kwargs': None} | sample['expected_attributes']
    if expected.get('payload', '') is None:
        del expected['payload']
    variants = sample['serializers'][subprotocol.rpartition('.')[2]]
    payloads = [bytes.fromhex(variant['bytes_hex']) for variant in variants]
    assert payloads
    for payload in payloads:
        (message,) = codec.decode(payload)
        assert read_attributes(plain(message)) == expected
        if (name, sample['description']) in OLD_PAYLOADS:
            with pytest.raises(WAMPMsgParseError, match='Arguments'):
                check(message)
        else:
            assert check(message) is message

    is_ordered = (name, sample['description']) != OTHER_ORDER
    attributes = sample['expected_attributes'] if is_ordered else read_attributes(plain(message))
    encoded = codec.encode(build_message(attributes))
    if codec.is_binary:
        assert encoded in payloads
    else:
        # Any of the variants, or what they are without their spaces.
        compact = [
            json.dumps(json.loads(payload), separators=(',', ':')).encode() for payload in payloads
        ]
        assert encoded in [*payloads, *compact]


@pytest.mark.parametrize(('name', 'sample'), MESSAGES or NONE)
def test_messages(name: str, sample: dict[str, Any]) -> None:
    message = sample['wmsg']
    # The check sees messages from every codec alike.
    forms = [message, tuple(message)]
    for codec in map(codec_for, ('wamp.2.json', 'wamp.2.msgpack', 'wamp.2.cbor')):
        forms += codec.decode(codec.encode(message))
    for form in forms:
        if 'expected_error' in sample:
            with pytest.raises(WAMPMsgParseError) as caught:
                check(form)
            assert sample['expected_error']['contains'] in str(caught.value)
        elif (name, sample['description']) in OLD_PAYLOADS:
            with pytest.raises(WAMPMsgParseError, match='Arguments'):
                check(form)
        else:
            assert check(form) is form


WRONG = [sample for sample in MESSAGES if 'expected_error' in sample.values[1]]
# What is no matching policy that we know, other routers may know: the request is refused, and the session goes on.
REFUSED = 'SUBSCRIBE.Options.match '


@pytest.mark.parametrize('subprotocol', ['wamp.2.json', 'wamp.2.msgpack', 'wamp.2.cbor'])
def test_wrong_options_on_the_wire(run: Any, subprotocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """The session of who sends one ends with ABORT and a line in the log; all others go on as if nothing was."""
    app = make_app()
    app.allow_publish('com.', 'prefix')
    app.allow_subscribe('com.', 'prefix')

    async def main() -> None:
        async with serving(app) as server:
            other = await server.join(subprotocol)
            assert (await other.ask(32, 1, {}, 'com.example.topic'))[:2] == [33, 1]
            for number, wrong in enumerate(WRONG, 1):
                _, sample = wrong.values
                caplog.clear()
                client = await server.join(subprotocol)
                # What it has said before is answered, what it says after it is not.
                await client.say([48, 1, {}, 'echo', ['before']], sample['wmsg'], [48, 2, {}, 'echo', ['after']])
                assert plain(await client.hear()) == [50, 1, {}, ['before']]
                if sample['description'].startswith(REFUSED):
                    answer = plain(await client.hear())
                    assert answer[:3] + answer[4:5] == [8, sample['wmsg'][0], 123, 'wamp.error.invalid_argument']
                    assert plain(await client.hear()) == [50, 2, {}, ['after']]
                    client.close()
                else:
                    details = await client.expect_abort('wamp.error.protocol_violation')
                    assert sample['expected_error']['contains'] in details['message']
                    assert len(warnings_in(caplog)) == 1
                assert plain(await other.call(number, 'echo', number)) == [number]
            # No event has come of it.
            assert plain(await other.ask(34, 99, 99))[:3] == [8, 34, 99]

    run(main())
