"""Runs a small application on one of several servers, with a client that talks to it: for tests about handlers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from compat.apps import App
from compat.packages import ORACLE, SUBJECT, SUBJECT_IS_ORACLE, Package
from compat.servers import SERVERS
from compat.steps import GOODBYE, JSON, call, hello
from compat.transcripts import Labels

DEADLINE = 30  # seconds, for tests that would hang otherwise


@dataclass(frozen=True)
class Setting:
    """A package, one of its servers, and an event loop."""

    package: Package
    server: str
    loop: str = 'asyncio'

    def __str__(self) -> str:
        return f'{self.package.name} {self.server} {self.loop}'


ORACLE_SETTING = Setting(ORACLE, 'aiohttp')
OUR_SETTINGS = [
    Setting(SUBJECT, 'native'),
    Setting(SUBJECT, 'native', 'uvloop'),
    Setting(SUBJECT, 'aiohttp'),
]
SETTINGS = [ORACLE_SETTING, *([] if SUBJECT_IS_ORACLE else OUR_SETTINGS)]

on_every_server = pytest.mark.parametrize('setting', SETTINGS, ids=str)
on_our_servers = pytest.mark.parametrize(
    'setting', [] if SUBJECT_IS_ORACLE else OUR_SETTINGS, ids=str
)
on_our_native_server = pytest.mark.parametrize(
    'setting', [] if SUBJECT_IS_ORACLE else OUR_SETTINGS[:2], ids=str
)


class Caller:
    """A client that has joined: `await caller(uri, ...)` returns the answer's args, or its error URI as a str."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.labels = Labels()
        self.last_id = 0
        self.events: list[Any] = []

    async def send(self, *messages: Any) -> None:
        await self.client.send(messages)

    async def receive(self) -> Any:
        return self.labels.normalize(await self.client.receive())

    async def __call__(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        await self.start(uri, *args, **kwargs)
        return await self.answer(self.last_id)

    async def start(self, uri: str, *args: Any, **kwargs: Any) -> int:
        """Sends a CALL and returns its id."""
        self.last_id += 1
        await self.send(call(uri, *args, id=self.last_id, **kwargs))
        return self.last_id

    async def answer(self, request: int) -> Any:
        """The answer to a call; events on the way are kept, anything else is an error of the test."""
        while True:
            match await self.receive():
                case [50, id, _, *values] if id == request:
                    return values[0] if values else []
                case [8, 48, id, _, uri, *_] if id == request:
                    return uri
                case [36, *_] as event:
                    self.events.append(event)
                case message:
                    raise AssertionError(f'{message} instead of the answer to {request}')

    async def subscribe(self, topic: str) -> Any:
        self.last_id += 1
        await self.send([32, self.last_id, {}, topic])
        answer = await self.receive()
        return answer[2] if answer[0] == 33 else answer

    async def leave(self) -> None:
        await self.send(GOODBYE)
        while (await self.receive())[0] != 6:
            pass
        await self.client.close()


class Site:
    """A running application and a way to get clients of it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.clients: list[Any] = []

    async def join(
        self, *, target: str = '/', additional_headers: Any = None, **details: Any
    ) -> Caller:
        """A client that has connected to a path and sent HELLO with these details."""
        client = await self.server.connect(target, additional_headers=additional_headers)
        caller = Caller(client)
        self.clients.append(client)
        await caller.send(hello(**details))
        welcome = await caller.receive()
        assert welcome[0] == 2, welcome
        return caller


Talk = Callable[[Site], Awaitable[Any]]


def serve(setting: Setting, application: Any, talk: Talk) -> Any:
    """Serves the application while `talk` runs, and returns its result.

    Whatever reaches the loop's exception handler meanwhile makes the test fail.
    """
    errors: list[Any] = []

    async def main() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        async with asyncio.timeout(DEADLINE):
            async with SERVERS[setting.server](App(setting.package, application), JSON) as server:
                site = Site(server)
                try:
                    return await talk(site)
                finally:
                    for client in site.clients:
                        await client.close()

    factory = None
    if setting.loop == 'uvloop':
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(main())
    assert errors == []
    return result


def build(setting: Setting, **procedures: Callable[..., Any]) -> Any:
    """An application with these procedures."""
    application = setting.package.root.Application()
    routes = setting.package.root.RPCRouteSet()
    for name, procedure in procedures.items():
        routes.route(name)(procedure)
    application.add_rpc_routes(routes)
    return application


async def wait_until(condition: Callable[[], Any]) -> None:
    """Returns when the condition holds; the test's deadline is what ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.001)


@contextlib.contextmanager
def noted(journal: list[str], name: str) -> Any:
    """Writes down that a block was left, and by what."""
    try:
        yield
    except BaseException as error:
        journal.append(f'{name} {type(error).__name__}')
        raise
    journal.append(f'{name} done')
