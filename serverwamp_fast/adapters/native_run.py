"""The native server as a program: it runs until SIGINT or SIGTERM, and says where it serves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from ..application import Application
from ..helpers import format_sockaddr
from .native import CUT_OFF_TIME, Server, refuse_in_import, serve

logger = logging.getLogger(__name__)


class CannotListen(SystemExit):
    """The place to listen at is not to be had. Where nobody catches it, Python prints the sentence and exits with 1."""


def run(app: Application, host: str | None, port: int | None, **options: Any) -> None:
    """Serve until SIGINT or SIGTERM; then end every session and return. A second signal ends it at once.

    Raises CannotListen, a SystemExit whose cause is the OSError, and what serve() raises otherwise.
    """
    refuse_in_import()
    if options.get('sock') is not None or options.get('unix_path') is not None:
        host = port = None
    # Happens when the first signal comes.
    asked = asyncio.Event()
    listening = False

    async def listen() -> Server:
        nonlocal listening
        server = await serve(app, host, port, **options)
        listening = True
        return server

    try:
        _run_to_end(_serve_until_signal(listen, options, asked))
    except KeyboardInterrupt:
        # Of the server nothing is left, and a further signal only says that even closing the loop takes too long.
        if not asked.is_set():
            raise
    except (OSError, UnicodeError) as error:
        # UnicodeError: of a host that can't be a name.
        if listening:
            raise
        place = options.get('unix_path') or options.get('sock') or f'{host} port {port}'
        reason = str(getattr(error, 'strerror', None) or error).removesuffix('.')
        raise CannotListen(f'The server can not listen at {place}: {reason}.') from error


def _run_to_end(serving: Coroutine[Any, Any, bool]) -> None:
    """Run a coroutine on a loop of its own; where it returns that tasks are left, nobody waits for these."""
    runner = asyncio.Runner(loop_factory=_loop_factory())
    is_stuck = False
    try:
        is_stuck = runner.run(serving)
    finally:
        if is_stuck:
            # The runner would wait for tasks that don't end.
            runner.get_loop().close()
        else:
            runner.close()


def _loop_factory() -> Any:
    """Return uvloop's loop factory where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def announce(server: Server, path: str | Collection[str] | None, is_secure: bool) -> None:
    """Tell the user where a server serves: in the log, or on stderr if nobody has set up logging."""
    paths = (path,) if isinstance(path, str) else path or ('/',)
    places = ', '.join(
        format_url(listening, path, is_secure) for listening in server.sockets for path in paths
    )
    if logger.hasHandlers():
        logger.info('Serving WAMP at %s.', places)
    else:
        print(f'Serving WAMP at {places}.', file=sys.stderr, flush=True)


def format_url(listening: Any, path: str, is_secure: bool) -> str:
    """Return the URL of a path behind a listening socket."""
    scheme = 'wss' if is_secure else 'ws'
    address = listening.getsockname()
    if not isinstance(address, tuple):
        # A Unix socket, written as proxies write it. Linux has abstract ones too: NUL, shown as @, and a name.
        place = os.fsdecode(address).replace('\0', '@', 1)
        return f'{scheme}://unix:{place}:{path}'
    return f'{scheme}://{format_sockaddr(listening.family, address)}{path}'


async def _serve_until_signal(
    listen: Callable[[], Awaitable[Server]], options: dict[str, Any], asked: asyncio.Event
) -> bool:
    """Serve until `asked` is set, by a signal; return whether tasks are left that do not end."""
    loop = asyncio.get_running_loop()
    hurried = asyncio.Event()
    server = await listen()
    handled = []
    for signum in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(signum, lambda: (hurried if asked.is_set() else asked).set())
        except (NotImplementedError, RuntimeError, ValueError):
            # Windows' loops have no signal handlers: Ctrl-C arrives as KeyboardInterrupt there. And a thread other
            # than the main one gets no signals.
            break
        handled.append(signum)
    announce(server, options.get('path'), is_secure=options.get('ssl') is not None)
    try:
        await asked.wait()
    finally:
        server.close()
        closing = loop.create_task(server.wait_closed())
        hurrying = loop.create_task(hurried.wait())
        await asyncio.wait((closing, hurrying), return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if not closing.done():
            logger.warning('The server ends at once, because it has been told so a second time.')
            await server._cut_off()
        for signum in handled:
            # From here on a signal does what it does to any program.
            loop.remove_signal_handler(signum)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if not (hurried.is_set() or rest & server._hub.tasks.keys()):
        return False
    for task in rest:
        task.cancel()
    _, stuck = await asyncio.wait(rest, timeout=CUT_OFF_TIME) if rest else (rest, rest)
    return bool(stuck)
