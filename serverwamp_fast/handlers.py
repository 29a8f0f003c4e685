"""What is done with each request of a client, where the application has not put a function of its own in place.

Calls come here only where the application handles them by a function of its own that passes them on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from ._core.dealer.calls import answer_call
from ._core.wire.messages import CALL
from .clients import client_name, log_refusal, session_name, shorten
from .errors import (
    ConnectionClosed,
    NoPatternRouteError,
    NoSuchRouteError,
    NoSuchSubscription,
    WAMPMsgParseError,
    counts_as_error,
)
from .events import SubscribeError, TopicsRouter, takes_match
from .protocol import (
    WAMPGoodbyeRequest,
    WAMPRPCRequest,
    WAMPSubscribeRequest,
    WAMPUnsubscribeRequest,
    subscribe_error_response_msg,
    unsubscribe_error_response_msg,
)
from .rpc import close_iterator, rules_for
from .session import WAMPSession

logger = logging.getLogger('serverwamp_fast.application')


async def default_protocol_rpc_handler(request: WAMPRPCRequest, session: WAMPSession) -> None:
    """Answer a CALL by way of the realm's handle_rpc_call, with exactly one RESULT or ERROR.

    It is what the core does where nothing has been overridden. Doesn't raise when the client has left.
    """
    message = (
        CALL, request.request_id, request.options, request.uri, request.args, request.kwargs,
    )  # fmt: skip
    await answer_call(session, rules_for(session.realm.handle_rpc_call), message)


async def abort_on_malformed_msgs(msgs: AsyncIterator[Any], connection: Any) -> AsyncIterator[Any]:
    """Yield a connection's messages up to the first that can't be read, which is answered with ABORT.

    For code that reads messages by itself; handle_connection() does it without this.
    """
    try:
        async for msg in msgs:
            yield msg
    except WAMPMsgParseError as error:
        # The text may quote the client, at any length.
        logger.warning('Aborted %s with %s: %.500r', client_name(connection), error.error_uri, str(error))
        await connection.abort(error.error_uri, str(error))


async def default_protocol_goodbye_handler(
    request: WAMPGoodbyeRequest, session: WAMPSession
) -> None:
    """Answer the client's GOODBYE with GOODBYE."""
    await session.close()


async def subscribe(request: WAMPSubscribeRequest, session: WAMPSession) -> None:
    """Answer a SUBSCRIBE: run the topic's handler to its yield, or ask the realm's rules."""
    match = request.options.get('match') or 'exact'
    known = session.own_subscription_id(request.topic, match)
    if known is not None:
        # Subscribing twice is no error, and has no effect (WAMP BP, "SUBSCRIBE").
        _hold_retained(request, session, known)
        await session.mark_subscribed(request, known)
        return
    if match == 'exact':
        sub_id = await session.register_subscription(request.topic)
    else:
        sub_id = await session.register_subscription(request.topic, match)
    # Now, because what is published from here on is newer.
    _hold_retained(request, session, sub_id)
    try:
        refusal = await _enter_subscription(request.topic, match, session, sub_id)
    except BaseException:
        # It is cancelled. Nobody will run the handler to its end.
        session.unsubscribe(sub_id)
        raise
    if refusal is None:
        await session.mark_subscribed(request, sub_id)
        return
    await session.unregister_subscription(sub_id)
    await session.send_raw(subscribe_error_response_msg(request, *refusal))


def _hold_retained(request: WAMPSubscribeRequest, session: WAMPSession, sub_id: int) -> None:
    """Put the retained events that the client asks for behind SUBSCRIBED (WAMP AP, "Event Retention")."""
    if request.options.get('get_retained') is True:
        session.hold_events(sub_id, session.realm.broker.find_retained(session, sub_id))


async def _enter_subscription(
    topic: str, match: str, session: WAMPSession, sub_id: int
) -> tuple[str, str | None] | None:
    """Run the topic's handler to its yield, or else ask the rules; return an error's URI and sentence, or None."""
    named = shorten(topic)
    failure = (
        'wamp.error.runtime_error',
        f'The subscription handler for topic {named} failed. The log of the server says why.',
    )
    try:
        handler = _start_handler(topic, match, session)
        await anext(handler)
    except NoSuchRouteError as error:
        only_knows_topics = isinstance(error, NoPatternRouteError)
    except SubscribeError as error:
        # The handler's own error, which clients get as it is.
        log_refusal(session, 'SUBSCRIBE', error.error_uri, f'The handler for topic {named} raised SubscribeError.')
        return error.error_uri, None
    except ConnectionClosed as error:
        # It sent to a client that has left: this one, as a rule, and then nobody hears the ERROR either.
        logger.info(
            'The subscription handler for topic %.500s gave up, for %s: %.500s', topic, session_name(session), error
        )
        return failure
    except BaseException as error:
        if not counts_as_error(error, session):
            raise
        if type(error).__name__ == SubscribeError.__name__:
            # As a rule that of serverwamp, in a module whose import has not been changed.
            logger.error(
                'The subscription handler for topic %.500s raised, for %s, the SubscribeError of %s. Import it from '
                'serverwamp_fast: classes of another package are not mixed with those of this one.',
                topic,
                session_name(session),
                type(error).__module__,
            )
        else:
            logger.exception(
                'Exception from subscription handler for topic %.500s, for %s', topic, session_name(session)
            )
        return failure
    else:
        session.set_subscription_exit(sub_id, handler)
        return None
    refusal: tuple[str, str] | None = await session.realm.broker.find_subscribe_refusal(session, topic, match)
    if (
        refusal is not None
        and not only_knows_topics
        and not session.realm.broker.subscribing.openings
    ):
        # An application that only knows routes, and clients that are used to this answer of serverwamp.
        refusal = 'wamp.error.invalid_uri', refusal[1]
    if refusal is not None:
        log_refusal(session, 'SUBSCRIBE', *refusal)
    return refusal


def _start_handler(topic: str, match: str, session: WAMPSession) -> AsyncIterator[Any]:
    """Return the subscription handler for a topic or pattern, not begun. Raises NoSuchRouteError."""
    handle_subscription = session.realm.handle_subscription
    if getattr(handle_subscription, '__func__', None) is TopicsRouter.handle_subscription:
        # The same, with one asynchronous generator less to keep for each subscription.
        router: TopicsRouter = handle_subscription.__self__
        return router.start_handler(topic, session, match)
    if match == 'exact':
        handler: AsyncIterator[Any] = handle_subscription(topic, session)
    elif takes_match(handle_subscription):
        handler = handle_subscription(topic, session, match=match)
    else:
        raise NoPatternRouteError(f'The subscription handler takes no patterns such as {topic!r}.')
    return handler


async def unsubscribe(request: WAMPUnsubscribeRequest, session: WAMPSession) -> None:
    """Answer an UNSUBSCRIBE: run the rest of the topic's handler."""
    handler = session.subscription_exit(request.subscription)
    if handler is not None:
        await tear_down_handler(handler, 'subscription handler', session)
    try:
        await session.unregister_subscription(request.subscription)
    except NoSuchSubscription:
        uri, sentence = 'wamp.error.no_such_subscription', f'The session has no subscription {request.subscription}.'
        log_refusal(session, 'UNSUBSCRIBE', uri, sentence)
        await session.send_raw(unsubscribe_error_response_msg(request, uri, sentence))
    else:
        await session.mark_unsubscribed(request)


async def tear_down_handler(
    handler_iter: AsyncIterator[Any], description: str, session: WAMPSession
) -> None:
    """Run a subscription or lifespan handler from its yield to its end. Its errors are logged, not raised."""
    try:
        await anext(handler_iter)
    except StopAsyncIteration:
        return
    except BaseException as error:
        if not counts_as_error(error, session):
            raise
        logger.exception(
            'Exception from the rest of %s %s for %s.', description, handler_iter, session_name(session)
        )
        return
    logger.error(
        'The %s %s for %s yielded more than once.', description, handler_iter, session_name(session)
    )
    try:
        await close_iterator(handler_iter)
    except BaseException as error:
        if not counts_as_error(error, session):
            raise
        logger.exception(
            'Exception from closing %s %s for %s.', description, handler_iter, session_name(session)
        )
