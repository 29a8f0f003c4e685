from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, Self, type_check_only

from ..base.steps import Steps
from ..session.sessions import SessionCore
from .routes import RouteTable

@type_check_only
class _MakeRequest(Protocol):
    def __call__(
        self,
        id: Any,
        session: Any,
        uri: Any,
        args: Any,
        kwargs: Any,
        options: Any,
        inputs: Any = None,
        /,
    ) -> Any: ...

class CallRules:
    """How the calls of a realm are answered: its routes, its default args, and the public layer's functions.

    - make_request(id, session, uri, args, kwargs, options[, inputs]) -> RPCRequest, for procedures that ask for one;
      `inputs` are what Dispatch's open_inputs() returned for a progressive call
    - interpret(value) -> an RPCResult or RPCErrorResult for a value that a procedure returned
    - stream(call, iterator) -> a coroutine that sends the progress and the end of an async iterator; what it
      returns is the answer where it has not sent one
    - handler(request): called in place of the routes' procedures; what it returns or yields are results, not
      plain values
    - convert_names(kwargs) -> the keyword arguments that a procedure gets
    """

    def __new__(
        cls,
        routes: RouteTable,
        factories: dict[str, Callable[[], Any]],
        make_request: _MakeRequest,
        interpret: Callable[[Any], Any],
        stream: Callable[..., Awaitable[Any]],
        *,
        handler: Callable[[Any], Any] | None = None,
        convert_names: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None,
    ) -> Self: ...

class Call(Steps):
    """A CALL being answered: a coroutine that ends when RESULT or ERROR is out (WAMP BP, "Calling")."""

    @property
    def procedure_uri(self) -> str:
        """The URI that was called."""

    @property
    def caller(self) -> str:
        """What the log calls the caller."""

    @property
    def wants_progress(self) -> bool:
        """Whether the caller asked for progressive results (WAMP AP, "Progressive Call Results")."""

    @property
    def is_orphaned(self) -> bool:
        """Whether the caller's session is over, so that nothing can be sent to it any more."""

    @property
    def has_timeout(self) -> bool:
        """Whether the caller set a timeout (WAMP AP, "Call Timeouts")."""

    def expire(self) -> Awaitable[None]:
        """Return an awaitable that ends the call because of its timeout.

        Where a progress report has left in time, it ends nothing: the time is counted from the last report.
        """

    def caller_left(self) -> None:
        """Say that the session is over."""

    def caller_leaves(self) -> None:
        """Say that the caller sends nothing more and waits for no answer, but that not all it sent has been looked at.

        Cancels the procedure if it is an async generator, or if the application wants that for all.
        """

    def note_procedure(self, is_stream: bool) -> None:
        """Say whether an async generator answers the call. Of no effect after pass_on()."""

    def pass_on(self, is_stream: bool) -> None:
        """Say that the router answers the call, and whether by an async generator."""

    def let_clean_up(self) -> None:
        """Say that the procedure, an async generator, cleans up because its caller has left.

        Nothing is sent any more, and the cleanup is not cancelled by what comes of the caller.
        """

    def drops(self, is_final: bool) -> bool:
        """Whether a RESULT or ERROR that is sent for this call by other means must not leave."""

    def answer(self, value: Any) -> Awaitable[None] | None:
        """Send what the procedure ended with as RESULT or ERROR: None when it is on its way, else an awaitable."""

    def report(self, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> Awaitable[None] | None:
        """Send a progress report: None when it is on its way, else an awaitable that sends it.

        Raises ConnectionClosed, and SerializationError where the report has no form on the wire.
        """

class OwnCall(Call):
    """A CALL that is handled by a function of the application, which answers as it likes."""

class Expiry(Steps):
    """The end of a call whose time is up. `sentence` says why, to the caller; without it, its own timeout."""

    def __new__(cls, call: Call, sentence: str | None = None) -> Self: ...

class RoomWait(Steps):
    """The wait for a procedure to take inputs of its call; ends the call if it takes none for too long.

    `room` is the awaitable that RPCInputs.put() returned. Raises TypeError for a call that is none of a session.
    """

    def __new__(cls, call: Call, room: Awaitable[None]) -> Self: ...
    def give_up(self) -> Awaitable[None]:
        """Return an awaitable that ends the call."""

def hold(work: Any, cancel: Callable[[], None] | None) -> None:
    """Say how the task of a call is cancelled that runs on after its first step; None if nobody can.

    For other work, and for calls that are finished, it does nothing.
    """

def answer_call(session: SessionCore, rules: CallRules, message: Sequence[Any]) -> Call:
    """Return the Call that answers a CALL message, which has been checked."""
