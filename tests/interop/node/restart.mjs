// A client that reconnects by itself: prints OPEN each time that it has a session, and CLOSED where it has lost one.
//    node restart.mjs autobahn|wampy URL

import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(path.resolve(process.env.WAMP_NODE), 'package.json'));
const [library, url] = process.argv.slice(2);
const WebSocket = require('ws');
// In browsers nothing has to listen for errors. An object of ws ends the process where nobody does.
globalThis.WebSocket = class extends WebSocket {
  constructor(...options) {
    super(...options);
    this.on('error', () => {});
  }
};

if (library === 'autobahn') {
  const { Connection } = require('autobahn');
  const connection = new Connection({
    url, realm: 'realm1', initial_retry_delay: 0.2, max_retry_delay: 0.4, max_retries: -1,
  });
  connection.onopen = () => console.log('OPEN');
  connection.onclose = (reason, details) => console.log('CLOSED', details.will_retry);
  connection.open();
} else {
  const { Wampy } = require('wampy');
  const client = new Wampy(url, {
    realm: 'realm1', ws: globalThis.WebSocket, autoReconnect: true, reconnectInterval: 200, maxRetries: 0,
    onClose: () => console.log('CLOSED'), onReconnectSuccess: () => console.log('OPEN'),
  });
  client.connect().then(() => console.log('OPEN'));
}
// wampy alone would not keep the process while it waits.
setInterval(() => {}, 1000);
