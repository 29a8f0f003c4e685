"""What a session does with a message: one table of state x message code.

The rules, from WAMP BP "Sessions" and "Messages":
- a connection speaks HELLO first, and HELLO starts a session only where there is none;
- ABORT ends everything, in any state, and is never answered;
- while a session is being opened only AUTHENTICATE has a meaning, the rest waits for WELCOME;
- once GOODBYE has been said by us, everything but the peer's GOODBYE is ignored;
- a message that a client may send, but that this server has no use for, is refused with an ERROR;
- a message that only a router sends, or that nobody knows, is a violation.
"""

from ..wire.messages cimport (
    ABORT, AUTHENTICATE, CALL, CANCEL, ERROR, GOODBYE, HELLO, PUBLISH, REGISTER, SUBSCRIBE, UNREGISTER,
    UNSUBSCRIBE, YIELD,
)

cdef enum:
    CODES = 128

cdef int table[STATE_COUNT][CODES]


cdef int action_for(int state, int code) noexcept:
    """Return the Action for a message; codes outside the table are violations."""
    if code < 0 or code >= CODES or state < 0 or state >= STATE_COUNT:
        return ACTION_VIOLATION
    return table[state][code]


cdef int fill_table() except -1:
    cdef int state, code
    for state in range(<int> STATE_COUNT):
        for code in range(CODES):
            table[state][code] = ACTION_VIOLATION
        table[state][<int> ABORT] = ACTION_END
    table[<int> STATE_NEW][<int> HELLO] = ACTION_OPEN
    client_codes = (AUTHENTICATE, CALL, CANCEL, ERROR, GOODBYE, PUBLISH, REGISTER, SUBSCRIBE, UNREGISTER,
                    UNSUBSCRIBE, YIELD)
    for code in client_codes:
        table[<int> STATE_OPENING][code] = ACTION_WAIT
        table[<int> STATE_CLOSING][code] = ACTION_IGNORE
        table[<int> STATE_ENDED][code] = ACTION_IGNORE
    table[<int> STATE_OPENING][<int> AUTHENTICATE] = ACTION_AUTHENTICATE
    table[<int> STATE_OPEN][<int> CALL] = ACTION_CALL
    table[<int> STATE_OPEN][<int> SUBSCRIBE] = ACTION_IN_ORDER
    table[<int> STATE_OPEN][<int> UNSUBSCRIBE] = ACTION_IN_ORDER
    table[<int> STATE_OPEN][<int> GOODBYE] = ACTION_IN_ORDER
    table[<int> STATE_CLOSING][<int> GOODBYE] = ACTION_IN_ORDER
    table[<int> STATE_OPEN][<int> CANCEL] = ACTION_CANCEL
    table[<int> STATE_OPEN][<int> PUBLISH] = ACTION_PUBLISH
    for code in (ERROR, REGISTER, UNREGISTER, YIELD):
        table[<int> STATE_OPEN][code] = ACTION_REFUSE
    return 0


fill_table()

STATES = {
    'new': STATE_NEW,
    'opening': STATE_OPENING,
    'open': STATE_OPEN,
    'closing': STATE_CLOSING,
    'ended': STATE_ENDED,
}
ACTIONS = {
    'violation': ACTION_VIOLATION,
    'open': ACTION_OPEN,
    'end': ACTION_END,
    'authenticate': ACTION_AUTHENTICATE,
    'wait': ACTION_WAIT,
    'ignore': ACTION_IGNORE,
    'call': ACTION_CALL,
    'in order': ACTION_IN_ORDER,
    'cancel': ACTION_CANCEL,
    'publish': ACTION_PUBLISH,
    'refuse': ACTION_REFUSE,
}


def action(int state, int code):
    return action_for(state, code)
