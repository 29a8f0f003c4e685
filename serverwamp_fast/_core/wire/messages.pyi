from typing import Any, Final

HELLO: Final[int]
WELCOME: Final[int]
ABORT: Final[int]
CHALLENGE: Final[int]
AUTHENTICATE: Final[int]
GOODBYE: Final[int]
ERROR: Final[int]
PUBLISH: Final[int]
PUBLISHED: Final[int]
SUBSCRIBE: Final[int]
SUBSCRIBED: Final[int]
UNSUBSCRIBE: Final[int]
UNSUBSCRIBED: Final[int]
EVENT: Final[int]
CALL: Final[int]
CANCEL: Final[int]
RESULT: Final[int]
REGISTER: Final[int]
REGISTERED: Final[int]
UNREGISTER: Final[int]
UNREGISTERED: Final[int]
INVOCATION: Final[int]
INTERRUPT: Final[int]
YIELD: Final[int]
EVENT_RECEIVED: Final[int]

MESSAGE_NAMES: Final[dict[int, str]]
"""The names of the messages by their codes."""

def check(message: Any, strict: bool = False) -> list[Any] | tuple[Any, ...]:
    """Return the message, or a corrected list where an id was written as a float.

    `strict` demands strict URIs, roles in HELLO and no element too many. Raises WAMPMsgParseError if the message
    has not the form that its code demands (WAMP BP, "Messages"), InvalidURIError and InvalidOptionError, its
    subclasses, if the form is right but a name or a matching policy is not.
    """
