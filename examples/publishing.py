"""Publishing: clients tell each other, the server tells everybody, and rules say who may what.

    pip install .    # in a clone of the repository
    python examples/publishing.py [--host HOST] [--port PORT]

Clients may subscribe to everything below `chat.`, by pattern too, and publish to the rooms that exist. The last
motto is kept for those who subscribe later and ask for it by the option `get_retained`.
"""

import argparse

import serverwamp_fast as serverwamp

rooms = {'chat.hall', 'chat.kitchen'}
calls = serverwamp.RPCRouteSet()
app = serverwamp.Application()


@calls.route('chat.open_room')
async def open_room(name):
    rooms.add(f'chat.{name}')
    # It reaches every session that is subscribed to the topic, by its name or by a pattern.
    await app.publish('chat.opened', (name,))


@calls.route('chat.set_motto')
async def set_motto(text, session):
    await app.publish('chat.motto', (text,), {'by': session.id}, retain=True)


def is_room(topic):
    return topic in rooms


app.add_rpc_routes(calls)
# Nothing is open to clients unless it is opened here, or a topic route has a handler for it.
app.allow_subscribe('chat.', 'prefix')
app.allow_publish('chat.', 'prefix', is_room)
app.allow_publisher_disclosure()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    app.run(host=options.host, port=options.port)
