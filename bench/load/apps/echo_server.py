"""A WebSocket echo without WAMP, on uvloop: `python echo_server.py websockets|picows PORT`."""

import asyncio
import sys

import uvloop


async def serve_websockets(port: int) -> None:
    from websockets.asyncio.server import serve

    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)

    async with serve(echo, '127.0.0.1', port, backlog=2048, max_size=2**24) as server:
        await server.serve_forever()


async def serve_picows(port: int) -> None:
    import picows

    class Echo(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            elif frame.msg_type == picows.WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            else:
                transport.send(frame.msg_type, frame.get_payload_as_memoryview())

    server = await picows.ws_create_server(lambda request: Echo(), '127.0.0.1', port, backlog=2048)
    async with server:
        await server.serve_forever()


if __name__ == '__main__':
    kinds = {'websockets': serve_websockets, 'picows': serve_picows}
    try:
        uvloop.run(kinds[sys.argv[1]](int(sys.argv[2])))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
