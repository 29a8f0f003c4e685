"""A realm: the routes, authenticators and handlers that its sessions share (WAMP BP, "Realms")."""

from __future__ import annotations

import warnings
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableSequence,
    Sequence,
)
from typing import Any

from ._core.dispatch import Dispatch
from ._core.topics import TopicTable
from .auth import CRAAuthRequirement
from .events import TOPIC_ROUTES, SubscriptionHandler, TopicsRouter
from .publishing import AllowRule, Broker
from .routing import bind_handler
from .rpc import RPCHandler, RPCRouter
from .session import WAMPSession

CoreAuthenticator = Callable[[WAMPSession], Awaitable[None]]
TransportAuthenticator = Callable[[WAMPSession], Awaitable[Any]]
TicketAuthenticator = Callable[[WAMPSession, str], Awaitable[Any]]
CRARequirementProvider = Callable[[WAMPSession], Awaitable[CRAAuthRequirement]]
CRAIdentityProvider = Callable[[WAMPSession], Awaitable[Any]]
# Takes any of the session and the default args, by parameter name.
SessionLifespanHandler = Callable[..., AsyncIterator[None]]


def warn_of_old_name(old: str, new: str) -> None:
    """Say that a name is kept for old code only, to the caller's caller."""
    warnings.warn(f'{old} is deprecated; use {new} instead.', DeprecationWarning, stacklevel=3)


class Realm:
    """What an application does for the sessions of one realm.

    `uri` is the realm's name, None for the default realm of an application.
    """

    def __init__(self, uri: str | None = None) -> None:
        self.uri = uri
        self.topics = TopicTable()
        self.broker = Broker(self.topics)
        self.authenticate_session: CoreAuthenticator = self.default_auth_handler
        self.authed_session_lifespan_handlers: MutableSequence[SessionLifespanHandler] = []
        self.session_lifespan_handlers: MutableSequence[SessionLifespanHandler] = []
        self._rpc_router = RPCRouter()
        self._topic_router = TopicsRouter()
        self.handle_rpc_call: RPCHandler = self._rpc_router.handle_rpc_call
        self.handle_subscription: SubscriptionHandler = self._topic_router.handle_subscription
        self._default_arg_factories: dict[str, Callable[[], Any]] = {}
        self._authenticate_ticket: TicketAuthenticator | None = None
        self._transport_authenticators: list[TransportAuthenticator] = []
        self._get_cra_requirement: CRARequirementProvider | None = None
        self._identify_cra_session: CRAIdentityProvider | None = None
        # How an application handles the requests of its sessions, and what that was worked out from.
        self._dispatch: tuple[Any, Dispatch] | None = None

    # Routes and arguments

    def add_rpc_routes(self, routes: Iterable[Any]) -> None:
        """Add the procedures of an RPCRouteSet."""
        self._rpc_router.add_routes(routes)

    def add_topic_routes(self, routes: Iterable[Any]) -> None:
        """Add the subscription handlers of a TopicRouteSet."""
        self._topic_router.add_routes(routes)

    def add_routes(self, routes: Iterable[Any]) -> None:
        """Add routes of either kind: the definitions know what they are."""
        for route in routes:
            route.register(self._topic_router if isinstance(route, TOPIC_ROUTES) else self._rpc_router)

    add_topics = add_topic_routes

    def set_default_arg(self, arg_name: str, value: Any = None, factory: Callable[[], Any] | None = None) -> None:
        """Provide the parameters of a name, of all handlers of the realm: with `value`, or with what `factory()`
        returns each time. Callers can't give such a parameter another value.
        """
        self._rpc_router.set_default_arg(arg_name, value, factory)
        self._topic_router.set_default_arg(arg_name, value, factory)
        self._default_arg_factories[arg_name] = (lambda: value) if factory is None else factory

    add_default_arg = set_default_arg

    def set_rpc_handler(self, handler: RPCHandler) -> None:
        """Handle all calls with one function instead of the routes."""
        self.handle_rpc_call = handler

    def set_subscription_handler(self, handler: SubscriptionHandler) -> None:
        """Handle all subscriptions with one asynchronous generator function instead of the routes."""
        self.handle_subscription = handler

    # Publishing

    async def publish(
        self,
        topic: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        retain: bool = False,
        trust_level: int | None = None,
        exclude: Iterable[int] | None = None,
        exclude_authid: Iterable[str] | None = None,
        exclude_authrole: Iterable[str] | None = None,
        eligible: Iterable[int] | None = None,
        eligible_authid: Iterable[str] | None = None,
        eligible_authrole: Iterable[str] | None = None,
    ) -> int:
        """Publish an event to every session of the realm that is subscribed to `topic`, by its name or by a pattern
        (WAMP BP, "Publishing and Events"); return the publication's id.

        - retain: keep it for those who subscribe later and ask for it (WAMP AP, "Event Retention")
        - exclude, eligible: ids of sessions that don't get it, and of those that alone may; likewise by what WELCOME
          told them as authid and authrole (WAMP AP, "Subscriber Black- and Whitelisting")
        - trust_level: goes with the event as `trustlevel`

        It doesn't wait for receivers: one that reads slowly has its events kept in memory, and holds up nobody.
        Raises ValueError if `topic` is none, TypeError for receivers of the wrong type, and SerializationError, once
        and after all others have been served, for a payload that some receiver's serializer has no form for.
        """
        receivers = {
            'exclude': exclude, 'exclude_authid': exclude_authid, 'exclude_authrole': exclude_authrole,
            'eligible': eligible, 'eligible_authid': eligible_authid, 'eligible_authrole': eligible_authrole,
        }  # fmt: skip
        return await self.broker.publish(topic, args, kwargs, retain, trust_level, receivers)

    def allow_publish(self, topic: str, match: str = 'exact', rule: AllowRule | None = None) -> None:
        """Let clients publish to `topic`, or with `match` 'prefix' or 'wildcard' to all topics of a pattern.

        Without a rule they all may. A rule is a function, a coroutine function too, that returns whether this client
        may; it takes any of `session`, `topic`, `options`, `args` and `kwargs` by name. Raises ValueError or TypeError
        for what is no topic, policy or rule.
        """
        self.broker.publishing.add(topic, match, rule)

    def allow_subscribe(self, topic: str, match: str = 'exact', rule: AllowRule | None = None) -> None:
        """Let clients subscribe to `topic`, or with `match` 'prefix' or 'wildcard' to all topics of a pattern, and to
        narrower patterns. Topics that a route has a handler for are the handler's business.

        A rule is as for allow_publish(); it takes any of `session`, `topic` and `match`. Without a parameter `match`
        it is only asked for single topics, and patterns are refused. Raises ValueError or TypeError.
        """
        self.broker.subscribing.add(topic, match, rule)

    def allow_publisher_disclosure(self, allowed: bool = True) -> None:
        """Let clients who publish have their session id, authid and authrole told to the receivers, if they ask for
        it by `disclose_me` (WAMP AP, "Publisher Identification").
        """
        self.broker.discloses_publishers = allowed

    def set_retained_limit(self, topics: int) -> None:
        """Set for how many topics an event is retained, 1000 by default. Further ones have none; 0 retains nothing
        more.
        """
        self.broker.retained.limit = topics

    def forget_retained(self, topic: str) -> bool:
        """Forget the retained event of a topic; return whether there was one."""
        return self.broker.retained.forget(topic)

    # Sessions

    def add_session_lifespan_handler(
        self, handler: SessionLifespanHandler, authenticated_only: bool = True
    ) -> None:
        """Run an asynchronous generator function over each session's life.

        It runs to its yield when the session starts (with `authenticated_only`: when it has been authenticated),
        and the rest runs when the session ends.
        """
        if authenticated_only:
            self.authed_session_lifespan_handlers.append(handler)
        else:
            self.session_lifespan_handlers.append(handler)

    def add_session_state_handler(
        self, handler: SessionLifespanHandler, authenticated_only: bool = True
    ) -> None:
        """The old name of add_session_lifespan_handler()."""
        warn_of_old_name('add_session_state_handler()', 'add_session_lifespan_handler()')
        self.add_session_lifespan_handler(handler, authenticated_only)

    @property
    def authed_session_state_handlers(self) -> MutableSequence[SessionLifespanHandler]:
        """The old name of authed_session_lifespan_handlers."""
        warn_of_old_name('authed_session_state_handlers', 'authed_session_lifespan_handlers')
        return self.authed_session_lifespan_handlers

    @property
    def session_state_handlers(self) -> MutableSequence[SessionLifespanHandler]:
        """The old name of session_lifespan_handlers."""
        warn_of_old_name('session_state_handlers', 'session_lifespan_handlers')
        return self.session_lifespan_handlers

    def _args_for_realm_level_handler(
        self, handler: Callable[..., Any], **special_params: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments for a handler of the realm, as (positional, keyword). Raises TypeError."""
        return bind_handler(handler, special_params, self._default_arg_factories)

    # Authentication

    def set_authentication_handler(self, handler: Callable[[WAMPSession], Awaitable[Any]]) -> None:
        """Decide about each new session with one function: it awaits session.mark_authenticated() or
        session.abort().
        """
        self.authenticate_session = handler

    def add_transport_authenticator(self, transport_authenticator: TransportAuthenticator) -> None:
        """Add a function that identifies a client by its connection: session.connection.transport_info.

        It returns the identity, or something false to leave the decision to the next authenticator.
        """
        if transport_authenticator not in self._transport_authenticators:
            self._transport_authenticators.append(transport_authenticator)

    def set_ticket_authenticator(self, authenticator: TicketAuthenticator) -> None:
        """Set the function that identifies a client by its ticket (WAMP AP, "Ticket-based Authentication")."""
        self._authenticate_ticket = authenticator

    def set_cra_handlers(
        self, requirement_provider: CRARequirementProvider, identity_provider: CRAIdentityProvider
    ) -> None:
        """Set the functions that return a client's secret, and its identity once it has shown to know it (WAMP
        AP, "Challenge Response Authentication").
        """
        self._get_cra_requirement = requirement_provider
        self._identify_cra_session = identity_provider

    @property
    def lets_everyone_in(self) -> bool:
        """Whether sessions are opened without asking anything or anybody."""
        handler = self.authenticate_session
        return (
            getattr(handler, '__func__', None) is Realm.default_auth_handler
            # It could be that of another realm, which has its own authenticators.
            and getattr(handler, '__self__', None) is self
            and not self._has_authenticators
        )

    @property
    def _has_authenticators(self) -> bool:
        return bool(
            self._transport_authenticators or self._authenticate_ticket or self._get_cra_requirement
        )

    async def default_auth_handler(self, session: WAMPSession) -> None:
        """Try the realm's authenticators: each one of the transport. Without any, everyone is let in."""
        if not self._has_authenticators:
            await session.mark_authenticated(None)
            return
        for authenticate in self._transport_authenticators:
            identity = await authenticate(session)
            if identity:
                session.auth_method = session.auth_method or 'transport'
                await session.mark_authenticated(identity)
                return
        await session.abort('wamp.error.authentication_failed', 'Authentication failed.')
