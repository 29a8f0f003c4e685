#!/usr/bin/env bash
# msgpackr 2.0.1 and cbor-x 1.6.4 (npm; wampy 8.0.2 stands on them): from 2^32 on, an integer is written as a float64, though
# both formats have 64-bit integers. WAMP ids go up to 2^53, so nearly every session or publication id comes back as a
# float. msgpack5 6.0.2, which autobahn-js takes, writes the same numbers as uint64 up to 2^53 - 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts msgpackr@2.0.1 cbor-x@1.6.4 msgpack5@6.0.2
cat >program.mjs <<'PROGRAM'
import { encode } from 'cbor-x';
import msgpack5 from 'msgpack5';
import { pack } from 'msgpackr';

const hex = (bytes) => Buffer.from(bytes).toString('hex');
for (const power of [31, 32, 40, 53]) {
    const id = 2 ** power;
    console.log('2^' + power, hex(pack(id)), hex(encode(id)), hex(msgpack5().encode(id).slice()));
}
PROGRAM
node program.mjs >seen
cat seen
diff - seen <<'EXPECTED'
2^31 ce80000000 1a80000000 ce80000000
2^32 cb41f0000000000000 fb41f0000000000000 cf0000000100000000
2^40 cb4270000000000000 fb4270000000000000 cf0000010000000000
2^53 cb4340000000000000 fb4340000000000000 cb4340000000000000
EXPECTED
