"""How the native server takes clients in, as long as there is room for them.

The loops' own servers do not stop at a bound. Without file descriptors left, asyncio's writes thousands of tracebacks a
second, and uvloop's closes the clients' connections without a word. So the server accepts by itself. The exception is
uvloop far from the bound: there its own server is used, because connections that are accepted for it keep a socket
object each, of about 170 bytes.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

logger = logging.getLogger('serverwamp_fast.adapters.native')

PER_TURN = 16       # clients that are accepted before others get a turn of the loop
POLLING = 0.05      # seconds after which a full server looks for room
RETRYING = 1.0      # seconds after which a server without descriptors tries again
SILENCE = 60.0      # seconds between two lines about the same trouble
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Takes clients from one listening socket, which it owns, until close().

    - connect: makes the protocol of a connection
    - count: returns how many connections there are
    - limit: how many there may be, or None
    - options: of loop.connect_accepted_socket(), for TLS
    """

    def __init__(
        self, sock: socket.socket, connect: Callable[[], Any], count: Callable[[], int], *, limit: int | None,
        backlog: int, options: dict[str, Any],
    ) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._connect = connect
        self._count = count
        self._limit = limit
        self._backlog = backlog
        self._options = options
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._last_lines: dict[str, float] = {}
        # Connections that are not connected yet: with TLS, until its handshake is done.
        self.starting: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen, and begin to accept. Raises OSError."""
        self.sock.setblocking(False)
        self.sock.listen(self._backlog)
        if self._uses_own_server():
            await self._start_server()
        else:
            self._watch()

    def close(self) -> None:
        """Accept nobody any more. Those who were accepted before stay."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        else:
            self._pause()
        self.sock.close()

    def give_up(self) -> None:
        """End the connections that are not connected yet."""
        for task in self.starting:
            task.cancel()

    # By the loop's server

    def _uses_own_server(self) -> bool:
        kind = type(self._loop).__module__.partition('.')[0]
        if kind != 'uvloop':
            # The usual loop of Windows has no readers.
            return sys.platform == 'win32'
        # uvloop's server can't be told to stop before it has emptied the system's queue, and does not tell of
        # connections whose TLS handshake is not done.
        return self._options.get('ssl') is None and self._room() > 2 * self._backlog

    def _room(self) -> float:
        return float('inf') if self._limit is None else self._limit - self._count() - len(self.starting)

    async def _start_server(self) -> None:
        loop = self._loop
        # A descriptor of its own: the server closes it, and the socket goes on.
        sock = self.sock.dup()
        options = {**self._options, 'backlog': self._backlog}
        if self.sock.family == getattr(socket, 'AF_UNIX', None):
            if 'cleanup_socket' in inspect.signature(loop.create_unix_server).parameters:
                # From Python 3.13 on; the file is the business of SocketFile.
                options['cleanup_socket'] = False
            self._server = await loop.create_unix_server(self._connect_far, sock=sock, **options)
        else:
            self._server = await loop.create_server(self._connect_far, sock=sock, **options)

    def _connect_far(self) -> Any:
        if self._room() <= 2 * self._backlog and self._timer is None:
            # Not within the server's callback, which goes on to use its socket.
            self._timer = self._loop.call_later(0, self._take_over)
        return self._connect()

    def _take_over(self) -> None:
        """The bound is near: accept one by one from now on."""
        self._timer = None
        if self._server is not None and not self._is_closed:
            self._server.close()
            self._server = None
            self._watch()

    # One by one

    def _watch(self) -> None:
        self._timer = None
        if not self._is_closed:
            self._loop.add_reader(self.sock, self._accept)

    def _pause(self, seconds: float | None = None) -> None:
        """Accept nobody for a while, or for good."""
        self._loop.remove_reader(self.sock)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if self._room() > 0:
            self._watch()
        else:
            self._timer = self._loop.call_later(POLLING, self._go_on)

    def _accept(self) -> None:
        for _ in range(PER_TURN):
            if self._room() <= 0:
                self._say(
                    'full',
                    f'{self._limit} connections are open, as many as Limits.connections allows. Further clients wait '
                    'until one closes. To serve more, raise Limits.connections, and the limit of file descriptors '
                    '(ulimit -n, LimitNOFILE=).',
                )
                self._pause(POLLING)
                return
            try:
                sock, _ = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._say(
                        'exhausted',
                        f'No client can be accepted: {error.strerror}, with {self._count()} connections. Further '
                        'clients wait. Raise the limit of file descriptors (ulimit -n, LimitNOFILE=), or lower '
                        'Limits.connections to what the rest of the program leaves.',
                    )
                    self._pause(RETRYING)
                else:
                    self._say('failed', f'A client could not be accepted: {error}')
                    # It may be the listening socket that is at fault. The loop would come back here at once, for ever.
                    self._pause(POLLING)
                return
            task = self._loop.create_task(self._start_connection(sock))
            self.starting.add(task)
            task.add_done_callback(self.starting.discard)

    async def _start_connection(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._connect, sock, **self._options)
        except Exception as error:
            # Of TLS, or of a client that has left already; the server has nothing to do with it.
            logger.debug('A connection did not begin: %s', error)
            sock.close()

    def _say(self, kind: str, text: str) -> None:
        """Write a line, unless one of its kind was written within the last minute."""
        now = self._loop.time()
        if now - self._last_lines.get(kind, -SILENCE) >= SILENCE:
            self._last_lines[kind] = now
            logger.warning('%s', text)
