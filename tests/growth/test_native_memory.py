"""Connections that have come and gone leave nothing behind. In child processes, see isolated.py."""

import pytest
from support.isolated import run_isolated

# What clients do, and the ways in which they leave.
CHILD = '''
import asyncio, gc, logging, random
from support.raw_client import *
from serverwamp_fast._core.native.peers import WAMPPeer
from serverwamp_fast._core.session.sessions import SessionCore

loop_name, support, use = {loop!r}, {support!r}, {use!r}
rounds = 1000


class Held:
    """What a session holds."""


def make():
    options = {{}}
    if support == 'own':
        from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
        class Own(AsyncioAsyncSupport):
            pass
        options['async_support'] = Own
    app = make_app(**options)
    topics = wamp.TopicRouteSet()
    routes = wamp.RPCRouteSet()

    @topics.topic('t')
    async def subscribed(session):
        session['held'] = Held()
        yield
        await asyncio.sleep(0)

    @routes.route('keep')
    async def keep(session, request):
        session.request = request
        session.me = session
        await asyncio.sleep(0)
        return 'kept'

    @routes.route('progress')
    async def progress():
        yield wamp.RPCProgressReport(args=(1,))
        yield 'end'

    async def lifespan(session):
        held = Held()
        yield
        del held

    app.add_topic_routes(topics)
    app.add_rpc_routes(routes)
    app.add_session_lifespan_handler(lifespan)
    app.add_session_lifespan_handler(lifespan, authenticated_only=False)
    return app


async def sessions(server):
    client = await server.join(random.choice(['wamp.2.json', 'wamp.2.msgpack.batched']))
    await client.say([32, 1, {{}}, 't'], [48, 2, {{}}, 'keep'], [48, 3, {{}}, 'nothing'],
                     [48, 4, {{'receive_progress': True}}, 'progress'])
    await client.hear()
    if random.random() < 0.3:
        await client.send(frame(CLOSE, close_payload(1000)))
        await client.read_rest()
        client.close()
    elif random.random() < 0.3:
        client.end_output()
        await client.read_rest()
        client.close()
    else:
        client.reset()


async def failures(server):
    client = await server.connect_tcp()
    way = random.randrange(5)
    if way == 0:
        client.reset()
        return
    if way == 1:
        await client.send(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
        await client.read_rest()
        client.close()
        return
    await client.open('wamp.2.json')
    if way == 2:
        await client.send(frame(TEXT, b'\\xff'))
    elif way == 3:
        await client.say([999])
    else:
        await client.say(HELLO, HELLO)
    await client.receive()
    client.reset()


async def main():
    app = make()
    async with serving(app) as server:
        for _ in range(rounds // 20):
            await asyncio.gather(*(globals()[use](server) for _ in range(20)))
            server.clients.clear()
        await server.all_gone()
        # The step that ends a wait still holds what was waited for.
        await asyncio.sleep(0)
        check('while the server goes on')
    # It knows the task of its end.
    del server
    check('after the server')


def check(when):
    gc.collect()
    kinds = WAMPPeer, SessionCore, Held, asyncio.Task
    left = [one for one in gc.get_objects() if isinstance(one, kinds)]
    left.remove(asyncio.current_task())
    assert not left, (when, len(left), left[:5])


def factory():
    if loop_name == 'asyncio':
        return asyncio.new_event_loop()
    import uvloop
    return uvloop.new_event_loop()


# Bad input is logged, and stderr is for what should not be.
logging.getLogger('serverwamp_fast').addHandler(logging.NullHandler())
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main())
print('done')
'''


@pytest.mark.parametrize('use', ['sessions', 'failures'])
@pytest.mark.parametrize('support', ['usual', 'own'])
@pytest.mark.parametrize('loop', ['asyncio', 'uvloop'])
def test_a_thousand_connections_leave_nothing_behind(loop: str, support: str, use: str) -> None:
    if loop == 'uvloop':
        pytest.importorskip('uvloop', reason='uvloop is not installed')
    assert run_isolated(CHILD.format(loop=loop, support=support, use=use)) == 'done\n'
