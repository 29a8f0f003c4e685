"""The application that all WAMP servers of the bench serve: build(package) makes it with one package or the other."""

import asyncio
import importlib


def build(package: str):
    """Return the application, made with `serverwamp_fast` or `serverwamp`."""
    serverwamp = importlib.import_module(package)
    calls = serverwamp.RPCRouteSet()
    topics = serverwamp.TopicRouteSet()

    @calls.route('bench.echo')
    async def echo(value):
        return value

    @calls.route('bench.wait')
    async def wait(value):
        await asyncio.sleep(0)
        return value

    @calls.route('bench.progress')
    async def progress(value):
        for _ in range(10):
            yield serverwamp.RPCProgressReport(args=(value,))
        yield value

    @calls.route('bench.count')
    async def count(subscribers):
        return len(subscribers)

    @calls.route('bench.spread')
    async def spread(value, times, first, subscribers):
        # What applications written for serverwamp do; it has no other way.
        for number in range(first, first + times):
            for subscriber in list(subscribers):
                await subscriber.send_event('bench.topic', args=(number, value))
        return len(subscribers)

    @calls.route('bench.publish')
    async def publish(value, times, first, subscribers, session):
        for number in range(first, first + times):
            await session.realm.publish('bench.topic', args=(number, value))
        return len(subscribers)

    @topics.route('bench.topic')
    async def listen(session, subscribers):
        subscribers.add(session)
        yield
        subscribers.discard(session)

    app = serverwamp.Application()
    app.add_rpc_routes(calls)
    app.add_topic_routes(topics)
    app.set_default_arg('subscribers', set())
    return app
