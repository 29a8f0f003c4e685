"""Drives the sessions of connections that hand over messages one by one: of aiohttp, ASGI, websockets and of users.

The native server has callbacks instead, see the core's `peers`; what its sessions do is the same.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._core.dealer.calls import Call, hold
from ._core.dialogue.dispatch import InOrder, receive
from ._core.dialogue.intakes import Begun, Intake
from ._core.session.states import ACTIONS, STATES, action
from ._core.wire.messages import ABORT, check
from .clients import client_name, session_name
from .connection import PayloadConnection
from .errors import ConnectionClosed, NoSuchRealmError, PeerAbortedError, WAMPMsgParseError
from .reading import ReadAhead

if TYPE_CHECKING:
    from .application import Application
    from .async_support import CancellableManager, Event
    from .session import WAMPSession

logger = logging.getLogger('serverwamp_fast.application')

# Messages of one connection after which the others get a turn: a batch may bring a great many at once.
BUDGET = 64
END = object()
NOTHING = object()


class ConnectionDriver:
    """Drives the sessions of one connection, one after another.

    `msgs` is one iterator for the whole connection: the rest of a batch must not get lost between two sessions.
    Without it the connection is one that `takes_payloads`.
    """

    def __init__(self, app: Application, connection: Any, msgs: AsyncIterator[Any] | None) -> None:
        self._app = app
        self._support = app._async_support
        self._connection = connection
        self._msgs = msgs
        self._intake = Intake(connection) if msgs is None else None
        # What was read while a session was being opened: a message, END, or the error that reading ended with.
        self._ahead: Any = NOTHING
        # Happens when that has been read, where an authenticator waits for it.
        self._arrival: Event | None = None
        self._count = 0
        if self._intake is None:
            self._reading = ReadAhead(self._support, self._read_message, None, END, app.max_message_size)
        else:
            self._reading = ReadAhead(
                self._support, connection.receive_payload, self._intake.decode, None, app.max_message_size
            )

    async def serve(self) -> None:
        """Serve the connection until it ends."""
        deadline = monotonic() + self._app.open_timeout
        hello = await self._first_message()
        if hello is None:
            return
        # The tasks are the connection's: a session that has ended may leave calls behind that take their time, and
        # the next one doesn't wait for them.
        async with self._support.launch_task_group() as tasks:
            while hello is not None and await self._serve_session(hello, tasks, deadline):
                deadline = monotonic() + self._app.open_timeout
                hello = await self._first_message()

    async def _first_message(self) -> Any:
        """Return the HELLO that a session has to begin with, or None if the connection is over."""
        stop_timer = self._support.call_later(self._app.open_timeout, self._abort_silent)
        try:
            message = await self._next_message()
            if message is END:
                return None
            message = check(message, self._app.strict_uris)
            wanted = action(STATES['new'], message[0])
        except WAMPMsgParseError as error:
            await self._abort(error.error_uri, str(error))
            return None
        finally:
            stop_timer()
        if wanted == ACTIONS['open']:
            return message
        if wanted == ACTIONS['end']:
            logger.info(
                'Ended the connection of %s, which aborted before a session was open: %.500r',
                client_name(self._connection),
                message[2],
            )
            await self._connection.close()
        else:
            await self._abort('wamp.error.protocol_violation', 'A session starts with HELLO.')
        return None

    async def _serve_session(self, hello: Any, tasks: Any, deadline: float) -> bool:
        """Serve one session; return whether the client may open another one after it."""
        try:
            session = self._app.new_session(self._connection, hello[1], hello[2], tasks)
        except NoSuchRealmError as error:
            await self._abort('wamp.error.no_such_realm', str(error))
            return False
        # What is done for the session without a call of its own, such as sending what others publish, runs in a copy.
        session.context = copy_context()
        if isinstance(self._connection, PayloadConnection):
            # For what the connection itself has to say to the log.
            self._connection.current_session = session
        try:
            if self._app.overrides('handle_session'):
                return await self._app.handle_session(session, self._msgs)
            return await self.run_session(session, deadline)
        except WAMPMsgParseError as error:
            # From a handle_session() that reads by itself.
            await self._abort(error.error_uri, str(error), session=session)
            return False
        except ConnectionClosed:
            logger.debug('The client disconnected before an answer could be sent to %s.', session_name(session))
            return False
        finally:
            if isinstance(self._connection, PayloadConnection):
                self._connection.current_session = None
            # Most sessions end with nothing left to run.
            if self._app.end_session(session):
                await self._support.shield(self._app.clean_up, session)

    async def run_session(self, session: WAMPSession, deadline: float) -> bool:
        """Open a session and run it until it ends; return whether that was by GOODBYE, after which the client may
        open another one on the same connection.
        """
        try:
            if not await self._open(session, deadline):
                return False
            # Authenticators may have set variables.
            session.context = copy_context()
            while (work := await self._next_work(session)) is not END:
                if isinstance(work, InOrder):
                    if session.has_peer_left:
                        # Calls that came before GOODBYE, and whose tasks start later, can still answer.
                        await self._support.checkpoint()
                    await self._run_in_order(session, work.work)
                    if session.has_peer_left and not session.is_open:
                        if session.close_timer is None:
                            return True
                        # It was the server that began to say GOODBYE.
                        await self._connection.close()
                        return False
                elif work is not None:
                    await _start(session.tasks, work)
                if self._count >= BUDGET:
                    self._count = 0
                    await self._support.checkpoint()
                if session.is_congested:
                    await self._wait_for_relief(session)
        except PeerAbortedError as error:
            logger.info('Ended %s: %.500r', session_name(session), str(error))
            session.mark_ended()
            await self._connection.close()
        except WAMPMsgParseError as error:
            if session.is_closing:
                # Nothing may follow GOODBYE (WAMP BP, "Session Closing").
                logger.warning(
                    'The protocol was broken while it closed by %s: %.500r', session_name(session), str(error)
                )
                await self._connection.close()
            else:
                session.mark_ended()
                await self._abort(error.error_uri, str(error), session=session)
        finally:
            if not session.has_peer_left:
                self._reading.cancel()
        return False

    async def _run_in_order(self, session: WAMPSession, work: Awaitable[None]) -> None:
        """Run work that the session's next message has to wait for."""
        if not isinstance(work, Call):
            await self._run_reading(session, work, None)
        elif (scope := self._support.cancellable()) is not None:
            async with scope as cancel:
                await self._run_reading(session, work, cancel)
        elif work.has_timeout:
            # In a task of its own, for its timeout to cancel.
            async with self._support.launch_task_group() as tasks:
                await _start(tasks, work)
        else:
            await work

    async def _run_reading(
        self, session: WAMPSession, work: Awaitable[None], cancel: Callable[[], None] | None
    ) -> None:
        """Run work that `cancel` cancels. Where it takes more than one step, the client is read meanwhile."""
        begun = Begun(work)
        if begun.start():
            return
        try:
            if isinstance(work, Call):
                hold(work, cancel)
            if not session.has_peer_left:
                await self._read_ahead_of(session)
        except BaseException:
            begun.close()
            raise
        try:
            await begun
        finally:
            self._reading.stop()

    async def _read_ahead_of(self, session: WAMPSession) -> None:
        if self._ahead is END or isinstance(self._ahead, Exception):
            # That was noticed while the session was being opened.
            return
        await self._reading.start(session)
        if self._intake is not None and not self._reading.is_idle:
            self._intake.read_from(self._take_payload)

    async def _take_payload(self) -> Any:
        payload = await self._reading.take()
        if self._intake is not None and self._reading.is_idle:
            self._intake.read_from(None)
        return payload

    async def _read_message(self) -> Any:
        return await anext(self._msgs, END)  # type: ignore[arg-type]

    async def _next_work(self, session: WAMPSession) -> Any:
        """Return what the next messages ask for, as receive() does, or END. None: they have been dealt with."""
        intake = self._intake
        if intake is None or self._ahead is not NOTHING:
            message = await self._next_message()
            self._count += 1
            return END if message is END else receive(session, message)
        if intake.is_over:
            return END
        working = intake.work_for(session, self._eager_starter(session.tasks), BUDGET - self._count)
        await working
        self._count = BUDGET - working.budget
        return working.work

    @staticmethod
    def _eager_starter(tasks: Any) -> Any:
        """Return what a task group starts calls with, where nobody needs to wait for that."""
        kind = type(tasks)
        starter = getattr(kind, 'eager_starter', None)
        # A class that says how to spawn is asked that way, unless it says both.
        if starter is None or kind.__dict__.get('eager_starter') is not starter:
            return None
        return tasks.eager_starter()

    async def _read(self) -> Any:
        """Return the next message that comes in, or END."""
        if self._intake is None:
            return await self._reading.take()
        await self._intake.fetch()
        return self._intake.take(END)

    async def _next_message(self) -> Any:
        """Return the next message, or END."""
        ahead, self._ahead = self._ahead, NOTHING
        if ahead is NOTHING:
            return await self._read()
        if isinstance(ahead, Exception):
            raise ahead
        return ahead

    async def _wait_for_relief(self, session: WAMPSession) -> None:
        """Wait until the client reads what was sent to it: it doesn't get to ask for more before that."""
        relief = self._support.new_event()
        if relief is not None:
            session.call_on_relief(relief.set)
            await relief.wait()

    # Opening

    async def _open(self, session: WAMPSession, deadline: float) -> bool:
        """Let the application establish a session within its time; return whether it goes on."""
        stop_timer = self._support.call_later(
            max(deadline - monotonic(), 0), partial(self._expire, session)
        )
        try:
            realm = session.realm
            scope = self._support.cancellable() if self._support.new_event() is not None else None
            if scope is None or (realm.lets_everyone_in and not realm.session_lifespan_handlers):
                # Nothing in there waits for anybody, or else it can't be cancelled.
                return await self._app.establish(session, self._receive)
            return await self._open_watched(session, scope)
        finally:
            stop_timer()

    async def _open_watched(self, session: WAMPSession, scope: CancellableManager) -> bool:
        """The same, until the client leaves. One message is read ahead, as that is how to notice it."""
        established = False
        failure = None
        async with self._support.launch_task_group() as reading:
            await reading.spawn(self._read_ahead, session)
            try:
                async with scope as session.cancel_opening:
                    established = await self._app.establish(
                        session, partial(self._receive_watched, session, reading)
                    )
            except Exception as error:
                # It would leave the group as an exception group.
                failure = error
            finally:
                session.cancel_opening = None
            if not established:
                await reading.cancel()
        if failure is not None:
            raise failure
        if not established and not session.has_ended and is_abort(self._ahead):
            raise PeerAbortedError(f'The client aborted the session: {self._ahead[2]}')
        return established

    async def _read_ahead(self, session: WAMPSession) -> None:
        try:
            self._ahead = await self._read()
        except (ConnectionClosed, WAMPMsgParseError) as error:
            self._ahead = error
        is_gone = self._ahead is END or isinstance(self._ahead, ConnectionClosed)
        # Who has decided about the session already may have other things to do.
        if session.was_welcomed or session.has_ended:
            pass
        elif is_gone:
            logger.debug('The client left while it was being let in: %s', session_name(session))
            session.stop_opening()
        elif self._arrival is None and is_abort(self._ahead):
            # It ends everything in any state. Only an authenticator that waits for a message is given it.
            session.stop_opening()

        if self._arrival is not None:
            self._arrival.set()

    async def _receive(self) -> Any:
        """Return the next message, for an authenticator that has asked the client. Raises ConnectionClosed."""
        message = await self._next_message()
        if message is END:
            raise ConnectionClosed('The client has left.')
        return message

    async def _receive_watched(self, session: WAMPSession, reading: Any) -> Any:
        """The same where messages are read ahead, of which the next one is again."""
        if self._ahead is NOTHING:
            arrival = self._arrival = self._support.new_event()
            # _open() has seen to it that there are events.
            assert arrival is not None
            try:
                await arrival.wait()
            finally:
                self._arrival = None
        message = await self._receive()
        await reading.spawn(self._read_ahead, session)
        return message

    # Ends

    async def _expire(self, session: WAMPSession) -> None:
        """End a session that has used up its time, unless it is open."""
        if session.is_open or session.is_closing or session.has_ended:
            return
        session.mark_ended()
        # In a task that the connection waits for: the authenticator may take its time to be cancelled.
        await session.spawn_task(
            # WELCOME may be on its way, to a client that doesn't read. Nothing gets past it.
            self._connection.close if session.was_welcomed else partial(self._abort_late, session=session)
        )
        session.stop_opening()

    async def _abort_late(self, level: int = logging.WARNING, session: WAMPSession | None = None) -> None:
        """End a connection whose client has used up its time."""
        seconds = self._app.open_timeout
        await self._abort('wamp.error.timeout', f'No session was opened within {seconds:g} seconds.', level, session)

    async def _abort_silent(self) -> None:
        """End a connection whose client has not said HELLO."""
        # Of such clients there may be many, and nothing is wrong with the server.
        await self._abort_late(logging.INFO)

    async def _abort(
        self, uri: str, message: str, level: int = logging.WARNING, session: WAMPSession | None = None
    ) -> None:
        """End the connection with ABORT, and one line in the log."""
        # The text may quote the client, at any length.
        logger.log(level, 'Aborted %s with %s: %.500r', client_name(self._connection, session), uri, message)
        await self._connection.abort(uri, message)


def is_abort(message: Any) -> bool:
    """Whether something is a message, and ABORT."""
    try:
        return bool(check(message)[0] == ABORT)
    except WAMPMsgParseError:
        return False


async def _start(tasks: Any, work: Coroutine[Any, Any, None]) -> None:
    """Start work of the core in a task group, which may be anything that has spawn()."""
    spawn_cancellable = getattr(tasks, 'spawn_cancellable', None)
    if spawn_cancellable is not None:
        hold(work, await spawn_cancellable(work))
    else:
        await tasks.spawn(lambda: work)
        hold(work, None)
