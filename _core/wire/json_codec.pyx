"""Messages as JSON texts, in batches with a separator behind each (WAMP AP, "Message Batching")."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr

from .codec cimport HEADER_ROOM, Codec, as_arguments, as_keywords, put_text
from .values cimport parse_json, write_json

from serverwamp_fast.errors import BatchError

cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char *data, Py_ssize_t size)

cdef enum:
    RECORD_SEPARATOR = 0x1E
    # Autobahn and Crossbar read the specification's \30 as octal.
    CANCEL_SEPARATOR = 0x18


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
        codec.no_arguments = b'[]'
        return codec

    cdef object decode_single(self, const char *data, size_t size):
        return parse_json(data, size)

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

    cdef bytes write_value(self, object value, int depth):
        return write_json(value, depth)

    cdef bytes encode_message(self, object message):
        cdef bytes text = write_json(message, 0)
        if self.separator == 0:
            return text
        return self.join_message(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), NULL, 0, None, None)

    cdef bytes encode_result(self, unsigned long long request_id, bint progress, object args, object kwargs):
        cdef char header[HEADER_ROOM]
        cdef size_t size = put_text(header, '[50,', 4)
        size += put_decimal(header + size, request_id)
        size += put_text(header + size, ',{"progress":true}', 18) if progress else put_text(header + size, ',{}', 3)
        args = as_arguments(args)
        kwargs = as_keywords(kwargs)
        return self.join_message(
            header, size, ']', 1, self.write_arguments(args, kwargs), self.write_keywords(kwargs))

    cdef bytes join_event(
        self, unsigned long long subscription, unsigned long long publication, object details, bytes args,
        bytes kwargs
    ):
        cdef char header[HEADER_ROOM]
        cdef size_t size = put_text(header, '[36,', 4)
        cdef bytes head
        size += put_decimal(header + size, subscription)
        size += put_text(header + size, ',', 1)
        size += put_decimal(header + size, publication)
        if details is None:
            size += put_text(header + size, ',{}', 3)
            return self.join_message(header, size, ']', 1, args, kwargs)
        head = header[:size] + b',' + write_json(details, 1)
        return self.join_message(PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), ']', 1, args, kwargs)

    cdef bytes join_message(
        self, const char *head, size_t head_size, const char *tail, size_t tail_size, bytes args, bytes kwargs
    ):
        """Return head, payload and tail in one piece, and the separator where there is one."""
        cdef size_t size = head_size + tail_size + (self.separator != 0)
        cdef bytes payload
        cdef char *out
        if args is not None:
            size += 1 + PyBytes_GET_SIZE(args)
        if kwargs is not None:
            size += 1 + PyBytes_GET_SIZE(kwargs)
        payload = PyBytes_FromStringAndSize(NULL, size)
        out = PyBytes_AS_STRING(payload)
        out += put_text(out, head, head_size)
        if args is not None:
            out += put_text(out, ',', 1)
            out += put_text(out, PyBytes_AS_STRING(args), PyBytes_GET_SIZE(args))
        if kwargs is not None:
            out += put_text(out, ',', 1)
            out += put_text(out, PyBytes_AS_STRING(kwargs), PyBytes_GET_SIZE(kwargs))
        if tail_size > 0:
            out += put_text(out, tail, tail_size)
        if self.separator != 0:
            out[0] = self.separator
        return payload


cdef JSONCodec JSON = JSONCodec.make('wamp.2.json', 0)
cdef JSONCodec JSON_BATCHED = JSONCodec.make('wamp.2.json.batched', RECORD_SEPARATOR)
cdef JSONCodec JSON_BATCHED_CANCEL = JSONCodec.make('wamp.2.json.batched', CANCEL_SEPARATOR)

CODECS = (JSON_BATCHED, JSON)
