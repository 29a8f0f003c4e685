"""Async support on anyio: on whichever of its backends is running."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

try:
    import anyio
    import anyio.abc
    import anyio.lowlevel
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "Async support on anyio needs the package anyio. Install it with: pip install 'anyio>=4.14,<5'",
        name=error.name,
    ) from error

from ..async_support import AsyncSupport, AsyncTaskGroup, runs_on_trio


class AnyioAsyncSupport(AsyncSupport):
    """Tasks are anyio's, so that its cancel scopes work across them on either backend."""

    @classmethod
    @asynccontextmanager
    async def launch_task_group(cls) -> AsyncIterator['AnyioTaskGroup']:
        async with anyio.create_task_group() as tasks:
            yield AnyioTaskGroup(tasks)

    @classmethod
    async def shield(
        cls,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> Any:
        """Calls `callback`.

        A cancel scope that is cancelled meanwhile takes effect when it has ended.
        """
        with anyio.CancelScope(shield=True):
            return await callback(*callback_args, **callback_kwargs)

    @classmethod
    def call_later(
        cls, delay: float, callback: Callable[[], Awaitable[Any]]
    ) -> Callable[[], None]:
        return find_running_support().call_later(delay, callback)

    @classmethod
    @asynccontextmanager
    async def cancellable(cls) -> AsyncIterator[Callable[[], None]]:
        with anyio.CancelScope() as scope:
            yield scope.cancel

    @classmethod
    async def checkpoint(cls) -> None:
        await anyio.lowlevel.checkpoint()

    @classmethod
    def new_event(cls) -> anyio.Event:
        return anyio.Event()

    @classmethod
    def is_stray(cls, error: BaseException) -> bool:
        # anyio cancels asyncio's tasks by their own cancel(), so these know as well.
        return find_running_support().is_stray(error)


class AnyioTaskGroup(AsyncTaskGroup):
    """The tasks of an anyio task group.

    `cancel` cancels the group's scope, and with it who runs inside.
    """

    def __init__(self, anyio_task_group: anyio.abc.TaskGroup) -> None:
        self._anyio_task_group = anyio_task_group

    async def spawn(
        self,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> None:
        # Any, because anyio wants to be told that a coroutine is what the callback returns.
        call: Any = partial(callback, **callback_kwargs) if callback_kwargs else callback
        self._anyio_task_group.start_soon(call, *callback_args)

    async def spawn_cancellable(
        self, coroutine: Coroutine[Any, Any, None]
    ) -> Callable[[], object] | None:
        """Starts a task in a cancel scope, and returns the scope's own `cancel`."""
        scope = anyio.CancelScope()
        try:
            self._anyio_task_group.start_soon(_run_in_scope, scope, coroutine)
        except BaseException:
            # Refused, by a group that has ended.
            coroutine.close()
            raise
        return scope.cancel

    async def cancel(self) -> None:
        self._anyio_task_group.cancel_scope.cancel()


async def _run_in_scope(scope: anyio.CancelScope, coroutine: Coroutine[Any, Any, None]) -> None:
    with scope:
        await coroutine


def find_running_support() -> type[AsyncSupport]:
    """The support for the backend that runs the current task."""
    if runs_on_trio():
        from .trio import TrioAsyncSupport

        return TrioAsyncSupport
    from .asyncio import AsyncioAsyncSupport

    return AsyncioAsyncSupport
