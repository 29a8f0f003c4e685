"""Call plans: a procedure's signature, read once when its route is added, ready to take a CALL's arguments.

Who gives which parameter its value, in this order: the server (`session`, `request`, default args by name),
the call's next positional argument, the call's keyword argument of that name, the parameter's own default.
"""

import inspect
from typing import Any

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from serverwamp_fast.clients import shorten
from serverwamp_fast.errors import InvalidArgumentError

cdef object EMPTY = inspect.Parameter.empty
# These annotations say nothing that a value from the wire would have to be converted to.
cdef frozenset UNCONVERTED = frozenset((str, Any, EMPTY, object))


cdef class Parameter:
    """One parameter of a procedure, reduced to what binding needs."""

    def __cinit__(self, parameter):
        cdef object annotation = parameter.annotation
        self.name = parameter.name
        self.default = parameter.default
        self.has_default = parameter.default is not EMPTY
        self.target = annotation if isinstance(annotation, type) and annotation not in UNCONVERTED else None
        self.counts = self.target is not None and issubclass(self.target, (bytes, bytearray))
        if parameter.kind is parameter.VAR_POSITIONAL:
            self.kind = KIND_VAR_POSITIONAL
        elif parameter.kind is parameter.VAR_KEYWORD:
            self.kind = KIND_VAR_KEYWORD
        elif parameter.kind is parameter.KEYWORD_ONLY:
            self.kind = KIND_KEYWORD_ONLY
        else:
            self.kind = KIND_POSITIONAL
        self.special = SPECIAL_NONE
        if self.kind in (KIND_POSITIONAL, KIND_KEYWORD_ONLY):
            if self.name == 'session':
                self.special = SPECIAL_SESSION
            elif self.name == 'request':
                self.special = SPECIAL_REQUEST

    cdef object convert(self, object value):
        """Return the value as the annotated type. Raises InvalidArgumentError if it can't become one."""
        if self.target is None or isinstance(value, self.target):
            return value
        if self.counts and isinstance(value, int):
            # A caller's number would be the size of what is allocated, and zeros are nobody's data.
            raise InvalidArgumentError(f'Argument {self.name} is not a valid {self.target.__name__}.')
        try:
            return self.target(value)
        except (TypeError, ValueError, ArithmeticError) as error:
            # ArithmeticError: decimal's InvalidOperation, and int()'s OverflowError for infinity.
            raise InvalidArgumentError(
                f'Argument {self.name} is not a valid {self.target.__name__}.') from error


cdef class CallPlan:
    """How to call one procedure."""

    def __init__(self, procedure):
        self.procedure = procedure
        self.parameters = ()
        self.failure = None
        try:
            self.read_signature(inspect.signature(procedure))
        except (TypeError, ValueError) as error:
            # Said when the procedure is called, as an ERROR to that caller; adding the route doesn't fail. Only the
            # text is kept: an exception that is raised again and again collects the frames of all its callers.
            self.failure = str(error)

    cdef int read_signature(self, object signature) except -1:
        cdef list parameters = [Parameter(p) for p in signature.parameters.values()]
        cdef Parameter parameter
        self.parameters = tuple(parameters)
        self.names = frozenset(signature.parameters)
        self.wants_request = any((<Parameter> p).special == SPECIAL_REQUEST for p in parameters)
        self.positional_only = self.is_plain = True
        for parameter in parameters:
            if parameter.kind != KIND_POSITIONAL:
                self.positional_only = self.is_plain = False
            if parameter.special != SPECIAL_NONE or parameter.target is not None:
                self.is_plain = False
        return 0

    cdef object invoke(self, object session, object request, object args, object kwargs, dict factories):
        """Call the procedure with a CALL's arguments and return what it returns: an awaitable as a rule.

        `args` is a list or tuple, `kwargs` a dict or None; `factories` are the default args by name.
        Raises InvalidArgumentError, and whatever the procedure or a factory raises.
        """
        cdef dict named
        if self.failure is not None:
            raise TypeError(self.failure)
        if self.is_plain and len(args) == len(self.parameters) and not (factories and self.is_served(factories)):
            # Most calls: there is nothing to decide or to convert.
            return self.procedure(*args)
        if self.positional_only:
            return self.procedure(*self.bind_positional(session, request, args, kwargs, factories))
        named = {}
        positional = self.bind_all(session, request, args, kwargs, factories, named)
        return self.procedure(*positional, **named)

    cdef object given(self, Parameter parameter, object args, Py_ssize_t *used, object kwargs):
        """Return the value that the call or the parameter's default gives. Raises InvalidArgumentError if none."""
        cdef PyObject *found
        if parameter.kind == KIND_POSITIONAL and used[0] < len(args):
            used[0] += 1
            return parameter.convert(args[used[0] - 1])
        if kwargs:
            found = PyDict_GetItem(<dict> kwargs, parameter.name)
            if found is not NULL:
                # Held on to: converting runs code of the user's, which may change the dict.
                value = <object> found
                return parameter.convert(value)
        if parameter.has_default:
            return parameter.default
        raise InvalidArgumentError(f'Argument {parameter.name} required.')

    cdef object served(self, Parameter parameter, object session, object request, dict factories):
        """Return the value that the server provides for a parameter, or EMPTY. Never taken from the call."""
        cdef PyObject *factory
        if parameter.special == SPECIAL_SESSION:
            return session
        if parameter.special == SPECIAL_REQUEST:
            return request
        if factories:
            factory = PyDict_GetItem(factories, parameter.name)
            if factory is not NULL:
                make = <object> factory
                return make()
        return EMPTY

    cdef bint is_served(self, dict factories) except -1:
        """Return whether a default arg has the name of a parameter."""
        cdef Parameter parameter
        for parameter in self.parameters:
            if parameter.name in factories:
                return True
        return False

    cdef list bind_positional(self, object session, object request, object args, object kwargs, dict factories):
        """Bind a signature that has nothing but plain parameters."""
        cdef list values = []
        cdef Parameter parameter
        cdef Py_ssize_t used = 0
        for parameter in self.parameters:
            value = EMPTY
            if factories or parameter.special != SPECIAL_NONE:
                value = self.served(parameter, session, request, factories)
            if value is EMPTY:
                value = self.given(parameter, args, &used, kwargs)
            values.append(value)
        return values

    cdef list bind_all(self, object session, object request, object args, object kwargs, dict factories, dict named):
        """Bind any signature; keyword arguments go into `named`."""
        cdef list values = []
        cdef Parameter parameter, var_keyword = None
        cdef Py_ssize_t used = 0
        for parameter in self.parameters:
            if parameter.kind == KIND_VAR_POSITIONAL:
                while used < len(args):
                    values.append(parameter.convert(args[used]))
                    used += 1
                continue
            if parameter.kind == KIND_VAR_KEYWORD:
                var_keyword = parameter
                continue
            value = self.served(parameter, session, request, factories)
            if value is EMPTY:
                value = self.given(parameter, args, &used, kwargs)
            if parameter.kind == KIND_KEYWORD_ONLY:
                named[parameter.name] = value
            else:
                values.append(value)
        if var_keyword is not None and kwargs:
            for name, value in kwargs.items():
                if name not in self.names:
                    # A name of the signature was either bound above or belongs to the server.
                    try:
                        named[name] = var_keyword.convert(value)
                    except InvalidArgumentError as error:
                        raise InvalidArgumentError(
                            f'Argument {shorten(name)} is not a valid {var_keyword.target.__name__}.') from error
        return values

    def call(self, session, request, args, kwargs, dict factories not None):
        return self.invoke(session, request, args, None if kwargs is None else dict(kwargs), factories)
