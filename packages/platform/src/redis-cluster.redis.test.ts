/** The contracts of the sale store, the pages and their locks on a real Redis Cluster of three nodes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startRedisCluster } from '@flashsale/local/servers/redis-cluster';
import { freePorts } from '@flashsale/local/testing';
import { saleStoreContract } from '@flashsale/sale/contract';
import { pageCacheContract, pageLocksContract } from '@flashsale/sale/pages-contract';
import { keys, type BroadcastMessage, type Sale } from '@flashsale/sale';
import { Redis } from 'ioredis';
import { startCluster, quiet, underTest, until, type TestCluster } from './redis-fixtures.ts';
import { connectRedis, createPageCache, createSaleStore, createSignals, type RedisConnection } from './redis.ts';
import { createPageLocks } from './redis-page-locks.ts';

const SALE: Sale = {
  name: '',
  namespace: 'shop',
  opensAt: 0,
  closesAt: 1,
  paused: false,
  notReady: 'Delay',
  items: [{ sku: 'shoe', title: 'Shoe', stock: 5, perBuyer: 1, price: { minor: 1, currency: 'EUR' } }],
  holdForMs: 1,
  membersOnly: false,
  warm: { leadTimeMs: 0, shards: 8, cache: { ttlMs: 1, jitter: 0, pages: 0 } },
  scale: [],
};

let cluster: Promise<TestCluster> | undefined;
const connections: RedisConnection[] = [];

const started = (): Promise<TestCluster> => (cluster ??= freePorts(6).then(startCluster));

async function connected(): Promise<RedisConnection> {
  const redis = connectRedis((await started()).url, quiet);
  connections.push(redis);
  await redis.start();
  return redis;
}

saleStoreContract('a Redis Cluster', async () => underTest(await connected(), (await started()).ports));

// Pages of a Cluster lie on all its nodes.
pageCacheContract('pages in a Redis Cluster', async () => {
  const redis = await connected();
  return {
    cache: createPageCache(redis),
    lose: async (name) => {
      await redis.command('DEL', keys.page(name));
    },
  };
});
pageLocksContract('locks in a Redis Cluster', async () => createPageLocks(await connected()));

test('a broadcast reaches every connection, whichever node it is on', { timeout: 30_000 }, async () => {
  const [one, two] = [createSignals(await connected()), createSignals(await connected())];
  const { promise, resolve } = Promise.withResolvers<BroadcastMessage>();
  const message = { type: 'returned', sale: 'of-this-test', sku: 'b' } as const;
  // Broadcasts of the tests before may still be on their way between the nodes.
  const end = await two.subscribe(
    (heard) => heard.sale === message.sale && resolve(heard),
    () => undefined,
  );
  await one.broadcast(message);
  assert.deepEqual(await promise, message);
  await end();
});

test('nodes that forgot their scripts, or cut every connection, are asked again', { timeout: 30_000 }, async () => {
  const redis = await connected();
  const cut = async (...command: [string, ...string[]]): Promise<void> => {
    for (const port of (await started()).ports) {
      const client = new Redis({ port });
      await client.call(...command);
      client.disconnect();
    }
  };
  const warm = () => createSaleStore(redis).warm({ ...SALE, name: `c${process.pid}-${Date.now().toString(36)}` }, 1);
  assert.equal(await warm(), 1);
  await cut('SCRIPT', 'FLUSH');
  assert.equal(await warm(), 1);
  await cut('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  assert.equal(await warm(), 1);
});

test('a master that dies is followed by its replica', { timeout: 90_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flashsale-redis-'));
  const whole = await startRedisCluster(folder);
  const redis = connectRedis(whole.url, quiet);
  try {
    await redis.start();
    const slot = await whole.slotOf('k');
    const { port } = await whole.masterOf(slot);
    await redis.command('SET', 'k', 'v');
    await whole.servers.find((server) => server.port === port)?.kill();
    const heir = (): Promise<number | undefined> =>
      whole.masterOf(slot).then(
        (node) => (node.port === port ? undefined : node.port),
        () => undefined,
      );
    await until(async () => (await heir()) !== undefined);
    const from = performance.now();
    const works = (): Promise<boolean> =>
      redis.command('GET', 'k').then(
        (value) => value === 'v',
        () => false,
      );
    await until(works);
    assert.ok(performance.now() - from < 5_000, 'it is found in time');
  } finally {
    await redis.stop();
    await whole.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

after(async () => {
  for (const redis of connections) await redis.stop();
  await (await cluster)?.stop();
});
