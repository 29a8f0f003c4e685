"""Async support on asyncio, uvloop included."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from .async_base import AsyncSupport, AsyncTaskGroup

logger = logging.getLogger(__name__)

# Loops keep weak references to tasks. These are held by nobody else until they are done.
_detached: set[asyncio.Future[Any]] = set()


class AsyncioAsyncSupport(AsyncSupport):
    """The default: tasks are asyncio's."""

    @classmethod
    @asynccontextmanager
    async def launch_task_group(cls) -> AsyncIterator['AsyncioTaskGroup']:
        tasks = asyncio.TaskGroup()
        group = AsyncioTaskGroup(tasks)
        try:
            async with tasks:
                yield group
        finally:
            # Only now: while the group waits for its tasks, these may spawn others.
            group._closed = True

    @classmethod
    async def shield(
        cls,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> Any:
        """Calls `callback` in a task of its own.

        A caller that is cancelled leaves at once, and the callback goes on without it.
        """
        return await asyncio.shield(_detach(callback(*callback_args, **callback_kwargs)))

    @classmethod
    def call_later(
        cls, delay: float, callback: Callable[[], Awaitable[Any]]
    ) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(delay, _call_in_task, callback).cancel


class AsyncioTaskGroup(AsyncTaskGroup):
    """The tasks of an `asyncio.TaskGroup`, which has no way of its own to cancel them and go on."""

    def __init__(self, asyncio_task_group: asyncio.TaskGroup) -> None:
        self._asyncio_task_group = asyncio_task_group
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def spawn(
        self,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> None:
        coroutine: Any = callback(*callback_args, **callback_kwargs)
        try:
            task = self._asyncio_task_group.create_task(coroutine)
        except RuntimeError:
            # Refused; only from Python 3.13 on does the group close the coroutine that it refuses.
            coroutine.close()
            if self._closed:
                raise
            # A task of the group has failed, and the group is cancelling the rest. On trio and
            # anyio a task started now would be cancelled before its first step; here too it simply
            # doesn't come to run.
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()


def _detach(awaitable: Awaitable[Any]) -> asyncio.Future[Any]:
    future = asyncio.ensure_future(awaitable)
    _detached.add(future)
    future.add_done_callback(_detached.discard)
    return future


def _call_in_task(callback: Callable[[], Awaitable[Any]]) -> None:
    _detach(_call_logged(callback))


async def _call_logged(callback: Callable[[], Awaitable[Any]]) -> None:
    try:
        await callback()
    except Exception:
        logger.exception('Exception in a delayed call of %r.', callback)
