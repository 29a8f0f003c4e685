#!/usr/bin/env bash
# cbor-x 1.6.4 (npm) writes a JavaScript Map under CBOR tag 259, and cbor2 6.3.0 (PyPI) knows no such tag: the map arrives
# inside a CBORTag, and what is inside of a tag has become immutable (a frozendict). A plain object with the same key
# arrives as a dict. A guess is that a map is a map to both, as CBOR itself has maps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'cbor2==6.3.0'
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts cbor-x@1.6.4
cat >program.mjs <<'PROGRAM'
import { encode } from 'cbor-x';

for (const value of [new Map([['a', 2]]), { a: 2 }]) {
    console.log(Buffer.from(encode(value)).toString('hex'));
}
PROGRAM
cat >program.py <<'PROGRAM'
import sys

import cbor2

for line in sys.stdin:
    print(line.strip(), cbor2.loads(bytes.fromhex(line)))
PROGRAM
node program.mjs | venv/bin/python program.py >seen
cat seen
diff - seen <<'EXPECTED'
d90103a1616102 CBORTag(259, frozendict({'a': 2}))
b90001616102 {'a': 2}
EXPECTED
