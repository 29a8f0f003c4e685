from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from .routes import RouteTable
from .steps import Steps

class CallRules:
    """How the calls of a realm are answered: its routes, its default args, and the public layer's functions.

    - make_request(id, session, uri, args, kwargs, options) -> RPCRequest, for procedures that ask for one
    - interpret(value) -> an RPCResult or RPCErrorResult for a value that a procedure returned
    - stream(call, iterator) -> a coroutine that sends the progress and the end of an async iterator; what it
      returns is the answer where it has not sent one
    """

    def __init__(
        self,
        routes: RouteTable,
        factories: dict[str, Callable[[], Any]],
        make_request: Callable[..., Any],
        interpret: Callable[[Any], Any],
        stream: Callable[..., Awaitable[Any]],
    ) -> None: ...

class Call(Steps):
    """A CALL being answered: a coroutine that ends when RESULT or ERROR is out (WAMP BP, "Calling")."""

    @property
    def procedure_uri(self) -> str: ...
    @property
    def wants_progress(self) -> bool:
        """Whether the caller asked for progressive results (WAMP AP, "Progressive Call Results")."""

    def answer(self, value: Any) -> Awaitable[None] | None:
        """Send what the procedure ended with as RESULT or ERROR: None when it is on its way, else an awaitable."""

    def report(self, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> Awaitable[None] | None:
        """Send a progress report: None when it is on its way, else an awaitable that sends it.

        Raises ConnectionClosed, and SerializationError where the report has no form on the wire.
        """
