"""What all codecs have in common: the class, and the payload of a message as the serializers know it."""

from collections.abc import Mapping

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from serverwamp_fast.errors import SerializationError, WAMPMsgParseError

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef object as_arguments(object args):
    """Return Arguments as the serializers know them, None if there are none. Raises SerializationError."""
    if args is None:
        return None
    if not isinstance(args, (list, tuple)):
        if isinstance(args, (str, bytes, bytearray, memoryview, Mapping)):
            raise SerializationError(f'Arguments are a sequence of values, not {type(args).__name__}')
        try:
            args = list(args)
        except TypeError:
            raise SerializationError(f'Arguments are a sequence of values, not {type(args).__name__}') from None
        except Exception as error:
            raise SerializationError(f'Arguments can not be read: {error}') from error
    return args if args else None


cdef object as_keywords(object kwargs):
    """Return ArgumentsKw as a dict, None if there are none. Raises SerializationError."""
    if not isinstance(kwargs, dict):
        if kwargs is None:
            return None
        if not isinstance(kwargs, Mapping):
            raise SerializationError(f'ArgumentsKw is a mapping, not {type(kwargs).__name__}')
        try:
            kwargs = dict(kwargs)
        except Exception as error:
            raise SerializationError(f'ArgumentsKw can not be read: {error}') from error
    return kwargs if kwargs else None


cdef class Codec:
    """How the messages of one subprotocol are written. Stateless; one object serves all connections."""

    cdef list decode_payload(self, const char *data, size_t size):
        """Return the messages of a payload, one at least. Raises WAMPMsgParseError."""
        raise NotImplementedError

    cdef object decode_single(self, const char *data, size_t size):
        """Return the message of a payload, where the subprotocol has no batches. Raises WAMPMsgParseError."""
        raise NotImplementedError

    cdef bytes encode_message(self, object message):
        """Return the payload that holds one message. Raises SerializationError."""
        raise NotImplementedError

    cdef bytes encode_result(self, unsigned long long request_id, bint progress, object args, object kwargs):
        """Return the payload of a RESULT. Raises SerializationError."""
        raise NotImplementedError

    cdef bytes encode_event(
        self, unsigned long long subscription, unsigned long long publication, object details, object args,
        object kwargs
    ):
        """Return the payload of an EVENT. Raises SerializationError."""
        args = as_arguments(args)
        kwargs = as_keywords(kwargs)
        return self.join_event(
            subscription, publication, as_keywords(details), self.write_arguments(args, kwargs),
            self.write_keywords(kwargs))

    cdef bytes join_event(
        self, unsigned long long subscription, unsigned long long publication, object details, bytes args,
        bytes kwargs
    ):
        """Return the payload of an EVENT whose own payload has been written before, by a codec of the same class.

        `details` is as from as_keywords(). Raises SerializationError.
        """
        raise NotImplementedError

    cdef bytes write_value(self, object value, int depth):
        """Return the bytes of a value with `depth` containers around it. Raises SerializationError."""
        raise NotImplementedError

    @cython.final
    cdef bytes write_arguments(self, object args, object kwargs):
        """Return Arguments as they stand in a message, None if they are left out; from what as_arguments() and
        as_keywords() return. Raises SerializationError.
        """
        if args is not None:
            return self.write_value(args, 1)
        return None if kwargs is None else self.no_arguments

    @cython.final
    cdef bytes write_keywords(self, object kwargs):
        """Return ArgumentsKw likewise."""
        return None if kwargs is None else self.write_value(kwargs, 1)

    cdef Codec answering_codec(self, const char *data, size_t size):
        """Return the codec that writes as the peer did who wrote this payload."""
        return self

    def decode(self, payload):
        """Return the messages of a payload, one at least. Raises WAMPMsgParseError."""
        cdef Py_buffer view
        cdef const char *text
        cdef Py_ssize_t size
        if isinstance(payload, str):
            if self.is_binary:
                raise WAMPMsgParseError('Text where the subprotocol demands binary data')
            try:
                text = PyUnicode_AsUTF8AndSize(payload, &size)
            except UnicodeEncodeError as error:
                raise WAMPMsgParseError(f'Malformed text: {error.reason}') from None
            return self.decode_payload(text, size)
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            return self.decode_payload(<const char *> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def encode(self, message):
        """Return the payload that holds one message, as bytes. Raises SerializationError."""
        return self.encode_message(message)

    def encode_many(self, messages):
        """Return the payload that holds several messages. Raises SerializationError.

        Raises ValueError for no message, and for more than one where the subprotocol is not batched.
        """
        payloads = [self.encode_message(message) for message in messages]
        if not payloads or (len(payloads) > 1 and not self.is_batched):
            raise ValueError(f'{self.subprotocol} has no payload for {len(payloads)} messages')
        return b''.join(payloads)

    def build_result(self, request_id, args=None, kwargs=None, *, bint progress=False):
        """Return the payload of a RESULT."""
        return self.encode_result(request_id, progress, args, kwargs)

    def build_event(self, subscription, publication, details=None, args=None, kwargs=None):
        """Return the payload of an EVENT."""
        return self.encode_event(subscription, publication, details, args, kwargs)

    def answering(self, payload):
        """Return the codec to answer with: that of the batch separator which the peer used, else this one."""
        cdef bytes text = payload.encode('utf-8') if isinstance(payload, str) else bytes(payload)
        return self.answering_codec(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    def __repr__(self):
        return f'<{type(self).__name__} {self.subprotocol}>'
