"""What the application needs of a transport: messages in, messages out, and an end.

A `Connection` is the seam for transports of any kind; applications may bring their own. The
transports of this package are of the class `PayloadConnection`: they move encoded payloads, one per WebSocket
message, and leave the messages inside to a codec, so that a payload that was encoded once can be
sent to many of them.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from math import isfinite
from typing import Any

from ._core.wire.codec import Codec
from ._core.wire.messages import ABORT
from .clients import address_name, client_name
from .errors import ConnectionClosed as ConnectionClosed

# Codes of Close (RFC 6455, 7.4.1, and the registry of its section 11.7).
TOO_LARGE = 1009
SERVICE_RESTART = 1012


class Connection(ABC):
    """A link to one client, for subclasses to put on a transport and a serializer of their choice.

    It knows where a message begins and ends and how its values are written, and nothing of what
    WAMP means by them: order, types and values are for the application to check.

    `transport_info` is what the transport tells of the client, see the adapters for the keys that
    they fill in.
    """

    def __init__(self) -> None:
        self.transport_info: dict[str, Any] = {}

    @abstractmethod
    async def iterate_msgs(self) -> AsyncIterator[Any]:
        """Yields messages as they come in, and ends when there will be no more.

        Raises WAMPMsgParseError for what is not a message; nothing can be read after that.
        """
        yield ()

    @abstractmethod
    async def send_msg(self, msg: Sequence[Any]) -> None:
        """Sends one message.

        Raises ConnectionClosed when the transport is closed, or the client gone.
        """

    async def send_msgs(self, msgs: Iterable[Sequence[Any]]) -> None:
        """Sends messages in this order. Raises ConnectionClosed as `send_msg` does.

        Transports that can put several messages into one payload override this.
        """
        for msg in msgs:
            await self.send_msg(msg)

    @abstractmethod
    async def close(self) -> None:
        """Closes the transport. A client that is gone already is no error, nor is a second call."""

    async def close_for_restart(self) -> None:
        """Close the connection with the code 1012, "Service Restart", where the transport has codes.

        Clients that reconnect by themselves take it as a reason to. A connection of another class is closed as ever.
        """
        await self.close()

    def tls_unique(self) -> bytes | None:
        """The TLS channel binding of type tls-unique (RFC 5929, 3), or None where it can't be had.

        Authentication that is bound to the channel asks for it.
        """
        return None

    async def abort(self, reason_uri: str = 'no_reason', msg: str | None = None) -> None:
        """Sends ABORT with this reason, and `msg` for people to read, then closes the transport.

        It ends a session that is being opened (WAMP BP, "Session Aborting"), and also one that
        broke the protocol. A client that is gone hears nothing, which is no error.
        """
        details = {'message': msg} if msg else {}
        try:
            # The message is built here, as this module may not know `protocol`, which builds the others.
            await self.send_msg((ABORT, details, reason_uri))
        except ConnectionClosed:
            pass
        finally:
            await self.close()


class PayloadConnection(Connection):
    """A connection over a transport that keeps payloads apart, such as WebSocket.

    Subclasses receive and send payloads; `codec`, an attribute of the class or of the instance,
    makes messages of them. It is replaced once, by the codec that writes batches the way the
    client does.
    """

    codec: Codec
    # The session that is being held, for the log.
    current_session: Any = None
    # The bytes that send_msg() is sending. A client that lets them grow isn't read from any more.
    unsent_size = 0
    _is_answering = False

    @abstractmethod
    async def receive_payload(self) -> bytes | str | None:
        """The next payload, or None when there will be no more.

        Raises WAMPMsgParseError for a payload of the wrong kind, text for binary or the other way
        round.
        """

    @abstractmethod
    async def send_payload(self, payload: bytes) -> None:
        """Sends a payload that `codec` has made. Raises ConnectionClosed as `send_msg` does."""

    @property
    def takes_payloads(self) -> bool:
        """Whether payloads may be exchanged past the methods for messages.

        They may not when one of those methods was overridden, as a subclass does that wants to see
        each message.
        """
        kind = type(self)
        return (
            hasattr(self, 'codec')
            and all(
                getattr(kind, name) is getattr(PayloadConnection, name) for name in MESSAGE_METHODS
            )
            and self.__dict__.keys().isdisjoint(MESSAGE_METHODS)
        )

    def decode_payload(self, payload: bytes | str) -> list[Any]:
        """The messages in a payload, one or more.

        Raises WAMPMsgParseError for what can't be decoded.
        """
        msgs = self.codec.decode(payload)
        if not self._is_answering:
            # Batched JSON has two separators in use: 0x1e by the specification, 0x18 by Autobahn
            # and Crossbar. The client's first payload tells which one it knows.
            self.codec = self.codec.answering(payload)
            self._is_answering = True
        return msgs

    async def iterate_msgs(self) -> AsyncIterator[Any]:
        while (payload := await self.receive_payload()) is not None:
            for msg in self.decode_payload(payload):
                yield msg

    async def send_msg(self, msg: Sequence[Any]) -> None:
        """Sends one message.

        Raises SerializationError for a value that the serializer has no form for.
        """
        payload = self.codec.encode(msg)
        self.unsent_size += len(payload)
        try:
            await self.send_payload(payload)
        finally:
            self.unsent_size -= len(payload)

    async def send_msgs(self, msgs: Iterable[Sequence[Any]]) -> None:
        """Sends messages in this order, in one payload where the subprotocol is a batched one."""
        if not self.codec.is_batched:
            for msg in msgs:
                await self.send_payload(self.codec.encode(msg))
        elif batch := list(msgs):
            # A batch without a message makes the other side fail the transport (WAMP AP, "Batched
            # Transport").
            await self.send_payload(self.codec.encode_many(batch))


def finite(seconds: float) -> float | None:
    """A time limit as the async libraries take it: None for one that never ends."""
    return seconds if isfinite(seconds) else None


def log_refused_request(logger: logging.Logger, address: object, status: int, reason: str) -> None:
    """Tells that a request was answered with an HTTP status, in place of becoming a connection."""
    # What a client asks for may be anything, and nothing is wrong with the server.
    logger.info('Refused a request of %s with %d: %.500r', address_name(address), status, reason)


def log_too_large(logger: logging.Logger, connection: Connection, max_size: int) -> None:
    """Tells that a connection is closed over a message of more than `max_size` bytes."""
    logger.warning(
        'Closed the WebSocket of %s with code %d: a message has more than %d bytes.',
        client_name(connection),
        TOO_LARGE,
        max_size,
    )


def is_larger(payload: bytes | str, limit: int) -> bool:
    """Whether a payload has more bytes than the limit, as UTF-8 if it is text."""
    if len(payload) > limit or isinstance(payload, bytes) or payload.isascii():
        return len(payload) > limit
    return len(payload.encode('utf-8', 'surrogatepass')) > limit


MESSAGE_METHODS = ('iterate_msgs', 'send_msg', 'send_msgs', 'decode_payload')
