from libc.string cimport memcpy

cdef enum:
    # The room for everything in front of a message's payload: prefix, code, two ids of 20 digits, details.
    HEADER_ROOM = 96

# The payload of a message as the serializers know it: None where there is nothing. SerializationError otherwise.
cdef object as_arguments(object args)
cdef object as_keywords(object kwargs)


cdef inline size_t put_text(char *out, const char *text, size_t size) noexcept:
    memcpy(out, text, size)
    return size


cdef class Codec:
    cdef readonly str subprotocol
    cdef readonly bint is_binary
    cdef readonly bint is_batched
    cdef bytes no_arguments     # an empty array, which stands before ArgumentsKw
    cdef object __weakref__

    cdef list decode_payload(self, const char *data, size_t size)
    cdef object decode_single(self, const char *data, size_t size)
    cdef bytes encode_message(self, object message)
    cdef bytes encode_result(self, unsigned long long request_id, bint progress, object args, object kwargs)
    cdef bytes encode_event(
        self, unsigned long long subscription, unsigned long long publication, object details, object args,
        object kwargs
    )
    cdef bytes join_event(
        self, unsigned long long subscription, unsigned long long publication, object details, bytes args,
        bytes kwargs
    )
    cdef bytes write_value(self, object value, int depth)
    cdef bytes write_arguments(self, object args, object kwargs)
    cdef bytes write_keywords(self, object kwargs)
    cdef Codec answering_codec(self, const char *data, size_t size)
