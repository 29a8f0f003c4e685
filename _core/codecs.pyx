"""Codecs: from a payload to messages and back, one codec for each WebSocket subprotocol.

A payload is one message, or a batch (WAMP AP, "Message Batching"): JSON texts with a separator behind each,
MessagePack objects with their length before each. What the values look like is the business of values.pyx; here
are the batches, and the layout of the two messages that are written so often that it is done by hand.
"""

from collections.abc import Mapping

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr, memcpy

from serverwamp_fast._core.messages cimport EVENT, RESULT
from serverwamp_fast._core.values cimport parse_json, parse_msgpack, write_json, write_msgpack

from serverwamp_fast.errors import BatchError, SerializationError, WAMPMsgParseError

cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char *data, Py_ssize_t size)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    RECORD_SEPARATOR = 0x1E
    # Autobahn and Crossbar read the specification's \30 as octal.
    CANCEL_SEPARATOR = 0x18
    # The room for everything in front of a message's payload: prefix, code, two ids of 20 digits, details.
    HEADER_ROOM = 96
    PREFIX_SIZE = 4


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
    return args if args else None


cdef object as_keywords(object kwargs):
    """Return ArgumentsKw as a dict, None if there are none. Raises SerializationError."""
    if not isinstance(kwargs, dict):
        if kwargs is None:
            return None
        if not isinstance(kwargs, Mapping):
            raise SerializationError(f'ArgumentsKw is a mapping, not {type(kwargs).__name__}')
        kwargs = dict(kwargs)
    return kwargs if kwargs else None


cdef inline size_t put_text(char *out, const char *text, size_t size) noexcept:
    memcpy(out, text, size)
    return size


cdef size_t put_decimal(char *out, unsigned long long number) noexcept:
    """Write a number in decimal digits; return how many there are."""
    cdef char digits[20]
    cdef size_t start = 20
    while True:
        start -= 1
        digits[start] = <char> (c'0' + number % 10)
        number //= 10
        if number == 0:
            break
    return put_text(out, digits + start, 20 - start)


cdef size_t put_big_endian(unsigned char *out, unsigned long long number, size_t size) noexcept:
    cdef size_t index
    for index in range(size):
        out[index] = (number >> (8 * (size - 1 - index))) & 0xFF
    return size


cdef size_t put_uint(unsigned char *out, unsigned long long number) noexcept:
    """Write a number in MessagePack's shortest form; return how many bytes that takes."""
    if number < 0x80:
        out[0] = <unsigned char> number
        return 1
    if number <= 0xFF:
        out[0] = 0xCC
        return 1 + put_big_endian(out + 1, number, 1)
    if number <= 0xFFFF:
        out[0] = 0xCD
        return 1 + put_big_endian(out + 1, number, 2)
    if number <= 0xFFFFFFFF:
        out[0] = 0xCE
        return 1 + put_big_endian(out + 1, number, 4)
    out[0] = 0xCF
    return 1 + put_big_endian(out + 1, number, 8)


cdef class Codec:
    """How the messages of one subprotocol are written. Stateless; one object serves all connections."""

    cdef list decode_payload(self, const char *data, size_t size):
        """Return the messages of a payload, one at least. Raises WAMPMsgParseError."""
        raise NotImplementedError

    cdef object decode_single(self, const char *data, size_t size):
        """Return the message of a payload that holds exactly one. Raises WAMPMsgParseError."""
        cdef list messages = self.decode_payload(data, size)
        if len(messages) != 1:
            raise BatchError('A batch of more than one message')
        return messages[0]

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
        raise NotImplementedError

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


cdef class JSONCodec(Codec):
    """Messages as JSON texts."""

    cdef char separator  # behind each message of a batch; 0 where there are no batches

    @staticmethod
    cdef JSONCodec make(str subprotocol, char separator):
        cdef JSONCodec codec = JSONCodec.__new__(JSONCodec)
        codec.subprotocol = subprotocol
        codec.is_binary = False
        codec.is_batched = separator != 0
        codec.separator = separator
        return codec

    cdef object decode_single(self, const char *data, size_t size):
        if self.separator == 0:
            return parse_json(data, size)
        return Codec.decode_single(self, data, size)

    cdef list decode_payload(self, const char *data, size_t size):
        if self.separator == 0:
            return [parse_json(data, size)]
        cdef list messages = []
        cdef size_t start = 0, end
        while start < size:
            end = start
            # JSON has no room for either separator: control characters in strings are escaped.
            while end < size and data[end] != RECORD_SEPARATOR and data[end] != CANCEL_SEPARATOR:
                end += 1
            if end == start:
                raise BatchError('An empty message in a batch')
            # The last separator may be missing, serverwamp has always let that pass: a JSON text ends by itself.
            messages.append(parse_json(data + start, end - start))
            start = end + 1
        if not messages:
            # WAMP AP, "Message Batching": illegal, fail the transport.
            raise BatchError('A batch without a message')
        return messages

    cdef Codec answering_codec(self, const char *data, size_t size):
        if self.separator == 0 or memchr(data, RECORD_SEPARATOR, size) is not NULL:
            return self if self.separator != CANCEL_SEPARATOR else JSON_BATCHED
        return JSON_BATCHED if memchr(data, CANCEL_SEPARATOR, size) is NULL else JSON_BATCHED_CANCEL

    cdef bytes encode_message(self, object message):
        cdef bytes text = write_json(message)
        if self.separator == 0:
            return text
        return self.join_message(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), NULL, 0, None, None)

    cdef bytes encode_result(self, unsigned long long request_id, bint progress, object args, object kwargs):
        cdef char header[HEADER_ROOM]
        cdef size_t size = put_text(header, '[50,', 4)
        size += put_decimal(header + size, request_id)
        size += put_text(header + size, ',{"progress":true}', 18) if progress else put_text(header + size, ',{}', 3)
        return self.join_message(header, size, ']', 1, as_arguments(args), as_keywords(kwargs))

    cdef bytes encode_event(
        self, unsigned long long subscription, unsigned long long publication, object details, object args,
        object kwargs
    ):
        cdef char header[HEADER_ROOM]
        cdef size_t size = put_text(header, '[36,', 4)
        cdef bytes head
        size += put_decimal(header + size, subscription)
        size += put_text(header + size, ',', 1)
        size += put_decimal(header + size, publication)
        details = as_keywords(details)
        args = as_arguments(args)
        kwargs = as_keywords(kwargs)
        if details is None:
            size += put_text(header + size, ',{}', 3)
            return self.join_message(header, size, ']', 1, args, kwargs)
        head = header[:size] + b',' + write_json(details)
        return self.join_message(PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), ']', 1, args, kwargs)

    cdef bytes join_message(
        self, const char *head, size_t head_size, const char *tail, size_t tail_size, object args, object kwargs
    ):
        """Return head, payload and tail in one piece, and the separator where there is one."""
        cdef bytes args_text = None, kwargs_text = None, payload
        cdef size_t size = head_size + tail_size + (self.separator != 0)
        cdef char *out
        if args is not None:
            args_text = write_json(args)
        elif kwargs is not None:
            args_text = b'[]'
        if args_text is not None:
            size += 1 + PyBytes_GET_SIZE(args_text)
        if kwargs is not None:
            kwargs_text = write_json(kwargs)
            size += 1 + PyBytes_GET_SIZE(kwargs_text)
        payload = PyBytes_FromStringAndSize(NULL, size)
        out = PyBytes_AS_STRING(payload)
        out += put_text(out, head, head_size)
        if args_text is not None:
            out += put_text(out, ',', 1)
            out += put_text(out, PyBytes_AS_STRING(args_text), PyBytes_GET_SIZE(args_text))
        if kwargs_text is not None:
            out += put_text(out, ',', 1)
            out += put_text(out, PyBytes_AS_STRING(kwargs_text), PyBytes_GET_SIZE(kwargs_text))
        if tail_size > 0:
            out += put_text(out, tail, tail_size)
        if self.separator != 0:
            out[0] = self.separator
        return payload


cdef class MessagePackCodec(Codec):
    """Messages as MessagePack arrays."""

    @staticmethod
    cdef MessagePackCodec make(str subprotocol, bint is_batched):
        cdef MessagePackCodec codec = MessagePackCodec.__new__(MessagePackCodec)
        codec.subprotocol = subprotocol
        codec.is_binary = True
        codec.is_batched = is_batched
        return codec

    cdef object decode_single(self, const char *data, size_t size):
        if not self.is_batched:
            return parse_msgpack(data, size)
        return Codec.decode_single(self, data, size)

    cdef list decode_payload(self, const char *data, size_t size):
        if not self.is_batched:
            return [parse_msgpack(data, size)]
        cdef list messages = []
        cdef const unsigned char *prefix
        cdef size_t start = 0, length
        while start < size:
            if size - start < PREFIX_SIZE:
                raise BatchError('A batch that ends inside a length prefix')
            prefix = <const unsigned char *> data + start
            length = (
                (<size_t> prefix[0] << 24) | (<size_t> prefix[1] << 16) | (<size_t> prefix[2] << 8) | <size_t> prefix[3]
            )
            start += PREFIX_SIZE
            if length > size - start:
                raise BatchError('A length prefix that is larger than what is left of the batch')
            if length == 0:
                raise BatchError('An empty message in a batch')
            messages.append(parse_msgpack(data + start, length))
            start += length
        if not messages:
            raise BatchError('A batch without a message')
        return messages

    cdef bytes encode_message(self, object message):
        cdef bytes packed = write_msgpack(message)
        if not self.is_batched:
            return packed
        return self.join_message(NULL, 0, packed, None)

    cdef bytes encode_result(self, unsigned long long request_id, bint progress, object args, object kwargs):
        cdef unsigned char header[HEADER_ROOM]
        cdef size_t size = 2
        args = as_arguments(args)
        kwargs = as_keywords(kwargs)
        header[0] = array_byte(3, args, kwargs)
        header[1] = <unsigned char> RESULT
        size += put_uint(header + size, request_id)
        size += (
            put_text(<char *> header + size, b'\x81\xa8progress\xc3', 11) if progress
            else put_text(<char *> header + size, b'\x80', 1)
        )
        return self.join_payload(header, size, args, kwargs)

    cdef bytes encode_event(
        self, unsigned long long subscription, unsigned long long publication, object details, object args,
        object kwargs
    ):
        cdef unsigned char header[HEADER_ROOM]
        cdef size_t size = 2
        cdef bytes head
        details = as_keywords(details)
        args = as_arguments(args)
        kwargs = as_keywords(kwargs)
        header[0] = array_byte(4, args, kwargs)
        header[1] = <unsigned char> EVENT
        size += put_uint(header + size, subscription)
        size += put_uint(header + size, publication)
        if details is None:
            size += put_text(<char *> header + size, b'\x80', 1)
            return self.join_payload(header, size, args, kwargs)
        head = (<char *> header)[:size] + write_msgpack(details)
        return self.join_payload(<unsigned char *> PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), args, kwargs)

    cdef bytes join_payload(self, const unsigned char *head, size_t head_size, object args, object kwargs):
        cdef bytes packed_args = None, packed_kwargs = None
        if args is not None:
            packed_args = write_msgpack(args)
        elif kwargs is not None:
            packed_args = b'\x90'
        if kwargs is not None:
            packed_kwargs = write_msgpack(kwargs)
        return self.join_message(head, head_size, packed_args, packed_kwargs)

    cdef bytes join_message(self, const unsigned char *head, size_t head_size, bytes first, bytes second):
        """Return head and both parts in one piece, behind their length if it is for a batch."""
        cdef size_t prefix_size = PREFIX_SIZE if self.is_batched else 0, size = head_size
        cdef bytes payload
        cdef char *out
        if first is not None:
            size += PyBytes_GET_SIZE(first)
        if second is not None:
            size += PyBytes_GET_SIZE(second)
        if self.is_batched and size > 0xFFFFFFFF:
            raise SerializationError('The message is longer than a batch can hold')
        payload = PyBytes_FromStringAndSize(NULL, prefix_size + size)
        out = PyBytes_AS_STRING(payload)
        if self.is_batched:
            out += put_big_endian(<unsigned char *> out, size, PREFIX_SIZE)
        if head_size > 0:
            out += put_text(out, <const char *> head, head_size)
        if first is not None:
            out += put_text(out, PyBytes_AS_STRING(first), PyBytes_GET_SIZE(first))
        if second is not None:
            put_text(out, PyBytes_AS_STRING(second), PyBytes_GET_SIZE(second))
        return payload


cdef inline unsigned char array_byte(unsigned char leading, object args, object kwargs) noexcept:
    """Return the first byte of an array of `leading` elements and the payload."""
    return 0x90 | (leading + (2 if kwargs is not None else 1 if args is not None else 0))


cdef JSONCodec JSON = JSONCodec.make('wamp.2.json', 0)
cdef JSONCodec JSON_BATCHED = JSONCodec.make('wamp.2.json.batched', RECORD_SEPARATOR)
cdef JSONCodec JSON_BATCHED_CANCEL = JSONCodec.make('wamp.2.json.batched', CANCEL_SEPARATOR)
cdef MessagePackCodec MSGPACK = MessagePackCodec.make('wamp.2.msgpack', False)
cdef MessagePackCodec MSGPACK_BATCHED = MessagePackCodec.make('wamp.2.msgpack.batched', True)

cdef dict codecs = {codec.subprotocol: codec for codec in (MSGPACK_BATCHED, MSGPACK, JSON_BATCHED, JSON)}

# In the order of the server's preference: clients differ in theirs, so somebody has to decide.
SUBPROTOCOLS = tuple(codecs)


cpdef Codec codec_for(object subprotocol):
    """Return the codec of a WebSocket subprotocol. Raises KeyError if there is none."""
    return codecs[subprotocol]
