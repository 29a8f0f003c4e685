#!/usr/bin/env bash
# autobahn 26.3.1 (npm): the serializers share an interface, but serialize() of CBOR returns a Promise where those of JSON
# and MessagePack return the payload. Whoever swaps one serializer for another gets an object that looks sent and is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts autobahn@26.3.1
cat >program.mjs <<'PROGRAM'
import autobahn from 'autobahn';

for (const name of ['JSONSerializer', 'MsgpackSerializer', 'CBORSerializer']) {
    const written = new autobahn.serializer[name]().serialize([1]);
    console.log(name, written instanceof Promise ? 'a Promise of ' + (await written).toString('hex') : 'the payload');
}
PROGRAM
node program.mjs >seen
cat seen
diff - seen <<'EXPECTED'
JSONSerializer the payload
MsgpackSerializer the payload
CBORSerializer a Promise of 8101
EXPECTED
