cdef enum StepsPhase:
    STEPS_NEW = 0
    STEPS_RUNNING = 1
    STEPS_SUSPENDED = 2
    STEPS_DONE = 3

cdef object await_iterator(object awaitable)

cdef class Steps:
    cdef object inner       # the iterator being driven
    cdef StepsPhase phase
    cdef bint closing       # GeneratorExit was thrown in: the coroutine is being thrown away

    cdef object begin(self)
    cdef object returned(self, object value)
    cdef object raised(self, object error)
    cdef object advance(self, object value, object error)
    cdef object follow(self, object awaitable)
    cdef object resume(self, object value, object error)
    cdef object prepare_throw(self, object error)
