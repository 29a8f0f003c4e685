"""The broker of a realm: which topics are open to clients, and who gets what is published.

The fan-out itself is the core's; see _core.broker.publications.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ._core.base.uris import check_pattern, check_uri
from ._core.broker.broker import BrokerCore
from ._core.broker.publications import Audience, Publication
from ._core.session.topics import TopicTable
from .clients import session_name, shorten
from .errors import ConnectionClosed, counts_as_error
from .lone_arguments import as_one_argument
from .session import WAMPSession

logger = logging.getLogger(__name__)

MATCHES = ('exact', 'prefix', 'wildcard')
RETAINED_LIMIT = 1000

# Takes any of its parameters by name, and returns something true to allow; it may be a coroutine function.
AllowRule = Callable[..., Any]

# The URI of the ERROR to answer with, and a sentence that says why; None where nothing is refused.
Refusal = tuple[str, str] | None


class Opening:
    """Topics that are open to clients, if a rule doesn't say otherwise."""

    def __init__(self, topic: str, match: str, rule: AllowRule | None, offered: Sequence[str]) -> None:
        if match not in MATCHES:
            raise ValueError(f'A topic is matched exact, prefix or wildcard, not {match!r}.')
        if not (check_uri(topic) if match == 'exact' else check_pattern(topic)):
            raise ValueError(f'{topic!r} is neither a topic nor a pattern of topics.')
        self.topic = topic
        self.match = match
        self.rule = rule
        self.parts = topic.split('.')
        self.dots = topic.count('.')
        self.wanted = () if rule is None else find_wanted(rule, offered)

    def covers(self, topic: str, match: str) -> bool:
        """Whether all topics that `topic` stands for under `match` are among the open ones."""
        if self.match == 'prefix':
            return fixed_part(topic, match).startswith(self.topic)
        if match == 'prefix':
            return False
        if topic.count('.') != self.dots:
            # Clients choose the topic: a long one must not be taken apart for each rule.
            return False
        parts = topic.split('.')
        if self.match == 'exact':
            return parts == self.parts and (match == 'exact' or '' not in parts)
        return all(own in ('', part) for own, part in zip(self.parts, parts, strict=True))

    def allows(self, provided: Mapping[str, Any]) -> Any:
        """Ask the rule. What it returns may have to be awaited."""
        if self.rule is None:
            return True
        if provided.get('match', 'exact') != 'exact' and 'match' not in self.wanted:
            # Who doesn't look at the policy takes 'user.1' for a topic, where it stands for user.12 as well.
            return False
        return self.rule(**{name: provided[name] for name in self.wanted})


def find_wanted(function: Callable[..., Any], offered: Sequence[str]) -> tuple[str, ...]:
    """Return which of the values on offer a function takes. Raises TypeError if it wants others."""
    wanted = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            return tuple(offered)
        if name in offered and parameter.kind is not parameter.POSITIONAL_ONLY:
            wanted.append(name)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise TypeError(
                f'The rule {function!r} has a parameter {name!r} that nothing provides. A rule takes any of '
                f'{", ".join(offered)}, by name.'
            )
    return tuple(wanted)


def fixed_part(topic: str, match: str) -> str:
    """Return the text that all topics begin with for which `topic` stands under `match`."""
    if match != 'wildcard':
        return topic
    parts = topic.split('.')
    if '' not in parts:
        return topic
    return ''.join(f'{part}.' for part in parts[: parts.index('')])


class Openings:
    """All topics of a realm that are open to clients for one purpose. Whatever is not in here is closed."""

    def __init__(self, purpose: str, cure: str, *offered: str) -> None:
        # For sentences: 'publish to', and what opens a topic for that.
        self.purpose = purpose
        self.cure = cure
        self.offered = offered
        self.openings: list[Opening] = []
        self.has_rules = False

    def add(self, topic: str, match: str, rule: AllowRule | None) -> None:
        """Open topics. Raises ValueError for a topic or policy that is none, TypeError for an unsuitable rule."""
        self.openings.append(Opening(topic, match, rule, self.offered))
        self.has_rules |= rule is not None

    def find_refusal(self, **provided: Any) -> Refusal | Awaitable[Refusal]:
        """Return None if a rule says yes, the first one that does, else an error; or an awaitable of either."""
        topic, match = provided['topic'], provided.get('match', 'exact')
        candidates = [opening for opening in self.openings if opening.covers(topic, match)]
        return self._ask(iter(candidates), provided) if candidates else self.refuse_closed(topic, match)

    def refuse_closed(self, topic: str, match: str) -> tuple[str, str]:
        """Return the error for topics that no rule opens."""
        named = describe_topic(topic, match)
        sentence = f'Nothing lets clients {self.purpose} {named}. On the server, {self.cure}.'
        return 'wamp.error.not_authorized', sentence

    def _ask(self, candidates: Iterator[Opening], provided: Mapping[str, Any]) -> Refusal | Awaitable[Refusal]:
        for opening in candidates:
            try:
                answer = opening.allows(provided)
            except BaseException as error:
                if not counts_as_error(error, provided['session']):
                    raise
                return self._fail(opening, provided)
            if inspect.isawaitable(answer):
                return self._wait(answer, opening, candidates, provided)
            if answer:
                return None
        topic = describe_topic(provided['topic'], provided.get('match', 'exact'))
        return 'wamp.error.not_authorized', f'The rules of the realm do not let this client {self.purpose} {topic}.'

    async def _wait(
        self, answer: Awaitable[Any], opening: Opening, candidates: Iterator[Opening], provided: Mapping[str, Any]
    ) -> Refusal:
        try:
            if await answer:
                return None
        except BaseException as error:
            if not counts_as_error(error, provided['session']):
                raise
            return self._fail(opening, provided)
        # The iterator goes on behind the rule that has just answered.
        following = self._ask(candidates, provided)
        return following if following is None or isinstance(following, tuple) else await following

    def _fail(self, opening: Opening, provided: Mapping[str, Any]) -> tuple[str, str]:
        logger.exception(
            'Exception from the rule %r for topics %s, asked for %s.',
            opening.rule,
            opening.topic,
            session_name(provided['session']),
        )
        topic = describe_topic(provided['topic'], provided.get('match', 'exact'))
        sentence = f'The rule that decides who may {self.purpose} {topic} failed. The log of the server says why.'
        return 'wamp.error.authorization_failed', sentence


def describe_topic(topic: str, match: str) -> str:
    """Return how a sentence calls what a client asks for."""
    text = shorten(topic)
    return text if match == 'exact' else f'{text}, as a {match} pattern'


class Broker(BrokerCore):
    """A realm's broker: its settings are made by the methods of Realm."""

    def __init__(self, topics: TopicTable) -> None:
        super().__init__(topics, RETAINED_LIMIT)
        self.publishing = Openings(
            'publish to', 'allow_publish() does', 'session', 'topic', 'options', 'args', 'kwargs'
        )
        self.subscribing = Openings(
            'subscribe to', 'a topic route or allow_subscribe() does', 'session', 'topic', 'match'
        )

    # For the core

    def find_publish_refusal(self, session: WAMPSession, message: Any) -> Refusal | Awaitable[Refusal]:
        """Return why a client may not send this PUBLISH, None if it may, or an awaitable of either."""
        _, _, options, topic, *payload = message
        args, kwargs = [*payload, *((), {})[len(payload) :]][:2]
        ask = partial(
            self.publishing.find_refusal,
            session=session, topic=topic, options=options, args=args, kwargs=kwargs,
        )  # fmt: skip
        # A rule may set context variables.
        refusal: Refusal | Awaitable[Refusal] = session.run_in_context(ask) if self.publishing.has_rules else ask()
        return refusal

    async def decide_later(self, session: WAMPSession, message: Any, decision: Awaitable[Refusal]) -> None:
        """Publish, or refuse to, when a rule has come to a decision."""
        try:
            awaitable = self.decide(session, message, await decision)
            if awaitable is not None:
                await awaitable
        except ConnectionClosed:
            logger.debug('The session ended before a PUBLISH was decided upon, %s.', session_name(session))

    async def finish(
        self, sessions: Sequence[WAMPSession], publisher: WAMPSession, message: Any, publication: Publication
    ) -> None:
        """Have the sessions' outboxes emptied, and send the publisher's answer."""
        await empty_outboxes(sessions)
        try:
            awaitable = self.conclude(publisher, message, publication)
            if awaitable is not None:
                await awaitable
        except ConnectionClosed:
            logger.debug('The session ended before a PUBLISH was acknowledged, %s.', session_name(publisher))

    # For the realm

    async def publish(
        self, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any] | None, retain: bool,
        trust_level: int | None, receivers: Mapping[str, Any],
    ) -> int:
        """Publish for the server; see Realm.publish()."""
        if not check_uri(topic):
            raise ValueError(f'{topic!r} is not a topic: components that are not empty, with dots between them.')
        if isinstance(args, (str, bytes)):
            args = as_one_argument(args)
        publication = Publication(
            str.__str__(topic),
            # What is retained or held must not change with the caller's own list.
            list(args) if isinstance(args, list) else args,
            dict(kwargs) if isinstance(kwargs, dict) else kwargs,
            {} if trust_level is None else {'trustlevel': trust_level},
            Audience(receivers),
        )
        await empty_outboxes(self.send(publication, retain))
        self.conclude_own(publication)
        return publication.number

    async def find_subscribe_refusal(self, session: WAMPSession, topic: str, match: str) -> Refusal:
        """Return why a client may not subscribe by the rules, None if it may."""
        refusal = self.subscribing.find_refusal(session=session, topic=topic, match=match)
        return refusal if refusal is None or isinstance(refusal, tuple) else await refusal


async def empty_outboxes(sessions: Iterable[WAMPSession]) -> None:
    """Have what was published sent to all of them, even if who publishes is cancelled meanwhile."""
    cancellation = None
    for session in sessions:
        try:
            await session.empty_outbox()
        except GeneratorExit:
            raise
        except BaseException as error:
            cancellation = error
    if cancellation is not None:
        raise cancellation
