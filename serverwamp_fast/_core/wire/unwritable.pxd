cdef object refusal(str serializer, object value, object write, object error)
