"""A coroutine written by hand: the shape that every unit of work of the core has towards an event loop.

`Steps` speaks the coroutine protocol (send, throw, close, __await__), so a task of asyncio, anyio or trio can
run it as it runs an `async def`. Whatever user code awaits travels through it unchanged: the loop drives this
object, this object drives the awaitable at hand. Subclasses say what comes next by three methods.
"""

from cpython.exc cimport PyErr_Restore
from cpython.iterator cimport PyIter_Check
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

import types

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iterator, object value, PyObject **result) noexcept
    bint PyCoro_CheckExact(object candidate) noexcept

# PyIter_Send reports an error by its return value and leaves the exception set; this raises it in Cython's terms.
cdef extern from *:
    """
    static int serverwamp_raise_pending(void) { return -1; }
    """
    int raise_pending "serverwamp_raise_pending" () except -1

cdef object GeneratorType = types.GeneratorType
cdef object FINISHED = object()  # what advance() returns at the end: cheaper than raising StopIteration in C
cdef int ITERABLE_COROUTINE = 0x100  # inspect.CO_ITERABLE_COROUTINE: a generator made awaitable by types.coroutine


cdef object await_iterator(object awaitable):
    """Return the iterator that `await awaitable` would drive. Raises TypeError if it can't be awaited."""
    if PyCoro_CheckExact(awaitable):
        return awaitable
    if type(awaitable) is GeneratorType and awaitable.gi_code.co_flags & ITERABLE_COROUTINE:
        return awaitable
    method = getattr(type(awaitable), '__await__', None)
    if method is None:
        raise TypeError(f"object {type(awaitable).__name__} can't be used in 'await' expression")
    iterator = method(awaitable)
    if PyCoro_CheckExact(iterator):
        raise TypeError('__await__() returned a coroutine')
    if not PyIter_Check(iterator):
        raise TypeError(f"__await__() returned non-iterator of type '{type(iterator).__name__}'")
    return iterator


cdef int raise_thrown(object error) except -1:
    """Raise what was thrown in as throw() does: what the caller is handling doesn't become its context."""
    cdef object kind = type(error), traceback = error.__traceback__
    # The references are taken over.
    Py_INCREF(kind)
    Py_INCREF(error)
    if traceback is None:
        PyErr_Restore(<PyObject *> kind, <PyObject *> error, NULL)
    else:
        Py_INCREF(traceback)
        PyErr_Restore(<PyObject *> kind, <PyObject *> error, <PyObject *> traceback)
    return -1


cdef class Steps:
    """Base of hand-written coroutines. Runs once."""

    cdef object begin(self):
        """Start: return the first awaitable to drive, or None when all is done."""
        return None

    cdef object returned(self, object value):
        """The awaitable at hand returned `value`: return the next one, or None when all is done."""
        return None

    cdef object raised(self, object error):
        """The awaitable at hand raised: return the next one, None when all is done, or raise."""
        raise error

    cdef object advance(self, object value, object error):
        """Drive until something is yielded to the loop, and return that; at the end return FINISHED."""
        cdef object awaitable
        if self.phase == STEPS_DONE:
            raise RuntimeError('cannot reuse already awaited coroutine')
        if self.phase == STEPS_RUNNING:
            raise ValueError('coroutine already executing')
        if self.phase == STEPS_NEW and error is not None:
            self.phase = STEPS_DONE
            raise_thrown(error)
        if self.phase == STEPS_NEW and value is not None:
            raise TypeError("can't send non-None value to a just-started coroutine")
        try:
            if self.phase == STEPS_NEW:
                self.phase = STEPS_RUNNING
                awaitable = self.begin()
            else:
                self.phase = STEPS_RUNNING
                awaitable = self.resume(value, error)
                if self.phase == STEPS_SUSPENDED:
                    return awaitable
            while awaitable is not None:
                awaitable = self.follow(awaitable)
                if self.phase == STEPS_SUSPENDED:
                    return awaitable
        except StopIteration as stop:
            # It would look like the end of the coroutine (PEP 479).
            self.phase = STEPS_DONE
            self.inner = None
            raise RuntimeError('coroutine raised StopIteration') from stop
        except BaseException:
            self.phase = STEPS_DONE
            self.inner = None
            raise
        self.phase = STEPS_DONE
        self.inner = None
        return FINISHED

    cdef object follow(self, object awaitable):
        """Turn to another awaitable and drive it once; see resume()."""
        try:
            self.inner = await_iterator(awaitable)
        except Exception as error:
            return self.raised(error)
        return self.resume(None, None)

    cdef object resume(self, object value, object error):
        """Drive the awaitable at hand once. Suspended: return what it yielded. Ended: return the next awaitable."""
        cdef PyObject *result = NULL
        cdef PySendResult outcome
        cdef object held, throw
        try:
            if error is not None:
                throw = self.prepare_throw(error)
                if throw is None:
                    raise_thrown(error)
                held = throw(error)
                self.phase = STEPS_SUSPENDED
                return held
            outcome = PyIter_Send(self.inner, value, &result)
            if outcome == PYGEN_ERROR:
                raise_pending()
            held = <object> result
            Py_XDECREF(result)
            if outcome == PYGEN_NEXT:
                self.phase = STEPS_SUSPENDED
                return held
        except StopIteration as stop:
            held = stop.value
        except BaseException as caught:
            self.inner = None
            return self.raised(caught)
        self.inner = None
        return self.returned(held)

    cdef object prepare_throw(self, object error):
        """Return the throw() of the awaitable at hand, or None where the error passes by it."""
        if isinstance(error, GeneratorExit):
            # As `await` does: the awaitable is closed, and what it makes of that doesn't count, so that nothing
            # is sent on behalf of a coroutine that is being thrown away.
            close = getattr(self.inner, 'close', None)
            if close is not None:
                close()
            self.closing = True
            return None
        return getattr(self.inner, 'throw', None)

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        yielded = self.advance(None, None)
        if yielded is FINISHED:
            raise StopIteration
        return yielded

    def send(self, value):
        yielded = self.advance(value, None)
        if yielded is FINISHED:
            raise StopIteration
        return yielded

    def throw(self, kind, value=None, traceback=None):
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        elif not isinstance(value, BaseException):
            value = kind(value)
        if traceback is not None:
            value = value.with_traceback(traceback)
        yielded = self.advance(None, value)
        if yielded is FINISHED:
            raise StopIteration
        return yielded

    def close(self):
        if self.phase == STEPS_DONE:
            return
        try:
            # Also before the first step, where nothing is to be run: subclasses do what belongs to the end.
            if self.advance(None, GeneratorExit()) is FINISHED:
                return
        except GeneratorExit:
            return
        raise RuntimeError('coroutine ignored GeneratorExit')

    # What debuggers and asyncio's own repr look for on a coroutine.

    @property
    def cr_await(self):
        return self.inner

    @property
    def cr_running(self):
        return self.phase == STEPS_RUNNING

    @property
    def cr_suspended(self):
        return self.phase == STEPS_SUSPENDED

    @property
    def cr_frame(self):
        return getattr(self.inner, 'cr_frame', None)

    @property
    def cr_code(self):
        return getattr(self.inner, 'cr_code', None)

    @property
    def __name__(self):
        return type(self).__name__

    @property
    def __qualname__(self):
        return type(self).__qualname__
