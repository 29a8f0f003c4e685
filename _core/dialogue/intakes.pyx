"""What comes in on connections that hand over payloads: of aiohttp, ASGI and websockets.

An `async def` and an async generator for each layer would cost several times what a message's handling does, so the
way from the connection to the handlers' tasks is one coroutine written by hand.
"""

from ..dealer.calls cimport Call
from .dispatch cimport receive_message
from ..session.sessions cimport SessionCore
from ..base.steps cimport STEPS_DONE


cdef class Intake:
    """The messages of one connection, in order; see the stub."""

    def __cinit__(self, connection):
        self.connection = connection
        self.receive_payload = connection.receive_payload
        self.messages = []

    cdef int accept(self, object payload) except -1:
        """Take what receive_payload() returned. Raises WAMPMsgParseError."""
        if payload is None:
            self.is_over = True
            return 0
        if self.codec is None:
            # By the first payload it chooses the codec to answer with.
            self.messages = self.connection.decode_payload(payload)
            self.codec = self.connection.codec
        else:
            self.messages = self.codec.decode(payload)
        self.messages.reverse()
        return 0

    def read_from(self, source):
        self.receive_payload = self.connection.receive_payload if source is None else source

    def decode(self, payload):
        return self.connection.decode_payload(payload) if self.codec is None else self.codec.decode(payload)

    def fetch(self):
        return Fetching(self)

    def take(self, default):
        return self.messages.pop() if self.messages else default

    def work_for(self, SessionCore session not None, starter, unsigned int budget):
        return Working(self, session, starter, budget)


cdef class Begun(Steps):
    """Work whose first step is run by start(), in the task that awaits the rest."""

    def __cinit__(self, work):
        self.work = work

    cdef object begin(self):
        work = self.work
        self.work = None
        return work

    def start(self):
        self.waited_for = Steps.advance(self, None, None)
        self.is_held = self.phase != STEPS_DONE
        return not self.is_held

    cdef object advance(self, object value, object error):
        if self.is_held:
            self.is_held = False
            waited_for = self.waited_for
            self.waited_for = None
            if error is None:
                return waited_for
        return Steps.advance(self, value, error)


cdef class Fetching(Steps):
    """Waits until there is a message, or no more will come."""

    def __cinit__(self, Intake intake not None):
        self.intake = intake

    cdef object begin(self):
        if self.intake.messages or self.intake.is_over:
            return None
        return self.intake.receive_payload()

    cdef object returned(self, object payload):
        self.intake.accept(payload)
        return self.begin()


cdef class Working(Steps):
    """Handles messages until there is something for the driver to do."""

    def __cinit__(self, Intake intake not None, SessionCore session not None, starter, unsigned int budget):
        self.intake = intake
        self.session = session
        if starter is not None:
            self.start, self.adopt = starter
        self.budget = budget

    cdef object begin(self):
        return self.go_on()

    cdef object returned(self, object payload):
        self.intake.accept(payload)
        return self.go_on()

    cdef object go_on(self):
        """Handle what is there; return the awaitable of the next payload, or None for the driver's turn."""
        cdef SessionCore session = self.session
        cdef list messages = self.intake.messages
        cdef object work
        while messages:
            work = receive_message(session, messages.pop())
            self.budget -= 1
            if work is not None:
                if self.start is None or not isinstance(work, Call):
                    self.work = work
                    return None
                task = self.start(work)
                if (<Call> work).phase != STEPS_DONE:
                    (<Call> work).hold(self.adopt(task))
            if self.budget == 0:
                return None
            if session.deliveries is not None and session.deliveries.are_too_many():
                return None
        return None if self.intake.is_over else self.intake.receive_payload()
