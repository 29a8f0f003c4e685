"""What the application asks of an async library: groups of tasks, shields, timers and the like.

Subclass both classes to run an application on a library that has no module here. Only the abstract
methods are needed; each of the others says what is missing without it.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

TaskGroupManager = AbstractAsyncContextManager['AsyncTaskGroup']
CancellableManager = AbstractAsyncContextManager[Callable[[], None]]


class Event(Protocol):
    """Something that happens once, for tasks to wait for."""

    def set(self) -> object: ...

    async def wait(self) -> object: ...


class AsyncTaskGroup(ABC):
    """Tasks that end before their group does."""

    @abstractmethod
    async def spawn(
        self,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> None:
        """Starts a task that calls `callback` with the arguments given. It need not have run when
        this returns.

        Raises RuntimeError if the group has ended.
        """

    async def spawn_eagerly(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Starts a task that runs `coroutine`, which handles its errors itself.

        Other than `spawn` it may run the first step at once, and with that all of a handler that
        never waits. The application uses it for requests. An override pays where that saves time;
        without one it is the same as `spawn`.
        """
        try:
            await self.spawn(_start, coroutine)
        except BaseException:
            # Refused, by a group that has ended. Python warns of coroutines that come to nothing.
            coroutine.close()
            raise

    async def spawn_cancellable(
        self, coroutine: Coroutine[Any, Any, None]
    ) -> Callable[[], object] | None:
        """Starts a task as `spawn_eagerly` does, and returns a function that cancels that one task.

        The application uses it for calls: a client may cancel them, and they may have a timeout.
        None stands for a task that has ended already or that can't be cancelled, as here in the
        base class. Such a handler runs on, and the caller is answered without it.
        """
        await self.spawn_eagerly(coroutine)
        return None

    def eager_starter(
        self,
    ) -> tuple[Callable[[Coroutine[Any, Any, None]], Any], Callable[[Any], Callable[[], object] | None]] | None:
        """Two functions that do what `spawn_cancellable` does, for who can't await it; or None, as here.

        The first one runs the first step of a coroutine in a new task, and returns that. The second one has the group
        wait for the task, and returns the function that cancels it; a task that has ended need not be given to it.
        """
        return None

    @abstractmethod
    async def cancel(self) -> None:
        """Cancels the tasks of the group that haven't ended."""


class AsyncSupport(ABC):
    """An async library, in the form of a class that is used without being instantiated."""

    @classmethod
    @abstractmethod
    def launch_task_group(cls) -> TaskGroupManager:
        """A context manager that provides a task group, and on exit waits for its tasks.

        An exception of a task cancels the others and leaves the context manager in an exception
        group.
        """

    @classmethod
    @abstractmethod
    async def shield(
        cls,
        callback: Callable[..., Awaitable[Any]],
        *callback_args: Any,
        **callback_kwargs: Any,
    ) -> Any:
        """Calls `callback`, which runs to its end even if the caller is cancelled, and returns its
        result.
        """

    @classmethod
    def call_later(
        cls, delay: float, callback: Callable[[], Awaitable[Any]]
    ) -> Callable[[], None]:
        """Calls `callback` after `delay` seconds, in a task of its own; what it raises is logged.

        Returns a function that prevents the call. A call that has begun is left to end by itself,
        so that a callback may cause its own cancellation.

        A deadline is all that this is used for. Without an override nothing is ever called, which
        leaves a subclass that doesn't know of this method without deadlines, and otherwise
        working; WELCOME doesn't announce `call_timeout` then.
        """
        return _do_nothing

    @classmethod
    def cancellable(cls) -> CancellableManager | None:
        """A context manager that provides a function. Called from any task, it cancels what runs
        inside; the cancellation ends where the context does. When the context has been left, the
        function does nothing.

        Without an override there is none, and an authenticator runs as long as it wants to, even if
        its client has left.
        """
        return None

    @classmethod
    async def checkpoint(cls) -> None:
        """Lets the other tasks that can run do so first."""
        async with cls.launch_task_group() as tasks:
            await tasks.spawn(_do_nothing_later)

    @classmethod
    def new_event(cls) -> Event | None:
        """An event that has not happened yet.

        Without an override there is none, and the application goes on reading from clients that
        don't read what it sends to them; WELCOME doesn't announce `progressive_call_invocations`
        then, whose inputs handlers wait for. The answer of a call may leave before events that were
        published earlier, while the client doesn't read them.
        """
        return None

    @classmethod
    def is_stray(cls, error: BaseException) -> bool:
        """Whether `error` is a cancellation that was not meant for the current task.

        On asyncio it comes from awaiting another task that was cancelled, and counts as an error of
        the code that did. Elsewhere there is no such thing: what cancels, cancels the task that it
        is raised in, and has to go on its way.
        """
        return False


# What a feature of calls needs an override of, by the feature's name in WELCOME.
NEEDED_BY_FEATURES = {'call_timeout': 'call_later', 'progressive_call_invocations': 'new_event'}


def find_unsupported_features(support: type[AsyncSupport]) -> frozenset[str]:
    """Return the features that clients can't be offered, as the async support lacks what they need."""
    return frozenset(
        feature
        for feature, method in NEEDED_BY_FEATURES.items()
        if _function(support, method) is _function(AsyncSupport, method)
    )


def _function(support: Any, name: str) -> Any:
    method = getattr(support, name)
    return getattr(method, '__func__', method)


async def _do_nothing_later() -> None:
    pass


def _start(coroutine: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    # As if it were called just now. A coroutine that awaits this one would leave it unawaited when
    # it is cancelled before its first step.
    return coroutine


def _do_nothing() -> None:
    pass


def runs_on_trio() -> bool:
    """Whether trio runs the current task. It may, as a guest, while asyncio has a loop running."""
    if 'trio' not in sys.modules:
        return False
    import trio

    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True
