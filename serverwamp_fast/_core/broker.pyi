from collections.abc import Awaitable
from typing import Any

from .publications import Publication
from .retained import RetainedEvents
from .sessions import SessionCore
from .topics import TopicTable

class BrokerCore:
    """What the core knows of a realm's broker. A subclass adds three methods; see serverwamp_fast.publishing.Broker.

    - `find_publish_refusal(session, message)`: return URI and sentence of the ERROR that answers a PUBLISH, None if it
      may be published, or an awaitable of either
    - `decide_later(session, message, awaitable)`: return a coroutine that awaits that and goes on with decide()
    - `finish(sessions, publisher, answer)`: return a coroutine that empties the sessions' outboxes, and then gives the
      answer to acknowledge(), unless it is None

    `discloses_publishers` says whether clients may have their session id, authid and authrole told to the receivers.
    """

    discloses_publishers: bool

    def __init__(self, topics: TopicTable, retained_limit: int) -> None: ...
    @property
    def topics(self) -> TopicTable:
        """Who is subscribed in the realm."""

    @property
    def retained(self) -> RetainedEvents:
        """The events that are kept for those who subscribe later."""

    def decide(
        self, session: SessionCore, message: Any, refusal: tuple[str, str] | None
    ) -> Awaitable[Any] | None:
        """Go on with a PUBLISH when the rules have been asked; returns None or an awaitable.

        `refusal` is the URI of the error to answer with, and a sentence that says why; or None to publish.
        """

    def acknowledge(self, publisher: SessionCore, answer: Any) -> Awaitable[Any] | None:
        """Send the publisher its PUBLISHED; returns None or an awaitable. Raises ConnectionClosed."""

    def send(self, publication: Publication, is_retained: bool) -> tuple[list[Any], Exception | None]:
        """Publish for the server; returns the sessions whose outbox has to be emptied, and the first
        SerializationError or None.
        """

    def find_retained(self, session: SessionCore, number: int) -> list[Any]:
        """Return the EVENTs that a new subscriber gets, as messages."""
