"""Plays a script against an application on some transport and returns the transcript."""

import asyncio
from typing import Any

import anyio

from compat.apps import App, build
from compat.memory import serve_memory
from compat.packages import Package
from compat.servers import SERVERS
from compat.steps import (
    Await,
    Disconnect,
    Expect,
    ExpectAnswer,
    ExpectClose,
    Open,
    Script,
    Send,
    SendPayload,
    Step,
)
from compat.transcripts import Labels, Transcript

# Seconds until an answer counts as missing. Waited for only where the packages are found to differ.
PATIENCE = 3


class Player:
    def __init__(self, script: Script, app: App, server: Any) -> None:
        self.script = script
        self.app = app
        self.server = server
        self.transcript = Transcript()
        self.clients: dict[str, Any] = {}
        self.labels: dict[str, Labels] = {}

    async def play(self, notes: int) -> Transcript:
        """`notes` is how many entries the journal is waited for to have in the end."""
        for step in self.script.steps:
            await self.take(step)
        for client in self.clients.values():
            await client.close()
        for gate in self.app.gates.values():
            gate.set()
        with anyio.move_on_after(PATIENCE):
            await self.server.finished()
        with anyio.move_on_after(PATIENCE):
            while len(self.app.journal) < notes:
                await anyio.sleep(0.001)
        self.transcript.journal = list(self.app.journal)
        return self.transcript

    async def take(self, step: Step) -> None:
        match step:
            case Open(name):
                self.clients[name] = await self.server.connect()
                self.labels[name] = Labels()
                self.transcript.received[name] = []
            case Send(messages, name):
                labels = self.labels[name]
                await self.clients[name].send([labels.substitute(message) for message in messages])
            case SendPayload(payload, name):
                await self.clients[name].send_payload(payload)
            case Expect(count, oracle, name):
                expected = oracle if oracle is not None and self.app.package.is_oracle else count
                for _ in range(expected):
                    if not await self.note_answer(name):
                        break
            case ExpectAnswer(request, name):
                received = self.transcript.received[name]
                while await self.note_answer(name):
                    if received[-1][:2] == [50, request] or received[-1][:3] == [8, 48, request]:
                        break
            case ExpectClose(name, oracle):
                while (oracle or not self.app.package.is_oracle) and await self.note_answer(name):
                    pass
            case Disconnect(name):
                await self.clients[name].close()
            case Await(entry):
                with anyio.move_on_after(PATIENCE):
                    while entry not in self.app.journal:
                        await anyio.sleep(0.001)

    async def note_answer(self, name: str) -> bool:
        """Adds the client's next message to the transcript; False when there is none to come."""
        received = self.transcript.received[name]
        if received and received[-1][0] == 'closed':
            return False
        try:
            with anyio.fail_after(PATIENCE):
                message = await self.clients[name].receive()
        except EOFError as error:
            received.append(['closed', error.args[0]])
            return False
        except TimeoutError:
            received.append(['silence'])
            return False
        received.append(self.labels[name].normalize(message))
        return True


async def play_in_memory(package: Package, script: Script, support: str, notes: int) -> Transcript:
    app = build(package, script.app, support)
    async with serve_memory(app) as server:
        return await Player(script, app, server).play(notes)
    raise AssertionError('a task group does not swallow the return')


async def play_on_socket(
    package: Package,
    script: Script,
    transport: str,
    subprotocol: str,
    support: str | None,
    notes: int,
) -> Transcript:
    app = build(package, script.app, support)
    async with SERVERS[transport](app, subprotocol) as server:
        return await Player(script, app, server).play(notes)


def play(
    package: Package, script: Script, transport: str, subprotocol: str = '', notes: int = 0
) -> Transcript:
    """`transport` is 'memory asyncio', 'memory anyio', 'memory trio' or the name of a server; behind that may stand
    ' uvloop' to run on uvloop instead of asyncio's own loop, or ' anyio' for the application's async support.
    """
    kind, _, variant = transport.partition(' ')
    if kind == 'memory':
        backend = 'trio' if variant == 'trio' else 'asyncio'
        return anyio.run(play_in_memory, package, script, variant, notes, backend=backend)
    factory = None
    if variant == 'uvloop':
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        support = 'anyio' if variant == 'anyio' else None
        return runner.run(play_on_socket(package, script, kind, subprotocol, support, notes))
