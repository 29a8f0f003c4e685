"""_core.session.deliveries: what a connection is taking that keeps its senders waiting, and when that is too much."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from conftest import LoopRunner
from support.doubles import RecordingConnection, open_session
from support.signatures import drive

from serverwamp_fast._core.session.deliveries import Deliveries, Delivery, InTurn
from serverwamp_fast.errors import ConnectionClosed

LIMIT = 64
SIZE_LIMIT = 256 * 1024


class Slow(RecordingConnection):
    """Keeps each sender waiting until it `takes` the message, in the order of sending."""

    unsent_size = 0

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[None]] = []

    async def send_msg(self, msg: Sequence[Any]) -> None:
        taken = asyncio.get_running_loop().create_future()
        self.waiting.append(taken)
        await taken
        await super().send_msg(msg)

    async def take(self, count: int = 1, error: Exception | None = None) -> None:
        for _ in range(count):
            taken = self.waiting.pop(0)
            taken.set_exception(error) if error else taken.set_result(None)
        await turn()


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def noting(notes: list[Any], value: Any, error: Exception | None = None) -> Coroutine[Any, Any, Any]:
    async def work() -> Any:
        notes.append(value)
        if error is not None:
            raise error
        return 'not looked at'

    return work()


# One message


def test_a_delivery_is_what_it_awaits_without_the_value() -> None:
    notes: list[Any] = []
    delivery = Delivery(Deliveries(object()), noting(notes, 1))
    assert notes == []
    assert drive(delivery) is None
    assert notes == [1]
    with pytest.raises(RuntimeError):
        delivery.send(None)


def test_an_error_of_the_connection_is_the_senders() -> None:
    delivery = Delivery(Deliveries(object()), noting([], 1, ConnectionClosed('on purpose')))
    with pytest.raises(ConnectionClosed, match='on purpose'):
        drive(delivery)


@pytest.mark.filterwarnings('error')
def test_a_delivery_that_never_begins_leaves_nothing_unawaited() -> None:
    notes: list[Any] = []
    Delivery(Deliveries(object()), noting(notes, 1)).close()
    # What can't be closed is left alone.
    Delivery(Deliveries(object()), object()).close()
    assert notes == []


# Several


def test_in_turn_runs_one_after_the_other(run: LoopRunner) -> None:
    notes: list[Any] = []

    async def wait(value: Any) -> None:
        notes.append(value)
        await asyncio.sleep(0)
        notes.append(-value)

    async def main() -> None:
        assert await InTurn([wait(1), noting(notes, 2), wait(3)]) is None

    run(main())
    assert notes == [1, -1, 2, 3, -3]
    assert drive(InTurn([])) is None


@pytest.mark.filterwarnings('error')
def test_in_turn_ends_with_the_first_error() -> None:
    notes: list[Any] = []
    left = noting(notes, 3)
    work = [noting(notes, 1), noting(notes, 2, LookupError('on purpose')), left, Unclosable()]
    with pytest.raises(LookupError, match='on purpose'):
        drive(InTurn(work))
    assert notes == [1, 2]
    with pytest.raises(RuntimeError):
        # It has been closed.
        left.send(None)


class Unclosable:
    def __await__(self) -> Any:
        raise AssertionError('not reached')


# Too many


async def send(session: Any, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(wait_for(session.send_raw([50, number, {}]))) for number in range(count)]
    await turn()
    return tasks


async def wait_for(awaitable: Any) -> None:
    await awaitable


def congestion(act: Callable[[Slow, Any, list[str]], Any]) -> Any:
    async def main() -> None:
        connection = Slow()
        session = open_session(connection)
        reliefs: list[str] = []
        await act(connection, session, reliefs)
        while connection.waiting:
            await connection.take()
        assert not session.is_congested

    return main()


def test_a_session_is_congested_from_a_number_of_messages_on(run: LoopRunner) -> None:
    async def act(connection: Slow, session: Any, reliefs: list[str]) -> None:
        await send(session, LIMIT - 1)
        assert not session.is_congested
        await send(session, 1)
        assert session.is_congested
        session.call_on_relief(lambda: reliefs.append('first'))
        session.call_on_relief(lambda: reliefs.append('second'))
        # Not at once: half of them have to be gone.
        await connection.take(LIMIT // 2 - 1)
        assert reliefs == []
        await connection.take()
        assert reliefs == ['first', 'second']
        await connection.take(5)
        assert reliefs == ['first', 'second']

    run(congestion(act))


def test_a_session_is_congested_from_a_number_of_bytes_on(run: LoopRunner) -> None:
    async def act(connection: Slow, session: Any, reliefs: list[str]) -> None:
        connection.unsent_size = SIZE_LIMIT
        # By what others send over the connection alone it isn't: nothing would tell of its end.
        assert not session.is_congested
        await send(session, 2)
        assert session.is_congested
        session.call_on_relief(lambda: reliefs.append('relief'))
        await connection.take()
        assert reliefs == []
        connection.unsent_size = SIZE_LIMIT // 2
        await send(session, 1)
        await connection.take()
        assert reliefs == ['relief']

    run(congestion(act))


def test_messages_that_could_not_be_sent_wait_no_more(run: LoopRunner) -> None:
    async def act(connection: Slow, session: Any, reliefs: list[str]) -> None:
        sending = await send(session, LIMIT)
        session.call_on_relief(lambda: reliefs.append('relief'))
        await connection.take(LIMIT // 4, ConnectionClosed('on purpose'))
        for task in sending[-LIMIT // 4 :]:
            task.cancel()
        await turn()
        assert reliefs == ['relief']
        ends = await asyncio.gather(*sending[: LIMIT // 4], return_exceptions=True)
        assert {type(end) for end in ends} == {ConnectionClosed}
        connection.waiting = [waiting for waiting in connection.waiting if not waiting.done()]

    run(congestion(act))
