#!/usr/bin/env bash
# autobahn 26.3.1 (npm): its JSON serializer has no binary conversion. A Uint8Array is written as an object with indices
# for keys, an ArrayBuffer as an empty object, so that its bytes are lost without an error, and binary data from other peers
# stays the text that carries it. With MessagePack the same values are binary. The specification ("Binary conversion
# of JSON Strings") asks for U+0000 and base64 both ways.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts autobahn@26.3.1
cat >program.mjs <<'PROGRAM'
import autobahn from 'autobahn';

const json = new autobahn.serializer.JSONSerializer();
console.log(json.serialize([new Uint8Array([1, 2])]));
console.log(json.serialize([new Uint8Array([1, 2]).buffer]));
console.log(JSON.stringify(json.unserialize('["\\u0000AQI="]')));
const msgpack = new autobahn.serializer.MsgpackSerializer();
console.log(Buffer.from(msgpack.serialize([Buffer.from([1, 2])]).slice()).toString('hex'));
PROGRAM
node program.mjs >seen
cat seen
diff - seen <<'EXPECTED'
[{"0":1,"1":2}]
[{}]
["\u0000AQI="]
91c4020102
EXPECTED
