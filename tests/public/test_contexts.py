"""The context that something runs in which is done for a session, and not by it."""

import asyncio
import contextvars
from typing import Any

import anyio
import pytest
from support.doubles import RecordingConnection
from support.talking import HELLO, SETTINGS, MemoryConnection, Setting

import serverwamp_fast as wamp
from serverwamp_fast.contexts import InContext

WHO = contextvars.ContextVar('who', default='nobody')


class NotingConnection(MemoryConnection):
    """Notes in whose context events are sent; a message at a time is on its way to the client."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    async def send_msg(self, msg: Any) -> None:
        if msg[0] == 36:
            self.seen.append(WHO.get())
            await anyio.lowlevel.checkpoint()
            self.seen.append(WHO.get())
        await super().send_msg(msg)


@pytest.mark.parametrize(
    'setting', [setting for setting in SETTINGS if not setting.is_native], ids=lambda setting: setting.name
)
@pytest.mark.parametrize('way', ['server', 'client'])
def test_events_are_sent_in_the_receivers_context(setting: Setting, way: str) -> None:
    seen: list[str] = []
    calls = wamp.RPCRouteSet()

    async def main(setting: Setting) -> None:
        app = wamp.Application(async_support=setting.support)
        app.allow_subscribe('news')
        app.allow_publish('news')

        async def authenticate(session):
            WHO.set(f'{WHO.get()} {session.auth_id}')
            return session.auth_id

        @calls.route('tell_all')
        async def tell_all():
            WHO.set('a call')
            for _ in range(2):
                await app.publish('news')

        app.add_rpc_routes(calls)
        app.add_transport_authenticator(authenticate)

        async def serve(connection: Any, name: str) -> None:
            WHO.set(name)
            await app.handle_connection(connection)

        connections = [NotingConnection(seen), NotingConnection(seen)]
        async with anyio.create_task_group() as tasks:
            for connection, name in zip(connections, ('reader', 'publisher'), strict=True):
                tasks.start_soon(serve, connection, name)
                await connection.tell(1, 'realm1', {**HELLO[2], 'authid': name, 'authmethods': []})
                assert (await connection.hear())[0] == 2
            reader, publisher = connections
            await reader.tell(32, 1, {}, 'news')
            assert (await reader.hear())[0] == 33
            if way == 'server':
                await publisher.tell(48, 1, {}, 'tell_all')
            else:
                for number in (1, 2):
                    await publisher.tell(16, number, {}, 'news')
            for _ in range(2):
                assert (await reader.hear())[0] == 36
            for connection in connections:
                await connection.leave()

    setting.run(main)
    assert seen == ['reader reader'] * 4


def test_sessions_that_nobody_drives() -> None:
    """They have no context of their own, as in tests of an application's handlers."""
    session = wamp.WAMPSession(RecordingConnection(), wamp.Realm())
    assert session.own_context() is None
    assert session.run_in_context(lambda *values: values, 1, 2) == (1, 2)
    context = session.context = contextvars.copy_context()
    context.run(WHO.set, 'it')
    copy = session.own_context()
    assert copy is not context
    assert copy is not None
    assert copy[WHO] == 'it'


def test_steps_in_a_context(run) -> None:
    context = contextvars.copy_context()
    context.run(WHO.set, 'given')
    seen = []

    async def work() -> str:
        seen.append(WHO.get())
        await asyncio.sleep(0)
        seen.append(WHO.get())
        WHO.set('changed')
        return 'done'

    async def main() -> None:
        assert await InContext(context, work()) == 'done'
        assert WHO.get() == 'nobody'

    run(main())
    assert seen == ['given', 'given']
    assert context[WHO] == 'changed'


def test_errors_and_cancellations_pass_through_a_context(run) -> None:
    seen: list[str] = []

    async def work(error: BaseException | None = None) -> None:
        try:
            await asyncio.sleep(0)
            if error is not None:
                raise error
            await asyncio.sleep(60)
        finally:
            seen.append(WHO.get())

    async def main() -> None:
        context = contextvars.copy_context()
        context.run(WHO.set, 'given')
        with pytest.raises(ValueError, match='told'):
            await InContext(context, work(ValueError('told')))

        async def wait() -> None:
            await InContext(context, work())

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Thrown away.
        coroutine = wait()
        coroutine.send(None)
        coroutine.close()

    run(main())
    assert seen == ['given'] * 3
