"""What the connections of one native server share.

All connections of a loop read into one buffer, because a read is parsed to its end before the loop can start
another. What is sent outside of a read is written once per turn of the loop.

What a loop is given remembers the context of whoever gave it, and that may be a user's task. So it is always given in
a copy of the hub's own context: nothing that a call has set reaches what the loop runs later, and through that other
calls. The copy is a fresh one each time, because a context can't be entered twice, and what is set in one has to end
with it.

This is the one module of the core that knows asyncio.
"""

import asyncio
import logging
import sys
from collections import deque
from contextvars import copy_context

from cpython.contextvars cimport PyContext_Copy, PyContext_Enter, PyContext_Exit
from cpython.object cimport PyObject

from ..base.deadlines cimport DeadlineQueue
from ..framing.websocket cimport FrameReader
from ..session.outlets cimport Outlet
from ..base.steps cimport STEPS_DONE, Steps
from serverwamp_fast.clients import client_name

cdef extern from "Python.h":
    # What `call(*args, **kwargs)` does, without a copy of the keyword arguments.
    object PyObject_Call(object call, tuple args, PyObject *kwargs)

logger = logging.getLogger('serverwamp_fast.transport')

cdef object Task = asyncio.Task
cdef bint HAS_EAGER_TASKS = sys.version_info >= (3, 12)

cdef enum:
    READ_BUFFER = 256 * 1024
    # Messages of one connection that are handled before others get their turn.
    VISIT_BUDGET = 64
    # While there are clients that wait for each of their answers: the same, and the messages that all connections
    # together may handle in one turn of the loop, beyond one each.
    SHORT_VISIT_BUDGET = 16
    SHORT_TURN_BUDGET = 8
    SHORT_TURNS = 64            # how many turns are short after such a client was seen


cdef class Hub:
    """What the connections of one server share: the loop, the read buffer, and who has output to write.

    - negotiate(head: bytes) -> (response: bytes, subprotocol: str | None): answers an HTTP request; with None the
      connection is closed after the response. A third element, (rest: bytes, start: int), is for requests that have
      much in common: `rest` is what they are without a part of their own, which belongs at `start`
    - open_timeout: seconds from the connection's start to an open session
    - close_timeout: seconds that a closing connection is given
    - max_size: the limit of one message in bytes, fragments included
    """

    def __cinit__(self, loop, negotiate, double open_timeout, double close_timeout, size_t max_size):
        self.loop = loop
        self.context = copy_context()
        self.negotiate = negotiate
        self.open_timeout = open_timeout
        self.close_timeout = close_timeout
        self.openings = DeadlineQueue(loop, open_timeout, self.context)
        self.closings = DeadlineQueue(loop, close_timeout, self.context)
        self.max_size = max_size
        self.connections = set()
        self.tasks = {}
        self.dirty = []
        self.waiting = deque()
        self.turn_left = SHORT_TURN_BUDGET
        self.memory = bytearray(READ_BUFFER)
        self.view = memoryview(self.memory)
        self.buffer = <unsigned char *> (<char *> self.memory)
        self.forget_task = self.tasks.pop
        # Made once: a dict of keyword arguments for each task costs more than the rest of the call of Task.
        self.task_options = {'loop': loop, 'context': None}
        if HAS_EAGER_TASKS:
            self.task_options['eager_start'] = True

    cdef object own_context(self):
        """Return a copy of the hub's context, to run something in."""
        return PyContext_Copy(self.context)

    cdef object run_apart(self, object function, tuple args):
        """Call a function in a copy of the hub's context, whatever task runs now."""
        cdef object context = PyContext_Copy(self.context)
        PyContext_Enter(context)
        try:
            return PyObject_Call(function, args, NULL)
        finally:
            PyContext_Exit(context)

    def run(self, function, *args):
        return self.run_apart(function, args)

    cdef object start_task(self, object coroutine, object context, object owner):
        """Run a coroutine in a task of its own; on Python 3.12+ its first step runs now.

        It runs in the context that is given, or else in a copy of the hub's. `owner` is the session that the task
        belongs to, or None; see cancel_tasks().
        """
        cdef dict options = self.task_options
        factory = self.loop.get_task_factory()
        self.started_later = factory is not None or not HAS_EAGER_TASKS
        if factory is not None and context is None:
            # Not every factory takes a context, but all that make tasks copy the one they are called in.
            task = self.run_apart(self.loop.create_task, (coroutine,))
        elif factory is not None:
            task = self.loop.create_task(coroutine, context=context)
        else:
            if context is None:
                context = PyContext_Copy(self.context)
            if not HAS_EAGER_TASKS:
                # Up to Python 3.11 making a task may run the garbage collector, and with it anything.
                options = options.copy()
            options['context'] = context
            try:
                # Built directly, because uvloop's create_task() refuses eager_start.
                task = PyObject_Call(Task, (coroutine,), <PyObject *> options)
            finally:
                # What the call has set must not outlive it.
                options['context'] = None
        if isinstance(coroutine, Steps) and (<Steps> coroutine).phase == STEPS_DONE:
            # As is known without asking the task, for nearly every call.
            return task
        if not task.done():
            # The loop itself only holds tasks weakly.
            self.tasks[task] = owner
            task.add_done_callback(self.forget_task, context=self.own_context())
        return task

    cdef FrameReader take_reader(self):
        """Return a frame reader that is idle; who is done with it makes it the spare one again."""
        cdef FrameReader reader = self.spare_reader
        self.spare_reader = None
        return FrameReader(max_size=self.max_size) if reader is None else reader

    def cancel_tasks(self, owner):
        """Cancel the tasks of one owner."""
        # Looked for among all: a set for each session would cost memory, and this is rare.
        for task, its_owner in tuple(self.tasks.items()):
            if its_owner is owner:
                task.cancel()

    def wait_empty(self):
        """Return a future that ends when there is no connection left."""
        if self.emptied is None:
            self.emptied = self.loop.create_future()
            self.note_lost()
        return self.emptied

    cdef int note_lost(self) except -1:
        if self.emptied is not None and not self.connections and not self.emptied.done():
            self.emptied.set_result(None)
        return 0

    def spawn(self, coroutine, context=None, owner=None):
        return self.start_task(coroutine, context, owner)

    cdef unsigned int visit_budget(self) noexcept:
        """Return how many messages a connection may handle now.

        A client that waits for each of its answers should not wait for all that others have in flight. While there
        are such clients, turns of the loop are short: when the budget of one is used up, connections handle one
        message of a read, and wait for a turn with the rest. That costs those who pipeline, a little.
        """
        if self.short_turns == 0:
            return VISIT_BUDGET
        return SHORT_VISIT_BUDGET if self.turn_left > 0 else 1

    cdef int spend(self, int count) except -1:
        """Note what a connection has handled beyond one message."""
        if self.short_turns == 0:
            return 0
        self.turn_left -= count
        return self.schedule_turn()

    cdef int note_waiting_client(self) noexcept:
        """A client has sent one message, and now waits for the answer."""
        if len(self.connections) > 1:
            # There are others that could keep it waiting.
            self.short_turns = SHORT_TURNS
        return 0

    cdef int wait_for_turn(self, Outlet connection) except -1:
        self.waiting.append(connection)
        return self.schedule_turn()

    cdef int schedule_turn(self) except -1:
        if not self.turn_scheduled:
            self.turn_scheduled = True
            self.loop.call_soon(self.start_turn, context=self.own_context())
        return 0

    def start_turn(self):
        cdef Outlet connection
        cdef Py_ssize_t count = len(self.waiting)
        self.turn_scheduled = False
        self.turn_left = SHORT_TURN_BUDGET
        if self.short_turns > 0:
            self.short_turns -= 1
        try:
            # Each once.
            while count > 0 and (self.turn_left > 0 or self.short_turns == 0):
                count -= 1
                connection = <Outlet> self.waiting.popleft()
                connection.take_turn()
        finally:
            if self.waiting:
                self.schedule_turn()

    cdef int add_dirty(self, Outlet connection) except -1:
        """Remember a connection that has output, and flush all of them on the loop's next turn."""
        connection.is_dirty = True
        self.dirty.append(connection)
        if not self.flush_scheduled:
            self.flush_scheduled = True
            self.loop.call_soon(self.flush_dirty, context=self.own_context())
        return 0

    def flush_dirty(self):
        cdef Outlet connection
        cdef list dirty = self.dirty
        self.dirty = []
        self.flush_scheduled = False
        for connection in dirty:
            connection.is_dirty = False
            try:
                connection.flush_output()
            except Exception:
                # Those behind it are not to wait for ever.
                logger.exception('The output for %s could not be written.', client_name(connection))
