cdef object parse_cbor(const char *data, size_t size)
cdef bytes write_cbor(object value, int depth)
