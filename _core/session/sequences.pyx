"""The sequence of a session's request ids (WAMP BP, "IDs"), for applications that are strict about it.

A client numbers its requests from 1 on without a gap, and after 2^53 from 1 again. A CALL that continues a progressive
call has that call's id once more (WAMP AP, "Verification of CALL Request IDs"). Its last parts may arrive when the call
is over already, so what is remembered is not which calls are active, but which ones were progressive.
"""

from ..wire.messages cimport CALL, PUBLISH, REGISTER, SUBSCRIBE, UNREGISTER, UNSUBSCRIBE

from serverwamp_fast.errors import WAMPMsgParseError

cdef enum:
    # Progressive calls that are remembered for each session, the latest ones.
    MAX_PROGRESSIVE = 1024

cdef long long LAST_ID = 1 << 53


cdef bint is_numbered(int code) noexcept:
    """Return whether a message has a request id of its own. CANCEL and the like have one that was there before."""
    return code in (PUBLISH, SUBSCRIBE, UNSUBSCRIBE, CALL, REGISTER, UNREGISTER)


cdef class RequestSequence:
    """Where a session's client is in its sequence of request ids."""

    cdef int take(self, int code, long long number, bint progressive) except -1:
        """Note the request id of a message that has its own; return whether it is one of a progressive call before.

        Raises WAMPMsgParseError if it is neither that nor the next one.
        """
        cdef long long expected = 1 if self.last == LAST_ID else self.last + 1
        if number == expected:
            self.last = number
            if code == CALL and progressive:
                self.remember(number)
            return 0
        if code == CALL and self.progressive is not None and number in self.progressive:
            return 1
        raise WAMPMsgParseError(f'The request id {number} is out of sequence, {expected} would be the next.')

    cdef int remember(self, long long number) except -1:
        if self.progressive is None:
            self.progressive = {}
        elif len(self.progressive) == MAX_PROGRESSIVE:
            del self.progressive[next(iter(self.progressive))]
        self.progressive[number] = None
        return 0

    def __init__(self, last=0):
        self.last = last

    def note(self, code, number, progressive=False):
        return bool(is_numbered(code) and self.take(code, number, progressive))
