from typing import Final

from .codec import Codec

class BinaryCodec(Codec):
    """What MessagePack and CBOR have in common."""

class MessagePackCodec(BinaryCodec):
    """Messages as MessagePack arrays."""

class CBORCodec(BinaryCodec):
    """Messages as CBOR arrays. It works only where cbor_values.HAS_CBOR is true."""

MSGPACK_CODECS: Final[tuple[MessagePackCodec, ...]]
"""Those of the subprotocols, the batched one first."""

CBOR_CODECS: Final[tuple[CBORCodec, ...]]
"""Those of the subprotocols, the batched one first."""
