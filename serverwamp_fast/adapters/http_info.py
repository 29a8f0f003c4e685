"""What `transport_info` tells of the HTTP request that opened a connection.

aiohttp provides all of it; for the other servers it is worked out here, to the same values under
the same keys:

http_cookies          mapping of str to str
http_headers_raw      sequence of (name, value), both bytes
http_path             str, percent-decoded
http_path_raw         str, the request target as it was sent, query included
http_query_string     str, percent-decoded except for the characters that structure it
peer_address          str, the client's IP address; None if there is none to know
peer_certificate      dict as `ssl.SSLSocket.getpeercert` returns it, or None
peer_certificate_raw  bytes, the certificate in DER form, or None
"""

import codecs
import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import unquote

# Characters of a query that mean something else when they are decoded.
_protect_query = re.compile(r'%(2B|26|3D|3B)', re.IGNORECASE).sub
_find_authority = re.compile(r'(?:https?|wss?)://[^/]*', re.IGNORECASE).match
# A cookie, and what ends it. A value in quotes may have semicolons.
_find_cookies = re.compile(
    r'''([^=;]*) (?: = \s* ( "(?:[^\\"]|\\.)*" \s* (?=;|$) | [^;]* ) )? (?:;|$)''',
    re.VERBOSE | re.DOTALL,
).finditer
_unescape_cookie = re.compile(r'\\(?:([0-3][0-7]{2})|(.))').sub

Headers = Sequence[tuple[bytes, bytes]]


class TLSObject(Protocol):
    """What can be asked about TLS: ssl.SSLObject, ssl.SSLSocket, trio.SSLStream."""

    session_reused: bool | None

    def getpeercert(self, binary_form: bool = False) -> Any: ...
    def version(self) -> str | None: ...
    def get_channel_binding(self, cb_type: str = 'tls-unique') -> bytes | None: ...


def build_transport_info(
    headers: Headers,
    target: str,
    peername: object,
    tls: TLSObject | None = None,
) -> dict[str, Any]:
    """All keys, from a request's headers and target, a socket's peer name, and TLS if there is."""
    raw_path, query = split_target(target)
    return {
        'http_cookies': parse_cookies(headers),
        'http_headers_raw': headers,
        'http_path': decode_path(raw_path),
        'http_path_raw': target,
        'http_query_string': decode_query(query),
        'peer_address': find_peer_address(peername),
        'peer_certificate': tls.getpeercert() if tls else None,
        'peer_certificate_raw': tls.getpeercert(binary_form=True) if tls else None,
    }


def split_target(target: str) -> tuple[str, str]:
    """The path and the query of a request's target, which proxies may write as a whole URL (RFC 9112, 3.2.2)."""
    path, _, query = target.partition('?')
    if not path.startswith('/') and (start := _find_authority(path)) is not None:
        path = path[start.end() :] or '/'
    return path, query


def parse_cookies(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The cookies of a request (RFC 6265, 5.4). A part without `=` is passed over.

    Of cookies with the same name the last one wins, and values in quotes may have semicolons, as in Python's own
    parser.
    """
    cookies = {}
    # HTTP/2 clients may send a header line for every cookie (RFC 9113, 8.2.3).
    for header, line in headers:
        if header.lower() != b'cookie':
            continue
        for cookie in _find_cookies(line.decode('utf-8', 'surrogateescape')):
            name, value = cookie.groups()
            name = name.strip()
            if value is not None and name:
                cookies[name] = _unquote_cookie(value.strip())
    return cookies


def _unquote_cookie(value: str) -> str:
    # By hand: the standard library's took quadratic time until 3.12.6, and is not a public
    # function.
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _unescape_cookie(lambda match: match[2] or chr(int(match[1], 8)), value[1:-1])


def decode_path(raw_path: str) -> str:
    """A path without percent encoding; bytes that are not UTF-8 keep theirs."""
    return unquote(raw_path, errors='serverwamp_fast.percent')


def decode_query(raw_query: str) -> str:
    """A query without percent encoding, except for encoded `+`, `&`, `=` and `;`."""
    protected = _protect_query(lambda match: f'%25{match[1].upper()}', raw_query)
    return unquote(protected.replace('+', ' '), errors='serverwamp_fast.percent')


def _keep_percent(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    kept = error.object[error.start : error.end]
    return ''.join(f'%{byte:02X}' for byte in kept), error.end


codecs.register_error('serverwamp_fast.percent', _keep_percent)


def find_peer_address(peername: object) -> str | None:
    """The host in a socket's peer name. Unix sockets have a path there, which mostly is ''."""
    if peername is None:
        return None
    if isinstance(peername, (tuple, list)):
        return str(peername[0])
    return str(peername)


def read_tls_unique(tls: TLSObject | None) -> bytes | None:
    """The channel binding tls-unique, see Connection.tls_unique().

    TLS 1.3 has none (RFC 8446, C.5), and that of a resumed session may be another session's too (RFC 7627).
    """
    if tls is None or tls.version() != 'TLSv1.2' or tls.session_reused:
        return None
    return tls.get_channel_binding('tls-unique')


def encode_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    """Headers as they were on the wire, from the text that the websockets library makes of them."""
    return tuple((name.encode('latin-1'), _encode_value(value)) for name, value in headers)


def _encode_value(value: str) -> bytes:
    try:
        return value.encode('latin-1')
    except UnicodeEncodeError:
        # Before version 17 the library decoded as ASCII, with escapes for the rest.
        return value.encode('utf-8', 'surrogateescape')
