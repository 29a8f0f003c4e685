#!/usr/bin/env bash
# swampyer 3.1.20260922: call() returns the first positional argument of RESULT, and raises IndexError where there is none.
# The specification has empty arguments left out of messages ("Empty Arguments and Arguments Keyword"), so a procedure that
# returns nothing, or keyword values alone, looks like a fault of the caller's library. A guess is None.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'swampyer==3.1.20260922' 'websockets==16.0'
timeout 60 "$folder/venv/bin/python" - >"$folder/seen" 2>"$folder/log" <<'PROGRAM' || { cat "$folder/log"; exit 1; }
import json
import os
import threading

from swampyer import WAMPClient
from websockets.sync.server import serve

ANSWERS = {'two': [['first', 'second']], 'keywords': [[], {'answer': 1}], 'nothing': []}


def handle(connection):
    """Answer as a router that has three procedures."""
    for text in connection:
        code, *rest = json.loads(text)
        if code == 1:
            connection.send(json.dumps([2, 7, {'roles': {'dealer': {}, 'broker': {}}, 'authid': 'a', 'authrole': 'a',
                                               'authmethod': 'anonymous'}]))
        elif code == 48:
            connection.send(json.dumps([50, rest[0], {}, *ANSWERS[rest[2]]]))
        elif code == 6:
            connection.send(json.dumps([6, {}, 'wamp.close.goodbye_and_out']))


with serve(handle, '127.0.0.1', 0, subprotocols=['wamp.2.json']) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.socket.getsockname()[1]
    client = WAMPClient(url=f'ws://127.0.0.1:{port}/', realm='realm1', serializers=['json'], auto_reconnect=0)
    client.start()
    for procedure in ANSWERS:
        try:
            print(procedure, 'returns', repr(client.call(procedure)), flush=True)
        except Exception as error:
            print(procedure, 'raises', type(error).__name__, flush=True)
    # Its threads would go on.
    os._exit(0)
PROGRAM
cat "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
two returns 'first'
keywords raises IndexError
nothing raises IndexError
EXPECTED
