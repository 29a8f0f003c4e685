"""Topics and session handlers of the compared applications."""

from typing import Any


def add_topics(routes: Any, package: Any, journal: list[str]) -> None:
    """Subscription handlers, which write down when their halves run."""
    refuse = package.events.SubscribeError

    @routes.route('topic.plain')
    async def plain(topic_uri, session):
        journal.append(f'subscribed {topic_uri}')
        yield
        journal.append(f'unsubscribed {topic_uri}')

    @routes.route('topic.early')
    async def early(topic_uri, session):
        await session.send_event(topic_uri, args=('first',))
        await session.send_event(topic_uri, kwargs={'number': 2})
        yield
        await session.send_event(topic_uri, args=('last',))
        journal.append('early torn down')

    @routes.prefix_route('topic.prefix.')
    async def prefixed(topic_uri, session):
        journal.append(f'prefix {topic_uri}')
        await session.send_event(topic_uri, args=(topic_uri,))
        yield
        journal.append(f'prefix left {topic_uri}')

    @routes.regex_route(r'topic\.(prefix|number)\.\d+$')
    async def numbered(topic_uri):
        journal.append(f'regex {topic_uri}')
        yield

    @routes.route('topic.arguments')
    async def arguments(session, /, database, *rest, topic_uri, size=5, **others):
        journal.append(f'{type(session).__name__} {database} {topic_uri} {size} {rest} {others}')
        yield

    @routes.route('topic.missing_argument')
    async def missing_argument(topic_uri, unheard_of):
        yield

    @routes.route('topic.refused')
    async def refused(topic_uri):
        raise refuse('wamp.error.not_authorized')
        yield

    @routes.route('topic.refused_by_own_uri')
    async def refused_by_own_uri(topic_uri, session):
        await session.send_event(topic_uri, args=('nobody receives this',))
        raise refuse('my.error.full')
        yield

    @routes.route('topic.raises')
    async def raises(topic_uri):
        raise ValueError('a secret of the server')
        yield

    @routes.route('topic.no_yield')
    async def no_yield(topic_uri):
        return
        yield

    @routes.route('topic.yields_twice')
    async def yields_twice(topic_uri):
        yield
        journal.append('second half')
        yield

    @routes.route('topic.yields_value')
    async def yields_value(topic_uri):
        yield 'ignored'
        journal.append('value left')

    @routes.route('topic.teardown_raises')
    async def teardown_raises(topic_uri):
        yield
        journal.append('about to raise')
        raise ValueError('in the teardown')

    @routes.route('topic.late_event')
    async def late_event(topic_uri, session):
        yield
        try:
            await session.send_event(topic_uri, args=('too late',))
            journal.append('sent')
        except package.connection.ConnectionClosed:
            journal.append('closed')

    @routes.route('topic.not_a_generator')
    def not_a_generator(topic_uri):
        return 5

    @routes.route('topic.same_as_prefix.1')
    async def exact_wins(topic_uri):
        journal.append('exact')
        yield


def add_publishers(routes: Any, members: list[Any]) -> None:
    """Procedures that send events to this session, or to all that called `join`."""

    @routes.route('publish')
    async def publish(session, topic, *values, **named):
        await session.send_event(topic, args=values, kwargs=named)

    @routes.route('publish.bare')
    async def publish_bare(session, topic):
        await session.send_event(topic)

    @routes.route('publish.none')
    async def publish_none(session, topic):
        await session.send_event(topic, args=None, kwargs=None)

    @routes.route('publish.trust')
    async def publish_trust(session, topic, level: int):
        await session.send_event(topic, ['x'], {'y': 1}, level)

    @routes.route('publish.many')
    async def publish_many(session, topic, count: int):
        for number in range(count):
            await session.send_event(topic, (number,))
        return count

    @routes.route('join')
    async def join(session):
        members.append(session)
        return len(members)

    @routes.route('publish.all')
    async def publish_all(topic, value):
        for member in members:
            if member.is_open:
                await member.send_event(topic, args=[value])
        return len(members)


def add_lifespan(realm: Any, journal: list[str]) -> None:
    """One session handler of each kind, which write down when their halves run."""

    async def from_the_start(session):
        journal.append(f'opened {session.is_open}')
        session['visits'] = 1
        yield
        journal.append(f'ended {session["visits"]}')

    async def once_authenticated(session, database, missing='default', *rest, **others):
        journal.append(f'authenticated {session.is_open} {database} {missing}')
        session['visits'] += 1
        yield
        # No note: serverwamp 2.0.0 keeps the handlers of a session in a set, so that their order is by chance.

    realm.add_session_lifespan_handler(from_the_start, authenticated_only=False)
    realm.add_session_lifespan_handler(once_authenticated)
