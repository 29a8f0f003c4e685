"""Async support on asyncio, uvloop included."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from ..async_support import AsyncSupport, AsyncTaskGroup

logger = logging.getLogger(__name__)

HAS_EAGER_TASKS = sys.version_info >= (3, 12)
# Typed loosely: Python 3.11's has no eager_start.
make_task: Callable[..., asyncio.Task[Any]] = asyncio.Task

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

    @classmethod
    @asynccontextmanager
    async def cancellable(cls) -> AsyncIterator[Callable[[], None]]:
        def cancel() -> None:
            # Refused when it comes too late, or a second time.
            with suppress(RuntimeError):
                scope.reschedule(0)

        # A deadline that is set to the past tells its own cancellation from others by itself.
        scope = asyncio.timeout(None)
        try:
            async with scope:
                yield cancel
        except TimeoutError:
            if not scope.expired():
                raise

    @classmethod
    async def checkpoint(cls) -> None:
        await asyncio.sleep(0)

    @classmethod
    def new_event(cls) -> asyncio.Event:
        return asyncio.Event()

    @classmethod
    def is_stray(cls, error: BaseException) -> bool:
        if not isinstance(error, asyncio.CancelledError):
            return False
        # Outside of tasks, as in what a transport calls, nobody can be meant.
        task = asyncio.current_task()
        return task is None or not task.cancelling()


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
        self._create(coroutine)

    def _create(self, coroutine: Any) -> asyncio.Task[Any] | None:
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
            return None
        self._track(task)
        return task

    async def spawn_eagerly(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs the first step at once on Python 3.12 and later, unless the loop's owner makes tasks in a way of
        its own.
        """
        await self.spawn_cancellable(coroutine)

    async def spawn_cancellable(
        self, coroutine: Coroutine[Any, Any, None]
    ) -> Callable[[], object] | None:
        """As `spawn_eagerly`; returns the task's own `cancel`."""
        starter = self.eager_starter()
        if starter is None:
            created = self._create(coroutine)
            return None if created is None else created.cancel
        start, adopt = starter
        cancel: Callable[[], object] | None = adopt(start(coroutine))
        return cancel

    def eager_starter(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
        # The loop's owner may make tasks in a way of its own.
        if not HAS_EAGER_TASKS or self._closed:
            return None
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is not None:
            return None
        # Built directly, because uvloop's create_task() refuses eager_start.
        return partial(make_task, loop=loop, eager_start=True), self._adopt

    def _adopt(self, task: asyncio.Task[Any]) -> Callable[[], object] | None:
        """Has the group wait for a task that has been started eagerly; returns what cancels it."""
        if task.done() and (task.cancelled() or task.exception() is None):
            return None
        # The group can't take in a task that it has not made, so it waits for one that waits.
        following = _follow(task)
        try:
            follower = self._asyncio_task_group.create_task(following)
        except RuntimeError:
            # The group is cancelling its tasks after a failure.
            following.close()
            task.cancel()
            return None
        # cancel() is for the task itself: cancelled before its first step, the follower would
        # never come to cancel it. The group has nothing but the follower to cancel.
        self._track(task)
        follower.add_done_callback(lambda _: task.cancel())
        return task.cancel

    def _track(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()


async def _follow(task: asyncio.Task[None]) -> None:
    await task


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
