"""The native server: WAMP over WebSocket on asyncio and uvloop, without a web framework in between.

The core's transport does the work; here are the face of a connection towards handlers, and the server object.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextvars import copy_context
from ssl import SSLContext
from typing import Any

from .._core.native.hubs import Hub
from .._core.native.peers import WAMPPeer
from .._core.wire.messages import check
from ..application import Application
from ..async_support import AsyncTaskGroup
from ..clients import client_name
from ..connection import SERVICE_RESTART, Connection
from ..errors import CannotServe, ConnectionClosed, UnsuitableAsyncSupport
from ..protocol import abort_msg
from ..session import WAMPSession
from .accepting import Acceptor
from .asyncio import AsyncioAsyncSupport
from .http_info import build_transport_info, encode_headers, read_tls_unique
from .native_handshake import Handshake, reading
from .repeated_handshakes import RepeatedHandshakes
from .socket_files import SocketFile

logger = logging.getLogger(__name__)

CUT_OFF_TIME = 1.0  # seconds that cancelled tasks have at the second signal


class NativeConnection(WAMPPeer, asyncio.BufferedProtocol):
    """A client's connection, as `session.connection`."""

    # Of the dict only the place: it is made when a handler sets an attribute.
    __slots__ = ('__dict__', '__weakref__', '_info')
    _info: dict[str, Any]

    @property
    def transport_info(self) -> dict[str, Any]:
        """What is known of the client's HTTP request and address; see adapters.http_info for the keys."""
        # Worked out when somebody asks: most never do, and it takes more memory than all else of a connection.
        try:
            return self._info
        except AttributeError:
            self._info = self._read_info()
        return self._info

    def _read_info(self) -> dict[str, Any]:
        with reading(self.head) as (_, request):
            assert request is not None
            headers, path = encode_headers(request.headers.raw_items()), request.path
        return build_transport_info(
            headers,
            path,
            self._find_peername(),
            self.transport.get_extra_info('ssl_object'),
        )

    def _find_peername(self) -> Any:
        return self.transport.get_extra_info('peername')

    def tls_unique(self) -> bytes | None:
        """The TLS channel binding of type tls-unique, or None; see Connection.tls_unique()."""
        return read_tls_unique(self.transport.get_extra_info('ssl_object'))

    async def send_msg(self, msg: Sequence[Any]) -> None:
        """Send a message; waits while the client doesn't read. Raises ConnectionClosed, SerializationError."""
        congestion = self.put(msg)
        if congestion is not None:
            await congestion

    async def send_msgs(self, msgs: Iterable[Sequence[Any]]) -> None:
        """Send messages, in one batch where the subprotocol has batches; see send_msg()."""
        batch = list(msgs)
        # A batch without a message would make the client fail the connection (WAMP AP, "Batched Transport").
        congestion = self.put_all(batch) if batch else None
        if congestion is not None:
            await congestion

    async def close(self) -> None:
        """Close the connection, after what was sent before."""
        self.start_close()

    async def close_for_restart(self) -> None:
        """Close the connection with the code 1012, "Service Restart", after what was sent before."""
        self.start_close(SERVICE_RESTART)

    async def abort(self, reason_uri: str = 'no_reason', msg: str | None = None) -> None:
        """Send ABORT and close the connection."""
        with contextlib.suppress(ConnectionClosed):
            self.put(abort_msg(reason_uri, msg))
        self.start_close()

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        """Yield the client's messages, where the application reads them itself."""
        while (item := self.next_item()) is not None:
            is_message, value = item
            if is_message:
                yield value
            else:
                await value


Connection.register(NativeConnection)


class TLSConnection(NativeConnection):
    """The same with TLS, whose transports forget the client's address when it leaves."""

    __slots__ = ('_peername',)

    def connection_made(self, transport: Any) -> None:
        """Start to serve a client."""
        self._peername = transport.get_extra_info('peername')
        super().connection_made(transport)

    def _find_peername(self) -> Any:
        return self._peername


class SessionTasks(AsyncTaskGroup):
    """The task group of a session. The hub keeps the tasks: this is only made for who asks."""

    def __init__(self, hub: Hub, session: WAMPSession) -> None:
        self._hub = hub
        self._session = session

    async def spawn(self, callback: Any, *callback_args: Any, **callback_kwargs: Any) -> None:
        """Start a task. Like any other it runs in a copy of the context it is started in."""
        self._hub.spawn(callback(*callback_args, **callback_kwargs), copy_context(), self._session)

    async def cancel(self) -> None:
        """Cancel the tasks of the session: its calls, and what it has spawned."""
        self._hub.cancel_tasks(self._session)


def find_support(module: str, name: str) -> Any:
    """Return one of this package's async supports if it has been imported, else None."""
    return getattr(sys.modules.get(f'{__package__}.{module}'), name, None)


def is_anyio(support: type) -> bool:
    """Whether it is this package's support of anyio, whose tasks are asyncio's here."""
    return support is find_support('anyio', 'AnyioAsyncSupport')


def is_trio(support: type) -> bool:
    """Whether it is this package's support of trio, or comes from it."""
    trio_support = find_support('trio', 'TrioAsyncSupport')
    return trio_support is not None and issubclass(support, trio_support)


def describe(task: asyncio.Task[Any]) -> str:
    """Name what a task is in the midst of, from the outermost coroutine on."""
    work: Any = task.get_coro()
    names = []
    if (procedure_uri := getattr(work, 'procedure_uri', None)) is not None:
        names.append(f'call of {procedure_uri}')
    while work is not None:
        if (name := getattr(work, '__qualname__', None)) is not None and work is not task.get_coro():
            names.append(name)
        work = getattr(work, 'cr_await', None)
    return ' > '.join(names) or repr(task.get_coro())


async def bind(loop: asyncio.AbstractEventLoop, host: Any, port: Any, reuse_port: bool) -> list[socket.socket]:
    """Return sockets bound as loop.create_server() binds them. Raises OSError."""
    try:
        # Only for its knowledge of hosts, families and options: nothing is served by it.
        server = await loop.create_server(
            asyncio.Protocol, host, port, reuse_port=reuse_port or None, start_serving=False
        )
    except OSError as error:
        explain_taken_port(error, host, port)
        raise
    try:
        return [socket.socket(fileno=os.dup(sock.fileno())) for sock in server.sockets]
    finally:
        server.close()


def explain_taken_port(error: BaseException, host: Any, port: Any) -> None:
    """Raise an error of the same kind that says what to do, if the error is that the port is taken."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE and port is not None:
        text = f'Something else listens on port {port} of {host or "this machine"} already. Take another port.'
        raise OSError(errno.EADDRINUSE, text) from error


class Server:
    """A running native server; an async context manager that closes it."""

    def __init__(
        self, app: Application, paths: Collection[str] | None, is_secure: bool = False, goodbye: bool = True
    ) -> None:
        loop = asyncio.get_running_loop()
        self._goodbye = goodbye
        self._app = app
        self._hub = Hub(
            loop,
            RepeatedHandshakes(Handshake(paths).negotiate).negotiate,
            app.open_timeout,
            app.close_timeout,
            app.max_message_size,
        )
        self._kind = TLSConnection if is_secure else NativeConnection
        self._acceptors: list[Acceptor] = []
        self._socket_file: SocketFile | None = None
        self._closing: asyncio.Task[None] | None = None
        # An application that drives sessions in a way of its own keeps it, in a task for each connection.
        self._reads_itself = (
            app.overrides('handle_connection')
            or app.overrides('handle_session')
            or app._async_support is not AsyncioAsyncSupport and not is_anyio(app._async_support)
        )

    async def _listen(
        self, sock: Any, host: Any, port: Any, unix_path: str | None, unix_mode: int, backlog: int, reuse_port: bool,
        options: dict[str, Any],
    ) -> None:
        if unix_path is not None:
            self._socket_file = SocketFile(unix_path, unix_mode)
            listening = [self._socket_file.bind()]
        else:
            listening = [sock] if sock is not None else await bind(self._hub.loop, host, port, reuse_port)
        connections = self._hub.connections
        self._acceptors = [
            Acceptor(
                each, self._connect, connections.__len__, limit=self._app.limits.connections, backlog=backlog,
                options=options,
            )
            for each in listening
        ]
        try:
            for acceptor in self._acceptors:
                await acceptor.start()
        except BaseException as error:
            self._stop_listening()
            explain_taken_port(error, host, port)
            raise

    def _stop_listening(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        if self._socket_file is not None:
            self._socket_file.remove()

    def _connect(self) -> NativeConnection:
        return self._kind(self._hub, self)

    # For the connections; see WAMPPeer

    def consume(self, peer: NativeConnection) -> bool:
        if self._reads_itself:
            self._hub.spawn(self._let_read(peer))
        return self._reads_itself

    async def _let_read(self, peer: NativeConnection) -> None:
        """Let the application handle a connection in its own way; it is closed when that has come to an end."""
        try:
            await self._app.handle_connection(peer)
        except ConnectionClosed:
            logger.debug('The client disconnected before an answer could be sent to %s.', client_name(peer))
        except Exception:
            logger.exception(
                'Unhandled exception from %s.handle_connection(), for %s.', type(self._app).__name__, client_name(peer)
            )
            peer.start_close(1011)
        finally:
            peer.start_close()
            peer.stop_consuming()

    def open_session(self, peer: NativeConnection, message: Any) -> tuple[WAMPSession, Any]:
        if self._app.strict_uris:
            # The core has checked it by the loose rules.
            check(message, strict=True)
        session = self._app.new_session(peer, message[1], message[2], None)
        realm = session.realm
        if (
            realm.session_lifespan_handlers
            or realm.authed_session_lifespan_handlers
            or not realm.lets_everyone_in
        ):
            return session, self._establish(session, peer)
        session.identity = None
        session.mark_welcomed()
        peer.put(session.welcome())
        session.mark_open()
        return session, None

    async def _establish(self, session: WAMPSession, peer: NativeConnection) -> bool:
        """Open a session, in a task that session.stop_opening() cancels."""
        task = asyncio.current_task()
        assert task is not None
        session.cancel_opening = task.cancel
        try:
            return await self._app.establish(session, peer.next_while_opening)
        finally:
            session.cancel_opening = None

    def end_session(self, session: WAMPSession) -> None:
        if self._app.end_session(session):
            context = session.context
            self._hub.spawn(
                self._app.clean_up(session), None if context is None else context.copy()
            )

    def session_tasks(self, session: WAMPSession) -> SessionTasks:
        return SessionTasks(self._hub, session)

    # For users

    @property
    def sockets(self) -> Sequence[Any]:
        """The listening sockets."""
        return () if self._closing else tuple(acceptor.sock for acceptor in self._acceptors)

    def close(self) -> None:
        """Stop listening and end every session, as serve() was told to; wait_closed() waits for the end of it."""
        if self._closing is None:
            self._hub.is_closing = True
            self._stop_listening()
            # A procedure may be what closes the server.
            self._closing = self._hub.run(self._hub.loop.create_task, self._wind_up())

    async def wait_closed(self) -> None:
        """Wait until all connections are closed and all handlers have ended, after close().

        Clients have `close_timeout` to answer GOODBYE, and handlers as long again before they are cancelled. Those
        that don't end then either are named in the log, and left.
        """
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _wind_up(self) -> None:
        hub = self._hub
        for connection in tuple(hub.connections):
            session = connection.current_session
            if not self._goodbye:
                self._close_for_restart(connection, session)
            elif session is not None and session.is_open:
                # In tasks: a client that doesn't read must not keep the others waiting.
                hub.spawn(session.close('wamp.close.system_shutdown'))
            elif session is not None and not (session.is_closing or session.has_ended):
                # It still waits for WELCOME.
                hub.spawn(session.abort('wamp.close.system_shutdown'))
            elif connection.is_closed or not self._reads_itself:
                connection.start_close(1001)
        if self._reads_itself:
            hub.spawn(self._app.close_sessions(goodbye=self._goodbye))
        patience = self._app.close_timeout
        # Clients have the time for GOODBYE, then for Close; the transport sees to both, this is for its failures.
        await asyncio.wait([hub.wait_empty()], timeout=2 * patience + 1)
        # Handlers have as long to end, then to end when they are cancelled, and what cleans up after them too.
        give_up = hub.loop.time() + 4 * patience + 1
        while (hub.connections or hub.tasks) and hub.loop.time() < give_up:
            self._abort_connections()
            # A connection needs a turn of the loop to end, and some more if messages of its client wait.
            _, late = await asyncio.wait([*hub.tasks, hub.wait_empty()], timeout=patience)
            for task in hub.tasks.keys() & late:
                task.cancel()
        for acceptor in self._acceptors:
            acceptor.give_up()
        if hub.tasks:
            logger.error(
                'The server ends without handlers that go on although they have been cancelled: %.500r',
                ', '.join(sorted(map(describe, hub.tasks))),
            )

    @staticmethod
    def _close_for_restart(connection: NativeConnection, session: WAMPSession | None) -> None:
        if session is not None:
            if session.is_closing:
                # GOODBYE was said before; what follows it is Close 1000.
                return
            session.mark_ended()
            session.stop_opening()
        connection.start_close(SERVICE_RESTART)

    def _abort_connections(self) -> None:
        for connection in tuple(self._hub.connections):
            self._hub.run(connection.transport.abort)

    async def _cut_off(self) -> None:
        """End now, whatever is under way."""
        if self._closing is not None:
            self._closing.cancel()
        self._abort_connections()
        for acceptor in self._acceptors:
            acceptor.give_up()
        for task in self._hub.tasks:
            task.cancel()
        # So that they get to know it.
        await asyncio.wait([*self._hub.tasks, self._hub.wait_empty()], timeout=CUT_OFF_TIME)

    async def serve_forever(self) -> None:
        """Serve until cancelled; then close, and wait for the end of it."""
        try:
            await self._hub.loop.create_future()
        finally:
            self.close()
            await self.wait_closed()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()
        await self.wait_closed()


# The module that the command line imports to find an application in, while it does.
_being_imported: str | None = None


@contextlib.contextmanager
def refusing_servers(module: str) -> Iterator[None]:
    """Let serve() raise CannotServe meanwhile: a module that is imported must not run a server of its own."""
    global _being_imported
    _being_imported = module
    try:
        yield
    finally:
        _being_imported = None


def refuse_in_import() -> None:
    """Raise CannotServe where a module runs a server while the command line imports it."""
    if _being_imported is not None:
        raise CannotServe(
            f"The module {_being_imported!r} runs a server while it is imported, instead of leaving that to the "
            f"command line. Put the call of run() below: if __name__ == '__main__':"
        )


async def serve(
    app: Application,
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
    """Start serving an application on the running loop, and return the Server.

    - host, port: where to listen, as for loop.create_server(); port 0 takes a free one
    - path: one path or several, as in a URL or decoded; None serves every path. A request for another gets 404.
    - sock: a bound socket to listen on, instead of host and port
    - unix_path: the path of a Unix socket to listen on, instead of host and port; its file is removed at the end
    - unix_mode: the permissions of that file, whatever the umask; by default everybody may connect, such as a proxy
      that runs as another user
    - ssl: an ssl.SSLContext for TLS
    - backlog: connections that may wait to be accepted
    - reuse_port: whether several processes may listen on the port
    - goodbye: whether close() ends sessions with GOODBYE and Close 1000, or with Close 1012 alone, after which more
      clients reconnect by themselves; see Application.close_sessions()

    Raises OSError if it can't listen there, ValueError if the arguments exclude each other, the port or a path is
    none, there is no path, or unix_mode is no file mode, TypeError if `ssl` is something else, and
    UnsuitableAsyncSupport, a RuntimeError, if the application's async support does not run on asyncio.
    """
    refuse_in_import()
    app.warn_of_default_realm()
    if sum((sock is not None, unix_path is not None, port is not None)) != 1 or (port is None and host is not None):
        raise ValueError('Say where to listen: with host and port, with sock, or with unix_path.')
    if isinstance(port, int) and not 0 <= port <= 65535:
        # uvloop would take what is left of it in 16 bits.
        raise ValueError(f'Ports go from 0 to 65535, so {port} is none.')
    if is_trio(app._async_support):
        raise UnsuitableAsyncSupport(
            'The native server runs on asyncio and uvloop. For an application on trio use asgi_application() with '
            'hypercorn, or websockets_handler() with the trio server of websockets.'
        )
    if ssl is not None and not isinstance(ssl, SSLContext):
        raise TypeError(f'ssl takes an ssl.SSLContext, not {type(ssl).__name__}.')
    paths = (path,) if isinstance(path, str) else path
    if paths is not None and not paths:
        raise ValueError('No path would be served. None serves every path.')
    for served in paths or ():
        if not served.startswith('/'):
            raise ValueError(f'The path of a URL begins with a slash; {served!r} does not.')
    if isinstance(unix_mode, bool) or not isinstance(unix_mode, int) or not 0 <= unix_mode <= 0o777:
        raise ValueError(f'unix_mode is a file mode from 0 to 0o777, such as 0o660; {unix_mode!r} is not.')
    options: dict[str, Any] = {'ssl': ssl}
    if ssl is not None:
        # Until its handshake is done, TLS keeps a connection to itself.
        options['ssl_handshake_timeout'] = app.open_timeout
        options['ssl_shutdown_timeout'] = app.close_timeout
    server = Server(app, paths, is_secure=ssl is not None, goodbye=goodbye)
    await server._listen(sock, host, port, unix_path, unix_mode, backlog, reuse_port, options)
    return server
