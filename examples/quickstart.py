"""Calls, events and session data, on the native server.

    pip install .    # in a clone of the repository
    python examples/quickstart.py [--host HOST] [--port PORT]

Then, in another terminal, `python examples/quickstart_client.py`, which wants autobahn. `ci/demo` does
all of it, installation included. Ctrl-C ends it.
"""

import argparse

import serverwamp_fast as serverwamp

calls = serverwamp.RPCRouteSet()
topics = serverwamp.TopicRouteSet()


@calls.route('demo.add')
async def add(x: int, y: int):
    return x + y


@calls.route('demo.set_name')
async def set_name(name, session):
    # Whatever is put into a session stays there for its later calls.
    session['name'] = name


@calls.route('demo.say')
async def say(text, session, listeners):
    if 'name' not in session:
        return serverwamp.RPCErrorResult('demo.error.no_name', args=('Call demo.set_name first.',))
    for listener in list(listeners):
        try:
            await listener.send_event('demo.said', args=(text,), kwargs={'who': session['name']})
        except serverwamp.ConnectionClosed:
            pass  # That one has just left.
    return len(listeners)


@topics.route('demo.said')
async def listen(session, listeners):
    listeners.add(session)
    yield
    # From here on: unsubscribed, or disconnected.
    listeners.discard(session)


async def announce(session):
    print(f'Session {session.id} has begun.', flush=True)
    yield
    print(f'Session {session.id} has ended.', flush=True)


app = serverwamp.Application()
app.add_rpc_routes(calls)
app.add_topic_routes(topics)
app.add_session_lifespan_handler(announce)
app.set_default_arg('listeners', set())


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    app.run(host=options.host, port=options.port)
