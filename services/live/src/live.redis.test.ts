/** The live server with real WebSocket clients and a Redis of its own: the tests cut subscriptions and flood everyone. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID, generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { freePort, startRedis, testFolder, type RunningServer } from '@flashsale/local/testing';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore, createSignals, type RedisConnection } from '@flashsale/platform/redis';
import type { Part } from '@flashsale/platform/run';
import { keys, purchaseId, type PublishedSale, type SaleStore, type Signals } from '@flashsale/sale';
import { readConfig } from './config.ts';
import type { Hub } from './hub.ts';
import { liveService } from './service.ts';

type Message = Record<string, unknown> & { type: string; seq: number };

const log = createLogger('live-test', 'silent');
const serverId = `test-${randomUUID().slice(0, 8)}`;
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
let provider: Server;
let server: RunningServer;
let issuer = '';
let base = '';
let parts: readonly Part[] = [];
let hub: Hub;
let redis: RedisConnection;
let signals: Signals;
let store: SaleStore;

/** What the ledger has, by purchase id. */
const ledger = new Map<string, object>();

/** Discovery and keys, as a provider answers them; and the ledger's look-up. */
async function startProvider(): Promise<void> {
  provider = createServer((req, res) => {
    const purchase = /^\/internal\/purchases\/(.+)$/.exec(req.url ?? '')?.[1];
    if (purchase !== undefined) {
      const entry = ledger.get(purchase);
      res.statusCode = entry ? 200 : 404;
      res.end(JSON.stringify(entry ?? {}));
      return;
    }
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' };
    const discovery = { issuer, jwks_uri: `${issuer}/jwks` };
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(req.url === '/jwks' ? { keys: [jwk] } : discovery));
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
}

function tokenOf(buyer: string): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: 'flashsale', sub: buyer, roles: [], iat: now, exp: now + 600 };
  const input = `${encode({ alg: 'RS256', typ: 'at+jwt', kid: 'k' })}.${encode(claims)}`;
  return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
}

before(async () => {
  await startProvider();
  server = await startRedis({ dataDir: join(testFolder(), 'redis'), port: await freePort(), durable: false });
  const { url } = server;
  const config = readConfig({
    PORT: '0',
    REDIS_URL: url,
    OIDC_ISSUER: issuer,
    ORDERS_URL: issuer,
    SERVER_ID: serverId,
    MAX_CONNECTIONS: '8',
    LIVE_ORIGINS: 'https://shop.example',
  });
  const live = liveService(config, log);
  ({ parts, hub } = live);
  for (const part of parts) await part.start?.();
  base = `http://127.0.0.1:${live.http.port}`;
  redis = connectRedis(url, log);
  await redis.start();
  signals = createSignals(redis);
  store = createSaleStore(redis);
});
after(async () => {
  for (const part of parts.toReversed()) await part.drain?.();
  for (const part of parts.toReversed()) await part.stop?.();
  await redis.stop();
  await server.stop();
  provider.closeAllConnections();
  provider.close();
});

/** A client that keeps what it heard and lets a test wait for the next message that fits. */
class Client {
  readonly socket: WebSocket;
  readonly heard: Message[] = [];
  #waiting: { fits: (message: Message) => boolean; resolve: (message: Message) => void }[] = [];
  constructor(ticket: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`${base.replace('http', 'ws')}/api/v1/live?ticket=${ticket}`, { headers });
    this.socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Message;
      this.heard.push(message);
      const fitting = this.#waiting.filter(({ fits }) => fits(message));
      this.#waiting = this.#waiting.filter((waiting) => !fitting.includes(waiting));
      for (const { resolve } of fitting) resolve(message);
    });
  }
  next(fits: (message: Message) => boolean): Promise<Message> {
    const known = this.heard.find(fits);
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }));
  }
  async close(): Promise<void> {
    this.socket.close();
    await once(this.socket, 'close');
  }
}

async function ticketFor(buyer?: string): Promise<string> {
  const headers: Record<string, string> = buyer === undefined ? {} : { Authorization: `Bearer ${tokenOf(buyer)}` };
  const response = await fetch(`${base}/api/v1/live/tickets`, { method: 'POST', headers });
  assert.equal(response.status, 201);
  return ((await response.json()) as { ticket: string }).ticket;
}
const connect = async (buyer?: string): Promise<Client> => {
  const client = new Client(await ticketFor(buyer));
  await client.next(({ type }) => type === 'hello');
  return client;
};
const newName = (prefix: string): string => `${prefix}-${randomBytes(6).toString('hex')}`;

/** The HTTP status with which an upgrade is refused. */
async function refusal(ticket: string, headers?: Record<string, string>): Promise<number> {
  const { socket } = new Client(ticket, headers);
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  socket.terminate();
  return response.statusCode;
}

async function soldSale(buyer: string): Promise<{ sale: PublishedSale; id: string }> {
  const now = Date.now();
  const sale: PublishedSale = {
    name: newName('live'),
    namespace: 'shop',
    opensAt: now - 1000,
    closesAt: now + 600_000,
    paused: false,
    notReady: 'Delay',
    items: [{ sku: 'a', title: 'A', stock: 5, perBuyer: 2, price: { minor: 100, currency: 'EUR' } }],
    holdForMs: 60_000,
    membersOnly: false,
    warm: { leadTimeMs: 0, shards: 1, cache: { ttlMs: 1000, jitter: 0, pages: 1 } },
    scale: [],
    epoch: 1,
    phase: 'Open',
  };
  await store.warm(sale, 1);
  const id = purchaseId(sale.name, 0, randomBytes(17).toString('base64url').slice(0, 22));
  const request = { id, buyer: { id: buyer }, quantity: 1, correlationId: 'c' };
  const [answer] = await store.reserve(sale, { sale: sale.name, shard: 0, sku: 'a' }, [request]);
  assert.equal(answer?.code, 'reserved');
  return { sale, id };
}
const watch = (client: Client, purchase: string): void =>
  client.socket.send(JSON.stringify({ type: 'watch', purchase }));
const update = (buyer: string, status: 'paid' | 'refused') => ({
  buyer,
  purchase: { id: 'p.0.x', sale: 'p', sku: 'a', quantity: 1, status },
});

test('a signed-in buyer is registered before hello and hears his own purchases only', async () => {
  const [alice, bob] = [newName('alice'), newName('bob')];
  const a = await connect(alice);
  assert.deepEqual(a.heard[0], { seq: 1, type: 'hello', serverId });
  assert.deepEqual(await redis.command('SMEMBERS', keys.presence(alice)), [serverId]);
  const [secondOfAlice, b] = await Promise.all([connect(alice), connect(bob)]);
  await signals.notifyBuyers([update(alice, 'paid')]);
  await signals.notifyBuyers([update(bob, 'refused')]);
  for (const client of [a, secondOfAlice]) {
    const message = await client.next(({ type }) => type === 'purchase');
    assert.deepEqual({ ...message, seq: 0 }, { type: 'purchase', ...update(alice, 'paid').purchase, seq: 0 });
  }
  await b.next(({ type, status }) => type === 'purchase' && status === 'refused');
  assert.equal(b.heard.filter(({ type }) => type === 'purchase').length, 1);
  await secondOfAlice.close();
  assert.deepEqual(await redis.command('SMEMBERS', keys.presence(alice)), [serverId]);
  await Promise.all([a.close(), b.close()]);
  const endsAt = Date.now() + 5_000;
  while ((await redis.command<number>('EXISTS', keys.presence(alice))) === 1) {
    assert.ok(Date.now() < endsAt, 'the registration outlives the last connection');
  }
});

test('everyone hears stock and phase, each with an increasing seq of his own; a newcomer gets the last known', async () => {
  const sale = newName('cast');
  const early = await connect();
  const stock = { type: 'stock', sale, items: [{ sku: 'a', free: 3, held: 1, sold: 1 }] } as const;
  await signals.broadcast({ type: 'phase', sale, phase: 'Open', at: 5 });
  await signals.broadcast(stock);
  await early.next(({ type, sale: of }) => type === 'stock' && of === sale);
  const late = await connect(newName('late'));
  for (const client of [early, late]) {
    const message = await client.next(({ type, sale: of }) => type === 'stock' && of === sale);
    assert.deepEqual({ ...message, seq: 0 }, { ...stock, seq: 0 });
    await client.next(({ type, sale: of, phase }) => type === 'phase' && of === sale && phase === 'Open');
    assert.deepEqual(
      client.heard.map(({ seq }) => seq),
      client.heard.map((_, i) => i + 1),
    );
  }
  await Promise.all([early.close(), late.close()]);
});

test('a storm of stock messages is thinned out and ends with the newest', async () => {
  const sale = newName('storm');
  const client = await connect();
  const begun = Date.now();
  for (let free = 300; free >= 0; free--) {
    await signals.broadcast({ type: 'stock', sale, items: [{ sku: 'a', free, held: 0, sold: 300 - free }] });
  }
  const free = (message: Message): number | undefined =>
    (message['items'] as { free: number }[] | undefined)?.[0]?.free;
  await client.next((message) => message['sale'] === sale && free(message) === 0);
  const heard = client.heard.filter((message) => message['sale'] === sale);
  // One at once, then one in each 100 ms begun.
  const most = 2 + Math.ceil((Date.now() - begun) / 100);
  assert.ok(heard.length <= most, `${heard.length} of 301 messages, at most ${most}`);
  await client.close();
});

test('a watched purchase is sent at once, and to nobody but its buyer', async () => {
  const buyer = newName('watcher');
  const { id, sale } = await soldSale(buyer);
  const [own, other, anonymous] = await Promise.all([connect(buyer), connect(newName('spy')), connect()]);
  for (const client of [own, other, anonymous]) watch(client, id);
  const message = await own.next(({ type }) => type === 'purchase');
  assert.deepEqual(
    [message['id'], message['sale'], message['status'], message['quantity']],
    [id, sale.name, 'reserved', 1],
  );
  for (const client of [other, anonymous]) {
    const answer = await client.next(({ type }) => type === 'problem');
    assert.deepEqual([answer['code'], answer['purchase']], ['purchase_not_found', id]);
  }
  await Promise.all([own, other, anonymous].map((client) => client.close()));
});

test('a purchase is paid once the ledger says so, and is known when Redis has forgotten it', async () => {
  const buyer = newName('payer');
  const { id, sale } = await soldSale(buyer);
  const client = await connect(buyer);
  const ask = async (): Promise<unknown> => {
    const { length } = client.heard;
    watch(client, id);
    return (await client.next((message) => message.seq > length && message.type === 'purchase'))['status'];
  };
  await store.settle({ sale: sale.name, shard: 0, sku: 'a' }, [{ id, epoch: 1 }]);
  assert.equal(await ask(), 'reserved');
  ledger.set(id, { id, sale: sale.name, sku: 'a', buyer, quantity: 1, status: 'paid' });
  assert.equal(await ask(), 'paid');
  await store.purge(sale);
  assert.equal(await ask(), 'paid');
  await client.close();
});

test('after the subscription was cut, registrations and watched purchases come again', async () => {
  const buyer = newName('reset');
  const { id, sale } = await soldSale(buyer);
  const client = await connect(buyer);
  watch(client, id);
  await client.next(({ type, status }) => type === 'purchase' && status === 'reserved');
  await store.settle({ sale: sale.name, shard: 0, sku: 'a' }, [{ id, epoch: 1 }]);
  ledger.set(id, { id, sale: sale.name, sku: 'a', buyer, quantity: 1, status: 'paid' });
  await redis.command('DEL', keys.presence(buyer));
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await client.next(({ type, status }) => type === 'purchase' && status === 'paid');
  assert.deepEqual(await redis.command('SMEMBERS', keys.presence(buyer)), [serverId]);
  await client.close();
});

test('a ticket serves once; without one, or from a stranger page, there is no connection', async () => {
  const ticket = await ticketFor();
  const client = new Client(ticket);
  await client.next(({ type }) => type === 'hello');
  assert.equal(await refusal(ticket), 401);
  assert.equal(await refusal(''), 401);
  assert.equal(await refusal(await ticketFor(), { Origin: 'https://evil.example' }), 403);
  for (const origin of ['https://shop.example', base]) {
    const allowed = new Client(await ticketFor(), { Origin: origin });
    await allowed.next(({ type }) => type === 'hello');
    await allowed.close();
  }
  await client.close();
  const bad = await fetch(`${base}/api/v1/live/tickets`, {
    method: 'POST',
    headers: { Authorization: 'Bearer x.y.z' },
  });
  assert.equal(bad.status, 401);
});

test('a full server refuses the next one, and has room again after a close', async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
  assert.equal(await refusal(await ticketFor()), 503);
  await Promise.all(clients.map((client) => client.close()));
  await (await connect()).close();
});

test('a client that talks nonsense or too much is let go', async () => {
  for (const text of [
    '{"type":"dance"}',
    'x',
    '[]',
    'null',
    JSON.stringify({ type: 'watch', purchase: 'x'.repeat(200) }),
  ]) {
    const client = await connect();
    client.socket.send(text);
    const [code] = (await once(client.socket, 'close')) as [number];
    assert.equal(code, 1008, text);
  }
  const large = await connect();
  large.socket.send('x'.repeat(5000));
  const [code] = (await once(large.socket, 'close')) as [number];
  assert.equal(code, 1009);
  const chatty = await connect();
  for (let i = 0; i < 61; i++) watch(chatty, 'no-purchase');
  assert.equal(((await once(chatty.socket, 'close')) as [number])[0], 1008);
});

test('a slow client is dropped, the others keep hearing', async () => {
  const sale = newName('slow');
  const [slow, quick] = await Promise.all([connect(), connect()]);
  slow.socket.pause();
  const items = Array.from({ length: 200 }, (_, i) => ({ sku: `sku-${i}`, free: i, held: 0, sold: 0 }));
  const closed = once(slow.socket, 'close');
  for (let round = 0; hub.connections.size > 1; round++) {
    await signals.broadcast({ type: 'stock', sale: `${sale}-${round % 50}`, items });
    assert.ok(round < 5000, 'the slow client is still there');
  }
  slow.socket.resume();
  await closed;
  await signals.broadcast({ type: 'phase', sale, phase: 'Closed', at: 1 });
  await quick.next(({ type, sale: of }) => type === 'phase' && of === sale);
  await quick.close();
});

test('a connection that does not answer a ping is ended at the next heartbeat', async () => {
  const [dead, alive] = await Promise.all([connect(), connect()]);
  // A dead peer: its messages are no longer read, so no pong goes back.
  dead.socket.pause();
  const pinged = once(alive.socket, 'ping');
  await hub.beat();
  await pinged;
  const before = hub.connections.size;
  // The pong of the living one must have arrived: a watch behind it is answered after it.
  watch(alive, 'nothing');
  await alive.next(({ type }) => type === 'problem');
  await hub.beat();
  dead.socket.resume();
  await once(dead.socket, 'close');
  assert.equal(hub.connections.size, before - 1);
  await alive.close();
});

test('a drain says when to come back, then takes nobody', async () => {
  const client = await connect(newName('drained'));
  const closed = once(client.socket, 'close') as Promise<[number, Buffer]>;
  const ticket = await ticketFor();
  const sockets = parts.find(({ name }) => name === 'sockets') as Part & { drain(): Promise<void> };
  await sockets.drain();
  const [code, reason] = await closed;
  assert.equal(code, 1012);
  const { reconnectInMs } = JSON.parse(reason.toString()) as { reconnectInMs: number };
  assert.ok(reconnectInMs >= 0 && reconnectInMs <= 5000);
  assert.equal(sockets.ready?.(), false);
  assert.equal(await refusal(ticket), 503);
});
