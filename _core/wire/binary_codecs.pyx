"""Messages as MessagePack or CBOR arrays, in batches with the length before each (WAMP AP, "Message Batching")."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from .cbor_values cimport parse_cbor, write_cbor
from .codec cimport HEADER_ROOM, Codec, as_arguments, as_keywords, put_text
from .messages cimport EVENT, RESULT
from .values cimport parse_msgpack, write_msgpack

from serverwamp_fast.errors import BatchError, SerializationError

cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char *data, Py_ssize_t size)

cdef enum:
    PREFIX_SIZE = 4


cdef size_t put_big_endian(unsigned char *out, unsigned long long number, size_t size) noexcept:
    cdef size_t index
    for index in range(size):
        out[index] = (number >> (8 * (size - 1 - index))) & 0xFF
    return size


cdef class BinaryCodec(Codec):
    """What MessagePack and CBOR have in common. They differ in the values, and in how a container begins."""

    # The first byte of an array or a map without elements; small ones add their size to it.
    cdef unsigned char array_mark
    cdef unsigned char map_mark
    cdef bytes progress_details

    cdef object parse_value(self, const char *data, size_t size):
        """Return the value that these bytes are. Raises WAMPMsgParseError."""
        raise NotImplementedError

    cdef size_t put_uint(self, unsigned char *out, unsigned long long number) noexcept:
        """Write a number in its shortest form; return how many bytes that takes."""
        return 0

    cdef object decode_single(self, const char *data, size_t size):
        return self.parse_value(data, size)

    cdef list decode_payload(self, const char *data, size_t size):
        if not self.is_batched:
            return [self.parse_value(data, size)]
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
            messages.append(self.parse_value(data + start, length))
            start += length
        if not messages:
            # WAMP AP, "Message Batching": illegal, fail the transport.
            raise BatchError('A batch without a message')
        return messages

    cdef bytes encode_message(self, object message):
        cdef bytes packed = self.write_value(message, 0)
        if not self.is_batched:
            return packed
        return self.join_message(NULL, 0, packed, None)

    cdef bytes encode_result(self, unsigned long long request_id, bint progress, object args, object kwargs):
        cdef unsigned char header[HEADER_ROOM]
        cdef size_t size
        cdef bytes packed_args, packed_kwargs
        args = as_arguments(args)
        kwargs = as_keywords(kwargs)
        packed_args = self.write_arguments(args, kwargs)
        packed_kwargs = self.write_keywords(kwargs)
        size = self.put_start(header, 3, RESULT, packed_args, packed_kwargs)
        size += self.put_uint(header + size, request_id)
        if progress:
            size += put_text(
                <char *> header + size, PyBytes_AS_STRING(self.progress_details),
                PyBytes_GET_SIZE(self.progress_details))
        else:
            header[size] = self.map_mark
            size += 1
        return self.join_message(header, size, packed_args, packed_kwargs)

    cdef bytes join_event(
        self, unsigned long long subscription, unsigned long long publication, object details, bytes args,
        bytes kwargs
    ):
        cdef unsigned char header[HEADER_ROOM]
        cdef size_t size
        cdef bytes head
        size = self.put_start(header, 4, EVENT, args, kwargs)
        size += self.put_uint(header + size, subscription)
        size += self.put_uint(header + size, publication)
        if details is None:
            header[size] = self.map_mark
            return self.join_message(header, size + 1, args, kwargs)
        head = (<char *> header)[:size] + self.write_value(details, 1)
        return self.join_message(<unsigned char *> PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), args, kwargs)

    cdef size_t put_start(
        self, unsigned char *out, unsigned char leading, int code, bytes args, bytes kwargs
    ) noexcept:
        """Begin an array of `leading` elements and the payload with the first of them, the message's code."""
        out[0] = self.array_mark | (leading + (2 if kwargs is not None else 1 if args is not None else 0))
        return 1 + self.put_uint(out + 1, code)

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


cdef class MessagePackCodec(BinaryCodec):
    """Messages as MessagePack arrays."""

    @staticmethod
    cdef MessagePackCodec make(str subprotocol, bint is_batched):
        cdef MessagePackCodec codec = MessagePackCodec.__new__(MessagePackCodec)
        codec.subprotocol = subprotocol
        codec.is_binary = True
        codec.is_batched = is_batched
        codec.array_mark = 0x90
        codec.map_mark = 0x80
        codec.no_arguments = b'\x90'
        codec.progress_details = b'\x81\xa8progress\xc3'
        return codec

    cdef object parse_value(self, const char *data, size_t size):
        return parse_msgpack(data, size)

    cdef bytes write_value(self, object value, int depth):
        return write_msgpack(value)

    cdef size_t put_uint(self, unsigned char *out, unsigned long long number) noexcept:
        if number < 0x80:
            out[0] = <unsigned char> number
            return 1
        return put_wide_uint(out, 0xCC, number)


cdef class CBORCodec(BinaryCodec):
    """Messages as CBOR arrays."""

    @staticmethod
    cdef CBORCodec make(str subprotocol, bint is_batched):
        cdef CBORCodec codec = CBORCodec.__new__(CBORCodec)
        codec.subprotocol = subprotocol
        codec.is_binary = True
        codec.is_batched = is_batched
        codec.array_mark = 0x80
        codec.map_mark = 0xA0
        codec.no_arguments = b'\x80'
        codec.progress_details = b'\xa1\x68progress\xf5'
        return codec

    cdef object parse_value(self, const char *data, size_t size):
        return parse_cbor(data, size)

    cdef bytes write_value(self, object value, int depth):
        return write_cbor(value, depth)

    cdef size_t put_uint(self, unsigned char *out, unsigned long long number) noexcept:
        if number < 24:
            out[0] = <unsigned char> number
            return 1
        return put_wide_uint(out, 0x18, number)


cdef size_t put_wide_uint(unsigned char *out, unsigned char mark, unsigned long long number) noexcept:
    """Write a number behind one of four bytes in a row, beginning with `mark`, that say how long it is."""
    cdef int power = 0
    while power < 3 and number >> (8 << power) > 0:
        power += 1
    out[0] = mark + power
    return 1 + put_big_endian(out + 1, number, 1 << power)


MSGPACK_CODECS = (
    MessagePackCodec.make('wamp.2.msgpack.batched', True), MessagePackCodec.make('wamp.2.msgpack', False),
)
CBOR_CODECS = (CBORCodec.make('wamp.2.cbor.batched', True), CBORCodec.make('wamp.2.cbor', False))
