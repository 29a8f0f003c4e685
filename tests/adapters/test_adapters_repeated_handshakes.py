"""Requests that come again with another key are answered as the handshake library answers them."""

import re

import pytest

from serverwamp_fast.adapters import repeated_handshakes
from serverwamp_fast.adapters.native_handshake import Handshake
from serverwamp_fast.adapters.repeated_handshakes import (
    LONGEST_KNOWN,
    MOST_KNOWN,
    MOST_OWN_HEADERS,
    RepeatedHandshakes,
)

NOW = 1_700_000_000
KEYS = 'dGhlIHNhbXBsZSBub25jZQ==', 'AQIDBAUGBwgJCgsMDQ4PEA==', '/+/+/+/+/+/+/+/+/+/+/w=='


def build_head(*keys: str, path: str = '/', subprotocols: str = 'wamp.2.json', **fields: str) -> bytes:
    lines = [
        f'GET {path} HTTP/1.1', 'Host: a', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
        *(f'Sec-WebSocket-Key: {key}' for key in keys), f'Sec-WebSocket-Protocol: {subprotocols}',
        *(f'{name}: {value}' for name, value in fields.items()),
    ]  # fmt: skip
    return '\r\n'.join([*lines, '', '']).encode()


class Server:
    """What is looked at, and the requests that it leaves to the library."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.library = Handshake({'/', '/other'}).negotiate
        self.answers = RepeatedHandshakes(self.ask).negotiate

    def ask(self, head: bytes) -> tuple[bytes, str | None]:
        self.asked.append(head)
        return self.library(head)

    def check(self, head: bytes, *, is_known: bool) -> tuple[bytes, str | None]:
        """Check the answer against the library's, and whether that was asked for it."""
        before = len(self.asked)
        response, subprotocol, *shared = self.answers(head)
        assert len(self.asked) == before + (not is_known)
        assert not shared or is_known
        expected, expected_subprotocol = self.library(head)
        assert [without_date(response), subprotocol] == [without_date(expected), expected_subprotocol]
        return response, subprotocol


def without_date(response: bytes) -> bytes:
    return re.sub(rb'\r\nDate: [^\r]*', b'', response)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(repeated_handshakes, 'time', lambda: NOW + 0.5)
    return Server()


def test_the_same_request_with_another_key(server: Server) -> None:
    responses = [server.check(build_head(key), is_known=key != KEYS[0])[0] for key in KEYS]
    assert len({*responses}) == 3
    server.check(build_head(KEYS[0]), is_known=True)


def test_what_requests_have_in_common_is_told_once(server: Server) -> None:
    heads = [build_head(key) for key in KEYS]
    server.answers(heads[0])
    (first,), (second,) = ([*server.answers(head)[2:]] for head in heads[1:])
    assert first is second
    rest, start = first
    for head, key in zip(heads, KEYS, strict=True):
        assert rest[:start] + key.encode() + rest[start:] == head


@pytest.mark.parametrize('name', ['sec-websocket-key', 'SEC-WEBSOCKET-KEY'])
def test_the_name_of_the_key_may_be_written_in_any_case(server: Server, name: str) -> None:
    heads = [build_head(key).replace(b'Sec-WebSocket-Key', name.encode()) for key in KEYS]
    server.check(heads[0], is_known=False)
    server.check(heads[1], is_known=True)


@pytest.mark.parametrize(
    'head',
    [
        build_head(KEYS[1], path='/other'),
        build_head(KEYS[1], path='/elsewhere'),
        build_head(KEYS[1], subprotocols='wamp.2.msgpack'),
        build_head(KEYS[1], subprotocols='nothing'),
        build_head(KEYS[1], Origin='https://a.example'),
        build_head(KEYS[1], KEYS[1]),
        build_head(KEYS[1], ''),
        build_head('', KEYS[1]),
        build_head(),
        build_head(KEYS[1]).replace(b'GET', b'POST'),
        build_head(KEYS[1]).replace(b': 13', b': 8'),
    ],
)
def test_a_request_that_differs_in_more_is_another_one(server: Server, head: bytes) -> None:
    server.check(build_head(KEYS[0]), is_known=False)
    server.check(head, is_known=False)


@pytest.mark.parametrize('key', ['', 'AA==', 'A' * 24, 'A' * 22 + '=', '*' * 22 + '==', KEYS[0] + 'x', 'A' * 44])
def test_a_key_that_is_none_is_never_taken_for_known(server: Server, key: str) -> None:
    server.check(build_head(KEYS[0]), is_known=False)
    assert server.check(build_head(key), is_known=False)[1] is None


@pytest.mark.parametrize(
    'head',
    [build_head(KEYS[0], path='/elsewhere'), build_head(KEYS[0], KEYS[1]), build_head(KEYS[0], subprotocols='x')],
)
def test_a_refusal_is_not_remembered(server: Server, head: bytes) -> None:
    for _ in range(2):
        assert server.check(head, is_known=False)[1] is None


def test_a_request_is_known_for_the_second_of_its_date(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.check(build_head(KEYS[0]), is_known=False)
    monkeypatch.setattr(repeated_handshakes, 'time', lambda: NOW + 0.99)
    server.check(build_head(KEYS[1]), is_known=True)
    monkeypatch.setattr(repeated_handshakes, 'time', lambda: NOW + 1.0)
    server.check(build_head(KEYS[1]), is_known=False)


def test_what_is_remembered_is_limited(server: Server) -> None:
    for number in range(MOST_KNOWN + 1):
        server.check(build_head(KEYS[0], Origin=str(number)), is_known=False)
    server.check(build_head(KEYS[1], Origin='0'), is_known=True)
    server.check(build_head(KEYS[1], Origin=str(MOST_KNOWN)), is_known=False)


@pytest.mark.parametrize('name', ['Cookie', 'cookie', 'X-Forwarded-For', 'AUTHORIZATION', 'traceparent'])
def test_what_tells_clients_apart_does_not_matter(server: Server, name: str) -> None:
    server.check(build_head(KEYS[0], **{name: 'a=1'}), is_known=False)
    server.check(build_head(KEYS[1], **{name: 'a=2; b=3'}), is_known=True)
    server.check(build_head(KEYS[2], **{name: ''}), is_known=True)
    server.check(build_head(KEYS[2]), is_known=True)
    # These keep the whole request: it isn't what they have in common.
    assert len(server.answers(build_head(KEYS[2], **{name: 'a=4'}))) == 2


def test_what_requests_have_in_common_is_without_what_tells_clients_apart(server: Server) -> None:
    first = build_head(KEYS[0]).replace(b'Host: a', b'Cookie: a=1\r\nHost: a\r\nX-Real-IP: 1.2.3.4')
    server.check(first, is_known=False)
    _, _, (rest, start) = server.answers(build_head(KEYS[1]))
    assert rest[:start] + KEYS[1].encode() + rest[start:] == build_head(KEYS[1])


@pytest.mark.parametrize('value', ['a\0b', 'a\x7f', 'ä', 'a\r\n b', 'a\r\nOrigin: b', 'a\n'])
def test_a_header_of_other_characters_is_the_librarys(server: Server, value: str) -> None:
    server.check(build_head(KEYS[0], Cookie='a'), is_known=False)
    server.check(build_head(KEYS[1], Cookie=value), is_known=False)


def test_many_headers_are_the_librarys(server: Server) -> None:
    server.check(build_head(KEYS[0]), is_known=False)
    for count, is_known in [(MOST_OWN_HEADERS, True), (MOST_OWN_HEADERS + 1, False), (150, False)]:
        head = build_head(KEYS[1]).replace(b'\r\n\r\n', b'\r\nCookie: a' * count + b'\r\n\r\n')
        server.check(head, is_known=is_known)


def test_a_long_request_is_not_remembered(server: Server) -> None:
    for _ in range(2):
        server.check(build_head(KEYS[0], Cookie='x' * LONGEST_KNOWN), is_known=False)
