#!/usr/bin/env bash
# autobahn 26.10.2 (Python): a message of batched JSON ends with the byte 0x18. The specification ("Message Batching")
# says 0x1e, the record separator, and autobahn does not read that: a batch as specified is an error to it. A guess is
# that peers of one specification agree on it; in the source the byte is written as an octal number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'autobahn==26.10.2'
"$folder/venv/bin/python" - >"$folder/seen" <<'PROGRAM'
import txaio

txaio.use_asyncio()
from autobahn.wamp.message import Goodbye
from autobahn.wamp.serializer import JsonSerializer

serializer = JsonSerializer(batched=True)
payload, is_binary = serializer.serialize(Goodbye())
print('written:', payload)
try:
    serializer.unserialize(payload[:-1] + b'\x1e')
except Exception as error:
    print('read with 0x1e:', type(error).__name__)
print('read with 0x18:', [type(message).__name__ for message in serializer.unserialize(payload)])
PROGRAM
cat "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
written: b'[6,{},"wamp.close.normal"]\x18'
read with 0x1e: ProtocolError
read with 0x18: ['Goodbye']
EXPECTED
