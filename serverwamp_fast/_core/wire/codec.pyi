from collections.abc import Iterable, Mapping
from typing import Any

class Codec:
    """How the messages of one subprotocol are written. Stateless; one object serves all connections."""

    @property
    def subprotocol(self) -> str: ...
    @property
    def is_binary(self) -> bool:
        """Whether payloads travel in binary frames rather than in text frames."""

    @property
    def is_batched(self) -> bool:
        """Whether a payload can hold several messages (WAMP AP, "Message Batching")."""

    def decode(self, payload: bytes | bytearray | memoryview | str) -> list[Any]:
        """Return the messages of a payload, one at least. Raises WAMPMsgParseError."""

    def encode(self, message: Any) -> bytes:
        """Return the payload that holds one message. Raises SerializationError."""

    def encode_many(self, messages: Iterable[Any]) -> bytes:
        """Return the payload that holds several messages. Raises SerializationError.

        Raises ValueError for no message, and for more than one where the subprotocol is not batched.
        """

    def build_result(
        self,
        request_id: int,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        progress: bool = False,
    ) -> bytes:
        """Return the payload of a RESULT. Raises SerializationError."""

    def build_event(
        self,
        subscription: int,
        publication: int,
        details: Mapping[str, Any] | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the payload of an EVENT. Raises SerializationError."""

    def answering(self, payload: bytes | bytearray | memoryview | str) -> Codec:
        """Return the codec to answer with: that of the batch separator which the peer used, else this one."""
