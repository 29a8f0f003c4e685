cdef enum State:
    STATE_NEW = 0          # no session yet
    STATE_OPENING = 1      # HELLO came, WELCOME has not been sent
    STATE_OPEN = 2
    STATE_CLOSING = 3      # we said GOODBYE
    STATE_ENDED = 4
    STATE_COUNT = 5

cdef enum Action:
    ACTION_VIOLATION = 0
    ACTION_OPEN = 1
    ACTION_END = 2
    ACTION_AUTHENTICATE = 3
    ACTION_WAIT = 4
    ACTION_IGNORE = 5
    ACTION_CALL = 6
    ACTION_IN_ORDER = 7    # handled to its end before the next message is looked at
    ACTION_CANCEL = 8
    ACTION_REFUSE = 9
    ACTION_PUBLISH = 10

cdef int action_for(int state, int code) noexcept
