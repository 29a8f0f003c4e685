from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import Context
from typing import Any

from ..base.steps import Steps
from ..wire.messages import MESSAGE_NAMES as MESSAGE_NAMES
from .topics import Subscription, TopicTable

class NoIdentity:
    """The type of NO_IDENTITY."""

NO_IDENTITY: NoIdentity
"""The identity of a session that has not been authenticated."""

class SessionCore:
    """What the core knows of a session; see serverwamp_fast.session.WAMPSession for the public face."""

    connection: Any
    realm: Any
    id: int
    identity: Any
    auth_id: str | None
    auth_methods: Sequence[str]
    app: Any
    context: Context | None
    lifespan_exits: Any
    receive_message: Callable[[], Awaitable[Any]] | None
    close_timer: Any

    def __init__(
        self, connection: Any, realm: Any, tasks: Any = None, auth_id: Any = None, auth_methods: Sequence[str] = ()
    ) -> None: ...
    @property
    def tasks(self) -> Any:
        """The session's AsyncTaskGroup; on the native server made for who asks, each time."""

    @tasks.setter
    def tasks(self, group: Any) -> None: ...
    @property
    def is_open(self) -> bool:
        """Whether WELCOME has been sent, no GOODBYE or ABORT since, and the client has not gone away.

        Setting it to False sends nothing: from then on everything from the client is ignored but its GOODBYE, which
        ends the session, while the server can still send; close() ends it without GOODBYE, abort() with ABORT. Setting
        it to True opens a session that waits for WELCOME, or that was set to False; one that has ended stays ended.
        """

    @is_open.setter
    def is_open(self, value: bool) -> None: ...

    def __getitem__(self, key: str, /) -> Any: ...
    def __setitem__(self, key: str, value: Any, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __bool__(self) -> bool: ...
    def subscribe(self, topic: str, match: str = 'exact') -> int:
        """Return the id of the session's subscription to the topic, a new one if need be."""

    def unsubscribe(self, number: int) -> None:
        """Forget a subscription. Raises NoSuchSubscription."""

    def subscription_exit(self, number: int) -> Any:
        """Return the handler whose teardown ends a subscription, or None."""

    def set_subscription_exit(self, number: int, handler: Any) -> None:
        """Keep the async iterator to run to its end when the subscription ends. Raises NoSuchSubscription."""

    @property
    def has_subscriptions(self) -> bool:
        """Whether the session is subscribed to anything."""

    def subscription_exits(self) -> list[Any]:
        """Return the handlers whose teardown ends the subscriptions, in the order of subscribing."""

    def release_subscriptions(self) -> None:
        """Forget all subscriptions."""

    def own_subscription_id(self, topic: str, match: str = 'exact') -> int | None:
        """Return the id of the session's subscription to the topic, or None."""

    def subscription_id_for_topic(self, topic: str) -> int | None:
        """Return the id of the session's subscription to the topic, or of the realm's, or None."""

    async def send_event(
        self,
        topic: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        trust_level: int | None = None,
    ) -> None:
        """Send an event to the client if it is subscribed to `topic` (WAMP BP, "Publishing"), and wait while it
        doesn't read. Raises ConnectionClosed, SerializationError.
        """

    async def send_raw(self, msg: Sequence[Any]) -> None:
        """Send a ready message, a sequence whose first element is the message code. Raises ConnectionClosed,
        SerializationError.
        """

    def start_posting(self) -> Any:
        """Take on what waits and return it, or None if there is nothing or somebody else is sending it.

        stop_posting() has to follow, with what was returned.
        """

    def next_posted(self) -> Any:
        """Return the event to send next, a payload (bytes) or a message, or None if there is none."""

    def note_unsent(self, error: Exception) -> bool:
        """What next_posted() has returned has no form; returns whether it was published, and the publisher is told."""

    def stop_posting(self, outbox: Any, keeps: bool = False) -> None:
        """Nobody sends any more what start_posting() returned; what still waits is dropped, or with `keeps` goes with
        the next event. No effect where that has been said before.
        """

    def hold_events(self, number: int, messages: Sequence[Any]) -> None:
        """Hold messages for a subscription, to be sent behind SUBSCRIBED and before all newer events."""

    def own_context(self) -> Context | None:
        """Return a new context for what is done for the session, whoever causes it, or None if it has none.

        That is a copy of what the session's ordered handlers have set, or else of its server's or connection's context.
        """

    def run_in_context(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function of the application that has no task to run in, and return what it returns.

        On the native server what it sets in context variables is there for the session's later calls.
        """

    @property
    def is_congested(self) -> bool:
        """Whether so many of the session's messages, or bytes, wait to be sent that reading has to stop."""

    def call_on_relief(self, callback: Callable[[], object]) -> None:
        """Call `callback` once when half of that is sent; at once if nothing waits to be sent."""

    def wait_for_posted(self) -> Awaitable[None] | None:
        """Return an awaitable that ends when what is in the outbox now has been sent, or never will be.

        None where the outbox is empty, or nothing can be waited for.
        """

    def take_held_events(self, number: int) -> Sequence[Any]:
        """Return the events held for a subscription so far; if there are none, none are held from now on."""

    def holds_events(self, number: int) -> bool:
        """Return whether events are held for a subscription."""

    def flush_output(self) -> None:
        """Write what was sent up to now, so that it is not in one write with what follows. On connections that are
        not the native server's each message is written by itself.
        """

    def mark_open(self) -> None:
        """WELCOME is out."""

    def mark_closing(self) -> None:
        """GOODBYE has been said by us, and the peer's is awaited."""

    def mark_ended(self) -> None:
        """Nothing can be sent any more."""

    def mark_gone(self, is_lost: bool = False) -> None:
        """The client leaves, and waits for no answers (WAMP BP, "Caller Leaving"): cancel the calls that end with that.

        With `is_lost` the connection has ended, so that the session is open no more.
        """

    def mark_welcomed(self) -> bool:
        """WELCOME is about to be sent; return whether it had been before."""

    @property
    def has_peer_left(self) -> bool:
        """Whether the peer has said GOODBYE."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing can be sent any more."""

    @property
    def is_closing(self) -> bool:
        """Whether we have said GOODBYE and wait for the peer's."""

    @property
    def was_welcomed(self) -> bool:
        """Whether WELCOME has been sent, or is being sent."""


class Answer(Steps):
    """An answer that is sent behind the events in its session's outbox. Made on its own, it sends nothing."""


class Sending(Steps):
    """What send_event() and send_raw() return: awaiting it sends. Made on its own, it sends nothing."""

def subscribe(topics: TopicTable, session: SessionCore, topic: str, match: str = 'exact') -> Subscription:
    """Enter a session among the subscribers of a topic, or of a pattern, in a table of its own making.

    Raises ValueError for an unknown matching policy.
    """
