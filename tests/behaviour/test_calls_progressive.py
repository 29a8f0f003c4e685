"""Progressive call invocations: the later CALLs of a call, which its procedure takes as an async iterator."""

import gc
from typing import Any

import anyio
import pytest
from support.explained import Explained
from support.session_clients import Clients
from support.talking import (
    SETTINGS,
    Setting,
    hear,
    hear_nothing_more,
    in_every_setting,
    on_every_path,
    say,
    use_routes,
)

import serverwamp_fast as wamp
from serverwamp_fast.errors import ConnectionClosed
from serverwamp_fast.rpc import RPCInput, RPCInputs, RPCProgressReport, RPCRequest

MORE = {'progress': True}


class Procedures:
    def __init__(self) -> None:
        self.ended: list[str] = []
        self.done = anyio.Event()
        self.gate = anyio.Event()
        self.taken: list[Any] = []
        self.routes = routes = wamp.RPCRouteSet()

        @routes.route('echo')
        async def echo(*args: Any) -> Any:
            return args

        @routes.route('collect')
        async def collect(request: Any, *first: Any) -> Any:
            """Returns all inputs."""
            try:
                async for item in request.inputs:
                    self.taken.append([list(item.args), dict(item.kwargs)])
            except BaseException as error:
                self.note(type(error).__name__)
                raise
            return [list(first), self.taken]

        @routes.route('first')
        async def first(request: Any) -> Any:
            """Is content with the first input."""
            return list((await anext(request.inputs)).args)

        @routes.route('slow')
        async def slow(request: Any) -> Any:
            """Begins to take inputs when the gate opens."""
            await self.gate.wait()
            return [item.args[0] async for item in request.inputs]

    def note(self, text: str) -> None:
        self.ended.append(text)
        self.done.set()


@in_every_setting
@on_every_path
def test_all_inputs(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, MORE, 'collect', [1], {'a': 2})
            await hear_nothing_more(talk)
            await talk.tell(48, 1, {'progress': True, 'timeout': -1}, 'collect')
            # Between them a usual call, and options that are frozen.
            await hear_nothing_more(talk)
            heard = await say(talk, 48, 1, {'progress': False}, 'collect', [3])
            assert heard == [50, 1, {}, [[1], [[[1], {'a': 2}], [[], {}], [[3], {}]]]]
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
def test_a_usual_call_has_one_input(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            heard = await say(talk, 48, 1, {}, 'collect', [1], {'a': 2})
            assert heard == [50, 1, {}, [[1], [[[1], {'a': 2}]]]]

    setting.run(main)


@in_every_setting
@on_every_path
def test_inputs_and_progress_go_both_ways(setting: Setting, path: Any) -> None:
    routes = wamp.RPCRouteSet()

    @routes.route('talk')
    async def talk_back(request: Any) -> Any:
        async for item in request.inputs:
            yield RPCProgressReport(item.args)
        yield 'end'

    async def main(setting: Setting) -> None:
        async with setting.join(routes, path) as talk:
            options = {'progress': True, 'receive_progress': True}
            for number in range(3):
                heard = await say(talk, 48, 1, options, 'talk', [number])
                assert heard == [50, 1, {'progress': True}, [number]]
            assert await say(talk, 48, 1, {}, 'talk', [3]) == [50, 1, {'progress': True}, [3]]
            assert await hear(talk) == [50, 1, {}, ['end']]

    setting.run(main)


@in_every_setting
@on_every_path
def test_calls_after_the_answer_are_dropped(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            assert await say(talk, 48, 1, MORE, 'first', [1]) == [50, 1, {}, [1]]
            # The caller has not seen it yet.
            await talk.tell(48, 1, MORE, 'first', [2])
            await hear_nothing_more(talk)
            await talk.tell(48, 1, {}, 'first', [3])
            await hear_nothing_more(talk)
            # Now the id is free.
            assert await say(talk, 48, 1, {}, 'first', [4]) == [50, 1, {}, [4]]

    setting.run(main)


@in_every_setting
def test_procedures_that_take_no_inputs(setting: Setting) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, use_routes) as talk:
            heard = await say(talk, 48, 1, MORE, 'echo', [1])
            assert heard == Explained(48, 1, 'wamp.error.feature_not_supported')
            await talk.tell(48, 1, MORE, 'echo', [2])
            await talk.tell(48, 1, {}, 'echo', [3])
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
def test_a_call_without_a_valid_uri_is_answered_once(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            for _ in range(2):
                heard = await say(talk, 48, 1, MORE, 'a b', [1])
                assert heard == Explained(48, 1, 'wamp.error.invalid_uri')
                await talk.tell(48, 1, MORE, 'a b', [2])
                await hear_nothing_more(talk)
                await talk.tell(48, 1, {}, 'a b', [3])
                await hear_nothing_more(talk)
                # Now the id is free.
            heard = await say(talk, 48, 1, {}, 'a b', [1])
            assert heard == Explained(48, 1, 'wamp.error.invalid_uri')
            assert await say(talk, 48, 1, {}, 'echo', [4]) == [50, 1, {}, [4]]

    setting.run(main)


@in_every_setting
@on_every_path
def test_not_with_synchronized_requests(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(
            procedures.routes, path, synchronize_requests=True
        ) as talk:
            heard = await say(talk, 48, 1, MORE, 'collect', [1])
            assert heard == Explained(48, 1, 'wamp.error.feature_not_supported')
            await talk.tell(48, 1, {}, 'collect', [2])
            await hear_nothing_more(talk)

    setting.run(main)


@in_every_setting
@on_every_path
@pytest.mark.parametrize('mode', ['skip', 'kill', 'killnowait'])
def test_cancelled_while_waiting_for_inputs(
    setting: Setting, path: Any, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, MORE, 'collect', [1])
            await hear_nothing_more(talk)
            heard = await say(talk, 49, 1, {'mode': mode})
            assert heard == Explained(48, 1, 'wamp.error.canceled')
            await talk.tell(48, 1, MORE, 'collect', [2])
            await talk.tell(48, 1, {}, 'collect', [3])
            await hear_nothing_more(talk)
            await procedures.done.wait()
            assert procedures.taken == [[[1], {}]]

    setting.run(main)
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


@in_every_setting
@on_every_path
def test_a_client_that_leaves_before_the_last_input(
    setting: Setting, path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            await talk.tell(48, 1, MORE, 'collect', [1])
            await hear_nothing_more(talk)
            await talk.leave()
            await procedures.done.wait()
            assert procedures.ended == ['ConnectionClosed']

    setting.run(main)
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


@in_every_setting
@on_every_path
def test_more_inputs_than_there_is_room_for(setting: Setting, path: Any) -> None:
    count = 2 * RPCInputs.LIMIT

    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            for number in range(count):
                await talk.tell(48, 1, MORE, 'slow', [number])
            await talk.tell(48, 2, {}, 'echo')
            procedures.gate.set()
            await talk.tell(48, 1, {}, 'slow', ['last'])
            heard = [await hear(talk), await hear(talk)]
            assert sorted(heard) == [[50, 1, {}, [*range(count), 'last']], [50, 2, {}]]

    setting.run(main)


@in_every_setting
@on_every_path
@pytest.mark.parametrize('mode', ['skip', 'kill', 'killnowait'])
def test_a_procedure_that_takes_no_inputs_can_be_cancelled(setting: Setting, path: Any, mode: str) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            for number in range(RPCInputs.LIMIT):
                await talk.tell(48, 1, MORE, 'slow', [number])
            assert await say(talk, 49, 1, {'mode': mode}) == Explained(48, 1, 'wamp.error.canceled')
            await talk.tell(48, 1, {}, 'slow')
            await hear_nothing_more(talk)
            procedures.gate.set()

    setting.run(main)


@in_every_setting
@on_every_path
def test_a_procedure_that_takes_no_inputs_does_not_keep_its_client_for_ever(
    setting: Setting, path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            for number in range(2 * RPCInputs.LIMIT):
                await talk.tell(48, 1, MORE, 'slow', [number])
            assert await hear(talk) == Explained(48, 1, 'wamp.error.timeout')
            await hear_nothing_more(talk)

    monkeypatch.setattr(RPCInputs, 'PATIENCE', 0)
    setting.run(main)
    (warning,) = [record for record in caplog.records if record.levelname == 'WARNING']
    text = warning.getMessage()
    assert text.startswith('A call of session ')
    assert text.endswith(' ends because procedure slow has taken none of its inputs for 0 seconds.')


@in_every_setting
def test_a_client_that_leaves_with_inputs_that_nobody_takes(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        app = use_routes({'async_support': setting.support})
        app.add_rpc_routes(procedures.routes)
        async with setting.connect(app) as talk:
            for number in range(2 * RPCInputs.LIMIT):
                await talk.tell(48, 1, MORE, 'slow', [number])
            await talk.leave()
            while app._active_sessions:
                await anyio.sleep(0.001)

    monkeypatch.setattr(RPCInputs, 'PATIENCE', 0)
    setting.run(main)


@in_every_setting
@on_every_path
def test_a_timeout_ends_the_wait_for_room(setting: Setting, path: Any) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, path) as talk:
            for number in range(2 * RPCInputs.LIMIT):
                await talk.tell(48, 1, {'progress': True, 'timeout': 20}, 'slow', [number])
            assert (await hear(talk))[4] == 'wamp.error.timeout'
            await talk.tell(48, 1, {}, 'slow')
            await hear_nothing_more(talk)

    setting.run(main)


@pytest.mark.parametrize('setting', [SETTINGS[0], SETTINGS[4]], ids=lambda setting: setting.name)
def test_continuations_that_do_not_fit(setting: Setting) -> None:
    async def main(setting: Setting) -> None:
        procedures = Procedures()
        async with setting.join(procedures.routes, use_routes) as talk:
            await talk.tell(48, 1, MORE, 'collect', [1])
            # Of another procedure, and of something that is no URI: never a second answer.
            await talk.tell(48, 1, {}, 'echo', [2])
            await talk.tell(48, 1, {}, 'not a uri', [2])
            await hear_nothing_more(talk)
            assert (await say(talk, 48, 1, {}, 'collect'))[:2] == [50, 1]

    setting.run(main)


@pytest.mark.parametrize('setting', [SETTINGS[0], SETTINGS[4]], ids=lambda setting: setting.name)
def test_only_a_progressive_call_has_continuations(setting: Setting) -> None:
    """A client may use the id of a usual call that is running once more. Both get their answer."""

    async def main(setting: Setting) -> None:
        procedures = Procedures()
        routes = procedures.routes
        gate = anyio.Event()

        @routes.route('wait')
        async def wait() -> None:
            await gate.wait()

        async with setting.join(routes, use_routes) as talk:
            await talk.tell(48, 1, {}, 'wait')
            assert await say(talk, 48, 1, {}, 'not a uri') == Explained(48, 1, 'wamp.error.invalid_uri')
            gate.set()
            assert (await talk.hear())[:2] == [50, 1]

    setting.run(main)


@pytest.mark.parametrize('kind', ['native', 'own'])
def test_nothing_is_kept_of_calls_that_were_given_up(run: Any, kind: str) -> None:
    """What says whose CALLs are to be dropped goes with the session, also of calls that its end has ended."""
    sessions: list[Any] = []
    app = wamp.Application()
    routes = wamp.RPCRouteSet()

    @routes.route('take')
    async def take(session: Any, request: Any) -> None:
        sessions.append(session)
        async for _ in request.inputs:
            pass

    @routes.route('refuse')
    async def refuse(request: Any) -> None:
        await anext(request.inputs)

    app.add_rpc_routes(routes)

    async def main() -> None:
        async with Clients(kind).of(app) as connect:
            client = await connect()
            await client.hello()
            await client.say([48, 1, MORE, 'take'], [48, 2, MORE, 'refuse'])
            assert await client.hear() == [50, 2, {}]
            (session,) = sessions
            assert {2: None} in gc.get_referents(session)
            await client.vanish()
            tables = [one for one in gc.get_referents(session) if isinstance(one, dict) and one is not vars(session)]
            assert not any(tables), tables

    run(main())


def test_inputs_without_a_server() -> None:
    async def main() -> None:
        inputs = RPCInputs(anyio.Event, (1,), None)
        assert inputs.put((2,), {'a': 3}, False) is None
        inputs.end()
        assert [await anext(inputs), await anext(inputs)] == [RPCInput((1,)), RPCInput((2,), {'a': 3})]
        with pytest.raises(ConnectionClosed):
            await anext(inputs)
        # Nobody will take it.
        assert inputs.put((3,), None, True) is None
        assert not inputs.waiting
        request = RPCRequest(1, None, 'a', (1,), {'b': 2})  # type: ignore[arg-type]
        assert request.inputs is request.inputs
        assert [item async for item in request.inputs] == [RPCInput((1,), {'b': 2})]

    anyio.run(main)
