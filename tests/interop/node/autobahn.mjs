// autobahn of npm.    node autobahn.mjs json|msgpack|cbor

import { drive, Failure, require } from './driver.mjs';

// From Node 22 on there is one.
globalThis.WebSocket ??= require('ws');
const autobahn = require('autobahn');

const { JSONSerializer, MsgpackSerializer, CBORSerializer } = autobahn.serializer;
const serializers = { json: JSONSerializer, msgpack: MsgpackSerializer, cbor: CBORSerializer };
const subscriptions = new Map();
const calls = new Map();
let connection;

const fail = (error) => {
  if (error instanceof autobahn.Error) throw new Failure(error.error, error.args, error.kwargs);
  throw error;
};
const take = (result) =>
  result instanceof autobahn.Result
    ? { args: result.args, kwargs: result.kwargs }
    : { args: result === null ? [] : [result], kwargs: {} };

function answerChallenge({ method, secret }) {
  return (session, wanted, extra) => {
    if (wanted !== method) throw new Error(`CHALLENGE ${wanted} instead of ${method}`);
    if (method === 'ticket') return secret;
    if (method === 'wampcra') {
      const { salt, iterations, keylen } = extra;
      const key = salt ? autobahn.auth_cra.derive_key(secret, salt, iterations, keylen) : secret;
      return autobahn.auth_cra.sign(key, extra.challenge);
    }
    const pair = autobahn.nacl.sign.keyPair.fromSeed(autobahn.util.htob(secret));
    return autobahn.auth_cryptosign.sign_challenge(pair, extra);
  };
}

drive({
  join({ url, realm, auth }) {
    const options = { url, realm, serializers: [new serializers[process.argv[2]]()], max_retries: 0 };
    if (auth) {
      Object.assign(options, { authmethods: [auth.method], onchallenge: answerChallenge(auth) });
      if (auth.id) options.authid = auth.id;
      if (auth.extra) options.authextra = auth.extra;
    }
    connection = new autobahn.Connection(options);
    return new Promise((resolve, reject) => {
      connection.onopen = (session, details) =>
        resolve({ session: session.id, subprotocol: details.transport.protocol, details: { ...details, transport: null } });
      connection.onclose = (reason, details) => {
        reject(new Failure(details.reason ?? reason, [details.message]));
        connection.left?.();
        return true;
      };
      connection.open();
    });
  },

  call({ uri, args, kwargs, options }, report, id) {
    const call = connection.session.call(uri, args, kwargs, options);
    calls.set(id, call);
    const progress = (result) => {
      const { args, kwargs } = take(result);
      report(args, kwargs);
    };
    return call.then(take, fail, progress);
  },

  cancel({ call, mode }) {
    calls.get(call).cancel(mode ? { mode } : {});
  },

  async subscribe({ topic, options }, report, id) {
    const note = (args, kwargs, details) =>
      report(args, options?.match && options.match !== 'exact' ? { ...kwargs, $topic: details.topic } : kwargs);
    subscriptions.set(id, await connection.session.subscribe(topic, note, options).then((it) => it, fail));
  },

  async unsubscribe({ subscription }) {
    await subscriptions.get(subscription).unsubscribe();
  },

  async publish({ topic, args, kwargs, options }) {
    const publication = connection.session.publish(topic, args, kwargs, options);
    return publication && publication.then((it) => it.id, fail);
  },

  async register({ uri }) {
    await connection.session.register(uri, () => null).then((it) => it, fail);
  },

  leave() {
    return new Promise((resolve) => {
      connection.left = resolve;
      connection.close();
    });
  },
});
