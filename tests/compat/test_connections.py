"""Connections of the application's own that end badly: what is cleaned up, and what handle_connection() raises.

Each fact is asserted on both packages, on asyncio and on trio.
"""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from compat.packages import ORACLE, SUBJECT, Package
from compat.steps import GOODBYE, call, hello
from compat.transcripts import plain

PACKAGES = pytest.mark.parametrize('package', [ORACLE, SUBJECT], ids=lambda package: package.name)
BACKENDS = pytest.mark.parametrize('backend', ['asyncio', 'trio'])


def make_connection(package: Package, script: Any) -> Any:
    """A connection whose messages come from `script(connection)`, an async generator function."""

    class Scripted(package.connection.Connection):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.sent: list[Any] = []
            self.fails_on: set[int] = set()
            self.failure: Exception = package.connection.ConnectionClosed()

        def iterate_msgs(self) -> AsyncIterator[Any]:
            return script(self)

        async def send_msg(self, msg: Any) -> None:
            await anyio.lowlevel.checkpoint()
            if msg[0] in self.fails_on:
                raise self.failure
            self.sent.append(plain(msg)[0])

        async def close(self) -> None:
            self.sent.append('closed')

    return Scripted()


def make_application(package: Package, backend: str, journal: list[str]) -> Any:
    app = package.root.Application(async_support=package.async_support(backend))
    routes, topics = package.root.RPCRouteSet(), package.root.TopicRouteSet()

    @routes.route('wait')
    async def wait():
        journal.append('waiting')
        try:
            await anyio.sleep(60)
        finally:
            journal.append('wait ended')

    @routes.route('echo')
    async def echo(value):
        return value

    @topics.route('topic')
    async def topic():
        yield
        await anyio.sleep(0.001)
        journal.append('topic left')

    async def lifespan(session):
        yield
        await anyio.sleep(0.001)
        journal.append('session ended')

    app.add_rpc_routes(routes)
    app.add_topic_routes(topics)
    app.add_session_lifespan_handler(lifespan)
    return app


def errors_in(error: BaseException) -> list[str]:
    """The names of the exceptions in a group, or of the one."""
    if isinstance(error, BaseExceptionGroup):
        return [name for part in error.exceptions for name in errors_in(part)]
    return [type(error).__name__]


async def handle(app: Any, connection: Any) -> list[str]:
    """What handle_connection() raises."""
    try:
        with anyio.fail_after(20):
            await app.handle_connection(connection)
    except Exception as error:
        return errors_in(error)
    return []


async def until_sent(connection: Any, count: int) -> None:
    while len(connection.sent) < count:
        await anyio.sleep(0.001)


@PACKAGES
@BACKENDS
def test_an_error_of_the_transport_in_a_session(package: Package, backend: str) -> None:
    """It is the caller's; the session's handlers are run to their ends all the same, and its calls are cancelled."""
    journal: list[str] = []

    async def script(connection: Any) -> Any:
        yield hello()
        yield [32, 1, {}, 'topic']
        yield call('wait', id=2)
        while 'waiting' not in journal:
            await anyio.sleep(0.001)
        raise OSError('the transport broke')

    connection = make_connection(package, script)
    raised = anyio.run(
        handle, make_application(package, backend, journal), connection, backend=backend
    )
    assert raised == ['OSError']
    assert sorted(journal) == ['session ended', 'topic left', 'wait ended', 'waiting']
    assert connection.sent == [2, 33]


@PACKAGES
@BACKENDS
def test_an_error_of_the_transport_before_hello(package: Package, backend: str) -> None:
    async def script(connection: Any) -> Any:
        raise OSError('the transport broke')
        yield

    connection = make_connection(package, script)
    raised = anyio.run(handle, make_application(package, backend, []), connection, backend=backend)
    assert (raised, connection.sent) == (['OSError'], [])


@PACKAGES
@BACKENDS
@pytest.mark.parametrize('refused', [2, 33, 50, 6])
def test_the_client_is_gone_when_something_is_sent(
    package: Package, backend: str, refused: int
) -> None:
    """Nothing is raised, and everything that was begun is ended."""
    journal: list[str] = []

    async def script(connection: Any) -> Any:
        yield hello()
        yield [32, 1, {}, 'topic']
        yield call('echo', 5, id=2)
        await anyio.sleep(0.01)
        yield GOODBYE
        # No more is read from a transport that is closed.

    connection = make_connection(package, script)
    connection.fails_on = {refused}
    raised = anyio.run(
        handle, make_application(package, backend, journal), connection, backend=backend
    )
    assert raised == []
    assert journal.count('session ended') == (0 if refused == 2 else 1)
    assert refused not in connection.sent


@PACKAGES
@BACKENDS
def test_cancelled_while_serving(package: Package, backend: str) -> None:
    """As a server that shuts down does it: calls are cancelled, but the handlers' last halves run to their ends."""
    journal: list[str] = []

    async def script(connection: Any) -> Any:
        yield hello()
        yield [32, 1, {}, 'topic']
        yield call('wait', id=2)
        await anyio.sleep(60)

    async def main() -> None:
        connection = make_connection(package, script)
        app = make_application(package, backend, journal)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.handle_connection, connection)
            while 'waiting' not in journal:
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
        # On asyncio, what is shielded goes on in a task of its own.
        with anyio.move_on_after(10):
            while len(journal) < 4:
                await anyio.sleep(0.001)

    anyio.run(main, backend=backend)
    assert sorted(journal) == ['session ended', 'topic left', 'wait ended', 'waiting']


@PACKAGES
@BACKENDS
def test_an_iterator_without_aclose(package: Package, backend: str) -> None:
    """iterate_msgs() may return any async iterator."""

    class Messages:
        def __init__(self, messages: list[Any], connection: Any) -> None:
            self.messages = messages
            self.connection = connection

        def __aiter__(self) -> 'Messages':
            return self

        async def __anext__(self) -> Any:
            await anyio.lowlevel.checkpoint()
            if self.messages[:1] == [GOODBYE]:
                await until_sent(self.connection, 2)
            if not self.messages:
                raise StopAsyncIteration
            return self.messages.pop(0)

    def script(connection: Any) -> Any:
        return Messages([hello(), call('echo', 1), GOODBYE], connection)

    connection = make_connection(package, script)
    raised = anyio.run(handle, make_application(package, backend, []), connection, backend=backend)
    assert (raised, connection.sent) == ([], [2, 50, 6])


@PACKAGES
@BACKENDS
def test_malformed_messages_are_the_connections_to_tell(package: Package, backend: str) -> None:
    """iterate_msgs() raises WAMPMsgParseError for what it can't decode; the client is told."""
    journal: list[str] = []

    async def script(connection: Any) -> Any:
        yield hello()
        raise package.protocol.WAMPMsgParseError('not what I expected')

    connection = make_connection(package, script)
    raised = anyio.run(
        handle, make_application(package, backend, journal), connection, backend=backend
    )
    assert (raised, connection.sent, journal) == ([], [2, 3, 'closed'], ['session ended'])


@PACKAGES
@BACKENDS
def test_messages_of_other_types(package: Package, backend: str) -> None:
    """Tuples for lists, members of enumerations for codes and strings: what a transport of one's own may hand over."""
    import enum

    class Topic(enum.StrEnum):
        NEWS = 'topic'
        ECHO = 'echo'

    async def script(connection: Any) -> Any:
        codes = package.protocol.WAMPMsgType
        yield (codes.HELLO, 'realm', {'roles': {}})
        yield (codes.SUBSCRIBE, 1, {}, Topic.NEWS)
        yield (codes.CALL, 2, {}, Topic.ECHO, (5,), {})
        await until_sent(connection, 3)
        yield (codes.GOODBYE, {}, 'a.b')

    connection = make_connection(package, script)
    raised = anyio.run(handle, make_application(package, backend, []), connection, backend=backend)
    assert (raised, connection.sent) == ([], [2, 33, 50, 6])


@PACKAGES
@BACKENDS
def test_replacing_the_rpc_handler(package: Package, backend: str) -> None:
    """A handler that is set later counts for the sessions that begin after that."""
    app = make_application(package, backend, [])
    results: list[Any] = []

    async def script(connection: Any) -> Any:
        for number in (1, 2):
            yield hello()
            yield call('echo', number)
            await until_sent(connection, 3 * number - 1)
            if number == 1:
                app.set_rpc_handler(answer)
            yield GOODBYE
            await until_sent(connection, 3 * number)

    async def answer(request: Any) -> Any:
        results.append(request.uri)
        return package.root.RPCResult()

    connection = make_connection(package, script)
    assert anyio.run(handle, app, connection, backend=backend) == []
    assert (connection.sent, results) == ([2, 50, 6, 2, 50, 6], ['echo'])
