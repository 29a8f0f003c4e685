"""What the documentation says of a client's session, held with a server: the blocks marked `wamp`.

Lines at the margin are what the client sends, indented ones what it is answered:

    join REALM {details of HELLO}   welcome | abort URI | challenge METHOD
    authenticate ANSWER             the same, also for `sign SECRET`: the answer that the secret makes of the challenge
    call URI [args] {kwargs}        result [args] {kwargs} | error URI [args] {kwargs} | error URI "sentence"
                                    (the last is an error of the server's own; the sentence may be left away)
    call-with-progress URI ...      progress [args] {kwargs}, and then as for call
    call-with-timeout URI ...       as for call; the time is up after 50 ms
    call-and-more URI ...           the next call is part of this one, which is progressive
    cancel MODE                     ends the last call
    subscribe TOPIC                 subscribed | error URI, and whenever one comes: event TOPIC [args] {kwargs}
    subscribe-prefix TOPIC          the same for all topics that begin so
    unsubscribe TOPIC               unsubscribed
    publish TOPIC [args] {kwargs}   published | error URI; acknowledged, and the publisher gets its own events
    publish-with {options} TOPIC    the same with other options too; likewise subscribe-with and call-with

Behind an event, `with {details}` has what its details contain among others. Where `join` is missing, the client has
joined the realm `demo`. A first line `offer SUBPROTOCOL` says what is spoken if it is not JSON; bytes are written then
as JSON has them, as a string of U+0000 and Base64.
"""

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from typing import Any

from support.echo_servers import JSON
from support.raw_client import HELLO, RawClient

PUBLISH, PUBLISHED = 16, 17
WELCOME, ABORT, CHALLENGE, AUTHENTICATE, ERROR, RESULT = 2, 3, 4, 5, 8, 50
SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT, CALL, CANCEL = 32, 33, 34, 35, 36, 48, 49
# Options of CALL, by verb.
CALLS: dict[str, dict[str, Any]] = {
    'call': {},
    'call-with-progress': {'receive_progress': True},
    'call-with-timeout': {'timeout': 50},
    'call-and-more': {'progress': True},
}


def parse_line(line: str) -> list[Any]:
    """Return a line's words and values: 'result [1] {"a": 2}' is ['result', [1], {'a': 2}]."""
    words: list[Any] = []
    rest = line.strip()
    while rest:
        if rest[0] in '[{"':
            value, end = json.JSONDecoder().raw_decode(rest)
            # An ERROR of the server's own has its sentence in both places where clients look for one.
            words += [[value], {'message': value}] if isinstance(value, str) else [value]
        else:
            end = len(rest.partition(' ')[0])
            words.append(rest[:end])
        rest = rest[end:].strip()
    return words


def with_args(words: list[Any]) -> list[Any]:
    """Return a line's words as a message has them: keyword values are preceded by positional ones."""
    if isinstance(words[-1], dict) and not isinstance(words[-2], list):
        return [*words[:-1], [], words[-1]]
    return words


def offered(block: str) -> str:
    """Return the subprotocol that a block is held in."""
    first, _, _ = block.partition('\n')
    return first.removeprefix('offer ') if first.startswith('offer ') else JSON


def with_bytes(value: Any) -> Any:
    """Return a line's value with bytes for the strings that stand for them."""
    if isinstance(value, str) and value.startswith('\0'):
        return b64decode(value[1:])
    if isinstance(value, list):
        return [with_bytes(element) for element in value]
    if isinstance(value, dict):
        return {name: with_bytes(element) for name, element in value.items()}
    return value


def with_lists(value: Any) -> Any:
    """Return a value that was heard with lists for tuples, which some serializers make of arrays."""
    return [with_lists(element) for element in value] if isinstance(value, list | tuple) else value


def explanation(described: list[Any]) -> list[Any] | None:
    """Return the payload of an ERROR that says why, if this is one."""
    match described:
        case ['error', _, [str(sentence)], {'message': _}]:
            return [[sentence], {'message': sentence}]
    return None


class Conversation:
    """A client that says and expects what a block says, line by line."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.request = 0
        self.has_more = False
        self.topics: dict[int, str] = {}
        self.asked_for = ''
        self.hello: dict[str, Any] = {}
        self.method = ''
        self.challenge: dict[str, Any] = {}
        self.event_details: dict[str, Any] = {}

    async def hold(self, block: str) -> None:
        lines = [line for line in block.splitlines() if not line.startswith('offer ')]
        if not lines[0].startswith('join '):
            await self.say('join', 'demo')
            await self.expect('welcome', line='join demo')
        for line in lines:
            words = parse_line(line)
            if self.client.wire.is_binary:
                words = with_bytes(words)
            if not line.startswith(' '):
                await self.say(*words)
            elif words[0] == 'with':
                found = {name: value for name, value in self.event_details.items() if name in words[1]}
                assert found == words[1], f'{line!r}: {self.event_details}'
            else:
                await self.expect(*words, line=line)

    async def say(self, verb: str, subject: Any, *values: Any) -> None:
        options: dict[str, Any] = {}
        if verb.endswith('-with'):
            verb, options, (subject, *values) = verb.removesuffix('-with'), subject, values
        if verb == 'join':
            self.hello = {**HELLO[2], **(values[0] if values else {})}
            message = [HELLO[0], subject, self.hello]
        elif verb in ('authenticate', 'sign'):
            message = [AUTHENTICATE, subject if verb == 'authenticate' else self.sign(subject), {}]
        elif verb == 'cancel':
            message = [CANCEL, self.request, {'mode': subject}]
        else:
            self.request += not self.has_more
            self.has_more = verb == 'call-and-more'
            self.asked_for = subject
            if verb in ('subscribe', 'subscribe-prefix'):
                match = {} if verb == 'subscribe' else {'match': 'prefix'}
                message = [SUBSCRIBE, self.request, match | options, subject]
            elif verb == 'publish':
                options = {'acknowledge': True, 'exclude_me': False} | options
                message = [PUBLISH, self.request, options, *with_args([subject, *values])]
            elif verb == 'unsubscribe':
                (number,) = (number for number, topic in self.topics.items() if topic == subject)
                message = [UNSUBSCRIBE, self.request, number]
            else:
                message = [CALL, self.request, CALLS[verb] | options, *with_args([subject, *values])]
        await self.client.say(message)

    def sign(self, secret: str) -> str:
        """Return the answer to the challenge that came last: a password for WAMP-CRA and SCRAM, a private key in
        hexadecimal for cryptosign.
        """
        return {'wampcra': self.sign_cra, 'cryptosign': self.sign_by_key, 'wamp-scram': self.prove}[self.method](secret)

    def sign_cra(self, password: str) -> str:
        key = password.encode()
        if 'salt' in self.challenge:
            salting = (self.challenge[name] for name in ('iterations', 'keylen'))
            key = b64encode(hashlib.pbkdf2_hmac('sha256', key, self.challenge['salt'].encode(), *salting))
        return b64encode(hmac.digest(key, self.challenge['challenge'].encode(), 'sha256')).decode()

    def sign_by_key(self, private_key: str) -> str:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        message = bytes.fromhex(self.challenge['challenge'])
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private_key))
        return key.sign(message).hex() + message.hex()

    def prove(self, password: str) -> str:
        """As a client that knows Argon2 and binds no channel (WAMP AP, "SCRAM Algorithms")."""
        from argon2.low_level import Type, hash_secret_raw

        nonce, salt, iterations = (self.challenge[name] for name in ('nonce', 'salt', 'iterations'))
        own_nonce = self.hello['authextra']['nonce']
        assert nonce.startswith(own_nonce) and self.challenge['kdf'] == 'argon2id13'
        salted = hash_secret_raw(
            password.encode(), b64decode(salt), iterations, self.challenge['memory'], 1, 32, Type.ID
        )
        messages = f'n={self.hello["authid"]},r={own_nonce},r={nonce},s={salt},i={iterations},c=biws,r={nonce}'
        client_key = hmac.digest(salted, b'Client Key', 'sha256')
        signature = hmac.digest(hashlib.sha256(client_key).digest(), messages.encode(), 'sha256')
        return b64encode(bytes(left ^ right for left, right in zip(client_key, signature, strict=True))).decode()

    async def expect(self, *expected: Any, line: str) -> None:
        heard = with_lists(await self.client.hear())
        described = self.describe(heard)
        if expected[0] == 'error' and len(expected) == 2 and described[2:] == explanation(described):
            # A page need not show the sentence.
            described = described[:2]
        assert described == with_args(list(expected)), f'{line!r}: {heard}'

    def describe(self, message: Any) -> list[Any]:
        """Return a message of the server as the words and values of a line."""
        code, *rest = message
        if code == WELCOME:
            return ['welcome']
        if code == ABORT:
            return ['abort', rest[1]]
        if code == CHALLENGE:
            self.method, self.challenge = rest
            return ['challenge', rest[0]]
        if code == EVENT:
            self.event_details = rest[2]
            # What a pattern brings names its topic itself.
            return ['event', rest[2].get('topic', self.topics[rest[0]]), *rest[3:]]
        if code == ERROR:
            assert rest[1] == self.request
            return ['error', *rest[3:]]
        assert rest[0] == self.request
        if code == SUBSCRIBED:
            self.topics[rest[1]] = self.asked_for
            return ['subscribed']
        if code == PUBLISHED:
            return ['published']
        if code == UNSUBSCRIBED:
            return ['unsubscribed']
        assert code == RESULT
        return ['progress' if rest[1].get('progress') else 'result', *rest[2:]]
