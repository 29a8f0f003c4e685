"""Topics: their routes, and the handlers that run while a session is subscribed (WAMP BP, "Subscribing")."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .errors import NoPatternRouteError, SubscribeError
from .mistakes import require_generator, require_uri
from .routing import Decorated, PrefixRoute, RegexRoute, Route, RouteSet, URIsRouter, bind_handler
from .session import WAMPSession

SubscriptionHandler = Callable[[str, WAMPSession], AsyncIterator[Any]]


@dataclass(frozen=True)
class TopicRouteDef(Route):
    """A subscription handler by its topic."""

    kind = 'topic'


@dataclass(frozen=True)
class TopicPrefixRouteDef(PrefixRoute):
    """A subscription handler by a prefix of its topics."""

    kind = 'topic'


@dataclass(frozen=True)
class TopicRegexRouteDef(RegexRoute):
    """A subscription handler by a regular expression for its topics."""

    kind = 'topic'


TOPIC_ROUTES = (TopicRouteDef, TopicPrefixRouteDef, TopicRegexRouteDef)


class TopicRouteSet(RouteSet):
    """A table of subscription handlers; its methods decorate them.

    A handler is an asynchronous generator function: what is before its yield runs when a session subscribes,
    the rest when the subscription ends. Its parameters are any of `topic_uri` (or `topic`), `session` and the default
    args; `match` says that it takes patterns too, and is 'exact', 'prefix' or 'wildcard' (WAMP AP, "Pattern-based
    Subscription").
    """

    kind = 'topic'
    exact: ClassVar[type[Route]] = TopicRouteDef
    prefix: ClassVar[type[PrefixRoute]] = TopicPrefixRouteDef
    regex: ClassVar[type[RegexRoute]] = TopicRegexRouteDef

    def topic(self, uri: str, **kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Decorate the handler of one topic, as route() does."""
        require_uri(uri, 'topic')
        return self.route(uri, **kwargs)


class TopicsRouter(URIsRouter):
    """Routes subscriptions to handlers."""

    kind = 'topic'

    def check_handler(self, handler: Callable[..., Any]) -> None:
        """Raise TypeError for a coroutine function."""
        require_generator(handler, 'subscription')

    def start_handler(
        self, topic_uri: str, session: WAMPSession, match: str = 'exact'
    ) -> AsyncIterator[Any]:
        """Return the topic's handler, called but not begun. Raises NoSuchRouteError, and TypeError if the handler
        has a parameter that nothing provides or is not an asynchronous generator function.

        A pattern goes to the handler of its own text, if that has a parameter `match`; others would take 'user.1'
        for one topic, where it stands for 'user.12' as well.
        """
        handler = self.resolve(topic_uri)
        provided: dict[str, Any] = {'topic_uri': topic_uri, 'session': session}
        if 'topic' not in self.default_arg_factories:
            # The name that serverwamp's documentation has for it.
            provided['topic'] = topic_uri
        if 'match' not in self.default_arg_factories:
            provided['match'] = match
        if match != 'exact' and not ('match' in provided and takes_match(handler)):
            raise NoPatternRouteError(f'The handler {handler!r} takes no patterns such as {topic_uri!r}.')
        args, kwargs = bind_handler(handler, provided, self.default_arg_factories)
        iterator = handler(*args, **kwargs)
        if not isinstance(iterator, AsyncIterator):
            raise TypeError(
                f'The subscription handler {handler!r} must be an asynchronous generator function with one yield.'
            )
        return iterator

    async def handle_subscription(
        self, topic_uri: str, session: WAMPSession
    ) -> AsyncGenerator[None, None]:
        """Run the topic's handler to its yield, and after this generator's own yield to its end."""
        iterator = self.start_handler(topic_uri, session)
        await anext(iterator)
        yield
        await anext(iterator, None)


def takes_match(handler: Callable[..., Any]) -> bool:
    """Whether a subscription handler has a parameter `match`, and with that knows of patterns."""
    return 'match' in inspect.signature(handler).parameters


__all__ = [
    'SubscribeError',
    'SubscriptionHandler',
    'TopicPrefixRouteDef',
    'TopicRegexRouteDef',
    'TopicRouteDef',
    'TopicRouteSet',
    'TopicsRouter',
]
