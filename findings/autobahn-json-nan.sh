#!/usr/bin/env bash
# autobahn 26.10.2 (Python): NaN and the infinities are written as bare words, which are not JSON (RFC 8259, section 6).
# orjson 3.11.4, as other strict readers, refuses the whole message for it. A guess is null, as JavaScript writes, or an error
# of the sender.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'autobahn==26.10.2' 'orjson==3.11.4'
"$folder/venv/bin/python" - >"$folder/seen" <<'PROGRAM'
import orjson
import txaio

txaio.use_asyncio()
from autobahn.wamp.message import Publish
from autobahn.wamp.serializer import JsonSerializer

payload, _ = JsonSerializer().serialize(Publish(1, 'a.b', args=[float('nan'), float('-inf')]))
print(payload)
try:
    orjson.loads(payload)
except orjson.JSONDecodeError as error:
    print('orjson:', type(error).__name__)
PROGRAM
cat "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
b'[16,1,{},"a.b",[NaN,-Infinity]]'
orjson: JSONDecodeError
EXPECTED
