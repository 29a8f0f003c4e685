"""What is told of the opening request, compared with what aiohttp makes of the same."""

import pytest

from serverwamp_fast.adapters.http_info import (
    build_transport_info,
    decode_path,
    decode_query,
    encode_headers,
    find_peer_address,
    parse_cookies,
    read_tls_unique,
)

PATHS = [
    '/',
    '/plain/path',
    '/a%20b/%C3%A4%e2%82%ac',
    '/a+b%2Bc',
    '/%25',
    '/100%',
    '/%zz%4',
    '/%FF%C3x%c3%A4',
]
QUERIES = [
    '',
    'a=1&b=2',
    'a=%C3%A4+b%20c',
    'a=1%262%3D3%2b4%3B5',
    'a=%25',
    'a=100%&b=%zz',
    'q=%FF',
]
COOKIES = [
    'a=1',
    'a=1; b=2;c=3 ; d = 4',
    'a="quoted"; b="with \\"marks\\" and \\\\"',
    'a="\\303\\244"',
    'session=abc==; empty=',
    'a=1; a=2',
    'a="1;2"; b=3; c="4;\\";5" ; d=6',
    'a="1;2"3; b=4',
]


@pytest.mark.parametrize('path', PATHS)
@pytest.mark.parametrize('query', QUERIES)
def test_target_is_read_as_aiohttp_does(path: str, query: str) -> None:
    yarl = pytest.importorskip('yarl', reason='aiohttp is not installed')
    url = yarl.URL.build(path=path, query_string=query, encoded=True)
    assert decode_path(path) == url.path
    assert decode_query(query) == url.query_string


@pytest.mark.parametrize('line', COOKIES)
def test_cookies_are_read_as_aiohttp_does(line: str) -> None:
    pytest.importorskip('aiohttp', reason='aiohttp is not installed')
    from aiohttp.test_utils import make_mocked_request

    expected = dict(make_mocked_request('GET', '/', {'Cookie': line}).cookies)
    assert parse_cookies([(b'cookie', line.encode())]) == expected


@pytest.mark.parametrize(
    ('line', 'cookies'),
    [
        (b'', {}),
        (b';;  ; =; =1; nothing', {}),
        (b'broken; a=1', {'a': '1'}),
        (b'a="', {'a': '"'}),
        (b'a="unended; b=2', {'a': '"unended', 'b': '2'}),
        (b'path=/x; expires=1', {'path': '/x', 'expires': '1'}),
        (b'a=""', {'a': ''}),
        (b'a=\xff', {'a': '\udcff'}),
        ('ä=ü'.encode(), {'ä': 'ü'}),
        (b'name:with/odd=chars[]', {'name:with/odd': 'chars[]'}),
    ],
)
def test_odd_cookies_are_kept_and_broken_ones_passed_over(line: bytes, cookies: dict[str, str]) -> None:
    assert parse_cookies([(b'Cookie', line)]) == cookies


def test_cookies_may_come_in_several_headers() -> None:
    headers = [(b'host', b'x'), (b'COOKIE', b'a=1'), (b'cookie', b'b=2; a=3'), (b'x', b'c=4')]
    assert parse_cookies(headers) == {'a': '3', 'b': '2'}
    assert parse_cookies([]) == {}


def test_long_cookies_take_time_in_proportion() -> None:
    # Quadratic work on these would keep the test from ending.
    count = 1_000_000
    assert parse_cookies([(b'cookie', b'a="; ' * count)]) == {'a': '; a='}
    assert parse_cookies([(b'cookie', b'a="' + b'\\"' * count + b'"')]) == {'a': '"' * count}
    assert len(parse_cookies([(b'cookie', b'a="' + b'\\' * count + b'"')])['a']) == count // 2
    assert len(parse_cookies([(b'cookie', b'a="' + b'"\\' * count + b'"')])['a']) == count + 1


@pytest.mark.parametrize(
    ('peername', 'address'),
    [
        (None, None),
        (('127.0.0.1', 4711), '127.0.0.1'),
        (['::1', 4711, 0, 0], '::1'),
        ('', ''),
        ('/run/client', '/run/client'),
    ],
)
def test_peer_address(peername: object, address: str | None) -> None:
    assert find_peer_address(peername) == address


def test_headers_become_the_bytes_they_were() -> None:
    assert encode_headers([('Host', 'localhost'), ('X', 'ä'), ('Y', '\udce2\udc82\udcac')]) == (
        (b'Host', b'localhost'),
        (b'X', b'\xe4'),
        (b'Y', '€'.encode()),
    )


@pytest.mark.parametrize(
    ('target', 'path', 'query'),
    [
        ('/a%20b?c', '/a b', 'c'),
        ('http://example.com/a/b?c=d?e', '/a/b', 'c=d?e'),
        ('WSS://[::1]:443', '/', ''),
        ('http://example.com?c', '/', 'c'),
        ('*', '*', ''),
        ('/http://a/b', '/http://a/b', ''),
    ],
)
def test_targets_may_be_whole_urls(target: str, path: str, query: str) -> None:
    info = build_transport_info((), target, None)
    assert (info['http_path'], info['http_query_string']) == (path, query)
    assert info['http_path_raw'] == target


def test_all_keys_are_there_without_tls() -> None:
    headers = ((b'Cookie', b'a=1'),)
    assert build_transport_info(headers, '/a%20b?c=%20', ('127.0.0.1', 4711)) == {
        'http_cookies': {'a': '1'},
        'http_headers_raw': headers,
        'http_path': '/a b',
        'http_path_raw': '/a%20b?c=%20',
        'http_query_string': 'c= ',
        'peer_address': '127.0.0.1',
        'peer_certificate': None,
        'peer_certificate_raw': None,
    }


def test_certificates_are_asked_for_in_both_forms() -> None:
    class TLS:
        def getpeercert(self, binary_form: bool = False):
            return b'DER' if binary_form else {'subject': ()}

    info = build_transport_info((), '/', None, TLS())
    assert info['peer_certificate'] == {'subject': ()}
    assert info['peer_certificate_raw'] == b'DER'


@pytest.mark.parametrize(
    ('version', 'reused', 'binding'),
    [
        ('TLSv1.2', False, b'Finished'),
        ('TLSv1.2', None, b'Finished'),
        ('TLSv1.2', True, None),
        ('TLSv1.3', False, None),
        (None, None, None),
    ],
)
def test_channel_bindings(version: str | None, reused: bool | None, binding: bytes | None) -> None:
    class TLS:
        session_reused = reused

        def version(self) -> str | None:
            return version

        def get_channel_binding(self, cb_type: str) -> bytes:
            assert cb_type == 'tls-unique'
            return b'Finished'

    assert read_tls_unique(TLS()) == binding


def test_no_channel_binding_without_tls() -> None:
    assert read_tls_unique(None) is None
