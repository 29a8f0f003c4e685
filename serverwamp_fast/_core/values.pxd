cdef object parse_json(const char *data, size_t size)
cdef bytes write_json(object value)
cdef object parse_msgpack(const char *data, size_t size)
cdef bytes write_msgpack(object value)
