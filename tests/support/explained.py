"""ERRORs of the server's own, which say why: one sentence, as positional value and as the keyword `message`."""

import re
from typing import Any


class Explained(list[Any]):
    """Is equal to an ERROR of this kind with its sentence in both places: `sentence`, or any one if that is None.

    With `or_bare` an ERROR without a payload will do, as a handler may send it.
    """

    def __init__(
        self,
        request_type: int,
        request_id: Any,
        uri: str,
        sentence: str | None = None,
        *,
        or_bare: bool = False,
    ) -> None:
        super().__init__([8, request_type, request_id, {}, uri])
        self.sentence = sentence
        self.or_bare = or_bare

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | tuple) or list(other[:5]) != list(self):
            return False
        if len(other) == 5:
            return self.or_bare or isinstance(other, Explained)
        if len(other) != 7 or len(other[5]) != 1:
            return False
        text = other[5][0]
        return (
            isinstance(text, str)
            and text != ''
            and dict(other[6]) == {'message': text}
            and self.sentence in (None, text)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def without_id(line: str) -> str:
    """A line of the log with N for the id of a session, which is random."""
    return re.sub(r'session \d+', 'session N', line)
