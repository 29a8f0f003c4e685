"""What all tests share: event loops to run coroutines on."""

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

Result = TypeVar('Result')

# Seconds after which a coroutine counts as hung. Not a measurement: nothing gets near it on any
# machine.
DEADLINE = 60

# A machine under load, or a sanitizer, makes an example slow that isn't.
settings.register_profile('no times', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('no times')


class LoopRunner:
    """Runs coroutines, one after the other, on one event loop: `run(coroutine)` gives the result.

    `errors` collects what reached the loop's exception handler: what escaped from a callback,
    or from a task that nobody awaited. A test that leaves any there fails; one that expects some
    takes them out.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.errors: list[dict[str, Any]] = []
        self.runner = asyncio.Runner(loop_factory=find_loop_factory(name))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.runner.get_loop()

    def __call__(
        self, coroutine: Coroutine[Any, Any, Result], *, deadline: float = DEADLINE
    ) -> Result:
        async def bounded() -> Result:
            async with asyncio.timeout(deadline):
                return await coroutine

        self.loop.set_exception_handler(lambda loop, context: self.errors.append(context))
        return self.runner.run(bounded())


def find_loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == 'asyncio':
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


LOOPS = [
    'asyncio',
    pytest.param(
        'uvloop',
        marks=pytest.mark.skipif(
            importlib.util.find_spec('uvloop') is None,
            reason='uvloop is not installed; there is none for Windows',
        ),
    ),
]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[LoopRunner]:
    """An event loop of each kind to run the test's coroutines on, see LoopRunner.

    A test for one kind alone says `@pytest.mark.parametrize('run', ['asyncio'], indirect=True)`.
    """
    runner = LoopRunner(request.param)
    with runner.runner:
        yield runner
    assert not runner.errors, f'Errors reached the event loop: {runner.errors}'
