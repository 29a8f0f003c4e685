"""CBOR values (RFC 8949), to Python objects and back, by cbor2 if that is installed.

cbor2 does more than WAMP has a use for, and less than a server needs. It builds dates, sets, patterns, MIME
messages and cyclic values where the tags say so, and passes over what comes behind a value. So the bytes are looked at
before: a scan that allocates nothing knows lengths, nesting, keys, tags and the end. Its result is a value of the types
that MessagePack has, arrays as tuples, and integers of (nearly) any size.

The writer of cbor2 exhausts the C stack on values that are nested deeply enough, and knows types that no client
expects, so it is given only what has been gone through.
"""

import logging
from itertools import islice

from .unwritable cimport refusal
from .values cimport put_item, refuse_extension, simplify_container

from serverwamp_fast.errors import WAMPMsgParseError

cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char *data, Py_ssize_t size)

cdef enum:
    # What cbor2 itself stands up for, also in the clients that use it.
    MAX_DEPTH = 400
    # Of a large integer: below the number of digits, 4300, above which Python refuses to print it.
    MAX_INTEGER_SIZE = 1024

cdef enum MajorType:
    UNSIGNED = 0
    NEGATIVE = 1
    BYTE_STRING = 2
    TEXT_STRING = 3
    ARRAY = 4
    MAP = 5
    TAG = 6
    SIMPLE = 7

cdef enum:
    INDEFINITE = 31
    BREAK = 0xFF

cdef struct Scan:
    const unsigned char *data
    size_t size
    size_t position
    bint has_tags
    const char *fault       # what is wrong, NULL while nothing is
    unsigned long long tag  # that is refused

# Tags whose content stands for itself, as JavaScript's libraries write them: dates (text and seconds since 1970),
# URLs, bytes, sets, and the mark that says "this is CBOR". The content arrives as it is.
cdef enum:
    TAG_TIME = 0
    TAG_SECONDS = 1
    TAG_POSITIVE = 2
    TAG_NEGATIVE = 3
    TAG_URL = 32
    TAG_BYTES = 64
    TAG_SET = 258
    TAG_CBOR = 55799


def _pass_content(content, immutable):
    return content


cdef dict TAG_READERS = {
    tag: _pass_content for tag in (TAG_TIME, TAG_SECONDS, TAG_URL, TAG_BYTES, TAG_SET, TAG_CBOR)
}

cdef object load_cbor = None
cdef object dump_cbor = None
cdef object undefined = None
cdef object DecodeError = ValueError

try:
    import cbor2

    cbor2.loads(b'\xc0\x60', semantic_decoders=TAG_READERS)
    load_cbor, dump_cbor, undefined, DecodeError = cbor2.loads, cbor2.dumps, cbor2.undefined, cbor2.CBORDecodeError
except ImportError:
    pass
except TypeError:
    logging.getLogger('serverwamp_fast._core.cbor_values').warning(
        'The installed cbor2 is too old for wamp.2.cbor, which is not offered. Install serverwamp-fast[cbor].')

HAS_CBOR = load_cbor is not None


# The scan

cdef int refuse(Scan *scan, const char *fault) noexcept:
    scan.fault = fault
    return -1


cdef int read_argument(Scan *scan, unsigned char info, unsigned long long *argument) noexcept:
    """Read what follows a first byte and says how much, how many or which. Return -1 if it isn't there."""
    cdef size_t size, index
    argument[0] = info
    if info < 24:
        return 0
    if info > 27:
        return refuse(scan, 'a reserved length')
    size = <size_t> 1 << (info - 24)
    if size > scan.size - scan.position:
        return refuse(scan, 'it ends too early')
    argument[0] = 0
    for index in range(size):
        argument[0] = (argument[0] << 8) | scan.data[scan.position + index]
    scan.position += size
    return 0


cdef bint take_break(Scan *scan) noexcept:
    """Return whether the end of something of indefinite length is here, and step over it."""
    if scan.position < scan.size and scan.data[scan.position] == BREAK:
        scan.position += 1
        return True
    return False


cdef int skip_string(Scan *scan, int kind, unsigned char info) noexcept:
    """Step over a string whose first byte has been read."""
    cdef unsigned long long length
    cdef unsigned char first
    if info != INDEFINITE:
        if read_argument(scan, info, &length) < 0:
            return -1
        if length > scan.size - scan.position:
            return refuse(scan, 'it ends too early')
        scan.position += length
        return 0
    while not take_break(scan):
        if scan.position == scan.size:
            return refuse(scan, 'it ends too early')
        first = scan.data[scan.position]
        if first >> 5 != kind or first & 31 == INDEFINITE:
            return refuse(scan, 'a string in pieces of another type')
        scan.position += 1
        if skip_string(scan, kind, first & 31) < 0:
            return -1
    return 0


cdef int skip_container(Scan *scan, bint is_map, unsigned char info, int depth) noexcept:
    """Step over an array or a map whose first byte has been read."""
    cdef unsigned long long left = 0
    cdef bint is_indefinite = info == INDEFINITE
    if not is_indefinite and read_argument(scan, info, &left) < 0:
        return -1
    while not take_break(scan) if is_indefinite else left > 0:
        if is_map:
            if scan.position < scan.size and scan.data[scan.position] >> 5 != TEXT_STRING:
                return refuse(scan, 'a key that is not a string')
            if skip_item(scan, depth + 1) < 0:
                return -1
        if skip_item(scan, depth + 1) < 0:
            return -1
        left -= 1
    return 0


cdef int skip_tagged(Scan *scan, unsigned char info, int depth) noexcept:
    """Step over a tag whose first byte has been read, and its content."""
    cdef unsigned long long tag, length
    cdef unsigned char first
    if read_argument(scan, info, &tag) < 0:
        return -1
    scan.has_tags = True
    if tag == TAG_POSITIVE or tag == TAG_NEGATIVE:
        if scan.position == scan.size:
            return refuse(scan, 'it ends too early')
        first = scan.data[scan.position]
        scan.position += 1
        if first >> 5 != BYTE_STRING or first & 31 == INDEFINITE:
            return refuse(scan, 'a large integer that is not a byte string')
        if read_argument(scan, first & 31, &length) < 0:
            return -1
        if length > MAX_INTEGER_SIZE:
            return refuse(scan, 'an integer of more than 1024 bytes')
        if length > scan.size - scan.position:
            return refuse(scan, 'it ends too early')
        scan.position += length
        return 0
    if tag in (TAG_TIME, TAG_SECONDS, TAG_URL, TAG_BYTES, TAG_SET, TAG_CBOR):
        return skip_item(scan, depth + 1)
    scan.tag = tag
    return refuse(scan, 'tag')


cdef int skip_item(Scan *scan, int depth) noexcept:
    """Step over one value. Return -1, with the reason in the scan, if it is none that is accepted."""
    cdef unsigned long long argument
    cdef unsigned char info
    cdef int kind
    if depth > MAX_DEPTH:
        return refuse(scan, 'depth limit exceeded')
    if scan.position == scan.size:
        return refuse(scan, 'it ends too early')
    kind = scan.data[scan.position] >> 5
    info = scan.data[scan.position] & 31
    scan.position += 1
    if kind == UNSIGNED or kind == NEGATIVE:
        return read_argument(scan, info, &argument)
    if kind == BYTE_STRING or kind == TEXT_STRING:
        return skip_string(scan, kind, info)
    if kind == ARRAY or kind == MAP:
        return skip_container(scan, kind == MAP, info, depth)
    if kind == TAG:
        return skip_tagged(scan, info, depth)
    # false, true, null and undefined, then floats of three sizes.
    if 20 <= info <= 23 or 25 <= info <= 27:
        return read_argument(scan, info, &argument)
    return refuse(scan, 'a simple value without a meaning')


# CBOR to values

cdef object settle(object value):
    """Return a value as MessagePack has it: arrays as tuples, JavaScript's undefined as None."""
    cdef Py_ssize_t index
    kind = type(value)
    if kind is list:
        for index in range(len(<list> value)):
            (<list> value)[index] = settle((<list> value)[index])
        return tuple(<list> value)
    if kind is dict:
        for key, item in (<dict> value).items():
            seen = settle(item)
            if seen is not item:
                # No key is added, so the dict may be changed while it is walked through.
                (<dict> value)[key] = seen
        return value
    return None if value is undefined else value


cdef object parse_cbor(const char *data, size_t size):
    """Return the value of one CBOR data item. Raises WAMPMsgParseError."""
    cdef Scan scan
    scan.data = <const unsigned char *> data
    scan.size = size
    scan.position = 0
    scan.has_tags = False
    scan.fault = NULL
    scan.tag = 0
    cdef str text
    if skip_item(&scan, 0) == 0 and scan.position < size:
        refuse(&scan, 'something behind its end')
    if scan.fault is not NULL:
        text = scan.fault.decode('ascii')
        raise WAMPMsgParseError(f'Malformed CBOR: {f"tag {scan.tag} is not accepted" if text == "tag" else text}')
    try:
        payload = PyBytes_FromStringAndSize(data, size)
        return settle(load_cbor(payload, semantic_decoders=TAG_READERS) if scan.has_tags else load_cbor(payload))
    except (ValueError, DecodeError) as error:
        # Not chained: there is no telling what the error holds.
        text = str(error)
    raise WAMPMsgParseError(f'Malformed CBOR: {text}')


# Values to CBOR

cdef object prepare(object value, int depth):
    """Return a value, or a copy of it that has no types and no keys but those that a client can read."""
    cdef list items = None
    cdef dict pairs = None
    cdef Py_ssize_t index = 0
    if depth > MAX_DEPTH:
        raise ValueError('depth limit exceeded')
    if value is None or isinstance(value, (str, int, float, bytes, bytearray)):
        return value
    if isinstance(value, (list, tuple)):
        refuse_extension(value)
        for item in value:
            seen = prepare(item, depth + 1)
            if seen is not item:
                items = list(value) if items is None else items
                items[index] = seen
            index += 1
        return value if items is None else items
    if isinstance(value, dict):
        for key, item in value.items():
            seen = prepare(item, depth + 1)
            if pairs is None and (seen is not item or not isinstance(key, str)):
                # Those before are as they were.
                pairs = dict(islice(value.items(), index))
            if pairs is not None:
                put_item(pairs, key, seen)
            index += 1
        return value if pairs is None else pairs
    if isinstance(value, memoryview):
        return bytes(value)
    # Raises TypeError for what is neither a mapping nor a sequence.
    return prepare(simplify_container(value), depth + 1)


def _try_cbor(value):
    return dump_cbor(prepare(value, 0))


cdef bytes write_cbor(object value, int depth):
    """Return a value as a CBOR data item; `depth` is the number of containers around it. Raises SerializationError."""
    try:
        return dump_cbor(prepare(value, depth))
    except Exception as error:
        raise refusal('CBOR', value, _try_cbor, error) from error


# The Python face

def loads_cbor(payload not None):
    """Return the value of a CBOR data item, arrays as tuples. Raises WAMPMsgParseError."""
    cdef bytes data = bytes(memoryview(payload))
    return parse_cbor(data, len(data))


def dumps_cbor(value):
    """Return a value as a CBOR data item. Raises SerializationError if it has no such form."""
    return write_cbor(value, 0)
