"""Calls of procedures in sessions over connections that record."""

from typing import Any

from serverwamp_fast._core.dialogue.dispatch import Dispatch, attach, receive
from serverwamp_fast.rpc import RPCRouter
from serverwamp_fast.session import WAMPSession
from support.doubles import RecordingConnection, open_session
from support.explained import Explained
from support.signatures import drive

RUNTIME_ERROR = Explained(48, 1, 'wamp.error.runtime_error')
CANCELED = Explained(48, 1, 'wamp.error.canceled')


def make_call(
    procedure: Any,
    connection: Any = None,
    args: tuple = (),
    kwargs: dict | None = None,
    options: dict | None = None,
    kind: type[WAMPSession] = WAMPSession,
    default_args: dict | None = None,
) -> Any:
    """The Call of `procedure` in an open session, not yet begun."""
    session = open_session(connection, kind=kind)
    return call_in(session, procedure, args, kwargs, options, default_args)


def call_in(
    session: WAMPSession,
    procedure: Any,
    args: tuple = (),
    kwargs: dict | None = None,
    options: dict | None = None,
    default_args: dict | None = None,
) -> Any:
    router = RPCRouter()
    router.add_route('procedure', procedure)
    for name, value in (default_args or {}).items():
        router.set_default_arg(name, value)
    attach(session, None, Dispatch(router.call_rules, None, (), False))
    message = [48, 1, options or {}, 'procedure', args, *([] if kwargs is None else [kwargs])]
    return receive(session, message)


def answers(procedure: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """What is sent when a procedure, or one that returns this value, is called."""
    connection = RecordingConnection()
    if not callable(procedure):
        value = procedure

        async def procedure() -> Any:
            return value

    assert drive(make_call(procedure, connection, *args, **kwargs)) is None
    return connection.sent


async def return_something() -> str:
    return 'something'


async def raise_late() -> None:
    raise LookupError('late')


def raise_at_once() -> None:
    raise LookupError('at once')
