class RetainedEvents:
    """The retained events of a realm, of at most `limit` topics (WAMP AP, "Event Retention").

    `limit` may be set anew; what is retained then stays. Raises OverflowError for a negative number.
    """

    limit: int

    def __init__(self, limit: int) -> None: ...
    def forget(self, topic: str) -> bool:
        """Forget what is retained for a topic; return whether there was anything."""

    def __len__(self) -> int: ...
