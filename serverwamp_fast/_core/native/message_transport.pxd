from .transport cimport WebSocketTransport

cdef class MessageTransport(WebSocketTransport):
    pass
