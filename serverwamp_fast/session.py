"""The session between a client and a realm (WAMP BP, "Sessions")."""

from __future__ import annotations

import asyncio.coroutines
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from . import __about__
from ._core.broker.broker import BrokerCore
from ._core.session.sessions import NO_IDENTITY, SessionCore
from ._core.session.states import ACTIONS, STATES, action
from ._core.wire.messages import check
from .auth import AuthenticatedAs, CRAResponse
from .clients import session_name
from .connection import ConnectionClosed
from .contexts import InContext
from .errors import NoSuchSubscription, SerializationError, WAMPMsgParseError, counts_as_error
from .protocol import (
    WAMPAuthenticateRequest,
    WAMPMsgType,
    abort_msg,
    cra_challenge_string,
    goodbye_msg,
    scram_nonce,
    subscribed_response_msg,
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
    'dealer': {
        'features': {
            'call_canceling': True,
            'call_timeout': True,
            'caller_identification': True,
            'progressive_call_invocations': True,
            'progressive_call_results': True,
        }
    },
}
# What needs messages to be read while a call runs, which applications that synchronize requests don't do.
UNSYNCHRONIZED_FEATURES = frozenset(('call_canceling', 'progressive_call_invocations'))
NO_MORE_EVENTS = object()
# Turns of the loop between SUBSCRIBED and the events behind it. With four, a client of Go had more
# of them on the native server than with serverwamp on aiohttp, in the same run; eight hardly brought more.
SEPARATE_TURNS = 4


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
    given, NO_IDENTITY before), `auth_id`, `auth_methods` and `auth_extra` (what HELLO has as authid, authmethods
    and authextra), `is_open`. For WELCOME an authenticator may set `auth_role`, `auth_method` and `auth_provider`
    (str), `confirmed_auth_id` (str, where the authid is not the one of HELLO) and `welcome_extra` (a mapping, the
    authextra).
    """

    __signature__ = inspect.signature(
        lambda connection, realm, tasks=None, auth_id=None, auth_methods=(): None
    )
    auth_role: str | None = None
    auth_method: str | None = None
    auth_provider: str | None = None
    auth_extra: Mapping[str, Any] = MappingProxyType({})
    confirmed_auth_id: str | None = None
    welcome_extra: Mapping[str, Any] | None = None
    # Whether HELLO announced progressive_call_invocations; looked at where clients are held to the strict rules.
    announces_inputs = False
    # Where the realm is none, and so has no topics.
    own_topics: Any = None
    # While the session is being opened, and whatever it waits for can be cancelled.
    cancel_opening: Callable[[], object] | None = None

    # Tasks

    async def spawn_task(self, fn: Callable[..., Awaitable[Any]], *fn_args: Any, **fn_kwargs: Any) -> None:
        """Start `fn(*fn_args, **fn_kwargs)` as a task beside the session's others. Its errors are logged."""
        await self.tasks.spawn(self._run_task, fn, *fn_args, **fn_kwargs)

    async def _run_task(self, fn: Callable[..., Awaitable[Any]], *fn_args: Any, **fn_kwargs: Any) -> None:
        # An error must not leave the task: it would cancel the other tasks of the session's group.
        try:
            await fn(*fn_args, **fn_kwargs)
        except ConnectionClosed:
            logger.debug('The session ended before %s could send to %s.', _name_of(fn), session_name(self))
        except BaseException as error:
            if not counts_as_error(error, self):
                raise
            logger.exception('Unhandled exception from %s in %s.', _name_of(fn), session_name(self))

    # Authentication

    def _roles(self) -> dict[str, Any]:
        missing = getattr(self.app, 'missing_features', None)
        if not missing:
            return ROLES
        features = ROLES['dealer']['features']
        kept = {name: features[name] for name in features if name not in missing}
        return ROLES | {'dealer': {'features': kept}}

    def welcome(self) -> Any:
        """Return the session's WELCOME (WAMP BP, "WELCOME"), by what is known of the client."""
        auth_id, auth_role = self.announced_identity()
        details: dict[str, Any] = {
            'roles': self._roles(),
            'authid': auth_id,
            'authrole': auth_role,
            'authmethod': self.auth_method or ('anonymous' if self._is_anonymous else 'custom'),
            'authprovider': self.auth_provider or 'serverwamp_fast',
        }
        if self.welcome_extra:
            details['authextra'] = dict(self.welcome_extra)
        return welcome_msg(self.id, AGENT, details)

    def announced_identity(self) -> tuple[str, str]:
        """Return the authid and the authrole that WELCOME has: what may be told to others as well."""
        anonymous = self._is_anonymous
        # What HELLO has is a claim. Nobody has asked an anonymous client for a proof of it.
        auth_id = None if anonymous else self.confirmed_auth_id or self.auth_id
        auth_role = self.auth_role or ('anonymous' if anonymous else 'authenticated')
        return auth_id if isinstance(auth_id, str) else str(self.id), auth_role

    @property
    def _is_anonymous(self) -> bool:
        return self.identity is None and self.auth_method is None

    async def mark_authenticated(self, identity: Any = None) -> None:
        """Let the client in, once: send WELCOME. Sets `identity` each time. Raises ConnectionClosed.

        `identity` is anything, or an AuthenticatedAs that says more.
        """
        if isinstance(identity, AuthenticatedAs):
            identity = self._adopt(identity)
        self.identity = identity
        if not self.mark_welcomed():
            await self.send_raw(self.welcome())
            self.mark_open()

    def _adopt(self, known: AuthenticatedAs) -> Any:
        """Take over what WELCOME tells the client, and return the identity."""
        self.confirmed_auth_id = known.auth_id or self.confirmed_auth_id
        self.auth_role = known.auth_role or self.auth_role
        self.auth_provider = known.auth_provider or self.auth_provider
        if known.auth_extra:
            self.welcome_extra = {**(self.welcome_extra or {}), **known.auth_extra}
        return known.identity

    async def request_authentication(
        self, method: str, extra: Mapping[str, Any] | None = None
    ) -> WAMPAuthenticateRequest:
        """Send a CHALLENGE and return the AUTHENTICATE that answers it (WAMP AP, "Authentication Methods").

        For authenticators, while the session is being opened; they may ask more than once. Raises ConnectionClosed
        when the client aborts, or is aborted because it sent something else, and RuntimeError when this is not the
        time to ask. As ever, the authenticator is cancelled when the client leaves.
        """
        receive = self.receive_message
        if receive is None or self.was_welcomed:
            raise RuntimeError('A client can be asked to authenticate only while its session is being opened.')
        # What comes next is the answer to this challenge and to no other.
        self.receive_message = None
        await self.send_raw((WAMPMsgType.CHALLENGE, method, {} if extra is None else extra))
        try:
            # Before the session is open nobody else sees the client's messages.
            message = check(await receive(), getattr(self.app, 'strict_uris', False))
            wanted = action(STATES['opening'], message[0])
            if wanted not in (ACTIONS['authenticate'], ACTIONS['end']):
                raise WAMPMsgParseError('CHALLENGE is to be answered with AUTHENTICATE.')
        except WAMPMsgParseError as error:
            # The text may quote the client, at any length.
            logger.warning('Aborted %s with %s: %.500r', session_name(self), error.error_uri, str(error))
            self.mark_ended()
            await self.connection.abort(error.error_uri, str(error))
            raise ConnectionClosed('The client broke the protocol instead of answering a challenge.') from None
        if wanted == ACTIONS['end']:
            logger.info('Ended %s: %.500r', session_name(self), f'The client aborted the session: {message[2]}')
            self.mark_ended()
            await self.connection.close()
            raise ConnectionClosed('The client aborted instead of answering a challenge.')
        self.receive_message = receive
        return WAMPAuthenticateRequest(signature=message[1], extra=message[2])

    async def request_ticket_authentication(self) -> str:
        """Ask the client for its ticket and return it (WAMP AP, "Ticket-based Authentication").

        See request_authentication().
        """
        return (await self.request_authentication('ticket')).signature

    request_ticket_auth = request_ticket_authentication

    async def request_cra_auth(
        self, auth_role: str, auth_provider: str, salting: Mapping[str, Any] | None = None
    ) -> CRAResponse:
        """Have the client sign a challenge of WAMP-CRA, with a nonce of its own, and return what it answers.

        `salting` has the salt, iterations and keylen that the client derives its key with. See
        request_authentication().
        """
        challenge = cra_challenge_string(
            self.id,
            auth_id=self.auth_id,
            auth_role=auth_role,
            auth_provider=auth_provider,
            nonce=scram_nonce(),
        )
        answer = await self.request_authentication(
            'wampcra', {'challenge': challenge, **(salting or {})}
        )
        return CRAResponse(answer.signature, challenge)

    # Subscriptions

    async def register_subscription(self, topic_uri: str, match: str = 'exact') -> int:
        """Add a subscription and return its id. Events are held until mark_subscribed()."""
        return self.subscribe(topic_uri, match)

    async def unregister_subscription(self, sub_id: int) -> None:
        """Remove a subscription. Raises NoSuchSubscription."""
        self.unsubscribe(sub_id)

    async def mark_subscribed(self, request: Any, subscription_id: int) -> None:
        """Send SUBSCRIBED, and then the events that were held for it, in a later turn of the loop.

        Clients of several libraries lose an event that they read together with SUBSCRIBED: they enter the
        subscription where the answer is taken up, which is after the next message has been looked at.
        """
        await self.send_raw(subscribed_response_msg(request, subscription_id))
        if self.holds_events(subscription_id):
            await self._separate_output()
        while events := self.take_held_events(subscription_id):
            for event in events:
                try:
                    await self.send_raw(event)
                except SerializationError as error:
                    # Who sent it has gone on; the other events are none the worse for it.
                    broker = getattr(self.realm, 'broker', None)
                    if not (isinstance(broker, BrokerCore) and broker.note_unsent(event, error)):
                        logger.error(
                            'An event that was held for %s could not be sent: %.500s', session_name(self), error
                        )

    async def _separate_output(self) -> None:
        """Let some turns of the loop pass, so that what was sent is not read together with what follows."""
        self.flush_output()
        support = getattr(self.app, '_async_support', None)
        if support is not None:
            for _ in range(SEPARATE_TURNS):
                await support.checkpoint()

    async def mark_unsubscribed(self, request: Any) -> None:
        """Send UNSUBSCRIBED."""
        await self.send_raw(unsubscribed_response_msg(request))

    # Events that were published

    async def empty_outbox(self) -> None:
        """Have what was published for the session sent, by a task of its own."""
        outbox = self.start_posting()
        if outbox is None:
            return
        posting = self._send_posted(outbox)
        try:
            spawn_eagerly = getattr(self.tasks, 'spawn_eagerly', None)
            spawning = self.tasks.spawn(lambda: posting) if spawn_eagerly is None else spawn_eagerly(posting)
            # The task that runs now is that of a publisher, whose context variables are no concern of the receiver's.
            context = self.own_context()
            await (spawning if context is None else InContext(context, spawning))
        except Exception as error:
            # The group of its tasks has ended, and with it the session.
            posting.close()
            self.stop_posting(outbox)
            logger.debug('The session gets no more events, %s: %.500s', session_name(self), error)
        except BaseException:
            # It is who publishes that is cancelled. The session's next event takes these along.
            posting.close()
            self.stop_posting(outbox, keeps=True)
            raise
        if inspect.getcoroutinestate(posting) == inspect.CORO_CLOSED:
            # Either it has done all this itself, or a group that is being cancelled has not let it begin.
            self.stop_posting(outbox)

    async def _send_posted(self, outbox: Any) -> None:
        try:
            while (event := self.next_posted()) is not None:
                try:
                    if isinstance(event, bytes):
                        await self.connection.send_payload(event)
                    else:
                        await self.send_raw(event)
                except SerializationError as error:
                    if not self.note_unsent(error):
                        logger.error('An event for %s could not be sent: %.500s', session_name(self), error)
        except ConnectionClosed:
            logger.debug('Not all events were sent before the end of %s.', session_name(self))
        except BaseException as error:
            if not counts_as_error(error, self):
                raise
            logger.exception('Events could not be sent to %s.', session_name(self))
        finally:
            self.stop_posting(outbox)

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
        try:
            # What waits for a client that says GOODBYE goes first, such as the answer to its last call. Where the
            # server ends the session, the client may never read it.
            if self.has_peer_left and (posted := self.wait_for_posted()) is not None:
                await posted
                if self.app is not None:
                    # Answers whose turn has come at the same time are sent by tasks of their own.
                    await self.app._async_support.checkpoint()
        finally:
            is_first = self.is_open
            self.mark_closing()
        if not is_first:
            # Meanwhile the client has gone, or somebody else has closed the session.
            return
        try:
            await self.connection.send_msg(goodbye_msg(uri, message))
        except ConnectionClosed:
            return
        finally:
            # Only now, because this may be one of the calls that it cancels.
            self.mark_gone()
        if not self.has_peer_left and self.close_timer is None and self.app is not None:
            self.close_timer = self.app.close_later(self.connection)


def _name_of(fn: Any) -> Any:
    return getattr(fn, '__qualname__', fn)


__all__ = ['NO_IDENTITY', 'NO_MORE_EVENTS', 'AbstractAsyncQueue', 'NoSuchSubscription', 'WAMPSession']
