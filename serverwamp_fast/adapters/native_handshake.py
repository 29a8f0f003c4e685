"""The opening handshake of the native server (RFC 6455, 4.2): HTTP, the path, and the subprotocol."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from websockets.http11 import Request
from websockets.server import ServerProtocol

from .._core.wire.subprotocols import SUBPROTOCOLS
from .http_info import decode_path, split_target

# The handshake library announces every connection at INFO; that is for who asks for it. What is refused, and what
# takes too long, is announced by the core as serverwamp_fast.handshake.
library_logger = logging.getLogger('serverwamp_fast.handshake.library')
library_logger.setLevel(logging.WARNING)

NOT_WEBSOCKET = 'This is a WAMP server. Connect to it with a WAMP client, over WebSocket.\n'
NO_HOST = 'Say in one Host header which server is meant.\n'
NO_SUBPROTOCOL = (
    f'Offer a WAMP subprotocol in Sec-WebSocket-Protocol. This server speaks {", ".join(SUBPROTOCOLS)}.\n'
)

BODY_HEADERS = re.compile(rb'(?<=\n)(content-length|transfer-encoding):[^\n]*\n', re.IGNORECASE)
UPGRADE = re.compile(rb'\nupgrade:', re.IGNORECASE)


class Handshake:
    """Answers the HTTP requests of a server (RFC 6455, 4.2). `paths` are served, or all of them."""

    def __init__(self, paths: Collection[str] | None) -> None:
        self.paths = paths

    def negotiate(self, head: bytes) -> tuple[bytes, str | None]:
        """Return the response to a request, and the subprotocol if it opens a WebSocket."""
        with reading(head) as (protocol, request):
            return self._answer(protocol, request, head)

    def _answer(self, protocol: ServerProtocol, request: Request | None, head: bytes) -> tuple[bytes, str | None]:
        if request is None and (plain := without_body(head)) is not None:
            with reading(plain) as (protocol, request):
                return self._answer(protocol, request, plain)
        if request is None:
            # Too long, or not HTTP; there may be a response that says so.
            protocol.receive_eof()
            response = b''.join(protocol.data_to_send())
            return response or self._bad_request(protocol), None
        if not names_host(request):
            answer = protocol.reject(400, NO_HOST)
        elif not self._serves(request):
            answer = protocol.reject(404, 'There is no WAMP server at this path.\n')
        elif not asks_for_websocket(request):
            answer = protocol.reject(426, NOT_WEBSOCKET)
            answer.headers['Upgrade'] = 'websocket'
        elif not any(offered in SUBPROTOCOLS for offered in offered_subprotocols(request)):
            answer = protocol.reject(400, NO_SUBPROTOCOL)
        else:
            answer = protocol.accept(request)
        if getattr(request, 'method', 'GET') == 'HEAD':
            # What describes the body stays (RFC 9110, 9.3.2).
            answer.body = b''
        return answer.serialize(), answer.headers.get('Sec-WebSocket-Protocol') if answer.status_code == 101 else None

    def _serves(self, request: Request) -> bool:
        if self.paths is None:
            return True
        path, _ = split_target(request.path)
        # An application may have either form of a path.
        return path in self.paths or decode_path(path) in self.paths

    @staticmethod
    def _bad_request(protocol: ServerProtocol) -> bytes:
        return protocol.reject(400, 'This is not an HTTP request that could be read.\n').serialize()


@contextlib.contextmanager
def reading(head: bytes) -> Iterator[tuple[ServerProtocol, Request | None]]:
    """Read an HTTP request: provide the handshake library's protocol object, and the request if it is one."""
    protocol = ServerProtocol(select_subprotocol=select_subprotocol, logger=library_logger)
    try:
        protocol.receive_data(head)
        events: list[Any] = protocol.events_received()
        yield protocol, events[0] if events else None
    finally:
        # Its parser and more of what it holds refer to it: 4 KB that only the garbage collector would find.
        protocol.parser.close()
        vars(protocol).clear()


def without_body(head: bytes) -> bytes | None:
    """Return the head of a plain HTTP request without what announces a body, or None if that is not what it is.

    The handshake library takes a request with a body for a bad one.
    """
    plain = BODY_HEADERS.sub(b'', head)
    return None if plain == head or UPGRADE.search(head) else plain


def names_host(request: Request) -> bool:
    """Return whether a request says which host it is for, as those of HTTP/1.1 have to (RFC 9112, 3.2)."""
    # Versions of the library that don't tell the protocol know no other.
    return getattr(request, 'protocol', 'HTTP/1.1') != 'HTTP/1.1' or len(request.headers.get_all('Host')) == 1


def asks_for_websocket(request: Request) -> bool:
    """Whether a request is to upgrade to WebSocket: not to HTTP/2, say, or to nothing."""
    return any(
        name.strip().lower() == 'websocket'
        for line in request.headers.get_all('Upgrade')
        for name in line.split(',')
    )


def offered_subprotocols(request: Request) -> list[str]:
    """Return the subprotocols that a request offers."""
    return [
        name.strip()
        for line in request.headers.get_all('Sec-WebSocket-Protocol')
        for name in line.split(',')
    ]


def select_subprotocol(protocol: ServerProtocol, offered: Sequence[str]) -> Any:
    """Return the first subprotocol of the server's order that the client offers."""
    return next((name for name in SUBPROTOCOLS if name in offered), None)
