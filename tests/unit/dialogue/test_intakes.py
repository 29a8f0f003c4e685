"""What comes in on connections that hand over payloads: in order, one message at a time, and as far as a turn goes."""

import asyncio
import json
from typing import Any

import pytest
from support.doubles import RecordingTasks
from support.raw_client import make_app
from support.signatures import drive

import serverwamp_fast as wamp
from serverwamp_fast._core.dialogue.dispatch import InOrder
from serverwamp_fast._core.dialogue.intakes import Fetching, Intake, Working
from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
from serverwamp_fast.connection import PayloadConnection
from serverwamp_fast.errors import UnexpectedMessageError, WAMPMsgParseError
from serverwamp_fast.session import WAMPSession

END = object()
waiting = wamp.RPCRouteSet()


@waiting.route('wait')
async def wait(*args: Any) -> None:
    await Turn()


class Turn:
    """Awaits the next step, whenever that is."""

    def __await__(self) -> Any:
        yield


class Payloads(PayloadConnection):
    """Hands over payloads, or raises the errors among them."""

    def __init__(self, *payloads: Any, subprotocol: str = 'wamp.2.json') -> None:
        super().__init__()
        self.payloads = list(payloads)
        self.codec = codec_for(subprotocol)
        self.sent: list[Any] = []

    async def receive_payload(self) -> Any:
        payload = self.payloads.pop(0) if self.payloads else None
        if isinstance(payload, BaseException):
            raise payload
        return payload

    async def send_payload(self, payload: bytes) -> None:
        self.sent.append(payload.decode().rstrip('\x1e\x18'))

    async def close(self) -> None:
        pass


def text(*message: Any) -> str:
    return json.dumps(message, separators=(',', ':'))


def call(number: int, procedure: str = 'echo') -> str:
    return text(48, number, {}, procedure, [number])


def open_session(connection: Payloads) -> WAMPSession:
    app = make_app()
    app.add_rpc_routes(waiting)
    session = app.new_session(connection, 'realm', {}, RecordingTasks())
    session.mark_open()
    return session


def take_all(intake: Intake) -> list[Any]:
    """Return the messages, as the driver gets them before a session is open."""
    messages = []
    while True:
        drive(intake.fetch())
        message = intake.take(END)
        if message is END:
            return messages
        messages.append(list(message))


class Starter:
    """Runs calls to their end in place of a task group; those that have not ended are kept as given to adopt()."""

    def __init__(self) -> None:
        self.adopted: list[Any] = []

    def start(self, coroutine: Any) -> Any:
        try:
            coroutine.send(None)
        except StopIteration:
            pass
        return coroutine

    def adopt(self, task: Any) -> Any:
        self.adopted.append(task)
        return None

    @property
    def functions(self) -> Any:
        return self.start, self.adopt


def test_messages_come_one_by_one_and_in_order() -> None:
    intake = Intake(Payloads(text(1, 'a', {}), text(6, {}, 'b')))
    assert not intake.is_over
    assert take_all(intake) == [[1, 'a', {}], [6, {}, 'b']]
    assert intake.is_over
    # At the end it stays at the end.
    assert take_all(intake) == []


def test_a_batch_is_taken_apart() -> None:
    batch = ''.join(f'{text(6, {}, name)}\x1e' for name in 'abc')
    intake = Intake(Payloads(batch, f'{text(6, {}, "d")}\x1e', subprotocol='wamp.2.json.batched'))
    assert [message[2] for message in take_all(intake)] == ['a', 'b', 'c', 'd']


def test_the_first_payload_tells_the_separator_to_answer_with() -> None:
    connection = Payloads(f'{text(6, {}, "a")}\x18', subprotocol='wamp.2.json.batched')
    take_all(Intake(connection))
    assert connection.codec.encode([6, {}, 'b']).endswith(b'\x18')


@pytest.mark.parametrize('before', [[], [text(6, {}, 'a')]])
def test_what_is_no_message_is_an_error(before: list[str]) -> None:
    intake = Intake(Payloads(*before, '[1,'))
    for _ in before:
        drive(intake.fetch())
        intake.take(END)
    with pytest.raises(WAMPMsgParseError):
        drive(intake.fetch())


def test_errors_of_the_connection_are_passed_on() -> None:
    intake = Intake(Payloads(OSError('lost')))
    with pytest.raises(OSError, match='lost'):
        drive(intake.fetch())


def test_calls_are_started_until_nothing_more_comes() -> None:
    connection = Payloads(call(1), call(2))
    intake, starter = Intake(connection), Starter()
    working = intake.work_for(open_session(connection), starter.functions, 64)
    drive(working)
    assert working.work is None
    assert working.budget == 62
    assert intake.is_over
    assert connection.sent == ['[50,1,{},[1]]', '[50,2,{},[2]]']
    assert starter.adopted == []


def test_a_call_that_waits_is_adopted_and_can_be_cancelled() -> None:
    connection = Payloads(call(1, 'wait'), call(2))
    cancelled = []
    starter = Starter()

    def adopt(task: Any) -> Any:
        return lambda: cancelled.append(task)

    session = open_session(connection)
    drive(Intake(connection).work_for(session, (starter.start, adopt), 64))
    assert connection.sent == ['[50,2,{},[2]]']
    connection.payloads.append(text(49, 1, {'mode': 'killnowait'}))
    working = Intake(connection).work_for(session, starter.functions, 64)
    drive(working)
    drive(working.work.work)
    sentence = '"The call of wait was canceled."'
    assert connection.sent[1:] == [f'[8,48,1,{{}},"wamp.error.canceled",[{sentence}],{{"message":{sentence}}}]']
    (task,) = cancelled
    task.close()


def test_without_a_starter_calls_are_left_to_the_driver() -> None:
    connection = Payloads(call(1), call(2))
    intake, session = Intake(connection), open_session(connection)
    for number in (1, 2):
        working = intake.work_for(session, None, 64)
        drive(working)
        drive(working.work)
        assert len(connection.sent) == number
    working = intake.work_for(session, None, 64)
    drive(working)
    assert working.work is None and intake.is_over


def test_what_has_to_end_first_is_left_to_the_driver() -> None:
    connection = Payloads(call(1), text(32, 2, {}, 'topic'), call(3))
    intake, starter = Intake(connection), Starter()
    session = open_session(connection)
    working = intake.work_for(session, starter.functions, 64)
    drive(working)
    assert isinstance(working.work, InOrder)
    assert working.budget == 62
    assert connection.sent == ['[50,1,{},[1]]']
    working.work.work.close()
    drive(intake.work_for(session, starter.functions, 64))
    assert connection.sent == ['[50,1,{},[1]]', '[50,3,{},[3]]']


def test_a_turn_ends_with_its_budget() -> None:
    connection = Payloads(*map(call, range(1, 6)))
    intake, starter, session = Intake(connection), Starter(), open_session(connection)
    counts = []
    while not intake.is_over:
        working = intake.work_for(session, starter.functions, 2)
        drive(working)
        counts.append((working.budget, len(connection.sent)))
    assert counts == [(0, 2), (0, 4), (1, 5)]


def test_a_client_that_does_not_read_gets_no_further() -> None:
    async def main() -> None:
        reads = asyncio.Event()

        class Unread(Payloads):
            async def send_payload(self, payload: bytes) -> None:
                await reads.wait()
                await super().send_payload(payload)

        connection = Unread(*map(call, range(1, 101)))
        session = open_session(connection)
        async with AsyncioAsyncSupport.launch_task_group() as tasks:
            intake = Intake(connection)
            working = intake.work_for(session, None, 1000)
            while not session.is_congested:
                await working
                await tasks.spawn_cancellable(working.work)
                working = intake.work_for(session, None, 1000)
                await asyncio.sleep(0)
            assert len(connection.payloads) == 100 - 64
            # With a starter, it stops by itself.
            stopped = intake.work_for(session, Starter().functions, 1000)
            working.close()
            await stopped
            assert len(connection.payloads) == 100 - 65
            reads.set()

    asyncio.run(main())


def test_messages_out_of_place_are_errors() -> None:
    connection = Payloads(call(1), text(1, 'realm', {}), call(2))
    intake, starter = Intake(connection), Starter()
    with pytest.raises(UnexpectedMessageError):
        drive(intake.work_for(open_session(connection), starter.functions, 64))
    assert connection.sent == ['[50,1,{},[1]]']


def test_arguments_are_checked() -> None:
    connection = Payloads()
    intake = Intake(connection)
    for source in (None, intake):
        with pytest.raises(TypeError):
            Working(source, None, None, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Fetching(None)  # type: ignore[arg-type]
    # It was never attached to an application.
    session = WAMPSession(connection, None)
    connection.payloads.append(call(1))
    with pytest.raises(TypeError):
        drive(intake.work_for(session, None, 1))
