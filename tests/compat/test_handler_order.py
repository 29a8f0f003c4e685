"""When handlers run, and until when: order, the end of a session, clients that leave.

Each fact is asserted on serverwamp 2.0.0 over aiohttp and on our servers.
"""

import asyncio
import contextlib
from typing import Any

import pytest

from compat.handling import (
    Setting,
    Site,
    build,
    noted,
    on_every_server,
    on_our_native_server,
    serve,
    wait_until,
)
from compat.packages import ORACLE


@on_every_server
@pytest.mark.parametrize('count', [1, 50])
def test_calls_start_in_order(setting: Setting, count: int) -> None:
    started: list[int] = []
    ended: list[int] = []

    async def waits(number):
        started.append(number)
        await asyncio.sleep(0)
        ended.append(number)
        return number

    async def talk(site: Site) -> Any:
        caller = await site.join()
        numbers = range(count)
        await caller.send(*([48, number + 1, {}, 'waits', [number]] for number in numbers))
        return [(await caller.receive())[3] for _ in numbers]

    assert serve(setting, build(setting, waits=waits), talk) == [
        [number] for number in range(count)
    ]
    assert started == ended == list(range(count))


@on_every_server
def test_subscribing_is_finished_before_the_next_message(setting: Setting) -> None:
    journal: list[str] = []

    async def note(name, session):
        journal.append(f'{name} starts')
        await session.send_event('topic', args=(name,))

    topics = setting.package.root.TopicRouteSet()

    @topics.route('topic')
    async def topic():
        journal.append('subscribing')
        await asyncio.sleep(0.01)
        journal.append('subscribed')
        yield
        journal.append('unsubscribing')
        await asyncio.sleep(0.01)
        journal.append('unsubscribed')

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller.send([48, 1, {}, 'note', ['before']])
        first = await caller.receive()
        await caller.send([32, 2, {}, 'topic'], [48, 3, {}, 'note', ['after']])
        answers = [await caller.receive() for _ in range(3)]
        subscription = caller.labels.values['sub 1']
        await caller.send([34, 4, subscription], [48, 5, {}, 'note', ['last']])
        return [first, *answers, *[await caller.receive() for _ in range(2)]]

    app = build(setting, note=note)
    app.add_topic_routes(topics)
    assert serve(setting, app, talk) == [
        [50, 1, {}], [33, 2, 'sub 1'], [36, 'sub 1', 'publication 1', {}, ['after']], [50, 3, {}], [35, 4], [50, 5, {}],
    ]  # fmt: skip
    assert journal == [
        'before starts', 'subscribing', 'subscribed', 'after starts', 'unsubscribing', 'unsubscribed', 'last starts',
    ]  # fmt: skip


@on_our_native_server
def test_answers_of_finished_calls_precede_goodbye(setting: Setting) -> None:
    """A client that says goodbye right behind its calls has the answers of those that needn't wait.

    serverwamp 2.0.0 loses them when everything arrives at once, as aiohttp hands over all messages that have
    arrived before any task runs.
    """

    async def echo(value):
        return value

    async def talk(site: Site) -> Any:
        caller = await site.join()
        messages = [[48, number, {}, 'echo', [number]] for number in range(1, 20)]
        await caller.send(*messages, [6, {}, 'wamp.close.normal'])
        return [await caller.receive() for _ in range(20)]

    answers = serve(setting, build(setting, echo=echo), talk)
    assert answers == [
        *([50, number, {}, [number]] for number in range(1, 20)),
        [6, {}, 'wamp.close.goodbye_and_out'],
    ]


@on_every_server
def test_handlers_go_on_when_the_client_leaves(setting: Setting) -> None:
    journal: list[str] = []
    gate: list[asyncio.Event] = []

    async def slow(session):
        gate.append(asyncio.Event())
        with noted(journal, 'slow'):
            await gate[0].wait()
            journal.append(f'went on, {asyncio.current_task().cancelling()}')
            with contextlib.suppress(setting.package.root.ConnectionClosed):
                await session.send_raw([50, 1, {}])
                journal.append('sent to nobody')

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller.start('slow')
        await wait_until(lambda: gate)
        await caller.client.websocket.close()
        other = await site.join()
        await asyncio.sleep(0.01)
        gate[0].set()
        await wait_until(lambda: journal[-1:] == ['slow done'])
        await other.leave()

    serve(setting, build(setting, slow=slow), talk)
    assert journal == ['went on, 0', 'slow done']


@on_every_server
def test_generators_are_closed_when_the_client_leaves(setting: Setting) -> None:
    """A handler that reports progress ends with its cleanup, awaits included: at its next report, or at once."""
    journal: list[str] = []
    gate: list[asyncio.Event] = []
    progress = setting.package.root.RPCProgressReport

    async def counting():
        gate.append(asyncio.Event())
        try:
            yield progress(args=(1,))
            await gate[0].wait()
            while True:
                yield progress(args=(2,))
                await asyncio.sleep(0)
        except (GeneratorExit, asyncio.CancelledError) as end:
            journal.append(type(end).__name__)
            raise
        finally:
            await asyncio.sleep(0)
            journal.append('cleaned up')

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller.send([48, 1, {'receive_progress': True}, 'counting'])
        assert (await caller.receive())[2:] == [{'progress': True}, [1]]
        await caller.client.websocket.close()
        await asyncio.sleep(0.01)
        gate[0].set()
        await wait_until(lambda: journal[-1:] == ['cleaned up'])

    serve(setting, build(setting, counting=counting), talk)
    # "Caller Leaving": it is not left to wait for its next report.
    end = 'GeneratorExit' if setting.package is ORACLE else 'CancelledError'
    assert journal == [end, 'cleaned up']
