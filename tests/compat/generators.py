"""Procedures that are async generators: progress reports, ends and failures in every place."""

from collections.abc import Callable
from typing import Any

import anyio


def add_generators(
    routes: Any, package: Any, journal: list[str], gate: Callable[[str], anyio.Event]
) -> None:
    result, error = package.rpc.RPCResult, package.rpc.RPCErrorResult
    progress = package.rpc.RPCProgressReport

    @routes.route('generator.progress')
    async def reports(count: int = 2):
        for number in range(count):
            yield progress(args=(number,))
        yield result(args=('done',))

    @routes.route('generator.progress_kwargs')
    async def reports_kwargs():
        yield progress(kwargs={'percent': 50})
        yield progress()
        yield {'percent': 100}

    @routes.route('generator.plain_value')
    async def plain_value():
        yield 'only'

    @routes.route('generator.none')
    async def yields_none():
        yield None

    @routes.route('generator.error')
    async def yields_error():
        yield progress(args=(1,))
        yield error('my.error', args=('failed',))

    @routes.route('generator.empty')
    async def empty():
        return
        yield

    @routes.route('generator.only_progress')
    async def only_progress():
        yield progress(args=(1,))

    @routes.route('generator.past_the_end')
    async def past_the_end():
        try:
            yield 'final'
            journal.append('went on past the final result')
            yield 'too late'
        finally:
            journal.append('past_the_end cleaned up')

    @routes.route('generator.past_the_error')
    async def past_the_error():
        try:
            yield error('my.error')
            yield 'too late'
        finally:
            journal.append('past_the_error cleaned up')

    @routes.route('generator.raises_first')
    async def raises_first():
        raise ValueError('before anything')
        yield

    @routes.route('generator.raises_after_progress')
    async def raises_after_progress():
        yield progress(args=(1,))
        raise ValueError('half way')

    @routes.route('generator.raises_in_cleanup')
    async def raises_in_cleanup():
        try:
            yield 'final'
        finally:
            raise ValueError('while cleaning up')

    @routes.route('generator.slow_cleanup')
    async def slow_cleanup():
        try:
            yield 'final'
        finally:
            await gate('cleanup').wait()
            journal.append('slow_cleanup cleaned up')

    @routes.route('generator.odd_value')
    async def odd_value():
        yield object()

    @routes.route('generator.arguments')
    async def arguments(session, a: int, *rest, b='B', **others):
        yield progress(args=(type(session).__name__,))
        yield [a, list(rest), b, sorted(others)]

    class Countdown:
        """An async iterator that is not a generator: no aclose()."""

        def __init__(self, start: int) -> None:
            self.left = start

        def __aiter__(self) -> 'Countdown':
            return self

        async def __anext__(self) -> Any:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return progress(args=(self.left,)) if self.left else result(args=('lift-off',))

    @routes.route('generator.iterator')
    def iterator(start: int = 2):
        return Countdown(start)

    routes.route('generator.iterator_class')(Countdown)
