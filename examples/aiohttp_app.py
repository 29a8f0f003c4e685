"""WAMP beside ordinary HTTP routes in one aiohttp application, which share a counter.

    pip install '.[aiohttp]'    # in a clone of the repository
    python examples/aiohttp_app.py [--host HOST] [--port PORT]

    curl http://127.0.0.1:8080/count            the number
    curl -X POST http://127.0.0.1:8080/count    one more; WAMP clients that listen are told
    ws://127.0.0.1:8080/ws                      call counter.read, subscribe to counter.changed
"""

import argparse

from aiohttp import web

import serverwamp_fast as serverwamp

calls = serverwamp.RPCRouteSet()
topics = serverwamp.TopicRouteSet()


class Counter:
    def __init__(self):
        self.value = 0
        self.listeners = set()


@calls.route('counter.read')
async def read(counter):
    return counter.value


@topics.route('counter.changed')
async def listen(session, counter):
    counter.listeners.add(session)
    yield
    counter.listeners.discard(session)


counter = Counter()


async def show_count(request):
    return web.json_response({'count': counter.value})


async def increase_count(request):
    counter.value += 1
    for session in list(counter.listeners):
        try:
            await session.send_event('counter.changed', args=(counter.value,))
        except serverwamp.ConnectionClosed:
            pass  # That one has just left.
    return web.json_response({'count': counter.value})


wamp = serverwamp.Application()
wamp.add_rpc_routes(calls)
wamp.add_topic_routes(topics)
wamp.set_default_arg('counter', counter)


async def close_sessions(app):
    await wamp.close_sessions()


app = web.Application()
app.router.add_get('/count', show_count)
app.router.add_post('/count', increase_count)
app.router.add_get('/ws', wamp.aiohttp_websocket_handler())
app.on_shutdown.append(close_sessions)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    web.run_app(app, host=options.host, port=options.port)
