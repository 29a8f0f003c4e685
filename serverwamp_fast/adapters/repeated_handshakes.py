"""Opening handshakes that differ from another of the same second in nothing that their answer depends on.

When a server has been restarted, all its clients come back at once, and those that are the same program send the same
request, but for its key and what tells one client from another. The answer depends on Sec-WebSocket-Key in one place
only (RFC 6455, 4.2.2), and on cookies and the like not at all, so that the handshake library needs to work it out once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import time
from typing import Any

from websockets.utils import accept_key

# As clients write it. Any other form that is allowed, and none that isn't, is left to the library.
KEY = re.compile(rb'\r\n(?i:Sec-WebSocket-Key): ([A-Za-z0-9+/]{21}[AQgw]==)\r\n')
# Headers that say who a client is and how it came here. The values are of characters that every header may have.
OWN_HEADER = re.compile(
    rb'\r\n(?i:Cookie|Authorization|Forwarded|X-Forwarded-For|X-Real-IP|X-Request-ID|Traceparent):[\t\x20-\x7e]*(?=\r\n)'
)
MOST_OWN_HEADERS = 8  # of one request; the library counts headers
MOST_KNOWN = 64
LONGEST_KNOWN = 2048  # bytes of a request


class RepeatedHandshakes:
    """Answers requests as `negotiate` does, and those that come again without asking it."""

    def __init__(self, negotiate: Callable[[bytes], tuple[bytes, str | None]]) -> None:
        self._negotiate = negotiate
        # By the request without its key and its own headers: the response up to Sec-WebSocket-Accept's value, the rest,
        # the subprotocol, and the request again with the offset of its key, for connections to share.
        self._known: dict[bytes, tuple[bytes, bytes, str, tuple[bytes, int]]] = {}
        self._second = 0

    def negotiate(self, head: bytes) -> tuple[Any, ...]:
        """Return the response to a request, and the subprotocol if it opens a WebSocket, as the core's Hub wants it."""
        found = KEY.search(head)
        if found is None or len(head) > LONGEST_KNOWN:
            return self._negotiate(head)
        # The responses have a Date.
        second = int(time())
        if second != self._second:
            self._second = second
            self._known.clear()
        accept = accept_key(found[1].decode()).encode()
        start, end = found.span(1)
        request = head[:start] + head[end:]
        known = self._known.get(request)
        if known is not None:
            before, after, subprotocol, shared = known
            return before + accept + after, subprotocol, shared
        request, count = OWN_HEADER.subn(b'', request)
        if count > MOST_OWN_HEADERS:
            return self._negotiate(head)
        known = self._known.get(request) if count else None
        if known is not None:
            before, after, subprotocol, _ = known
            return before + accept + after, subprotocol
        response, negotiated = self._negotiate(head)
        # Only what opens a connection: a second key, for one thing, would have been refused.
        if negotiated is not None and len(self._known) < MOST_KNOWN:
            before, _, after = response.partition(accept)
            start = len(OWN_HEADER.sub(b'', head[:start]))
            self._known[request] = before, after, negotiated, (request, start)
        return response, negotiated
