"""Calls that are ended from outside: by CANCEL in each of its modes, and by their timeout."""

import contextlib
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support.explained import Explained
from support.talking import (
    SETTINGS,
    Setting,
    hear,
    hear_nothing_more,
    in_every_setting,
    on_every_path,
    say,
    use_a_protocol_handler,
    use_routes,
)

import serverwamp_fast as wamp
from serverwamp_fast.adapters.anyio import AnyioAsyncSupport
from serverwamp_fast.adapters.async_base import AsyncTaskGroup
from serverwamp_fast.rpc import RPCProgressReport

CANCELED = Explained(48, 1, 'wamp.error.canceled')
TIMEOUT = Explained(48, 1, 'wamp.error.timeout')


class Procedures:
    """Procedures that wait. `ended` says how."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.begun = anyio.Event()
        self.gate = anyio.Event()
        self.done = anyio.Event()
        self.routes = routes = wamp.RPCRouteSet()

        @routes.route('echo')
        async def echo(*args: Any) -> Any:
            return args

        @routes.route('wait')
        async def wait() -> Any:
            """Goes on when the gate opens."""
            self.begun.set()
            try:
                await self.gate.wait()
            except BaseException as error:
                self.note(type(error).__name__)
                raise
            self.note('went on')
            return 'result'

        @routes.route('stubborn')
        async def stubborn() -> Any:
            """Is not to be cancelled before the gate opens."""
            self.begun.set()
            # The shield keeps off what trio and anyio cancel. asyncio cancels the task itself, once.
            with anyio.CancelScope(shield=True):
                while not self.gate.is_set():
                    with contextlib.suppress(anyio.get_cancelled_exc_class()):
                        await self.gate.wait()
            self.note('went on')
            return 'result'

        @routes.route('cleaning')
        async def cleaning() -> Any:
            """Takes its time to end."""
            self.begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await self.gate.wait()
                self.note('cleaned up')

        @routes.route('stream')
        async def stream() -> Any:
            yield RPCProgressReport(('first',))
            self.begun.set()
            try:
                await self.gate.wait()
                yield RPCProgressReport(('second',))
                yield 'result'
            finally:
                self.note('stream closed')

        @routes.route('endless')
        async def endless() -> Any:
            try:
                while True:
                    self.begun.set()
                    yield RPCProgressReport(('still here',))
                    await anyio.lowlevel.checkpoint()
            finally:
                self.note('stream closed')

        @routes.route('failing')
        async def failing() -> Any:
            self.begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                self.note('failing')
                raise LookupError('on being cancelled')

    def note(self, text: str) -> None:
        self.ended.append(text)
        self.done.set()

    async def all_done(self) -> None:
        await self.done.wait()


@in_every_setting
@on_every_path
@pytest.mark.parametrize('options', [{}, {'mode': 'killnowait'}, {'mode': None}])
def test_killnowait(setting: Setting, path: Any, options: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, {}, 'cleaning')
            await procedures.begun.wait()
            # At once: the procedure waits for the gate.
            assert await say(talk, 49, 1, options) == CANCELED
            assert procedures.ended == []
            procedures.gate.set()
            await procedures.all_done()
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
def test_kill(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, {}, 'cleaning')
            await procedures.begun.wait()
            # Not before it has ended. Asking twice changes nothing.
            await talk.tell(49, 1, {'mode': 'kill'})
            await talk.tell(49, 1, {'mode': 'kill'})
            await hear_nothing_more(talk)
            procedures.gate.set()
            assert await hear(talk) == CANCELED
            assert procedures.ended == ['cleaned up']
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
def test_kill_of_a_procedure_that_is_finished_all_the_same(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, {}, 'stubborn')
            await procedures.begun.wait()
            await talk.tell(49, 1, {'mode': 'kill'})
            await hear_nothing_more(talk)
            procedures.gate.set()
            # asyncio forgets a cancellation that nobody notices, trio and anyio repeat it.
            assert await hear(talk) in ([50, 1, {}, ['result']], CANCELED)
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
def test_kill_and_then_killnowait(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, {}, 'cleaning')
            await procedures.begun.wait()
            await talk.tell(49, 1, {'mode': 'kill'})
            assert await say(talk, 49, 1, {'mode': 'killnowait'}) == CANCELED
            procedures.gate.set()
            await procedures.all_done()
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
def test_skip(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, {}, 'wait')
            await procedures.begun.wait()
            assert await say(talk, 49, 1, {'mode': 'skip'}) == CANCELED
            procedures.gate.set()
            await procedures.all_done()
            assert procedures.ended == ['went on']
            await hear_nothing_more(talk)
            # It is over: another CANCEL means nothing.
            await talk.tell(49, 1, {})
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
@pytest.mark.parametrize('mode', ['skip', 'kill', 'killnowait'])
def test_streams(setting: Setting, path: Any, mode: str) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            heard = await say(talk, 48, 1, {'receive_progress': True}, 'stream')
            assert heard == [50, 1, {'progress': True}, ['first']]
            await procedures.begun.wait()
            assert await say(talk, 49, 1, {'mode': mode}) == CANCELED
            procedures.gate.set()
            await procedures.all_done()
            assert procedures.ended == ['stream closed']
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
@pytest.mark.parametrize('options', [{}, {'receive_progress': True}])
@pytest.mark.parametrize('is_skipped', [False, True])
def test_streams_end_with_the_session(
    setting: Setting, path: Any, options: Any, is_skipped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether their reports were asked for or not; until then one that is skipped goes on."""

    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, options, 'endless')
            await procedures.begun.wait()
            if is_skipped:
                await talk.tell(49, 1, {'mode': 'skip'})
                while (heard := await hear(talk)) != CANCELED:
                    assert heard == [50, 1, {'progress': True}, ['still here']]
                await hear_nothing_more(talk)
                assert procedures.ended == []
            await talk.leave()
            await procedures.all_done()
            assert procedures.ended == ['stream closed']

    setting.run(main)
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


@pytest.mark.parametrize('setting', SETTINGS[:3], ids=lambda setting: setting.name)
@on_every_path
def test_a_stream_that_holds_up_the_end_of_its_session(setting: Setting, path: Any) -> None:
    """On the native server that is noticed all the same; others don't read before the stream has ended."""

    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path, synchronize_requests=True) as talk:
            await talk.tell(48, 1, {}, 'endless')
            await procedures.begun.wait()
            await talk.leave()
            await procedures.all_done()
            assert procedures.ended == ['stream closed']

    setting.run(main)


@in_every_setting
@on_every_path
@pytest.mark.parametrize('mode', ['kill', 'killnowait'])
def test_a_procedure_that_fails_on_being_cancelled(
    setting: Setting, path: Any, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, {}, 'failing')
            await procedures.begun.wait()
            heard = await say(talk, 49, 1, {'mode': mode})
            assert heard[4] == ('wamp.error.canceled' if mode != 'kill' else 'wamp.error.runtime_error')
            await procedures.all_done()
            await hear_nothing_more(talk)

    setting.run(main)
    assert 'on being cancelled' in caplog.text


@in_every_setting
@on_every_path
@pytest.mark.parametrize('mode', ['skip', 'kill', 'killnowait'])
def test_calls_that_are_not_running(setting: Setting, path: Any, mode: str) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            assert (await say(talk, 48, 1, {}, 'echo', [1]))[0] == 50
            for request in 1, 7, 2**53:
                await talk.tell(49, request, {'mode': mode})
                await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@pytest.mark.parametrize('mode', ['sideways', '', 7, True, ['kill']])
def test_unknown_modes_end_the_session(setting: Setting, mode: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, use_routes) as talk:
            heard = await say(talk, 49, 1, {'mode': mode})
            assert (heard[0], heard[2]) == (3, 'wamp.error.protocol_violation')

    setting.run(main)


class SpawningOnly(AsyncTaskGroup):
    """A group as it was before tasks could be cancelled one by one."""

    def __init__(self, group: Any) -> None:
        self.group = group

    async def spawn(self, callback: Any, *args: Any, **kwargs: Any) -> None:
        await self.group.spawn(callback, *args, **kwargs)

    async def cancel(self) -> None:
        await self.group.cancel()


class SpawningOnlySupport(AnyioAsyncSupport):
    @classmethod
    @contextlib.asynccontextmanager
    async def launch_task_group(cls) -> Any:
        async with super().launch_task_group() as group:
            yield SpawningOnly(group)


@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
@pytest.mark.parametrize('way', ['skip', 'kill', 'killnowait', 'timeout'])
@on_every_path
def test_groups_that_can_not_cancel(path: Any, way: str, backend: str) -> None:
    setting = Setting('own', SpawningOnlySupport, backend=backend)

    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            options = {'timeout': 1} if way == 'timeout' else {}
            await talk.tell(48, 1, options, 'wait')
            await procedures.begun.wait()
            if way != 'timeout':
                await talk.tell(49, 1, {'mode': way})
            assert await hear(talk) == (TIMEOUT if way == 'timeout' else CANCELED)
            procedures.gate.set()
            await procedures.all_done()
            assert procedures.ended == ['went on']
            await hear_nothing_more(talk)

    setting.run(main)


# ---- Timeouts ------------------------------------------------------------------------------------


@in_every_setting
@on_every_path
@pytest.mark.parametrize('synchronize', [False, True])
def test_timeout(setting: Setting, path: Any, synchronize: bool) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(
            procedures.routes, path, synchronize_requests=synchronize
        ) as talk:
            assert await say(talk, 48, 1, {'timeout': 1}, 'wait') == TIMEOUT
            await procedures.all_done()
            assert procedures.ended in (['CancelledError'], ['Cancelled'])
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
@pytest.mark.parametrize('timeout', [0, None, 60_000, 60_000.0, 0.0, 2**53])
def test_timeouts_that_do_not_matter(setting: Setting, path: Any, timeout: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, {'timeout': timeout}, 'wait')
            await procedures.begun.wait()
            procedures.gate.set()
            assert await hear(talk) == [50, 1, {}, ['result']]

    setting.run(main)


@pytest.mark.parametrize('setting', [SETTINGS[0], SETTINGS[4]], ids=lambda setting: setting.name)
@on_every_path
@pytest.mark.parametrize('timeout', [-1, 1.5, '1', True, [1], {}, 2**53 + 2, float('inf')])
def test_timeouts_that_are_none(setting: Setting, path: Any, timeout: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            if timeout == float('inf') and setting.is_native:
                # JSON has no infinity.
                return
            heard = await say(talk, 48, 1, {'timeout': timeout}, 'echo')
            assert heard == Explained(48, 1, 'wamp.error.invalid_argument')
            assert 'timeout' in heard[6]['message']
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
def test_a_kill_that_takes_too_long(setting: Setting) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, use_routes) as talk:
            await talk.tell(48, 1, {'timeout': 20}, 'cleaning')
            await procedures.begun.wait()
            assert await say(talk, 49, 1, {'mode': 'kill'}) == TIMEOUT
            procedures.gate.set()
            await procedures.all_done()
            await hear_nothing_more(talk)

    setting.run(main)


# ---- Where a call waits for nothing but its turn -------------------------------------------------


@in_every_setting
@pytest.mark.parametrize('mode', ['skip', 'kill', 'killnowait'])
def test_synchronized_requests_can_not_be_cancelled(setting: Setting, mode: str) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(
            procedures.routes, use_routes, synchronize_requests=True
        ) as talk:
            await talk.tell(48, 1, {}, 'wait')
            await procedures.begun.wait()
            await talk.tell(49, 1, {'mode': mode})
            procedures.gate.set()
            assert await hear(talk) == [50, 1, {}, ['result']]
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
def test_a_function_that_answers_by_itself(setting: Setting) -> None:
    async def main(setting: Setting) -> None:
        opened, done = anyio.Event(), anyio.Event()

        async def handle(request: Any, session: Any) -> None:
            if request.uri == 'echo':
                await session.send_raw((50, request.request_id, {}, request.args))
                return
            try:
                await session.send_raw((50, request.request_id, {'progress': True}, ('begun',)))
                await opened.wait()
                await session.send_raw((50, request.request_id, {'progress': True}, ('late',)))
                await session.send_raw((50, request.request_id, {}, ('late',)))
            finally:
                done.set()

        def path(options: Any) -> Any:
            app = use_a_protocol_handler(options)
            app._protocol_request_handlers[wamp.protocol.WAMPRPCRequest] = handle
            return app

        for mode in 'skip', 'kill', 'killnowait':
            opened, done = anyio.Event(), anyio.Event()
            async with setting.join(wamp.RPCRouteSet(), path) as talk:
                assert await say(talk, 48, 1, {}, 'any') == [50, 1, {'progress': True}, ['begun']]
                assert await say(talk, 49, 1, {'mode': mode}) == CANCELED
                opened.set()
                await done.wait()
                await hear_nothing_more(talk)

    setting.run(main)
