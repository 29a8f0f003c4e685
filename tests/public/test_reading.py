"""What is read of a connection before its turn: in order, up to a limit, and not behind the end."""

import asyncio
from typing import Any

import pytest
from support.doubles import open_session
from support.signatures import drive

from serverwamp_fast._core.dialogue.intakes import Begun
from serverwamp_fast.adapters.async_base import AsyncSupport
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
from serverwamp_fast.errors import WAMPMsgParseError
from serverwamp_fast.reading import MESSAGE_SIZE, OVERHEAD, ReadAhead

END = object()
GOODBYE = [6, {}, 'a.b']


class Source:
    """Hands over what is put in, and raises the errors among that."""

    def __init__(self, *items: Any) -> None:
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        for item in items:
            self.items.put_nowait(item)

    async def read(self) -> Any:
        item = await self.items.get()
        if isinstance(item, Exception):
            raise item
        return item


async def busy(source: Source, limit: int = 10_000, decode: Any = None, end: Any = END) -> Any:
    """A ReadAhead that has read what there is, the session, and what cancels it."""
    tasks = AsyncioAsyncSupport.launch_task_group()
    group = await tasks.__aenter__()
    session = open_session()
    session.tasks = group
    ahead = ReadAhead(AsyncioAsyncSupport, source.read, decode, end, limit)
    await ahead.start(session)
    for _ in range(10):
        await asyncio.sleep(0)

    async def leave() -> None:
        ahead.cancel()
        await tasks.__aexit__(None, None, None)

    return ahead, session, leave


def test_messages_come_in_order_whether_read_ahead_or_not(run) -> None:
    async def main() -> None:
        source = Source([1], [2], [3])
        ahead, session, leave = await busy(source)
        assert source.items.empty() and not ahead.is_idle
        assert [await ahead.take() for _ in range(3)] == [[1], [2], [3]]
        ahead.stop()
        # The reader still waits for one, which is the next.
        source.items.put_nowait([4])
        assert await ahead.take() == [4]
        assert ahead.is_idle and session.is_open
        source.items.put_nowait([5])
        assert await ahead.take() == [5]
        await leave()

    run(main())


@pytest.mark.parametrize('kind', ['messages', 'payloads'])
def test_reading_pauses_at_the_limit(run, kind: str) -> None:
    async def main() -> None:
        items: list[Any] = [[100 + number] for number in range(20)] if kind == 'messages' else ['x' * 1000] * 20
        size = MESSAGE_SIZE if kind == 'messages' else 1000 + OVERHEAD
        source = Source(*items)
        ahead, session, leave = await busy(source, 5 * size, None if kind == 'messages' else lambda payload: [payload])
        assert source.items.qsize() == 15
        await ahead.start(session)
        assert source.items.qsize() == 15
        assert await ahead.take() == items[0]
        await ahead.start(session)
        await asyncio.sleep(0)
        assert source.items.qsize() == 14
        assert [await ahead.take() for _ in range(19)] == items[1:]
        await leave()

    run(main())


@pytest.mark.parametrize('last', [GOODBYE, [3, {}, 'a.b'], END, WAMPMsgParseError('no message'), OSError('lost')])
def test_nothing_is_read_behind_the_last(run, last: Any) -> None:
    async def main() -> None:
        source = Source([1], last, [2])
        ahead, session, leave = await busy(source)
        assert source.items.qsize() == 1
        assert session.is_open == (last is not END and not isinstance(last, OSError))
        assert await ahead.take() == [1]
        await ahead.start(session)
        if isinstance(last, Exception):
            with pytest.raises(type(last), match=str(last)):
                await ahead.take()
        else:
            assert await ahead.take() is last
        assert source.items.qsize() == 1
        await leave()

    run(main())


def test_a_goodbye_in_a_payload_is_seen(run) -> None:
    async def main() -> None:
        def decode(payload: str) -> list[Any]:
            if payload == 'bad':
                raise WAMPMsgParseError('bad')
            return [[48], GOODBYE] if payload == 'bye' else [[48]]

        source = Source('call', 'bad', 'x' * 5000, 'bye', 'more')
        ahead, _, leave = await busy(source, 100_000, decode, None)
        assert source.items.qsize() == 1
        assert [await ahead.take() for _ in range(4)] == ['call', 'bad', 'x' * 5000, 'bye']
        await leave()

    run(main())


def test_without_events_nothing_is_read_ahead(run) -> None:
    class WithoutEvents(AsyncioAsyncSupport):
        new_event = AsyncSupport.new_event  # type: ignore[assignment]

    async def main() -> None:
        source = Source([1])
        ahead = ReadAhead(WithoutEvents, source.read, None, END, 1000)
        await ahead.start(open_session())
        assert ahead.is_idle
        assert await ahead.take() == [1]

    run(main())


def test_work_that_is_begun_goes_on_where_it_waits() -> None:
    class Turn:
        def __await__(self) -> Any:
            assert (yield 'first') == 'sent'
            yield 'second'

    async def work() -> None:
        await Turn()

    begun = Begun(work())
    assert not begun.start()
    assert begun.send(None) == 'first'
    assert begun.send('sent') == 'second'
    with pytest.raises(StopIteration):
        begun.send(None)

    async def quick() -> None:
        pass

    assert Begun(quick()).start()

    thrown = Begun(work())
    thrown.start()
    with pytest.raises(LookupError):
        thrown.throw(LookupError('into the first step'))
    closed = Begun(work())
    closed.start()
    closed.close()
    drive(Begun(quick()))
