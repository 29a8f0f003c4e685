"""Procedures: their routes, what a handler is told of a call, and what it can answer (WAMP BP, "Calling")."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from ._core.dealer.calls import Call, CallRules
from ._core.dealer.plans import CallPlan
from ._core.dealer.routes import RouteTable
from .clients import shorten
from .errors import (
    ConnectionClosed,
    InvalidArgumentError,
    NoSuchRouteError,
    WAMPNoSuchProcedureError,
)
from .helpers import camel_to_snake
from .mistakes import warn_of_plain
from .routing import Handler, PrefixRoute, RegexRoute, Route, RouteSet, URIsRouter, exact_str
from .session import WAMPSession

logger = logging.getLogger(__name__)

SIMPLE_VALUE_TYPES = (str, bytes, bytearray, memoryview, int, float, bool)


@dataclass
class RPCRequest:
    """What a handler can know of a call; a parameter named `request` gets it.

    - timeout: milliseconds after which the call is cancelled, 0 for none (WAMP AP, "Call Timeouts")
    - disclose_caller, receive_progress, partition_route: the options of CALL (WAMP AP, "Caller Identification",
      "Progressive Call Results", "Sharded Registration")
    - caller, caller_authid, caller_authrole: the session id, authid and authrole of the caller, as WELCOME told them
      to it (WAMP AP, "Caller Identification")
    - inputs: see there
    """

    id: int
    session: WAMPSession
    uri: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    timeout: int = 0
    disclose_caller: bool = False
    receive_progress: bool = False
    partition_route: str | None = None
    # What the session says of the caller; two requests of it are equal without them too.
    caller: int | None = field(default=None, compare=False)
    caller_authid: str | None = field(default=None, compare=False)
    caller_authrole: str | None = field(default=None, compare=False)
    _inputs: ClassVar[AsyncIterator[RPCInput] | None] = None
    # What is being answered, where a function in place of the routes answers it.
    _call: ClassVar[Call | None] = None

    @property
    def inputs(self) -> AsyncIterator[RPCInput]:
        """What a progressive call brings: an RPCInput for each CALL, the first one included (WAMP AP, "Progressive
        Call Invocations"). It ends behind the last CALL; of a usual call there is only one.

        Iterating raises ConnectionClosed when the client leaves or cancels the call before the last one.
        """
        if self._inputs is None:
            only = RPCInputs(None, self.args, self.kwargs)
            only.has_all = True
            self._inputs = only  # type: ignore[misc]
        return self._inputs


@dataclass(slots=True)
class RPCInput:
    """What one CALL of a progressive call brings: positional and keyword values."""

    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class RPCInputs:
    """The CALLs of a progressive call, as an async iterator. A client that is too fast is not read meanwhile, and a
    procedure that doesn't take them loses its call.

    `new_event()` is that of the AsyncSupport. Where there are no events, inputs can't be waited for, and clients
    are read all the time.
    """

    LIMIT = 64  # CALLs that wait to be taken, each as large as a message may be
    PATIENCE = 60.0  # seconds in which one has to be taken when more than these wait, or else the call ends

    def __init__(
        self, new_event: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None
    ) -> None:
        self.waiting = deque([RPCInput(args, kwargs or {})])
        self.has_all = False
        self.has_ended = False
        self._limit: float = self.LIMIT
        self._new_event = new_event
        self._arrival: Any = None
        self._room: Any = None

    def put(
        self, args: Sequence[Any], kwargs: Mapping[str, Any] | None, is_last: bool
    ) -> Coroutine[Any, Any, None] | None:
        """Add what a CALL brings. Returns a coroutine to wait for room before more is read, or None."""
        if self.has_ended:
            return None
        self.waiting.append(RPCInput(args, kwargs or {}))
        self.has_all = is_last
        self._announce_arrival()
        return self._wait_for_room() if len(self.waiting) > self._limit else None

    def lift_limit(self) -> None:
        """What has been read already is all that comes, so it needn't be waited with."""
        self._limit = math.inf
        self._announce_room()

    def end(self) -> None:
        """Nothing more will be put."""
        self.has_ended = True
        self._announce_arrival()
        self._announce_room()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RPCInput:
        while not self.waiting:
            if self.has_all:
                raise StopAsyncIteration
            if self.has_ended:
                raise ConnectionClosed('The caller takes no part in the call any more.')
            if self._arrival is None:
                self._arrival = self._new_event()
            if self._arrival is None:
                raise RuntimeError("The application's async support has no new_event(), so nothing can be waited for.")
            await self._arrival.wait()
        self._announce_room()
        return self.waiting.popleft()

    async def _wait_for_room(self) -> None:
        while len(self.waiting) > self._limit and not self.has_ended:
            if self._room is None:
                self._room = self._new_event()
            if self._room is None:
                return
            await self._room.wait()

    def _announce_arrival(self) -> None:
        event, self._arrival = self._arrival, None
        if event is not None:
            event.set()

    def _announce_room(self) -> None:
        event, self._room = self._room, None
        if event is not None:
            event.set()


@dataclass
class RPCResult:
    """A call's result: positional and keyword values."""

    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class RPCProgressReport(RPCResult):
    """An intermediate result. It is sent to callers that asked for progress, and dropped for others."""


@dataclass
class RPCErrorResult:
    """A call's failure: an error URI, with positional and keyword values."""

    error_uri: str = 'wamp.error.runtime_error'
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


RPCError = RPCErrorResult


def explained_error(uri: str, sentence: str) -> RPCErrorResult:
    """Return an error of the server's own, with its sentence in both places where clients look for one."""
    return RPCErrorResult(uri, (sentence,), {'message': sentence})


RPCHandler = Callable[
    [RPCRequest], Awaitable[RPCResult | RPCErrorResult] | AsyncIterator[RPCProgressReport | RPCResult | RPCErrorResult]
]


def interpret(value: Any) -> RPCResult | RPCErrorResult:
    """Return what a procedure returned or yielded as a result. Raises TypeError if it can't be one."""
    if isinstance(value, (RPCResult, RPCErrorResult)):
        return value
    if value is None:
        return RPCResult()
    if isinstance(value, Mapping):
        return RPCResult(kwargs=value)
    if isinstance(value, SIMPLE_VALUE_TYPES):
        return RPCResult(args=(value,))
    if isinstance(value, Sequence):
        return RPCResult(args=value)
    kind = type(value)
    if kind.__name__ in ('RPCResult', 'RPCErrorResult', 'RPCProgressReport'):
        # As a rule that of serverwamp, in a module whose import has not been changed.
        raise TypeError(
            f'A procedure returned the {kind.__name__} of {kind.__module__}. Import it from {__name__}: '
            f'classes of another package are not mixed with those of this one.'
        )
    raise TypeError(
        f'A procedure returned {type(value).__name__}. Return an RPCResult, an RPCErrorResult, a mapping, a '
        f'sequence, a string, bytes, a number, a bool or None.'
    )


def make_request(
    request_id: int,
    session: WAMPSession,
    uri: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    inputs: RPCInputs | None = None,
) -> RPCRequest:
    """Return the RPCRequest for the parts of a CALL."""
    partitioned = options.get('runmode') == 'partition'
    auth_id, auth_role = session.announced_identity()
    request = RPCRequest(
        id=request_id,
        session=session,
        uri=uri,
        args=args,
        kwargs={} if kwargs is None else kwargs,
        # JavaScript's MessagePack libraries write large integers as floats, and undefined as None.
        timeout=int(options.get('timeout') or 0),
        disclose_caller=options.get('disclose_me') or False,
        receive_progress=options.get('receive_progress') or False,
        partition_route=options.get('rkey') if partitioned else None,
        caller=session.id,
        caller_authid=auth_id,
        caller_authrole=auth_role,
    )
    if inputs is not None:
        request._inputs = inputs  # type: ignore[misc]
    return request


async def stream_results(call: Call, results: AsyncIterator[Any]) -> RPCErrorResult | None:
    """Send the progress that a procedure yields, and what it ends with.

    The result is out before the procedure cleans up. Returns an error to answer with if there was no result.
    """
    answered = False
    try:
        async for value in results:
            if not isinstance(value, RPCProgressReport):
                answered = True
                await sent(call.answer(value))
                return None
            if not call.wants_progress:
                if call.is_orphaned:
                    # Nobody will ask for the result either, and such a stream may have no end.
                    call.let_clean_up()
                    return None
                continue
            try:
                await sent(call.report(value.args, value.kwargs))
            except ConnectionClosed:
                # The answer would meet the same, and nobody would read it.
                call.let_clean_up()
                return None
        logger.error(
            'Call handler for procedure %.500s, called by %s, ended without a result.', call.procedure_uri, call.caller
        )
        uri = shorten(call.procedure_uri)
        return explained_error(
            'wamp.error.runtime_error', f'Procedure {uri} ended without a result. The log of the server says so too.'
        )
    finally:
        # The handler cleans up now, also when it yielded past its result or the client has left, not when the
        # garbage collector finds it.
        try:
            await close_iterator(results)
        except Exception:
            if not answered:
                raise
            logger.exception(
                'Exception from the cleanup of procedure %.500s, called by %s', call.procedure_uri, call.caller
            )


async def sent(on_its_way: Awaitable[None] | None) -> None:
    """Wait for a message that is not on its way yet."""
    if on_its_way is not None:
        await on_its_way


async def close_iterator(iterator: AsyncIterator[Any]) -> None:
    """Close an asynchronous generator; other iterators have nothing to close."""
    aclose = getattr(iterator, 'aclose', None)
    if aclose is not None:
        await aclose()


def expect_result(value: Any) -> RPCResult | RPCErrorResult:
    """Return what a function in place of the routes returned or yielded. Raises TypeError if it is no result."""
    if isinstance(value, (RPCResult, RPCErrorResult)):
        return value
    raise TypeError(
        f'The function that handles all calls returned {type(value).__name__}. Return an RPCResult or an '
        f'RPCErrorResult.'
    )


def convert_names(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments that came in camelCase by their names in snake_case."""
    return {camel_to_snake(name): value for name, value in kwargs.items()}


def rules_for(handler: RPCHandler) -> CallRules:
    """Return how calls are answered by a realm's handle_rpc_call: by its routes, or by a function in their place."""
    router = getattr(handler, '__self__', None)
    if (
        isinstance(router, RPCRouter)
        and getattr(handler, '__func__', None) is RPCRouter.handle_rpc_call
        and not router.resolves_itself
    ):
        return router.call_rules
    return CallRules(RouteTable(), {}, make_request, expect_result, stream_results, handler=handler)


class RPCRouter(URIsRouter):
    """Routes calls to procedures."""

    kind = 'procedure'

    def check_handler(self, handler: Handler) -> None:
        """Warn of a plain function."""
        warn_of_plain(handler, 'procedure')

    @property
    def call_rules(self) -> CallRules:
        """How the core answers calls by these routes, as handle_rpc_call() does."""
        return CallRules(
            self.table,
            self.default_arg_factories,
            make_request,
            interpret,
            stream_results,
            convert_names=convert_names if self.camel_snake_conversion else None,
        )

    def _target(self, handler: Handler) -> CallPlan:
        return CallPlan(handler)

    def resolve(self, uri: str) -> Handler:
        return self._find_plan(uri).procedure

    def _find_plan(self, uri: str) -> CallPlan:
        try:
            plan: CallPlan = self.table.resolve(exact_str(uri))
        except NoSuchRouteError:
            # The text is the caller's, and the same that the core sends.
            raise NoSuchRouteError(f'There is no procedure {shorten(uri)}.') from None
        return plan

    @property
    def resolves_itself(self) -> bool:
        """Whether resolve() has been overridden, and has to be asked for each call."""
        return type(self).resolve is not RPCRouter.resolve or 'resolve' in vars(self)

    async def handle_rpc_call(
        self, rpc_request: RPCRequest
    ) -> AsyncGenerator[RPCResult | RPCErrorResult, None]:
        """Call the request's procedure and yield its progress and its result.

        For functions that stand in place of the routes and pass calls on to them; otherwise the core does the
        same without the objects. Raises NoSuchRouteError, and what the procedure raises.
        """
        if self.resolves_itself:
            plan = CallPlan(self.resolve(rpc_request.uri))
        else:
            plan = self._find_plan(rpc_request.uri)
        kwargs = rpc_request.kwargs
        if self.camel_snake_conversion:
            kwargs = convert_names(kwargs)
        try:
            invocation = plan.call(
                rpc_request.session, rpc_request, rpc_request.args, kwargs, self.default_arg_factories
            )
        except InvalidArgumentError as error:
            yield explained_error('wamp.error.invalid_argument', str(error))
            return
        if rpc_request._call is not None:
            # To the core this generator is the procedure.
            rpc_request._call.pass_on(isinstance(invocation, AsyncIterator))
        if not isinstance(invocation, AsyncIterator):
            result = interpret(await invocation)
            # What is returned is the end, whatever it calls itself.
            if isinstance(result, RPCProgressReport):
                result = RPCResult(result.args, result.kwargs)
            yield result
            return
        try:
            async for value in invocation:
                result = interpret(value)
                yield result
                if not isinstance(result, RPCProgressReport):
                    return
        finally:
            await close_iterator(invocation)


@dataclass(frozen=True)
class RPCRouteDef(Route):
    """A procedure by its URI."""

    kind = 'procedure'


@dataclass(frozen=True)
class RPCPrefixRouteDef(PrefixRoute):
    """A procedure by a prefix of its URIs."""

    kind = 'procedure'


@dataclass(frozen=True)
class RPCRegexRouteDef(RegexRoute):
    """A procedure by a regular expression for its URIs."""

    kind = 'procedure'


def route(uri: str, handler: Handler, **kwargs: Any) -> RPCRouteDef:
    """Return the definition of a procedure's route."""
    return RPCRouteDef(uri, handler, kwargs)


class RPCRouteSet(RouteSet):
    """A table of procedures; its methods decorate them."""

    kind = 'procedure'
    exact: ClassVar[type[Route]] = RPCRouteDef
    prefix: ClassVar[type[PrefixRoute]] = RPCPrefixRouteDef
    regex: ClassVar[type[RegexRoute]] = RPCRegexRouteDef


__all__ = [
    'NoSuchRouteError',
    'RPCError',
    'RPCErrorResult',
    'RPCHandler',
    'RPCInput',
    'RPCInputs',
    'RPCPrefixRouteDef',
    'RPCProgressReport',
    'RPCRegexRouteDef',
    'RPCRequest',
    'RPCResult',
    'RPCRouteDef',
    'RPCRouteSet',
    'RPCRouter',
    'WAMPNoSuchProcedureError',
    'route',
]
