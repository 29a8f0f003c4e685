"""A realm: the routes, authenticators and handlers that its sessions share (WAMP BP, "Realms")."""

from __future__ import annotations

import logging
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
from secrets import token_bytes
from typing import Any

from ._core.dialogue.dispatch import Dispatch
from ._core.session.topics import TopicTable
from .auth import CRAAuthRequirement, SCRAMCredential
from .auth.cryptosign import require_cryptography
from .authentication import (
    CRA,
    SCRAM,
    AuthenticationMethod,
    CRAIdentityProvider,
    CRARequirementProvider,
    Cryptosign,
    CryptosignAuthenticator,
    SCRAMCredentialProvider,
    SCRAMIdentityProvider,
    Ticket,
    TicketAuthenticator,
    name_of,
)
from .clients import session_name
from .events import TOPIC_ROUTES, SubscriptionHandler, TopicsRouter
from .mistakes import require_generator, warn_of_plain
from .protocol import AuthenticationFailure
from .publishing import AllowRule, Broker
from .routing import bind_handler, register, require_function
from .rpc import RPCHandler, RPCRouter
from .session import WAMPSession

logger = logging.getLogger(__name__)

CoreAuthenticator = Callable[[WAMPSession], Awaitable[None]]
TransportAuthenticator = Callable[[WAMPSession], Awaitable[Any]]
REFUSAL = 'Authentication failed.'
# Takes any of the session and the default args, by parameter name.
SessionLifespanHandler = Callable[..., AsyncIterator[None]]


def warn_of_old_name(old: str, new: str) -> None:
    """Say that a name is kept for old code only, to the caller's caller."""
    warnings.warn(f'{old} is deprecated; use {new} instead.', DeprecationWarning, stacklevel=3)


class Realm:
    """What an application does for the sessions of one realm.

    `uri` is the realm's name, None for the default realm of an application. `mock_key` (bytes) is what the salts
    are made of that unknown users are told; set it to a secret of your own where they have to be the same in
    several processes, or after a restart.
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
        self._transport_authenticators: list[TransportAuthenticator] = []
        self._authentication_methods: dict[str, AuthenticationMethod] = {}
        self.mock_key = token_bytes(32)
        self._warned_methods: set[str] = set()
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
            register(route, self._topic_router if isinstance(route, TOPIC_ROUTES) else self._rpc_router)

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
        require_function(handler, 'set_rpc_handler()')
        self.handle_rpc_call = handler

    def set_subscription_handler(self, handler: SubscriptionHandler) -> None:
        """Handle all subscriptions with one asynchronous generator function instead of the routes."""
        require_function(handler, 'set_subscription_handler()')
        require_generator(handler, 'subscription')
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

        - args, kwargs: the event's payload, a sequence or other iterable of values and a mapping; both are read once
        - retain: keep it for those who subscribe later and ask for it (WAMP AP, "Event Retention")
        - exclude, eligible: ids of sessions that don't get it, and of those that alone may; likewise by what WELCOME
          told them as authid and authrole (WAMP AP, "Subscriber Black- and Whitelisting")
        - trust_level: goes with the event as `trustlevel`

        It doesn't wait for receivers: one that reads slowly has its events kept in memory, and holds up nobody.
        Raises ValueError for a str that is no topic, TypeError for what is no str and for receivers of the wrong type,
        and SerializationError: at once for `args` and `kwargs` that are no payload, otherwise, once and after all
        others have been served, for values that some receiver's serializer has no form for.
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
        """Set for how many topics events are retained, 1000 by default. Further ones have none; 0 retains nothing
        more. Raises ValueError for a negative number.
        """
        if topics < 0:
            raise ValueError(f'There can not be {topics} topics.')
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
        require_function(handler, 'add_session_lifespan_handler()')
        require_generator(handler, 'session')
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
        require_function(handler, 'set_authentication_handler()')
        warn_of_plain(handler, 'authentication handler')
        self.authenticate_session = handler

    def add_transport_authenticator(self, transport_authenticator: TransportAuthenticator) -> None:
        """Add a function that identifies a client by its connection: session.connection.transport_info.

        It returns the identity or an AuthenticatedAs, or something false to leave the decision to the next
        authenticator, and in the end to the methods that follow.
        """
        require_function(transport_authenticator, 'add_transport_authenticator()')
        warn_of_plain(transport_authenticator, 'transport authenticator')
        if transport_authenticator not in self._transport_authenticators:
            self._transport_authenticators.append(transport_authenticator)

    def set_ticket_authenticator(self, authenticator: TicketAuthenticator) -> None:
        """Set the function (session, ticket) that identifies a client by its ticket (WAMP AP, "Ticket-based
        Authentication").

        It has to make sure that the ticket is that of session.auth_id. It returns the identity or an
        AuthenticatedAs, something false if it is the wrong ticket.
        """
        require_function(authenticator, 'set_ticket_authenticator()')
        warn_of_plain(authenticator, 'ticket authenticator')
        self._authentication_methods['ticket'] = Ticket(authenticator)

    def set_cra_handlers(
        self,
        requirement_provider: CRARequirementProvider,
        identity_provider: CRAIdentityProvider,
        *,
        mock: CRAAuthRequirement | None = None,
    ) -> None:
        """Set the functions (session) that return a client's secret, and its identity once it has shown to know it
        (WAMP AP, "Challenge Response Authentication").

        The first one returns the CRAAuthRequirement of the user session.auth_id, or None if there is no such user;
        it may also raise protocol.AuthenticationFailure. The second one returns the identity or an
        AuthenticatedAs, something false to refuse the client all the same.

        A user that doesn't exist is challenged as one with the requirement `mock` would be, but for the salt and the
        secret: these are made up. Without `mock`, it is as with the first user that did exist, so that until then
        strangers can find out who doesn't.
        """
        require_function(requirement_provider, 'set_cra_handlers()')
        require_function(identity_provider, 'set_cra_handlers()')
        warn_of_plain(requirement_provider, 'requirement provider')
        warn_of_plain(identity_provider, 'identity provider')
        if mock is None:
            self._warn_of_missing_mock('set_cra_handlers()')
        self._authentication_methods['wampcra'] = CRA(requirement_provider, identity_provider, mock)

    def set_cryptosign_authenticator(self, authenticator: CryptosignAuthenticator) -> None:
        """Set the function (session, public_key) that identifies a client by its Ed25519 key (WAMP AP,
        "Cryptosign-based Authentication").

        `public_key` is the client's in 64 hexadecimal digits; the client has shown that it holds the private one.
        The function returns the identity or an AuthenticatedAs, something false if it doesn't know the key.
        Raises ImportError if the package cryptography is not installed.
        """
        require_cryptography()
        require_function(authenticator, 'set_cryptosign_authenticator()')
        warn_of_plain(authenticator, 'cryptosign authenticator')
        self._authentication_methods['cryptosign'] = Cryptosign(authenticator)

    def set_scram_handlers(
        self,
        credential_provider: SCRAMCredentialProvider,
        identity_provider: SCRAMIdentityProvider,
        *,
        mock: SCRAMCredential | None = None,
    ) -> None:
        """Set the functions (session) that return what is kept of a client's password, and its identity once it has
        shown to know it (WAMP AP, "Salted Challenge Response Authentication").

        The first one returns the SCRAMCredential of the user session.auth_id, or None if there is no such user;
        it may also raise protocol.AuthenticationFailure. The second one returns the identity or an
        AuthenticatedAs, something false to refuse the client all the same.

        A user that doesn't exist is challenged as one with the credential `mock` would be, but for the salt and the
        keys, as with set_cra_handlers().
        """
        require_function(credential_provider, 'set_scram_handlers()')
        require_function(identity_provider, 'set_scram_handlers()')
        warn_of_plain(credential_provider, 'credential provider')
        warn_of_plain(identity_provider, 'identity provider')
        if mock is None:
            self._warn_of_missing_mock('set_scram_handlers()')
        method = SCRAM(credential_provider, identity_provider, mock)
        self._authentication_methods.update(dict.fromkeys(SCRAM.NAMES, method))

    def _warn_of_missing_mock(self, setter: str) -> None:
        if setter in self._warned_methods:
            return
        self._warned_methods.add(setter)
        logger.warning(
            'Realm %s: %s without mock= lets strangers tell unknown users until the first known one has come. Pass '
            'as mock= what an ordinary user of yours has.',
            self.uri or '(default)',
            setter,
        )

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
        return bool(self._transport_authenticators or self._authentication_methods)

    async def default_auth_handler(self, session: WAMPSession) -> None:
        """Ask the authenticators of the transport, then the first method in the client's order that has been set up.

        Without any of them, everyone is let in.
        """
        if not self._has_authenticators:
            await session.mark_authenticated(None)
            return
        for authenticate in self._transport_authenticators:
            who = await authenticate(session)
            if who:
                session.auth_method = session.auth_method or 'transport'
                # The authid of HELLO has been shown to nobody.
                session.confirmed_auth_id = session.confirmed_auth_id or name_of(who) or str(session.id)
                await session.mark_authenticated(who)
                return
        if not self._authentication_methods:
            await self._refuse(session, 'wamp.error.authentication_failed', REFUSAL, 'the transport authenticators')
            return
        name = next((name for name in session.auth_methods if name in self._authentication_methods), None)
        if name is None:
            wanted = f'This realm wants one of {", ".join(self._authentication_methods)} in authmethods.'
            await self._refuse(session, 'wamp.error.no_matching_auth_method', wanted, 'its choice of methods')
            return
        await self._authenticate_by(name, session)

    async def _authenticate_by(self, name: str, session: WAMPSession) -> None:
        """Let the client in or refuse it, by one method."""
        reason = None
        try:
            who = await self._authentication_methods[name](session, name)
        except AuthenticationFailure as failure:
            who, reason = None, failure.reason
        if who:
            session.auth_method = session.auth_method or name
            await session.mark_authenticated(who)
            return
        # The same for a user that doesn't exist and for a wrong secret.
        await self._refuse(session, 'wamp.error.authentication_failed', reason or REFUSAL, name)

    async def _refuse(self, session: WAMPSession, uri: str, reason: str, refused_by: str) -> None:
        """Let the client not in, with ABORT and one line in the log."""
        # An authenticator that raised ConnectionClosed, or aborted by itself, has decided already.
        if not (session.has_ended or session.is_closing):
            # The authid is a claim of the client's, and text of any length.
            logger.info(
                'Refused %s by %s, authid %.500r: %.500r', session_name(session), refused_by, session.auth_id, reason
            )
        await session.abort(uri, reason)
