"""A call that reports its progress.

    pip install .    # in a clone of the repository
    python examples/progress.py [--host HOST] [--port PORT]

The procedure `demo.count` takes a number and reports every step to callers that ask for
progressive results (`receive_progress`). Others get the final result alone.
"""

import argparse
import asyncio

import serverwamp_fast as serverwamp

calls = serverwamp.RPCRouteSet()


@calls.route('demo.count')
async def count(limit: int):
    if limit < 1:
        yield serverwamp.RPCErrorResult('demo.error.nothing_to_count', args=(limit,))
        return
    for number in range(1, limit + 1):
        await asyncio.sleep(0.01)  # Here the work would be done.
        yield serverwamp.RPCProgressReport(args=(number,), kwargs={'of': limit})
    yield serverwamp.RPCResult(args=(f'Counted to {limit}.',))


app = serverwamp.Application()
app.add_rpc_routes(calls)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    app.run(host=options.host, port=options.port)
