"""Where 0.1.0 had the codecs; programs that measure or check them import them from here."""

from .wire.subprotocols import SUBPROTOCOLS as SUBPROTOCOLS
from .wire.subprotocols import codec_for as codec_for
