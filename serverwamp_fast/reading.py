"""Reads on while work is run that the next message has to wait for.

Pings are answered by the libraries while somebody reads, and only who reads notices that the client leaves.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._core.wire.messages import ABORT, GOODBYE
from .errors import WAMPMsgParseError

if TYPE_CHECKING:
    from .async_support import AsyncSupport, Event
    from .session import WAMPSession

# What a payload that waits counts beside its size, and a message whose size is not known.
OVERHEAD = 128
MESSAGE_SIZE = 1024
# GOODBYE and ABORT are not looked for in payloads beyond this size.
FAREWELL_SIZE = 4096


class ReadAhead:
    """What has been read of a connection before its turn.

    - read_next() -> an awaitable of the next payload or message, or of `end`; never called while one is awaited
    - decode(payload) -> the messages in a payload; None where whole messages are read
    - limit: bytes that may wait before reading pauses
    """

    def __init__(
        self,
        support: type[AsyncSupport],
        read_next: Callable[[], Awaitable[Any]],
        decode: Callable[[Any], list[Any]] | None,
        end: Any,
        limit: int,
    ) -> None:
        self._support = support
        self._read_next = read_next
        self._decode = decode
        self._end = end
        self._limit = limit
        self._waiting: deque[tuple[Any, int]] = deque()
        self._size = 0
        # What was read last was the end, an error, or the client's farewell: nothing is read behind it.
        self._is_over = False
        self._is_wanted = False
        self._is_reading = False
        self._arrival: Event | None = None
        self._cancel: Callable[[], object] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and nobody reads."""
        return not self._waiting and not self._is_reading

    async def start(self, session: WAMPSession) -> None:
        """Read on in a task of the session's, until stop() and one message more."""
        self._is_wanted = True
        if self._is_reading or self._is_over or self._size >= self._limit or self._support.new_event() is None:
            return
        self._is_reading = True
        reading = self._read_on(session)
        spawn = getattr(session.tasks, 'spawn_cancellable', None)
        if spawn is not None:
            self._cancel = await spawn(reading)
        else:
            await session.tasks.spawn(lambda: reading)
        if inspect.getcoroutinestate(reading) == inspect.CORO_CLOSED:
            # It has ended already, or a group that is being cancelled has not let it begin.
            self._is_reading = False

    def stop(self) -> None:
        """Read no more than what is being waited for: taking that is the driver's turn again."""
        self._is_wanted = False

    def cancel(self) -> None:
        """Nobody takes anything any more."""
        self._is_wanted = False
        if self._is_reading and self._cancel is not None:
            self._cancel()

    async def take(self) -> Any:
        """Return what comes next, read ahead or not. Raises what reading raised, in its turn."""
        while not self._waiting:
            if not self._is_reading:
                return await self._read_next()
            arrival = self._arrival = self._support.new_event()
            # start() has seen to it that there are events.
            assert arrival is not None
            try:
                await arrival.wait()
            finally:
                self._arrival = None
        item, size = self._waiting.popleft()
        self._size -= size
        if isinstance(item, Exception):
            raise item
        if item is not self._end:
            # Behind GOODBYE another session may follow.
            self._is_over = bool(self._waiting) and self._is_over
        return item

    async def _read_on(self, session: WAMPSession) -> None:
        try:
            while self._is_wanted and not self._is_over and self._size < self._limit:
                try:
                    item = await self._read_next()
                except Exception as error:
                    # It must not leave the task, and what came before has its turn first.
                    item = error
                self._add(item, session)
        finally:
            self._is_reading = False
            self._cancel = None
            self._announce()

    def _add(self, item: Any, session: WAMPSession) -> None:
        size = OVERHEAD + len(item) if isinstance(item, (bytes, str)) else MESSAGE_SIZE
        self._waiting.append((item, size))
        self._size += size
        if isinstance(item, WAMPMsgParseError):
            self._is_over = True
        elif item is self._end or isinstance(item, Exception):
            self._is_over = True
            session.mark_gone(True)
        elif self._is_farewell(item):
            self._is_over = True
            session.mark_gone()
        self._announce()

    def _is_farewell(self, item: Any) -> bool:
        if self._decode is not None:
            if len(item) > FAREWELL_SIZE:
                return False
            try:
                item = self._decode(item)[-1]
            except WAMPMsgParseError:
                # It is refused in its turn.
                return False
        return isinstance(item, (list, tuple)) and len(item) > 0 and item[0] in (GOODBYE, ABORT)

    def _announce(self) -> None:
        if self._arrival is not None:
            self._arrival.set()
