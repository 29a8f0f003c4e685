"""Messages as Python objects: codes, requests that clients send, and functions that build what is answered.

A face on the core for code that wants objects; sessions on the usual path never build one.
"""

import json
import logging
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, unique
from typing import Any, ClassVar, Self, get_args

from ._core.base.ids import global_id
from ._core.wire import messages
from ._core.wire.messages import check
from .errors import AuthenticationFailure, WAMPMsgParseError

__all__ = (
    'LIST_TYPES',
    'AuthenticationFailure',
    'WAMPAbortRequest',
    'WAMPAuthenticateRequest',
    'WAMPCancelRequest',
    'WAMPEvent',
    'WAMPGoodbyeRequest',
    'WAMPHelloRequest',
    'WAMPInboundRequest',
    'WAMPMsgParseError',
    'WAMPMsgType',
    'WAMPPublishRequest',
    'WAMPRPCErrorResponse',
    'WAMPRPCRequest',
    'WAMPRPCResponse',
    'WAMPRegisterRequest',
    'WAMPRequest',
    'WAMPSubscribeErrorResponse',
    'WAMPSubscribeRequest',
    'WAMPSubscribeResponse',
    'WAMPUnregisterRequest',
    'WAMPUnsubscribeErrorResponse',
    'WAMPUnsubscribeRequest',
    'abort_msg',
    'call_error_response_msg',
    'call_result_response_msg',
    'cra_challenge_msg',
    'cra_challenge_string',
    'event_msg',
    'generate_global_id',
    'goodbye_msg',
    'request_parser_for_msg_type',
    'scram_nonce',
    'subscribe_error_response_msg',
    'subscribed_response_msg',
    'ticket_challenge_msg',
    'unimplemented_response_msg',
    'unsubscribe_error_response_msg',
    'unsubscribed_response_msg',
    'wamp_request_from_msg',
    'welcome_msg',
)

logger = logging.getLogger(__name__)

LIST_TYPES = (list, tuple)


@unique
class WAMPMsgType(IntEnum):
    """The codes of the messages (WAMP BP and AP, "Messages")."""

    HELLO = messages.HELLO
    WELCOME = messages.WELCOME
    ABORT = messages.ABORT
    CHALLENGE = messages.CHALLENGE
    AUTHENTICATE = messages.AUTHENTICATE
    GOODBYE = messages.GOODBYE
    ERROR = messages.ERROR
    PUBLISH = messages.PUBLISH
    PUBLISHED = messages.PUBLISHED
    SUBSCRIBE = messages.SUBSCRIBE
    SUBSCRIBED = messages.SUBSCRIBED
    UNSUBSCRIBE = messages.UNSUBSCRIBE
    UNSUBSCRIBED = messages.UNSUBSCRIBED
    EVENT = messages.EVENT
    CALL = messages.CALL
    CANCEL = messages.CANCEL
    CALL_RESULT = messages.RESULT
    REGISTER = messages.REGISTER
    REGISTERED = messages.REGISTERED
    UNREGISTER = messages.UNREGISTER
    UNREGISTERED = messages.UNREGISTERED
    INVOCATION = messages.INVOCATION
    INTERRUPT = messages.INTERRUPT
    YIELD = messages.YIELD
    EVENT_RECEIVED = messages.EVENT_RECEIVED


def generate_global_id() -> int:
    """Return a random id of the global scope, from 1 to 2**53 (WAMP BP, "IDs")."""
    return global_id()


# Requests. `from_msg_data` raises where the message check does.


@dataclass(frozen=True)
class WAMPHelloRequest:
    """[HELLO, Realm|uri, Details|dict] (WAMP BP, "HELLO")."""

    msg_type: ClassVar[WAMPMsgType] = WAMPMsgType.HELLO

    realm_uri: str
    details: Mapping[str, Any]

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, realm_uri, details, *_ = check((cls.msg_type, *msg_data))
        return cls(realm_uri=realm_uri, details=details)


@dataclass(frozen=True)
class WAMPAbortRequest:
    """[ABORT, Details|dict, Reason|uri] (WAMP BP, "ABORT")."""

    msg_type: ClassVar[WAMPMsgType] = WAMPMsgType.ABORT

    reason_uri: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, details, reason_uri, *_ = check((cls.msg_type, *msg_data))
        return cls(reason_uri=reason_uri, details=details)


@dataclass(frozen=True)
class WAMPAuthenticateRequest:
    """[AUTHENTICATE, Signature|string, Extra|dict] (WAMP AP, "AUTHENTICATE")."""

    msg_type: ClassVar[WAMPMsgType] = WAMPMsgType.AUTHENTICATE

    signature: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, signature, extra, *_ = check((cls.msg_type, *msg_data))
        return cls(signature=signature, extra=extra)


@dataclass(frozen=True)
class WAMPGoodbyeRequest:
    """[GOODBYE, Details|dict, Reason|uri] (WAMP BP, "GOODBYE")."""

    msg_type: ClassVar[WAMPMsgType] = WAMPMsgType.GOODBYE

    reason_uri: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, details, reason_uri, *_ = check((cls.msg_type, *msg_data))
        return cls(reason_uri=reason_uri, details=details)


@dataclass(frozen=True)
class WAMPRequest:
    """A request that is answered, if not with success then with an ERROR that names its id."""

    msg_type: ClassVar[WAMPMsgType]

    request_id: int


@dataclass(frozen=True)
class WAMPPublishRequest(WAMPRequest):
    """[PUBLISH, Request|id, Options|dict, Topic|uri, Arguments|list, ArgumentsKw|dict] (WAMP BP, "PUBLISH")."""

    msg_type = WAMPMsgType.PUBLISH

    options: Mapping[str, Any]
    topic: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, request_id, options, topic, *payload = check((cls.msg_type, *msg_data))
        return cls(request_id, options, topic, *payload[:2])


@dataclass(frozen=True)
class WAMPSubscribeRequest(WAMPRequest):
    """[SUBSCRIBE, Request|id, Options|dict, Topic|uri] (WAMP BP, "SUBSCRIBE")."""

    msg_type = WAMPMsgType.SUBSCRIBE

    topic: str
    options: Mapping[str, Any]

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, request_id, options, topic, *_ = check((cls.msg_type, *msg_data))
        return cls(request_id, topic=topic, options=options)


@dataclass(frozen=True)
class WAMPUnsubscribeRequest(WAMPRequest):
    """[UNSUBSCRIBE, Request|id, SUBSCRIBED.Subscription|id] (WAMP BP, "UNSUBSCRIBE")."""

    msg_type = WAMPMsgType.UNSUBSCRIBE

    subscription: int

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, request_id, subscription, *_ = check((cls.msg_type, *msg_data))
        return cls(request_id, subscription)


@dataclass(frozen=True)
class WAMPRPCRequest(WAMPRequest):
    """[CALL, Request|id, Options|dict, Procedure|uri, Arguments|list, ArgumentsKw|dict] (WAMP BP, "CALL")."""

    msg_type = WAMPMsgType.CALL

    options: Mapping[str, Any]
    uri: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, request_id, options, uri, *payload = check((cls.msg_type, *msg_data))
        return cls(request_id, options, uri, *payload[:2])


@dataclass(frozen=True)
class WAMPCancelRequest(WAMPRequest):
    """[CANCEL, CALL.Request|id, Options|dict] (WAMP AP, "CANCEL"). `request_id` is that of the CALL."""

    msg_type = WAMPMsgType.CANCEL

    options: Mapping[str, Any]

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, request_id, options, *_ = check((cls.msg_type, *msg_data))
        return cls(request_id, options)


@dataclass(frozen=True)
class WAMPRegisterRequest(WAMPRequest):
    """[REGISTER, Request|id, Options|dict, Procedure|uri] (WAMP BP, "REGISTER")."""

    msg_type = WAMPMsgType.REGISTER

    options: Mapping[str, Any]
    uri: str

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, request_id, options, uri, *_ = check((cls.msg_type, *msg_data))
        return cls(request_id, options, uri)


@dataclass(frozen=True)
class WAMPUnregisterRequest(WAMPRequest):
    """[UNREGISTER, Request|id, REGISTERED.Registration|id] (WAMP BP, "UNREGISTER")."""

    msg_type = WAMPMsgType.UNREGISTER

    registration: int

    @classmethod
    def from_msg_data(cls, msg_data: Sequence[Any]) -> Self:
        """Return the request of a message's elements behind the code. Raises WAMPMsgParseError."""
        _, request_id, registration, *_ = check((cls.msg_type, *msg_data))
        return cls(request_id, registration)


WAMPInboundRequest = (
    WAMPHelloRequest
    | WAMPAbortRequest
    | WAMPAuthenticateRequest
    | WAMPGoodbyeRequest
    | WAMPPublishRequest
    | WAMPSubscribeRequest
    | WAMPUnsubscribeRequest
    | WAMPRPCRequest
    | WAMPCancelRequest
    | WAMPRegisterRequest
    | WAMPUnregisterRequest
)

request_parser_for_msg_type: Mapping[int, Callable[[Sequence[Any]], WAMPInboundRequest]] = {
    request_type.msg_type: request_type.from_msg_data
    for request_type in get_args(WAMPInboundRequest)
}


def wamp_request_from_msg(msg: Sequence[Any]) -> WAMPInboundRequest:
    """Return the request that a client's message makes. Raises WAMPMsgParseError if it makes none."""
    if not isinstance(msg, LIST_TYPES) or not msg:
        raise WAMPMsgParseError('Not a WAMP message')
    msg_type, *msg_data = msg
    # Neither True nor 1.0 is HELLO, although they are equal to its code.
    if (
        not isinstance(msg_type, int)
        or isinstance(msg_type, bool)
        or msg_type not in request_parser_for_msg_type
    ):
        raise WAMPMsgParseError('Unsupported request')
    return request_parser_for_msg_type[msg_type](msg_data)


# What is answered to requests, and what is said to whoever subscribed.


@dataclass(frozen=True)
class WAMPSubscribeResponse(WAMPRequest):
    """What SUBSCRIBED says of a `request`: the id of the subscription (WAMP BP, "SUBSCRIBED")."""

    request: WAMPSubscribeRequest
    subscription: int


@dataclass(frozen=True)
class WAMPSubscribeErrorResponse:
    """What the ERROR for a SUBSCRIBE says (WAMP BP, "Subscribe ERROR")."""

    request: WAMPSubscribeRequest
    uri: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WAMPUnsubscribeErrorResponse:
    """What the ERROR for an UNSUBSCRIBE says (WAMP BP, "Unsubscribe ERROR")."""

    request: WAMPUnsubscribeRequest
    uri: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WAMPRPCResponse:
    """What the RESULT of a call says (WAMP BP, "RESULT")."""

    request: WAMPRPCRequest
    details: Mapping[str, Any] = field(default_factory=dict)
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WAMPRPCErrorResponse:
    """What the ERROR for a call says (WAMP BP, "Call ERROR")."""

    request: WAMPRPCRequest
    uri: str
    details: Mapping[str, Any] = field(default_factory=dict)
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WAMPEvent:
    """What an EVENT says: the id of its publication, details and payload (WAMP BP, "EVENT")."""

    publication: int = field(default_factory=generate_global_id)
    details: Mapping[str, Any] = field(default_factory=dict)
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


Message = tuple[Any, ...]


def _with_payload(
    *header: Any, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> Message:
    """Return a message with as much of the payload as there is."""
    if kwargs:
        return *header, args or (), kwargs
    if args:
        return *header, args
    return header


def call_result_response_msg(
    request: WAMPRPCRequest,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Message:
    """Return [RESULT, CALL.Request|id, Details|dict, Arguments|list, ArgumentsKw|dict] (WAMP BP, "RESULT"), as a
    progressive result with `progress` (WAMP AP, "Progressive Call Results"). Of the payload it has what there is.
    """
    details = {'progress': True} if progress else {}
    return _with_payload(
        WAMPMsgType.CALL_RESULT, request.request_id, details, args=args, kwargs=kwargs
    )


def call_error_response_msg(
    request: WAMPRPCRequest,
    error_uri: str,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Message:
    """Return [ERROR, CALL, CALL.Request|id, Details|dict, Error|uri, Arguments|list, ArgumentsKw|dict] (WAMP BP, "Call
    ERROR"), with as much of the payload as there is.
    """
    header: Message = WAMPMsgType.ERROR, WAMPMsgType.CALL, request.request_id, {}, error_uri
    return _with_payload(*header, args=args, kwargs=kwargs)


def subscribed_response_msg(request: WAMPSubscribeRequest, subscription_id: int) -> Message:
    """Return [SUBSCRIBED, SUBSCRIBE.Request|id, Subscription|id] (WAMP BP, "SUBSCRIBED")."""
    return WAMPMsgType.SUBSCRIBED, request.request_id, subscription_id


def _explain(header: Message, sentence: str | None) -> Message:
    """Return an ERROR with its sentence, if there is one, in both places where clients look for it."""
    return header if sentence is None else (*header, (sentence,), {'message': sentence})


def subscribe_error_response_msg(
    request: WAMPSubscribeRequest, error_uri: str, message: str | None = None
) -> Message:
    """Return [ERROR, SUBSCRIBE, SUBSCRIBE.Request|id, Details|dict, Error|uri] (WAMP BP, "Subscribe ERROR"), and with a
    `message` also its payload, [message], {'message': message}.
    """
    header: Message = WAMPMsgType.ERROR, WAMPMsgType.SUBSCRIBE, request.request_id, {}, error_uri
    return _explain(header, message)


def unsubscribe_error_response_msg(
    request: WAMPUnsubscribeRequest, error_uri: str, message: str | None = None
) -> Message:
    """Return [ERROR, UNSUBSCRIBE, UNSUBSCRIBE.Request|id, Details|dict, Error|uri] (WAMP BP, "Unsubscribe ERROR"), and
    with a `message` also its payload, [message], {'message': message}.
    """
    header: Message = WAMPMsgType.ERROR, WAMPMsgType.UNSUBSCRIBE, request.request_id, {}, error_uri
    return _explain(header, message)


def unsubscribed_response_msg(request: WAMPUnsubscribeRequest) -> Message:
    """Return [UNSUBSCRIBED, UNSUBSCRIBE.Request|id] (WAMP BP, "UNSUBSCRIBED")."""
    return WAMPMsgType.UNSUBSCRIBED, request.request_id


def unimplemented_response_msg(request: WAMPRequest) -> Message:
    """Return the ERROR for a request that nothing here can handle."""
    return WAMPMsgType.ERROR, request.msg_type, request.request_id, {}, 'wamp.error.not_implemented'


def event_msg(
    subscription_id: int,
    publication_id: int,
    args: Sequence[Any] | None = (),
    kwargs: Mapping[str, Any] | None = None,
    trust_level: int | None = None,
    specific_topic: str | None = None,
) -> Message:
    """Return [EVENT, SUBSCRIBED.Subscription|id, PUBLISHED.Publication|id, Details|dict, Arguments|list,
    ArgumentsKw|dict] (WAMP BP, "EVENT"), with as much of the payload as there is.

    `specific_topic` is the topic that was published to, for subscriptions by pattern (WAMP AP, "Pattern-based
    Subscription"), and `trust_level` the publisher's (WAMP AP, "Publication Trust Levels").
    """
    details: dict[str, Any] = {}
    if trust_level is not None:
        details['trustlevel'] = trust_level
    if specific_topic:
        details['topic'] = specific_topic
    return _with_payload(
        WAMPMsgType.EVENT, subscription_id, publication_id, details, args=args, kwargs=kwargs
    )


# What opens and ends sessions.


def welcome_msg(
    session_id: int, agent_name: str | None = None, details: Mapping[str, Any] | None = None
) -> Message:
    """Return a WELCOME. `details` are added to the roles, and to the agent's name if there is one."""
    all_details: dict[str, Any] = {'roles': {'broker': {}, 'dealer': {}}}
    if agent_name:
        all_details['agent'] = agent_name
    all_details.update(details or {})
    return WAMPMsgType.WELCOME, session_id, all_details


def abort_msg(reason_uri: str, message: str | None = None) -> Message:
    """Return [ABORT, Details|dict, Reason|uri], with the `message` in the details (WAMP BP, "ABORT")."""
    return WAMPMsgType.ABORT, {'message': message} if message else {}, reason_uri


def goodbye_msg(
    reason_uri: str = 'wamp.close.goodbye_and_out', message: str | None = None
) -> Message:
    """Return [GOODBYE, Details|dict, Reason|uri], with the `message` in the details (WAMP BP, "GOODBYE")."""
    return WAMPMsgType.GOODBYE, {'message': message} if message else {}, reason_uri


def ticket_challenge_msg() -> Message:
    """Return [CHALLENGE, "ticket", Extra|dict] (WAMP AP, "Ticket-based Authentication")."""
    return WAMPMsgType.CHALLENGE, 'ticket', {}


def cra_challenge_msg(challenge_string: str) -> Message:
    """Return [CHALLENGE, "wampcra", Extra|dict] for the text to be signed (WAMP AP, "Challenge Response
    Authentication").
    """
    return WAMPMsgType.CHALLENGE, 'wampcra', {'challenge': challenge_string}


def scram_nonce() -> str:
    """Return 16 random bytes in Base64, fit to be used once.

    WAMP AP recommends that length ("Salted Challenge Response Authentication").
    """
    return b64encode(secrets.token_bytes(16)).decode('ascii')


def cra_challenge_string(
    session_id: int,
    auth_id: str | None,
    auth_role: str,
    auth_provider: str,
    nonce: str,
    auth_time: datetime | None = None,
) -> str:
    """Return the JSON text that a client signs (WAMP AP, "Challenge Response Authentication").

    `session_id` is the id that WELCOME will carry. `auth_time` is now by default; without a time zone it is UTC.
    """
    if auth_time is None:
        auth_time = datetime.now(UTC)
    elif auth_time.tzinfo is None:
        auth_time = auth_time.replace(tzinfo=UTC)
    timestamp = auth_time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')
    challenge = {
        'authid': auth_id,
        'authmethod': 'wampcra',
        'authprovider': auth_provider,
        'authrole': auth_role,
        'nonce': nonce,
        'session': session_id,
        'timestamp': f'{timestamp}Z',
    }
    return json.dumps(challenge)
