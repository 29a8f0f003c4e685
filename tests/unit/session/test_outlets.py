"""_core.session.outlets: what the core asks of a connection that takes payloads at once."""

import pytest

from serverwamp_fast._core.native.message_transport import MessageTransport
from serverwamp_fast._core.native.peers import WAMPPeer
from serverwamp_fast._core.native.transport import WebSocketTransport
from serverwamp_fast._core.session.outlets import Outlet


@pytest.mark.parametrize('kind', [WebSocketTransport, MessageTransport, WAMPPeer])
def test_native_connections_are_outlets(kind: type) -> None:
    assert issubclass(kind, Outlet)


def test_python_sees_nothing_of_it() -> None:
    # Payloads go to it from C alone; test_sessions.py sends through a native one.
    assert {name for name in dir(Outlet()) if not name.startswith('__')} == set()
