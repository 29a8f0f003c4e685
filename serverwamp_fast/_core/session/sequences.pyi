class RequestSequence:
    """Where a session's client is in its sequence of request ids (WAMP BP, "IDs"). `last` is the latest one."""

    def __init__(self, last: int = 0) -> None: ...
    def note(self, code: int, number: int, progressive: bool = False) -> bool:
        """Note the request id of a message of this code, a CALL that is or isn't progressive; return whether it is that
        of a progressive call before. Messages without one of their own, such as CANCEL, don't count.

        Raises WAMPMsgParseError if it is not the next one, nor that of a progressive call.
        """
