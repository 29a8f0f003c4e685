from collections.abc import Mapping, Sequence
from typing import Any, Self

from ...errors import SerializationError

class Audience:
    """Which subscribers get an event (WAMP AP, "Subscriber Black- and Whitelisting", "Publisher Exclusion").

    `options` are those of PUBLISH, `publisher` is the id of a session that is left out. Raises TypeError for a
    value of the wrong type.
    """

    def __init__(self, options: Mapping[str, Any], publisher: int | None = None) -> None: ...

class Publication:
    """An event that was published once, with one id for all its receivers.

    `args` and `kwargs` are read once. Raises SerializationError for what is no sequence of values and no mapping.
    """

    def __new__(
        cls,
        topic: str,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        details: dict[str, Any],
        audience: Audience,
    ) -> Self: ...
    @property
    def number(self) -> int:
        """The publication's id, 1..2**53, which all receivers are told."""

    @property
    def topic(self) -> str:
        """The topic that it is published to."""

    @property
    def failure(self) -> SerializationError | None:
        """Why not every subscriber could be sent it, as far as that is known; None if there is no reason."""

    def note_failure(self, error: SerializationError) -> None:
        """Keep the first error. Where the publisher has been told already, it is counted and logged."""
