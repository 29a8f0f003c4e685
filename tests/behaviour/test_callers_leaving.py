"""Callers that leave while their calls run (WAMP BP, "Caller Leaving"), and what is noticed while a session is busy."""

from typing import Any

import anyio
import pytest
from support.explained import Explained
from support.talking import Setting, hear, in_every_setting, on_every_path, say, use_routes

import serverwamp_fast as wamp
from serverwamp_fast.rpc import RPCProgressReport

PROGRESS = {'receive_progress': True}
GOODBYE = [6, {}, 'wamp.close.close_realm']
ABORT = [3, {}, 'wamp.error.abort']


class Procedures:
    """Procedures that wait until the gate opens. `ended` says how."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.begun = anyio.Event()
        self.done = anyio.Event()
        self.gate = anyio.Event()
        self.sessions: list[Any] = []
        self.routes = routes = wamp.RPCRouteSet()
        self.topics = wamp.TopicRouteSet()

        @routes.route('echo')
        async def echo(*args: Any) -> Any:
            return args

        @routes.route('follow')
        async def follow(session: Any) -> Any:
            self.sessions.append(session)
            try:
                yield RPCProgressReport(('begun',))
                self.begun.set()
                await self.gate.wait()
                yield 'result'
            finally:
                self.note('follow')

        @routes.route('wait')
        async def wait() -> Any:
            self.begun.set()
            try:
                await self.gate.wait()
            except BaseException:
                self.note('wait cancelled')
                raise
            self.note('wait went on')

        @self.topics.topic('slow')
        async def slow(session: Any) -> Any:
            self.begun.set()
            while session.is_open:
                await anyio.sleep(0.001)
            self.note('slow noticed')
            yield

    def note(self, text: str) -> None:
        self.ended.append(text)
        self.done.set()


async def leave(talk: Any, way: str, procedures: Procedures) -> None:
    if way == 'GOODBYE':
        await talk.tell(*GOODBYE)
    elif way == 'ABORT':
        await talk.tell(*ABORT)
    elif way == 'server':
        await procedures.sessions[0].close()
    else:
        await talk.leave()


@in_every_setting
@on_every_path
@pytest.mark.parametrize('synchronize', [False, True])
@pytest.mark.parametrize('options', [{}, PROGRESS], ids=['plain', 'progress'])
@pytest.mark.parametrize('way', ['GOODBYE', 'ABORT', 'server', 'lost'])
def test_a_stream_ends_while_it_waits(
    setting: Setting, path: Any, synchronize: bool, options: Any, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path, synchronize_requests=synchronize) as talk:
            await talk.tell(48, 1, options, 'follow')
            await procedures.begun.wait()
            await leave(talk, way, procedures)
            await procedures.done.wait()
        assert procedures.ended == ['follow']

    setting.run(main)
    assert not [record for record in caplog.records if record.levelname in ('WARNING', 'ERROR')]


@in_every_setting
@on_every_path
@pytest.mark.parametrize('cancels', [False, True])
@pytest.mark.parametrize('way', ['GOODBYE', 'lost'])
def test_other_calls_go_on_unless_the_application_says_otherwise(
    setting: Setting, path: Any, cancels: bool, way: str
) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path, cancel_calls_of_lost_clients=cancels) as talk:
            await talk.tell(48, 1, {}, 'wait')
            await procedures.begun.wait()
            await leave(talk, way, procedures)
            if not cancels:
                await anyio.sleep(0.01)
                assert procedures.ended == []
                procedures.gate.set()
            await procedures.done.wait()
        assert procedures.ended == ['wait cancelled' if cancels else 'wait went on']

    setting.run(main)


@in_every_setting
@on_every_path
@pytest.mark.parametrize('synchronize', [False, True])
@pytest.mark.parametrize('cancels', [False, True])
def test_a_cleanup_that_has_begun_goes_on(setting: Setting, path: Any, synchronize: bool, cancels: bool) -> None:
    """A stream that meets the end of its session by itself cleans up before the connection is over."""

    async def main(setting: Setting) -> None:
        cleaning, ended = anyio.Event(), anyio.Event()
        notes = []
        routes = wamp.RPCRouteSet()

        @routes.route('follow')
        async def follow(session: Any) -> Any:
            try:
                yield RPCProgressReport(('begun',))
                await session.close()
                while True:
                    yield RPCProgressReport(('more',))
            finally:
                cleaning.set()
                try:
                    await anyio.sleep(0.05)
                    notes.append('clean')
                except BaseException:
                    notes.append('cut short')
                    raise
                finally:
                    ended.set()

        options = {'synchronize_requests': synchronize, 'cancel_calls_of_lost_clients': cancels}
        async with setting.join(routes, path, **options) as talk:
            await talk.tell(48, 1, PROGRESS, 'follow')
            await cleaning.wait()
            await talk.tell(*GOODBYE)
            await ended.wait()
        assert notes == ['clean']

    setting.run(main)


@in_every_setting
def test_a_client_that_leaves_is_noticed_while_it_subscribes(setting: Setting) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        app = use_routes({'async_support': setting.support})
        app.add_topic_routes(procedures.topics)
        async with setting.connect(app) as talk:
            await talk.tell(32, 1, {}, 'slow')
            await procedures.begun.wait()
            await talk.leave()
            await procedures.done.wait()
        assert procedures.ended == ['slow noticed']

    setting.run(main)


@in_every_setting
@on_every_path
def test_what_is_read_ahead_stays_in_order(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path, synchronize_requests=True) as talk:
            await talk.tell(48, 1, {}, 'wait')
            await procedures.begun.wait()
            for number in range(2, 8):
                await talk.tell(48, number, {}, 'echo', [number])
            await talk.tell(48, 8, {}, 'not a URI')
            await anyio.sleep(0.01)
            procedures.gate.set()
            assert await hear(talk) == [50, 1, {}]
            for number in range(2, 8):
                assert await hear(talk) == [50, number, {}, [number]]
            assert (await hear(talk))[:3] == [8, 48, 8]
            assert await say(talk, 48, 9, {}, 'echo', ['x']) == [50, 9, {}, ['x']]
            assert (await say(talk, *GOODBYE))[0] == 6

    setting.run(main)


# ---- The time between results --------------------------------------------------------------------


def steps(count: int, seconds: float) -> Any:
    routes = wamp.RPCRouteSet()

    @routes.route('steps')
    async def take_steps() -> Any:
        for number in range(count):
            await anyio.sleep(seconds)
            yield RPCProgressReport((number,))
        yield 'done'

    @routes.route('stops')
    async def stop() -> Any:
        for number in range(3):
            yield RPCProgressReport((number,))
        await anyio.sleep_forever()

    return routes


@in_every_setting
@on_every_path
@pytest.mark.parametrize('synchronize', [False, True])
def test_a_timeout_is_the_time_between_results(setting: Setting, path: Any, synchronize: bool) -> None:
    """WAMP AP, "Progressive Call Results", "Timeouts"."""

    async def main(setting: Setting) -> None:
        async with setting.join(steps(6, 0.1), path, synchronize_requests=synchronize) as talk:
            await talk.tell(48, 1, {'timeout': 400, **PROGRESS}, 'steps')
            for number in range(6):
                assert await hear(talk) == [50, 1, {'progress': True}, [number]]
            assert await hear(talk) == [50, 1, {}, ['done']]
            await talk.tell(48, 2, {'timeout': 50, **PROGRESS}, 'stops')
            for number in range(3):
                assert await hear(talk) == [50, 2, {'progress': True}, [number]]
            assert await hear(talk) == Explained(48, 2, 'wamp.error.timeout')

    setting.run(main)


@in_every_setting
@on_every_path
def test_reports_that_are_dropped_are_no_results(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        async with setting.join(steps(100, 0.1), path) as talk:
            assert await say(talk, 48, 1, {'timeout': 250}, 'steps') == Explained(48, 1, 'wamp.error.timeout')

    setting.run(main)
