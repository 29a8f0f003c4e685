"""The settings of an application's default realm, under the realm's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .auth import CRAAuthRequirement, SCRAMCredential
from .authentication import (
    CRAIdentityProvider,
    CRARequirementProvider,
    CryptosignAuthenticator,
    SCRAMCredentialProvider,
    SCRAMIdentityProvider,
    TicketAuthenticator,
)
from .events import SubscriptionHandler
from .publishing import AllowRule
from .realm import (
    CoreAuthenticator,
    Realm,
    SessionLifespanHandler,
    TransportAuthenticator,
    warn_of_old_name,
)
from .rpc import RPCHandler


class DefaultRealmSettings:
    """What an application passes on to its default realm. Each method raises RuntimeError where there is none."""

    _default_realm: Realm | None

    @property
    def _enabled_default_realm(self) -> Realm:
        if self._default_realm is None:
            raise RuntimeError(
                'This application has no default realm, because of allow_default_realm=False. Set up a Realm and '
                'add it with add_realm().'
            )
        return self._default_realm

    def set_authentication_handler(self, handler: CoreAuthenticator) -> None:
        """See Realm.set_authentication_handler()."""
        self._enabled_default_realm.set_authentication_handler(handler)

    def set_rpc_handler(self, handler: RPCHandler) -> None:
        """See Realm.set_rpc_handler()."""
        self._enabled_default_realm.set_rpc_handler(handler)

    def set_subscription_handler(self, handler: SubscriptionHandler) -> None:
        """See Realm.set_subscription_handler()."""
        self._enabled_default_realm.set_subscription_handler(handler)

    def add_transport_authenticator(self, authenticator: TransportAuthenticator) -> None:
        """See Realm.add_transport_authenticator()."""
        self._enabled_default_realm.add_transport_authenticator(authenticator)

    def set_cra_handlers(
        self,
        requirement_provider: CRARequirementProvider,
        identity_provider: CRAIdentityProvider,
        *,
        mock: CRAAuthRequirement | None = None,
    ) -> None:
        """See Realm.set_cra_handlers()."""
        self._enabled_default_realm.set_cra_handlers(requirement_provider, identity_provider, mock=mock)

    def set_ticket_authenticator(self, authenticator: TicketAuthenticator) -> None:
        """See Realm.set_ticket_authenticator()."""
        self._enabled_default_realm.set_ticket_authenticator(authenticator)

    def set_cryptosign_authenticator(self, authenticator: CryptosignAuthenticator) -> None:
        """See Realm.set_cryptosign_authenticator()."""
        self._enabled_default_realm.set_cryptosign_authenticator(authenticator)

    def set_scram_handlers(
        self,
        credential_provider: SCRAMCredentialProvider,
        identity_provider: SCRAMIdentityProvider,
        *,
        mock: SCRAMCredential | None = None,
    ) -> None:
        """See Realm.set_scram_handlers()."""
        self._enabled_default_realm.set_scram_handlers(credential_provider, identity_provider, mock=mock)

    def add_session_lifespan_handler(
        self, handler: SessionLifespanHandler, authenticated_only: bool = True
    ) -> None:
        """See Realm.add_session_lifespan_handler()."""
        self._enabled_default_realm.add_session_lifespan_handler(handler, authenticated_only)

    def add_session_state_handler(
        self, handler: SessionLifespanHandler, authenticated_only: bool = True
    ) -> None:
        """The old name of add_session_lifespan_handler()."""
        warn_of_old_name('add_session_state_handler()', 'add_session_lifespan_handler()')
        self._enabled_default_realm.add_session_lifespan_handler(handler, authenticated_only)

    def set_default_arg(
        self, arg_name: str, value: Any = None, factory: Callable[[], Any] | None = None
    ) -> None:
        """See Realm.set_default_arg()."""
        self._enabled_default_realm.set_default_arg(arg_name, value, factory)

    add_default_arg = set_default_arg

    def add_rpc_routes(self, routes: Any) -> None:
        """See Realm.add_rpc_routes()."""
        self._enabled_default_realm.add_rpc_routes(routes)

    def add_topic_routes(self, routes: Any) -> None:
        """See Realm.add_topic_routes()."""
        self._enabled_default_realm.add_topic_routes(routes)

    def add_routes(self, routes: Any) -> None:
        """See Realm.add_routes()."""
        self._enabled_default_realm.add_routes(routes)

    add_topics = add_topic_routes

    async def publish(self, topic: str, *args: Any, **options: Any) -> int:
        """See Realm.publish()."""
        return await self._enabled_default_realm.publish(topic, *args, **options)

    def allow_publish(self, topic: str, match: str = 'exact', rule: AllowRule | None = None) -> None:
        """See Realm.allow_publish()."""
        self._enabled_default_realm.allow_publish(topic, match, rule)

    def allow_subscribe(self, topic: str, match: str = 'exact', rule: AllowRule | None = None) -> None:
        """See Realm.allow_subscribe()."""
        self._enabled_default_realm.allow_subscribe(topic, match, rule)

    def allow_publisher_disclosure(self, allowed: bool = True) -> None:
        """See Realm.allow_publisher_disclosure()."""
        self._enabled_default_realm.allow_publisher_disclosure(allowed)

    def set_retained_limit(self, topics: int) -> None:
        """See Realm.set_retained_limit()."""
        self._enabled_default_realm.set_retained_limit(topics)

    def forget_retained(self, topic: str) -> bool:
        """See Realm.forget_retained()."""
        return self._enabled_default_realm.forget_retained(topic)
