"""The codecs by their WebSocket subprotocols: from a payload to messages and back.

A payload is one message, or a batch (WAMP AP, "Message Batching"). What the values look like is the business of
values.pyx and cbor_values.pyx; the codecs make the batches, and lay out by hand the two messages that are written so
often that it is worth it.
"""

from .codec cimport Codec

from serverwamp_fast._core.wire import binary_codecs
from serverwamp_fast._core.wire import cbor_values
from serverwamp_fast._core.wire import json_codec

# CBOR comes last: whether cbor2 is installed must not change what a client speaks that has another choice, and
# the other serializers are faster.
cdef dict codecs = {
    codec.subprotocol: codec for codec in (
        *binary_codecs.MSGPACK_CODECS,
        *json_codec.CODECS,
        *(binary_codecs.CBOR_CODECS if cbor_values.HAS_CBOR else ()),
    )
}

# In the order of the server's preference: clients differ in theirs, so somebody has to decide.
SUBPROTOCOLS = tuple(codecs)


cpdef Codec codec_for(object subprotocol):
    """Return the codec of a WebSocket subprotocol. Raises KeyError if there is none."""
    return codecs[subprotocol]
