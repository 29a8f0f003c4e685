"""URIs: which strings name realms, topics, procedures and errors (WAMP BP, "URIs").

One pass over the characters, no regular expression: the specification's own expressions nest a repetition in a
repetition and backtrack.
"""

cdef extern from "Python.h":
    int PyUnicode_KIND(object text) noexcept
    void *PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    Py_UCS4 PyUnicode_READ(int kind, void *data, Py_ssize_t index) noexcept
    bint Py_UNICODE_ISSPACE(Py_UCS4 character) noexcept

cdef enum CharacterClass:
    FORBIDDEN = 0   # whitespace and '#'
    LOOSE = 1       # allowed by the loose rule only
    STRICT = 2      # allowed by both
    DOT = 3

cdef enum:
    BYTE_KIND = 1      # PyUnicode_1BYTE_KIND: nothing beyond Latin-1 in the string
    LATIN_SIZE = 256

cdef unsigned char latin_classes[LATIN_SIZE]


cdef int fill_classes() noexcept:
    cdef int character
    for character in range(LATIN_SIZE):
        # What Python's \s matches, which is more than C's isspace() knows.
        if character == c'#' or Py_UNICODE_ISSPACE(character):
            latin_classes[character] = FORBIDDEN
        elif (c'a' <= character <= c'z') or (c'0' <= character <= c'9') or character == c'_':
            latin_classes[character] = STRICT
        elif character == c'.':
            latin_classes[character] = DOT
        else:
            latin_classes[character] = LOOSE
    return 0


fill_classes()


cdef inline int classify_character(Py_UCS4 character) noexcept:
    if character < LATIN_SIZE:
        return latin_classes[character]
    return FORBIDDEN if Py_UNICODE_ISSPACE(character) else LOOSE


cdef inline bint scan_components(object uri, int lowest_class, bint empty_allowed) noexcept:
    """Return whether all components consist of characters of `lowest_class` or better."""
    cdef int kind = PyUnicode_KIND(uri), found
    cdef void *data = PyUnicode_DATA(uri)
    cdef Py_ssize_t index, size = PyUnicode_GET_LENGTH(uri)
    cdef bint is_empty = True
    for index in range(size):
        # Nearly every URI is ASCII.
        if kind == BYTE_KIND:
            found = latin_classes[(<unsigned char *> data)[index]]
        else:
            found = classify_character(PyUnicode_READ(kind, data, index))
        if found == DOT:
            if is_empty and not empty_allowed:
                return False
            is_empty = True
        elif found < lowest_class:
            return False
        else:
            is_empty = False
    return empty_allowed or not is_empty


cdef bint is_loose_uri(object uri) noexcept:
    return scan_components(uri, LOOSE, False)


cdef bint is_strict_uri(object uri) noexcept:
    return scan_components(uri, STRICT, False)


cdef bint is_loose_pattern(object uri) noexcept:
    return scan_components(uri, LOOSE, True)


cdef bint is_strict_pattern(object uri) noexcept:
    return scan_components(uri, STRICT, True)


cdef bint is_reserved_uri(object uri) noexcept:
    """Return whether the first component is `wamp`."""
    cdef int kind = PyUnicode_KIND(uri)
    cdef void *data = PyUnicode_DATA(uri)
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(uri)
    if size < 4 or (size > 4 and PyUnicode_READ(kind, data, 4) != c'.'):
        return False
    return (
        PyUnicode_READ(kind, data, 0) == c'w'
        and PyUnicode_READ(kind, data, 1) == c'a'
        and PyUnicode_READ(kind, data, 2) == c'm'
        and PyUnicode_READ(kind, data, 3) == c'p'
    )


cdef int demand_text(object uri) except -1:
    if not isinstance(uri, str):
        raise TypeError(f'A URI is a str, not {type(uri).__name__}')
    return 0


def check_uri(uri, bint strict=False):
    """Return whether `uri` is a URI: components that are not empty, with dots between them."""
    demand_text(uri)
    return is_strict_uri(uri) if strict else is_loose_uri(uri)


def check_pattern(uri, bint strict=False):
    """Return whether `uri` is a URI whose components may be empty, as prefix and wildcard patterns are."""
    demand_text(uri)
    return is_strict_pattern(uri) if strict else is_loose_pattern(uri)


def check_reserved(uri):
    """Return whether the first component is `wamp`, which belongs to the protocol itself."""
    demand_text(uri)
    return is_reserved_uri(uri)
