"""What code inside handlers can rely on: tasks, timeouts, groups, cancellation, exceptions.

Each fact is asserted on serverwamp 2.0.0 over aiohttp and on our servers.
"""

import asyncio
import gc
import inspect
import sys
from typing import Any

import anyio
import anyio.lowlevel

from compat.handling import (
    Setting,
    Site,
    build,
    noted,
    on_every_server,
    on_our_servers,
    serve,
    wait_until,
)

RUNTIME_ERROR = 'wamp.error.runtime_error'


@on_every_server
def test_current_task(setting: Setting) -> None:
    """Each call has a real task of its own, which is the same before and after an await."""
    tasks = []

    async def task():
        before = asyncio.current_task()
        await asyncio.sleep(0)
        after = asyncio.current_task()
        tasks.append(before)
        return [
            before is after, isinstance(before, asyncio.Task), before in asyncio.all_tasks(), before.done(),
            before.cancelling(), isinstance(before.get_name(), str), asyncio.iscoroutine(before.get_coro()),
        ]  # fmt: skip

    async def talk(site: Site) -> Any:
        caller = await site.join()
        return [await caller('task'), await caller('task')]

    facts = [True, True, True, False, 0, True, True]
    assert serve(setting, build(setting, task=task), talk) == [facts, facts]
    assert tasks[0] is not tasks[1]


@on_every_server
def test_current_task_before_the_first_await(setting: Setting) -> None:
    """Also in handlers that never wait for anything: a task is there, and it is the loop's."""

    async def quick():
        task = asyncio.current_task()
        task.set_name('named by the handler')
        return [
            task.get_name(),
            task.get_loop() is asyncio.get_running_loop(),
            len(task.get_stack()) > 0,
        ]

    async def talk(site: Site) -> Any:
        return await (await site.join())('quick')

    assert serve(setting, build(setting, quick=quick), talk) == ['named by the handler', True, True]


@on_every_server
def test_timeouts(setting: Setting) -> None:
    async def caught():
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            return [asyncio.current_task().cancelling()]

    async def escaping():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    async def at_once():
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            return 'at once'

    async def unused():
        async with asyncio.timeout(60) as timeout:
            await asyncio.sleep(0)
        return timeout.expired()

    async def wait_for():
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except TimeoutError:
            return await asyncio.wait_for(asyncio.sleep(0, 'value'), 60)

    async def talk(site: Site) -> Any:
        caller = await site.join()
        return [
            await caller(name) for name in ('caught', 'escaping', 'at_once', 'unused', 'wait_for')
        ]

    app = build(
        setting, caught=caught, escaping=escaping, at_once=at_once, unused=unused, wait_for=wait_for
    )
    assert serve(setting, app, talk) == [[0], RUNTIME_ERROR, ['at once'], [False], ['value']]


@on_every_server
def test_task_groups(setting: Setting) -> None:
    journal: list[str] = []

    async def child(name, seconds):
        with noted(journal, name):
            await asyncio.sleep(seconds)
        return name

    async def gathers():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(name, 0.001)) for name in ('a', 'b')]
        return [task.result() for task in tasks]

    async def failing():
        async with asyncio.TaskGroup() as group:
            group.create_task(child('c', 60))
            await asyncio.sleep(0)
            raise ValueError('in the group')

    async def gathered():
        return await asyncio.gather(child('d', 0), child('e', 0.001))

    async def talk(site: Site) -> Any:
        caller = await site.join()
        return [await caller(name) for name in ('gathers', 'failing', 'gathered')]

    answers = serve(
        setting, build(setting, gathers=gathers, failing=failing, gathered=gathered), talk
    )
    assert answers == [['a', 'b'], RUNTIME_ERROR, ['d', 'e']]
    assert journal == ['a done', 'b done', 'c CancelledError', 'd done', 'e done']


@on_every_server
def test_cancelled_from_outside(setting: Setting) -> None:
    """A handler's task can be cancelled by whoever knows it; the session goes on."""
    journal: list[str] = []
    tasks: list[asyncio.Task[Any]] = []

    async def sleeper():
        tasks.append(asyncio.current_task())
        with noted(journal, 'sleeper'):
            await asyncio.sleep(60)

    async def stubborn():
        tasks.append(asyncio.current_task())
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            journal.append('stubborn goes on')
            return 'anyway'

    async def cancel():
        return [task.cancel() for task in tasks if not task.done()]

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller.start('sleeper')
        await wait_until(lambda: len(tasks) == 1)
        other = await site.join()
        cancelled = await other('cancel')
        await wait_until(lambda: journal)
        stubborn_id = await caller.start('stubborn')
        await wait_until(lambda: len(tasks) == 2)
        await other('cancel')
        # A cancelled call may have been answered before; what matters is that this one is.
        while True:
            message = await caller.receive()
            if message[:2] == [50, stubborn_id]:
                return cancelled, message[3]

    result = serve(setting, build(setting, sleeper=sleeper, stubborn=stubborn, cancel=cancel), talk)
    assert result == ([True], ['anyway'])
    assert journal == ['sleeper CancelledError', 'stubborn goes on']
    assert tasks[0].cancelled()


@on_our_servers
def test_a_cancelled_call_is_answered(setting: Setting) -> None:
    """Every CALL ends with one RESULT or ERROR: row 12 of the differences."""
    tasks: list[asyncio.Task[Any]] = []

    async def sleeper():
        tasks.append(asyncio.current_task())
        await asyncio.sleep(60)

    async def talk(site: Site) -> Any:
        caller = await site.join()
        request = await caller.start('sleeper')
        await wait_until(lambda: tasks)
        tasks[0].cancel()
        return await caller.answer(request)

    assert serve(setting, build(setting, sleeper=sleeper), talk) == 'wamp.error.canceled'


@on_every_server
def test_shield(setting: Setting) -> None:
    journal: list[str] = []

    async def inner():
        with noted(journal, 'inner'):
            await asyncio.sleep(0.01)
        return 'kept'

    async def shielded():
        task = asyncio.ensure_future(inner())
        try:
            async with asyncio.timeout(0.001):
                await asyncio.shield(task)
        except TimeoutError:
            journal.append('timeout')
        return await task

    async def talk(site: Site) -> Any:
        return await (await site.join())('shielded')

    assert serve(setting, build(setting, shielded=shielded), talk) == ['kept']
    assert journal == ['timeout', 'inner done']


@on_every_server
def test_anyio_inside(setting: Setting) -> None:
    """anyio finds its host task, with cancel scopes, task groups, threads and locks."""

    async def scopes():
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep(60)
        return [scope.cancelled_caught, anyio.get_current_task().name is not None]

    async def fails():
        with anyio.fail_after(0.001):
            await anyio.sleep(60)

    async def groups():
        results = []

        async def child(number):
            await anyio.lowlevel.checkpoint()
            results.append(number)

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(child, number)
        return sorted(results)

    async def threads():
        return await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(give, 'from a thread'))

    async def give(value):
        await anyio.lowlevel.checkpoint()
        return value

    async def shielded():
        with anyio.CancelScope() as outer:
            outer.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.001)
                return 'shielded'

    async def talk(site: Site) -> Any:
        caller = await site.join()
        return [await caller(name) for name in ('scopes', 'fails', 'groups', 'threads', 'shielded')]

    app = build(
        setting, scopes=scopes, fails=fails, groups=groups, threads=threads, shielded=shielded
    )
    assert serve(setting, app, talk) == [
        [True, True], RUNTIME_ERROR, [0, 1, 2], ['from a thread'], ['shielded'],
    ]  # fmt: skip


@on_every_server
def test_threads_and_executors(setting: Setting) -> None:
    async def to_thread():
        return await asyncio.to_thread(lambda: 'thread')

    async def executor():
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: 'executor')

    async def threadsafe():
        loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        await asyncio.to_thread(loop.call_soon_threadsafe, future.set_result, 'back')
        return await future

    async def talk(site: Site) -> Any:
        caller = await site.join()
        return [await caller(name) for name in ('to_thread', 'executor', 'threadsafe')]

    app = build(setting, to_thread=to_thread, executor=executor, threadsafe=threadsafe)
    assert serve(setting, app, talk) == [['thread'], ['executor'], ['back']]


@on_every_server
def test_no_exception_is_being_handled(setting: Setting) -> None:
    """Handlers start with a clean sys.exc_info(), also after others have failed and while others are failing."""

    async def clean():
        before = sys.exc_info()[0]
        await asyncio.sleep(0)
        try:
            raise KeyError
        except KeyError:
            await asyncio.sleep(0)
            inside = sys.exc_info()[0].__name__
        await asyncio.sleep(0)
        return [before, inside, sys.exc_info()[0], sys.exception()]

    async def failing():
        try:
            raise ValueError('first')
        except ValueError:
            await asyncio.sleep(0)
            raise

    async def context():
        try:
            raise ValueError('alone')
        except ValueError as error:
            return [error.__context__, error.__cause__]

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller.send(
            [48, 101, {}, 'failing'], [48, 102, {}, 'clean'], [48, 103, {}, 'context']
        )
        answers = sorted([await caller.receive() for _ in range(3)], key=lambda message: message[0])
        # An ERROR of serverwamp_fast has a sentence behind its URI.
        return [message[4] if message[0] == 8 else message[-1] for message in answers]

    result = serve(setting, build(setting, clean=clean, failing=failing, context=context), talk)
    clean_facts = [None, 'KeyError', None, None]
    assert result[0] == RUNTIME_ERROR
    assert clean_facts in result
    assert [None, None] in result


@on_every_server
def test_recursion(setting: Setting) -> None:
    """A handler that recurses too deeply fails alone, whether it awaits on its way or not."""

    def depth(left):
        return 0 if left == 0 else 1 + depth(left - 1)

    async def deep(left):
        return depth(left)

    async def async_depth(left):
        return 0 if left == 0 else 1 + await async_depth(left - 1)

    async def endless():
        await endless()

    async def talk(site: Site) -> Any:
        caller = await site.join()
        return [
            await caller('deep', 10**6), await caller('deep', 200), await caller('async_depth', 200),
            await caller('endless'), await caller('deep', 1),
        ]  # fmt: skip

    answers = serve(
        setting, build(setting, deep=deep, async_depth=async_depth, endless=endless), talk
    )
    assert answers == [RUNTIME_ERROR, [200], [200], RUNTIME_ERROR, [1]]


@on_every_server
def test_events_as_coroutines(setting: Setting) -> None:
    """send_event() and send_raw() give something that tasks can be made of, and that sends when it runs."""
    topics = setting.package.root.TopicRouteSet()

    @topics.route('topic')
    async def topic():
        yield

    async def publish(session):
        unsent = session.send_event('topic', args=('never',))
        unsent.close()
        await session.send_event('topic', args=('awaited',))
        await asyncio.create_task(session.send_event('topic', args=('task',)))
        async with asyncio.TaskGroup() as group:
            group.create_task(session.send_event('topic', args=('group',)))
        await asyncio.gather(session.send_event('topic', args=('gathered',)))
        await asyncio.wait_for(session.send_event('topic', args=('in time',)), 10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.send_event, 'topic', ('anyio',))
        await session.spawn_task(session.send_event, 'topic', args=('spawned',))
        coroutine = session.send_raw([50, 999, {}])
        facts = [inspect.isawaitable(coroutine), asyncio.iscoroutine(coroutine)]
        return [*facts, await coroutine]

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller.subscribe('topic')
        await caller.start('publish')
        messages = [await caller.receive() for _ in range(9)]
        events = [message[-1][0] for message in messages if message[0] == 36]
        return events, [message[1:] for message in messages if message[0] == 50]

    app = build(setting, publish=publish)
    app.add_topic_routes(topics)
    events, results = serve(setting, app, talk)
    assert sorted(events) == ['anyio', 'awaited', 'gathered', 'group', 'in time', 'spawned', 'task']
    assert results == [[999, {}], [2, {}, [True, True, None]]]


@on_every_server
def test_sessions_are_freed(setting: Setting) -> None:
    """What a session holds on to is released with it, without cycles that wait for the garbage collector."""
    import weakref

    sessions: list[Any] = []

    async def keep(session):
        sessions.append(weakref.ref(session))

    topics = setting.package.root.TopicRouteSet()

    @topics.route('topic')
    async def topic(session):
        yield

    async def talk(site: Site) -> Any:
        for _ in range(3):
            caller = await site.join()
            await caller('keep')
            await caller.subscribe('topic')
            await caller.leave()
        # The last frames of the transports' callbacks may still be there.
        await wait_until(
            lambda: gc.collect() >= 0 and not any(reference() for reference in sessions)
        )

    app = build(setting, keep=keep)
    app.add_topic_routes(topics)
    serve(setting, app, talk)
    assert [reference() for reference in sessions] == [None, None, None]
