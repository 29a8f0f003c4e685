"""A WebSocket echo server on the native transport, to point a conformance suite at.

    python tests/ws_echo_server.py PORT

It speaks no WAMP: every message is sent back as it came. Messages of up to 64 MiB are taken, because the
suites' performance cases send large ones. Listens on 127.0.0.1 until it is killed.
"""

import asyncio
import contextlib
import sys

import uvloop
from websockets.server import ServerProtocol

from serverwamp_fast._core.native.hubs import Hub
from serverwamp_fast._core.native.message_transport import MessageTransport

LIMIT = 64 * 1024 * 1024


class Echo(MessageTransport, asyncio.BufferedProtocol):
    """Sends back what comes in."""

    def message_received(self, data: bytes, is_text: bool) -> None:
        self.send(data, is_text)


def negotiate(head: bytes) -> tuple[bytes, str | None]:
    """Answer an opening handshake; there is no subprotocol to agree on."""
    protocol = ServerProtocol()
    protocol.receive_data(head)
    events = protocol.events_received()
    if not events:
        return b'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', None
    response = protocol.accept(events[0])
    protocol.send_response(response)
    return b''.join(protocol.data_to_send()), 'echo' if response.status_code == 101 else None


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    hub = Hub(loop, negotiate, 10.0, 5.0, LIMIT)
    server = await loop.create_server(lambda: Echo(hub), '127.0.0.1', port)
    print(f'Echoing at ws://127.0.0.1:{server.sockets[0].getsockname()[1]}', flush=True)
    await server.serve_forever()


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(int(sys.argv[1])))
