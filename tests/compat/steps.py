"""Scripts: what a client sends, and how many answers it waits for.

A script says nothing about what the answers are: they are what serverwamp 2.0.0 gives, or what the table of
differences says. Each script drives a fresh application.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

JSON, MSGPACK = 'wamp.2.json', 'wamp.2.msgpack'
BATCHED_JSON, BATCHED_MSGPACK = 'wamp.2.json.batched', 'wamp.2.msgpack.batched'
SUBPROTOCOLS = (JSON, MSGPACK, BATCHED_JSON, BATCHED_MSGPACK)


@dataclass(frozen=True)
class Open:
    """A client connects."""

    client: str = 'a'


@dataclass(frozen=True)
class Send:
    """A client sends messages; in one payload if the subprotocol is batched."""

    messages: tuple[Any, ...]
    client: str = 'a'


@dataclass(frozen=True)
class SendPayload:
    """A client sends one WebSocket message: text if it is a str, binary if it is bytes."""

    payload: str | bytes
    client: str = 'a'


@dataclass(frozen=True)
class Expect:
    """A client waits for `count` messages, or for `oracle` messages when serverwamp 2.0.0 gives another number.

    Where one of the packages closes the connection instead, what it says so far and the closing is the answer.
    """

    count: int = 1
    oracle: int | None = None
    client: str = 'a'


@dataclass(frozen=True)
class ExpectAnswer:
    """A client waits for the answer to the request `id`, and for whatever comes before it."""

    id: int
    client: str = 'a'


@dataclass(frozen=True)
class ExpectClose:
    """A client waits until the server closes the connection; `oracle` is False when serverwamp 2.0.0 doesn't."""

    client: str = 'a'
    oracle: bool = True


@dataclass(frozen=True)
class Disconnect:
    """A client goes away, without GOODBYE."""

    client: str = 'a'


@dataclass(frozen=True)
class Await:
    """Waits until a handler of the application has written this down."""

    entry: str


Step = Open | Send | SendPayload | Expect | ExpectAnswer | ExpectClose | Disconnect | Await


@dataclass(frozen=True)
class Script:
    """A named sequence of steps against the application `app`.

    `subprotocols` and `memory` say where it makes sense: everywhere unless it sends payloads of one
    serialization. `unordered` sorts the application's notes and `shuffled` the answers, where nothing promises
    their order. `fault` marks what only a broken client sends: the server may log one line about it, and no
    traceback. `trio` is False where the answers depend on the order in which tasks start, which trio shuffles. `asgi`
    says whether it is for ASGI servers (True), for all others (False) or for both.
    """

    name: str
    steps: tuple[Step, ...]
    app: str = 'rich'
    subprotocols: tuple[str, ...] = SUBPROTOCOLS
    memory: bool = True
    unordered: bool = False
    shuffled: bool = False
    trio: bool = True
    asgi: bool | None = None
    fault: bool = False


SCRIPTS: dict[str, Script] = {}


def script(name: str, *steps: Step | Iterable[Step], **settings: Any) -> None:
    """Adds a script; steps may be given one by one or in groups."""
    flat: list[Step] = []
    for step in steps:
        flat.extend([step] if isinstance(step, Step) else step)
    assert name not in SCRIPTS, name
    SCRIPTS[name] = Script(name, tuple(flat), **settings)


def hello(realm: Any = 'realm1', **details: Any) -> list[Any]:
    roles = {'caller': {}, 'subscriber': {}, 'publisher': {}, 'callee': {}}
    return [1, realm, {'roles': roles, **details}]


def call(uri: Any, /, *args: Any, id: Any = 1, options: Any = None, **kwargs: Any) -> list[Any]:
    """A CALL in its shortest form: arguments are left out when there are none."""
    message: list[Any] = [48, id, options or {}, uri]
    if args or kwargs:
        message.append(list(args))
    if kwargs:
        message.append(kwargs)
    return message


def subscribe(topic: Any, id: Any = 1, options: Any = None) -> list[Any]:
    return [32, id, options or {}, topic]


def unsubscribe(subscription: Any, id: Any = 1) -> list[Any]:
    """`subscription` is an id, or the label ('sub 1') that the transcript gives to an id of the server."""
    return [34, id, subscription]


GOODBYE = [6, {}, 'wamp.close.normal']


def opened(client: str = 'a', realm: Any = 'realm1', **details: Any) -> tuple[Step, ...]:
    """A client connects and joins."""
    return Open(client), Send((hello(realm, **details),), client), Expect(1, client=client)


def asked(
    *messages: Any, answers: int | None = None, oracle: int | None = None, client: str = 'a'
) -> tuple[Step, ...]:
    """A client sends messages and waits for as many answers, unless told otherwise."""
    count = len(messages) if answers is None else answers
    return Send(messages, client), Expect(count, oracle, client)


def left(client: str = 'a') -> tuple[Step, ...]:
    """A client says goodbye and goes. Whatever else the server sends before its GOODBYE is noticed."""
    return Send((GOODBYE,), client), Expect(1, client=client), Disconnect(client)
