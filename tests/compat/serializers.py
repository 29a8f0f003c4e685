"""The four subprotocols as a client speaks them, without any help from the packages under comparison."""

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

import msgpack

from compat.steps import BATCHED_JSON, BATCHED_MSGPACK, JSON


def pack_binary(value: Any) -> str:
    return '\0' + base64.b64encode(value).decode('ascii')


def unpack(data: bytes) -> Any:
    # Tuples, as a map may have arrays for keys.
    return msgpack.unpackb(data, use_list=False, strict_map_key=False)


def encode_payloads(subprotocol: str, messages: Sequence[Any]) -> list[str | bytes]:
    """The WebSocket messages that carry these WAMP messages."""
    if subprotocol in (JSON, BATCHED_JSON):
        texts = [json.dumps(message, default=pack_binary) for message in messages]
        if subprotocol == JSON:
            return list(texts)
        return [''.join(f'{text}\x1e' for text in texts)] if texts else []
    parts = [msgpack.packb(message) for message in messages]
    if subprotocol == BATCHED_MSGPACK:
        return [b''.join(struct.pack('>L', len(part)) + part for part in parts)] if parts else []
    return list(parts)


def decode_payload(subprotocol: str, payload: str | bytes) -> list[Any]:
    """The WAMP messages of a WebSocket message. Anything malformed raises."""
    if subprotocol in (JSON, BATCHED_JSON):
        assert isinstance(payload, str), 'a JSON subprotocol uses text messages'
        if subprotocol == JSON:
            return [json.loads(payload)]
        assert payload.endswith('\x1e'), payload
        return [json.loads(text) for text in payload[:-1].split('\x1e')]
    assert isinstance(payload, bytes), 'a MessagePack subprotocol uses binary messages'
    if subprotocol != BATCHED_MSGPACK:
        return [unpack(payload)]
    messages = []
    while payload:
        (size,) = struct.unpack_from('>L', payload)
        assert len(payload) >= 4 + size
        messages.append(unpack(payload[4 : 4 + size]))
        payload = payload[4 + size :]
    return messages
