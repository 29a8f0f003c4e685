"""Talks to examples/quickstart.py with autobahn, a WAMP client from PyPI, and prints what came.

    pip install 'autobahn>=26.10'
    python examples/quickstart_client.py [--host HOST] [--port PORT]

It keeps trying for some seconds if the server isn't there yet. Exit status 0: all came that should.
"""

import argparse
import asyncio

try:
    from autobahn.asyncio.component import Component
    from autobahn.wamp.exception import ApplicationError
except ModuleNotFoundError as error:
    raise SystemExit(f'This client needs autobahn; pip install autobahn. ({error})') from None


async def talk(session):
    print('2 + 3 =', await session.call('demo.add', 2, 3))

    try:
        await session.call('demo.say', 'Hello')
    except ApplicationError as error:
        print('An error, as expected:', error.error, *error.args)
    await session.call('demo.set_name', 'Ada')

    event = asyncio.get_running_loop().create_future()
    await session.subscribe(
        lambda text, who: event.done() or event.set_result((text, who)), 'demo.said'
    )
    print('Subscribed to demo.said.')
    print('Listeners:', await session.call('demo.say', 'Good morning'))
    text, who = await asyncio.wait_for(event, 10)
    print(f'An event: {who} said {text!r}.')


async def main(url):
    retries = {'max_retries': 10, 'initial_retry_delay': 0.2, 'max_retry_delay': 1.0}
    component = Component(transports=[{'type': 'websocket', 'url': url, **retries}], realm='demo')
    outcome = asyncio.get_running_loop().create_future()

    @component.on_join
    async def joined(session, details):
        print(f'Connected to {url} as session {details.session}, {details.serializer}.')
        try:
            outcome.set_result(await talk(session))
        except Exception as error:
            outcome.set_exception(error)
        session.leave()

    ended = asyncio.ensure_future(component.start(asyncio.get_running_loop()))
    await asyncio.wait({ended, outcome}, return_when=asyncio.FIRST_COMPLETED)
    await ended
    if not outcome.done():
        raise ConnectionError(f'No session could be opened at {url}.')
    outcome.result()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    asyncio.run(main(f'ws://{options.host}:{options.port}/'))
