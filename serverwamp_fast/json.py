"""JSON as WAMP uses it: the functions of serverwamp.json on the package's own codec."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import orjson as json_lib

from ._core.wire.subprotocols import codec_for
from ._core.wire.values import dumps_json, loads_json
from .errors import WAMPMsgParseError

logger = logging.getLogger(__name__)

JSON_LIBS_PREFERENCE = ('orjson',)
JSON_LIBRARY = 'orjson'
JSON_PACKED_BYTES_PREFIX = '\x00'
JSON_BATCH_SPLITTER = '\x1e'
BYTES_TYPES = (bytes, bytearray, memoryview)

__all__ = (
    'BYTES_TYPES',
    'JSON_BATCH_SPLITTER',
    'JSON_LIBRARY',
    'JSON_LIBS_PREFERENCE',
    'JSON_PACKED_BYTES_PREFIX',
    'WAMPMsgParseError',
    'deserialize',
    'deserialize_msg',
    'json_lib',
    'match_jsons_in_batch',
    'objects_from_json_batch',
    'serialize',
)

match_jsons_in_batch = re.compile(f'[^{JSON_BATCH_SPLITTER}]+').finditer


def serialize(obj: Any) -> str:
    """Return the JSON text of a value; bytes become strings that begin with U+0000.

    Raises SerializationError, a TypeError, if there is none (WAMP AP, "Binary support in JSON").
    """
    return dumps_json(obj).decode('utf-8')


def deserialize(text: str | bytes | bytearray | memoryview) -> Any:
    """Return the value of a JSON text; strings that begin with U+0000 become bytes. Raises ValueError."""
    try:
        return loads_json(text)
    except WAMPMsgParseError as error:
        raise ValueError(str(error)) from None


def deserialize_msg(msg_json: str | bytes | bytearray | memoryview) -> Any:
    """Return the value of a message's JSON text. Raises WAMPMsgParseError if it isn't JSON."""
    return loads_json(msg_json)


def objects_from_json_batch(batch: str | bytes | bytearray | memoryview) -> Iterator[Any]:
    """Yield the messages of a batch (WAMP AP, "Message Batching").

    Raises WAMPMsgParseError, before the first one, if any of them isn't JSON. An empty batch, or one of separators
    alone, yields nothing; transports refuse those.
    """
    rest = batch.strip(JSON_BATCH_SPLITTER) if isinstance(batch, str) else bytes(batch).strip(b'\x1e')
    if not rest:
        return
    yield from codec_for('wamp.2.json.batched').decode(batch)
