"""Awaiting something in a context other than that of the task that awaits it."""

from collections.abc import Coroutine, Generator
from contextvars import Context
from typing import Any


class InContext:
    """Awaits a coroutine all of whose steps run in `context`, which nothing else may be running in."""

    def __init__(self, context: Context, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._context = context
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Any = self._coroutine.send
        value: Any = None
        while True:
            try:
                awaited = self._context.run(step, value)
            except StopIteration as stop:
                return stop.value
            try:
                step, value = self._coroutine.send, (yield awaited)
            except BaseException as error:
                step, value = self._coroutine.throw, error
