"""The base classes of async support, as applications subclass them."""

import asyncio
import tomllib
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.isolated import run_isolated

from serverwamp_fast.async_support import AsyncSupport, AsyncTaskGroup, runs_on_trio


class OneByOneGroup(AsyncTaskGroup):
    """Runs what it is given at once: all that the interface demands."""

    async def spawn(self, callback, *callback_args, **callback_kwargs):
        await callback(*callback_args, **callback_kwargs)

    async def cancel(self):
        pass


class OneByOneSupport(AsyncSupport):
    """Written for an interface without timers."""

    @classmethod
    @asynccontextmanager
    async def launch_task_group(cls):
        yield OneByOneGroup()

    @classmethod
    async def shield(cls, callback, *callback_args, **callback_kwargs):
        return await callback(*callback_args, **callback_kwargs)


def test_the_interface_has_to_be_completed() -> None:
    with pytest.raises(TypeError, match='abstract'):
        AsyncSupport()  # type: ignore[abstract]
    with pytest.raises(TypeError, match='abstract'):
        AsyncTaskGroup()  # type: ignore[abstract]


def test_three_methods_are_enough() -> None:
    calls = []

    async def work(*args, **kwargs):
        calls.append((args, kwargs))
        return 'result'

    async def main() -> None:
        async with OneByOneSupport.launch_task_group() as tasks:
            await tasks.spawn(work, 1, key='value')
            await tasks.cancel()
        assert await OneByOneSupport.shield(work, 2) == 'result'

    asyncio.run(main())
    assert calls == [((1,), {'key': 'value'}), ((2,), {})]


def test_a_group_that_only_spawns_functions_spawns_coroutines_too() -> None:
    calls = []

    async def work():
        calls.append(True)

    async def main() -> None:
        async with OneByOneSupport.launch_task_group() as tasks:
            await tasks.spawn_eagerly(work())

    asyncio.run(main())
    assert calls == [True]


def test_a_group_that_does_not_know_how_can_not_cancel_one_task() -> None:
    calls = []

    async def work():
        calls.append(True)

    async def main() -> None:
        async with OneByOneSupport.launch_task_group() as tasks:
            assert await tasks.spawn_cancellable(work()) is None

    asyncio.run(main())
    assert calls == [True]


def test_nothing_runs_on_trio_unless_trio_runs_it() -> None:
    async def main() -> bool:
        return runs_on_trio()

    assert not runs_on_trio()
    assert not asyncio.run(main())
    trio = pytest.importorskip('trio', reason='trio is not installed')
    assert not asyncio.run(main())
    assert trio.run(main)


def test_timers_that_a_subclass_does_not_have_never_fire() -> None:
    async def never() -> None:
        raise AssertionError('a call without a timer')

    async def main() -> None:
        cancel = OneByOneSupport.call_later(0, never)
        assert cancel() is None
        assert cancel() is None

    asyncio.run(main())


def test_what_is_not_overridden_is_left_out() -> None:
    async def main() -> None:
        assert OneByOneSupport.cancellable() is None
        assert OneByOneSupport.new_event() is None
        assert not OneByOneSupport.is_stray(asyncio.CancelledError())
        await OneByOneSupport.checkpoint()

    asyncio.run(main())


@pytest.mark.parametrize('package', ['aiohttp', 'anyio', 'trio'])
def test_an_adapter_without_its_package_says_what_to_install(package: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / 'pyproject.toml').read_text('utf-8'))['project']
    (requirement,) = project['optional-dependencies'][package]
    run_isolated(
        f"""
        import importlib
        import sys

        sys.modules['{package}'] = None
        try:
            importlib.import_module('serverwamp_fast.adapters.{package}')
        except ModuleNotFoundError as error:
            assert str(error).endswith(" needs the package {package}. Install it with: "
                                       "pip install {requirement!r}"), error
            assert error.name == '{package}'
        else:
            raise AssertionError('It was imported.')
        """
    )
