class TopicTable:
    """A realm's map from (topic, match policy) to subscription id, with a count of subscribers."""

    def acquire(self, topic: str, match: str = 'exact') -> int:
        """Return the topic's id, 1..2**32-1, and count one more subscriber."""

    def release(self, number: int) -> None:
        """Count one subscriber less. The last one takes the id with it; an unknown id is ignored."""

    def peek(self, topic: str, match: str = 'exact') -> int | None:
        """Return the topic's id, or None if nobody is subscribed to it."""

    def __len__(self) -> int: ...
