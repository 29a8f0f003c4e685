from collections.abc import Callable, Coroutine
from typing import Any, Self, final

from ..base.steps import Steps
from ..session.sessions import SessionCore

class Intake:
    """The messages of one connection, in order.

    `connection` has `receive_payload()`, `decode_payload()` and `codec`, as a PayloadConnection does.
    """

    def __new__(cls, connection: Any) -> Self: ...
    @property
    def is_over(self) -> bool:
        """Whether the connection has no more payloads, and all messages have been taken."""
    def read_from(self, source: Callable[[], Any] | None) -> None:
        """Take payloads by awaiting source() from now on, or again from the connection itself."""
    def decode(self, payload: bytes | str) -> list[Any]:
        """Return the messages in a payload, without taking them. Raises WAMPMsgParseError."""
    def fetch(self) -> Fetching:
        """Return an awaitable that ends when there is a message to take(), or when no more will come.

        Awaiting it raises WAMPMsgParseError for a payload that holds none, and what the connection raises.
        """
    def take(self, default: Any) -> Any:
        """Return the next message that has come, or `default` if there is none."""
    def work_for(
        self,
        session: SessionCore,
        starter: tuple[Callable[[Coroutine[Any, Any, None]], Any], Callable[[Any], Callable[[], object] | None]] | None,
        budget: int,
    ) -> Working:
        """Return an awaitable that handles the messages of an open session until the driver has something to do.

        `starter` is what AsyncTaskGroup.eager_starter() returned; without it, calls too are left to the driver.
        `budget` is how many messages are handled at most, 1 or more. Awaiting it raises what receive() of the core's
        dispatch raises, beside what fetch() does.
        """

class Begun(Steps):
    """Work, an awaitable, that is begun before it is awaited."""

    def __new__(cls, work: Any) -> Self: ...
    def start(self) -> bool:
        """Run the first step; return whether that was all. Otherwise the rest has to be awaited, in the same task.

        Raises what the work raises.
        """

@final
class Fetching(Steps):
    """Waits until there is a message, or no more will come."""

    def __new__(cls, intake: Intake) -> Self: ...

@final
class Working(Steps):
    """Handles messages until there is something for the driver to do."""

    def __new__(cls, intake: Intake, session: SessionCore, starter: Any, budget: int) -> Self: ...
    @property
    def work(self) -> Any:
        """An InOrder to be run before the next message, a coroutine to be started as a task, or None."""
    @property
    def budget(self) -> int:
        """How many more messages may be handled; at 0 others should have a turn."""
