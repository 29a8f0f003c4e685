from typing import Final

from .codec import Codec

class JSONCodec(Codec):
    """Messages as JSON texts."""

CODECS: Final[tuple[JSONCodec, ...]]
"""Those of the subprotocols, the batched one first."""
