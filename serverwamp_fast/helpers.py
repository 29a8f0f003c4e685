"""Small things that several modules share: names, addresses, and MessagePack as serverwamp.helpers offers it."""

import re
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Any

from ._core.wire.subprotocols import codec_for
from ._core.wire.values import loads_msgpack
from .errors import WAMPMsgParseError

__all__ = (
    'WAMPMsgParseError',
    'camel_to_snake',
    'format_sockaddr',
    'object_from_msgpack',
    'objects_from_msgpack_batch',
    'pack_uint32_be',
    'unpack_uint32_be',
)

pack_uint32_be = Struct('>L').pack
unpack_uint32_be = Struct('>L').unpack

# Where a word begins: at a capital behind a small letter or a digit, or at one that a small letter follows.
_word_starts = re.compile(r'(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])')


def camel_to_snake(name: str) -> str:
    """Return a name in CamelCase as snake_case: HTTPStatusCode becomes http_status_code."""
    return _word_starts.sub('_', name).lower()


def format_sockaddr(net_family: int, sockaddr: Any) -> str:
    """Return a socket's address as people write it: host and port for IP, brackets around IPv6."""
    if net_family == socket.AF_INET:
        host, port, *_ = sockaddr
        return f'{host}:{port}'
    if net_family == socket.AF_INET6:
        host, port, *_ = sockaddr
        return f'[{host}]:{port}'
    return str(sockaddr)


def require_number(name: str, value: Any, kinds: tuple[type[Any], ...], least: int) -> None:
    """Raise TypeError if the value of a setting is no number of the kinds, ValueError if it is below `least`."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError(f'{name} is a number, which {value!r} is not.')
    if not value >= least:
        raise ValueError(f'{name} is a number from {least} on, not {value!r}.')


def object_from_msgpack(obj_bytes: bytes | bytearray | memoryview) -> Any:
    """Return the value of a MessagePack object, arrays as tuples. Raises WAMPMsgParseError."""
    return loads_msgpack(obj_bytes)


def objects_from_msgpack_batch(batch: bytes | bytearray | memoryview) -> Iterator[Any]:
    """Yield the messages of a batch (WAMP AP, "Message Batching").

    Raises WAMPMsgParseError, before the first one, if any of them is malformed, if a length prefix points behind
    the end of the batch, or if there is no message.
    """
    yield from codec_for('wamp.2.msgpack.batched').decode(batch)
