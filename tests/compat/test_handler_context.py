"""Context variables in handlers: who sees what was set where.

Each fact is asserted on serverwamp 2.0.0 over aiohttp and on our servers.
"""

import asyncio
import contextvars
from typing import Any

from compat.handling import Setting, Site, build, on_every_server, serve

USER = contextvars.ContextVar('user', default='nobody')


async def whoami():
    return USER.get()


async def become(name):
    USER.set(name)
    await asyncio.sleep(0)
    return USER.get()


@on_every_server
def test_calls_are_isolated(setting: Setting) -> None:
    """What a call sets, it sees itself, and no other call does, of the same session or another."""

    async def both(name, delay):
        token = USER.set(name)
        await asyncio.sleep(delay)
        seen = USER.get()
        USER.reset(token)
        return [seen, USER.get()]

    async def talk(site: Site) -> Any:
        one, two = await site.join(), await site.join()
        await one.send([48, 101, {}, 'both', ['a', 0.01]], [48, 102, {}, 'both', ['b', 0]])
        slow = {message[1]: message[3] for message in [await one.receive() for _ in range(2)]}
        return slow, await one('become', 'Joe'), await one('whoami'), await two('whoami')

    app = build(setting, whoami=whoami, become=become, both=both)
    assert serve(setting, app, talk) == (
        {101: ['a', 'nobody'], 102: ['b', 'nobody']}, ['Joe'], ['nobody'], ['nobody']
    )  # fmt: skip
    assert USER.get() == 'nobody'


@on_every_server
def test_set_by_an_authenticator(setting: Setting) -> None:
    """It is there in the session's calls and subscription handlers, and nowhere else."""
    seen: list[str] = []

    async def authenticate(session):
        USER.set(session.auth_id)
        await asyncio.sleep(0)
        return session.auth_id

    topics = setting.package.root.TopicRouteSet()

    @topics.route('topic')
    async def topic():
        seen.append(USER.get())
        yield
        seen.append(USER.get())

    async def talk(site: Site) -> Any:
        one, two = await site.join(authid='one'), await site.join(authid='two')
        answers = [
            await one('whoami'),
            await two('whoami'),
            await two('become', 'x'),
            await two('whoami'),
        ]
        subscription = await two.subscribe('topic')
        await two.send([34, 50, two.labels.values[subscription]])
        await two.receive()
        return answers

    app = build(setting, whoami=whoami, become=become)
    app.add_transport_authenticator(authenticate)
    app.add_topic_routes(topics)
    assert serve(setting, app, talk) == [['one'], ['two'], ['x'], ['two']]
    assert seen == ['two', 'two']


@on_every_server
def test_set_by_a_subscription_handler(setting: Setting) -> None:
    topics = setting.package.root.TopicRouteSet()

    @topics.prefix_route('topic.')
    async def topic(topic_uri):
        USER.set(topic_uri)
        yield
        USER.set(f'{topic_uri} left')

    async def talk(site: Site) -> Any:
        one, two = await site.join(), await site.join()
        answers = [await one('whoami')]
        subscription = await one.subscribe('topic.x')
        answers += [await one('whoami'), await two('whoami')]
        await one.send([34, 50, one.labels.values[subscription]])
        await one.receive()
        return [*answers, await one('whoami'), await two('whoami')]

    app = build(setting, whoami=whoami)
    app.add_topic_routes(topics)
    assert serve(setting, app, talk) == [
        ['nobody'],
        ['topic.x'],
        ['nobody'],
        ['topic.x left'],
        ['nobody'],
    ]


@on_every_server
def test_set_by_a_custom_authentication_handler(setting: Setting) -> None:
    async def handler(session):
        USER.set('by hand')
        await session.mark_authenticated('x')

    async def talk(site: Site) -> Any:
        return await (await site.join())('whoami')

    app = build(setting, whoami=whoami)
    app.set_authentication_handler(handler)
    assert serve(setting, app, talk) == ['by hand']


@on_every_server
def test_set_by_a_lifespan_handler(setting: Setting) -> None:
    """Lifespan handlers run in tasks of their own: what they set, calls don't see."""

    async def lifespan(session):
        USER.set('lifespan')
        yield

    async def talk(site: Site) -> Any:
        return await (await site.join())('whoami')

    app = build(setting, whoami=whoami)
    app.add_session_lifespan_handler(lifespan)
    app.add_session_lifespan_handler(lifespan, authenticated_only=False)
    assert serve(setting, app, talk) == ['nobody']


@on_every_server
def test_spawned_tasks_copy_the_callers_context(setting: Setting) -> None:
    seen: list[str] = []

    async def spawn(session):
        async def later():
            seen.append(USER.get())

        USER.set('spawner')
        await session.spawn_task(later)
        asyncio.get_running_loop().call_soon(lambda: seen.append(USER.get()))
        await asyncio.create_task(later())

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller('spawn')
        return await caller('whoami')

    assert serve(setting, build(setting, spawn=spawn, whoami=whoami), talk) == ['nobody']
    assert seen == ['spawner'] * 3


@on_every_server
def test_progress_generators_keep_their_context(setting: Setting) -> None:
    package = setting.package

    async def counting(name):
        token = USER.set(name)
        yield package.root.RPCProgressReport(args=(USER.get(),))
        await asyncio.sleep(0)
        yield package.root.RPCProgressReport(args=(USER.get(),))
        USER.reset(token)
        yield USER.get()

    async def talk(site: Site) -> Any:
        caller = await site.join()
        await caller.send(
            [48, 1, {'receive_progress': True}, 'counting', ['a']],
            [48, 2, {'receive_progress': True}, 'counting', ['b']],
        )
        messages = [await caller.receive() for _ in range(6)]
        return {
            number: [entry[3][0] for entry in messages if entry[1] == number] for number in (1, 2)
        }

    answers = serve(setting, build(setting, counting=counting), talk)
    assert answers == {1: ['a', 'a', 'nobody'], 2: ['b', 'b', 'nobody']}


@on_every_server
def test_the_servers_own_context_is_copied(setting: Setting) -> None:
    """What is set when the server starts is there in every session, and sessions don't change it."""

    async def talk(site: Site) -> Any:
        return await (await site.join())('whoami')

    USER.set('the server')
    try:
        assert contextvars.copy_context().run(
            serve, setting, build(setting, whoami=whoami), talk
        ) == ['the server']
        assert USER.get() == 'the server'
    finally:
        USER.set('nobody')
