from collections.abc import Coroutine
from typing import Any

class Steps(Coroutine[Any, Any, None]):
    """A coroutine written by hand; asyncio, anyio and trio run it like any other. It can be awaited once."""

    def __await__(self) -> Any:
        """Return the coroutine itself, which is its own iterator."""

    def __iter__(self) -> Any: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any) -> Any:
        """Go on to the next thing that is awaited, and return what it yields to the loop.

        Raises StopIteration at the end, RuntimeError if it has ended before, ValueError from within itself.
        """

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Go on with an exception, an object or a class, as a coroutine's throw() does; see send()."""

    def close(self) -> None:
        """Throw GeneratorExit in, as for any coroutine. Raises RuntimeError if it goes on nevertheless."""

    # What debuggers, tracebacks and asyncio's repr look for on a coroutine.

    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    @property
    def cr_await(self) -> Any:
        """What is awaited now, or None."""

    @property
    def cr_running(self) -> bool: ...
    @property
    def cr_suspended(self) -> bool: ...
    @property
    def cr_frame(self) -> Any: ...
    @property
    def cr_code(self) -> Any: ...
