"""Async support on trio."""

import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import Any

try:
    import trio
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "Async support on trio needs the package trio. Install it with: pip install 'trio>=0.29,<1'",
        name=error.name,
    ) from error

from ..async_support import AsyncSupport, AsyncTaskGroup

logger = logging.getLogger(__name__)


class TrioAsyncSupport(AsyncSupport):
    """Tasks are trio's, in a nursery per group."""

    @classmethod
    @asynccontextmanager
    async def launch_task_group(cls) -> AsyncIterator['TrioTaskGroup']:
        async with trio.open_nursery() as nursery:
            yield TrioTaskGroup(nursery)

    @classmethod
    async def shield(
        cls,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> Any:
        """Calls `callback`. A caller that is cancelled meanwhile leaves when it has ended."""
        with trio.CancelScope(shield=True):
            return await callback(*callback_args, **callback_kwargs)

    @classmethod
    def call_later(
        cls, delay: float, callback: Callable[[], Awaitable[Any]]
    ) -> Callable[[], None]:
        waiting = trio.CancelScope()
        # A system task, as the caller has no nursery that lives long enough. It must not raise:
        # that would end trio.
        trio.lowlevel.spawn_system_task(
            _call_after, waiting, max(delay, 0), callback, context=contextvars.copy_context()
        )
        return waiting.cancel

    @classmethod
    @asynccontextmanager
    async def cancellable(cls) -> AsyncIterator[Callable[[], None]]:
        with trio.CancelScope() as scope:
            yield scope.cancel

    @classmethod
    async def checkpoint(cls) -> None:
        await trio.lowlevel.checkpoint()

    @classmethod
    def new_event(cls) -> trio.Event:
        return trio.Event()


class TrioTaskGroup(AsyncTaskGroup):
    """The tasks of a nursery. `cancel` cancels the nursery's scope, and with it who runs inside."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def spawn(
        self,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> None:
        if callback_kwargs:
            callback = partial(callback, **callback_kwargs)
        self._nursery.start_soon(callback, *callback_args)

    async def spawn_cancellable(
        self, coroutine: Coroutine[Any, Any, None]
    ) -> Callable[[], object] | None:
        """Starts a task in a cancel scope, and returns the scope's own `cancel`."""
        scope = trio.CancelScope()
        try:
            self._nursery.start_soon(_run_in_scope, scope, coroutine)
        except BaseException:
            # Refused, by a nursery that has ended.
            coroutine.close()
            raise
        return scope.cancel

    async def cancel(self) -> None:
        self._nursery.cancel_scope.cancel()


async def _run_in_scope(scope: trio.CancelScope, coroutine: Coroutine[Any, Any, None]) -> None:
    with scope:
        await coroutine


def shield_sends(send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """`send` in a form that is cancelled before it begins, or not at all.

    A library that has half a frame on the wire when its task is cancelled leaves the connection
    useless for the tasks that still want to send. asyncio's transports take frames whole.
    """

    @wraps(send)
    async def shielded(*args: Any, **kwargs: Any) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):
            return await send(*args, **kwargs)

    return shielded


async def _call_after(
    waiting: trio.CancelScope, delay: float, callback: Callable[[], Awaitable[Any]]
) -> None:
    with waiting:
        await trio.sleep(delay)
    if waiting.cancel_called:
        return
    try:
        await callback()
    except Exception:
        logger.exception('Exception in a delayed call of %r.', callback)
