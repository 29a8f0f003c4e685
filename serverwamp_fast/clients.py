"""How the log and the answers speak of a client and of what it sent: in one place, so that all lines look alike.

A leaf, as errors.py is: the core and all other modules may import it.
"""

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger('serverwamp_fast.session')

NAMELESS = 'a client without an address'
# Characters of a client's text that an answer repeats. The answer has its sentence twice.
QUOTED = 200


def client_name(connection: Any, session: Any = None) -> str:
    """Return what the log calls a client: 'session 5 of 192.0.2.1', or without a session only '192.0.2.1'.

    `session` is that of the connection if none is given. Connections may be anything, of users too; this never raises.
    """
    if session is None:
        session = getattr(connection, 'current_session', None)
    number = getattr(session, 'id', None)
    address = address_name(_find_address(connection))
    return address if number is None else f'session {number} of {address}'


def session_name(session: Any) -> str:
    """Return what the log calls the client of a session; see client_name()."""
    return client_name(getattr(session, 'connection', None), session)


def address_name(peername: object) -> str:
    """Return what the log calls a client by its socket's name or its address. Unix sockets have none, or ''."""
    if isinstance(peername, (tuple, list)) and len(peername) > 1:
        host, port, *_ = peername
        return f'[{host}]:{port}' if ':' in str(host) else f'{host}:{port}'
    # A user's own connection may have taken it from the client.
    text = str(peername)[:QUOTED] if peername else ''
    if not text:
        return NAMELESS
    return text if text.isprintable() else repr(text)


def _find_address(connection: Any) -> Any:
    try:
        info = getattr(connection, 'transport_info', None)
        return info.get('peer_address') if isinstance(info, Mapping) else None
    except Exception:
        # The line of the log matters more than the address in it.
        return None


def shorten(text: Any) -> str:
    """Return a client's text as an answer repeats it, cut where it is long."""
    text = str(text)
    if not text.isascii():
        # What has no form in UTF-8 could not be sent.
        text = text.encode('utf-8', 'backslashreplace').decode()
    return text if len(text) <= QUOTED else f'{text[:QUOTED]}...'


def log_refusal(session: Any, request: str, error_uri: str, sentence: str) -> None:
    """Tell in one DEBUG line that a request of a session is answered with ERROR."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug('%s of %s is answered with %.200s: %.500r', request, session_name(session), error_uri, sentence)
