from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self

from ..dealer.calls import CallRules
from ..session.sessions import SessionCore

class InOrder:
    """Work, an awaitable, that must end before the session's next message is looked at."""

    def __new__(cls, work: Any) -> Self: ...
    @property
    def work(self) -> Any: ...

class Dispatch:
    """How an application handles the requests of a realm's sessions; looked up once per session.

    - call_rules: a CallRules, or None where calls go through `delegate`, because something was overridden
    - delegate(session, message) -> a coroutine that handles one request of a type in `delegated`
    - delegated: the message codes that have a handler
    - synchronize: whether every request is handled to its end before the next
    - support: the AsyncSupport, for the timers of calls; without one, their timeouts are not kept
    - open_inputs(args, kwargs) -> what takes the later CALLs of a progressive call, see RPCInputs; without it, they
      are calls like others
    - strict_uris: whether URIs are held to the strict rules, messages to their number of elements, and callers to the
      features that they announced
    - strict_ids: whether request ids have to be in sequence
    - cancels_calls: whether all calls are cancelled when their client leaves, and not only async generators
    """

    def __init__(
        self,
        call_rules: CallRules | None,
        delegate: Callable[[Any, Any], Coroutine[Any, Any, None]],
        delegated: Iterable[int],
        synchronize: bool,
        support: Any = None,
        open_inputs: Callable[[Any, Any], Any] | None = None,
        *,
        strict_uris: bool = False,
        strict_ids: bool = False,
        cancels_calls: bool = False,
    ) -> None: ...
    @property
    def cancels_calls(self) -> bool: ...
    @property
    def support(self) -> Any: ...

def receive(session: SessionCore, message: Any) -> InOrder | Coroutine[Any, Any, None] | None:
    """Take one message of a session: return the work that it asks for.

    None: all is done. A coroutine: to be started as a task. An InOrder: to be awaited before the next message.
    Raises WAMPMsgParseError where the peer is to be answered with ABORT `wamp.error.protocol_violation`, and
    PeerAbortedError.
    """

def attach(session: SessionCore, app: Any, dispatch: Dispatch) -> None:
    """Say how the session's requests are handled, before its first message."""
