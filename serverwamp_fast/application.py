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
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._core.dispatch import Dispatch, InOrder, attach, receive
from ._core.messages import CALL, check
from ._core.states import ACTIONS, STATES, action
from .auth import CRAAuthRequirement, CRAResponse, verify_cra_response
from .errors import ConnectionClosed, PeerAbortedError, WAMPMsgParseError
from .events import SubscriptionHandler
from .handlers import (
    default_protocol_goodbye_handler,
    default_protocol_rpc_handler,
    subscribe,
    tear_down_handler,
    unsubscribe,
)
from .protocol import (
    WAMPGoodbyeRequest,
    WAMPRPCRequest,
    WAMPSubscribeRequest,
    WAMPUnsubscribeRequest,
    request_parser_for_msg_type,
)
from .realm import (
    CoreAuthenticator,
    CRAIdentityProvider,
    CRARequirementProvider,
    Realm,
    SessionLifespanHandler,
    TicketAuthenticator,
    TransportAuthenticator,
    warn_of_old_name,
)
from .rpc import RPCHandler, RPCRouter
from .session import WAMPSession

if TYPE_CHECKING:
    from .adapters.async_base import AsyncSupport
    from .adapters.native import Server

logger = logging.getLogger(__name__)

ProtocolRequestHandler = Callable[[Any, WAMPSession], Awaitable[None]]
ProtocolRequestHandlerMap = Mapping[type, ProtocolRequestHandler]
MutableProtocolRequestHandlerMap = MutableMapping[type, ProtocolRequestHandler]

# Handled to their end before the session's next message; the core's table of states sees to it.
ALWAYS_SYNCHRONIZE = frozenset((WAMPGoodbyeRequest, WAMPSubscribeRequest, WAMPUnsubscribeRequest))

MESSAGE_LIMIT = 1024 * 1024


def __getattr__(name: str) -> Any:
    if name == 'SessionStateHandler':
        warn_of_old_name('SessionStateHandler', 'SessionLifespanHandler')
        return SessionLifespanHandler
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


class Application:
    """A WAMP application: its realms, how its sessions are run, and what serves it.

    - allow_default_realm: whether clients that ask for an unknown realm get the default one; otherwise they are
      answered with `wamp.error.no_such_realm`
    - async_support: the async library's AsyncSupport class; asyncio's by default
    - synchronize_requests: whether a session's requests are handled one after another
    - protocol_request_handlers: functions (request, session) by request class, in place of the built-in ones
    - open_timeout: seconds that a client has from connecting to an open session
    - close_timeout: seconds that a client has to answer GOODBYE or Close
    - max_message_size: bytes of one message, fragments included; a longer one ends the connection with 1009
    """

    def __init__(
        self,
        allow_default_realm: bool = True,
        async_support: type[AsyncSupport] | None = None,
        synchronize_requests: bool = False,
        protocol_request_handlers: ProtocolRequestHandlerMap | None = None,
        *,
        open_timeout: float = 10.0,
        close_timeout: float = 5.0,
        max_message_size: int = MESSAGE_LIMIT,
    ) -> None:
        if async_support is None:
            from .adapters.asyncio import AsyncioAsyncSupport

            async_support = AsyncioAsyncSupport
        self.open_timeout = open_timeout
        self.close_timeout = close_timeout
        self.max_message_size = max_message_size
        self._async_support = async_support
        self._realms: dict[str | None, Realm] = {}
        self._default_realm = Realm() if allow_default_realm else None
        self._protocol_request_handlers: dict[type, ProtocolRequestHandler] = {
            WAMPGoodbyeRequest: default_protocol_goodbye_handler,
            WAMPRPCRequest: default_protocol_rpc_handler,
            WAMPSubscribeRequest: self.default_protocol_subscribe_handler,
            WAMPUnsubscribeRequest: self.default_protocol_unsubscribe_handler,
        }
        self._protocol_request_handlers.update(protocol_request_handlers or {})
        self._synchronize_requests = synchronize_requests
        self._active_sessions: set[WAMPSession] = set()
        self._dispatches: dict[int, tuple[Any, Dispatch]] = {}

    def add_realm(self, realm: Realm) -> None:
        """Add a realm, or replace the one of the same URI."""
        self._realms[realm.uri] = realm

    # Sessions, for every transport

    def new_session(
        self, connection: Any, realm_uri: str, details: Mapping[str, Any], tasks: Any
    ) -> WAMPSession:
        """Return a session for HELLO. Raises LookupError if there is no such realm."""
        realm = self._realms.get(realm_uri, self._default_realm)
        if realm is None:
            raise LookupError(f'There is no realm {realm_uri}.')
        session = WAMPSession(
            connection, realm, tasks, details.get('authid'), details.get('authmethods') or ()
        )
        self._adopt(session)
        return session

    def _adopt(self, session: WAMPSession) -> None:
        self._active_sessions.add(session)
        attach(session, self, self._dispatch_for(session.realm))

    def _dispatch_for(self, realm: Realm) -> Dispatch:
        """Return how the realm's requests are handled, by what has been overridden up to now."""
        rpc_handler = self._protocol_request_handlers[WAMPRPCRequest]
        calls = realm.handle_rpc_call
        key = (realm, rpc_handler, calls, getattr(calls, '__self__', None))
        known = self._dispatches.get(id(realm))
        if known is not None and known[0] == key:
            return known[1]
        delegated = set(self._delegated_codes())
        call_rules = None
        router = getattr(calls, '__self__', None)
        if (
            rpc_handler is default_protocol_rpc_handler
            and getattr(calls, '__func__', None) is RPCRouter.handle_rpc_call
            and isinstance(router, RPCRouter)
            and not router.camel_snake_conversion
        ):
            call_rules = router.call_rules
            delegated.discard(CALL)
        dispatch = Dispatch(call_rules, self._delegate, delegated, self._synchronize_requests)
        self._dispatches[id(realm)] = (key, dispatch)
        return dispatch

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

    async def establish(self, session: WAMPSession) -> bool:
        """Authenticate the session and run the beginning of its lifespan handlers; return whether it goes on."""
        realm = session.realm
        if not await self._start_lifespan_handlers(realm.session_lifespan_handlers, session):
            await session.abort('wamp.error.runtime_error')
            return False
        try:
            await realm.authenticate_session(session)
        except ConnectionClosed:
            # Of this client or, where the authenticator sends to others, of one of them.
            logger.debug('Session %s could not be authenticated.', session.id)
        except Exception:
            logger.exception('Exception from an authenticator for session %s.', session.id)
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
                logger.error('Session lifespan handler %s ended without a yield.', handler)
            except Exception:
                logger.exception('Exception from session lifespan handler %s.', handler)
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
        for handler in session.subscription_exits():
            await tear_down_handler(handler, 'subscription handler', session)
        session.release_subscriptions()
        lifespans, session.lifespan_exits = session.lifespan_exits or (), None
        for handler in reversed(lifespans):
            await tear_down_handler(handler, 'session lifespan handler', session)

    async def _end_and_clean_up(self, session: WAMPSession) -> None:
        if self.end_session(session):
            await self.clean_up(session)

    async def close_sessions(self) -> None:
        """Say GOODBYE to every client, for example when the server shuts down."""
        async with self._async_support.launch_task_group() as tasks:
            for session in list(self._active_sessions):
                await tasks.spawn(session.close, 'wamp.close.system_shutdown')

    def close_later(self, connection: Any) -> Callable[[], None]:
        """Close a connection after close_timeout; return a function that prevents it."""
        return self._async_support.call_later(self.close_timeout, connection.close)

    # Sessions of transports that hand over messages one by one

    async def handle_connection(self, connection: Any) -> None:
        """Serve a connection until it ends: one session, or several one after another."""
        # One iterator for the whole connection: the rest of a batch must not get lost between two sessions.
        msgs = connection.iterate_msgs()
        try:
            while await self._serve_session(connection, msgs):
                pass
        finally:
            aclose = getattr(msgs, 'aclose', None)
            if aclose is not None:
                await aclose()

    async def _serve_session(self, connection: Any, msgs: AsyncIterator[Any]) -> bool:
        """Serve one session, from HELLO on; return whether the client may open another one after it."""
        deadline = monotonic() + self.open_timeout
        message = await self._first_message(connection, msgs)
        if message is None:
            return False
        async with self._async_support.launch_task_group() as tasks:
            try:
                session = self.new_session(connection, message[1], message[2], tasks)
            except LookupError as error:
                await self._abort(connection, 'wamp.error.no_such_realm', str(error))
                return False
            try:
                return await self._run_session(session, msgs, deadline)
            except ConnectionClosed:
                logger.debug('Session %s disconnected before an answer could be sent.', session.id)
                return False
            finally:
                await self._async_support.shield(self._end_and_clean_up, session)

    async def _first_message(self, connection: Any, msgs: AsyncIterator[Any]) -> Any:
        """Return the HELLO that the connection has to begin with, or None if it is over."""
        stop_timer = self._async_support.call_later(
            self.open_timeout, partial(self._abort_late, connection)
        )
        try:
            message = check(await anext(msgs))
            wanted = action(STATES['new'], message[0])
        except StopAsyncIteration:
            return None
        except WAMPMsgParseError as error:
            await self._abort(connection, error.error_uri, str(error))
            return None
        finally:
            stop_timer()
        if wanted == ACTIONS['open']:
            return message
        if wanted == ACTIONS['end']:
            await connection.close()
        else:
            await self._abort(
                connection, 'wamp.error.protocol_violation', 'A session starts with HELLO.'
            )
        return None

    async def handle_session(
        self, session: WAMPSession, msgs: AsyncIterator[Any] | None = None
    ) -> bool:
        """Run a session until it ends; return whether that was by GOODBYE, after which the client may open
        another one on the same connection.
        """
        self._adopt(session)
        return await self._run_session(session, msgs, monotonic() + self.open_timeout)

    async def _run_session(
        self, session: WAMPSession, msgs: AsyncIterator[Any] | None, deadline: float
    ) -> bool:
        connection = session.connection
        stop_timer = self._async_support.call_later(
            max(deadline - monotonic(), 0), partial(self._abort_late, connection)
        )
        try:
            if not await self.establish(session):
                return False
        finally:
            stop_timer()
        if msgs is None:
            msgs = connection.iterate_msgs()
        try:
            async for message in msgs:
                work = receive(session, message)
                if work is None:
                    continue
                if not isinstance(work, InOrder):
                    await _start(session.tasks, work)
                    continue
                await work.work
                if session.has_peer_left and not session.is_open:
                    if session.close_timer is None:
                        return True
                    # It was the server that began to say GOODBYE.
                    await connection.close()
                    return False
        except PeerAbortedError as error:
            logger.info('Session %s ends: %.500r', session.id, str(error))
            session.mark_ended()
            await connection.close()
        except WAMPMsgParseError as error:
            if session.is_closing:
                # Nothing may follow GOODBYE (WAMP BP, "Session Closing").
                logger.warning('Session %s broke the protocol while it closed: %.500r', session.id, str(error))
                await connection.close()
            else:
                session.mark_ended()
                await self._abort(connection, error.error_uri, str(error))
        return False

    async def _abort(self, connection: Any, uri: str, message: str) -> None:
        """End a connection with ABORT, and one line in the log."""
        # The text may quote the client, at any length.
        logger.warning('A session is aborted with %s: %.500r', uri, message)
        await connection.abort(uri, message)

    async def _abort_late(self, connection: Any) -> None:
        """End a connection whose client has used up its time."""
        await self._abort(
            connection,
            'wamp.error.timeout',
            f'No session was opened within {self.open_timeout:g} seconds.',
        )

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

    # The default realm's settings, under the realm's names

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
        self, requirement_provider: CRARequirementProvider, identity_provider: CRAIdentityProvider
    ) -> None:
        """See Realm.set_cra_handlers()."""
        self._enabled_default_realm.set_cra_handlers(requirement_provider, identity_provider)

    def set_ticket_authenticator(self, authenticator: TicketAuthenticator) -> None:
        """See Realm.set_ticket_authenticator()."""
        self._enabled_default_realm.set_ticket_authenticator(authenticator)

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

    # Servers

    def aiohttp_websocket_handler(self) -> Callable[[Any], Awaitable[Any]]:
        """Return a request handler for an aiohttp application's router."""
        from .adapters.aiohttp import connection_for_aiohttp_request

        async def handle_aiohttp_request(request: Any) -> Any:
            connection = await connection_for_aiohttp_request(
                request, max_size=self.max_message_size
            )
            await self.handle_connection(connection)
            return connection.ws_response

        return handle_aiohttp_request

    def asgi_application(self, paths: Collection[str] | None = None) -> Callable[..., Awaitable[None]]:
        """Return an ASGI 3 application that serves `paths`, or every path; others get 404."""
        from .adapters.asgi import (
            connection_for_asgi_invocation,
            handle_asgi_lifespan,
            handle_asgi_path_not_found,
        )

        if isinstance(paths, str):
            paths = (paths,)

        async def application_callable(scope: Any, receive: Any, send: Any) -> None:
            if scope['type'] == 'lifespan':
                await handle_asgi_lifespan(receive, send)
            elif paths and scope['path'] not in paths:
                await handle_asgi_path_not_found(scope, receive, send)
            else:
                connection = await connection_for_asgi_invocation(scope, receive, send)
                if connection is not None:
                    await self.handle_connection(connection)

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

        async def handle_websocket(ws: Any) -> None:
            connection = await connection_for_websocket(ws)
            if connection is not None:
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
        ssl: Any = None,
        backlog: int = 2048,
        reuse_port: bool = False,
    ) -> Server:
        """Start the native server on the running asyncio or uvloop loop; see adapters.native.serve()."""
        from .adapters.native import serve

        return await serve(
            self, host, port, path=path, sock=sock, unix_path=unix_path, ssl=ssl, backlog=backlog,
            reuse_port=reuse_port,
        )

    def run(self, host: str | None = '127.0.0.1', port: int | None = 8080, **options: Any) -> None:
        """Serve until SIGINT or SIGTERM, on uvloop where it is installed. Takes the options of serve()."""
        from .adapters.native import run

        run(self, host, port, **options)


async def _start(tasks: Any, work: Coroutine[Any, Any, None]) -> None:
    """Start work of the core in a task group, which may be anything that has spawn()."""
    spawn_eagerly = getattr(tasks, 'spawn_eagerly', None)
    if spawn_eagerly is not None:
        await spawn_eagerly(work)
    else:
        await tasks.spawn(lambda: work)


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
    'default_protocol_goodbye_handler',
    'default_protocol_rpc_handler',
    'tear_down_handler',
    'verify_cra_response',
]
