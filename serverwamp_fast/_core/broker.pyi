from collections.abc import Awaitable
from typing import Any

from .publications import Publication
from .retained import RetainedEvents
from .sessions import SessionCore
from .topics import TopicTable

class BrokerCore:
    """What the core knows of a realm's broker; see serverwamp_fast.publishing.Broker."""

    discloses_publishers: bool

    def __init__(self, topics: TopicTable, retained_limit: int) -> None: ...
    @property
    def topics(self) -> TopicTable: ...
    @property
    def retained(self) -> RetainedEvents: ...
    def decide(self, session: SessionCore, message: Any, refusal: str | None) -> Awaitable[Any] | None:
        """Go on with a PUBLISH when the rules have been asked; returns None or an awaitable.

        `refusal` is the URI of the error to answer with, or None to publish.
        """

    def send(self, publication: Publication, is_retained: bool) -> tuple[list[Any], Exception | None]:
        """Publish for the server; returns the sessions whose outbox has to be emptied, and the first
        SerializationError or None.
        """

    def find_retained(self, session: SessionCore, number: int) -> list[Any]:
        """Return the EVENTs that a new subscriber gets, as messages."""
