"""Whatever the native server tells a loop while a user's task runs, it tells in a context of its own.

The loop here looks at the context in which it is told something, so that this holds for places that nobody has thought
of as well. What the tasks and the handlers themselves tell it is theirs.
"""

import asyncio
import contextlib
import contextvars
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.certificates import make_contexts
from support.slow_readers import BIG, SlowReader, serving_slowly

import serverwamp_fast as wamp
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport

USER = contextvars.ContextVar('user', default='nobody')
TLS = pytest.mark.parametrize('tls', [False, True], ids=['plain', 'TLS'])


class WatchingLoop(asyncio.SelectorEventLoop):
    """Notes what it is told in a context that a user has set something in."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.count = 0
        super().__init__()

    def look(self, how: str, callback: Any, context: contextvars.Context | None) -> None:
        self.count += 1
        owner = getattr(callback, '__self__', None)
        if isinstance(owner, asyncio.Task) or type(callback).__module__ == '_asyncio':
            # A step of a task.
            return
        context = contextvars.copy_context() if context is None else context
        if context.get(USER, 'nobody') != 'nobody' and not is_users_own(callback):
            self.found.append(f'{how} {callback!r} for {context[USER]}')

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self.look('call_soon', callback, context)
        return super().call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self.look('call_at', callback, context)
        return super().call_at(when, callback, *args, context=context)

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        self.look('add_reader', callback, None)
        return super()._add_reader(fd, callback, *args)  # type: ignore[misc]

    def _add_writer(self, fd: Any, callback: Any, *args: Any) -> Any:
        self.look('add_writer', callback, None)
        return super()._add_writer(fd, callback, *args)  # type: ignore[misc]


def is_users_own(callback: Any) -> bool:
    """Whether asyncio does it for what a handler itself calls."""
    return getattr(callback, '__qualname__', '') in OWN


# Of asyncio's sleep(), gather(), timeout(), TaskGroup, wait() and shield(), in the tasks that call them.
OWN = {
    'set.discard',
    'AsyncioTaskGroup._adopt.<locals>.<lambda>',
    '_set_result_unless_cancelled',
    'gather.<locals>._done_callback',
    'Timeout._on_timeout',
    'TaskGroup._on_task_done',
    '_wait.<locals>._on_completion',
    'shield.<locals>._inner_done_callback',
    'shield.<locals>._outer_done_callback',
}


class Site:
    """An application whose every handler sets the variable first, and does what there is to do."""

    def __init__(self, **options: Any) -> None:
        self.app = app = wamp.Application(**options)
        self.server: Any = None
        self.sessions: list[Any] = []
        calls, topics = wamp.RPCRouteSet(), wamp.TopicRouteSet()

        def route(function: Any) -> Any:
            calls.route(function.__name__)(function)
            return function

        @route
        async def big(pause):
            USER.set('big')
            if pause:
                await asyncio.sleep(0.01)
            return BIG

        @route
        async def small():
            USER.set('small')
            await asyncio.sleep(0.01)
            return 1

        @route
        async def stream():
            USER.set('stream')
            for _ in range(5):
                yield wamp.RPCProgressReport(args=(BIG,))
            yield 1

        @route
        async def publish(text):
            USER.set('publish')
            await app.publish('news', (text,))

        @route
        async def send(session, text):
            USER.set('send')
            await session.send_event('topic', (text,))

        @route
        async def spawn(session):
            async def later():
                await session.send_event('topic', (BIG,))
                await asyncio.sleep(0.01)

            USER.set('spawn')
            await session.spawn_task(later)

        @route
        async def hang():
            USER.set('hang')
            await asyncio.sleep(60)

        @route
        async def add(rpc_request):
            USER.set('add')
            await asyncio.sleep(0.05)
            return len([entry async for entry in rpc_request.inputs])

        @route
        async def end_others(session, how):
            USER.set('end_others')
            for other in self.sessions:
                if other is session or not other.is_open:
                    continue
                if how == 'abort':
                    await other.abort('com.example.gone')
                elif how == 'close':
                    await other.close()
                else:
                    await other.connection.close()

        @route
        async def stop():
            USER.set('stop')
            self.server.close()

        @topics.route('topic')
        async def topic(session):
            USER.set('topic')
            await session.send_event('topic', (BIG,))
            yield
            USER.set('topic left')
            await asyncio.sleep(0)

        async def lifespan(session):
            USER.set('lifespan')
            self.sessions.append(session)
            yield
            USER.set('lifespan ended')
            await asyncio.sleep(0)

        async def authenticate(session):
            USER.set('authenticator')
            await asyncio.sleep(0)
            return 'somebody'

        app.add_rpc_routes(calls)
        app.add_topic_routes(topics)
        app.allow_subscribe('news')
        app.allow_publish('news', rule=lambda session: USER.set('rule') is not None)
        app.add_session_lifespan_handler(lifespan)
        app.add_transport_authenticator(authenticate)

    def run(self, talk: Any, tls: bool = False, timers_are_tasks_own: bool = False) -> None:
        server_context, client_context = make_contexts()[:2] if tls else (None, None)

        @contextlib.asynccontextmanager
        async def connecting(port: int) -> AsyncIterator[Any]:
            clients: list[SlowReader] = []

            def connect() -> SlowReader:
                clients.append(SlowReader(port, client_context))
                return clients[-1]

            try:
                yield connect
            finally:
                for client in clients:
                    client.close()

        async def main() -> None:
            async with asyncio.timeout(60), serving_slowly(self.app, server_context) as (self.server, port):
                async with connecting(port) as connect:
                    await asyncio.to_thread(talk, connect)

        with asyncio.Runner(loop_factory=WatchingLoop) as runner:
            runner.run(main())
            loop: Any = runner.get_loop()
        assert loop.count > 10
        if timers_are_tasks_own:
            loop.found = [line for line in loop.found if 'function _call_in_task' not in line]
        assert not loop.found


def pause() -> None:
    """Let the server find that its clients don't read."""
    time.sleep(0.15)


def hear_answer(client: SlowReader, number: int) -> None:
    """Read up to the answer of a request, which may have events and progress before it."""
    while True:
        message = client.receive()
        if message[1] == number and message[0] in (17, 33, 50) and message[2] != {'progress': True}:
            return
        if message[0] == 8 and message[2] == number:
            return


@TLS
def test_calls(tls: bool) -> None:
    def talk(connect: Any) -> None:
        one, two = connect(), connect()
        one.send(one.request(32, 'topic'))
        pause()
        hear_answer(one, one.number)
        two.send(two.request(32, 'news'))
        hear_answer(two, two.number)
        for name, *args in (
            ('big', False), ('big', True), ('small',), ('stream',), ('publish', BIG), ('publish', ''),
            ('send', BIG), ('send', ''), ('spawn',),
        ):  # fmt: skip
            one.number += 1
            one.send([48, one.number, {'receive_progress': True}, name, list(args)])
            pause()
            hear_answer(one, one.number)
        one.number += 1
        one.send([16, one.number, {'acknowledge': True}, 'news', [BIG]])
        hear_answer(one, one.number)

    Site().run(talk, tls)


def test_timeouts_and_inputs() -> None:
    def talk(connect: Any) -> None:
        client = connect()
        client.send([48, 1, {'timeout': 20}, 'hang'])
        hear_answer(client, 1)
        # More than the procedure takes at once.
        client.send(*([48, 2, {'progress': True}, 'add', [n]] for n in range(300)), [48, 2, {}, 'add', [0]])
        hear_answer(client, 2)
        client.send([48, 3, {}, 'hang'], [49, 3, {'mode': 'kill'}])
        hear_answer(client, 3)

    Site().run(talk)


@TLS
@pytest.mark.parametrize('how', ['close', 'abort', 'connection'])
def test_ends_of_others(tls: bool, how: str) -> None:
    def talk(connect: Any) -> None:
        one, two, three = connect(), connect(), connect()
        two.send(two.request(32, 'topic'))
        one.send(one.request(48, 'end_others', [how]))
        pause()
        for client in (two, three):
            with pytest.raises(EOFError):
                while True:
                    client.receive()
        hear_answer(one, one.number)

    Site(close_timeout=0.2).run(talk, tls)


@TLS
def test_the_end_of_the_server(tls: bool) -> None:
    def talk(connect: Any) -> None:
        one, two = connect(), connect()
        two.send(two.request(32, 'topic'), two.request(48, 'hang'))
        one.send(one.request(48, 'stop'))
        for client in (one, two):
            with pytest.raises(EOFError):
                while True:
                    client.receive()

    Site(close_timeout=0.2).run(talk, tls)


def test_sessions_one_after_another() -> None:
    def talk(connect: Any) -> None:
        client = connect()
        for _ in range(2):
            client.send([32, 1, {}, 'topic'], [48, 2, {}, 'big', [False]], [48, 3, {}, 'small'])
            pause()
            for number in (2, 3):
                hear_answer(client, number)
            client.send([6, {}, 'wamp.close.close_realm'])
            while client.receive()[0] != 6:
                pass
            client.hello()

    Site().run(talk)


def test_an_application_that_reads_the_messages_itself() -> None:
    """There its calls run in copies of a task's context. What they write and close is told by the server."""

    class Own(AsyncioAsyncSupport):
        pass

    def talk(connect: Any) -> None:
        one, two = connect(), connect()
        for number, name in enumerate(('big', 'stream'), 1):
            one.send([48, number, {'receive_progress': True}, name, [False] if name == 'big' else []])
            pause()
            hear_answer(one, number)
        two.goodbye()

    Site(async_support=Own).run(talk, timers_are_tasks_own=True)
