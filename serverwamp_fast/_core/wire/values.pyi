from typing import Any

def loads_json(text: str | bytes | bytearray | memoryview) -> Any:
    """Return the value of a JSON text, or of its UTF-8 bytes.

    Strings that begin with U+0000 become bytes (WAMP AP, "Binary support in JSON"), integers of any size arrive
    intact. Raises WAMPMsgParseError.
    """

def dumps_json(value: Any) -> bytes:
    """Return the UTF-8 bytes of a value's JSON text. Raises SerializationError if it has none."""

def loads_msgpack(payload: bytes | bytearray | memoryview) -> Any:
    """Return the value of a MessagePack object, arrays as tuples. Raises WAMPMsgParseError."""

def dumps_msgpack(value: Any) -> bytes:
    """Return a value as a MessagePack object. Raises SerializationError if it has no such form."""
