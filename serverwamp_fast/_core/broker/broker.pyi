from collections.abc import Awaitable
from typing import Any

from ..session.sessions import SessionCore
from ..session.topics import TopicTable
from .publications import Publication
from .retained import RetainedEvents

class BrokerCore:
    """What the core knows of a realm's broker. A subclass adds three methods; see serverwamp_fast.publishing.Broker.

    - `find_publish_refusal(session, message)`: return URI and sentence of the ERROR that answers a PUBLISH, None if it
      may be published, or an awaitable of either
    - `decide_later(session, message, awaitable)`: return a coroutine that awaits that and goes on with decide()
    - `finish(sessions, publisher, message, publication)`: return a coroutine that empties the sessions' outboxes, and
      then calls conclude()

    `discloses_publishers` says whether clients may have their session id, authid and authrole told to the receivers.
    """

    discloses_publishers: bool

    def __init__(self, topics: TopicTable, retained_limit: int) -> None: ...
    @property
    def topics(self) -> TopicTable:
        """Who is subscribed in the realm."""

    @property
    def incomplete(self) -> int:
        """How many publications did not reach every subscriber, as the serializer of some has no form for a value."""

    @property
    def retained(self) -> RetainedEvents:
        """The events that are kept for those who subscribe later."""

    def decide(
        self, session: SessionCore, message: Any, refusal: tuple[str, str] | None
    ) -> Awaitable[Any] | None:
        """Go on with a PUBLISH when the rules have been asked; returns None or an awaitable.

        `refusal` is the URI of the error to answer with, and a sentence that says why; or None to publish.
        """

    def conclude(self, publisher: SessionCore, message: Any, publication: Publication) -> Awaitable[Any] | None:
        """Answer a PUBLISH after its delivery; returns None or an awaitable. Raises ConnectionClosed.

        The answer is PUBLISHED, or ERROR `wamp.error.invalid_argument` where some subscriber's serializer has no form
        for a value. Without `acknowledge` that is counted and logged.
        """

    def note_incomplete(self, publication: Publication) -> None:
        """Count and log, once, what some subscriber could not be sent when it was too late to tell the publisher."""

    def send(self, publication: Publication, is_retained: bool) -> list[Any]:
        """Publish for the server; returns the sessions whose outbox has to be emptied, before conclude_own()."""

    def conclude_own(self, publication: Publication) -> None:
        """Raise the first SerializationError of what the server has published, if there is one."""

    def find_retained(self, session: SessionCore, number: int) -> list[Any]:
        """Return the EVENTs that a new subscriber gets, as messages."""

    def note_unsent(self, event: Any, error: Exception) -> bool:
        """Count and log, once, that an EVENT of find_retained() has no form; returns whether it is one of those."""
