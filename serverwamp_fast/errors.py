"""The exceptions of the package, and which of those of handlers are errors.

A leaf: every other module may import this one, and it imports nothing. The public modules re-export the
classes under the names that serverwamp gives them.
"""


class ConnectionClosed(ConnectionError):
    """A message can't be sent, because the underlying transport has closed or the session has ended."""


class WAMPMsgParseError(Exception):
    """What a peer sent is not a WAMP message: it can't be decoded, or its elements are of the wrong number,
    type or value. The peer is answered with ABORT, and `error_uri` as the reason.
    """

    error_uri = 'wamp.error.protocol_violation'


class BatchError(WAMPMsgParseError):
    """A batched payload holds no message, or its parts don't add up (WAMP AP, "Batched Transport")."""


class UnexpectedMessageError(WAMPMsgParseError):
    """A well-formed message that the state of the session doesn't allow."""


class InvalidRequestError(WAMPMsgParseError):
    """A message of the right form asks for something by a value that is refused.

    `request_type` is the message code and `request_id` the request that an ERROR with `error_uri` can answer; it
    is None for messages that have no request id, such as HELLO, which are answered with ABORT.
    """

    error_uri = 'wamp.error.invalid_argument'

    def __init__(self, text: str, request_type: int = 0, request_id: int | None = None) -> None:
        super().__init__(text)
        self.request_type = request_type
        self.request_id = request_id


class InvalidURIError(InvalidRequestError):
    """A message names something by a string that is not a URI (WAMP BP, "URIs")."""

    error_uri = 'wamp.error.invalid_uri'


class InvalidOptionError(InvalidRequestError):
    """An option has a value that the server doesn't know, such as a matching policy of another router."""


class SerializationError(TypeError):
    """A message holds a value that the session's serializer has no form for."""


class FrameError(Exception):
    """The peer broke RFC 6455. `code` is the close code to answer with (section 7.4.1)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class UnsuitableAsyncSupport(RuntimeError):
    """The application's async support does not run on asyncio, as the native server does."""


class CannotServe(Exception):
    """What the command line asks for can't be done. The text is a sentence that says why."""


class SubscribeError(Exception):
    """Raised by a subscription handler before its yield: SUBSCRIBE is answered with an ERROR of this URI,
    for example `wamp.error.not_authorized`.
    """

    def __init__(self, error_uri: str) -> None:
        super().__init__(error_uri)
        self.error_uri = error_uri


class AuthenticationFailure(Exception):
    """A client is not who it says it is. `reason` is an optional text for it."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason


class NoSuchRealmError(LookupError):
    """The application has no realm of the name in HELLO, and no default one (WAMP BP, "HELLO")."""


class NoSuchRouteError(Exception):
    """No route is registered for a URI."""


class WAMPNoSuchProcedureError(Exception):
    """Kept for code that imports the name; a procedure that nobody routes raises NoSuchRouteError."""


class NoPatternRouteError(NoSuchRouteError):
    """A route is registered for a pattern's text, but its handler only knows what to do with single topics."""


class NoSuchSubscription(Exception):
    """The session has no subscription with that id."""


class InvalidArgumentError(Exception):
    """The arguments of a CALL don't fit the procedure. The text is meant for the caller."""


class PeerAbortedError(Exception):
    """The peer has sent ABORT: the session is over, and no answer is wanted (WAMP BP, "ABORT")."""


def counts_as_error(error: BaseException, session: object) -> bool:
    """Whether what a handler raised is an error of the handler, and not the end of the task that it runs in.

    A handler that awaits a task that it has cancelled raises the cancellation of that task.
    """
    if isinstance(error, Exception):
        return True
    app = getattr(session, 'app', None)
    return app is not None and app.is_stray(error)
