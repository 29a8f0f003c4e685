"""The application: realms, and the sessions of all transports.

`handle_connection()` drives the sessions of transports that hand over messages one by one. The native server has
callbacks instead, and uses the same pieces: `new_session()`, `establish()`, `end_session()`.
"""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    MutableMapping,
)
from contextlib import AsyncExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._core.dialogue.dispatch import Dispatch, attach
from ._core.framing.websocket import MESSAGE_LIMIT
from ._core.wire.messages import CALL
from .async_support import AsyncSupport, find_unsupported_features
from .auth import CRAAuthRequirement, CRAResponse, verify_cra_response
from .authentication import CRAIdentityProvider as CRAIdentityProvider
from .authentication import CRARequirementProvider as CRARequirementProvider
from .authentication import TicketAuthenticator as TicketAuthenticator
from .clients import session_name
from .default_realm import DefaultRealmSettings
from .driving import ConnectionDriver
from .errors import ConnectionClosed, NoSuchRealmError, counts_as_error
from .errors import NoSuchRouteError as NoSuchRouteError
from .errors import NoSuchSubscription as NoSuchSubscription
from .errors import WAMPMsgParseError as WAMPMsgParseError
from .events import SubscribeError as SubscribeError
from .events import SubscriptionHandler as SubscriptionHandler
from .events import TopicsRouter as TopicsRouter
from .handlers import (
    abort_on_malformed_msgs,
    default_protocol_goodbye_handler,
    default_protocol_rpc_handler,
    subscribe,
    tear_down_handler,
    unsubscribe,
)
from .helpers import require_number
from .limits import Limits
from .protocol import (
    WAMPGoodbyeRequest,
    WAMPRPCRequest,
    WAMPSubscribeRequest,
    WAMPUnsubscribeRequest,
    request_parser_for_msg_type,
)
from .protocol import WAMPHelloRequest as WAMPHelloRequest
from .realm import (
    CoreAuthenticator,
    Realm,
    SessionLifespanHandler,
    TransportAuthenticator,
    warn_of_old_name,
)
from .rpc import RPCErrorResult as RPCErrorResult
from .rpc import RPCHandler as RPCHandler
from .rpc import RPCInputs, rules_for
from .rpc import RPCProgressReport as RPCProgressReport
from .rpc import RPCRequest as RPCRequest
from .rpc import RPCRouter as RPCRouter
from .session import UNSYNCHRONIZED_FEATURES, WAMPSession

if TYPE_CHECKING:
    from .adapters.native import Server
else:
    # For typing.get_type_hints(). The class is not loaded before somebody wants such a server.
    Server = Any

logger = logging.getLogger(__name__)

ProtocolRequestHandler = Callable[[Any, WAMPSession], Awaitable[None]]
ProtocolRequestHandlerMap = Mapping[type, ProtocolRequestHandler]
MutableProtocolRequestHandlerMap = MutableMapping[type, ProtocolRequestHandler]


async def close_for_restart(connection: Any) -> None:
    """Close a connection with the code 1012, as far as its class knows how."""
    close: Callable[[], Awaitable[None]] = getattr(connection, 'close_for_restart', connection.close)
    await close()


def _announces_inputs(roles: Any) -> bool:
    """Whether the roles of a HELLO have a caller with the feature progressive_call_invocations."""
    found = roles
    for key in ('caller', 'features', 'progressive_call_invocations'):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found is True


# Handled to their end before the session's next message; the core's table of states sees to it.
ALWAYS_SYNCHRONIZE = frozenset((WAMPGoodbyeRequest, WAMPSubscribeRequest, WAMPUnsubscribeRequest))


def __getattr__(name: str) -> Any:
    if name == 'SessionStateHandler':
        warn_of_old_name('SessionStateHandler', 'SessionLifespanHandler')
        return SessionLifespanHandler
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


class Application(DefaultRealmSettings):
    """A WAMP application: its realms, how its sessions are run, and what serves it.

    - allow_default_realm: whether clients that ask for an unknown realm get the default one; otherwise they are
      answered with `wamp.error.no_such_realm`. They do if nothing is said; where there are named realms too, a
      line in the log then tells of it.
    - async_support: the async library's AsyncSupport class; asyncio's by default
    - synchronize_requests: whether a session's requests are handled one after another
    - protocol_request_handlers: functions (request, session) by request class, in place of the built-in ones
    - open_timeout: seconds that a client has from connecting to an open session
    - close_timeout: seconds that a client has to answer GOODBYE or Close
    - max_message_size: bytes of one message, fragments included; a longer one ends the connection with 1009. By
      default it is 1 MiB, and 4 MiB on aiohttp, as serverwamp has it there. ASGI servers and those of websockets have
      limits of their own: the smaller one counts.
    - limits: what clients may cost, see Limits
    - strict_ids: whether a session's request ids have to be 1, 2, 3 and so on; a client that breaks the sequence gets
      ABORT `wamp.error.protocol_violation` (WAMP BP, "Protocol Violations")
    - strict_uris: whether clients' URIs are held to the specification's strict rules (WAMP BP, "URIs"); HELLO then has
      to have roles, and announce progressive calls, and no message may have more elements than the specification
      gives it
    - cancel_calls_of_lost_clients: whether all calls of a client that leaves are cancelled; otherwise only those of
      async generators are (WAMP BP, "Caller Leaving")
    """

    def __init__(
        self,
        allow_default_realm: bool | None = None,
        async_support: type[AsyncSupport] | None = None,
        synchronize_requests: bool = False,
        protocol_request_handlers: ProtocolRequestHandlerMap | None = None,
        *,
        open_timeout: float = 10.0,
        close_timeout: float = 5.0,
        max_message_size: int | None = None,
        limits: Limits | None = None,
        strict_ids: bool = False,
        strict_uris: bool = False,
        cancel_calls_of_lost_clients: bool = False,
    ) -> None:
        if async_support is None:
            from .adapters.asyncio import AsyncioAsyncSupport

            async_support = AsyncioAsyncSupport
        elif not (isinstance(async_support, type) and issubclass(async_support, AsyncSupport)):
            raise TypeError(
                f'async_support is a subclass of {AsyncSupport.__module__}.AsyncSupport, as adapters.anyio and '
                f'adapters.trio have one; {async_support!r} is none.'
            )
        require_number('open_timeout', open_timeout, (int, float), 0)
        require_number('close_timeout', close_timeout, (int, float), 0)
        if max_message_size is not None:
            require_number('max_message_size', max_message_size, (int,), 1)
        self.open_timeout = open_timeout
        self.close_timeout = close_timeout
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(f'limits takes a Limits, as in limits=Limits(connections=1000); {limits!r} is none.')
        self.limits = limits or Limits()
        self.max_message_size = MESSAGE_LIMIT if max_message_size is None else max_message_size
        self._has_default_size = max_message_size is None
        self.strict_ids = strict_ids
        self.strict_uris = strict_uris
        self.cancel_calls_of_lost_clients = cancel_calls_of_lost_clients
        self._async_support = async_support
        self._realms: dict[str | None, Realm] = {}
        self._default_realm = Realm() if allow_default_realm or allow_default_realm is None else None
        # Whether the log is to tell of clients that get the default realm in place of one that is not there.
        self._has_doubtful_default = allow_default_realm is None
        self._protocol_request_handlers: dict[type, ProtocolRequestHandler] = {
            WAMPGoodbyeRequest: default_protocol_goodbye_handler,
            WAMPRPCRequest: default_protocol_rpc_handler,
            WAMPSubscribeRequest: self.default_protocol_subscribe_handler,
            WAMPUnsubscribeRequest: self.default_protocol_unsubscribe_handler,
        }
        self._protocol_request_handlers.update(protocol_request_handlers or {})
        self._synchronize_requests = synchronize_requests
        # Features of calls that WELCOME doesn't announce.
        self.missing_features = find_unsupported_features(async_support)
        if synchronize_requests:
            self.missing_features |= UNSYNCHRONIZED_FEATURES
        self._active_sessions: set[WAMPSession] = set()

    def add_realm(self, realm: Realm) -> None:
        """Add a realm, or replace the one of the same URI."""
        if not isinstance(realm, Realm):
            kind = type(realm)
            raise TypeError(
                f'add_realm() takes a Realm of {Realm.__module__.partition(".")[0]}. What it was given is of the type '
                f'{kind.__qualname__} of {kind.__module__}.'
            )
        self._realms[realm.uri] = realm

    def warn_of_default_realm(self) -> None:
        """Tell once, in the log, that realms by name have a default one beside them which nobody has asked for."""
        if not self._has_doubtful_default or not self._realms:
            return
        self._has_doubtful_default = False
        logger.warning(
            'Clients that ask for a realm other than %s get the default realm. Pass allow_default_realm=False to '
            'Application to refuse them, or allow_default_realm=True if that is meant.',
            ', '.join(map(str, self._realms)),
        )

    # Sessions, for every transport

    def new_session(
        self, connection: Any, realm_uri: str, details: Mapping[str, Any], tasks: Any
    ) -> WAMPSession:
        """Return a session for HELLO. Raises NoSuchRealmError if there is no such realm."""
        realm = self._realms.get(realm_uri, self._default_realm)
        if realm is self._default_realm:
            self.warn_of_default_realm()
        if realm is None:
            raise NoSuchRealmError(f'There is no realm {realm_uri}.')
        session = WAMPSession(
            connection, realm, tasks, details.get('authid'), details.get('authmethods') or ()
        )
        extra = details.get('authextra')
        if extra and isinstance(extra, Mapping):
            session.auth_extra = extra
        if self.strict_uris and _announces_inputs(details.get('roles')):
            session.announces_inputs = True
        self._adopt(session)
        return session

    def _adopt(self, session: WAMPSession) -> None:
        self._active_sessions.add(session)
        attach(session, self, self._dispatch_for(session.realm))

    def _dispatch_for(self, realm: Realm) -> Dispatch:
        """Return how the realm's requests are handled, by what has been overridden up to now."""
        rpc_handler = self._protocol_request_handlers[WAMPRPCRequest]
        calls = realm.handle_rpc_call
        key = (self, rpc_handler, calls, getattr(calls, '__self__', None))
        # Kept by the realm: the application forgets realms that are replaced.
        if realm._dispatch is not None and realm._dispatch[0] == key:
            return realm._dispatch[1]
        delegated = set(self._delegated_codes())
        call_rules = None
        if rpc_handler is default_protocol_rpc_handler:
            call_rules = rules_for(calls)
            delegated.discard(CALL)
        support = self._async_support
        dispatch = Dispatch(
            call_rules,
            self._delegate,
            delegated,
            self._synchronize_requests,
            support,
            partial(RPCInputs, support.new_event),
            strict_uris=self.strict_uris,
            strict_ids=self.strict_ids,
            cancels_calls=self.cancel_calls_of_lost_clients,
        )
        realm._dispatch = (key, dispatch)
        return dispatch

    @property
    def synchronizes_requests(self) -> bool:
        """Whether a session's requests are handled one after another."""
        return self._synchronize_requests

    def _delegated_codes(self) -> list[int]:
        """Return the codes of the messages that a function handles."""
        return [
            int(code)
            for code, parser in request_parser_for_msg_type.items()
            if getattr(parser, '__self__', None) in self._protocol_request_handlers
        ]

    def _delegate(self, session: WAMPSession, message: Any) -> Coroutine[Any, Any, None]:
        """Return the coroutine that handles one request by its function."""
        request = request_parser_for_msg_type[message[0]](message[1:])
        handler = self._protocol_request_handlers[type(request)]
        return session._run_task(handler, request, session)

    async def establish(
        self, session: WAMPSession, receive_message: Callable[[], Awaitable[Any]] | None = None
    ) -> bool:
        """Authenticate the session and run the beginning of its lifespan handlers; return whether it goes on.

        `receive_message` gets the client's next message for an authenticator that asks something of the client.
        """
        realm = session.realm
        if not await self._start_lifespan_handlers(realm.session_lifespan_handlers, session):
            await session.abort(
                'wamp.error.runtime_error', 'The session could not be opened. The log of the server says why.'
            )
            return False
        session.receive_message = receive_message
        try:
            await realm.authenticate_session(session)
        except ConnectionClosed:
            # Of this client or, where the authenticator sends to others, of one of them.
            logger.debug('A connection was closed while it was decided about %s.', session_name(session))
        except BaseException as error:
            if not counts_as_error(error, session):
                raise
            # Without authenticators it is the transport's, that WELCOME can't be sent.
            place = 'opening' if realm.lets_everyone_in else 'an authenticator for'
            logger.exception('Exception from %s %s.', place, session_name(session))
        finally:
            # From now on whoever drives the session reads.
            session.receive_message = None
        if session.is_closing:
            # GOODBYE has been said already, and is to be answered.
            return True
        if not session.is_open:
            # An authenticator that decides nothing has not let anybody in.
            await session.abort('wamp.error.authentication_failed', 'Authentication failed.')
            return False
        if not await self._start_lifespan_handlers(realm.authed_session_lifespan_handlers, session):
            # The rest of the application may rely on what the handler was to set up.
            await session.close('wamp.error.runtime_error')
        return True

    async def _start_lifespan_handlers(
        self, handlers: Collection[SessionLifespanHandler], session: WAMPSession
    ) -> bool:
        """Run lifespan handlers to their yields, side by side; return whether all got there."""
        if not handlers:
            return True
        started = 0

        async def start(handler: SessionLifespanHandler) -> None:
            nonlocal started
            try:
                args, kwargs = session.realm._args_for_realm_level_handler(handler, session=session)
                lifespan = handler(*args, **kwargs)
                await anext(lifespan)
            except StopAsyncIteration:
                logger.error(
                    'Session lifespan handler %s ended without a yield, for %s.', handler, session_name(session)
                )
            except BaseException as error:
                if not counts_as_error(error, session):
                    raise
                logger.exception('Exception from session lifespan handler %s, for %s.', handler, session_name(session))
            else:
                started += 1
                if session.lifespan_exits is None:
                    session.lifespan_exits = []
                session.lifespan_exits.append(lifespan)

        async with self._async_support.launch_task_group() as tasks:
            for handler in handlers:
                await tasks.spawn(start, handler)
        # Counted by their success: a handler that was cancelled has not let anybody in either.
        return started == len(handlers)

    def end_session(self, session: WAMPSession) -> bool:
        """Take leave of a session; return whether clean_up() has something to run."""
        self._active_sessions.discard(session)
        session.mark_ended()
        if session.close_timer is not None:
            session.close_timer()
        return bool(session.lifespan_exits) or session.has_subscriptions

    async def clean_up(self, session: WAMPSession) -> None:
        """Run the rest of the session's handlers: of subscriptions in the order of subscribing, then of its lifespan,
        the last to start first.
        """
        lifespans, session.lifespan_exits = session.lifespan_exits or (), None
        # The last one in is the first one to run, and none depends on how another one ends.
        async with AsyncExitStack() as stack:
            for handler in lifespans:
                stack.push_async_callback(tear_down_handler, handler, 'session lifespan handler', session)
            stack.callback(session.release_subscriptions)
            for handler in reversed(session.subscription_exits()):
                stack.push_async_callback(tear_down_handler, handler, 'subscription handler', session)

    async def close_sessions(self, *, goodbye: bool = True) -> None:
        """End every session, for example when the server shuts down.

        - goodbye: whether clients are told so in WAMP, by GOODBYE (WAMP BP, "Session Closing"), or by ABORT where they
          still wait for WELCOME. False closes the connections with the code 1012, "Service Restart", and nothing else:
          some clients take a GOODBYE as final, and only then reconnect.
        """
        async with self._async_support.launch_task_group() as tasks:
            for session in list(self._active_sessions):
                await tasks.spawn(session._run_task, self._shut_down, session, goodbye)

    async def _shut_down(self, session: WAMPSession, goodbye: bool) -> None:
        if not goodbye:
            if not session.is_closing:
                session.mark_ended()
                session.stop_opening()
                await close_for_restart(session.connection)
        elif session.is_open:
            await session.close('wamp.close.system_shutdown')
        else:
            await session.abort('wamp.close.system_shutdown')
            session.stop_opening()

    def is_stray(self, error: BaseException) -> bool:
        """Whether an exception is a cancellation that was not meant for the current task."""
        return self._async_support.is_stray(error)

    def close_later(self, connection: Any) -> Callable[[], None]:
        """Close a connection after close_timeout; return a function that prevents it."""
        return self._async_support.call_later(self.close_timeout, connection.close)

    def overrides(self, name: str) -> bool:
        """Whether a subclass, or the application's owner, has put a method of its own in place of Application's."""
        return name in vars(self) or getattr(type(self), name) is not getattr(Application, name)

    # Sessions of transports that hand over messages one by one

    async def handle_connection(self, connection: Any) -> None:
        """Serve a connection until it ends: one session, or several one after another."""
        # A handle_session() that was overridden is handed messages.
        if getattr(connection, 'takes_payloads', False) is True and not self.overrides('handle_session'):
            await ConnectionDriver(self, connection, None).serve()
            return
        msgs = connection.iterate_msgs()
        try:
            await ConnectionDriver(self, connection, msgs).serve()
        finally:
            aclose = getattr(msgs, 'aclose', None)
            if aclose is not None:
                await aclose()

    async def handle_session(
        self, session: WAMPSession, msgs: AsyncIterator[Any] | None = None
    ) -> bool:
        """Run a session until it ends; return whether that was by GOODBYE, after which the client may open
        another one on the same connection.

        An override sees every session that begins with HELLO: `msgs` are the messages that follow, on any transport.
        """
        self._adopt(session)
        connection = session.connection
        driver = ConnectionDriver(self, connection, aiter(connection.iterate_msgs() if msgs is None else msgs))
        return await driver.run_session(session, monotonic() + self.open_timeout)

    async def default_protocol_subscribe_handler(
        self, request: WAMPSubscribeRequest, session: WAMPSession
    ) -> None:
        """Answer a SUBSCRIBE: run the topic's handler to its yield."""
        await subscribe(request, session)

    async def default_protocol_unsubscribe_handler(
        self, request: WAMPUnsubscribeRequest, session: WAMPSession
    ) -> None:
        """Answer an UNSUBSCRIBE: run the rest of the topic's handler."""
        await unsubscribe(request, session)

    # Servers

    def aiohttp_websocket_handler(self) -> Callable[[Any], Awaitable[Any]]:
        """Return a request handler for an aiohttp application's router."""
        from .adapters.aiohttp import MESSAGE_LIMIT as AIOHTTP_LIMIT
        from .adapters.aiohttp import connection_for_aiohttp_request

        self.warn_of_default_realm()

        async def handle_aiohttp_request(request: Any) -> Any:
            is_default = self._has_default_size and self.max_message_size == MESSAGE_LIMIT
            limit = AIOHTTP_LIMIT if is_default else self.max_message_size
            connection = await connection_for_aiohttp_request(request, max_size=limit)
            connection.close_timeout = self.close_timeout
            await self.handle_connection(connection)
            return connection.ws_response

        return handle_aiohttp_request

    def asgi_application(self, paths: Collection[str] | None = None) -> Callable[..., Awaitable[None]]:
        """Return an ASGI 3 application that serves `paths`, or every path; others get 404.

        A path is served if it is in `paths` as it stands or, where it begins with the `root_path` of the scope, if
        the rest is.
        """
        from .adapters.asgi import (
            close_served,
            connection_for_asgi_invocation,
            handle_asgi_lifespan,
            handle_asgi_path_not_found,
            serves_path,
        )

        self.warn_of_default_realm()

        if isinstance(paths, str):
            paths = (paths,)

        async def application_callable(scope: Any, receive: Any, send: Any) -> None:
            if scope['type'] == 'lifespan':
                await handle_asgi_lifespan(receive, send)
            elif paths and not serves_path(scope, paths):
                await handle_asgi_path_not_found(scope, receive, send)
            else:
                connection = await connection_for_asgi_invocation(
                    scope, receive, send, max_size=self.max_message_size
                )
                if connection is not None:
                    connection.close_timeout = self.close_timeout
                    await self.handle_connection(connection)
                    await close_served(connection)

        return application_callable

    def legacy_asgi_application(
        self, paths: Collection[str] | None = None
    ) -> Callable[[Mapping[str, Any]], Callable[..., Awaitable[None]]]:
        """Return the same for servers that speak ASGI 2: called with the scope, it returns a coroutine function."""
        application = self.asgi_application(paths)

        def application_callable(scope: Mapping[str, Any]) -> Callable[..., Awaitable[None]]:
            return partial(application, scope)

        return application_callable

    def websockets_handler(self) -> Callable[[Any], Awaitable[None]]:
        """Return a connection handler for the asyncio and trio servers of the `websockets` library.

        The server has to offer the subprotocols: `serve(handler, ..., subprotocols=SUPPORTED_WS_PROTOCOLS)`,
        see serverwamp_fast.adapters.websockets.
        """
        from .adapters.websockets import connection_for_websocket

        self.warn_of_default_realm()

        async def handle_websocket(ws: Any) -> None:
            connection = await connection_for_websocket(ws, max_size=self.max_message_size)
            if connection is not None:
                connection.close_timeout = self.close_timeout
                await self.handle_connection(connection)

        return handle_websocket

    async def serve(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        path: str | Collection[str] | None = None,
        sock: Any = None,
        unix_path: str | None = None,
        unix_mode: int = 0o666,
        ssl: Any = None,
        backlog: int = 2048,
        reuse_port: bool = False,
        goodbye: bool = True,
    ) -> Server:
        """Start the native server on the running asyncio or uvloop loop; see adapters.native.serve()."""
        from .adapters.native import serve

        return await serve(
            self, host, port, path=path, sock=sock, unix_path=unix_path, unix_mode=unix_mode, ssl=ssl,
            backlog=backlog, reuse_port=reuse_port, goodbye=goodbye,
        )

    def run(
        self,
        host: str | None = '127.0.0.1',
        port: int | None = 8080,
        *,
        path: str | Collection[str] | None = None,
        sock: Any = None,
        unix_path: str | None = None,
        unix_mode: int = 0o666,
        ssl: Any = None,
        backlog: int = 2048,
        reuse_port: bool = False,
        goodbye: bool = True,
    ) -> None:
        """Serve until SIGINT or SIGTERM, on uvloop where it is installed. Takes the options of serve().

        Where it serves is logged, or said on stderr if the program has not set up logging.
        """
        from .adapters.native_run import run

        run(
            self, host, port, path=path, sock=sock, unix_path=unix_path, unix_mode=unix_mode, ssl=ssl,
            backlog=backlog, reuse_port=reuse_port, goodbye=goodbye,
        )


__all__ = [
    'ALWAYS_SYNCHRONIZE',
    'Application',
    'CRAAuthRequirement',
    'CRAIdentityProvider',
    'CRARequirementProvider',
    'CRAResponse',
    'CoreAuthenticator',
    'MutableProtocolRequestHandlerMap',
    'ProtocolRequestHandler',
    'ProtocolRequestHandlerMap',
    'Realm',
    'SessionLifespanHandler',
    'TicketAuthenticator',
    'TransportAuthenticator',
    'abort_on_malformed_msgs',
    'default_protocol_goodbye_handler',
    'default_protocol_rpc_handler',
    'tear_down_handler',
    'verify_cra_response',
]
