cdef object parse_json(const char *data, size_t size)
cdef bytes write_json(object value)
cdef object parse_msgpack(const char *data, size_t size)
cdef bytes write_msgpack(object value)

# What serializers that know less than JSON need of it: a key as a string, a container of a known type.
cdef object write_key(object key)
cdef object simplify_container(object value)
