from typing import Final

from .codec import Codec

SUBPROTOCOLS: Final[tuple[str, ...]]
"""The WebSocket subprotocols in the order of the server's preference; CBOR's only where cbor2 is installed."""

def codec_for(subprotocol: str) -> Codec:
    """Return the codec of a WebSocket subprotocol. Raises KeyError if there is none."""
