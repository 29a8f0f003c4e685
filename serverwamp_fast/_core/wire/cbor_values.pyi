from typing import Any, Final

HAS_CBOR: Final[bool]
"""Whether there is a cbor2 that is recent enough. Nothing else here works without it."""

def loads_cbor(payload: bytes | bytearray | memoryview) -> Any:
    """Return the value of a CBOR data item, arrays as tuples, undefined as None.

    Keys are strings. Of the tags only those of large integers count; dates, URLs, byte arrays and sets arrive as what
    they are written with, all other tags are refused. Raises WAMPMsgParseError.
    """

def dumps_cbor(value: Any) -> bytes:
    """Return a value as a CBOR data item. Raises SerializationError if it has no such form."""
