"""What came of a script, in a form in which two packages can be compared.

Random ids become labels ('session 1', 'sub 1', 'publication 1') in the order in which a client first sees them,
so that the same id twice still shows. Nothing else is forgiven, except what is stated here:
- WELCOME: only the roles are kept, as serverwamp 2.0.0 sends nothing else (row 7 of the differences).
- ABORT: the text in details.message is free.
"""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAXIMUM_ID = 2**53


class Code(enum.IntEnum):
    WELCOME = 2
    ABORT = 3
    SUBSCRIBED = 33
    EVENT = 36


def plain(value: Any) -> Any:
    """The value with lists for sequences, and a NaN that equals itself."""
    if isinstance(value, enum.IntEnum):
        return int(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        return [plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return 'not a number'
    if type(value).__repr__ is object.__repr__:
        return type(value).__name__
    return value


@dataclass
class Labels:
    """The labels of one client's ids."""

    ids: dict[tuple[str, int], str] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)

    def label(self, kind: str, value: Any) -> Any:
        if type(value) is not int or not 1 <= value <= MAXIMUM_ID:
            return value
        name = self.ids.get((kind, value))
        if name is None:
            name = f'{kind} {sum(known == kind for known, _ in self.ids) + 1}'
            self.ids[kind, value] = name
            self.values[name] = value
        return name

    def substitute(self, message: Any) -> Any:
        """The message to send: the labels in it become the ids that they stand for."""
        if not isinstance(message, list):
            return message
        return [
            self.values.get(element, element) if isinstance(element, str) else element
            for element in message
        ]

    def normalize(self, message: Any) -> Any:
        message = plain(message)
        match message:
            case [Code.WELCOME, session, {'roles': dict(roles)}]:
                return [2, self.label('session', session), {'roles': sorted(roles)}]
            case [Code.ABORT, dict(details), *rest]:
                return [3, {key: details[key] for key in details if key != 'message'}, *rest]
            case [Code.SUBSCRIBED, request, subscription]:
                return [33, request, self.label('sub', subscription)]
            case [Code.EVENT, subscription, publication, *rest]:
                labels = self.label('sub', subscription), self.label('publication', publication)
                return [36, *labels, *rest]
        return message


@dataclass
class Transcript:
    """What each client received, what the application's handlers wrote down, and what was logged.

    A received entry is a message, ['closed', code] when the server closed the connection, or ['silence'] when
    something was expected and nothing came.
    """

    received: dict[str, list[Any]] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)

    def compared(self, *, unordered: bool = False, shuffled: bool = False) -> dict[str, Any]:
        journal = sorted(self.journal) if unordered else list(self.journal)
        received = self.received
        if shuffled:
            received = {name: sorted(messages, key=repr) for name, messages in received.items()}
        return {**received, 'journal': journal}
