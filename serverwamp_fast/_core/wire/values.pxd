cdef object parse_json(const char *data, size_t size)
cdef bytes write_json(object value, int depth)
cdef object parse_msgpack(const char *data, size_t size)
cdef bytes write_msgpack(object value)

# What serializers that know less than JSON need of it: an item with its key as text, a container of a known type.
cdef int put_item(dict pairs, object key, object value) except -1
cdef int refuse_extension(object value) except -1
cdef object simplify_container(object value)
