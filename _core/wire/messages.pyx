"""Messages: their codes, and the check that a decoded message has the form that its code demands.

One table says what each message consists of (WAMP BP and AP, "Messages"), a second one which options are looked
at. What is not in the tables is let through: elements behind the last known one, HELLO without roles, options
that nobody has heard of. The strict check refuses the first two.

A message comes back as the object that was given, or as a corrected list where an id was written as a float:
JavaScript has no other numbers, and its MessagePack libraries write large ones as they are.
"""

from cpython.bool cimport PyBool_Check
from cpython.dict cimport PyDict_Next, PyDict_Size
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact, PyList_GET_SIZE
from cpython.long cimport PyLong_Check, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_Check

from msgpack import ExtType

from serverwamp_fast._core.base.uris cimport is_loose_pattern, is_loose_uri, is_strict_pattern, is_strict_uri

from serverwamp_fast.errors import InvalidOptionError, InvalidURIError, WAMPMsgParseError

cdef extern from "Python.h":
    # It fails for nothing but what is no int at all.
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) noexcept

cdef enum FieldKind:
    KIND_ID = 1
    KIND_ID_OR_ZERO   # 0 where a router revokes what nobody asked it to (WAMP AP, "Registration Revocation")
    KIND_REQUEST_TYPE
    KIND_STRING
    KIND_URI
    KIND_PATTERN      # a URI, or a pattern if the options say so
    KIND_DICT
    KIND_LIST

cdef enum OptionKind:
    OPTION_BOOL = 1
    OPTION_STRING
    OPTION_LIST
    OPTION_STRINGS
    OPTION_INTEGER
    OPTION_INTEGERS
    OPTION_ALGORITHM
    OPTION_CANCEL_MODE
    OPTION_UNSUPPORTED  # whatever its value

cdef enum:
    MAX_FIELDS = 8
    SLOTS = 72
    EVENT_RECEIVED_SLOT = 71  # the one code that is far away from the others
    UNKNOWN = -1

cdef long long MAX_ID = 1 << 53

cdef struct Form:
    int count       # elements, the code included
    int required
    int naming      # index of the URI or pattern; 0 if there is none
    int optioned    # index of the dict that the option table speaks of; 0 if there is none
    bint is_request
    unsigned char kinds[MAX_FIELDS]

cdef Form forms[SLOTS]
cdef list form_names = [None] * SLOTS
cdef list option_kinds = [None] * SLOTS

cdef dict KINDS = {
    'id': KIND_ID, 'id0': KIND_ID_OR_ZERO, 'type': KIND_REQUEST_TYPE, 'str': KIND_STRING, 'uri': KIND_URI,
    'pattern': KIND_PATTERN, 'dict': KIND_DICT, 'list': KIND_LIST,
}

# A question mark: the element, and all behind it, may be missing.
cdef tuple FORMS = (
    (HELLO, 'HELLO', 'Realm|uri Details|dict'),
    (WELCOME, 'WELCOME', 'Session|id Details|dict'),
    # A client that leaves is not held up over how it words the reason, in ABORT as in GOODBYE.
    (ABORT, 'ABORT', 'Details|dict Reason|str ?Arguments|list ?ArgumentsKw|dict'),
    (CHALLENGE, 'CHALLENGE', 'AuthMethod|str Extra|dict'),
    (AUTHENTICATE, 'AUTHENTICATE', 'Signature|str Extra|dict'),
    (GOODBYE, 'GOODBYE', 'Details|dict Reason|str'),
    (ERROR, 'ERROR', 'RequestType|type Request|id Details|dict Error|uri ?Arguments|list ?ArgumentsKw|dict'),
    (PUBLISH, 'PUBLISH', 'Request|id Options|dict Topic|uri ?Arguments|list ?ArgumentsKw|dict'),
    (PUBLISHED, 'PUBLISHED', 'Request|id Publication|id'),
    (SUBSCRIBE, 'SUBSCRIBE', 'Request|id Options|dict Topic|pattern'),
    (SUBSCRIBED, 'SUBSCRIBED', 'Request|id Subscription|id'),
    (UNSUBSCRIBE, 'UNSUBSCRIBE', 'Request|id Subscription|id'),
    (UNSUBSCRIBED, 'UNSUBSCRIBED', 'Request|id0 ?Details|dict'),
    (EVENT, 'EVENT', 'Subscription|id Publication|id Details|dict ?Arguments|list ?ArgumentsKw|dict'),
    (EVENT_RECEIVED, 'EVENT_RECEIVED', 'Publication|id'),
    (CALL, 'CALL', 'Request|id Options|dict Procedure|uri ?Arguments|list ?ArgumentsKw|dict'),
    (CANCEL, 'CANCEL', 'Request|id Options|dict'),
    (RESULT, 'RESULT', 'Request|id Details|dict ?Arguments|list ?ArgumentsKw|dict'),
    (REGISTER, 'REGISTER', 'Request|id Options|dict Procedure|pattern'),
    (REGISTERED, 'REGISTERED', 'Request|id Registration|id'),
    (UNREGISTER, 'UNREGISTER', 'Request|id Registration|id'),
    (UNREGISTERED, 'UNREGISTERED', 'Request|id0 ?Details|dict'),
    (INVOCATION, 'INVOCATION', 'Request|id Registration|id Details|dict ?Arguments|list ?ArgumentsKw|dict'),
    (INTERRUPT, 'INTERRUPT', 'Request|id Options|dict'),
    (YIELD, 'YIELD', 'Request|id Options|dict ?Arguments|list ?ArgumentsKw|dict'),
)

# What an ERROR can be the answer to (WAMP BP, "Protocol Errors": "ERROR message with invalid REQUEST.Type").
cdef frozenset ANSWERED = frozenset((PUBLISH, SUBSCRIBE, UNSUBSCRIBE, CALL, REGISTER, UNREGISTER, INVOCATION))

# Options whose values are looked at; None counts as absent, since JavaScript writes its undefined so.
cdef tuple OPTIONS = (
    (HELLO, (('authid', OPTION_STRING), ('authmethods', OPTION_STRINGS))),
    (PUBLISH, (
        ('acknowledge', OPTION_BOOL),
        ('exclude_me', OPTION_BOOL),
        ('disclose_me', OPTION_BOOL),
        ('exclude', OPTION_INTEGERS),
        ('exclude_authid', OPTION_STRINGS),
        ('exclude_authrole', OPTION_STRINGS),
        ('eligible', OPTION_INTEGERS),
        ('eligible_authid', OPTION_STRINGS),
        ('eligible_authrole', OPTION_STRINGS),
        ('retain', OPTION_BOOL),
        ('transaction_hash', OPTION_STRING),
        ('forward_for', OPTION_LIST),
        ('enc_algo', OPTION_ALGORITHM),
        # A violation where the router hasn't announced the feature (WAMP AP, "Payload Passthru Mode").
        ('ppt_scheme', OPTION_UNSUPPORTED),
    )),
    # Not the timeout, which has an answer of its own: see Call.read_options().
    (CALL, (
        ('receive_progress', OPTION_BOOL),
        ('progress', OPTION_BOOL),
        ('disclose_me', OPTION_BOOL),
        ('runmode', OPTION_STRING),
        ('rkey', OPTION_STRING),
        ('ppt_scheme', OPTION_UNSUPPORTED),
    )),
    (CANCEL, (('mode', OPTION_CANCEL_MODE),)),
    (SUBSCRIBE, (('get_retained', OPTION_BOOL), ('forward_for', OPTION_LIST))),
    (EVENT, (
        ('publisher', OPTION_INTEGER),
        ('publisher_authid', OPTION_STRING),
        ('publisher_authrole', OPTION_STRING),
        ('topic', OPTION_STRING),
        ('retained', OPTION_BOOL),
        ('transaction_hash', OPTION_STRING),
        ('x_acknowledged_delivery', OPTION_BOOL),
        ('forward_for', OPTION_LIST),
        ('enc_algo', OPTION_ALGORITHM),
    )),
)

cdef frozenset ALGORITHMS = frozenset(('null', 'cryptobox', 'mqtt', 'xbr'))
cdef frozenset CANCEL_MODES = frozenset(('skip', 'kill', 'killnowait'))
cdef dict EXPECTATIONS = {
    KIND_ID: 'an id, which is an integer from 1 to 2^53',
    KIND_ID_OR_ZERO: 'an id or 0',
    KIND_REQUEST_TYPE: 'the code of a request',
    KIND_STRING: 'a string',
    KIND_URI: 'a string',
    KIND_PATTERN: 'a string',
    KIND_DICT: 'a dictionary with strings as keys',
    KIND_LIST: 'a list',
}
cdef dict OPTION_EXPECTATIONS = {
    OPTION_BOOL: 'true or false',
    OPTION_STRING: 'a string',
    OPTION_LIST: 'a list',
    OPTION_STRINGS: 'a list of strings',
    OPTION_INTEGER: 'an integer',
    OPTION_INTEGERS: 'a list of integers',
    OPTION_ALGORITHM: 'a known algorithm',
    OPTION_CANCEL_MODE: 'one of skip, kill, killnowait',
    OPTION_UNSUPPORTED: 'a feature of this server',
}


cdef inline int find_slot(long long code) noexcept:
    """Return the index of a code's form, or UNKNOWN."""
    if code == EVENT_RECEIVED:
        return EVENT_RECEIVED_SLOT
    if 0 < code < EVENT_RECEIVED_SLOT and forms[code].count > 0:
        return <int> code
    return UNKNOWN


cdef int fill_forms() except -1:
    """Turn the tables into what the check reads."""
    cdef int slot, index
    for code, name, fields in FORMS:
        slot = EVENT_RECEIVED_SLOT if code == EVENT_RECEIVED else code
        names = [name]
        index = 0
        for index, field in enumerate(fields.split(), 1):
            label, kind = field.lstrip('?').split('|')
            names.append(label)
            forms[slot].kinds[index] = KINDS[kind]
            if not field.startswith('?'):
                forms[slot].required = index + 1
            if kind in ('uri', 'pattern'):
                forms[slot].naming = index
            if label in ('Options', 'Details'):
                forms[slot].optioned = index
        forms[slot].count = index + 1
        forms[slot].is_request = code in ANSWERED
        form_names[slot] = tuple(names)
    for code, kinds in OPTIONS:
        option_kinds[<int> code] = dict(kinds)
    return 0


fill_forms()

MESSAGE_NAMES = {form[0]: form[1] for form in FORMS}


cdef inline bint is_list(object value):
    """Return whether a value is a list. MessagePack's extensions are not, although their class is one of tuples."""
    if PyTuple_CheckExact(value) or PyList_CheckExact(value):
        return True
    return isinstance(value, (list, tuple)) and not isinstance(value, ExtType)


cdef inline object item_at(object message, Py_ssize_t index):
    """Return an element. Bounds are checked: a list that a user made could shrink under our feet."""
    if isinstance(message, list):
        return (<list> message)[index]
    return (<tuple> message)[index]


cdef long long read_integer(object value, bint *exact) noexcept:
    """Return an int or an integral float as a C integer; `exact` is False if it is neither or doesn't fit."""
    cdef int overflow = 0
    cdef long long number
    cdef double real
    exact[0] = False
    if PyLong_Check(value):
        if PyBool_Check(value):
            return -1
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        exact[0] = overflow == 0
        return number
    if PyFloat_CheckExact(value):
        real = PyFloat_AS_DOUBLE(value)
        # Beyond 2^53 a float stands for several integers. The comparison is False for NaN.
        if -MAX_ID <= real <= MAX_ID:
            number = <long long> real
            exact[0] = number == real
            return number
    return -1


cdef inline bint has_string_keys(object candidate) noexcept:
    """Return whether a dict has no keys but strings, which MessagePack alone doesn't see to."""
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    while PyDict_Next(candidate, &position, &key, NULL):
        if not PyUnicode_Check(<object> key):
            return False
    return True


cdef int refuse_field(int slot, Py_ssize_t index) except -1:
    names = form_names[slot]
    kind = forms[slot].kinds[index]
    raise WAMPMsgParseError(f'{names[0]}.{names[index]} is not {EXPECTATIONS[kind]}')


cdef object read_option(int kind, object value):
    """Return an option's value, integral floats in it turned into ints; None if it is of the wrong type."""
    cdef bint exact = False
    cdef long long number
    if kind == OPTION_BOOL:
        return value if PyBool_Check(value) else None
    if kind == OPTION_STRING:
        return value if isinstance(value, str) else None
    if kind == OPTION_ALGORITHM:
        return value if isinstance(value, str) and value in ALGORITHMS else None
    if kind == OPTION_CANCEL_MODE:
        return value if isinstance(value, str) and value in CANCEL_MODES else None
    if kind == OPTION_INTEGER:
        number = read_integer(value, &exact)
        if exact and PyFloat_CheckExact(value):
            return number
        return value if exact else None
    if kind == OPTION_UNSUPPORTED or not is_list(value):
        return None
    if kind == OPTION_INTEGERS:
        numbers = [read_option(OPTION_INTEGER, item) for item in value]
        if None in numbers:
            return None
        return numbers if float in map(type, value) else value
    if kind == OPTION_STRINGS and not all([isinstance(item, str) for item in value]):
        return None
    return value


cdef object check_options(int slot, object options):
    """Return the options, or a corrected copy. Raises WAMPMsgParseError for a value of the wrong type."""
    cdef dict kinds = option_kinds[slot]
    corrected = options
    for key, value in options.items():
        kind = kinds.get(key)
        if kind is None or value is None:
            continue
        seen = read_option(kind, value)
        if seen is None:
            names = form_names[slot]
            raise WAMPMsgParseError(
                f'{names[0]}.{names[forms[slot].optioned]}.{key} is not {OPTION_EXPECTATIONS[kind]}'
            )
        if seen is not value:
            corrected = dict(options) if corrected is options else corrected
            corrected[key] = seen
    return corrected


cdef int check_name(int slot, object message, object request_id, bint strict) except -1:
    """Check the URI of a message. Raises InvalidURIError, or InvalidOptionError for a matching policy."""
    cdef Form *form = &forms[slot]
    cdef bint is_pattern = False, valid
    uri = item_at(message, form.naming)
    if not PyUnicode_Check(uri):
        # It was one. Since then the options were read, by code of the user's where their class is a user's.
        refuse_field(slot, form.naming)
    if form.kinds[form.naming] == KIND_PATTERN:
        policy = item_at(message, form.optioned).get('match')
        if policy is not None and policy != 'exact':
            if not isinstance(policy, str) or policy not in ('prefix', 'wildcard'):
                names = form_names[slot]
                raise InvalidOptionError(
                    f'{names[0]}.Options.match is not one of exact, prefix, wildcard', item_at(message, 0), request_id
                )
            is_pattern = True
    if is_pattern:
        valid = is_strict_pattern(uri) if strict else is_loose_pattern(uri)
    else:
        valid = is_strict_uri(uri) if strict else is_loose_uri(uri)
    if not valid:
        names = form_names[slot]
        raise InvalidURIError(f'{names[0]}.{names[form.naming]} is not a URI', item_at(message, 0), request_id)
    return 0


cdef object check_fields(object message, bint strict):
    cdef Py_ssize_t size, index
    cdef int slot, kind, overflow = 0
    cdef bint exact = False, valid
    cdef long long number, request_id = 0
    cdef list corrected = None
    if not is_list(message):
        raise WAMPMsgParseError('A message is a list')
    if isinstance(message, list):
        size = PyList_GET_SIZE(message)
    else:
        size = PyTuple_GET_SIZE(message)
    if size == 0:
        raise WAMPMsgParseError('A message is a list that is not empty')
    code = item_at(message, 0)
    # A code is never written as a float: 1.0 is not HELLO.
    if not PyLong_Check(code):
        raise WAMPMsgParseError('A message begins with its code')
    number = read_integer(code, &exact)
    slot = find_slot(number) if exact else UNKNOWN
    if slot == UNKNOWN:
        raise WAMPMsgParseError('Unknown message code')
    cdef Form *form = &forms[slot]
    if size < form.required:
        raise WAMPMsgParseError(f'{form_names[slot][0]} has too few elements')
    if size > form.count:
        if strict:
            raise WAMPMsgParseError(f'{form_names[slot][0]} has too many elements')
        size = form.count

    for index in range(1, size):
        value = item_at(message, index)
        kind = form.kinds[index]
        if kind == KIND_ID and PyLong_CheckExact(value):
            # As the general case below, for what nearly every id is.
            number = PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow or not 1 <= number <= MAX_ID:
                refuse_field(slot, index)
            if index == 1:
                request_id = number
        elif kind <= KIND_REQUEST_TYPE:
            number = read_integer(value, &exact)
            if kind == KIND_REQUEST_TYPE:
                valid = exact and number in ANSWERED
            else:
                valid = exact and (1 if kind == KIND_ID else 0) <= number <= MAX_ID
            if not valid:
                refuse_field(slot, index)
            if index == 1:
                request_id = number
            if PyFloat_CheckExact(value):
                corrected = list(message) if corrected is None else corrected
                corrected[index] = number
        elif kind == KIND_DICT:
            if not isinstance(value, dict) or not has_string_keys(value):
                refuse_field(slot, index)
            if index == form.optioned and PyDict_Size(value) > 0 and option_kinds[slot] is not None:
                seen = check_options(slot, value)
                if seen is not value:
                    corrected = list(message) if corrected is None else corrected
                    corrected[index] = seen
        elif kind == KIND_LIST:
            if not is_list(value):
                refuse_field(slot, index)
        elif not PyUnicode_Check(value):
            refuse_field(slot, index)

    # Every client announces at least one role (WAMP BP, "HELLO").
    if strict and slot == HELLO and not isinstance(item_at(message, 2).get('roles') or None, dict):
        raise WAMPMsgParseError('HELLO.Details.roles is not a dictionary of roles')
    if form.naming:
        check_name(slot, message, request_id if form.is_request else None, strict)
    return message if corrected is None else corrected


cdef object check_message(object message):
    """Return the message, or a corrected one. Raises WAMPMsgParseError or one of its subclasses."""
    return check_fields(message, False)


cdef object check_message_strictly(object message):
    """The same by strict URI rules, without elements too many, HELLO only with roles."""
    return check_fields(message, True)


def check(message, bint strict=False):
    """Return the message, or a corrected list where an id was written as a float.

    Raises WAMPMsgParseError if it has not the form that its code demands, InvalidURIError and
    InvalidOptionError, its subclasses, if the form is right but a name or a matching policy is not.
    """
    return check_fields(message, strict)
