"""Counts the doors of a CALL: how often the way of one call changes from one module to another. See ci/doors.

    python doors.py [--list]

One CALL in JSON, alone in its read, goes to a plain procedure whose answer is written at once. It is the second of its
connection, because the first one of ASGI also settles on a codec. There is a door where the next function of the
package lies in another module than the one before. The modules have to be built with line tracing
(SERVERWAMP_COVERAGE=1), because others report nothing to a tracer.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from sequences import Client, build_app

import serverwamp_fast
from serverwamp_fast.adapters.native import Server

PACKAGE = Path(serverwamp_fast.__file__).parent
HELLO = '[1,"bench",{"roles":{"caller":{}}}]'
CALL = '[48,%d,{},"echo",["abcdefgh"]]'


class Tracer:
    """Records the functions of the package that are entered, as (module, function)."""

    def __init__(self) -> None:
        self.entered: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> 'Tracer':
        # Cython calls what is returned for the lines of a function, and can't do without it.
        if event == 'call':
            self.note(frame)
        return self

    def note(self, frame: FrameType) -> None:
        path = Path(frame.f_code.co_filename)
        if path.suffix == '.pyx':
            # Cython names sources from the root of the repository.
            module = '.'.join(path.with_suffix('').parts[path.parts.index('_core'):])
        elif path.suffix == '.py' and path.is_relative_to(PACKAGE):
            module = '.'.join(path.relative_to(PACKAGE).with_suffix('').parts)
        else:
            return
        self.entered.append((module, frame.f_code.co_name))

    def run(self, work: Callable[[], Any]) -> Any:
        sys.settrace(self)
        try:
            return work()
        finally:
            sys.settrace(None)

    @property
    def rooms(self) -> list[str]:
        return sorted({module for module, _ in self.entered})

    @property
    def doors(self) -> int:
        modules = [module for module, _ in self.entered]
        return sum(before != after for before, after in zip(modules, modules[1:], strict=False))


async def trace_native() -> Tracer:
    """Trace a call on the native server's protocol object."""
    client = Client(Server(build_app(), None), 'json')
    client.open()
    client.feed(client.build_calls('echo', 1))
    data = client.build_calls('echo', 1)
    client.transport.written.clear()
    tracer = Tracer()
    tracer.run(lambda: client.feed(data))
    # Python 3.11 has no eager tasks: there the call begins in the loop's next turn.
    if not client.transport.written:
        sys.exit('The call was not answered within its read; doors are counted on Python 3.12 or newer.')
    client.leave()
    return tracer


async def trace_asgi() -> Tracer:
    """Trace a call under ASGI, from the message of the server to the message that answers it."""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {
        'type': 'websocket', 'asgi': {'version': '3.0'}, 'path': '/', 'headers': [],
        'subprotocols': ['wamp.2.json'], 'client': ('127.0.0.1', 1), 'query_string': b'',
    }  # fmt: skip
    serving = asyncio.ensure_future(build_app().asgi_application()(scope, incoming.get, answers.put))
    await incoming.put({'type': 'websocket.connect'})
    for text in (HELLO, CALL % 1):
        await answers.get()
        await incoming.put({'type': 'websocket.receive', 'text': text})
    await answers.get()
    await asyncio.sleep(0)
    tracer = Tracer()
    await incoming.put({'type': 'websocket.receive', 'text': CALL % 2})
    sys.settrace(tracer)
    try:
        await answers.get()
        await asyncio.sleep(0)
    finally:
        sys.settrace(None)
    await incoming.put({'type': 'websocket.disconnect', 'code': 1000})
    await serving
    return tracer


def main() -> None:
    """Print the counts, and with --list the ways."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--list', action='store_true', help='print the functions in order')
    options = parser.parse_args()
    for name, trace in (('native', trace_native), ('ASGI', trace_asgi)):
        tracer = asyncio.run(trace())
        print(f'{name}: {tracer.doors} doors, {len(tracer.rooms)} modules, {len(tracer.entered)} functions')
        if options.list:
            before = None
            for module, function in tracer.entered:
                print(f'    {module if module != before else "":32} {function}')
                before = module


if __name__ == '__main__':
    main()
