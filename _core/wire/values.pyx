"""Values: what messages carry, from JSON and MessagePack to Python objects and back.

JSON is orjson's, with one behaviour whatever comes: strings that begin with U+0000 are binary data (WAMP AP,
"Binary support in JSON"), and texts with an integer that orjson would turn into a float are left to the standard
library, held to the same rules. A look at the bytes beforehand tells whether either of them can be there.
MessagePack is msgpack's: arrays as tuples, strings as keys, JavaScript's undefined as None.
"""

import binascii
import dataclasses
import enum
import json
import math
from collections.abc import Mapping, Sequence

import msgpack
import orjson
from msgpack import ExtType

from cpython.buffer cimport (
    PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.string cimport memchr, memcmp

from .unwritable cimport refusal

from serverwamp_fast.errors import WAMPMsgParseError

cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char *data, Py_ssize_t size)
    object PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    # Below this many bytes a copy costs less than a memoryview.
    COPY_LIMIT = 4096
    # No integer of 64 bits has more digits.
    MAX_DIGITS = 20
    # Fewer digits always fit: those of -2**63 are the shortest that may not.
    SUSPECT_DIGITS = 19
    # orjson's own limit for what it reads, kept by everything here that calls itself.
    MAX_DEPTH = 1024
    # A packer never gives back the memory of its largest message; above this size it is thrown away.
    PACKER_KEEPS = 1 << 20

cdef enum NumberVerdict:
    NUMBERS_FIT = 0
    NUMBERS_LARGE = 1
    NESTED_TOO_DEEP = 2

cdef object load_orjson = orjson.loads
cdef object dump_orjson = orjson.dumps
cdef object unpack = msgpack.unpackb


# JSON to values

def _read_float(text):
    number = float(text)
    if math.isinf(number):
        raise ValueError('number out of range')
    return number


def _refuse_constant(name):
    raise ValueError(f'{name} is not JSON')


cdef object decode_exactly = json.JSONDecoder(parse_float=_read_float, parse_constant=_refuse_constant).decode


cdef inline bint is_digit(char character) noexcept:
    return c'0' <= character <= c'9'


cdef bint has_long_number(const char *data, size_t size) noexcept:
    """Return whether there is a run of SUSPECT_DIGITS digits anywhere, looking at one byte in so many."""
    cdef size_t index = SUSPECT_DIGITS - 1, start, end
    while index < size:
        if not is_digit(data[index]):
            index += SUSPECT_DIGITS
            continue
        start = index
        while start > 0 and is_digit(data[start - 1]) and index - start < SUSPECT_DIGITS:
            start -= 1
        end = index + 1
        while end < size and is_digit(data[end]) and end - start < SUSPECT_DIGITS:
            end += 1
        if end - start >= SUSPECT_DIGITS:
            return True
        index = end + SUSPECT_DIGITS - 1
    return False


cdef int judge_numbers(const char *data, size_t size) noexcept:
    """Return whether an integer outside of strings doesn't fit 64 bits, or the nesting is too deep to go on."""
    cdef size_t index = 0, start, count
    cdef unsigned int depth = 0
    cdef bint is_negative
    cdef int verdict = NUMBERS_FIT
    while index < size:
        if data[index] == c'"':
            index += 1
            while index < size and data[index] != c'"':
                index += 2 if data[index] == c'\\' else 1
            index += 1
        elif data[index] == c'-' or is_digit(data[index]):
            is_negative = data[index] == c'-'
            start = index + is_negative
            index = start
            while index < size and is_digit(data[index]):
                index += 1
            count = index - start
            if index < size and data[index] in (c'.', c'e', c'E'):
                # A float; its digits and those of its exponent say nothing.
                while index < size and (is_digit(data[index]) or data[index] in (c'.', c'e', c'E', c'+', c'-')):
                    index += 1
            elif count > MAX_DIGITS:
                verdict = NUMBERS_LARGE
            elif is_negative:
                if count == 20 or count == 19 and memcmp(data + start, b'9223372036854775808', 19) > 0:
                    verdict = NUMBERS_LARGE
            elif count == 20 and memcmp(data + start, b'18446744073709551615', 20) > 0:
                verdict = NUMBERS_LARGE
        else:
            if data[index] in (c'[', c'{'):
                depth += 1
                if depth > MAX_DEPTH:
                    return NESTED_TOO_DEEP
            elif depth > 0 and data[index] in (c']', c'}'):
                depth -= 1
            index += 1
    return verdict


cdef bint has_binary(const char *data, size_t size) noexcept:
    r"""Return whether a string may begin with U+0000, which JSON can't spell but as "\u0000."""
    cdef const char *end = data + size
    cdef const char *found = data
    while True:
        found = <const char *> memchr(found, c'\\', end - found)
        if found is NULL:
            return False
        if end - found >= 6 and found > data and found[-1] == c'"' and memcmp(found, b'\\u0000', 6) == 0:
            return True
        found += 1


cdef object restore_string(str text):
    """Return a string, or the bytes that it stands for."""
    cdef Py_ssize_t size
    # Refuses lone surrogates, which orjson has done where it was orjson that read them.
    PyUnicode_AsUTF8AndSize(text, &size)
    if size > 0 and text[0] == '\0':
        return binascii.a2b_base64(text[1:], strict_mode=True)
    return text


cdef object restore_binaries(object value, int depth):
    """Replace, in place, the strings that stand for binary data. `value` is fresh from a JSON reader."""
    cdef Py_ssize_t index
    if depth > MAX_DEPTH:
        raise ValueError('depth limit exceeded')
    if type(value) is str:
        return restore_string(<str> value)
    if type(value) is list:
        for index in range(len(<list> value)):
            (<list> value)[index] = restore_binaries((<list> value)[index], depth + 1)
    elif type(value) is dict:
        for key, item in (<dict> value).items():
            PyUnicode_AsUTF8AndSize(key, &index)
            # No key is added, so the dict may be changed while it is walked through.
            (<dict> value)[key] = restore_binaries(item, depth + 1)
    return value


cdef object read_json(const char *data, size_t size):
    cdef int verdict = NUMBERS_FIT
    if has_long_number(data, size):
        verdict = judge_numbers(data, size)
        if verdict == NESTED_TOO_DEEP:
            raise ValueError('depth limit exceeded')
        if verdict == NUMBERS_LARGE:
            return restore_binaries(decode_exactly(PyUnicode_DecodeUTF8(data, size, NULL)), 0)
    if size < COPY_LIMIT:
        value = load_orjson(PyBytes_FromStringAndSize(data, size))
    else:
        view = PyMemoryView_FromMemory(<char *> data, size, PyBUF_READ)
        try:
            value = load_orjson(view)
        finally:
            # Whatever an exception may keep, it can't read the buffer when that is somebody else's.
            view.release()
    if has_binary(data, size):
        return restore_binaries(value, 0)
    return value


cdef object parse_json(const char *data, size_t size):
    """Return the value of a JSON text in UTF-8. Raises WAMPMsgParseError."""
    try:
        return read_json(data, size)
    except (ValueError, RecursionError) as error:
        # Not chained: orjson's error holds the whole text.
        text = str(error)
    raise WAMPMsgParseError(f'Malformed JSON: {text}')


# Values to JSON

cdef str pack_binary(object data):
    return '\0' + binascii.b2a_base64(bytes(data), newline=False).decode('ascii')


def _simplify_for_json(value):
    """Return a form that orjson knows of a value that it doesn't know."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return pack_binary(value)
    return simplify_container(value)


cdef object simplify_for_json = _simplify_for_json


cdef int refuse_extension(object value) except -1:
    """Raise TypeError for what only MessagePack has: its extensions, whose class is one of tuples."""
    if isinstance(value, ExtType):
        raise TypeError('an extension of MessagePack')
    return 0


cdef object simplify_container(object value):
    if isinstance(value, Mapping):
        return dict(value)
    refuse_extension(value)
    # Tuples are here for their subclasses.
    if isinstance(value, Sequence):
        return list(value)
    if isinstance(value, int):
        raise OverflowError('an integer beyond 64 bits')
    if isinstance(value, msgpack.Timestamp):
        # Seconds since 1970, as what is behind CBOR's tag 1.
        return value.to_unix() if value.nanoseconds else value.seconds
    raise TypeError(f'{type(value).__name__} is not serializable')


cdef object write_key(object key):
    """Return a key as the standard library's json writes it."""
    if isinstance(key, str):
        return key
    if key is None:
        return 'null'
    if isinstance(key, bool):
        return 'true' if key else 'false'
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return float.__repr__(key)
    raise TypeError(f'keys must be str, int, float, bool or None, not {type(key).__name__}')


cdef int put_item(dict pairs, object key, object value) except -1:
    """Add an item by its key as text. Raises ValueError where another key has the same text: one would be lost."""
    key = write_key(key)
    if key in pairs:
        raise ValueError(f'two keys of a mapping are both written {key!r:.100}')
    pairs[key] = value
    return 0


cdef int refuse_nul(object text) except -1:
    if text.startswith('\0'):
        raise ValueError('text that begins with U+0000 stands for binary data there')
    return 0


cdef int refuse_nul_texts(object value, int depth) except -1:
    """Raise ValueError if a text in a value that orjson has written would be taken for binary data. Keys never are."""
    if depth > MAX_DEPTH:
        raise ValueError('depth limit exceeded')
    if isinstance(value, enum.Enum):
        return refuse_nul_texts(value.value, depth + 1)
    if isinstance(value, str):
        return refuse_nul(value)
    if value is None or isinstance(value, (int, float, bytes, bytearray, memoryview)):
        return 0
    if isinstance(value, Mapping):
        value = value.values()
    elif dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value) if not field.name.startswith('_')]
    elif not isinstance(value, Sequence):
        return 0
    for item in value:
        refuse_nul_texts(item, depth + 1)
    return 0


cdef object simplify(object value, int depth):
    """Return a copy of a value for the standard library's json: what orjson does with it, without its limits."""
    if depth > MAX_DEPTH:
        raise ValueError('depth limit exceeded')
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return simplify(value.value, depth + 1)
    if isinstance(value, str):
        refuse_nul(value)
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return pack_binary(value)
    if depth == MAX_DEPTH:
        # What orjson reads has no container there.
        raise ValueError('depth limit exceeded')
    if isinstance(value, (list, tuple)):
        refuse_extension(value)
        return [simplify(item, depth + 1) for item in value]
    if isinstance(value, dict):
        pairs = {}
        for key, item in value.items():
            put_item(pairs, key, simplify(item, depth + 1))
        return pairs
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if not field.name.startswith('_')]
        return {name: simplify(getattr(value, name), depth + 1) for name in names}
    if isinstance(value, (Mapping, Sequence)):
        return simplify(simplify_container(value), depth + 1)
    # Dates, times and UUIDs.
    return load_orjson(dump_orjson(value, simplify_for_json))


cdef object encode_exactly = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(',', ':')).encode


cdef bytes write_exactly(object value, int depth):
    """Do what write_json() does by the standard library alone. Raises any Exception."""
    return (<str> encode_exactly(simplify(value, depth))).encode('utf-8')


def _try_json(value):
    return write_exactly(value, 0)


cdef bytes write_json(object value, int depth):
    """Return a value's JSON text in UTF-8; `depth` is the number of containers around it. Raises SerializationError."""
    cdef bytes text
    try:
        text = dump_orjson(value, simplify_for_json)
        if has_binary(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)):
            # Bytes are written so, and text must not be taken for them.
            refuse_nul_texts(value, depth)
        return text
    except TypeError:
        # Integers beyond 64 bits, keys that are not strings, nesting beyond orjson's limit for writing.
        pass
    except Exception as error:
        raise refusal('JSON', value, _try_json, error) from error
    try:
        return write_exactly(value, depth)
    except Exception as error:
        raise refusal('JSON', value, _try_json, error) from error


# MessagePack

def _read_extension(code, data):
    """Return what an extension stands for: type 0 with nothing in it is how JavaScript writes undefined."""
    return None if code == 0 and data in (b'', b'\0') else ExtType(code, data)


def _read_pairs(pairs):
    for key, _ in pairs:
        if not isinstance(key, str):
            raise ValueError(f'{type(key).__name__} is not allowed for map key')
    return dict(pairs)


def _simplify_for_msgpack(value):
    return simplify_container(value)


cdef bint has_bin(const char *data, size_t size) noexcept:
    """Return whether a byte of the value that begins a bin object is there; without one, all keys are strings."""
    return (
        memchr(data, 0xC4, size) is not NULL
        or memchr(data, 0xC5, size) is not NULL
        or memchr(data, 0xC6, size) is not NULL
    )


cdef object parse_msgpack(const char *data, size_t size):
    """Return the value of one MessagePack object. Raises WAMPMsgParseError."""
    try:
        payload = PyBytes_FromStringAndSize(data, size)
        if has_bin(data, size):
            return unpack(payload, use_list=False, ext_hook=_read_extension, object_pairs_hook=_read_pairs)
        return unpack(payload, use_list=False, ext_hook=_read_extension)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        text = str(error) or type(error).__name__
    raise WAMPMsgParseError(f'Malformed MessagePack: {text}')


cdef object make_pack():
    """Return the pack method of a new packer. One that failed is not used again."""
    return msgpack.Packer(default=_simplify_for_msgpack).pack


def _try_msgpack(value):
    return make_pack()(value)


cdef object shared_pack = make_pack()


cdef bytes write_msgpack(object value):
    """Return a value as a MessagePack object. Raises SerializationError."""
    global shared_pack
    # Taken while in use: a mapping's own code may run in the middle of packing, and pack something else.
    pack = shared_pack if shared_pack is not None else make_pack()
    shared_pack = None
    cdef bytes packed
    try:
        packed = pack(value)
    except Exception as error:
        raise refusal('MessagePack', value, _try_msgpack, error) from error
    if PyBytes_GET_SIZE(packed) < PACKER_KEEPS:
        shared_pack = pack
    return packed


# The Python face

cdef object parse_buffer(object payload, bint is_json):
    cdef Py_buffer view
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        if is_json:
            return parse_json(<const char *> view.buf, view.len)
        return parse_msgpack(<const char *> view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


def loads_json(text):
    """Return the value of a JSON text, or of its UTF-8 bytes. Raises WAMPMsgParseError."""
    if isinstance(text, str):
        try:
            text = text.encode('utf-8')
        except UnicodeEncodeError as error:
            raise WAMPMsgParseError(f'Malformed JSON: {error.reason}') from None
    return parse_buffer(text, True)


def dumps_json(value):
    """Return the UTF-8 bytes of a value's JSON text. Raises SerializationError if it has none."""
    return write_json(value, 0)


def loads_msgpack(payload):
    """Return the value of a MessagePack object, arrays as tuples. Raises WAMPMsgParseError."""
    return parse_buffer(payload, False)


def dumps_msgpack(value):
    """Return a value as a MessagePack object. Raises SerializationError if it has no such form."""
    return write_msgpack(value)
