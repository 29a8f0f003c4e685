# Whoever finds a codec also uses it.
from .codec cimport Codec, as_arguments, as_keywords

cpdef Codec codec_for(object subprotocol)
