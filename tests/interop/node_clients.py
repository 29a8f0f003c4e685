"""WAMP clients of npm, each in a process of Node.js, with the interface of those in clients.py."""

import asyncio
import contextlib
import itertools
import json
import os
import pathlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

from interop.clients import REALM, CallFailed

FOLDER = pathlib.Path(__file__).with_name('node')
# Where ci/setup-node puts the packages.
PACKAGES = pathlib.Path(
    os.environ.get('WAMP_NODE') or pathlib.Path(__file__).parents[2] / 'build' / 'node'
)
LIBRARIES = ('autobahn', 'wampy')
SERIALIZERS = ('json', 'msgpack', 'cbor')
LINE_LIMIT = 1 << 24


def find_obstacle() -> str | None:
    """The reason why these clients can't run here, if there is one."""
    if shutil.which('node') is None:
        return 'Node.js is not installed'
    missing = [
        name for name in LIBRARIES if not (PACKAGES / 'node_modules' / name / 'package.json').exists()
    ]
    if missing:
        return f'{" and ".join(missing)} of npm are not installed; ci/setup-node does that'
    return None


def pack(value: Any) -> Any:
    if isinstance(value, bytes):
        return {'$bytes': value.hex()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    return value


def unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict):
        if '$bytes' in value:
            return bytes.fromhex(value['$bytes'])
        if '$int' in value:
            return int(value['$int'])
        return {key: unpack(item) for key, item in value.items()}
    return value


class NodeClient:
    """One client, and its process. See node/driver.mjs for what is said between the two."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.numbers = itertools.count(1)
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.reports: dict[int, list[Any]] = {}
        self.reading = asyncio.create_task(self.read())

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            message = unpack(json.loads(line))
            if 'for' in message:
                kept = self.reports.get(message['for'])
                if kept is not None:
                    kept.append((message['args'], message['kwargs']))
                continue
            answer = self.waiting.pop(message['id'])
            if answer.cancelled():
                continue
            if 'error' in message:
                error = message['error']
                answer.set_exception(CallFailed(error['uri'], error['args'], error['kwargs']))
            else:
                answer.set_result(message['value'])
        for answer in self.waiting.values():
            answer.set_exception(EOFError('The client has ended.'))

    def begin(self, do: str, reports: list[Any] | None = None, **options: Any) -> tuple[int, Any]:
        """Send a command; returns its id and the future of its answer."""
        number = next(self.numbers)
        if reports is not None:
            self.reports[number] = reports
        answer = self.waiting[number] = asyncio.get_running_loop().create_future()
        assert self.process.stdin is not None
        line = json.dumps({'id': number, 'do': do, **pack(options)})
        self.process.stdin.write(line.encode() + b'\n')
        return number, answer

    async def do(self, do: str, reports: list[Any] | None = None, **options: Any) -> Any:
        return await self.begin(do, reports, **options)[1]

    async def join(self, url: str, realm: str = REALM, auth: dict[str, Any] | None = None) -> None:
        welcome = await self.do('join', url=url, realm=realm, auth=auth)
        self.session_id = welcome['session']
        self.subprotocol = welcome['subprotocol']
        self.details = welcome['details']

    async def call(
        self,
        uri: str,
        *args: Any,
        progress: list[Any] | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[list[Any], dict[str, Any]]:
        options = dict(options or {})
        if progress is not None:
            options['receive_progress'] = True
        result = await self.do(
            'call', progress, uri=uri, args=args, kwargs=kwargs, options=options
        )
        return result['args'], result['kwargs']

    async def cancel(self, call: int, mode: str | None = None) -> None:
        await self.do('cancel', call=call, mode=mode)

    async def subscribe(self, topic: str, events: list[Any], match: str | None = None) -> int:
        number, answer = self.begin(
            'subscribe', events, topic=topic, options={'match': match} if match else None
        )
        await answer
        return number

    async def unsubscribe(self, subscription: int) -> None:
        await self.do('unsubscribe', subscription=subscription)

    async def publish(
        self, topic: str, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Publish with acknowledgement; returns the publication's id."""
        options = {'acknowledge': True, **(options or {})}
        return await self.do('publish', topic=topic, args=args, kwargs=kwargs, options=options)

    async def register(self, uri: str) -> None:
        await self.do('register', uri=uri)

    async def leave(self) -> None:
        await self.do('leave')


@contextlib.asynccontextmanager
async def starting(library: str, serializer: str) -> AsyncIterator[NodeClient]:
    """A client that has not joined yet. It ends with its stdin."""
    process = await asyncio.create_subprocess_exec(
        'node',
        str(FOLDER / f'{library}.mjs'),
        serializer,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, 'WAMP_NODE': str(PACKAGES)},
        limit=LINE_LIMIT,
    )
    client = NodeClient(process)
    try:
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await client.reading
