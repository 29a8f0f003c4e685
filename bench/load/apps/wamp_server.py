"""Serve the bench's application as users do: `python wamp_server.py PACKAGE native|aiohttp|websockets LOOP PORT`."""

import asyncio
import logging
import sys

from wamp_app import build


def serve_aiohttp(app, loop_name: str, port: int) -> None:
    from aiohttp import web

    web_app = web.Application()
    web_app.router.add_get('/ws', app.aiohttp_websocket_handler())
    loop = None
    if loop_name == 'uvloop':
        import uvloop

        loop = uvloop.new_event_loop()
    web.run_app(web_app, host='127.0.0.1', port=port, loop=loop, print=None)


def serve_websockets(app, port: int) -> None:
    import uvloop
    from websockets.asyncio.server import serve

    from serverwamp_fast.adapters.websockets import SUPPORTED_WS_PROTOCOLS

    async def main():
        handler = app.websockets_handler()
        # The library compresses where a client offers it; the load generator doesn't.
        async with serve(handler, '127.0.0.1', port, subprotocols=SUPPORTED_WS_PROTOCOLS, backlog=2048) as server:
            await server.serve_forever()

    uvloop.run(main())


def main(package: str, server: str, loop_name: str, port: int) -> None:
    logging.basicConfig(level=logging.WARNING)
    app = build(package)
    if server == 'native':
        app.run('127.0.0.1', port)
    elif server == 'aiohttp':
        serve_aiohttp(app, loop_name, port)
    elif server == 'websockets':
        serve_websockets(app, port)
    else:
        sys.exit(f'{server!r} is none of native, aiohttp and websockets.')


if __name__ == '__main__':
    try:
        main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
