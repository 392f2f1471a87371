/** What happens when Redis is away, slow, forgetful, or loses a reply; and tickets, presence and signals. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, testRedis } from '@flashsale/local/testing';
import { purchaseId, type BroadcastMessage, type BuyerUpdate, type PublishedSale } from '@flashsale/sale';
import { endServer, quiet, spawnRedis, startProxy, until, type LossyProxy } from './redis-fixtures.ts';
import {
  connectRedis,
  createPresence,
  createSaleStore,
  createSignals,
  createTickets,
  type RedisConnection,
} from './redis.ts';

const LATER = { name: 'SaleError', code: 'try_again_later' };
let direct: RedisConnection;
let names = 0;
const randomName = (): string => `c${process.pid}-${Date.now().toString(36)}-${names++}`;

before(async () => {
  direct = connectRedis(await testRedis(), quiet);
  await direct.start();
});
after(() => direct.stop());

/** A connection through a proxy in front of the Redis for tests. */
async function proxied(body: (redis: RedisConnection, proxy: LossyProxy) => Promise<void>): Promise<void> {
  const proxy = await startProxy(Number(new URL(await testRedis()).port));
  const redis = connectRedis(`redis://127.0.0.1:${proxy.port}`, quiet);
  try {
    await redis.start();
    await body(redis, proxy);
  } finally {
    await redis.stop();
    await proxy.stop();
  }
}

async function warmSale(): Promise<PublishedSale> {
  const store = createSaleStore(direct);
  const now = await store.time();
  const item = { sku: 'shoe', title: 'Shoe', stock: 5, perBuyer: 1, price: { minor: 100, currency: 'EUR' } };
  const sale: PublishedSale = {
    name: randomName(),
    namespace: 'shop',
    opensAt: now,
    closesAt: now + 60_000,
    paused: false,
    notReady: 'Delay',
    items: [item],
    holdForMs: 60_000,
    membersOnly: false,
    warm: { leadTimeMs: 0, shards: 1, cache: { ttlMs: 1, jitter: 0, pages: 0 } },
    scale: [],
    epoch: 1,
    phase: 'Open',
  };
  await store.warm(sale, 1);
  return sale;
}

const atOf = (sale: PublishedSale) => ({ sale: sale.name, shard: 0, sku: 'shoe' });
const purchase = (sale: PublishedSale, n: number) => ({
  id: purchaseId(sale.name, 0, `${n}`.padStart(22, '_')),
  buyer: { id: `b${n}`, number: n },
  quantity: 1,
  correlationId: '',
});

test('a lost reply costs one unit only, and is answered within a second', () =>
  proxied(async (redis, proxy) => {
    const [sale, store] = [await warmSale(), createSaleStore(redis)];
    await store.reserve(sale, atOf(sale), [purchase(sale, 1)]);
    proxy.loseNextReply();
    const from = performance.now();
    const [answer] = await store.reserve(sale, atOf(sale), [purchase(sale, 2)]);
    assert.ok(performance.now() - from < 1_000);
    assert.equal(proxy.lost, 1);
    assert.equal(answer?.code, 'replayed');
    assert.deepEqual((await store.inspect(sale))?.items.get('shoe'), { stock: 5, free: 3, held: 2, sold: 0 });
  }));

test('a server that hangs is given up after the deadline', () =>
  proxied(async (redis, proxy) => {
    proxy.hang();
    const from = performance.now();
    await assert.rejects(createSaleStore(redis).time(), LATER);
    assert.ok(performance.now() - from < 1_500);
  }));

test('connections on which nothing comes through any more are replaced', { timeout: 30_000 }, () =>
  proxied(async (redis, proxy) => {
    const signals = createSignals(redis);
    const { promise: reset, resolve } = Promise.withResolvers<undefined>();
    const heard = Promise.withResolvers<BroadcastMessage>();
    const message = { type: 'returned', sale: randomName(), sku: 'b' } as const;
    await signals.subscribe(
      (one) => one.sale === message.sale && heard.resolve(one),
      () => resolve(undefined),
    );
    proxy.hangOpen();
    await assert.rejects(redis.command('PING'), LATER);
    await until(() => redis.command('PING').then(() => true, () => false)); // prettier-ignore
    await reset;
    await createSignals(direct).broadcast(message);
    assert.deepEqual(await heard.promise, message);
  }),
);

test('a server that forgot its scripts gets them again, also under many calls at once', async () => {
  const [sale, store] = [await warmSale(), createSaleStore(direct)];
  await direct.command('SCRIPT', 'FLUSH');
  const all = [1, 2, 3, 4].map((n) => store.reserve(sale, atOf(sale), [purchase(sale, n)]));
  assert.deepEqual(
    (await Promise.all(all)).flat().map(({ code }) => code),
    ['reserved', 'reserved', 'reserved', 'reserved'],
  );
});

test('while Redis is away calls fail at once, and it is found again when it is back', { timeout: 30_000 }, async () => {
  const [port, dir] = [await freePort(), mkdtempSync(join(tmpdir(), 'flashsale-redis-'))];
  const redis = connectRedis(`redis://127.0.0.1:${port}`, quiet);
  let server = spawnRedis(port, dir);
  try {
    await redis.start();
    const resets = { count: 0 };
    const heard: BroadcastMessage[] = [];
    const signals = createSignals(redis);
    await signals.subscribe(
      (message) => heard.push(message),
      () => resets.count++,
    );
    await endServer(server);
    await until(() => !redis.ready());
    const store = createSaleStore(redis);
    await assert.rejects(store.time(), LATER);
    await until(async () => {
      const from = performance.now();
      await assert.rejects(store.time(), LATER);
      return performance.now() - from < 20;
    });
    server = spawnRedis(port, dir);
    await until(() => redis.ready() && resets.count > 0);
    assert.ok((await store.time()) > 0);
    const message = { type: 'phase', sale: 'x', phase: 'Open', at: 1 } as const;
    await signals.broadcast(message);
    await until(() => heard.length > 0);
    assert.deepEqual(heard, [message]);
  } finally {
    await redis.stop();
    await endServer(server);
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a release tells everyone that units came back', async () => {
  const [sale, store] = [await warmSale(), createSaleStore(direct)];
  await store.reserve(sale, atOf(sale), [purchase(sale, 1)]);
  const { promise, resolve } = Promise.withResolvers<BroadcastMessage>();
  const end = await createSignals(direct).subscribe(
    (message) => 'sale' in message && message.sale === sale.name && resolve(message),
    () => undefined,
  );
  await store.release(atOf(sale), [{ id: purchase(sale, 1).id, status: 'refused', epoch: 1 }]);
  assert.deepEqual(await promise, { type: 'returned', sale: sale.name, sku: 'shoe' });
  await end();
});

test('a ticket serves once', async () => {
  const tickets = createTickets(direct);
  const [mine, nobodys] = [await tickets.issue({ buyer: 'ann' }), await tickets.issue({})];
  assert.notEqual(mine, nobodys);
  assert.deepEqual([await tickets.redeem(mine), await tickets.redeem(nobodys)], [{ buyer: 'ann' }, {}]);
  assert.equal(await tickets.redeem(mine), undefined);
  const left = await direct.command<number>('TTL', `fs:ticket:${await tickets.issue({})}`);
  assert.ok(left > 0 && left <= 30);
});

test('a push reaches the server on which the buyer is connected, and no other', async () => {
  const buyer = randomName();
  const [here, there] = [createPresence(direct, `${buyer}-1`), createPresence(direct, `${buyer}-2`)];
  const got: [string, readonly BuyerUpdate[]][] = [];
  const arrived = Promise.withResolvers<undefined>();
  const ends = [
    await here.onUpdate((updates) => {
      got.push(['here', updates]);
      arrived.resolve(undefined);
    }),
    await there.onUpdate((updates) => got.push(['there', updates])),
  ];
  await Promise.all([here.add(buyer), there.add(buyer)]);
  await there.remove(buyer);
  await here.refresh([buyer]);
  const update = {
    buyer,
    purchase: { id: 'i', sale: 's', sku: 'k', quantity: 1, status: 'paid' },
  } as const;
  await createSignals(direct).notifyBuyers([update, { ...update, buyer: randomName() }]);
  await arrived.promise;
  assert.deepEqual(got, [['here', [update]]]);
  for (const end of ends) await end();
});

test('one listener that ends leaves the others of its channel', async () => {
  const signals = createSignals(direct);
  const got: string[] = [];
  const second = Promise.withResolvers<undefined>();
  const name = randomName();
  const isOurs = (message: BroadcastMessage): boolean => message.sale === name;
  const end = await signals.subscribe(
    (message) => isOurs(message) && got.push('one'),
    () => undefined,
  );
  const endOther = await signals.subscribe(
    (message) => {
      if (!isOurs(message)) return;
      got.push('two');
      second.resolve(undefined);
    },
    () => undefined,
  );
  await end();
  await signals.broadcast({ type: 'published', sale: name });
  await second.promise;
  assert.deepEqual(got, ['two']);
  await endOther();
});

test('the process can end: stop leaves no connection open', async () => {
  const redis = connectRedis(await testRedis(), quiet);
  await redis.start();
  await createSignals(redis).subscribe(
    () => undefined,
    () => undefined,
  );
  await redis.stop();
  assert.equal(redis.ready(), false);
  await assert.rejects(redis.command('TIME'), LATER);
});
