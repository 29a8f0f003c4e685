#!/usr/bin/env bash
# autobahn 26.10.2 (Python): the JSON serializer writes a text that begins with U+0000 as it stands. To every WAMP peer this
# is how binary data looks ("Binary conversion of JSON Strings"), so that autobahn cannot read back what it has
# written, or reads bytes where text was sent. A guess is that a text comes back as a text, or is refused by the sender.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'autobahn==26.10.2'
"$folder/venv/bin/python" - >"$folder/seen" <<'PROGRAM'
import txaio

txaio.use_asyncio()
from autobahn.wamp.serializer import JsonObjectSerializer

serializer = JsonObjectSerializer()
for text in ('\0abcd', '\0abc'):
    written = serializer.serialize([text])
    try:
        print(written, 'is read as', serializer.unserialize(written))
    except Exception as error:
        print(written, 'cannot be read:', type(error).__name__)
PROGRAM
cat "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
b'["\\u0000abcd"]' is read as [[b'i\xb7\x1d']]
b'["\\u0000abc"]' cannot be read: Error
EXPECTED
