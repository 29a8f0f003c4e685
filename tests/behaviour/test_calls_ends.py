"""_core.dealer.calls: calls as coroutines: in tasks, cancelled, closed, and through a native connection."""

import asyncio
import contextlib
import contextvars
import sys
from collections.abc import Awaitable
from typing import Any

import anyio
import pytest
import trio
from conftest import LoopRunner
from support.calling import (
    CANCELED,
    RUNTIME_ERROR,
    call_in,
    make_call,
    raise_late,
    return_something,
)
from support.doubles import NativeClient, RecordingConnection, open_session
from support.explained import Explained
from support.isolated import run_isolated
from support.signatures import drive

from serverwamp_fast._core.dialogue.dispatch import Dispatch, attach
from serverwamp_fast.errors import ConnectionClosed, SerializationError
from serverwamp_fast.rpc import RPCProgressReport, RPCResult, RPCRouter
from serverwamp_fast.session import WAMPSession

# ---- Cancellation, and other ends ----------------------------------------------------------------


def start(run: LoopRunner, *args: Any, **kwargs: Any) -> asyncio.Task[None]:
    return run.loop.create_task(make_call(*args, **kwargs))


def test_cancelled_while_handling(run: LoopRunner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        ended = []

        async def procedure() -> None:
            try:
                await run.loop.create_future()
            finally:
                ended.append(connection.sent[:])

        connection = RecordingConnection()
        task = start(run, procedure, connection)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [[]]
        assert connection.sent == [CANCELED]
        assert not caplog.records

    run(main())


def test_cancelled_while_replying(run: LoopRunner) -> None:
    async def main() -> None:
        connection = RecordingConnection(run.loop.create_future)
        task = start(run, return_something, connection)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The result may be on its way in part: nothing else may follow it.
        assert connection.sent == []

    run(main())


@pytest.mark.parametrize('failing', [ConnectionClosed('gone'), SerializationError('no form')])
def test_cancelled_and_the_client_has_left(run: LoopRunner, failing: Exception) -> None:
    async def main() -> None:
        connection = RecordingConnection(failing)
        task = start(run, run.loop.create_future, connection)
        await asyncio.sleep(0)
        task.cancel('the reason')
        with pytest.raises(asyncio.CancelledError, match='the reason'):
            await task
        assert connection.sent == []

    run(main())


def test_cancelled_again_while_the_caller_is_told(run: LoopRunner) -> None:
    async def main() -> None:
        connection = RecordingConnection(run.loop.create_future)
        task = start(run, run.loop.create_future, connection)
        await asyncio.sleep(0)
        task.cancel('first')
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel('second')
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.sent == []

    run(main())


def test_a_procedure_that_is_not_to_be_cancelled(run: LoopRunner) -> None:
    async def main() -> None:
        async def procedure() -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await run.loop.create_future()
            return 'all the same'

        connection = RecordingConnection()
        task = start(run, procedure, connection)
        await asyncio.sleep(0)
        task.cancel()
        await task
        assert connection.sent == [[50, 1, {}, ('all the same',)]]

    run(main())


def test_a_procedure_that_awaits_what_was_cancelled(run: LoopRunner) -> None:
    async def main() -> None:
        future = run.loop.create_future()
        future.cancel()
        connection = RecordingConnection()
        with pytest.raises(asyncio.CancelledError):
            await make_call(lambda: future, connection)
        assert connection.sent == [CANCELED]

    run(main())


def test_cancelled_before_the_first_step(run: LoopRunner) -> None:
    async def main() -> None:
        connection = RecordingConnection()
        task = start(run, return_something, connection)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.sent == [CANCELED]

    run(main())


def test_something_else_before_the_first_step(caplog: pytest.LogCaptureFixture) -> None:
    connection = RecordingConnection()
    with pytest.raises(StopIteration):
        make_call(return_something, connection).throw(LookupError('early'))
    assert connection.sent == [RUNTIME_ERROR]
    assert 'LookupError: early' in caplog.text
    for end in KeyboardInterrupt, SystemExit, GeneratorExit:
        connection = RecordingConnection()
        with pytest.raises(end):
            make_call(return_something, connection).throw(end)
        assert connection.sent == []


def test_a_procedure_that_raises_generator_exit(caplog: pytest.LogCaptureFixture) -> None:
    async def procedure() -> None:
        raise GeneratorExit

    def at_once() -> Awaitable[None]:
        raise GeneratorExit

    for raising in procedure, at_once:
        connection = RecordingConnection()
        drive(make_call(raising, connection))
        assert connection.sent == [RUNTIME_ERROR]
    # A plain function is also warned of.
    assert [record.levelname for record in caplog.records if record.name == 'serverwamp_fast.rpc'] == ['ERROR'] * 2


@pytest.mark.parametrize('end', [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_program_is_not_answered(end: type[BaseException]) -> None:
    async def procedure() -> None:
        raise end

    def at_once() -> None:
        raise end

    for raising in procedure, at_once:
        connection = RecordingConnection()
        with pytest.raises(end):
            drive(make_call(raising, connection))
        assert connection.sent == []


@pytest.mark.parametrize('end', [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_program_while_the_caller_is_told_of_a_cancellation(
    end: type[BaseException],
) -> None:
    async def procedure() -> None:
        raise asyncio.CancelledError

    async def stop() -> None:
        raise end

    with pytest.raises(end):
        drive(make_call(procedure, RecordingConnection(stop)))


def test_closed() -> None:
    ended = []

    class Suspended:
        def __await__(self) -> Any:
            try:
                yield
            except GeneratorExit:
                ended.append('handled')

    async def suspend() -> None:
        await Suspended()

    async def cancelled() -> None:
        raise asyncio.CancelledError

    for connection, procedure in (
        (RecordingConnection(), suspend),
        (RecordingConnection(suspend), return_something),
        (RecordingConnection(suspend), cancelled),
    ):
        call = make_call(procedure, connection)
        call.send(None)
        assert call.close() is None
        # Nothing is said on behalf of a task that is thrown away, even if the procedure returned.
        assert connection.sent == []
    assert ended == ['handled'] * 3


# ---- In tasks ------------------------------------------------------------------------------------


variable = contextvars.ContextVar('variable', default='unset')


def test_a_procedure_has_a_task_of_its_own(run: LoopRunner) -> None:
    async def main() -> None:
        async def procedure() -> list[Any]:
            task = asyncio.current_task()
            variable.set('set')
            async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
                doubled = tasks.create_task(asyncio.sleep(0, 2))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await run.loop.create_future()
            with anyio.move_on_after(0) as scope:
                await anyio.sleep_forever()
            assert task is asyncio.current_task()
            return [doubled.result(), scope.cancelled_caught, variable.get(), task.cancelling()]

        connection = RecordingConnection()
        tasks = [start(run, procedure, connection) for _ in range(3)]
        if sys.version_info >= (3, 12):
            call = make_call(procedure, connection)
            tasks.append(asyncio.Task(call, loop=run.loop, eager_start=True))
        await asyncio.gather(*tasks)
        assert connection.sent == [[50, 1, {}, [2, True, 'set', 0]]] * len(tasks)
        assert variable.get() == 'unset'

    run(main())


@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_cancelled_by_a_scope(backend: str) -> None:
    connection = RecordingConnection()

    async def main() -> None:
        with anyio.fail_after(60):
            with anyio.move_on_after(0.001) as scope:
                await make_call(anyio.sleep_forever, connection)
            assert scope.cancelled_caught

    anyio.run(main, backend=backend)
    assert connection.sent == [CANCELED]


def test_cancelled_by_trio_when_sending_is_cancelled_as_well() -> None:
    connection = RecordingConnection(trio.lowlevel.checkpoint)

    async def main() -> None:
        with trio.move_on_after(0) as scope:
            await make_call(trio.sleep_forever, connection)
        assert scope.cancelled_caught

    trio.run(main)
    assert connection.sent == []


# ---- Through a native connection -----------------------------------------------------------------


def test_native_answers(run: LoopRunner, caplog: pytest.LogCaptureFixture) -> None:
    async def echo(a: Any, *rest: Any, **kwargs: Any) -> RPCResult:
        return RPCResult((a, *rest), kwargs)

    async def count(n: int) -> Any:
        for number in range(n):
            yield RPCProgressReport((number,))
        yield n

    async def unsendable() -> Any:
        return object, object()

    async def wait() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        router = RPCRouter()
        for procedure in echo, count, unsendable, wait, raise_late:
            router.add_route(procedure.__name__, procedure)
        client = NativeClient(open_session)
        attach(client.session, None, Dispatch(router.call_rules, None, (), False))
        client.send(
            [48, 1, {}, 'echo', [1, '\0AQ=='], {'b': 2}],
            [48, 2, {}, 'echo', [None]],
            [48, 3, {'receive_progress': True}, 'count', [2]],
            [48, 4, {}, 'count', [2]],
            [48, 5, {}, 'unsendable'],
            [48, 6, {}, 'raise_late'],
            [48, 7, {}, 'nothing'],
            [48, 8, {}, 'echo'],
            [48, 9, {}, 'wait'],
        )
        sent = await client.receive()
        # A later call may be answered sooner.
        sent.sort(key=lambda message: message[2] if message[0] == 8 else message[1])
        assert sent == [
            [50, 1, {}, [1, '\0AQ=='], {'b': 2}],
            [50, 2, {}, [None]],
            [50, 3, {'progress': True}, [0]],
            [50, 3, {'progress': True}, [1]],
            [50, 3, {}, [2]],
            [50, 4, {}, [2]],
            Explained(48, 5, 'wamp.error.runtime_error'),
            Explained(48, 6, 'wamp.error.runtime_error'),
            Explained(48, 7, 'wamp.error.no_such_procedure', 'There is no procedure nothing.'),
            Explained(48, 8, 'wamp.error.invalid_argument', 'Argument a required.'),
            [50, 9, {}],
        ]
        assert 'The answer of procedure unsendable could not be sent to session ' in caplog.text

    run(main())


def test_native_subclass_sends_by_its_own_method(run: LoopRunner) -> None:
    class Louder(WAMPSession):
        async def send_raw(self, msg: Any) -> None:
            await super().send_raw([*msg, 'loud'])

    async def main() -> None:
        client = NativeClient(lambda peer: open_session(peer, kind=Louder))
        await call_in(client.session, return_something)
        assert await client.receive() == [[50, 1, {}, ['something'], 'loud']]

    run(main())


@pytest.mark.parametrize('progress', [True, False])
def test_native_client_that_leaves_amid_a_call(
    run: LoopRunner, progress: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def procedure() -> Any:
        yield RPCProgressReport()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield RPCProgressReport()
        yield 'result'

    async def main() -> None:
        client = NativeClient(open_session)
        call = call_in(client.session, procedure, options={'receive_progress': progress})
        task = run.loop.create_task(call)
        await asyncio.sleep(0)
        client.leave()
        await task
        assert not caplog.records

    run(main())


# ---- Nothing is kept -----------------------------------------------------------------------------


def test_memory_does_not_grow() -> None:
    run_isolated(
        """
        import asyncio, contextlib, logging
        from support.doubles import RecordingConnection
        from serverwamp_fast.errors import ConnectionClosed, SerializationError
        from serverwamp_fast.rpc import RPCErrorResult, RPCProgressReport, RPCResult
        from support.signatures import drive
        from support.calling import make_call, raise_at_once, raise_late, return_something

        logging.disable()

        async def full(session, request, a, *rest: int, b=1, **more):
            return RPCResult((a, rest), more)

        async def cancelled():
            raise asyncio.CancelledError

        async def stream():
            yield RPCProgressReport((1,))
            yield RPCErrorResult('com.example.no', ('why',))

        class Suspended:
            def __await__(self):
                yield [1]

        def use():
            for procedure in (full, return_something, raise_at_once, raise_late, lambda: 7, lambda: None, 7):
                drive(make_call(procedure, RecordingConnection(), (1, '2', 3), {'c': 4}))
            drive(make_call(stream, options={'receive_progress': True}))
            drive(make_call(full, RecordingConnection(), (1, 'x')))
            drive(make_call(return_something, RecordingConnection(ConnectionClosed())))
            drive(make_call(return_something, RecordingConnection(SerializationError('x'))))
            with contextlib.suppress(asyncio.CancelledError):
                drive(make_call(cancelled))
            with contextlib.suppress(asyncio.CancelledError):
                drive(make_call(cancelled, RecordingConnection(ConnectionClosed())))
            call = make_call(Suspended)
            call.send(None)
            with contextlib.suppress(StopIteration):
                call.send(None)
            call = make_call(Suspended)
            call.send(None)
            call.close()
            call = make_call(Suspended)
            call.send(None)
            make_call(full)

        check_growth(use, 300)
        """
    )
