// wampy of npm.    node wampy.mjs json|msgpack|cbor

import { drive, Failure, load, require } from './driver.mjs';

const { Wampy } = await load('wampy/dist/esm/wampy.js');
const { sign: signCRA } = await load('wampy/dist/esm/auth/wampcra/wampy-cra.js');
const { sign: signKey } = await load('wampy/dist/esm/auth/cryptosign/wampy-cryptosign.js');
const serializers = {
  json: async () => new (await load('wampy/dist/esm/serializers/json-serializer.js')).JsonSerializer(),
  msgpack: async () => new (await load('wampy/dist/esm/serializers/msgpack-serializer.js')).MsgpackSerializer(),
  cbor: async () => new (await load('wampy/dist/esm/serializers/cbor-serializer.js')).CborSerializer(),
};
const serializer = await serializers[process.argv[2]]();
const subscriptions = new Map();
const calls = new Map();
let wampy;

const fail = (error) => {
  if (error.errorUri === undefined && error.error === undefined) throw error;
  throw new Failure(error.errorUri ?? error.error, error.argsList, error.argsDict);
};
const take = ({ argsList, argsDict }) => ({ args: argsList ?? [], kwargs: argsDict ?? {} });
// Without arguments no payload at all, as a user of the library would do it.
const payload = (args, kwargs) => {
  const packed = {};
  if (args?.length) packed.argsList = args;
  if (kwargs && Object.keys(kwargs).length) Object.assign(packed, { argsList: args ?? [], argsDict: kwargs });
  return Object.keys(packed).length ? packed : null;
};

drive({
  async join({ url, realm, auth }) {
    const options = { realm, ws: require('ws'), serializer, autoReconnect: false, uriValidation: 'loose' };
    if (auth) {
      const answers = {
        ticket: () => auth.secret,
        wampcra: signCRA(auth.secret),
        cryptosign: auth.method === 'cryptosign' && signKey(auth.secret),
      };
      // It answers no challenge without an authid.
      Object.assign(options, { authid: auth.id, authmethods: [auth.method], onChallenge: answers[auth.method] });
      if (auth.extra) options.authextra = auth.extra;
    }
    wampy = new Wampy(url, options);
    const details = await wampy.connect().catch(fail);
    return { session: wampy.getSessionId(), subprotocol: wampy._ws.protocol, details };
  },

  call({ uri, args, kwargs, options }, report, id) {
    const { receive_progress, ...rest } = options ?? {};
    const progress = (result) => report(result.argsList, result.argsDict);
    const asked = receive_progress ? { ...rest, progress_callback: progress } : rest;
    const call = wampy.call(uri, payload(args, kwargs), asked);
    calls.set(id, wampy.getOpStatus().reqId);
    return call.then(take, fail);
  },

  // A progressive call: a CALL for each of the parts.
  stream({ uri, parts: [first, ...others] }) {
    const { result, sendData } = wampy.progressiveCall(uri, payload([first]));
    others.forEach((part, index) => sendData(payload([part]), { progress: index < others.length - 1 }));
    return result.then(take, fail);
  },

  cancel({ call, mode }) {
    wampy.cancel(calls.get(call), mode ? { mode } : undefined);
  },

  async subscribe({ topic, options }, report, id) {
    const note = ({ argsList, argsDict, details }) =>
      report(argsList, options?.match && options.match !== 'exact' ? { ...argsDict, $topic: details.topic } : argsDict);
    subscriptions.set(id, (await wampy.subscribe(topic, note, options ?? undefined).catch(fail)).subscriptionKey);
  },

  async unsubscribe({ subscription }) {
    await wampy.unsubscribe(subscriptions.get(subscription)).catch(fail);
  },

  async publish({ topic, args, kwargs, options }) {
    // It asks for an acknowledgement by itself.
    const { acknowledge, ...rest } = options ?? {};
    return (await wampy.publish(topic, payload(args, kwargs), rest).catch(fail)).publicationId;
  },

  async register({ uri }) {
    await wampy.register(uri, () => null).catch(fail);
  },

  async leave() {
    await wampy.disconnect();
  },
});
