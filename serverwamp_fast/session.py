"""The session between a client and a realm (WAMP BP, "Sessions")."""

from __future__ import annotations

import asyncio.coroutines
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from . import __about__
from ._core.sessions import NO_IDENTITY, SessionCore
from .connection import ConnectionClosed
from .errors import NoSuchSubscription, SerializationError
from .protocol import (
    abort_msg,
    cra_challenge_msg,
    cra_challenge_string,
    goodbye_msg,
    scram_nonce,
    subscribed_response_msg,
    ticket_challenge_msg,
    unsubscribed_response_msg,
    welcome_msg,
)

logger = logging.getLogger(__name__)

AGENT = f'serverwamp_fast {__about__.VERSION}'
# What WELCOME announces (WAMP BP, "Client and Router Roles"): nothing that is not there.
ROLES: dict[str, Any] = {
    'broker': {
        'features': {
            'publisher_exclusion': True,
            'subscriber_blackwhite_listing': True,
            'pattern_based_subscription': True,
            'publisher_identification': True,
            'event_retention': True,
        }
    },
    'dealer': {'features': {'progressive_call_results': True}},
}
NO_MORE_EVENTS = object()


class AbstractAsyncQueue(ABC):
    """What a queue of an async library looks like to code that handles any of them."""

    @abstractmethod
    async def get(self) -> Any: ...

    @abstractmethod
    def task_done(self) -> None: ...

    def put_nowait(self, item: Any) -> None:  # noqa: B027 (a queue that nothing is put into is a queue)
        pass


# The core's awaitables are no coroutine functions to Python; who asks (a mock, a framework) is told that they are.
_awaitable_methods: tuple[Any, ...] = (SessionCore.send_event, SessionCore.send_raw)
for _method in _awaitable_methods:
    if hasattr(inspect, 'markcoroutinefunction'):
        inspect.markcoroutinefunction(_method)
    else:
        _method._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


class WAMPSession(SessionCore):
    """A client's session in a realm, as call, subscription and lifespan handlers get it.

    Data can be kept on it: `session['customer_id'] = 345`.

    Public attributes: `id` (int, 1..2**53), `connection`, `realm`, `identity` (what mark_authenticated() was
    given, NO_IDENTITY before), `auth_id` and `auth_methods` (what HELLO asked for), `is_open`. An authenticator
    may set `auth_role`, `auth_method` and `auth_provider` (str) for WELCOME.
    """

    __signature__ = inspect.signature(
        lambda connection, realm, tasks=None, auth_id=None, auth_methods=(): None
    )
    auth_role: str | None = None
    auth_method: str | None = None
    auth_provider: str | None = None
    # While the session is being opened, and whatever it waits for can be cancelled.
    cancel_opening: Callable[[], None] | None = None

    # Tasks

    async def spawn_task(self, fn: Callable[..., Awaitable[Any]], *fn_args: Any, **fn_kwargs: Any) -> None:
        """Start `fn(*fn_args, **fn_kwargs)` as a task beside the session's others. Its errors are logged."""
        await self.tasks.spawn(self._run_task, fn, *fn_args, **fn_kwargs)

    async def _run_task(self, fn: Callable[..., Awaitable[Any]], *fn_args: Any, **fn_kwargs: Any) -> None:
        # An error must not leave the task: it would cancel the other tasks of the session's group.
        try:
            await fn(*fn_args, **fn_kwargs)
        except ConnectionClosed:
            logger.debug('Session %s ended before %s could send.', self.id, _name_of(fn))
        except BaseException as error:
            if not counts_as_error(error, self):
                raise
            logger.exception('Unhandled exception from %s in session %s.', _name_of(fn), self.id)

    # Authentication

    def welcome(self) -> Any:
        """Return the session's WELCOME (WAMP BP, "WELCOME"), by what is known of the client."""
        anonymous = self.identity is None
        authid, authrole = self.announced_identity()
        details: dict[str, Any] = {
            'roles': ROLES,
            'authid': authid,
            'authrole': authrole,
            'authmethod': self.auth_method or ('anonymous' if anonymous else 'custom'),
            'authprovider': self.auth_provider or 'serverwamp_fast',
        }
        return welcome_msg(self.id, AGENT, details)

    def announced_identity(self) -> tuple[str, str]:
        """Return the authid and the authrole that WELCOME tells the client, and other clients may be told."""
        anonymous = self.identity is None
        auth_id = None if anonymous else self.auth_id
        return (
            auth_id if isinstance(auth_id, str) else str(self.id),
            self.auth_role or ('anonymous' if anonymous else 'authenticated'),
        )

    async def mark_authenticated(self, identity: Any = None) -> None:
        """Let the client in, once: send WELCOME. Sets `identity` each time. Raises ConnectionClosed."""
        self.identity = identity
        if not self.mark_welcomed():
            await self.send_raw(self.welcome())
            self.mark_open()

    async def request_ticket_authentication(self) -> None:
        """Send the CHALLENGE of ticket authentication."""
        await self.send_raw(ticket_challenge_msg())

    async def request_cra_auth(self, auth_role: str, auth_provider: str) -> None:
        """Send the CHALLENGE of WAMP-CRA, with a nonce of its own."""
        challenge = cra_challenge_string(
            self.id,
            auth_id=self.auth_id,
            auth_role=auth_role,
            auth_provider=auth_provider,
            nonce=scram_nonce(),
        )
        await self.send_raw(cra_challenge_msg(challenge))

    # Subscriptions

    async def register_subscription(self, topic_uri: str, match: str = 'exact') -> int:
        """Add a subscription and return its id. Events are held until mark_subscribed()."""
        return self.subscribe(topic_uri, match)

    async def unregister_subscription(self, sub_id: int) -> None:
        """Remove a subscription. Raises NoSuchSubscription."""
        self.unsubscribe(sub_id)

    async def mark_subscribed(self, request: Any, subscription_id: int) -> None:
        """Send SUBSCRIBED, and then the events that were held for it."""
        await self.send_raw(subscribed_response_msg(request, subscription_id))
        while events := self.take_held_events(subscription_id):
            for event in events:
                try:
                    await self.send_raw(event)
                except SerializationError as error:
                    # Who sent it has gone on; the other events are none the worse for it.
                    logger.error('An event that was held for session %s could not be sent: %s', self.id, error)

    async def mark_unsubscribed(self, request: Any) -> None:
        """Send UNSUBSCRIBED."""
        await self.send_raw(unsubscribed_response_msg(request))

    # Events that were published

    async def empty_outbox(self) -> None:
        """Have what was published for the session sent, by a task of its own."""
        if not self.start_posting():
            return
        posting = self._send_posted()
        try:
            spawn_eagerly = getattr(self.tasks, 'spawn_eagerly', None)
            if spawn_eagerly is not None:
                await spawn_eagerly(posting)
            else:
                await self.tasks.spawn(lambda: posting)
        except Exception as error:
            # The group of its tasks has ended, and with it the session.
            posting.close()
            self.stop_posting()
            logger.debug('Session %s gets no more events: %s', self.id, error)

    async def _send_posted(self) -> None:
        try:
            while (event := self.next_posted()) is not None:
                try:
                    if isinstance(event, bytes):
                        await self.connection.send_payload(event)
                    else:
                        await self.send_raw(event)
                except SerializationError as error:
                    logger.error('An event for session %s could not be sent: %s', self.id, error)
        except ConnectionClosed:
            logger.debug('Session %s ended before all its events were sent.', self.id)
        except Exception:
            logger.exception('Events could not be sent to session %s.', self.id)
        finally:
            self.stop_posting()

    # Ends

    def stop_opening(self) -> None:
        """Cancel the authenticators, if they are still at it."""
        if self.cancel_opening is not None:
            self.cancel_opening()

    async def abort(self, uri: str | None = None, message: str | None = None) -> None:
        """End the session, or refuse to open it: send ABORT and close the connection (WAMP BP, "ABORT")."""
        if self.has_ended or self.is_closing:
            return
        self.mark_ended()
        try:
            await self.connection.send_msg(abort_msg(uri or 'wamp.error.runtime_error', message))
        except ConnectionClosed:
            # The client has left; there is nobody to tell.
            return
        await self.connection.close()

    async def close(self, uri: str = 'wamp.close.goodbye_and_out', message: str | None = None) -> None:
        """End the session with GOODBYE (WAMP BP, "Session Closing"). Nothing can be sent in it afterwards.

        If the client has not said GOODBYE itself, it is given a few seconds to, and then the connection is closed.
        """
        if not self.is_open:
            if not self.is_closing:
                self.mark_ended()
            return
        self.mark_closing()
        try:
            await self.connection.send_msg(goodbye_msg(uri, message))
        except ConnectionClosed:
            return
        if not self.has_peer_left and self.close_timer is None and self.app is not None:
            self.close_timer = self.app.close_later(self.connection)


def counts_as_error(error: BaseException, session: Any) -> bool:
    """Whether what a handler raised is an error of the handler, and not the end of the task that it runs in.

    A handler that awaits a task that it has cancelled raises the cancellation of that task.
    """
    if isinstance(error, Exception):
        return True
    app = getattr(session, 'app', None)
    return app is not None and app.is_stray(error)


def _name_of(fn: Any) -> Any:
    return getattr(fn, '__qualname__', fn)


__all__ = ['NO_IDENTITY', 'NO_MORE_EVENTS', 'AbstractAsyncQueue', 'NoSuchSubscription', 'WAMPSession']
