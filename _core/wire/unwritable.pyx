"""What a serializer has no form for: the sentence that names the value, the serializer and the reason.

A serializer only says that something in a message can't be written. The message is gone through once more, for nobody
could do anything with that: part by part, until one fails by itself.
"""

from collections.abc import Mapping, Sequence

from msgpack import ExtType

from serverwamp_fast.errors import SerializationError

cdef enum:
    SHOWN = 100         # characters of a value
    SHOWN_BITS = 256    # of an integer; longer ones are not written out
    DEPTH_LIMIT = 1100  # more than any serializer takes, so that a value that holds itself is left


cdef object refusal(str serializer, object value, object write, object error):
    """Return the SerializationError for a value that `write`, a function of one argument, has failed on."""
    part, reason = value, error
    found = find_part(value, write, 0)
    if found is not None:
        part = found[0]
        reason = error if found[1] is None else found[1]
    return SerializationError(f'{serializer} has no form for {show(part)}: {describe(reason)}')


cdef bint is_container(object value) except -1:
    if isinstance(value, (list, tuple, dict)):
        # MessagePack's extensions are tuples by class, and values by meaning.
        return not isinstance(value, ExtType)
    return isinstance(value, (Mapping, Sequence)) and not isinstance(value, (str, bytes, bytearray, memoryview))


cdef tuple find_part(object value, object write, int depth):
    """Return (part, error) of the first part that can't be written; None if there is none.

    The error is None where the search ends before the part is found, because the nesting is too deep.
    """
    cdef tuple found
    if value is None or isinstance(value, (bool, float)):
        return None
    try:
        if not is_container(value):
            write(value)
            return None
        if depth == DEPTH_LIMIT:
            return value, None
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str) or not key.isascii():
                    found = find_key(key, write)
                    if found is not None:
                        return found
            parts = list(value.values())
        else:
            parts = list(value)
    except Exception as error:
        return value, error
    for part in parts:
        found = find_part(part, write, depth + 1)
        if found is not None:
            return (value, None) if depth == 0 and found[1] is None else found
    return None


cdef tuple find_key(object key, object write):
    try:
        write({key: None})
    except Exception as error:
        return key, error
    return None


cdef str show(object value):
    """Return a value as a message shows it, cut where it is long. What a client has sent may be very long."""
    try:
        if isinstance(value, ExtType):
            return f'ExtType(code={value.code}, data={show(value.data)})'
        if is_container(value):
            return f'a {type(value).__name__} of length {len(value)}'
        if isinstance(value, int) and value.bit_length() > SHOWN_BITS:
            return f'an integer of {value.bit_length()} bits'
        if isinstance(value, (str, bytes)) and len(value) > SHOWN:
            return f'{value[:SHOWN]!r}...'
        return printable(repr(value)[:SHOWN])
    except Exception:
        return f'a value of type {type(value).__name__}'


cdef str describe(object error):
    return printable((str(error) or type(error).__name__)[:2 * SHOWN])


cdef str printable(str text):
    """Return a text that every serializer has a form for: a user's own `__repr__` may return anything."""
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')
