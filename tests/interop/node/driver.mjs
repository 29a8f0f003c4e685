// Lets a test drive a WAMP client, by lines of JSON on stdin and stdout.
//
// Commands: {"id": 1, "do": "call", ...}. Answers: {"id": 1, "value": ...} or {"id": 1, "error": {uri, args, kwargs}}.
// What a call reports and what is published comes as {"for": 1, args, kwargs}, with the id of the command that asked
// for it. Binary data is {"$bytes": "hexadecimal digits"}, a large integer {"$int": "decimal digits"}.

import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

// Where ci/setup-node has put the packages.
const root = path.resolve(process.env.WAMP_NODE);
export const require = createRequire(path.join(root, 'package.json'));
export const load = (file) => import(pathToFileURL(path.join(root, 'node_modules', file)));

export class Failure extends Error {
  constructor(uri, args, kwargs) {
    super(uri);
    this.report = { uri, args: args ?? [], kwargs: kwargs ?? {} };
  }
}

export function pack(value) {
  if (value instanceof ArrayBuffer) value = new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return { $bytes: Buffer.from(value).toString('hex') };
  if (typeof value === 'bigint') return { $int: String(value) };
  if (Array.isArray(value)) return value.map(pack);
  if (value instanceof Map) value = Object.fromEntries(value);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, pack(item)]));
  }
  return value;
}

function unpack(value) {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== 'object') return value;
  if ('$bytes' in value) return Buffer.from(value.$bytes, 'hex');
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item)]));
}

const write = (line) => process.stdout.write(`${JSON.stringify(pack(line))}\n`);

// The libraries' own complaints are not for stdout.
console.log = console.warn = console.info = console.error;

export function drive(client) {
  const answer = async (command) => {
    const { id, do: name, ...options } = command;
    const report = (args, kwargs) => write({ for: id, args: args ?? [], kwargs: kwargs ?? {} });
    try {
      write({ id, value: (await client[name](options, report, id)) ?? null });
    } catch (error) {
      if (!(error instanceof Failure)) console.error(error);
      write({ id, error: error instanceof Failure ? error.report : { uri: String(error), args: [], kwargs: {} } });
    }
  };
  readline
    .createInterface({ input: process.stdin })
    .on('line', (line) => answer(unpack(JSON.parse(line))))
    .on('close', () => process.exit(0));
}
