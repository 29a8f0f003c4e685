from typing import Any, Self

class Topic:
    """What sessions subscribe to: a topic, or a pattern of topics."""

    def __new__(cls, uri: str, match: str, number: int) -> Self: ...
    @property
    def uri(self) -> str:
        """The topic, or the text of the pattern."""

    @property
    def match(self) -> str:
        """`exact`, `prefix` or `wildcard`."""

    @property
    def number(self) -> int:
        """The id that all subscribers share, 1..2**32-1."""


class Subscription:
    """One subscription of one session."""

    def __new__(cls, session: Any, topic: Topic) -> Self: ...
    @property
    def topic(self) -> Topic:
        """What the session has subscribed to."""


class TopicTable:
    """A realm's subscriptions, by topic and match policy: `exact`, `prefix` or `wildcard`."""

    def unsubscribe(self, subscription: Subscription) -> None:
        """Take a subscription out. The last one takes the topic's id with it; once more has no effect."""

    def peek(self, topic: str, match: str = 'exact') -> int | None:
        """Return the topic's id, or None if nobody is subscribed to it."""

    def matching(self, uri: str) -> list[int]:
        """Return the ids of all subscriptions that a publication to `uri` is for."""

    def __len__(self) -> int: ...
