"""What the documentation says of a client's session, held with a server: the blocks marked `wamp`.

Lines at the margin are what the client sends, indented ones what it is answered:

    join REALM {details of HELLO}   welcome | abort URI | challenge METHOD
    authenticate ANSWER             the same, also for `sign PASSWORD`, which answers WAMP-CRA with salt
    call URI [args] {kwargs}        result [args] {kwargs} | error URI [args] {kwargs}
    call-with-progress URI ...      progress [args] {kwargs}, and then as for call
    call-with-timeout URI ...       as for call; the time is up after 50 ms
    call-and-more URI ...           the next call is part of this one, which is progressive
    cancel MODE                     ends the last call
    subscribe TOPIC                 subscribed | error URI, and whenever one comes: event TOPIC [args] {kwargs}
    subscribe-prefix TOPIC          the same for all topics that begin so
    unsubscribe TOPIC               unsubscribed
    publish TOPIC [args] {kwargs}   published | error URI; acknowledged, and the publisher gets its own events

Where `join` is missing, the client has joined the realm `demo`.
"""

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any

from raw_client import HELLO, RawClient

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
        if rest[0] in '[{':
            value, end = json.JSONDecoder().raw_decode(rest)
            words.append(value)
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


class Conversation:
    """A client that says and expects what a block says, line by line."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.request = 0
        self.has_more = False
        self.topics: dict[int, str] = {}
        self.asked_for = ''
        self.challenge: dict[str, Any] = {}

    async def hold(self, block: str) -> None:
        if not block.startswith('join '):
            await self.say('join', 'demo')
            await self.expect('welcome', line='join demo')
        for line in block.splitlines():
            if line.startswith(' '):
                await self.expect(*parse_line(line), line=line)
            else:
                await self.say(*parse_line(line))

    async def say(self, verb: str, subject: str, *values: Any) -> None:
        if verb == 'join':
            message = [HELLO[0], subject, {**HELLO[2], **(values[0] if values else {})}]
        elif verb in ('authenticate', 'sign'):
            message = [AUTHENTICATE, subject if verb == 'authenticate' else self.sign(subject), {}]
        elif verb == 'cancel':
            message = [CANCEL, self.request, {'mode': subject}]
        else:
            self.request += not self.has_more
            self.has_more = verb == 'call-and-more'
            self.asked_for = subject
            if verb in ('subscribe', 'subscribe-prefix'):
                options = {} if verb == 'subscribe' else {'match': 'prefix'}
                message = [SUBSCRIBE, self.request, options, subject]
            elif verb == 'publish':
                options = {'acknowledge': True, 'exclude_me': False}
                message = [PUBLISH, self.request, options, *with_args([subject, *values])]
            elif verb == 'unsubscribe':
                (number,) = (number for number, topic in self.topics.items() if topic == subject)
                message = [UNSUBSCRIBE, self.request, number]
            else:
                message = [CALL, self.request, CALLS[verb], *with_args([subject, *values])]
        await self.client.say(message)

    def sign(self, password: str) -> str:
        """Return the signature for the challenge of WAMP-CRA that came last."""
        salting = (self.challenge[name] for name in ('iterations', 'keylen'))
        key = hashlib.pbkdf2_hmac('sha256', password.encode(), self.challenge['salt'].encode(), *salting)
        text = self.challenge['challenge'].encode()
        return b64encode(hmac.digest(b64encode(key), text, 'sha256')).decode()

    async def expect(self, *expected: Any, line: str) -> None:
        heard = await self.client.hear()
        assert self.describe(heard) == with_args(list(expected)), f'{line!r}: {heard}'

    def describe(self, message: Any) -> list[Any]:
        """Return a message of the server as the words and values of a line."""
        code, *rest = message
        if code == WELCOME:
            return ['welcome']
        if code == ABORT:
            return ['abort', rest[1]]
        if code == CHALLENGE:
            self.challenge = rest[1]
            return ['challenge', rest[0]]
        if code == EVENT:
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
