"""An ASGI application whose handlers run on Trio, under Hypercorn.

    pip install '.[trio,hypercorn]'    # in a clone of the repository
    python examples/trio_hypercorn.py [--host HOST] [--port PORT]

The procedure `demo.race` starts several tasks in a nursery and tells in which order they finished.
"""

import argparse
import random
import signal

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

import serverwamp_fast as serverwamp
from serverwamp_fast.adapters.trio import TrioAsyncSupport

calls = serverwamp.RPCRouteSet()


@calls.route('demo.race')
async def race(runners: int = 3):
    finished = []

    async def start_runner(number):
        await trio.sleep(random.random() / 20)
        finished.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(1, runners + 1):
            nursery.start_soon(start_runner, number)
    return {'order': finished}


app = serverwamp.Application(async_support=TrioAsyncSupport)
app.add_rpc_routes(calls)
asgi_app = app.asgi_application()


async def wait_for_signal():
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


async def main(host, port):
    config = Config()
    config.bind = [f'{host}:{port}']
    await serve(asgi_app, config, shutdown_trigger=wait_for_signal)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    trio.run(main, options.host, options.port)
