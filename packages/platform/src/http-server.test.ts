/** How the server of a service drains: nothing under way is cut before its time, nothing idle holds it up. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { createApp, finishApp, httpPart, type HttpPart } from './http.ts';
import { createLogger } from './log.ts';

const log = createLogger('test', 'silent');
const arrivals = new EventEmitter();
let part: HttpPart;

beforeEach(async () => {
  const app = createApp(log);
  app.get('/fast', (_req, res) => void res.send('fast'));
  app.get('/slow', (_req, res) => void arrivals.emit('slow', res));
  finishApp(app, log);
  part = httpPart({ app, port: 0, log });
  await part.start?.();
});
afterEach(async () => {
  mock.timers.reset();
  await part.stop?.();
});

/** A plain keep-alive connection, so that the test sees what the server does with it. */
async function open(): Promise<Socket> {
  const socket = connect(part.port, '127.0.0.1');
  socket.setEncoding('latin1');
  await once(socket, 'connect');
  return socket;
}
const ask = (socket: Socket, path: string): boolean => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
async function answerTo(socket: Socket): Promise<string> {
  const [text] = (await once(socket, 'data')) as [string];
  return text;
}

test('is ready from start to drain; knows its real port; refuses connections afterwards', async () => {
  const ready = (): boolean | undefined => part.ready?.();
  assert.ok(part.port > 0);
  assert.equal(ready(), true);
  await part.drain?.();
  assert.equal(ready(), false);
  await assert.rejects(open(), /ECONNREFUSED/);
});

test('closes idle connections at once and busy ones after their answer', async () => {
  const [idle, busy] = await Promise.all([open(), open()]);
  ask(idle, '/fast');
  assert.match(await answerTo(idle), /^HTTP\/1.1 200 [\s\S]*Connection: keep-alive/);
  const slow = once(arrivals, 'slow');
  ask(busy, '/slow');
  const [res] = (await slow) as [ServerResponse];
  const idleClosed = once(idle, 'close');
  const busyClosed = once(busy, 'close');
  const drained = part.drain?.();
  await idleClosed;
  assert.equal(busy.closed, false);
  const from = performance.now();
  res.end('late but whole');
  assert.match(await answerTo(busy), /late but whole/);
  await busyClosed;
  await drained;
  // Long before the drain's own limit, which would close it, too.
  assert.ok(performance.now() - from < 5_000);
});

test('tells a client that goes on asking to close', async () => {
  const busy = await open();
  const slow = once(arrivals, 'slow');
  ask(busy, '/slow');
  const [res] = (await slow) as [ServerResponse];
  const drained = part.drain?.();
  // A second request on the same connection, already on its way when the first is answered.
  ask(busy, '/fast');
  let text = '';
  busy.on('data', (chunk: string) => (text += chunk));
  res.end('first');
  await once(busy, 'close');
  await drained;
  assert.match(text, /first[\s\S]*Connection: close[\s\S]*fast$/);
});

test('cuts a request that does not end within 10 seconds', async () => {
  const busy = await open();
  const slow = once(arrivals, 'slow');
  ask(busy, '/slow');
  await slow;
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const closed = once(busy, 'close');
  const drained = part.drain?.();
  mock.timers.tick(9_999);
  assert.equal(busy.closed, false);
  mock.timers.tick(1);
  await drained;
  await closed;
});

test('start rejects where the port is taken', async () => {
  const second = httpPart({ app: createApp(log), port: part.port, log });
  await assert.rejects(async () => second.start?.(), /EADDRINUSE/);
  await second.drain?.();
  await second.stop?.();
});
