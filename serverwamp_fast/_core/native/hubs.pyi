import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Self

class Hub:
    """What the connections of one server share: the loop, the read buffer, and who has output to write.

    - negotiate(head: bytes) -> (response: bytes, subprotocol: str | None): answers an HTTP request; with None the
      connection is closed after the response. A third element, (rest: bytes, start: int), is for requests that have
      much in common: `rest` is what they are without a part of their own, which belongs at `start`
    - open_timeout: seconds from the connection's start to an open session
    - close_timeout: seconds that a closing connection is given
    - max_size: the limit of one message in bytes, fragments included
    """

    def __new__(
        cls,
        loop: asyncio.AbstractEventLoop,
        negotiate: Callable[[bytes], tuple[Any, ...]],
        open_timeout: float,
        close_timeout: float,
        max_size: int,
    ) -> Self: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def context(self) -> Context:
        """A copy of the context in which the hub was made. What the hub gives to the loop runs in copies of it, and so
        do tasks that are given no context."""

    @property
    def connections(self) -> set[Any]:
        """The connections that are accepted and not closed yet."""

    @property
    def tasks(self) -> dict[asyncio.Task[Any], Any]:
        """The tasks that have not ended, each with the session that it belongs to, or None."""

    is_closing: bool
    """Whether the server is being closed: connections that are made now are ended with 1001."""

    @property
    def open_timeout(self) -> float: ...
    @property
    def close_timeout(self) -> float: ...
    @property
    def max_size(self) -> int: ...
    def wait_empty(self) -> asyncio.Future[None]:
        """Return a future that ends when there is no connection left."""

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in a copy of the hub's context, and return what it returns.

        For what gives something to the loop while the task of a user runs, whose context the loop would remember.
        """

    def spawn(
        self, coroutine: Coroutine[Any, Any, Any], context: Context | None = None, owner: Any = None
    ) -> asyncio.Task[Any]:
        """Run a coroutine in a task of its own; on Python 3.12+ its first step runs at once.

        It runs in the context that is given, or else in a copy of the hub's, not in that of the caller. `owner` is
        the session that the task belongs to, if any.
        """

    def cancel_tasks(self, owner: Any) -> None:
        """Cancel the tasks of one owner."""

    def start_turn(self) -> None:
        """Let connections that pipeline go on, as far as the budget of one turn of the loop goes."""

    def flush_dirty(self) -> None:
        """Write what connections have been given outside a read; the loop calls this once per turn."""
